//! TLS with a card: proves possession of a key and keeps the proof. Whose key it is, the keeper judges.
//!
//! TLS 1.2 only: today's cards sign PKCS #1 v1.5, which TLS 1.3 forbids for CertificateVerify (RFC 8446 §4.2.3).

use super::files;
use super::files::TlsFiles;
use super::identity::Identity;
use super::mutual::refuse_resumption;
use super::possession;
use crate::error::FrontError;
use crate::operations::CardHandshake;
use attest::evidence::CardKind;
use rustls::DigitallySignedStruct;
use rustls::DistinguishedName;
use rustls::Error;
use rustls::ServerConfig;
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::UnixTime;
use rustls::server::danger::ClientCertVerified;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::TLS12;
use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::SystemTime;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::Encode;

/// The rules of a card listener at one moment.
#[derive(Debug)]
pub(crate) struct CardTls {
    kind: CardKind,
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
        kind: CardKind,
        files: &TlsFiles,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, FrontError> {
        let hints = files.client_ca.as_deref();
        Ok(Self {
            kind,
            identity: Arc::new(Identity::read(files, provider)?),
            hints: hints.map(hint_subjects).transpose()?.unwrap_or_default().into(),
            provider: Arc::clone(provider),
        })
    }

    /// The kind of card that is asked for.
    pub(crate) fn kind(&self) -> CardKind {
        self.kind
    }

    /// Last second of the server certificate, Unix seconds.
    pub(crate) fn not_after(&self) -> u64 {
        self.identity.not_after
    }

    /// TLS for one connection, and where its proof will be found.
    pub(crate) fn for_connection(&self) -> Result<(Arc<ServerConfig>, Arc<Captured>), Error> {
        let captured = Arc::new(Captured::default());
        let (kind, hints) = (self.kind, Arc::clone(&self.hints));
        let verifier = CapturingVerifier { kind, hints, captured: Arc::clone(&captured) };
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
    kind: CardKind,
    hints: Arc<[DistinguishedName]>,
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
        possession::verify(message, cert, dss.scheme, dss.signature())?;
        let handshake = CardHandshake {
            kind: self.kind,
            leaf_der: cert.to_vec(),
            transcript: message.to_vec(),
            signature_scheme: u16::from(dss.scheme),
            signature: dss.signature().to_vec(),
            handshake_at: unix_now(),
        };
        match self.captured.0.set(handshake) {
            Ok(()) => Ok(HandshakeSignatureValid::assertion()),
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

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        possession::SCHEMES.to_vec()
    }
}

/// The subjects of CA certificates, as they stand in them: webpki would refuse CAs with critical policies.
fn hint_subjects(path: &Path) -> Result<Vec<DistinguishedName>, FrontError> {
    let subject = |certificate: &CertificateDer<'_>| {
        Certificate::from_der(certificate)?.tbs_certificate().subject().to_der()
    };
    let subjects = files::certificates(path)?;
    let subjects = subjects.iter().map(|certificate| subject(certificate).map(Into::into));
    subjects.collect::<Result<_, _>>().map_err(|error| FrontError::Certificate {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::possession::vectors;
    use rustls::pki_types::pem::PemObject;

    #[test]
    fn real_card_authorities_can_be_hinted_at() {
        let Some(folder) = vectors("hpki") else { return };
        let folder_of_pem = tempfile::tempdir().unwrap();
        for name in ["ca-medis-auth.der", "ca-medis-sign.der", "ca-jma-sign.der"] {
            let der = std::fs::read(folder.join(name)).unwrap();
            let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &der);
            let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
            assert!(CertificateDer::from_pem_slice(pem.as_bytes()).is_ok());
            let file = folder_of_pem.path().join(name);
            std::fs::write(&file, pem).unwrap();
            let subjects = hint_subjects(&file).unwrap();
            assert_eq!(subjects.len(), 1);
            assert!(
                der.windows(subjects[0].as_ref().len()).any(|part| part == subjects[0].as_ref())
            );
        }
    }
}
