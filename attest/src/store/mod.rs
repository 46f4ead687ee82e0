//! A narrow key-value store that an embedded engine and etcd can both honour.
//!
//! Callers read, then [`commit`](Store::commit) with guards, and retry on [`Outcome::Conflict`]. No closure crosses the
//! trait: an engine might run it twice, another cannot run it at all.

pub mod memory;

use crate::clock::UnixSeconds;
use async_trait::async_trait;

/// A key: at most [`MAX_KEY_BYTES`], ordered bytewise, so that a prefix names a range.
pub type Key = Vec<u8>;

/// Longest key.
pub const MAX_KEY_BYTES: usize = 1024;
/// Longest value: values stay small so that the engine never writes blobs beside its log.
pub const MAX_VALUE_BYTES: usize = 96 * 1024;
/// Most guards and writes in one transaction (etcd's own limit is 128).
pub const MAX_TXN_OPS: usize = 100;

/// Revision of one key's value: changes at every write of that key, never repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rev(pub u64);

/// A value with the revision that a guard can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The octets stored.
    pub value: Vec<u8>,
    /// Their revision.
    pub rev: Rev,
}

/// What must hold for a transaction to be applied.
#[derive(Clone, Debug)]
pub enum Guard {
    /// Nothing is stored under the key.
    Absent(Key),
    /// The key's value still has this revision.
    Rev(Key, Rev),
    /// Something is stored under the key.
    Exists(Key),
}

/// One change.
#[derive(Clone, Debug)]
pub enum Write {
    /// Stores `value`; after `expires` it reads as absent and is swept.
    Put {
        /// Where.
        key: Key,
        /// What.
        value: Vec<u8>,
        /// Until when.
        expires: Option<UnixSeconds>,
    },
    /// Removes the key; removing what is absent is no error.
    Delete(Key),
}

/// All guards hold and all writes are applied, or nothing is.
#[derive(Clone, Debug, Default)]
pub struct Txn {
    /// Conditions.
    pub guards: Vec<Guard>,
    /// Changes.
    pub writes: Vec<Write>,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Applied and durable over power loss.
    Committed,
    /// A guard did not hold; nothing changed.
    Conflict,
}

/// Why the store did not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Too long a key or value, or too many operations: our own fault.
    #[error("a store limit is exceeded: {0}")]
    Limit(&'static str),
    /// The store stopped after a failed write or sync; it never retries one into success.
    #[error("the store has stopped: {0}")]
    Stopped(String),
    /// The queue of writes is full; safe to retry.
    #[error("the store is busy")]
    Busy,
    /// What was read cannot be what was written.
    #[error("the store returned a damaged record under {key}: {reason}")]
    Damaged {
        /// The key, printable.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The store. Reads see every committed change (linearizable); `Ok(Committed)` means durable.
#[async_trait]
pub trait Store: Send + Sync {
    /// The value under `key`, unless absent or expired.
    async fn get(&self, key: &[u8]) -> Result<Option<Versioned>, StoreError>;

    /// Up to `limit` entries whose keys start with `prefix`, in key order, beginning behind `after`.
    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError>;

    /// Applies `txn` if its guards hold.
    async fn commit(&self, txn: Txn) -> Result<Outcome, StoreError>;
}
