//! Why the desk says no, in the codes of the API. Detail that is not for peers goes to the log.

use crate::audit::AuditError;
use crate::x509::X509Error;
use api::problem::Code;
use api::problem::Problem;
use attest::clock::ClockBehindFloor;
use attest::judge::CertificateRefusal;
use attest::path::PathError;
use attest::sessions::SessionError;
use attest::store::StoreError;
use attest::trust::TrustError;
use hsm::HsmError;
use std::time::Duration;

/// When to come back where something is expected to be better soon.
const SOON: Duration = Duration::from_secs(5);
/// When to come back for a revocation list.
const NEXT_LIST: Duration = Duration::from_secs(60);

pub(super) fn conflict(detail: impl Into<String>) -> Problem {
    Problem::with_detail(Code::Conflict, detail)
}

pub(super) fn malformed(detail: impl Into<String>) -> Problem {
    Problem::with_detail(Code::MalformedRequest, detail)
}

pub(super) fn not_permitted(detail: impl Into<String>) -> Problem {
    Problem::with_detail(Code::NotPermitted, detail)
}

pub(super) fn trust(error: TrustError) -> Problem {
    match error {
        TrustError::Conflict(_) => {
            conflict("it changed in between; look at it and ask again").retry_after(SOON)
        }
        TrustError::Store(StoreError::Busy) => Problem::new(Code::NotOperational).retry_after(SOON),
        error => internal("a trust record", &error),
    }
}

pub(super) fn session(error: SessionError) -> Problem {
    match error {
        SessionError::Trust(error) => trust(error),
        error => internal("a session record", &error),
    }
}

pub(super) fn clock(error: ClockBehindFloor) -> Problem {
    tracing::error!(%error, "the clock cannot be trusted");
    Problem::with_detail(Code::NotOperational, "the clock is behind what was already recorded")
}

pub(super) fn audit(error: AuditError) -> Problem {
    tracing::error!(%error, "an operator's change is not recorded");
    Problem::with_detail(Code::AuditUnavailable, error.to_string()).retry_after(SOON)
}

pub(super) fn certificate_text(field: &str, error: X509Error) -> Problem {
    malformed(format!("{field}: {error}"))
}

/// A card or a second certificate that does not pass; operators may know everything about it.
pub(super) fn certificate(refusal: &CertificateRefusal) -> Problem {
    let detail = format!("{refusal} ({})", refusal.code());
    match refusal {
        CertificateRefusal::Path(PathError::RevocationUnknown { .. }) => {
            Problem::with_detail(Code::RevocationUnavailable, detail).retry_after(NEXT_LIST)
        }
        CertificateRefusal::Path(PathError::Revoked { .. }) => {
            Problem::with_detail(Code::CredentialRevoked, detail)
        }
        CertificateRefusal::Path(PathError::Expired { .. } | PathError::NotYetValid { .. }) => {
            Problem::with_detail(Code::CredentialExpired, detail)
        }
        CertificateRefusal::Path(PathError::Malformed(_)) | CertificateRefusal::NoCertificate => {
            malformed(detail)
        }
        _ => not_permitted(detail),
    }
}

pub(super) fn token(error: HsmError) -> Problem {
    match error {
        HsmError::Subject(_) => malformed(error.to_string()),
        HsmError::SchemeNotForKey { .. } | HsmError::MechanismMissing(_) => {
            malformed(format!("{error}; choose another key type"))
        }
        HsmError::Certificate(_) => not_permitted(error.to_string()),
        HsmError::AlreadyCertified { .. } => conflict("the key is certified; make another key"),
        HsmError::KeyRefused { .. } => {
            tracing::error!(%error, "ALARM: the token holds a key that is not as it must be");
            conflict(error.to_string())
        }
        error => {
            tracing::error!(%error, "the token did not do what an operator asked for");
            Problem::with_detail(Code::HsmUnavailable, error.to_string()).retry_after(SOON)
        }
    }
}

pub(super) fn internal(what: &str, error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, what, "an operator's command failed");
    Code::Internal.into()
}
