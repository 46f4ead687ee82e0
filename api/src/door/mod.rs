//! A listener at run time: its rules, its limits, its peers.

pub(crate) mod admin;
pub(crate) mod at_pc;
mod card_page;
pub(crate) mod change_phone;
pub(crate) mod confirm_enrol;
pub(crate) mod cookies;
pub(crate) mod enrol;
pub(crate) mod exchange;
pub(crate) mod forms;
pub(crate) mod letter;
pub(crate) mod login;
pub(crate) mod monitoring;
pub(crate) mod my_number;
pub(crate) mod open;
pub(crate) mod own_page;
pub(crate) mod phone;
pub(crate) mod portal;
pub(crate) mod saved;
pub(crate) mod sessions;
pub(crate) mod sign;
pub(crate) mod sign_digests;

use crate::config::Documents;
use crate::config::Limits;
use crate::error::FrontError;
use crate::log_limit::LogLimit;
use crate::metrics::FrontMetrics;
use crate::net::connections::Connections;
use crate::net::counts::Shares;
use crate::net::handshakes::Handshakes;
use crate::net::read_ahead::BufferPool;
use crate::net::releases::Releases;
use crate::operations::CardHandshake;
use crate::operations::Operations;
use crate::rate::RateLimits;
use crate::routes::Listener;
use crate::tls::card::CardTls;
use crate::tls::files::Stamp;
use crate::tls::files::TlsFiles;
use crate::tls::mutual::MutualTls;
use crate::tls::server::ServerTls;
use arc_swap::ArcSwap;
use attest::records::Fingerprint;
use rustls::pki_types::CertificateDer;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What all listeners share.
pub(crate) struct Shared {
    pub(crate) operations: Arc<dyn Operations>,
    pub(crate) metrics: FrontMetrics,
    pub(crate) logs: LogLimit,
    pub(crate) pool: Arc<BufferPool>,
    pub(crate) rates: RateLimits,
    pub(crate) releases: Releases,
    /// No new connections and requests; what runs may finish.
    pub(crate) stop: CancellationToken,
    /// The time to finish is over.
    pub(crate) kill: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// One listener.
pub(crate) struct Door {
    pub(crate) kind: Listener,
    /// Lower case; empty: any.
    pub(crate) host_names: Vec<String>,
    pub(crate) tls: DoorTls,
    pub(crate) limits: Limits,
    pub(crate) documents: Documents,
    /// Requests a second of one client certificate; 0: not limited here.
    pub(crate) requests_per_second: u32,
    pub(crate) handshake: Duration,
    pub(crate) keep_alive: Duration,
    /// After which the certificate of a living connection is judged again.
    pub(crate) judge_again: Duration,
    pub(crate) handshakes: Arc<Handshakes>,
    pub(crate) connections: Connections,
    pub(crate) requests: Semaphore,
    pub(crate) clients: Shares,
    pub(crate) waiting: Semaphore,
    /// Octets, in units of [`crate::http::body::UNIT`].
    pub(crate) buffered: Arc<Semaphore>,
    pub(crate) shared: Arc<Shared>,
}

/// TLS of a listener.
pub(crate) enum DoorTls {
    /// None: loopback only.
    Plain,
    /// No client certificate.
    Server(Replaceable<ServerTls>),
    /// Client certificate required.
    Mutual(Replaceable<MutualTls>),
    /// Client certificate asked for, its proof captured.
    Card(Replaceable<CardTls>),
}

/// TLS rules that are read again when their files change. New files that cannot be used leave the old rules in force.
pub(crate) struct Replaceable<T> {
    pub(crate) files: TlsFiles,
    current: ArcSwap<T>,
    stamp: Mutex<Stamp>,
    #[expect(clippy::type_complexity, reason = "one closure, named by its field")]
    read: Box<dyn Fn(&TlsFiles) -> Result<T, FrontError> + Send + Sync>,
}

impl<T> Replaceable<T> {
    pub(crate) fn new(
        files: TlsFiles,
        read: impl Fn(&TlsFiles) -> Result<T, FrontError> + Send + Sync + 'static,
    ) -> Result<Self, FrontError> {
        let stamp = files.stamp();
        let first = read(&files)?;
        Ok(Self {
            files,
            current: ArcSwap::from_pointee(first),
            stamp: Mutex::new(stamp),
            read: Box::new(read),
        })
    }

    pub(crate) fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Whether a file was written since the last look; looking counts.
    pub(crate) fn changed(&self) -> bool {
        let now = self.files.stamp();
        let mut last = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *last != now;
        *last = now;
        changed
    }

    /// Reads the files again.
    pub(crate) fn reload(&self) -> Result<(), FrontError> {
        let next = (self.read)(&self.files)?;
        self.current.store(Arc::new(next));
        Ok(())
    }
}

/// Who is on the other side of a connection.
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Server name indication.
    pub(crate) server_name: Option<String>,
    /// Certificates the client sent, its own first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// Of a certificate that the listener's CA vouches for.
    pub(crate) certificate: Option<Fingerprint>,
    /// Proof of possession of a card.
    pub(crate) card: Option<CardHandshake>,
    /// When `chain` was last judged.
    judged: Mutex<Instant>,
}

impl Peer {
    pub(crate) fn plain(address: IpAddr) -> Self {
        Self {
            address,
            server_name: None,
            chain: Vec::new(),
            certificate: None,
            card: None,
            judged: Mutex::new(Instant::now()),
        }
    }

    /// Whether the client certificate is still good by the rules of now, or was `after` ago at most.
    pub(crate) fn is_still_good(&self, tls: &Replaceable<MutualTls>, after: Duration) -> bool {
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if judged.elapsed() < after {
            return true;
        }
        let good = tls.current().still_accepts(&self.chain);
        if good {
            *judged = Instant::now();
        }
        good
    }
}
