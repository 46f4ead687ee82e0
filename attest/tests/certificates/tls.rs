//! Real TLS 1.2 handshakes in memory, with a server that keeps what the client's CertificateVerify signs.

use crate::pki::NOW;
use attest::clock::UnixSeconds;
use attest::evidence::CardEvidence;
use attest::evidence::CardKind;
use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::DigitallySignedStruct;
use rustls::DistinguishedName;
use rustls::Error;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::SignatureScheme;
use rustls::SupportedProtocolVersion;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::UnixTime;
use rustls::server::danger::ClientCertVerified;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use std::sync::Mutex;

/// The server's name in every handshake here.
pub const HOST: &str = "card.hospital.example";

/// A server certificate with its key, PKCS#8.
#[derive(Clone)]
pub struct Server {
    pub der: Vec<u8>,
    pub key: Vec<u8>,
}

impl Server {
    pub fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![HOST.to_owned()]).unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { der, key: key.serialize_der() }
    }
}

/// What a handshake is made with.
pub struct Handshake {
    pub server: Server,
    /// Leaf first.
    pub chain: Vec<Vec<u8>>,
    /// PKCS#8.
    pub key: Vec<u8>,
    pub schemes: Vec<SignatureScheme>,
    pub client_versions: Vec<&'static SupportedProtocolVersion>,
}

impl Handshake {
    pub fn new(server: &Server, chain: Vec<Vec<u8>>, key: Vec<u8>) -> Self {
        Self {
            server: server.clone(),
            chain,
            key,
            schemes: default_provider().signature_verification_algorithms.supported_schemes(),
            client_versions: vec![&rustls::version::TLS12, &rustls::version::TLS13],
        }
    }

    /// Makes the connection and returns what the server saw.
    pub fn run(&self) -> CardEvidence {
        let capture = Arc::new(Capture::new(self.schemes.clone()));
        let mut server = ServerConnection::new(server_config(&self.server, &capture)).unwrap();
        let mut client =
            ClientConnection::new(Arc::new(self.client()), HOST.try_into().unwrap()).unwrap();
        for _ in 0..20 {
            pass(&mut client, &mut server);
            pass(&mut server, &mut client);
        }
        assert!(!client.is_handshaking() && !server.is_handshaking(), "handshake unfinished");
        let leaf = server.peer_certificates().unwrap()[0].to_vec();
        capture.evidence(leaf, NOW)
    }

    fn client(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.server.der.clone())).unwrap();
        let chain = self.chain.iter().cloned().map(CertificateDer::from).collect();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.clone()));
        let key = default_provider().key_provider.load_private_key(key).unwrap();
        ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&self.client_versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(Card(Arc::new(CertifiedKey::new(chain, key)))))
    }
}

/// A card as the client's middleware has it. rustls' own resolver refuses certificates whose policies are critical.
#[derive(Debug)]
struct Card(Arc<CertifiedKey>);

impl ResolvesClientCert for Card {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// TLS 1.2 only, without resumption, as the card listener has it.
pub fn server_config(server: &Server, capture: &Arc<Capture>) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(server.key.clone()));
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_client_cert_verifier(Arc::clone(capture) as _)
        .with_single_cert(vec![CertificateDer::from(server.der.clone())], key)
        .unwrap();
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Arc::new(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

fn pass<F, T>(from: &mut F, to: &mut T)
where
    F: std::ops::DerefMut<Target = rustls::ConnectionCommon<<F as Side>::Data>> + Side,
    T: std::ops::DerefMut<Target = rustls::ConnectionCommon<<T as Side>::Data>> + Side,
{
    let mut octets = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut octets).unwrap();
    }
    let mut rest = octets.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest).unwrap();
        to.process_new_packets().unwrap();
    }
}

/// Names the private data type of each side of a connection.
pub trait Side {
    type Data;
}

impl Side for ClientConnection {
    type Data = rustls::client::ClientConnectionData;
}

impl Side for ServerConnection {
    type Data = rustls::server::ServerConnectionData;
}

/// Keeps what CertificateVerify signs; whether it does so is for the evidence to say. rustls' own check refuses certificates
/// whose policies are critical, which all of HPKI's are.
#[derive(Debug)]
pub struct Capture {
    schemes: Vec<SignatureScheme>,
    seen: Mutex<Option<CertificateVerify>>,
}

#[derive(Clone, Debug)]
struct CertificateVerify {
    transcript: Vec<u8>,
    scheme: u16,
    signature: Vec<u8>,
}

impl Capture {
    pub fn new(schemes: Vec<SignatureScheme>) -> Self {
        Self { schemes, seen: Mutex::new(None) }
    }

    pub fn evidence(&self, leaf_der: Vec<u8>, handshake_at: UnixSeconds) -> CardEvidence {
        let CertificateVerify { transcript, scheme, signature } =
            self.seen.lock().unwrap().clone().expect("a CertificateVerify");
        let kind = CardKind::Hpki;
        CardEvidence {
            kind,
            leaf_der,
            transcript,
            signature_scheme: scheme,
            signature,
            handshake_at,
        }
    }
}

impl ClientCertVerifier for Capture {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        _: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        *self.seen.lock().unwrap() = Some(CertificateVerify {
            transcript: message.to_vec(),
            scheme: u16::from(dss.scheme),
            signature: dss.signature().to_vec(),
        });
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 only".to_owned()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
