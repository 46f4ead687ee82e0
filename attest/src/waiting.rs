//! Waiting for a change of a durable record: a page that goes on by itself, a long poll.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use tokio::sync::Notify;

/// Who waits for which record.
#[derive(Default)]
pub(crate) struct Waiting {
    by_id: Mutex<HashMap<String, Arc<Notify>>>,
}

impl Waiting {
    /// Resolves at the next change of the record `id`. Ask for it before reading the record.
    pub(crate) fn changed(&self, id: &str) -> Changed<'_> {
        let mut by_id = self.lock();
        let notify = by_id.entry(id.to_owned()).or_default();
        Changed { notify: Arc::clone(notify), waiting: self, id: id.to_owned() }
    }

    /// Wakes everybody who waits for `id`.
    pub(crate) fn notify(&self, id: &str) {
        if let Some(notify) = self.lock().get(id) {
            notify.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait for a change; forgets itself when dropped.
pub struct Changed<'a> {
    notify: Arc<Notify>,
    waiting: &'a Waiting,
    id: String,
}

impl Changed<'_> {
    /// Registers the wait now; await what it returns after reading the record.
    pub fn next(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        let mut by_id = self.waiting.lock();
        // Two owners left: the table and this wait.
        if Arc::strong_count(&self.notify) <= 2 {
            by_id.remove(&self.id);
        }
    }
}
