//! Signatures counted: taken from a block in memory, which the durable record covers beforehand.

use super::SessionError;
use super::Sessions;
use crate::session::EndReason;
use crate::session::LiveSession;
use crate::session::Take;
use crate::sign_in::Phase;
use crate::store::Outcome;
use crate::trust::MAX_RETRIES;

/// Largest block of signatures reserved at once.
const MAX_BLOCK: u64 = 1024;

impl Sessions {
    /// Takes `count` signatures of `session`, reserving another durable block when memory has none left.
    ///
    /// # Errors
    /// Outer: the block could not be made durable; nothing was taken. Inner: why the session gives no more.
    pub async fn take(
        &self,
        session: &LiveSession,
        count: u64,
    ) -> Result<Result<(), EndReason>, SessionError> {
        for _ in 0..MAX_RETRIES {
            match session.take(count) {
                Take::Taken => return Ok(Ok(())),
                Take::Exhausted => return Ok(Err(EndReason::Exhausted)),
                Take::BlockEmpty => {}
            }
            let _one_at_a_time = session.reserving.lock().await;
            match session.take(count) {
                Take::Taken => return Ok(Ok(())),
                Take::Exhausted => return Ok(Err(EndReason::Exhausted)),
                Take::BlockEmpty => {}
            }
            if let Some(reason) = self.reserve(session, count).await? {
                return Ok(Err(reason));
            }
        }
        Err(SessionError::Contended)
    }

    async fn reserve(
        &self,
        session: &LiveSession,
        count: u64,
    ) -> Result<Option<EndReason>, SessionError> {
        let Some((mut record, rev)) = self.record(&session.session_id).await? else {
            return Ok(Some(EndReason::Expired));
        };
        let reserved = match &mut record.phase {
            Phase::Active { reserved, limits, last_used, .. } => {
                *last_used = session.last_used().max(self.clock.now()?);
                let block = (limits.signatures / 8).clamp(1, MAX_BLOCK);
                let wanted =
                    session.used().saturating_add(count).max(*reserved).saturating_add(block);
                *reserved = wanted.min(limits.signatures);
                *reserved
            }
            Phase::Ended { reason, .. } => return Ok(Some(*reason)),
            _ => return Ok(Some(EndReason::Expired)),
        };
        if self.replace(&record, rev, None).await? == Outcome::Committed {
            session.set_reserved(reserved);
        }
        Ok(None)
    }

    /// A clean stop: what was reserved and not used is given back. Whoever signs beside it reserves anew.
    ///
    /// # Errors
    /// [`SessionError`] when a record could not be written; the rest counts as used, which is the safe side.
    pub async fn give_back(&self) -> Result<(), SessionError> {
        // An activation reserves nothing.
        for session in self.all().into_iter().filter(|session| session.entries().is_none()) {
            let _one_at_a_time = session.reserving.lock().await;
            let Some((mut record, rev)) = self.record(&session.session_id).await? else {
                continue;
            };
            if let Phase::Active { reserved, last_used, .. } = &mut record.phase {
                *reserved = session.give_up_block();
                *last_used = session.last_used();
                self.replace(&record, rev, None).await?;
            }
        }
        Ok(())
    }
}
