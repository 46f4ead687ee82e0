//! A platform operator's service, by the contract of `JPKI-PROVIDER.md`.

use super::contract;
use super::unreachable;
use crate::fetch::Fetcher;
use crate::fetch::Media;
use async_trait::async_trait;
use attest::clock::UnixSeconds;
use attest::path::Certificate;
use attest::validity::CertificateId;
use attest::validity::JpkiValidity;
use attest::validity::Validity;
use attest::validity::ValidityError;
use std::sync::Arc;

/// JSON in both directions.
pub const MEDIA: Media = Media {
    question: "application/json",
    answer: "application/json",
    max_answer_bytes: contract::MAX_ANSWER_BYTES,
};

/// Asks the service.
pub struct HttpValidity {
    /// What reaches it.
    pub fetcher: Arc<Fetcher>,
    /// Its target id.
    pub target_id: &'static str,
    /// Seconds after `this_update` at which an answer is too old.
    pub max_age_seconds: u64,
}

#[async_trait]
impl JpkiValidity for HttpValidity {
    async fn check(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        now: UnixSeconds,
    ) -> Result<Validity, ValidityError> {
        let question = contract::question(certificate, issuer);
        let answer = self.fetcher.ask(self.target_id, question).await.map_err(unreachable)?;
        let (asked, digest) = (CertificateId::of(certificate, issuer), certificate.fingerprint());
        Ok(contract::read(&answer, &asked, digest, self.max_age_seconds, now)?)
    }
}
