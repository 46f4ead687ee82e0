//! TLS with a card: proves possession of a key and keeps the proof. Whose key it is, the keeper judges.
//!
//! TLS 1.2 only: today's cards sign PKCS #1 v1.5, which TLS 1.3 forbids for CertificateVerify (RFC 8446 §4.2.3).

use super::files;
use super::files::TlsFiles;
use super::identity::Identity;
use super::mutual::refuse_resumption;
use crate::error::FrontError;
use crate::operations::CardHandshake;
use rustls::DigitallySignedStruct;
use rustls::DistinguishedName;
use rustls::Error;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::crypto::verify_tls12_signature;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::UnixTime;
use rustls::server::danger::ClientCertVerified;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::TLS12;
use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The rules of a card listener at one moment.
#[derive(Debug)]
pub(crate) struct CardTls {
    identity: Arc<Identity>,
    hints: Arc<[DistinguishedName]>,
    provider: Arc<CryptoProvider>,
}

/// The proof of one connection, filled in by its handshake.
#[derive(Debug, Default)]
pub(crate) struct Captured(OnceLock<CardHandshake>);

impl Captured {
    /// The proof, when a card was presented and its signature was right.
    pub(crate) fn handshake(&self) -> Option<&CardHandshake> {
        self.0.get()
    }
}

impl CardTls {
    /// Reads the files and sets up TLS.
    pub(crate) fn read(
        files: &TlsFiles,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, FrontError> {
        let hints = files.client_ca.as_deref();
        Ok(Self {
            identity: Arc::new(Identity::read(files, provider)?),
            hints: hints.map(hint_subjects).transpose()?.unwrap_or_default().into(),
            provider: Arc::clone(provider),
        })
    }

    /// Last second of the server certificate, Unix seconds.
    pub(crate) fn not_after(&self) -> u64 {
        self.identity.not_after
    }

    /// TLS for one connection, and where its proof will be found.
    pub(crate) fn for_connection(&self) -> Result<(Arc<ServerConfig>, Arc<Captured>), Error> {
        let captured = Arc::new(Captured::default());
        let verifier = CapturingVerifier {
            hints: Arc::clone(&self.hints),
            provider: Arc::clone(&self.provider),
            captured: Arc::clone(&captured),
        };
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS12])?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::clone(&self.identity) as _);
        refuse_resumption(&mut config);
        // RFC 7627: without the extended master secret a proof could be carried over to another connection.
        config.require_ems = true;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok((Arc::new(config), captured))
    }
}

/// Accepts every certificate that can be read, provided that its key signed this handshake.
#[derive(Debug)]
struct CapturingVerifier {
    hints: Arc<[DistinguishedName]>,
    provider: Arc<CryptoProvider>,
    captured: Arc<Captured>,
}

impl ClientCertVerifier for CapturingVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let valid = verify_tls12_signature(message, cert, dss, algorithms)?;
        let handshake = CardHandshake {
            leaf_der: cert.to_vec(),
            transcript: message.to_vec(),
            signature_scheme: u16::from(dss.scheme),
            signature: dss.signature().to_vec(),
            handshake_at: unix_now(),
        };
        match self.captured.0.set(handshake) {
            Ok(()) => Ok(valid),
            Err(_) => Err(Error::General("a second CertificateVerify in one handshake".into())),
        }
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("the card listener speaks TLS 1.2 only".into()))
    }

    /// What today's cards can do first.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
        ]
    }
}

fn hint_subjects(path: &Path) -> Result<Vec<DistinguishedName>, FrontError> {
    let mut roots = RootCertStore::empty();
    for certificate in files::certificates(path)? {
        roots.add(certificate).map_err(|error| FrontError::ClientCa {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    }
    Ok(roots.subjects())
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
