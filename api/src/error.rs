//! Why a listener cannot be opened.

use std::net::SocketAddr;
use std::path::PathBuf;

/// A listener cannot be opened, or new certificate files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// The socket cannot be had.
    #[error("{listener} listener: cannot listen on {address}")]
    Bind {
        /// Which listener.
        listener: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A socket that was handed over cannot be used.
    #[error("{listener} listener: the socket handed over cannot be used")]
    Socket {
        /// Which listener.
        listener: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Sockets were given for a listener that is not configured, or none for one that is.
    #[error("{listener} listener: configured without a socket")]
    NoSocket {
        /// Which listener.
        listener: &'static str,
    },
    /// A file cannot be read or holds no PEM of the kind wanted.
    #[error("{path}: no {wanted} can be read from it: {reason}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
        /// What was found instead.
        reason: String,
    },
    /// A certificate that cannot be used.
    #[error("{path}: this certificate cannot be used: {reason}")]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Certificate and key do not belong together, or the key is of an unusable kind.
    #[error("{path}: this key cannot be used with its certificate")]
    Key {
        /// Which file.
        path: PathBuf,
        /// What the library said.
        #[source]
        source: rustls::Error,
    },
    /// The verifier of client certificates cannot be made.
    #[error("{path}: client certificates cannot be checked with it: {reason}")]
    ClientCa {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The metrics listener would speak plain HTTP to the network.
    #[error("metrics listener: {0} is not a loopback address and there is no [metrics.tls]")]
    PlainMetrics(SocketAddr),
    /// A listener serves no host name.
    #[error("{0} listener: host_names is empty")]
    NoHostName(&'static str),
    /// A limit of zero would stop the listener.
    #[error("{listener} listener: {limit} must not be 0")]
    ZeroLimit {
        /// Which listener.
        listener: &'static str,
        /// Which limit.
        limit: &'static str,
    },
    /// A metric cannot be registered.
    #[error("a metric cannot be registered")]
    Metric(#[from] prometheus::Error),
}

/// An error and what caused it, in one line.
pub fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
