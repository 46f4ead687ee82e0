//! An OCSP responder that was opened to this hospital.

use super::unreachable;
use crate::fetch::Fetcher;
use crate::fetch::Media;
use async_trait::async_trait;
use attest::clock::UnixSeconds;
use attest::judge::Judge;
use attest::path::Certificate;
use attest::validity::JpkiValidity;
use attest::validity::MAX_RESPONSE_BYTES;
use attest::validity::OcspQuestion;
use attest::validity::OcspRules;
use attest::validity::Validity;
use attest::validity::ValidityError;
use std::sync::Arc;

/// RFC 6960 §A.1.
pub const MEDIA: Media = Media {
    question: "application/ocsp-request",
    answer: "application/ocsp-response",
    max_answer_bytes: MAX_RESPONSE_BYTES,
};

/// Asks the responder.
pub struct OcspValidity {
    /// What reaches it.
    pub fetcher: Arc<Fetcher>,
    /// Its target id.
    pub target_id: &'static str,
    /// How it is asked.
    pub rules: OcspRules,
    /// Whose lists say whether a responder's own certificate is revoked.
    pub judge: Arc<Judge>,
}

#[async_trait]
impl JpkiValidity for OcspValidity {
    async fn check(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        now: UnixSeconds,
    ) -> Result<Validity, ValidityError> {
        let question = OcspQuestion::new(certificate, issuer, self.rules)?;
        let response = self.fetcher.ask(self.target_id, question.to_der()?).await;
        let response = response.map_err(unreachable)?;
        let revocation = |responder: &Certificate| self.judge.revocation(responder, issuer, now);
        Ok(question.read(&response, now, &revocation)?)
    }
}
