//! Signatures on their way out, so that a logout can wait for them.
//!
//! A signature that was recorded before a logout is rightly released, but it may still be between the keeper and its socket
//! when the logout is answered. "Nothing is released after a logout that was answered" would then not be what a signing
//! system sees.

use std::mem;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// How long a logout waits: a peer that does not read its signature holds nobody up for longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Releases(Mutex<TaskTracker>);

impl Releases {
    /// A signature is being made; the token goes along with it until its octets are at the socket.
    pub(crate) fn begin(&self) -> TaskTrackerToken {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).token()
    }

    /// Waits for those that have begun, not for those that begin meanwhile.
    pub(crate) async fn settled(&self) {
        let begun = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        begun.close();
        let _ = tokio::time::timeout(PATIENCE, begun.wait()).await;
    }
}
