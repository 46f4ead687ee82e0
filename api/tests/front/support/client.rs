//! A client that says exactly what a test wants said, octet for octet.

use super::pki::Pair;
use super::pki::Pki;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::SupportedProtocolVersion;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS12;
use rustls::version::TLS13;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Nothing here takes longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub struct Client {
    stream: Box<dyn Stream>,
    pending: Vec<u8>,
}

/// An answer in one piece.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The values of a header that came several times, in their order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.header(name).lines().collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The problem code; "" when it is none.
    pub fn code(&self) -> String {
        if self.header("content-type") != "application/problem+json" {
            return String::new();
        }
        assert_eq!(self.json()["status"], self.status);
        assert_eq!(self.json()["request_id"], self.header("request-id"));
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

pub fn client_config(
    pki: &Pki,
    pair: Option<&Pair>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(pki.servers.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match pair {
        Some(pair) => builder.with_client_cert_resolver(Arc::new(certified(pair))),
        None => builder.with_no_client_auth(),
    }
}

/// The certificate of one and the key of another.
pub fn mismatched(
    pki: &Pki,
    certificate: &Pair,
    key: &Pair,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut config = client_config(pki, Some(certificate), versions);
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key.key()).unwrap();
    let both = SingleCertAndKey::from(CertifiedKey::new(certificate.chain(), key));
    config.client_auth_cert_resolver = Arc::new(both);
    config
}

/// A certificate to present: whether it can be parsed is left to the other side.
fn certified(pair: &Pair) -> SingleCertAndKey {
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&pair.key()).unwrap();
    SingleCertAndKey::from(CertifiedKey::new(pair.chain(), key))
}

impl Client {
    pub async fn tls13(
        to: SocketAddr,
        pki: &Pki,
        pair: Option<&Pair>,
        name: &str,
    ) -> io::Result<Self> {
        Self::tls(to, client_config(pki, pair, &[&TLS13]), name).await
    }

    pub async fn tls12(
        to: SocketAddr,
        pki: &Pki,
        pair: Option<&Pair>,
        name: &str,
    ) -> io::Result<Self> {
        Self::tls(to, client_config(pki, pair, &[&TLS12]), name).await
    }

    pub async fn tls(to: SocketAddr, config: ClientConfig, name: &str) -> io::Result<Self> {
        Self::tls_over(TcpStream::connect(to).await?, config, name).await
    }

    pub async fn tls_over(socket: TcpStream, config: ClientConfig, name: &str) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connect = TlsConnector::from(Arc::new(config)).connect(name, socket);
        let stream = timeout(PATIENCE, connect).await??;
        Ok(Self { stream: Box::new(stream), pending: Vec::new() })
    }

    pub async fn plain(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        Ok(Self { stream: Box::new(stream), pending: Vec::new() })
    }

    pub async fn send(&mut self, octets: impl AsRef<[u8]>) -> io::Result<()> {
        let sent = async {
            self.stream.write_all(octets.as_ref()).await?;
            self.stream.flush().await
        };
        timeout(PATIENCE, sent).await?
    }

    /// Ends the sending direction.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// A request with a body of known length.
    pub async fn ask(&mut self, line: &str, headers: &str, body: &[u8]) -> Reply {
        let length = if body.is_empty() && line.starts_with("GET") {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n");
        self.send([head.as_bytes(), body].concat()).await.unwrap();
        self.reply().await.unwrap()
    }

    pub async fn get(&mut self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), "", b"").await
    }

    pub async fn post_json(&mut self, path: &str, json: &str) -> Reply {
        let line = format!("POST {path}");
        self.ask(&line, "Content-Type: application/json\r\n", json.as_bytes()).await
    }

    pub async fn post_form(&mut self, path: &str, headers: &str, form: &str) -> Reply {
        let headers = format!("Content-Type: application/x-www-form-urlencoded\r\n{headers}");
        self.ask(&format!("POST {path}"), &headers, form.as_bytes()).await
    }

    /// `POST /v1/sign` with the good token.
    pub async fn sign(&mut self, query: &str, headers: &str, body: &[u8]) -> Reply {
        let headers = format!("Signing-Session: {}\r\n{headers}", super::keeper::TOKEN);
        self.ask(&format!("POST /v1/sign{query}"), &headers, body).await
    }

    /// The next answer, interim ones included. HEAD answers have to be read with [`Self::reply_head`].
    pub async fn reply(&mut self) -> io::Result<Reply> {
        let mut reply = self.reply_head().await?;
        if reply.status < 200 || reply.status == 204 {
            return Ok(reply);
        }
        let length: usize = reply.header("content-length").parse().map_err(io::Error::other)?;
        while self.pending.len() < length {
            self.more().await?;
        }
        reply.body = self.pending.drain(..length).collect();
        Ok(reply)
    }

    pub async fn reply_head(&mut self) -> io::Result<Reply> {
        let end = loop {
            match self.pending.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.more().await?,
            }
        };
        let head: Vec<u8> = self.pending.drain(..end).collect();
        let head = String::from_utf8(head).map_err(io::Error::other)?;
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
        let status = status.parse().map_err(io::Error::other)?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        let mut named: HashMap<String, String> = HashMap::new();
        for (name, value) in headers {
            let value = value.to_owned();
            let all = named.entry(name.to_lowercase());
            all.and_modify(|all| *all = format!("{all}\n{value}")).or_insert(value);
        }
        Ok(Reply { status, headers: named, body: Vec::new() })
    }

    /// Whether the peer ends the connection within `wait`; what it still says is skipped.
    pub async fn ends_within(&mut self, wait: Duration) -> bool {
        let ended = async { while self.more().await.is_ok() {} };
        timeout(wait, ended).await.is_ok()
    }

    /// Whether something came in already.
    pub async fn has_said_something(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        let read = timeout(Duration::from_millis(1), self.stream.read(&mut buffer)).await;
        if let Ok(Ok(read)) = read {
            self.pending.extend_from_slice(&buffer[..read]);
        }
        !self.pending.is_empty()
    }

    async fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        match timeout(PATIENCE, self.stream.read(&mut buffer)).await?? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.pending.extend_from_slice(&buffer[..read]);
                Ok(())
            }
        }
    }
}
