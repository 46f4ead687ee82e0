//! Requests that got no signature: what the peer is told, what is counted and recorded, and what happens inside.

use super::Keeper;
use super::entries;
use crate::metrics::SignatureResult;
use crate::problems;
use crate::sign::SignError;
use api::operations::Caller;
use api::problem::Code;
use api::problem::Problem;
use attest::registry::LiveCredential;
use attest::registry::Standing;
use attest::session::LiveSession;
use hsm::HsmError;
use std::sync::Arc;
use std::time::Duration;

impl Keeper {
    /// The gate stayed shut: counted, logged under the request id, told to the peer as far as it may know.
    pub(super) async fn shut(
        &self,
        caller: &Caller,
        error: &attest::gate::GateError,
        credential_id: Option<&str>,
        algorithm: &'static str,
    ) -> Problem {
        self.parts.metrics.signature(SignatureResult::Refused, algorithm);
        let problem = problems::gate(error);
        let system = self.parts.registry.system_of(&caller.certificate);
        let system_id = system.as_ref().map(|system| system.system_id.as_str());
        let detail = error.to_string();
        let code = problem.code.name();
        let entry = entries::denial(&caller.request_id, system_id, credential_id, code, &detail);
        self.note(system_id.unwrap_or("nobody"), &caller.request_id, &detail, entry).await;
        problem
    }

    /// Nothing left the house: what the peer is told, and what has to happen inside.
    pub(super) async fn not_signed(
        &self,
        caller: &Caller,
        credential: &Arc<LiveCredential>,
        error: &SignError,
    ) -> Problem {
        let algorithm = credential.record.key_type.default_scheme().name();
        let (result, problem) = match error {
            SignError::Mismatch => {
                self.quarantine(&caller.request_id, credential).await;
                (SignatureResult::Mismatch, Problem::new(Code::CredentialQuarantined))
            }
            SignError::Withdrawn(attest::permit::LeaseWithdrawn::Session(reason)) => {
                (SignatureResult::Withheld, problems::ended(*reason))
            }
            SignError::Withdrawn(attest::permit::LeaseWithdrawn::Credential) => {
                (SignatureResult::Withheld, self.stopped(credential, Code::RevocationUnavailable))
            }
            SignError::Hsm(HsmError::KeyRefused { .. } | HsmError::NotInService { .. }) => (
                SignatureResult::Unavailable,
                self.stopped(credential, Code::CredentialQuarantined),
            ),
            SignError::Hsm(error) if !error.is_retryable() => {
                (SignatureResult::Unavailable, Problem::new(Code::Internal))
            }
            SignError::Hsm(_) => (
                SignatureResult::Unavailable,
                Problem::new(Code::HsmUnavailable).retry_after(Duration::from_secs(1)),
            ),
            SignError::Audit(_) => (
                SignatureResult::Unavailable,
                Problem::new(Code::AuditUnavailable).retry_after(Duration::from_secs(5)),
            ),
            SignError::Certificate(_) | SignError::Format(_) | SignError::Permit(_) => {
                (SignatureResult::Unavailable, Code::Internal.into())
            }
        };
        self.parts.metrics.signature(result, algorithm);
        let credential_id = &credential.record.credential_id;
        if self.may_log("unsigned") {
            let request_id = &caller.request_id;
            tracing::error!(request_id, credential_id, %error, "no signature left");
        }
        problem
    }

    /// Why a credential may not sign that was taken away while it did: as its record says by now; `otherwise` when
    /// nothing stands against it.
    fn stopped(&self, credential: &LiveCredential, otherwise: Code) -> Problem {
        let now = self.parts.registry.credential(&credential.record.credential_id);
        let is_revoked = now.is_some_and(|live| live.record.status.is_final());
        match (is_revoked, credential.is_stopped(), credential.standing()) {
            (true, ..) => Code::CredentialRevoked.into(),
            (false, true, _) => Code::CredentialQuarantined.into(),
            (false, false, Standing::Revoked | Standing::Refused) => Code::CredentialRevoked.into(),
            (false, false, Standing::Unknown) => Code::RevocationUnavailable.into(),
            (false, false, Standing::Good) => otherwise.into(),
        }
    }
}

/// What the peer is told once the key might have been used: a day session may try again, but an entry of an activation is
/// used up whatever became of it.
pub(super) fn after_use(session: &LiveSession, problem: Problem) -> Problem {
    match session.entries() {
        Some(_) if problem.code.is_retryable() => Problem::with_detail(
            Code::DigestNotAuthorized,
            "nothing was signed, but the entry is used up; the holder has to approve it again",
        ),
        Some(_) | None => problem,
    }
}

pub(super) fn internal(caller: &Caller, error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(request_id = caller.request_id, %error, "internal");
    Code::Internal.into()
}
