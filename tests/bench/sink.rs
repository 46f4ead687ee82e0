//! A bare mTLS listener that reads a request and says 200: what receiving a document costs whoever does it.

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use std::io::BufRead;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use tests::support::pki::Pki;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

/// A running sink; ended when dropped.
pub struct Sink {
    child: Child,
    pub address: SocketAddr,
}

impl Sink {
    pub fn start(pki: &Pki) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .arg("child-sink")
            .arg(&pki.server.certificate)
            .arg(&pki.server.key)
            .arg(&pki.clients.pem);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("a child");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        std::io::BufReader::new(stdout).read_line(&mut line).expect("its address");
        Self { child, address: line.trim().parse().expect("an address") }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The child: certificate, key, client CA. Prints its address and serves until it is killed.
pub fn child(arguments: &[String]) {
    let [certificate, key, client_ca] = arguments else { panic!("three arguments") };
    let config = server_config(Path::new(certificate), Path::new(key), Path::new(client_ca));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(serve(TlsAcceptor::from(Arc::new(config))));
}

fn server_config(certificate: &Path, key: &Path, client_ca: &Path) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(client_ca).expect("the client CA")).expect("a CA");
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(
            vec![CertificateDer::from_pem_file(certificate).expect("the certificate")],
            PrivateKeyDer::from_pem_file(key).expect("the key"),
        )
        .expect("an identity");
    config.send_tls13_tickets = 0;
    config
}

async fn serve(acceptor: TlsAcceptor) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    loop {
        let (socket, _) = listener.accept().await.expect("a connection");
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let _ = socket.set_nodelay(true);
            if let Ok(stream) = acceptor.accept(socket).await {
                let _ = swallow(stream).await;
            }
        });
    }
}

async fn swallow(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut have = 0;
    loop {
        // A head, then as many octets as it announces.
        let head = loop {
            match buffer[..have].windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => match stream.read(&mut buffer[have..]).await? {
                    0 => return Ok(()),
                    read => have += read,
                },
            }
        };
        let text = String::from_utf8_lossy(&buffer[..head]);
        let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let mut left = length.and_then(|length| length.parse::<usize>().ok()).unwrap_or(0);
        left -= left.min(have - head);
        while left > 0 {
            match stream.read(&mut buffer).await? {
                0 => return Ok(()),
                read => left -= left.min(read),
            }
        }
        have = 0;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await?;
        stream.flush().await?;
    }
}
