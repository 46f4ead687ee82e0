//! Each credential's certificate, parsed and pre-encoded once for CMS.

use attest::registry::LiveCredential;
use cades::CmsError;
use cades::SigningCertificate;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;

/// Prepared certificates by credential id.
#[derive(Default)]
pub struct SigningCertificates {
    prepared: RwLock<HashMap<String, Prepared>>,
}

/// One prepared certificate, with the credential it was made from.
#[derive(Clone)]
struct Prepared {
    of: Arc<LiveCredential>,
    certificate: Arc<SigningCertificate>,
}

impl SigningCertificates {
    /// The prepared certificate of `credential`; a replaced credential is prepared anew.
    ///
    /// # Errors
    /// [`CmsError`] when its chain cannot be used in CMS.
    pub fn of(
        &self,
        credential: &Arc<LiveCredential>,
    ) -> Result<Arc<SigningCertificate>, CmsError> {
        let id = &credential.record.credential_id;
        let known = self.prepared.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if let Some(known) = known
            && Arc::ptr_eq(&known.of, credential)
        {
            return Ok(known.certificate);
        }
        let certificate = Arc::new(SigningCertificate::new(&credential.record.chain)?);
        let mut prepared = self.prepared.write().unwrap_or_else(PoisonError::into_inner);
        prepared.insert(
            id.clone(),
            Prepared { of: Arc::clone(credential), certificate: Arc::clone(&certificate) },
        );
        Ok(certificate)
    }
}
