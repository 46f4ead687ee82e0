//! What an operator writes about the listeners: addresses, names, files, limits. Plumbing only, no trust.
//!
//! Every limit has its default here with the reason for it. Unknown keys are errors.

use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Everything the front is told. A listener that is left out is not opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FrontConfig {
    /// Signing systems.
    pub signing: Option<SigningListener>,
    /// Browsers with an HPKI card.
    pub hpki: Option<CardListener>,
    /// Browsers with a My Number card.
    pub jpki: Option<CardListener>,
    /// Browsers and phones.
    pub portal: Option<PortalListener>,
    /// Operators.
    pub admin: Option<AdminListener>,
    /// Monitoring.
    pub metrics: Option<MetricsListener>,
    /// How often certificates are looked at.
    pub certificates: CertificateWatch,
}

/// Certificate files of all listeners: replaced without an outage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CertificateWatch {
    /// Seconds between two looks at the files.
    pub check_seconds: u64,
    /// Seconds after which the client certificate of a living connection is judged again: it may have expired or been
    /// revoked, or its CA may have been taken out.
    pub judge_again_seconds: u64,
}

impl Default for CertificateWatch {
    /// 30 s: files that were just written are served soon, for a few `stat` calls; a revoked program is out as soon.
    fn default() -> Self {
        Self { check_seconds: 30, judge_again_seconds: 30 }
    }
}

/// The listener of signing systems: client certificate required, TLS 1.3.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningListener {
    /// Where to listen when no socket is handed over.
    pub address: SocketAddr,
    /// Host names served; SNI and Host must name one of them.
    pub host_names: Vec<String>,
    /// Server certificate and its issuers, PEM.
    pub certificate: PathBuf,
    /// Private key of `certificate`, PEM.
    pub key: PathBuf,
    /// Certification authorities of client certificates, PEM.
    pub client_ca: PathBuf,
    /// Their revocation lists, PEM or DER. When there is one, every client certificate needs a current one.
    #[serde(default)]
    pub client_crls: Vec<PathBuf>,
    /// Whether TLS 1.2 (ECDHE, AEAD, extended master secret) is spoken, too: Windows Server 2019 needs it.
    #[serde(default)]
    pub allow_tls12: bool,
    /// Seconds for the TLS handshake.
    #[serde(default = "ten_seconds")]
    pub handshake_seconds: u64,
    /// Seconds an idle connection is kept: signing systems keep theirs warm.
    #[serde(default = "five_minutes")]
    pub keep_alive_seconds: u64,
    /// Limits of every connection and request.
    #[serde(default)]
    pub limits: Limits,
    /// Limits of documents.
    #[serde(default)]
    pub documents: Documents,
    /// Requests a second of one client certificate, whatever they ask. Rights of a registration are the keeper's.
    #[serde(default = "edge_requests_per_second")]
    pub requests_per_second: u32,
}

/// The listener of browsers with a card: TLS 1.2, client certificate asked for, not required.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardListener {
    /// Where to listen when no socket is handed over.
    pub address: SocketAddr,
    /// Host names served.
    pub host_names: Vec<String>,
    /// Server certificate and its issuers, PEM.
    pub certificate: PathBuf,
    /// Private key of `certificate`, PEM.
    pub key: PathBuf,
    /// Certification authorities whose names are sent as a hint, PEM: browsers then show those cards only.
    #[serde(default)]
    pub card_ca_hints: Option<PathBuf>,
    /// Seconds for the TLS handshake: the PIN is typed inside it.
    #[serde(default = "ninety_seconds")]
    pub handshake_seconds: u64,
    /// Seconds between the page and its confirmation on one connection.
    #[serde(default = "one_minute")]
    pub keep_alive_seconds: u64,
    /// Limits of every connection and request.
    #[serde(default)]
    pub limits: Limits,
}

/// The listener of browsers and phones: TLS 1.3, no client certificate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortalListener {
    /// Where to listen when no socket is handed over.
    pub address: SocketAddr,
    /// The one host name served. Passkeys are bound to it (WebAuthn RP ID): with another name every phone is registered
    /// anew.
    pub host_name: String,
    /// Server certificate and its issuers, PEM.
    pub certificate: PathBuf,
    /// Private key of `certificate`, PEM.
    pub key: PathBuf,
    /// Seconds for the TLS handshake.
    #[serde(default = "ten_seconds")]
    pub handshake_seconds: u64,
    /// Seconds an idle connection is kept.
    #[serde(default = "one_minute")]
    pub keep_alive_seconds: u64,
    /// Limits of every connection and request.
    #[serde(default)]
    pub limits: Limits,
}

/// The listener of operators: client certificate required, TLS 1.3.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminListener {
    /// Where to listen when no socket is handed over.
    pub address: SocketAddr,
    /// Host names served.
    pub host_names: Vec<String>,
    /// Server certificate and its issuers, PEM.
    pub certificate: PathBuf,
    /// Private key of `certificate`, PEM.
    pub key: PathBuf,
    /// Certification authorities of operators' certificates, PEM.
    pub client_ca: PathBuf,
    /// Their revocation lists.
    #[serde(default)]
    pub client_crls: Vec<PathBuf>,
    /// Seconds for the TLS handshake.
    #[serde(default = "ten_seconds")]
    pub handshake_seconds: u64,
    /// Seconds an idle connection is kept.
    #[serde(default = "one_minute")]
    pub keep_alive_seconds: u64,
    /// Limits of every connection and request.
    #[serde(default)]
    pub limits: Limits,
}

/// The listener of monitoring: plain HTTP on loopback, or mutual TLS anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsListener {
    /// Where to listen when no socket is handed over; without `tls` a loopback address.
    pub address: SocketAddr,
    /// Host names served; empty: any.
    #[serde(default)]
    pub host_names: Vec<String>,
    /// Mutual TLS.
    #[serde(default)]
    pub tls: Option<MetricsTls>,
    /// Limits of every connection and request.
    #[serde(default)]
    pub limits: Limits,
}

/// Mutual TLS of the metrics listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsTls {
    /// Server certificate and its issuers, PEM.
    pub certificate: PathBuf,
    /// Private key of `certificate`, PEM.
    pub key: PathBuf,
    /// Certification authorities of the scrapers' certificates, PEM.
    pub client_ca: PathBuf,
    /// Their revocation lists.
    #[serde(default)]
    pub client_crls: Vec<PathBuf>,
    /// Seconds for the TLS handshake.
    #[serde(default = "ten_seconds")]
    pub handshake_seconds: u64,
}

/// Limits of one listener on everything that a peer can influence.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections after their handshake. When full, the one that idles longest makes room.
    pub connections: usize,
    /// Connections after their handshake from one address.
    pub connections_per_address: usize,
    /// Connections before the end of their handshake. When full, the oldest silent one makes room.
    pub handshakes: usize,
    /// Connections before the end of their handshake from one address. When full, its oldest makes room.
    pub handshakes_per_address: usize,
    /// Octets of a request head: target, names and values.
    pub header_bytes: usize,
    /// Header fields of a request.
    pub header_fields: usize,
    /// Seconds for a request head to arrive, from its first octet.
    pub header_seconds: u64,
    /// Seconds without an octet of a body.
    pub body_pause_seconds: u64,
    /// Octets a second that a body must bring on average, after the first `body_pause_seconds`.
    pub body_bytes_per_second: u64,
    /// Octets of a JSON body.
    pub json_bytes: usize,
    /// Octets of bodies and answers held in memory by all requests of the listener.
    pub buffered_bytes: usize,
    /// Seconds for which a peer may leave an answer unread; on HTTP/2 for all of it, and a second more for every
    /// `body_bytes_per_second` of it.
    pub write_seconds: u64,
    /// Requests being worked on.
    pub requests: usize,
    /// Requests being worked on of one client certificate or, without one, of one address.
    pub requests_per_client: usize,
    /// Requests that wait for a session to change.
    pub waiting_requests: usize,
    /// HTTP/2 streams of one connection.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A hospital group's servers and every browser of a shift; 30 kB each.
            connections: 4_096,
            // One application server's pool, or one hospital behind one address.
            connections_per_address: 2_048,
            // More than a listen queue brings at once; some hundred octets each before the first message.
            handshakes: 2_048,
            // Half of them: a hospital whose doctors type their PIN behind one address, and never all places.
            handshakes_per_address: 1_024,
            // What common servers take; a client certificate does not travel in the head.
            header_bytes: 16 * 1024,
            // Twice what a browser sends behind two proxies.
            header_fields: 64,
            // A slow link sends 16 KiB in less than this.
            header_seconds: 10,
            body_pause_seconds: 15,
            // Slower than any modem: only an attack is below it.
            body_bytes_per_second: 1_024,
            // 5,000 digests with labels.
            json_bytes: 1024 * 1024,
            // 16 attached documents of the largest size at once, counted at both ends.
            buffered_bytes: 512 * 1024 * 1024,
            write_seconds: 30,
            // Far above what one token can sign in a second.
            requests: 1_024,
            // Half of them: one program that uploads slowly does not keep the others out.
            requests_per_client: 512,
            // One for each holder who is just signing in.
            waiting_requests: 1_024,
            streams: 128,
        }
    }
}

/// Limits of documents.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Documents {
    /// Octets of a document whose signature is detached: it is only digested.
    pub detached_bytes: u64,
    /// Octets of a document that goes into its signature: it is held in memory.
    pub attached_bytes: u64,
    /// Octets of the JSON body of `/v1/sign/digest`.
    pub digests_json_bytes: usize,
}

impl Default for Documents {
    fn default() -> Self {
        Self {
            // A study with its images; costs time, not memory.
            detached_bytes: 4 * 1024 * 1024 * 1024,
            // Prescriptions and letters are a hundred times smaller.
            attached_bytes: 16 * 1024 * 1024,
            digests_json_bytes: 1024 * 1024,
        }
    }
}

impl Limits {
    /// The limit that would stop the listener, if there is one.
    pub(crate) fn zero(&self) -> Option<&'static str> {
        let counts = [
            ("connections", self.connections),
            ("connections_per_address", self.connections_per_address),
            ("handshakes", self.handshakes),
            ("handshakes_per_address", self.handshakes_per_address),
            ("header_bytes", self.header_bytes),
            ("header_fields", self.header_fields),
            ("json_bytes", self.json_bytes),
            ("buffered_bytes", self.buffered_bytes),
            ("requests", self.requests),
            ("requests_per_client", self.requests_per_client),
        ];
        counts.iter().find(|(_, count)| *count == 0).map(|(name, _)| *name)
    }
}

fn ten_seconds() -> u64 {
    10
}

fn ninety_seconds() -> u64 {
    90
}

fn one_minute() -> u64 {
    60
}

fn five_minutes() -> u64 {
    300
}

/// A ceiling against a loop gone wild; what a registration may do is decided by the keeper.
fn edge_requests_per_second() -> u32 {
    10_000
}
