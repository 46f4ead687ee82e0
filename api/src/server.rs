//! The front as a whole: opens the listeners, replaces their certificates, ends in good order.

use crate::config::FrontConfig;
use crate::door::Door;
use crate::door::DoorTls;
use crate::door::Shared;
use crate::door::open;
use crate::error::FrontError;
use crate::log_limit::LogLimit;
use crate::metrics::FrontMetrics;
use crate::net::accept::accept_loop;
use crate::net::read_ahead::BufferPool;
use crate::net::releases::Releases;
use crate::operations::Operations;
use crate::rate::RateLimits;
use crate::routes::Listener;
use prometheus::Registry;
use socket2::Domain;
use socket2::Protocol;
use socket2::Socket;
use socket2::Type;
use std::io;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that may wait to be accepted; the system's own ceiling (`net.core.somaxconn`) is 4096 by default.
const QUEUE: i32 = 4_096;

/// Listening sockets, handed over by the service manager or bound by [`Sockets::bind`].
#[derive(Debug, Default)]
pub struct Sockets {
    /// Of the signing listener.
    pub signing: Vec<TcpListener>,
    /// Of the HPKI listener.
    pub hpki: Vec<TcpListener>,
    /// Of the My Number card's listener.
    pub jpki: Vec<TcpListener>,
    /// Of the portal.
    pub portal: Vec<TcpListener>,
    /// Of the admin listener.
    pub admin: Vec<TcpListener>,
    /// Of the metrics listener.
    pub metrics: Vec<TcpListener>,
}

impl Sockets {
    /// Binds the addresses of the configuration for every listener that has no socket yet.
    ///
    /// # Errors
    /// [`FrontError::Bind`]
    pub fn bind(mut self, config: &FrontConfig) -> Result<Self, FrontError> {
        let addresses = [
            (&mut self.signing, Listener::Signing, config.signing.as_ref().map(|l| l.address)),
            (&mut self.hpki, Listener::Hpki, config.hpki.as_ref().map(|l| l.address)),
            (&mut self.jpki, Listener::Jpki, config.jpki.as_ref().map(|l| l.address)),
            (&mut self.portal, Listener::Portal, config.portal.as_ref().map(|l| l.address)),
            (&mut self.admin, Listener::Admin, config.admin.as_ref().map(|l| l.address)),
            (&mut self.metrics, Listener::Metrics, config.metrics.as_ref().map(|l| l.address)),
        ];
        for (sockets, listener, address) in addresses {
            if let (true, Some(address)) = (sockets.is_empty(), address) {
                sockets.push(bind(address).map_err(|source| FrontError::Bind {
                    listener: listener.name(),
                    address,
                    source,
                })?);
            }
        }
        Ok(self)
    }
}

/// The running front.
pub struct Front {
    shared: Arc<Shared>,
    doors: Vec<Arc<Door>>,
}

impl Front {
    /// Opens every configured listener. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// Whatever is wrong with the configuration or its files: nothing is opened then.
    pub fn start(
        config: &FrontConfig,
        sockets: Sockets,
        operations: Arc<dyn Operations>,
        registry: &Registry,
    ) -> Result<Self, FrontError> {
        let shared = Arc::new(Shared {
            operations,
            metrics: FrontMetrics::register(registry)?,
            logs: LogLimit::new(),
            pool: Arc::new(BufferPool::default()),
            rates: RateLimits::default(),
            releases: Releases::default(),
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let mut opened = Vec::new();
        let mut doors = Vec::new();
        for (door, sockets) in open::doors(config, sockets, &shared)? {
            for socket in sockets {
                refuse_plain_network(&door, &socket)?;
                opened.push((Arc::clone(&door), listen(door.kind, socket)?));
            }
            doors.push(door);
        }
        for (door, listener) in opened {
            shared.tasks.spawn(accept_loop(door, listener));
        }
        let front = Self { shared, doors };
        front.note_certificates();
        front.watch_certificates(Duration::from_secs(config.certificates.check_seconds.max(1)));
        Ok(front)
    }

    /// Reads the certificate files of every listener again. Files that cannot be used leave the old ones in force; that
    /// is logged, counted and returned.
    pub fn reload_certificates(&self) -> Vec<FrontError> {
        reload(&self.doors, |_| true)
    }

    /// Stops accepting, lets requests finish for `grace`, then ends what is left. True when nothing was left.
    pub async fn shutdown(self, grace: Duration) -> bool {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        let finished = tokio::time::timeout(grace, self.shared.tasks.wait()).await.is_ok();
        self.shared.kill.cancel();
        finished
    }

    fn note_certificates(&self) {
        for door in &self.doors {
            door.note_certificate();
        }
    }

    fn watch_certificates(&self, every: Duration) {
        let (doors, stop) = (self.doors.clone(), self.shared.stop.clone());
        self.shared.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(every) => {
                        reload(&doors, Door::certificate_files_changed);
                    }
                    () = stop.cancelled() => return,
                }
            }
        });
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        self.shared.kill.cancel();
    }
}

fn reload(doors: &[Arc<Door>], wanted: impl Fn(&Door) -> bool) -> Vec<FrontError> {
    let mut refused = Vec::new();
    for door in doors.iter().filter(|door| wanted(door)) {
        let result = match &door.tls {
            DoorTls::Plain => continue,
            DoorTls::Server(tls) => tls.reload(),
            DoorTls::Mutual(tls) => tls.reload(),
            DoorTls::Card(tls) => tls.reload(),
        };
        let listener = door.kind.name();
        door.shared.metrics.certificate_reload(door.kind, result.is_ok());
        match result {
            Ok(()) => {
                door.note_certificate();
                tracing::info!(listener, "certificate files were read again");
            }
            Err(error) => {
                let reason = crate::error::with_sources(&error);
                tracing::error!(listener, reason, "certificate files refused, the old ones stay");
                refused.push(error);
            }
        }
    }
    refused
}

impl Door {
    fn certificate_files_changed(&self) -> bool {
        match &self.tls {
            DoorTls::Plain => false,
            DoorTls::Server(tls) => tls.changed(),
            DoorTls::Mutual(tls) => tls.changed(),
            DoorTls::Card(tls) => tls.changed(),
        }
    }

    fn note_certificate(&self) {
        let not_after = match &self.tls {
            DoorTls::Plain => return,
            DoorTls::Server(tls) => tls.current().not_after,
            DoorTls::Mutual(tls) => tls.current().not_after,
            DoorTls::Card(tls) => tls.current().not_after(),
        };
        self.shared.metrics.certificate(self.kind, not_after);
    }
}

/// As the standard library does it, but with a queue that a burst of connections does not overflow: past it the system
/// falls back to SYN cookies and resets honest peers.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(QUEUE)?;
    Ok(socket.into())
}

/// A socket that was handed over may stand elsewhere than the configuration says.
fn refuse_plain_network(door: &Door, socket: &TcpListener) -> Result<(), FrontError> {
    let unusable = |source| FrontError::Socket { listener: door.kind.name(), source };
    let address = socket.local_addr().map_err(unusable)?;
    match door.tls {
        DoorTls::Plain if !address.ip().to_canonical().is_loopback() => {
            Err(FrontError::PlainMetrics(address))
        }
        _ => Ok(()),
    }
}

fn listen(kind: Listener, socket: TcpListener) -> Result<tokio::net::TcpListener, FrontError> {
    let unusable = |source| FrontError::Socket { listener: kind.name(), source };
    socket.set_nonblocking(true).map_err(unusable)?;
    tokio::net::TcpListener::from_std(socket).map_err(unusable)
}
