//! What a connection is doing: how many requests it has, and since when it has none.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

/// Requests of one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    opened: Instant,
    requests: AtomicU32,
    begun: AtomicU64,
    /// Milliseconds after `opened`.
    idle_since: AtomicU64,
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self {
            opened: Instant::now(),
            requests: AtomicU32::new(0),
            begun: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
        }
    }

    /// A request head is complete.
    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::AcqRel);
        self.requests.fetch_add(1, Ordering::AcqRel);
    }

    /// Requests since the connection was opened.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    /// A request is answered.
    pub(crate) fn end(&self) {
        self.idle_since.store(self.now(), Ordering::Release);
        self.requests.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether a request is being answered.
    pub(crate) fn is_busy(&self) -> bool {
        self.requests.load(Ordering::Acquire) != 0
    }

    /// How long nothing was asked; zero while something is being answered.
    pub(crate) fn idle_for(&self) -> Duration {
        if self.is_busy() {
            return Duration::ZERO;
        }
        let idle_since = self.idle_since.load(Ordering::Acquire);
        Duration::from_millis(self.now().saturating_sub(idle_since))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
