//! Entries of an activation used up: in the durable record first, each once.

use super::SessionError;
use super::Sessions;
use crate::activation::Requested;
use crate::gate::GateError;
use crate::session::EndReason;
use crate::session::LiveSession;
use crate::sign_in::Phase;
use crate::store::Outcome;
use crate::trust::MAX_RETRIES;

impl Sessions {
    /// Uses up one entry of the activation `session` for each of `requested`, all or none, before anything is signed. What
    /// may have become durable stays used, whatever the caller is told.
    ///
    /// # Errors
    /// [`GateError::NoEntry`], [`GateError::EntryUsed`], [`GateError::SessionOver`]; [`GateError::Sessions`] when the record
    /// could not be read or written.
    pub(crate) async fn spend(
        &self,
        session: &LiveSession,
        credential_id: &str,
        requested: &[Requested],
    ) -> Result<(), GateError> {
        let spending = session.spending.as_ref().ok_or(GateError::NoEntry)?;
        let _one_at_a_time = session.reserving.lock().await;
        for _ in 0..MAX_RETRIES {
            let Some((mut record, rev)) = self.record(&session.session_id).await? else {
                return Err(GateError::SessionOver(EndReason::Expired));
            };
            let used_entries = match &mut record.phase {
                Phase::Active { used_entries, .. } => used_entries,
                Phase::Ended { reason, .. } => return Err(GateError::SessionOver(*reason)),
                Phase::Pending { .. } | Phase::Approved { .. } | Phase::Denied { .. } => {
                    return Err(GateError::SessionOver(EndReason::Expired));
                }
            };
            // Used in memory first: whoever gives up in the middle leaves it so.
            let taken = spending.spend(credential_id, requested)?;
            if session.used() > session.limits.signatures {
                spending.unspend(&taken);
                return Err(GateError::SessionOver(EndReason::Exhausted));
            }
            if taken.iter().any(|index| used_entries.contains(index)) {
                return Err(GateError::EntryUsed);
            }
            used_entries.extend(&taken);
            match self.replace(&record, rev, None).await? {
                Outcome::Committed => return Ok(()),
                Outcome::Conflict => spending.unspend(&taken),
            }
        }
        Err(SessionError::Contended.into())
    }
}
