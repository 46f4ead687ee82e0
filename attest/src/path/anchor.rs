//! Trust anchors: self-signed CA certificates and nothing else.
//!
//! An end entity's or an intermediate's certificate as an anchor would be trusted without policy and revocation checks.

use super::certificate::Certificate;
use super::certificate::CertificateFault;
use std::sync::Arc;

/// A self-signed CA certificate that is trusted.
#[derive(Clone, Debug)]
pub struct TrustAnchor(Arc<Certificate>);

impl TrustAnchor {
    /// Parses and checks an anchor.
    ///
    /// # Errors
    /// [`CertificateFault::NotAnAnchor`] unless it is a CA (basicConstraints, keyCertSign), issued to itself and signed by
    /// its own key.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateFault> {
        let certificate = Certificate::from_der(der)?;
        if !certificate.is_ca() {
            return Err(CertificateFault::NotAnAnchor("basicConstraints does not say CA"));
        }
        if certificate.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
            return Err(CertificateFault::NotAnAnchor("keyUsage does not allow keyCertSign"));
        }
        if !certificate.is_self_issued() {
            return Err(CertificateFault::NotAnAnchor("subject and issuer differ"));
        }
        if certificate.verify_signed_by(&certificate).is_err() {
            return Err(CertificateFault::NotAnAnchor("its signature is not one of its own key"));
        }
        Ok(Self(Arc::new(certificate)))
    }

    /// The certificate.
    pub fn certificate(&self) -> &Arc<Certificate> {
        &self.0
    }
}
