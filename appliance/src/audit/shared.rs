//! What the log's handle, its committer and its caretaker share.

use crate::audit::AuditError;
use crate::audit::committer::Job;
use crate::audit::config::AuditConfig;
use crate::audit::denials::Denials;
use crate::audit::entry::Entry;
use crate::audit::layout::Layout;
use crate::audit::metrics::AuditMetrics;
use crate::audit::note::CheckpointSigner;
use crate::audit::note::SignedCheckpoint;
use crate::audit::note::VerifierKey;
use crate::audit::record::Principal;
use crate::audit::retry::RetryIndex;
use crate::audit::slot::Slot;
use crate::audit::tree::Tile;
use crate::audit::tree::Tree;
use crate::queue::Queue;
use crate::time::TimeFloor;
use crate::time::WallClock;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

pub(super) struct Shared {
    pub(super) config: AuditConfig,
    pub(super) layout: Layout,
    pub(super) wall: Arc<dyn WallClock>,
    pub(super) floor: TimeFloor,
    pub(super) metrics: AuditMetrics,
    pub(super) queue: Queue<Job>,
    /// Requests that hold a place or wait for their record.
    pub(super) requests: AtomicUsize,
    /// Records reserved or waiting.
    pub(super) reserved: AtomicUsize,
    /// Records that are durable.
    pub(super) durable: AtomicU64,
    /// Whether the next segment is ready; held while it is made or taken.
    pub(super) next: Mutex<bool>,
    /// Whether the file system has less free than it must have.
    pub(super) low_space: AtomicBool,
    pub(super) tree: Mutex<Growing>,
    /// First numbers of all segments, ascending.
    pub(super) segments: RwLock<Vec<u64>>,
    pub(super) retries: Mutex<RetryIndex>,
    pub(super) denials: Mutex<Denials>,
    pub(super) signer: Mutex<Option<Signer>>,
    pub(super) checkpoint: watch::Sender<Option<Arc<SignedCheckpoint>>>,
    pub(super) bell: Bell,
    pub(super) stopped: OnceLock<String>,
}

/// The tree and the tiles that are full but not in their files yet.
pub(super) struct Growing {
    pub(super) tree: Tree,
    pub(super) tiles: Vec<Tile>,
}

/// The key that signs checkpoints, and where its futures run.
#[derive(Clone)]
pub(super) struct Signer {
    pub(super) signer: Arc<dyn CheckpointSigner>,
    pub(super) key: VerifierKey,
    pub(super) runtime: tokio::runtime::Handle,
}

impl Shared {
    /// Stops the log for good; the first reason stays.
    pub(super) fn stop(&self, reason: String) {
        if self.stopped.set(reason.clone()).is_ok() {
            tracing::error!(
                reason,
                "ALARM: the audit log has stopped; nothing is signed until a restart"
            );
        }
        self.metrics.stopped.set(1);
        self.queue.close();
        self.checkpoint.send_modify(|_| {});
    }

    pub(super) fn working(&self) -> Result<(), AuditError> {
        match self.stopped.get() {
            Some(reason) => Err(AuditError::Stopped(reason.clone())),
            None => Ok(()),
        }
    }

    /// Records how many refusals got no record of their own.
    pub(super) fn summarise_denials(self: &Arc<Self>) {
        for event in lock(&self.denials).summaries() {
            let entry = Entry::new("", Principal::Appliance, event);
            // A full queue means that the log is busy with something better; the count is then lost, not the order.
            let limit = self.config.queue_limit.saturating_mul(2);
            if let Ok(slot) = Slot::take(self, 1, limit) {
                slot.append_unheard(entry);
            }
        }
    }

    /// Requests worth one commit now: a share of those in flight.
    pub(super) fn enough(&self) -> usize {
        self.requests.load(Ordering::Acquire).div_ceil(self.config.gather_share.max(1)).max(1)
    }

    /// First number of the segment that holds record `seq`.
    pub(super) fn segment_of(&self, seq: u64) -> Option<u64> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let behind = segments.partition_point(|first| *first <= seq);
        segments.get(behind.checked_sub(1)?).copied()
    }
}

/// Wakes the caretaker.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<Rung>,
    changed: Condvar,
}

/// What the caretaker was woken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rung {
    /// Something is to be made ready.
    pub(super) anything: bool,
    /// A checkpoint is wanted at once.
    pub(super) checkpoint: bool,
    /// The committer has ended: one last round.
    pub(super) end: bool,
}

impl Bell {
    pub(super) fn ring(&self, set: impl FnOnce(&mut Rung)) {
        let mut rung = lock(&self.rung);
        rung.anything = true;
        set(&mut rung);
        drop(rung);
        self.changed.notify_all();
    }

    /// Waits until it is rung, or for `at_most`.
    pub(super) fn wait(&self, at_most: Duration) -> Rung {
        let rung = lock(&self.rung);
        let mut rung = self
            .changed
            .wait_timeout_while(rung, at_most, |rung| !rung.anything)
            .map_or_else(|poisoned| poisoned.into_inner().0, |(rung, _)| rung);
        let kept = Rung { end: rung.end, ..Rung::default() };
        std::mem::replace(&mut *rung, kept)
    }
}

/// Locks; a panic elsewhere leaves whole values behind, since every change under these locks is one assignment or push.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
