//! The engine: sled's one tree, changed by one thread, and the sync that sled itself leaves out.

use crate::store::envelope::Envelope;
use crate::store::envelope::share;
use crate::store::layout;
use attest::clock::UnixSeconds;
use attest::store::Guard;
use attest::store::Key;
use attest::store::Rev;
use attest::store::StoreError;
use attest::store::Txn;
use attest::store::Versioned;
use attest::store::Write;
use sled::transaction::ConflictableTransactionError;
use sled::transaction::TransactionError;
use sled::transaction::TransactionalTree;
use sled::transaction::UnabortableTransactionError;
use std::fs::File;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// The open database and a second descriptor on its file.
pub(super) struct Engine {
    pub(super) db: sled::Db,
    pub(super) file: File,
    /// Values asked for one by one.
    pub(super) gets: AtomicUsize,
}

/// What is known about the whole store: written in every transaction, checked at every start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StoreState {
    /// Revision of the newest commit.
    pub(super) rev: u64,
    /// Records, the expiry index included.
    pub(super) records: u64,
    /// Sum of all records' shares: a lost, stale or invented record changes it.
    pub(super) sum: u128,
}

/// What became of one transaction.
pub(super) enum Applied {
    /// Nothing was to be written.
    Unchanged,
    /// Written, not yet durable.
    Changed(StoreState),
    /// A guard did not hold.
    Conflict,
}

/// Why a transaction could not be tried.
#[derive(Debug)]
pub(super) enum ApplyError {
    /// A record it touches is damaged; the others are not concerned.
    Damaged(StoreError),
    /// The engine failed: nothing may be written any more.
    Engine(String),
}

impl Engine {
    /// Applies `txn` as revision `rev` in one transaction of the engine; visible at once, durable after [`Self::sync`].
    pub(super) fn apply(
        &self,
        txn: &Txn,
        state: StoreState,
        rev: u64,
        now: UnixSeconds,
    ) -> Result<Applied, ApplyError> {
        let result = guarded(|| {
            self.db.transaction(|tree| {
                let mut change = Change { tree, state, rev };
                for guard in &txn.guards {
                    if !change.holds(guard, now)? {
                        return Err(ConflictableTransactionError::Abort(Abort::Conflict));
                    }
                }
                if txn.writes.is_empty() {
                    return Ok(None);
                }
                for write in &txn.writes {
                    change.write(write)?;
                }
                change.finish().map(Some)
            })
        });
        match result {
            Ok(Ok(Some(state))) => Ok(Applied::Changed(state)),
            Ok(Ok(None)) => Ok(Applied::Unchanged),
            Ok(Err(TransactionError::Abort(Abort::Conflict))) => Ok(Applied::Conflict),
            Ok(Err(TransactionError::Abort(Abort::Damaged(error)))) => {
                Err(ApplyError::Damaged(error))
            }
            Ok(Err(TransactionError::Storage(error))) => Err(ApplyError::Engine(error.to_string())),
            Err(panicked) => Err(ApplyError::Engine(panicked)),
        }
    }

    /// Removes up to `limit` records that are past their expiry; `None` when there are none.
    pub(super) fn sweep(
        &self,
        state: StoreState,
        rev: u64,
        now: UnixSeconds,
        limit: usize,
    ) -> Result<Option<StoreState>, ApplyError> {
        let due = guarded(|| self.due(now, limit))
            .and_then(|due| due.map_err(|error| error.to_string()))
            .map_err(ApplyError::Engine)?;
        if due.is_empty() {
            return Ok(None);
        }
        let result = guarded(|| {
            self.db.transaction(|tree| {
                let mut change = Change { tree, state, rev };
                for (at, key) in &due {
                    change.expire(*at, key)?;
                }
                change.finish()
            })
        });
        match result {
            Ok(Ok(state)) => Ok(Some(state)),
            Ok(Err(TransactionError::Abort(Abort::Damaged(error)))) => {
                Err(ApplyError::Damaged(error))
            }
            Ok(Err(TransactionError::Abort(Abort::Conflict))) => Ok(None),
            Ok(Err(TransactionError::Storage(error))) => Err(ApplyError::Engine(error.to_string())),
            Err(panicked) => Err(ApplyError::Engine(panicked)),
        }
    }

    /// Makes every change so far durable over power loss.
    ///
    /// sled's `flush` writes and calls `sync_file_range`, which reaches neither the journal nor the drive's cache; the
    /// `fdatasync` on a second descriptor of the same file does.
    pub(super) fn sync(&self) -> io::Result<()> {
        match guarded(|| self.db.flush()) {
            Ok(flushed) => flushed.map_err(io::Error::other)?,
            Err(panicked) => return Err(io::Error::other(panicked)),
        };
        self.file.sync_data()
    }

    /// The value of the caller's `key`, unless absent or expired.
    pub(super) fn get(
        &self,
        key: &[u8],
        now: UnixSeconds,
    ) -> Result<Option<Versioned>, StoreError> {
        let data_key = layout::data_key(key);
        if self.gets.fetch_add(1, Ordering::Relaxed).is_multiple_of(GETS_UNCOUNTED) {
            let counted = guarded(|| count_pages(&self.db, &data_key));
            counted
                .and_then(|counted| counted.map_err(|error| error.to_string()))
                .map_err(|error| damaged(&data_key, error))?;
        }
        match guarded(|| self.db.get(&data_key)) {
            Ok(Ok(None)) => Ok(None),
            Ok(Ok(Some(octets))) => {
                let envelope = open(&data_key, &octets)?;
                Ok((!envelope.is_expired(now))
                    .then_some(Versioned { value: envelope.value, rev: envelope.rev }))
            }
            Ok(Err(error)) => Err(unreadable(&data_key, &error)),
            Err(panicked) => Err(damaged(&data_key, panicked)),
        }
    }

    /// Up to `limit` values whose keys start with `prefix`, in key order, beginning behind `after`.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        now: UnixSeconds,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        let prefix = layout::data_key(prefix);
        let first = match after {
            // The key right behind `after` is `after` with one zero octet more.
            Some(after) => [&layout::data_key(after), [0].as_slice()].concat().max(prefix.clone()),
            None => prefix.clone(),
        };
        guarded(|| {
            let mut found = Vec::new();
            for (index, entry) in self.db.range(first..).enumerate() {
                if found.len() >= limit {
                    break;
                }
                let (key, octets) = entry.map_err(|error| unreadable(&prefix, &error))?;
                if !key.starts_with(&prefix) {
                    break;
                }
                if index.is_multiple_of(RECORDS_UNCOUNTED) {
                    count_pages(&self.db, &key).map_err(|error| unreadable(&key, &error))?;
                }
                let envelope = open(&key, &octets)?;
                if !envelope.is_expired(now) {
                    let versioned = Versioned { value: envelope.value, rev: envelope.rev };
                    found.push((layout::caller_key(&key).to_vec(), versioned));
                }
            }
            Ok(found)
        })
        .unwrap_or_else(|panicked| Err(damaged(&prefix, panicked)))
    }

    fn due(&self, now: UnixSeconds, limit: usize) -> sled::Result<Vec<(UnixSeconds, Vec<u8>)>> {
        let end = layout::expiry_key(UnixSeconds(now.0.saturating_add(1)), b"");
        self.db
            .range(layout::EXPIRY_PREFIX.to_vec()..end)
            .keys()
            .take(limit)
            .filter_map(|key| match key {
                Ok(key) => layout::parse_expiry_key(&key).map(|(at, key)| Ok((at, key.to_vec()))),
                Err(error) => Some(Err(error)),
            })
            .collect()
    }
}

impl StoreState {
    /// As it lies in the store: revision, records, sum, CRC-32 of these, big-endian.
    pub(super) fn encode(self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(36);
        octets.extend_from_slice(&self.rev.to_be_bytes());
        octets.extend_from_slice(&self.records.to_be_bytes());
        octets.extend_from_slice(&self.sum.to_be_bytes());
        octets.extend_from_slice(&crc32fast::hash(&octets).to_be_bytes());
        octets
    }

    /// `None` when `octets` are not what [`Self::encode`] made.
    pub(super) fn decode(octets: &[u8]) -> Option<Self> {
        let (content, crc) = octets.split_last_chunk::<4>()?;
        let (rev, rest) = content.split_first_chunk::<8>()?;
        let (records, sum) = rest.split_first_chunk::<8>()?;
        let sum: [u8; 16] = sum.try_into().ok()?;
        (crc32fast::hash(content) == u32::from_be_bytes(*crc)).then_some(Self {
            rev: u64::from_be_bytes(*rev),
            records: u64::from_be_bytes(*records),
            sum: u128::from_be_bytes(sum),
        })
    }

    /// Counts one record more.
    pub(super) fn add(&mut self, key: &[u8], sealed: &[u8]) {
        self.records = self.records.wrapping_add(1);
        self.sum = self.sum.wrapping_add(share(key, sealed));
    }

    fn remove(&mut self, key: &[u8], sealed: &[u8]) {
        self.records = self.records.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(share(key, sealed));
    }
}

/// One transaction under way.
struct Change<'a> {
    tree: &'a TransactionalTree,
    state: StoreState,
    rev: u64,
}

enum Abort {
    Conflict,
    Damaged(StoreError),
}

type ChangeResult<T> = Result<T, ConflictableTransactionError<Abort>>;

impl Change<'_> {
    fn holds(&self, guard: &Guard, now: UnixSeconds) -> ChangeResult<bool> {
        let (Guard::Absent(key) | Guard::Exists(key) | Guard::Rev(key, _)) = guard;
        let found = self.read(&layout::data_key(key))?;
        let found = found.map(|(_, envelope)| envelope).filter(|found| !found.is_expired(now));
        Ok(match guard {
            Guard::Absent(_) => found.is_none(),
            Guard::Exists(_) => found.is_some(),
            Guard::Rev(_, rev) => found.is_some_and(|found| found.rev == *rev),
        })
    }

    fn write(&mut self, write: &Write) -> ChangeResult<()> {
        match write {
            Write::Delete(key) => self.delete(key),
            Write::Put { key, value, expires } => {
                self.delete(key)?;
                let envelope =
                    Envelope { rev: Rev(self.rev), expires: *expires, value: value.clone() };
                self.insert(&layout::data_key(key), &envelope)?;
                match expires {
                    Some(at) => self.insert(&layout::expiry_key(*at, key), &self.empty()),
                    None => Ok(()),
                }
            }
        }
    }

    fn delete(&mut self, key: &[u8]) -> ChangeResult<()> {
        let expires = self.remove(&layout::data_key(key))?.and_then(|removed| removed.expires);
        if let Some(at) = expires {
            self.remove(&layout::expiry_key(at, key))?;
        }
        Ok(())
    }

    /// Removes what an index entry points to, if it still expires at that time, and the entry.
    fn expire(&mut self, at: UnixSeconds, key: &[u8]) -> ChangeResult<()> {
        let found = self.read(&layout::data_key(key))?;
        if found.is_some_and(|(_, envelope)| envelope.expires == Some(at)) {
            self.remove(&layout::data_key(key))?;
        }
        self.remove(&layout::expiry_key(at, key)).map(|_| ())
    }

    fn finish(mut self) -> ChangeResult<StoreState> {
        self.state.rev = self.rev;
        self.tree.insert(layout::STATE_KEY, self.state.encode())?;
        Ok(self.state)
    }

    fn empty(&self) -> Envelope {
        Envelope { rev: Rev(self.rev), expires: None, value: Vec::new() }
    }

    fn insert(&mut self, key: &[u8], envelope: &Envelope) -> ChangeResult<()> {
        let sealed = envelope.seal(key);
        self.state.add(key, &sealed);
        self.tree.insert(key, sealed)?;
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> ChangeResult<Option<Envelope>> {
        let Some((sealed, envelope)) = self.read(key)? else {
            return Ok(None);
        };
        self.state.remove(key, &sealed);
        self.tree.remove(key)?;
        Ok(Some(envelope))
    }

    fn read(&self, key: &[u8]) -> ChangeResult<Option<(sled::IVec, Envelope)>> {
        let sealed = self.tree.get(key).map_err(|error| match error {
            UnabortableTransactionError::Conflict => ConflictableTransactionError::Conflict,
            UnabortableTransactionError::Storage(error) => {
                ConflictableTransactionError::Abort(Abort::Damaged(unreadable(key, &error)))
            }
        })?;
        sealed
            .map(|sealed| match open(key, &sealed) {
                Ok(envelope) => Ok((sealed, envelope)),
                Err(error) => Err(ConflictableTransactionError::Abort(Abort::Damaged(error))),
            })
            .transpose()
    }
}

/// Has sled count the pages that it keeps in memory, and let go of the oldest where they are more than its cache may have.
///
/// sled 0.34 counts a page only when pages of the same shard, one of 256, were asked for 64 times since the last count. Left
/// alone it keeps many times its cache: sixteen records to a page, half a gigabyte of pages is read by then. So the page of
/// `key` is asked for as often as that.
pub(super) fn count_pages(db: &sled::Db, key: &[u8]) -> sled::Result<()> {
    for _ in 0..=SHARD_ACCESSES {
        db.contains_key(key)?;
    }
    Ok(())
}

/// Accesses that sled gathers before it counts.
const SHARD_ACCESSES: usize = 64;
/// Values asked for one by one between two counts, each from a page of its own: a count takes as long as reading some pages,
/// and each shard keeps as many pages more than it should.
const GETS_UNCOUNTED: usize = 16;
/// Records read in their order between two counts: some four pages.
pub(super) const RECORDS_UNCOUNTED: usize = 48;

/// Runs a call into sled; its panics become text, because it panics on some damaged pages.
pub(super) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        format!("the engine panicked: {}", text.unwrap_or("no reason given"))
    })
}

fn open(key: &[u8], octets: &[u8]) -> Result<Envelope, StoreError> {
    Envelope::open(key, octets).map_err(|error| damaged(key, error.to_string()))
}

fn unreadable(key: &[u8], error: &sled::Error) -> StoreError {
    damaged(key, error.to_string())
}

fn damaged(key: &[u8], reason: String) -> StoreError {
    StoreError::Damaged { key: layout::printable(key), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_with_a_flipped_bit_is_refused() {
        let encoded = StoreState { rev: 3, records: 2, sum: 1 << 100 }.encode();
        assert!(StoreState::decode(&encoded).is_some());
        for bit in 0..encoded.len() * 8 {
            let mut damaged = encoded.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(StoreState::decode(&damaged), None, "bit {bit}");
        }
    }

    #[test]
    fn sum_does_not_depend_on_the_order_and_returns_to_nothing() {
        let (mut one, mut other) = (StoreState::default(), StoreState::default());
        one.add(b"a", b"1");
        one.add(b"b", b"2");
        other.add(b"b", b"2");
        other.add(b"a", b"1");
        assert_eq!(one, other);
        one.remove(b"a", b"1");
        one.remove(b"b", b"2");
        assert_eq!(one, StoreState::default());
    }
}
