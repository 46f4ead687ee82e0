//! A store in memory: the reference that the conformance tests compare engines with. Not durable; never used by the daemon.

use super::Guard;
use super::Key;
use super::MAX_KEY_BYTES;
use super::MAX_TXN_OPS;
use super::MAX_VALUE_BYTES;
use super::Outcome;
use super::Rev;
use super::Store;
use super::StoreError;
use super::Txn;
use super::Versioned;
use super::Write;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

#[derive(Default)]
struct Inner {
    entries: BTreeMap<Key, Versioned>,
    rev: u64,
}

/// See the module.
#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

impl MemoryStore {
    /// The stored octets, for tests that look underneath.
    pub fn raw(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.lock().entries.get(key).map(|entry| entry.value.clone())
    }

    /// Stores octets past every check, as somebody with the disk in hand would.
    pub fn danger_put_raw(&self, key: &[u8], value: Vec<u8>) {
        self.lock().put(key.to_vec(), value);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn put(&mut self, key: Key, value: Vec<u8>) {
        self.rev += 1;
        self.entries.insert(key, Versioned { value, rev: Rev(self.rev) });
    }

    fn holds(&self, guard: &Guard) -> bool {
        match guard {
            Guard::Absent(key) => !self.entries.contains_key(key),
            Guard::Exists(key) => self.entries.contains_key(key),
            Guard::Rev(key, rev) => self.entries.get(key).is_some_and(|entry| entry.rev == *rev),
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &[u8]) -> Result<Option<Versioned>, StoreError> {
        Ok(self.lock().entries.get(key).cloned())
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        let inner = self.lock();
        let start = after.unwrap_or(prefix).to_vec();
        let in_range = inner.entries.range(start..).take_while(|(key, _)| key.starts_with(prefix));
        let behind = in_range.filter(|(key, _)| after.is_none_or(|after| key.as_slice() > after));
        Ok(behind.take(limit).map(|(key, entry)| (key.clone(), entry.clone())).collect())
    }

    async fn commit(&self, txn: Txn) -> Result<Outcome, StoreError> {
        check_limits(&txn)?;
        let mut inner = self.lock();
        if !txn.guards.iter().all(|guard| inner.holds(guard)) {
            return Ok(Outcome::Conflict);
        }
        for write in txn.writes {
            match write {
                Write::Put { key, value, .. } => inner.put(key, value),
                Write::Delete(key) => drop(inner.entries.remove(&key)),
            }
        }
        Ok(Outcome::Committed)
    }
}

/// The limits that every engine keeps.
///
/// # Errors
/// [`StoreError::Limit`] with the limit exceeded.
pub fn check_limits(txn: &Txn) -> Result<(), StoreError> {
    if txn.guards.len() + txn.writes.len() > MAX_TXN_OPS {
        return Err(StoreError::Limit("too many operations in one transaction"));
    }
    let keys = txn.guards.iter().map(|guard| match guard {
        Guard::Absent(key) | Guard::Exists(key) | Guard::Rev(key, _) => key,
    });
    let written = txn.writes.iter().map(|write| match write {
        Write::Put { key, .. } | Write::Delete(key) => key,
    });
    if keys.chain(written).any(|key| key.is_empty() || key.len() > MAX_KEY_BYTES) {
        return Err(StoreError::Limit("a key is empty or too long"));
    }
    let too_long =
        |write: &Write| matches!(write, Write::Put { value, .. } if value.len() > MAX_VALUE_BYTES);
    match txn.writes.iter().any(too_long) {
        true => Err(StoreError::Limit("a value is too long")),
        false => Ok(()),
    }
}
