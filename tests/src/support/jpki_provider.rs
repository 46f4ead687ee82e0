//! A provider of validity on loopback: a server that answers one POST a connection, as a test tells it to.

use super::pki::Pair;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::StreamOwned;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest head of a request.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Longest wait for a peer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came in.
#[derive(Clone, Debug)]
pub struct Question {
    /// Request line and headers.
    pub head: String,
    pub body: Vec<u8>,
    /// The client's certificate, over TLS.
    pub client: Option<CertificateDer<'static>>,
}

/// What goes back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: Vec<u8>,
    /// How long it takes.
    pub after: Duration,
}

impl Answer {
    pub fn json(value: &serde_json::Value) -> Self {
        let body = value.to_string().into_bytes();
        Self {
            status: 200,
            content_type: "application/json".to_owned(),
            body,
            after: Duration::ZERO,
        }
    }

    pub fn status(status: u16) -> Self {
        Self { status, ..Self::json(&serde_json::json!({})) }
    }
}

type Answers = Box<dyn Fn(&Question) -> Answer + Send + Sync>;

struct Shared {
    answers: Answers,
    tls: Option<Arc<ServerConfig>>,
    questions: Mutex<Vec<Question>>,
    now: AtomicUsize,
    most: AtomicUsize,
    is_over: AtomicBool,
}

/// The server; it ends when it is dropped.
pub struct Provider {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

impl Provider {
    /// Over plain HTTP.
    pub fn plain(answers: impl Fn(&Question) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(None, Box::new(answers))
    }

    /// Over TLS, as `server`, for clients whose certificate comes from `client_ca`, PEM.
    pub fn tls(
        server: &Pair,
        client_ca: &Path,
        answers: impl Fn(&Question) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(client_ca).expect("the clients' CA");
        roots.add(ca).expect("a CA");
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), crypto.clone());
        let config = ServerConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_client_cert_verifier(clients.build().expect("a verifier"))
            .with_single_cert(server.chain(), server.private_key())
            .expect("a server certificate");
        Self::start(Some(Arc::new(config)), Box::new(answers))
    }

    fn start(tls: Option<Arc<ServerConfig>>, answers: Answers) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            answers,
            tls,
            questions: Mutex::default(),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        });
        let for_all = shared.clone();
        let listening = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if for_all.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let for_one = for_all.clone();
                // A peer that breaks off is part of the tests.
                std::thread::spawn(move || for_one.serve(stream).ok());
            }
        });
        Self { address, shared, listening: Some(listening) }
    }

    /// Every question so far.
    pub fn questions(&self) -> Vec<Question> {
        self.shared.questions.lock().expect("no panic").clone()
    }

    /// Most questions that were open side by side.
    pub fn most_at_once(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // One more connection, so that it looks.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(listening) = self.listening.take()
            && woken
        {
            listening.join().ok();
        }
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let Some(config) = &self.tls else {
            return self.exchange(stream, |_| None);
        };
        let tls = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
        self.exchange(StreamOwned::new(tls, stream), |stream| {
            stream.conn.peer_certificates()?.first().map(|leaf| leaf.clone().into_owned())
        })
    }

    fn exchange<S: Read + Write>(
        &self,
        mut stream: S,
        client: impl Fn(&S) -> Option<CertificateDer<'static>>,
    ) -> io::Result<()> {
        let (head, body) = read(&mut stream)?;
        let question = Question { head, body, client: client(&stream) };
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.questions.lock().expect("no panic").push(question.clone());
        let answer = (self.answers)(&question);
        std::thread::sleep(answer.after);
        self.now.fetch_sub(1, Ordering::SeqCst);
        let head = format!(
            "HTTP/1.1 {} x\r\ncontent-type: {}\r\ncontent-length: {}\r\nlocation: /elsewhere\r\n\
             connection: close\r\n\r\n",
            answer.status,
            answer.content_type,
            answer.body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(&answer.body)?;
        stream.flush()
    }
}

fn read(stream: &mut impl Read) -> io::Result<(String, Vec<u8>)> {
    let mut octets = Vec::new();
    let mut one = [0];
    while !octets.ends_with(b"\r\n\r\n") && octets.len() < MAX_HEAD_BYTES {
        stream.read_exact(&mut one)?;
        octets.extend_from_slice(&one);
    }
    let head = String::from_utf8_lossy(&octets).into_owned();
    let length = head.to_lowercase();
    let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    stream.read_exact(&mut body)?;
    Ok((head, body))
}
