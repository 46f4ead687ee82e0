//! What a request is recognised by when it comes again, and its answer from the record.

use super::Keeper;
use super::known::KnownSignature;
use super::signing::receipt;
use crate::audit::signature::Idempotency;
use crate::idempotency::Blocked;
use crate::idempotency::RunningGuard;
use crate::metrics::SignatureResult;
use api::operations::Signed;
use api::problem::Code;
use api::problem::Problem;
use attest::records::Fingerprint;
use attest::records::SigningSystem;
use std::sync::Arc;
use std::time::Duration;

impl Keeper {
    pub(super) fn start(&self, idempotency: &Idempotency) -> Result<RunningGuard, Problem> {
        let started = self.running.start(idempotency.scope.clone(), &idempotency.request);
        started.map_err(|blocked| match blocked {
            Blocked::Running => still_running(),
            Blocked::Conflict => Code::IdempotencyConflict.into(),
        })
    }

    /// The same signature again, from its record, without the HSM.
    pub(super) fn repeat(
        &self,
        known: &KnownSignature,
        request: &Fingerprint,
        signing_token: &str,
    ) -> Result<Signed, Problem> {
        if known.request != *request {
            return Err(Code::IdempotencyConflict.into());
        }
        let cms_der = self.rebuild(known)?;
        self.parts.metrics.signature(SignatureResult::Repeated, known.scheme.name());
        let (remaining_signatures, remaining_seconds) = self.left_of(known, signing_token)?;
        Ok(Signed { cms_der, receipt: receipt(known.seq), remaining_signatures, remaining_seconds })
    }
}

/// A retry came before its request had ended.
pub(super) fn still_running() -> Problem {
    Problem::new(Code::IdempotencyRunning).retry_after(Duration::from_secs(1))
}

/// What a retry is recognised by. The scope of a key is the signing system and the signing token, so that a retry is
/// answered after the session has ended, too.
pub(super) fn scoped(
    system: &SigningSystem,
    signing_token: &str,
    key: &str,
    item: u32,
    request: &Fingerprint,
) -> Idempotency {
    let token = Fingerprint::of(signing_token.as_bytes());
    Idempotency {
        scope: Idempotency::scope(&system.system_id, &token, key, item),
        request: request.clone(),
    }
}

/// What the items of a batch are recognised by when it comes again.
pub(super) struct Idempotencies {
    pub(super) key: Option<String>,
    pub(super) system: Arc<SigningSystem>,
    pub(super) signing_token: String,
    pub(super) request: Fingerprint,
}

impl Idempotencies {
    /// Item `index`, where the batch came with a key.
    pub(super) fn of(&self, index: usize) -> Option<Idempotency> {
        let item = u32::try_from(index).ok()?;
        let key = self.key.as_deref()?;
        Some(scoped(&self.system, &self.signing_token, key, item, &self.request))
    }
}
