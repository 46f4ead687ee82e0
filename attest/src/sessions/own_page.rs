//! A code that opens its holder's own page, and never a session.

use super::SessionError;
use super::Sessions;
use crate::records::Fingerprint;
use crate::records::TrustRecord;
use crate::sign_in::Approval;
use crate::sign_in::Phase;
use crate::sign_in::same;
use crate::store::Guard;
use crate::store::Outcome;
use crate::store::Txn;
use crate::store::Write;
use crate::trust::MAX_RETRIES;

impl Sessions {
    /// Exchanges the code of a sign-in for the portal itself; its record goes, so that the code works once. `None` when it is
    /// unknown, used, denied, too late, or a signing system's; nobody is told which.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn redeem(
        &self,
        session_id: &str,
        code: &str,
    ) -> Result<Option<Approval>, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let Some((record, rev)) = self.record(session_id).await? else {
                return Ok(None);
            };
            let approval = match &record.phase {
                Phase::Approved { approval, code: expected, code_expires_at, .. }
                    if record.is_for_portal()
                        && now < *code_expires_at
                        && same(expected, &Fingerprint::of(code.as_bytes())) =>
                {
                    approval.clone()
                }
                _ => return Ok(None),
            };
            let txn = Txn {
                guards: vec![Guard::Rev(record.key(), rev)],
                writes: vec![Write::Delete(record.key())],
            };
            if self.trust.commit(txn).await? == Outcome::Committed {
                self.notify(session_id);
                return Ok(Some(approval));
            }
        }
        Err(SessionError::Contended)
    }
}
