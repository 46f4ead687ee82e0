//! The one thread that changes the store: drains the queue, applies, syncs once, then answers everybody.

use crate::queue::Queue;
use crate::queue::Taken;
use crate::store::engine::Applied;
use crate::store::engine::ApplyError;
use crate::store::engine::Engine;
use crate::store::engine::StoreState;
use crate::store::floor::Floor;
use crate::store::metrics::StoreMetrics;
use attest::clock::Clock;
use attest::clock::UnixSeconds;
use attest::store::Outcome;
use attest::store::StoreError;
use attest::store::Txn;
use std::collections::VecDeque;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use tokio::sync::RwLock;
use tokio::sync::oneshot;
use tokio::sync::watch;

/// One transaction on its way to the thread.
pub(super) struct Job {
    pub(super) txn: Txn,
    pub(super) answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// What the thread and the callers share.
pub(super) struct Shared {
    pub(super) engine: Engine,
    pub(super) queue: Queue<Job>,
    pub(super) clock: Arc<dyn Clock>,
    /// Newest revision that may be visible; raised before it is.
    pub(super) visible: AtomicU64,
    /// Newest revision that is durable.
    pub(super) durable: watch::Sender<u64>,
    /// Held for writing while a group is applied, so that a scan sees whole transactions.
    pub(super) applying: RwLock<()>,
    /// Why the store stopped, once it has.
    pub(super) stopped: OnceLock<String>,
    pub(super) metrics: StoreMetrics,
}

impl Shared {
    /// The time that expiries are judged by: never below the durable floor.
    pub(super) fn now(&self) -> UnixSeconds {
        self.clock.now().unwrap_or_else(|behind| UnixSeconds(behind.floor))
    }

    /// Stops the store for good; the first reason stays.
    pub(super) fn stop(&self, reason: String) {
        if self.stopped.set(reason.clone()).is_ok() {
            tracing::error!(
                reason,
                "ALARM: the store has stopped; nobody signs in until a restart"
            );
        }
        self.metrics.stopped.set(1);
        self.queue.close();
        // Readers who wait for durability look again and find that it never comes.
        self.durable.send_modify(|_| {});
    }

    pub(super) fn stopped_error(&self) -> Option<StoreError> {
        self.stopped.get().map(|reason| StoreError::Stopped(reason.clone()))
    }
}

/// The thread's own side.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) directory: PathBuf,
    pub(super) state: StoreState,
    pub(super) next_rev: u64,
    pub(super) floor: Floor,
    pub(super) swept_at: Instant,
}

impl Writer {
    /// Works until the queue is closed or something fails.
    pub(super) fn run(mut self) {
        // However this thread ends, callers must not wait for it.
        let _guard = StopOnUnwind(Arc::clone(&self.shared));
        loop {
            let idle = SWEEP_EVERY.saturating_sub(self.swept_at.elapsed());
            match self.shared.queue.take(idle, || 1, Duration::ZERO) {
                Taken::Batch(jobs) => self.commit(jobs),
                Taken::Idle => {}
                Taken::Closed => break,
            }
            if self.swept_at.elapsed() >= SWEEP_EVERY {
                self.swept_at = Instant::now();
                self.sweep();
            }
        }
        if self.shared.stopped.get().is_none() {
            self.end();
        }
    }

    fn commit(&mut self, jobs: VecDeque<Job>) {
        self.shared.metrics.queue_depth.set(i64::try_from(self.shared.queue.len()).unwrap_or(0));
        if is_nearly_full(&self.directory) {
            // sled does not survive a write that finds no room: nothing is begun that may not end.
            for job in jobs {
                let _ = job.answer.send(Err(StoreError::Busy));
            }
            return;
        }
        let started = Instant::now();
        let answers = match self.apply(jobs) {
            Ok(answers) => answers,
            Err(jobs) => return self.refuse(jobs),
        };
        if let Err(error) = self.make_durable() {
            self.shared.stop(format!("a sync failed: {error}"));
            return self.refuse(answers.into_iter().map(|(answer, _)| answer));
        }
        self.shared.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
        for (answer, outcome) in answers {
            match &outcome {
                Ok(Outcome::Committed) => self.shared.metrics.commits.inc(),
                Ok(Outcome::Conflict) => self.shared.metrics.conflicts.inc(),
                Err(_) => self.shared.metrics.damaged.inc(),
            }
            let _ = answer.send(outcome);
        }
    }

    /// Applies every job; gives all their answers back when the engine fails.
    fn apply(&mut self, jobs: VecDeque<Job>) -> Result<Vec<Answered>, Vec<Answer>> {
        let shared = Arc::clone(&self.shared);
        let now = shared.now();
        let _whole = shared.applying.blocking_write();
        let mut answers = Vec::with_capacity(jobs.len());
        let mut jobs = jobs.into_iter();
        while let Some(Job { txn, answer }) = jobs.next() {
            let rev = self.take_rev();
            let outcome = match shared.engine.apply(&txn, self.state, rev, now) {
                Ok(Applied::Changed(state)) => {
                    self.state = state;
                    Ok(Outcome::Committed)
                }
                Ok(Applied::Unchanged) => Ok(Outcome::Committed),
                Ok(Applied::Conflict) => Ok(Outcome::Conflict),
                Err(ApplyError::Damaged(error)) => Err(error),
                Err(ApplyError::Engine(error)) => {
                    shared.stop(error);
                    let given = answers.into_iter().map(|(answer, _)| answer);
                    return Err(given.chain([answer]).chain(jobs.map(|job| job.answer)).collect());
                }
            };
            answers.push((answer, outcome));
        }
        Ok(answers)
    }

    fn sweep(&mut self) {
        if self.shared.stopped.get().is_some() || is_nearly_full(&self.directory) {
            return;
        }
        for _ in 0..SWEEPS_AT_ONCE {
            let shared = Arc::clone(&self.shared);
            let rev = self.take_rev();
            let swept = {
                let _whole = shared.applying.blocking_write();
                shared.engine.sweep(self.state, rev, shared.now(), SWEEP_LIMIT)
            };
            match swept {
                Ok(Some(state)) => self.state = state,
                Ok(None) => break,
                Err(ApplyError::Damaged(_)) => {
                    shared.metrics.damaged.inc();
                    break;
                }
                Err(ApplyError::Engine(error)) => return shared.stop(error),
            }
        }
        self.housekeeping();
    }

    fn housekeeping(&mut self) {
        let synced = self.make_durable().and_then(|()| self.floor.sync());
        if let Err(error) = synced {
            return self.shared.stop(format!("a sync failed: {error}"));
        }
        let size = self.shared.engine.file.metadata().map(|metadata| metadata.len()).unwrap_or(0);
        self.shared.metrics.size_bytes.set(i64::try_from(size).unwrap_or(i64::MAX));
    }

    /// Syncs what is visible, if it is not durable yet, and tells the readers.
    fn make_durable(&mut self) -> std::io::Result<()> {
        let visible = self.shared.visible.load(Ordering::Acquire);
        if self.synced_rev() < self.state.rev {
            self.shared.engine.sync()?;
            self.floor.raise(self.state.rev)?;
        }
        self.shared.durable.send_replace(visible);
        Ok(())
    }

    fn synced_rev(&self) -> u64 {
        *self.shared.durable.borrow()
    }

    /// The next revision; readers who may see it wait until it is durable.
    fn take_rev(&mut self) -> u64 {
        let rev = self.next_rev;
        self.next_rev = self.next_rev.saturating_add(1);
        self.shared.visible.store(rev, Ordering::Release);
        rev
    }

    fn refuse(&self, answers: impl IntoIterator<Item = Answer>) {
        for answer in answers {
            let reason = self.shared.stopped.get().cloned().unwrap_or_default();
            let _ = answer.send(Err(StoreError::Stopped(reason)));
        }
    }

    fn end(&mut self) {
        self.housekeeping();
        let _ = self.shared.stopped.set("it was closed".to_owned());
    }
}

type Answer = oneshot::Sender<Result<Outcome, StoreError>>;
type Answered = (Answer, Result<Outcome, StoreError>);

struct StopOnUnwind(Arc<Shared>);

impl Drop for StopOnUnwind {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop("its writer thread panicked".to_owned());
        }
    }
}

/// Whether the file system has less than 16 MiB free, or on a small one less than a fiftieth.
fn is_nearly_full(directory: &Path) -> bool {
    nix::sys::statvfs::statvfs(directory).is_ok_and(|found| {
        let bytes = |blocks: u64| blocks.saturating_mul(found.fragment_size());
        bytes(found.blocks_available()) < MIN_FREE_BYTES.min(bytes(found.blocks()) / 50)
    })
}

/// What the largest group of transactions and sled's own segments may take; the audit log stops signing long before.
const MIN_FREE_BYTES: u64 = 16 * 1024 * 1024;
/// How often expired records are swept: often enough that the expiry index stays short.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Records removed in one transaction: keeps readers waiting for a few milliseconds at most.
const SWEEP_LIMIT: usize = 200;
/// Transactions in one sweep; what is left waits for the next minute.
const SWEEPS_AT_ONCE: usize = 500;
