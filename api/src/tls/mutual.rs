//! Mutual TLS of programs and operators: the client certificate is required and checked by the hospital's own CA.

use super::files;
use super::files::TlsFiles;
use super::identity::Identity;
use crate::error::FrontError;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::UnixTime;
use rustls::server::NoServerSessionStorage;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::TLS12;
use rustls::version::TLS13;
use std::path::Path;
use std::sync::Arc;

/// The rules of a listener with mutual TLS at one moment: replaced as a whole.
#[derive(Debug)]
pub(crate) struct MutualTls {
    pub(crate) config: Arc<ServerConfig>,
    verifier: Arc<dyn ClientCertVerifier>,
    /// Last second of the server certificate, Unix seconds.
    pub(crate) not_after: u64,
}

/// What differs between listeners with mutual TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MutualRules {
    pub(crate) allow_tls12: bool,
    pub(crate) allow_http2: bool,
}

impl MutualTls {
    /// Reads the files and sets up TLS.
    pub(crate) fn read(
        files: &TlsFiles,
        rules: MutualRules,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, FrontError> {
        let identity = Identity::read(files, provider)?;
        let verifier = client_verifier(files, provider)?;
        let versions: &[_] = if rules.allow_tls12 { &[&TLS13, &TLS12] } else { &[&TLS13] };
        let not_after = identity.not_after;
        let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(versions)?
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_cert_resolver(Arc::new(identity));
        refuse_resumption(&mut config);
        config.require_ems = true;
        config.alpn_protocols = alpn(rules.allow_http2);
        Ok(Self { config: Arc::new(config), verifier, not_after })
    }

    /// Judges a certificate that was accepted before by the rules and the time of now.
    pub(crate) fn still_accepts(&self, chain: &[CertificateDer<'_>]) -> bool {
        chain.split_first().is_some_and(|(leaf, issuers)| {
            self.verifier.verify_client_cert(leaf, issuers, UnixTime::now()).is_ok()
        })
    }
}

/// No session is ever resumed: resumption skips the verifier, and with it the revocation of a certificate. Without
/// resumption there is no early data either.
pub(super) fn refuse_resumption(config: &mut ServerConfig) {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
}

fn client_verifier(
    files: &TlsFiles,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, FrontError> {
    let client_ca = files.client_ca.as_deref().unwrap_or(Path::new(""));
    let mut roots = RootCertStore::empty();
    for certificate in files::certificates(client_ca)? {
        roots.add(certificate).map_err(|error| unusable(client_ca, &error))?;
    }
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    for path in &files.client_crls {
        builder = builder.with_crls(files::crls(path)?);
    }
    if !files.client_crls.is_empty() {
        builder = builder.enforce_revocation_expiration();
    }
    builder.build().map_err(|error| unusable(client_ca, &error))
}

fn unusable(path: &Path, reason: &dyn std::fmt::Display) -> FrontError {
    FrontError::ClientCa { path: path.to_owned(), reason: reason.to_string() }
}

pub(super) fn alpn(allow_http2: bool) -> Vec<Vec<u8>> {
    let all: [&[u8]; 2] = [b"h2", b"http/1.1"];
    all.iter().skip(usize::from(!allow_http2)).map(|name| name.to_vec()).collect()
}
