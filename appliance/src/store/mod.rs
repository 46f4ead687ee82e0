//! The store on one appliance: sled behind an adapter that makes what it acknowledges durable.
//!
//! One tree, one writer thread. The thread drains its queue, evaluates the guards of every transaction inside one
//! transaction of the engine, then flushes, calls `fdatasync` on a descriptor of its own, and only then answers
//! (measured: sled's own `flush` loses acknowledged writes at a power cut, this does not). A write or sync that
//! fails, or does not end, stops the store for good. Every record carries a check sum and a revision, and every commit leaves a sum over all records,
//! so that a store that lost, kept too long or made up a record is refused when it is opened.

mod engine;
mod envelope;
mod floor;
mod layout;
mod metrics;
mod open;
mod writer;

pub use crate::store::metrics::StoreMetrics;
pub use crate::store::open::StoreConfig;
pub use crate::store::open::StoreOpenError;

use crate::queue::PutError;
use crate::store::writer::Job;
use crate::store::writer::Shared;
use async_trait::async_trait;
use attest::store::Guard;
use attest::store::Key;
use attest::store::MAX_KEY_BYTES;
use attest::store::MAX_TXN_OPS;
use attest::store::MAX_VALUE_BYTES;
use attest::store::Outcome;
use attest::store::Store;
use attest::store::StoreError;
use attest::store::Txn;
use attest::store::Versioned;
use attest::store::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;
use tokio::sync::oneshot;

/// The embedded store. Dropping it writes what waits and ends the writer thread.
pub struct SledStore {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    commit_timeout: Duration,
}

impl SledStore {
    fn new(shared: Arc<Shared>, thread: JoinHandle<()>, commit_timeout: Duration) -> Self {
        Self { shared, thread: Mutex::new(Some(thread)), commit_timeout }
    }

    /// Why it stopped, once it has: a failed write or sync, never undone before a restart.
    pub fn stopped(&self) -> Option<&str> {
        self.shared.stopped.get().map(String::as_str)
    }

    /// What operators see of it.
    pub fn metrics(&self) -> &StoreMetrics {
        &self.shared.metrics
    }

    /// Writes what waits, syncs, ends the writer thread. Later calls are answered [`StoreError::Stopped`].
    ///
    /// # Blocking
    /// For one commit. A thread that hangs inside the engine is left behind.
    pub fn close(&self) {
        self.shared.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let patience = match self.stopped() {
            Some(_) => Duration::from_secs(1),
            None => self.commit_timeout,
        };
        let until = Instant::now() + patience;
        while let Some(thread) = &thread
            && !thread.is_finished()
            && Instant::now() < until
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for a step of a commit; one that does not end in time stops the store.
    async fn in_time<T>(&self, step: impl Future<Output = T>) -> Result<T, StoreError> {
        if let Ok(done) = tokio::time::timeout(self.commit_timeout, step).await {
            return Ok(done);
        }
        self.shared.stop(format!("a commit did not end within {:?}", self.commit_timeout));
        Err(self.shared.stopped_error().unwrap_or(StoreError::Stopped(String::new())))
    }

    /// Waits until revision `rev` is durable: what is answered must not be undone by a power cut.
    async fn durable(&self, rev: u64) -> Result<(), StoreError> {
        if *self.shared.durable.borrow() >= rev {
            return Ok(());
        }
        let mut durable = self.shared.durable.subscribe();
        let reached =
            durable.wait_for(|durable| *durable >= rev || self.shared.stopped.get().is_some());
        let reached = self.in_time(reached).await?.map(|durable| *durable >= rev);
        match reached {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => {
                Err(self.shared.stopped_error().unwrap_or(StoreError::Stopped(String::new())))
            }
        }
    }

    fn working(&self) -> Result<(), StoreError> {
        self.shared.stopped_error().map_or(Ok(()), Err)
    }

    fn note<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Damaged { .. }) = &result {
            self.shared.metrics.damaged.inc();
        }
        result
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.close();
    }
}

#[async_trait]
impl Store for SledStore {
    async fn get(&self, key: &[u8]) -> Result<Option<Versioned>, StoreError> {
        self.working()?;
        check_key(key)?;
        let found = self.note(self.shared.engine.get(key, self.shared.now()))?;
        // Absence may be the work of the newest commit.
        let seen = found
            .as_ref()
            .map_or_else(|| self.shared.visible.load(Ordering::Acquire), |found| found.rev.0);
        self.durable(seen).await?;
        Ok(found)
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        self.working()?;
        if prefix.len() > MAX_KEY_BYTES {
            return Err(StoreError::Limit("a prefix is too long"));
        }
        let (found, seen) = {
            let _whole = self.in_time(self.shared.applying.read()).await?;
            let found = self.shared.engine.scan(prefix, after, limit, self.shared.now());
            (found, self.shared.visible.load(Ordering::Acquire))
        };
        let found = self.note(found)?;
        self.durable(seen).await?;
        Ok(found)
    }

    async fn commit(&self, txn: Txn) -> Result<Outcome, StoreError> {
        self.working()?;
        check_limits(&txn)?;
        let (answer, answered) = oneshot::channel();
        match self.shared.queue.put(Job { txn, answer }) {
            Ok(()) => self.shared.metrics.queue_depth.inc(),
            Err(PutError::Full) => return Err(StoreError::Busy),
            Err(PutError::Closed) => {
                self.working()?;
                return Err(StoreError::Stopped("it is closing".to_owned()));
            }
        }
        self.in_time(answered).await?.unwrap_or_else(|_| {
            self.working()?;
            Err(StoreError::Stopped("its writer thread ended".to_owned()))
        })
    }
}

fn check_limits(txn: &Txn) -> Result<(), StoreError> {
    if txn.guards.len() + txn.writes.len() > MAX_TXN_OPS {
        return Err(StoreError::Limit("a transaction has too many guards and writes"));
    }
    for guard in &txn.guards {
        let (Guard::Absent(key) | Guard::Exists(key) | Guard::Rev(key, _)) = guard;
        check_key(key)?;
    }
    for write in &txn.writes {
        match write {
            Write::Delete(key) => check_key(key)?,
            Write::Put { key, value, .. } => {
                check_key(key)?;
                if value.len() > MAX_VALUE_BYTES {
                    return Err(StoreError::Limit("a value is too long"));
                }
            }
        }
    }
    Ok(())
}

fn check_key(key: &[u8]) -> Result<(), StoreError> {
    match key.len() {
        0 => Err(StoreError::Limit("a key is empty")),
        1..=MAX_KEY_BYTES => Ok(()),
        _ => Err(StoreError::Limit("a key is too long")),
    }
}
