//! Whether a My Number card's certificate is valid now, asked of whoever may know it.
//!
//! By law only approved verifiers may ask the JPKI itself for lists or answers (公的個人認証法, article 17), so a hospital asks
//! through a provider: lists that it was given, an OCSP responder, or the service of a platform operator. All of them stand
//! behind [`JpkiValidity`]. The caller has checked path, policy and possession before; here it is validity alone. Nothing is
//! soft: what is not known to be good is an error, and errors are sorted by who can act.

mod cached;
mod ocsp;
mod period;
mod responder;

pub use cached::Cached;
pub use cached::MAX_CACHE_SECONDS;
pub use cached::MAX_REMEMBERED;
pub use ocsp::CertIdHash;
pub use ocsp::MAX_ANSWERS;
pub use ocsp::MAX_CERTIFICATES;
pub use ocsp::MAX_RESPONSE_BYTES;
pub use ocsp::OcspFault;
pub use ocsp::OcspQuestion;
pub use ocsp::OcspRules;
pub use ocsp::UNDATED_SECONDS;
pub use period::CLOCK_SKEW_SECONDS;
pub use period::PeriodFault;
pub use period::believed_until;
pub use responder::RevocationOfResponder;

use crate::clock::UnixSeconds;
use crate::judge::Judge;
use crate::path::Certificate;
use crate::records::Fingerprint;
use crate::revocation::CrlFault;
use crate::revocation::NotGood;
use crate::revocation::RevocationReason;
use async_trait::async_trait;
use std::sync::Arc;

/// What a provider says of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It is good.
    Good {
        /// Last second at which this answer may be believed.
        until: UnixSeconds,
        /// The certificate that this one renews, where the provider knows it.
        predecessor: Option<CertificateId>,
    },
    /// It is revoked.
    Revoked {
        /// Since when.
        at: UnixSeconds,
        /// Why.
        reason: RevocationReason,
    },
}

/// What a certificate is known by over all its issuer's generations, which share one name: the issuer's key and the number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateId {
    /// SHA-256 of the issuer's SubjectPublicKeyInfo.
    pub issuer_key: Fingerprint,
    /// The serial number: content octets of its INTEGER in DER.
    pub serial: Vec<u8>,
}

impl CertificateId {
    /// Of a certificate that `issuer` signed.
    pub fn of(certificate: &Certificate, issuer: &Certificate) -> Self {
        let issuer_key = Fingerprint::of(issuer.spki_der());
        Self { issuer_key, serial: certificate.serial().to_vec() }
    }

    /// From the hexadecimal text of both: 64 digits in lower case, and what DER has as the content of a positive INTEGER
    /// of at most 20 octets.
    pub fn from_hex(issuer_key: &str, serial: &str) -> Option<Self> {
        let is_lower = |text: &str| !text.bytes().any(|digit| digit.is_ascii_uppercase());
        let is_key = hex::decode(issuer_key).is_ok_and(|key| key.len() == 32);
        let octets = hex::decode(serial).ok()?;
        let number = match octets.as_slice() {
            [0, rest @ ..] if rest.first().is_some_and(|first| first & 0x80 != 0) => rest,
            [first, ..] if first & 0x80 == 0 && *first != 0 => &octets,
            _ => return None,
        };
        let is_id = is_key && is_lower(issuer_key) && is_lower(serial) && number.len() <= 20;
        is_id.then(|| Self { issuer_key: Fingerprint(issuer_key.to_owned()), serial: octets })
    }
}

/// Why it is not known whether a certificate is good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidityError {
    /// The provider does not know the certificate. Its holder can act: another card, or the municipality.
    #[error("the provider does not know the certificate")]
    Unknown,
    /// Nothing can be learned now; asking again later may help.
    #[error("the provider cannot say now: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
    },
    /// An answer came that must not be believed. The operator can act, with the provider.
    #[error("the provider's answer cannot be used: {reason}")]
    Unusable {
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody is configured who could be asked. The operator can act.
    #[error("no provider is configured that could say whether the certificate is valid")]
    NoProvider,
}

impl ValidityError {
    /// Stable word for logs, audit records and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "validity_unknown",
            Self::Unavailable { .. } => "validity_unavailable",
            Self::Unusable { .. } => "validity_unusable",
            Self::NoProvider => "validity_no_provider",
        }
    }
}

impl From<CrlFault> for ValidityError {
    /// A newer list cures what is missing or old; nothing but another list cures the rest.
    fn from(fault: CrlFault) -> Self {
        let reason = fault.to_string();
        match fault {
            CrlFault::Missing { .. }
            | CrlFault::Stale { .. }
            | CrlFault::Future { .. }
            | CrlFault::DeltaMissing { .. } => Self::Unavailable { reason },
            CrlFault::OtherKey { .. }
            | CrlFault::KeyUsage { .. }
            | CrlFault::OutOfScope { .. }
            | CrlFault::ReasonsNotCovered { .. }
            | CrlFault::DistributionPoints => Self::Unusable { reason },
        }
    }
}

/// Says whether certificates of My Number cards are valid.
#[async_trait]
pub trait JpkiValidity: Send + Sync {
    /// Whether `certificate`, which the key of `issuer` signed, is good at `now`.
    ///
    /// # Errors
    /// [`ValidityError`]; a certificate is good after [`Validity::Good`] and never else.
    async fn check(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        now: UnixSeconds,
    ) -> Result<Validity, ValidityError>;

    /// Whether an answer can be had at all about certificates of `issuer`: asks about the issuer's own certificate, which
    /// is nobody's, and is content with any answer.
    ///
    /// # Errors
    /// [`ValidityError`] when no answer came that could be used.
    async fn probe(&self, issuer: &Certificate, now: UnixSeconds) -> Result<(), ValidityError> {
        match self.check(issuer, issuer, now).await {
            Ok(_) | Err(ValidityError::Unknown) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl<P: JpkiValidity + ?Sized> JpkiValidity for Arc<P> {
    async fn check(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        now: UnixSeconds,
    ) -> Result<Validity, ValidityError> {
        self.as_ref().check(certificate, issuer, now).await
    }

    async fn probe(&self, issuer: &Certificate, now: UnixSeconds) -> Result<(), ValidityError> {
        self.as_ref().probe(issuer, now).await
    }
}

/// Nobody to ask: every certificate is refused, with what to do.
pub struct NoProvider;

#[async_trait]
impl JpkiValidity for NoProvider {
    async fn check(
        &self,
        _certificate: &Certificate,
        _issuer: &Certificate,
        _now: UnixSeconds,
    ) -> Result<Validity, ValidityError> {
        Err(ValidityError::NoProvider)
    }
}

/// The judge's own revocation lists. They come by configured target; a certificate's distribution points only say which of
/// them speak of it. Lists know nothing of predecessors.
pub struct CrlValidity(Arc<Judge>);

impl CrlValidity {
    /// By the lists that `judge` has accepted and will accept.
    pub fn new(judge: Arc<Judge>) -> Self {
        Self(judge)
    }
}

#[async_trait]
impl JpkiValidity for CrlValidity {
    async fn check(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        now: UnixSeconds,
    ) -> Result<Validity, ValidityError> {
        match self.0.revocation(certificate, issuer, now) {
            Ok(until) => Ok(Validity::Good { until, predecessor: None }),
            Err(NotGood::Revoked { reason, at }) => Ok(Validity::Revoked { at, reason }),
            Err(NotGood::Unknown(fault)) => Err(fault.into()),
        }
    }

    /// Lists of parts of a CA do not cover its own certificate, so the lists themselves are looked at.
    async fn probe(&self, issuer: &Certificate, now: UnixSeconds) -> Result<(), ValidityError> {
        let key = Fingerprint::of(issuer.spki_der());
        let lists = self.0.crl_status(now);
        match lists.iter().any(|list| list.issuer_key == key && !list.is_stale) {
            true => Ok(()),
            false => Err(CrlFault::Missing { issuer: issuer.subject_text() }.into()),
        }
    }
}
