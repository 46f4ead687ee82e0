//! A place in the log, taken before a key is used: whoever holds one will not find the log full afterwards.

use crate::audit::AuditError;
use crate::audit::Receipt;
use crate::audit::committer::Job;
use crate::audit::committer::Recorded;
use crate::audit::entry::Entry;
use crate::audit::shared::Shared;
use crate::queue::PutError;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

/// A place for a number of records. Dropping it gives the place back.
pub struct Slot {
    held: Held,
}

/// The counted part of a [`Slot`]; goes with the job and ends when it is answered.
pub(super) struct Held {
    shared: Arc<Shared>,
    records: usize,
}

impl Slot {
    pub(super) fn take(
        shared: &Arc<Shared>,
        records: usize,
        limit: usize,
    ) -> Result<Self, AuditError> {
        let taken = shared.reserved.fetch_update(Ordering::AcqRel, Ordering::Acquire, |reserved| {
            reserved.checked_add(records).filter(|after| *after <= limit)
        });
        if taken.is_err() {
            return Err(AuditError::Busy);
        }
        shared.requests.fetch_add(1, Ordering::AcqRel);
        shared.metrics.in_flight.inc();
        Ok(Self { held: Held { shared: Arc::clone(shared), records } })
    }

    /// Records `entry`; `Ok` when it is durable.
    ///
    /// # Errors
    /// [`AuditError::Withdrawn`]: nothing may leave, a `signature_withheld` record is durable in its place.
    /// [`AuditError::Stopped`], [`AuditError::NoSpace`]: nothing may leave.
    pub async fn append(self, entry: Entry) -> Result<Receipt, AuditError> {
        let recorded = self.append_all(vec![entry]).await?;
        recorded.into_iter().next().unwrap_or(Err(AuditError::Stopped("no answer".to_owned())))
    }

    /// Records all `entries` together, in their order; one result for each.
    ///
    /// # Errors
    /// As [`Self::append`], for all of them; [`AuditError::Busy`] when the slot was taken for fewer.
    pub async fn append_all(self, entries: Vec<Entry>) -> Result<Vec<Recorded>, AuditError> {
        let Self { held } = self;
        if entries.len() > held.records {
            return Err(AuditError::Busy);
        }
        let shared = Arc::clone(&held.shared);
        shared.working()?;
        let entries = entries.into_iter().map(Entry::prepare).collect::<Result<Vec<_>, _>>()?;
        let (answer, answered) = oneshot::channel();
        match shared.queue.put(Job { entries, answer, held }) {
            Ok(()) => {}
            Err(PutError::Full) => return Err(AuditError::Busy),
            Err(PutError::Closed) => {
                shared.working()?;
                return Err(AuditError::Stopped("it is closing".to_owned()));
            }
        }
        match answered.await {
            Ok(recorded) => Ok(recorded),
            Err(_) => {
                shared.working()?;
                Err(AuditError::Stopped("its committer ended".to_owned()))
            }
        }
    }

    /// Records `entry`; nobody waits for it.
    pub(super) fn append_unheard(self, entry: Entry) {
        let Self { held } = self;
        let shared = Arc::clone(&held.shared);
        if let Ok(prepared) = entry.prepare() {
            let (answer, _) = oneshot::channel();
            let _ = shared.queue.put(Job { entries: vec![prepared], answer, held });
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.reserved.fetch_sub(self.records, Ordering::AcqRel);
        self.shared.requests.fetch_sub(1, Ordering::AcqRel);
        self.shared.metrics.in_flight.dec();
    }
}
