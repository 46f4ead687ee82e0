//! A code exchanged for a session: once, within what was agreed to.

use super::Activation;
use super::SessionError;
use super::Sessions;
use super::live_session;
use crate::clock::UnixSeconds;
use crate::records::Fingerprint;
use crate::records::SessionLimits;
use crate::sign_in::Approval;
use crate::sign_in::DenyReason;
use crate::sign_in::MAX_TRIES;
use crate::sign_in::Phase;
use crate::sign_in::SessionRecord;
use crate::sign_in::number_fingerprint;
use crate::sign_in::random_secret;
use crate::sign_in::same;
use crate::store::Outcome;
use crate::store::Rev;
use crate::trust::MAX_RETRIES;
use std::time::Duration;

impl Sessions {
    /// The code came back to the signing system: the session becomes live, within what the holder agreed to and never beyond
    /// the signing system's `present` limits. A code works once.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn activate(
        &self,
        session_id: &str,
        code: &str,
        present: SessionLimits,
    ) -> Result<Activation, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            // A sign-in for the portal itself opens a page, by another way, and never a session.
            let found = self.record(session_id).await?.filter(|(found, _)| !found.is_for_portal());
            let Some((mut record, rev)) = found else {
                return Ok(Activation::Expired);
            };
            let (approval, expected, tries) = match &record.phase {
                Phase::Pending { .. } if record.link_is_over(now) => {
                    return Ok(Activation::Expired);
                }
                Phase::Pending { .. } => return Ok(Activation::Pending),
                Phase::Denied { reason } => return Ok(Activation::Denied(*reason)),
                Phase::Active { .. } | Phase::Ended { .. } => return Ok(Activation::AlreadyUsed),
                Phase::Approved { code_expires_at, .. } if now >= *code_expires_at => {
                    return Ok(Activation::Expired);
                }
                Phase::Approved { approval, code, tries, .. } => {
                    (approval.clone(), code.clone(), *tries)
                }
            };
            let given = match record.number {
                Some(_) => number_fingerprint(session_id, code),
                None => Fingerprint::of(code.as_bytes()),
            };
            if !same(&expected, &given) {
                match self.count_wrong_code(record, rev, tries).await? {
                    Some(denied) => return Ok(Activation::WrongCode { denied }),
                    None => continue,
                }
            }
            let Some(saved_guards) = self.saved_guards(session_id, &approval).await? else {
                // Logged out between click and exchange.
                let reason = DenyReason::Withdrawn;
                self.deny(session_id, reason).await?;
                return Ok(Activation::Denied(reason));
            };
            let signing_token = random_secret()?;
            let token = Fingerprint::of(signing_token.as_bytes());
            let mut limits = approval.limits.at_most(present);
            if let Some(entries) = &record.entries {
                limits.signatures = limits.signatures.min(entries.count());
            }
            record.phase = Phase::Active {
                expires_at: expiry(&approval, limits),
                token: token.clone(),
                limits,
                reserved: 0,
                last_used: now,
                used_entries: Vec::new(),
                approval,
            };
            let Some(session) = live_session(&record) else {
                return Ok(Activation::Expired);
            };
            let Some(begun) = self.begin(&token, session) else {
                return Err(SessionError::Contended);
            };
            let mut txn = self.trust.replacement(&record, rev)?;
            txn.guards.extend(saved_guards);
            if self.commit(session_id, txn).await? != Outcome::Committed {
                continue;
            }
            let session = begun.keep();
            if let Some(reason) = session.ended() {
                self.end(session_id, reason).await?;
                return Ok(Activation::AlreadyUsed);
            }
            return Ok(Activation::Active { signing_token, session });
        }
        Err(SessionError::Contended)
    }

    async fn count_wrong_code(
        &self,
        mut record: SessionRecord,
        rev: Rev,
        tries: u8,
    ) -> Result<Option<bool>, SessionError> {
        let after = tries.saturating_add(1);
        let denied = after >= MAX_TRIES;
        match &mut record.phase {
            _ if denied => record.close(Phase::Denied { reason: DenyReason::WrongCode }),
            Phase::Approved { tries, .. } => *tries = after,
            _ => {}
        }
        let outcome = self.replace(&record, rev, None).await?;
        Ok((outcome == Outcome::Committed).then_some(denied))
    }
}

/// The clock limit from the evidence, the end of the evidence certificate or of a second certificate: whichever comes first.
pub(super) fn expiry(approval: &Approval, limits: SessionLimits) -> UnixSeconds {
    let seconds = limits.seconds.min(SessionLimits::CEILING_SECONDS);
    let by_clock = approval.authenticated_at.plus(Duration::from_secs(seconds));
    let certificates = [approval.certificate_not_after, approval.second_certificates_not_after];
    // A certificate is good in its last second.
    let ends = certificates.into_iter().flatten().map(|last| last.plus(Duration::from_secs(1)));
    ends.fold(by_clock, UnixSeconds::min)
}
