//! What operators and Prometheus see of the pool.

use crate::login::PinState;
use crate::token::TokenFacts;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Whether the pool can sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HsmState {
    /// It signs.
    Serving,
    /// The token is not reachable and is tried again; requests are refused at once.
    Down {
        /// The last error.
        reason: String,
    },
    /// The token refused the PIN: a person has to act.
    PinRefused,
    /// It was shut down.
    ShutDown,
}

/// A snapshot of the pool.
#[derive(Clone, Debug)]
pub struct HsmStatus {
    /// Whether it can sign.
    pub state: HsmState,
    /// Token and module, as of the last successful connection.
    pub token: TokenFacts,
    /// Where the PIN stands.
    pub pin: PinState,
    /// Sessions that can sign.
    pub sessions_live: usize,
    /// Sessions whose call has not come back within the deadline.
    pub sessions_hung: usize,
    /// Signatures that wait.
    pub queue_depth: usize,
    /// Signatures that may wait.
    pub queue_capacity: usize,
    /// Holders' keys in service.
    pub keys_in_service: usize,
    /// The last error of the token, printable.
    pub last_error: Option<String>,
    /// Counters since start.
    pub counters: HsmCounters,
}

/// Counters since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HsmCounters {
    /// Uses of a key that succeeded: holders' signatures, house signatures and MACs.
    pub operations: u64,
    /// Uses that failed at the token.
    pub failures: u64,
    /// Requests refused because the queue was full.
    pub busy: u64,
    /// Requests whose deadline passed.
    pub deadlines: u64,
    /// Jobs dropped unsigned because nobody waited for them any more.
    pub abandoned: u64,
    /// Jobs repeated in a new session.
    pub session_retries: u64,
    /// Re-initialisations of the module, tried.
    pub reinitialisations: u64,
    /// Sessions that hung at some time.
    pub hangs: u64,
    /// Keys refused by the audit.
    pub keys_refused: u64,
}

/// Counters and the last error as the threads keep them.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) operations: Counter,
    pub(crate) failures: Counter,
    pub(crate) busy: Counter,
    pub(crate) deadlines: Counter,
    pub(crate) abandoned: Counter,
    pub(crate) session_retries: Counter,
    pub(crate) reinitialisations: Counter,
    pub(crate) hangs: Counter,
    pub(crate) keys_refused: Counter,
    last_error: Mutex<Option<String>>,
}

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn note_error(&self, error: &impl std::fmt::Display) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn snapshot(&self) -> HsmCounters {
        HsmCounters {
            operations: self.operations.value(),
            failures: self.failures.value(),
            busy: self.busy.value(),
            deadlines: self.deadlines.value(),
            abandoned: self.abandoned.value(),
            session_retries: self.session_retries.value(),
            reinitialisations: self.reinitialisations.value(),
            hangs: self.hangs.value(),
            keys_refused: self.keys_refused.value(),
        }
    }
}
