//! The appliance's own certificate on a listener.

use super::files;
use super::files::TlsFiles;
use crate::error::FrontError;
use rustls::crypto::CryptoProvider;
use rustls::server::ClientHello;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// Certificate chain and key of a listener: checked to belong together.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    key: Arc<CertifiedKey>,
    /// Last second of its validity, Unix seconds.
    pub(crate) not_after: u64,
}

impl Identity {
    /// Reads and checks the files.
    pub(crate) fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<Self, FrontError> {
        let chain = files::certificates(&files.certificate)?;
        let not_after = chain.first().map(|leaf| not_after(leaf)).transpose().map_err(|error| {
            FrontError::Certificate { path: files.certificate.clone(), reason: error.to_string() }
        })?;
        let key = CertifiedKey::from_der(chain, files::private_key(&files.key)?, provider)
            .map_err(|source| FrontError::Key { path: files.key.clone(), source })?;
        Ok(Self { key: Arc::new(key), not_after: not_after.unwrap_or_default() })
    }
}

/// One identity whatever name is asked for: a wrong name is answered with 421, readable, and not by a broken handshake.
impl ResolvesServerCert for Identity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key))
    }
}

fn not_after(leaf: &[u8]) -> Result<u64, x509_cert::der::Error> {
    let leaf = Certificate::from_der(leaf)?;
    Ok(leaf.tbs_certificate().validity().not_after.to_unix_duration().as_secs())
}
