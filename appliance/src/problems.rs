//! The keeper's errors as the problems of the wire: one place, every variant named.
//!
//! What a peer may know is said here; the rest goes to the log under the request id.

use api::problem::Code;
use api::problem::Problem;
use attest::gate::GateError;
use attest::records::CredentialStatus;
use attest::registry::Standing;
use attest::session::EndReason;
use attest::sessions::SessionError;
use std::time::Duration;

/// What the signing system is told when the gate stays shut.
pub fn gate(error: &GateError) -> Problem {
    match error {
        GateError::SystemUnknown => Code::ClientUnknown.into(),
        GateError::SessionUnknown => Code::SessionUnknown.into(),
        GateError::SessionOver(reason) => ended(*reason),
        GateError::HolderDisabled => Code::HolderDisabled.into(),
        GateError::HolderNotAllowed => Code::NotPermitted.into(),
        GateError::CredentialUnknown => Code::CredentialUnknown.into(),
        GateError::CredentialAmbiguous(_) => Code::CredentialAmbiguous.into(),
        GateError::CredentialNotActive(status) => credential_status(*status).into(),
        GateError::CertificateExpired => Code::CredentialExpired.into(),
        GateError::CertificateNotGood(standing) => certificate(*standing),
        GateError::EvidenceNotGood(standing) => match standing {
            Standing::Good | Standing::Unknown => revocation_unavailable(),
            Standing::Revoked | Standing::Refused => Code::SessionEnded.into(),
        },
        GateError::DigestAlgorithm { expected, .. } => Problem::with_detail(
            Code::MalformedRequest,
            format!("this key signs {} digests; send that one", expected.name()),
        ),
        GateError::NoEntry => Problem::with_detail(
            Code::DigestNotAuthorized,
            "this is none of the entries that the holder approved, in kind, algorithm, value and credential",
        ),
        GateError::EntryUsed => Problem::with_detail(
            Code::DigestNotAuthorized,
            "this entry was used before, or a request for it was under way when it broke off; each serves once",
        ),
        GateError::BareDigest => Problem::with_detail(
            Code::NotPermitted,
            "a digest without its octets is signed in a session of purpose once only, only where an administrator allows it, and by no Ed25519 key: that signs octets",
        ),
        GateError::Clock(_) => Code::NotOperational.into(),
        GateError::Sessions(error) => session(error),
    }
}

/// What the signing system is told when a session's record could not be read or written.
pub fn session(error: &SessionError) -> Problem {
    match error {
        SessionError::Trust(_) | SessionError::Clock(_) => {
            Problem::new(Code::NotOperational).retry_after(Duration::from_secs(5))
        }
        SessionError::Random(_) => Code::Internal.into(),
        SessionError::Contended => {
            Problem::new(Code::RateLimited).retry_after(Duration::from_secs(1))
        }
    }
}

/// Why a session gives no more signatures.
pub fn ended(reason: EndReason) -> Problem {
    match reason {
        EndReason::Expired | EndReason::Idle => Code::SessionExpired.into(),
        EndReason::Exhausted => Code::SessionExhausted.into(),
        EndReason::HolderDisabled => Code::HolderDisabled.into(),
        EndReason::Logout
        | EndReason::SystemRemoved
        | EndReason::EvidenceRevoked
        | EndReason::Operator
        | EndReason::Continued => Code::SessionEnded.into(),
        EndReason::SecondCertificateRevoked => Problem::with_detail(
            Code::SessionEnded,
            "a certificate of the holder was revoked; with the others they may sign in again",
        ),
    }
}

/// Why a credential that is not active may not sign.
pub fn credential_status(status: CredentialStatus) -> Code {
    match status {
        CredentialStatus::Quarantined => Code::CredentialQuarantined,
        CredentialStatus::Revoked | CredentialStatus::Destroyed => Code::CredentialRevoked,
        CredentialStatus::Generated | CredentialStatus::Active => Code::CredentialUnknown,
    }
}

fn certificate(standing: Standing) -> Problem {
    match standing {
        Standing::Good | Standing::Unknown => revocation_unavailable(),
        Standing::Revoked => Code::CredentialRevoked.into(),
        Standing::Refused => Problem::with_detail(
            Code::CredentialRevoked,
            "the certificate no longer passes path validation; the registration officer sees why",
        ),
    }
}

fn revocation_unavailable() -> Problem {
    Problem::new(Code::RevocationUnavailable).retry_after(Duration::from_secs(60))
}
