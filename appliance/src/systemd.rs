//! What the service manager hands over and is told. Without it the daemon binds its own sockets.

use api::server::Sockets;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::io;
use std::net::TcpListener;

/// Sockets of the service manager that the daemon does not know.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// `FileDescriptorName=` is not a listener's name.
    #[error(
        "the service manager hands over a socket named {0:?}; name it signing, hpki, jpki, portal, admin or metrics"
    )]
    UnknownName(String),
    /// Not a listening TCP socket.
    #[error("a socket of the service manager cannot be used: {0}")]
    Unusable(#[from] io::Error),
}

/// The sockets handed over, by their `FileDescriptorName=`.
///
/// # Errors
/// [`SocketError`]
/// # Source
/// `sd_listen_fds_with_names`(3): `LISTEN_FDNAMES` is separated by colons, in the order of the descriptors.
pub fn sockets() -> Result<Sockets, SocketError> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut handed = ListenFd::from_env();
    let mut sockets = Sockets::default();
    for (index, name) in names.split(':').enumerate().take(handed.len()) {
        let Some(listener) = handed.take_tcp_listener(index)? else {
            continue;
        };
        of_name(&mut sockets, name)?.push(listener);
    }
    Ok(sockets)
}

fn of_name<'a>(
    sockets: &'a mut Sockets,
    name: &str,
) -> Result<&'a mut Vec<TcpListener>, SocketError> {
    match name {
        "signing" => Ok(&mut sockets.signing),
        "hpki" => Ok(&mut sockets.hpki),
        "jpki" => Ok(&mut sockets.jpki),
        "portal" => Ok(&mut sockets.portal),
        "admin" => Ok(&mut sockets.admin),
        "metrics" => Ok(&mut sockets.metrics),
        other => Err(SocketError::UnknownName(other.to_owned())),
    }
}

/// The listeners are open; what is behind them may still be locked.
pub fn listening() {
    tell(NotifyState::Status("listening; not operational yet"));
}

/// Signatures can be made.
pub fn ready() {
    tell(NotifyState::Ready);
    tell(NotifyState::Status("operational"));
}

/// The stop has begun.
pub fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "the service manager was not told");
    }
}
