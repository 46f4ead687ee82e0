//! A client that says exactly what a test wants said, octet for octet, over TLS or plain.

use super::pki::Pair;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::SupportedProtocolVersion;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Nothing that a test waits for takes longer.
pub const PATIENCE: Duration = Duration::from_secs(60);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// One connection.
pub struct Connection {
    stream: Box<dyn Stream>,
    pending: Vec<u8>,
}

/// An answer in one piece.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// `name=value` of a cookie that the answer gives.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let mut cookies = self.header("set-cookie").lines();
        let cookie = cookies.find(|cookie| cookie.starts_with(&format!("{name}=")))?;
        cookie.split(';').next().map(str::to_owned)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self}"))
    }

    /// The stable code of a problem; "" when the answer is none.
    pub fn code(&self) -> String {
        if self.header("content-type") != "application/problem+json" {
            return String::new();
        }
        self.json()["code"].as_str().expect("a code").to_owned()
    }

    pub fn request_id(&self) -> String {
        self.header("request-id").to_owned()
    }

    /// Fails unless the answer is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Fails unless the answer is this problem, complete.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self}");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"].as_str(), Some(self.header("request-id")));
        assert!(problem["text"]["en"].is_string() && problem["text"]["ja"].is_string(), "{self}");
        self
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.text();
        write!(f, "{} {}", self.status, text.chars().take(2_000).collect::<String>())
    }
}

/// A TLS client configuration: whom it trusts, who it is, what it speaks. It never resumes.
pub fn tls_config(
    server_ca: &Path,
    identity: Option<&Pair>,
    version: &'static SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(server_ca).expect("the server CA")).expect("a CA");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[version])
        .expect("a TLS version")
        .with_root_certificates(roots);
    let mut config = match identity {
        // Not `with_client_auth_cert`: webpki would refuse to send a card's certificate, whose policies are critical.
        Some(pair) => {
            let key = provider.key_provider.load_private_key(pair.private_key()).expect("a key");
            let certified = rustls::sign::CertifiedKey::new(pair.chain(), key);
            builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
                certified,
            )))
        }
        None => builder.with_no_client_auth(),
    };
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

impl Connection {
    /// Over TLS, to the host name `localhost`.
    ///
    /// # Errors
    /// Refused, reset, or the handshake failed. With TLS 1.3 a refused client certificate shows at the first read.
    pub async fn tls(to: SocketAddr, config: Arc<ClientConfig>) -> io::Result<Self> {
        let socket = TcpStream::connect(to).await?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").expect("a name");
        let connect = TlsConnector::from(config).connect(name, socket);
        let stream = timeout(PATIENCE, connect).await??;
        Ok(Self { stream: Box::new(stream), pending: Vec::new() })
    }

    /// Without TLS.
    ///
    /// # Errors
    /// Refused.
    pub async fn plain(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        Ok(Self { stream: Box::new(stream), pending: Vec::new() })
    }

    /// Sends octets as they are.
    ///
    /// # Errors
    /// The peer has gone.
    pub async fn send(&mut self, octets: impl AsRef<[u8]>) -> io::Result<()> {
        let sent = async {
            self.stream.write_all(octets.as_ref()).await?;
            self.stream.flush().await
        };
        timeout(PATIENCE, sent).await?
    }

    /// A request and its answer; a failure of the connection is an error.
    ///
    /// # Errors
    /// The connection failed before the answer was complete.
    pub async fn try_ask(&mut self, line: &str, headers: &str, body: &[u8]) -> io::Result<Reply> {
        let bodyless = body.is_empty() && !line.starts_with("POST") && !line.starts_with("PATCH");
        let length = match bodyless {
            true => String::new(),
            false => format!("Content-Length: {}\r\n", body.len()),
        };
        let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n");
        self.send(head).await?;
        // A peer that answers and closes before it has read the body is still heard.
        match self.send(body).await {
            Ok(()) => self.reply().await,
            Err(error) => self.reply().await.map_err(|_| error),
        }
    }

    /// A request and its answer.
    pub async fn ask(&mut self, line: &str, headers: &str, body: &[u8]) -> Reply {
        match self.try_ask(line, headers, body).await {
            Ok(reply) => reply,
            Err(error) => panic!("{line}: no answer: {error}"),
        }
    }

    pub async fn get(&mut self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), "", b"").await
    }

    pub async fn post_json(&mut self, path: &str, json: &serde_json::Value) -> Reply {
        let body = json.to_string();
        self.ask(&format!("POST {path}"), "Content-Type: application/json\r\n", body.as_bytes())
            .await
    }

    /// The next final answer.
    ///
    /// # Errors
    /// The connection ended before it was complete.
    pub async fn reply(&mut self) -> io::Result<Reply> {
        let mut reply = self.reply_head().await?;
        while reply.status < 200 {
            reply = self.reply_head().await?;
        }
        if reply.status == 204 {
            return Ok(reply);
        }
        let length: usize = reply.header("content-length").parse().map_err(io::Error::other)?;
        while self.pending.len() < length {
            self.more().await?;
        }
        reply.body = self.pending.drain(..length).collect();
        Ok(reply)
    }

    async fn reply_head(&mut self) -> io::Result<Reply> {
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
        let headers = lines.filter_map(|line| line.split_once(':'));
        let mut named: HashMap<String, String> = HashMap::new();
        for (name, value) in headers {
            let value = value.trim().to_owned();
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

    async fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        match timeout(PATIENCE, self.stream.read(&mut buffer)).await?? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.pending.extend_from_slice(buffer.get(..read).unwrap_or_default());
                Ok(())
            }
        }
    }
}
