//! Why a certification path is refused: one variant, one stable code word, one sentence.

use super::certificate::CertificateFault;
use super::signature::SignatureFault;
use crate::clock::UnixSeconds;
use crate::revocation::CrlFault;
use crate::revocation::RevocationReason;
use std::fmt;

/// Which certificate of a path is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The trust anchor.
    Anchor,
    /// A CA between anchor and leaf, by its printable subject.
    Ca(String),
    /// The certificate that is judged.
    Leaf,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anchor => f.write_str("the trust anchor"),
            Self::Ca(subject) => write!(f, "the CA certificate of {subject}"),
            Self::Leaf => f.write_str("the certificate"),
        }
    }
}

/// Why a path is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The certificate could not be read.
    #[error(transparent)]
    Malformed(#[from] CertificateFault),
    /// A certificate of the path contains an extension that cannot be read.
    #[error("{0} contains an extension that cannot be read")]
    MalformedExtension(Place),
    /// A certificate breaks a rule of RFC 5280 §4 for issuers.
    #[error("{place} breaks a rule of RFC 5280: {rule}")]
    Profile {
        /// Which.
        place: Place,
        /// What it should be.
        rule: &'static str,
    },
    /// The key of the certificate is the key of a trust anchor.
    #[error("the certificate has the key of a trust anchor")]
    TargetIsAnchor,
    /// No CA known has the issuer's name (and key identifier, where one is given).
    #[error("no certificate of the issuer {issuer} is known")]
    UnknownIssuer {
        /// Printable name of the issuer that was looked for.
        issuer: String,
    },
    /// No key of the issuer's made the signature.
    #[error("{place}: {fault}")]
    Signature {
        /// Whose signature.
        place: Place,
        /// What is wrong with it.
        fault: SignatureFault,
    },
    /// A key is of a kind or length that is not accepted.
    #[error("the key of {0} is too short or of a kind that is not accepted")]
    Key(Place),
    /// Validity has not begun.
    #[error("{place} is not valid before {}", .not_before.0)]
    NotYetValid {
        /// Which.
        place: Place,
        /// Its first second.
        not_before: UnixSeconds,
    },
    /// Validity is over.
    #[error("{place} expired after {}", .not_after.0)]
    Expired {
        /// Which.
        place: Place,
        /// Its last second.
        not_after: UnixSeconds,
    },
    /// An issuer is no CA.
    #[error("{0} issued certificates but is no CA")]
    NotACa(Place),
    /// The path is longer than a CA, or this appliance, allows.
    #[error("the certification path is too long")]
    PathTooLong,
    /// keyUsage does not allow what the key was used for.
    #[error("{0} does not allow this use of its key")]
    KeyUsage(Place),
    /// A name lies outside of what a CA may name.
    #[error("{0} has a name outside of the name constraints")]
    NameConstraints(Place),
    /// No certificate policy of the initial set is valid along the whole path.
    #[error(
        "no accepted certificate policy is valid for the path; the certificate names {asserted}"
    )]
    Policy {
        /// Policies of the leaf, dotted, for the reader of the log.
        asserted: String,
    },
    /// A critical extension is not understood.
    #[error("{0} has a critical extension that is not understood")]
    CriticalExtension(Place),
    /// A certificate is revoked.
    #[error("{place} was revoked at {at}: {reason}")]
    Revoked {
        /// Which.
        place: Place,
        /// Why.
        reason: RevocationReason,
        /// Since when.
        at: UnixSeconds,
    },
    /// Whether a certificate is revoked cannot be known; that is never taken for good.
    #[error("whether {place} is revoked cannot be known: {fault}")]
    RevocationUnknown {
        /// Which.
        place: Place,
        /// What is missing.
        fault: CrlFault,
    },
    /// The search for a path met a limit.
    #[error("the search for a certification path met its limit: {0}")]
    Limit(&'static str),
    /// The validator failed without naming a reason.
    #[error("the path could not be validated: {0}")]
    Validator(String),
}

impl PathError {
    /// Stable word for logs, audit records and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "certificate_malformed",
            Self::MalformedExtension(_) => "extension_malformed",
            Self::Profile { .. } => "profile_violation",
            Self::TargetIsAnchor => "target_is_anchor",
            Self::UnknownIssuer { .. } => "issuer_unknown",
            Self::Signature { fault: SignatureFault::Mismatch, .. } => "signature_invalid",
            Self::Signature { .. } => "algorithm_refused",
            Self::Key(_) => "key_refused",
            Self::NotYetValid { place, .. } => {
                by_place(place, "certificate_not_yet_valid", "ca_not_yet_valid")
            }
            Self::Expired { place, .. } => by_place(place, "certificate_expired", "ca_expired"),
            Self::NotACa(_) => "issuer_not_a_ca",
            Self::PathTooLong => "path_too_long",
            Self::KeyUsage(_) => "key_usage",
            Self::NameConstraints(_) => "name_constraints",
            Self::Policy { .. } => "policy",
            Self::CriticalExtension(_) => "critical_extension",
            Self::Revoked { place, .. } => by_place(place, "certificate_revoked", "ca_revoked"),
            Self::RevocationUnknown { fault, .. } => fault.code(),
            Self::Limit(_) => "path_limit",
            Self::Validator(_) => "path_invalid",
        }
    }
}

fn by_place(place: &Place, leaf: &'static str, ca: &'static str) -> &'static str {
    match place {
        Place::Leaf => leaf,
        Place::Ca(_) | Place::Anchor => ca,
    }
}
