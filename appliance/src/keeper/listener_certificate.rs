//! The card listener's own certificate, as the keeper reads it from its file: what a card signs must name it.

use attest::records::Fingerprint;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;

/// Certificates remembered: the present one and those before it, for handshakes just before a replacement.
const REMEMBERED: usize = 3;

/// See the module.
pub struct ListenerCertificate {
    path: PathBuf,
    seen: Mutex<Vec<Fingerprint>>,
}

impl ListenerCertificate {
    /// The certificate in the file at `path`, PEM.
    pub fn new(path: PathBuf) -> Self {
        let certificate = Self { path, seen: Mutex::default() };
        certificate.fingerprints();
        certificate
    }

    /// The certificate that the file holds now, and the few before it. Sign-ins are rare, so the file is read each time.
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match CertificateDer::from_pem_file(&self.path) {
            Ok(leaf) => {
                let now = Fingerprint::of(&leaf);
                if seen.first() != Some(&now) {
                    seen.insert(0, now);
                    seen.truncate(REMEMBERED);
                }
            }
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "the listener's certificate cannot be read")
            }
        }
        seen.clone()
    }
}
