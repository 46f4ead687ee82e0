//! The index that answers retries: which record answered a request with this idempotency key, over a restart too.
//!
//! Kept by the hour, so that what is too old is dropped whole; rebuilt at start from the segments of the window only.

use crate::audit::signature::Idempotency;
use std::collections::HashMap;
use std::collections::VecDeque;

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) seq: u64,
    /// Number of the first record in its segment.
    pub(super) segment: u64,
    /// Offset of its frame.
    pub(super) offset: u32,
}

/// The first half of the scope's SHA-256; the record itself has the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RetryKey([u8; 16]);

impl RetryKey {
    pub(super) fn of(idempotency: &Idempotency) -> Option<Self> {
        Self::of_scope(&idempotency.scope.0)
    }

    pub(super) fn of_scope(scope: &str) -> Option<Self> {
        let half = scope.get(..32)?;
        hex::decode(half).ok()?.try_into().ok().map(Self)
    }
}

/// The index.
pub(super) struct RetryIndex {
    /// Newest hour first.
    hours: VecDeque<(u64, HashMap<RetryKey, Location>)>,
    window_hours: u64,
    limit: usize,
}

impl RetryIndex {
    /// Keeps keys for `window_hours` at least, and at most `limit` of them.
    pub(super) fn new(window_hours: u64, limit: usize) -> Self {
        Self { hours: VecDeque::new(), window_hours, limit }
    }

    /// Notes that the record at `location`, taken at `time_ms`, answers `key`.
    pub(super) fn insert(&mut self, key: RetryKey, location: Location, time_ms: u64) {
        let hour = time_ms / HOUR_MS;
        if self.hours.front().is_none_or(|(newest, _)| hour > *newest) {
            self.hours.push_front((hour, HashMap::new()));
            let oldest = hour.saturating_sub(self.window_hours);
            self.hours.retain(|(hour, _)| *hour >= oldest);
        }
        while self.len() >= self.limit && self.hours.len() > 1 {
            self.hours.pop_back();
        }
        if self.len() < self.limit
            && let Some((_, keys)) = self.hours.front_mut()
        {
            keys.insert(key, location);
        }
    }

    /// Where the newest record for `key` lies.
    pub(super) fn get(&self, key: RetryKey) -> Option<Location> {
        self.hours.iter().find_map(|(_, keys)| keys.get(&key).copied())
    }

    /// Keys known.
    pub(super) fn len(&self) -> usize {
        self.hours.iter().map(|(_, keys)| keys.len()).sum()
    }
}

const HOUR_MS: u64 = 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> RetryKey {
        RetryKey([number; 16])
    }

    fn at(seq: u64) -> Location {
        Location { seq, segment: 0, offset: 0 }
    }

    #[test]
    fn key_is_kept_for_the_whole_window_and_dropped_after_it() {
        let mut index = RetryIndex::new(24, 100);
        index.insert(key(1), at(1), HOUR_MS - 1);
        index.insert(key(2), at(2), 24 * HOUR_MS);
        assert_eq!(index.get(key(1)), Some(at(1)));
        index.insert(key(3), at(3), 25 * HOUR_MS);
        assert_eq!(index.get(key(1)), None);
        assert_eq!(index.get(key(2)), Some(at(2)));
    }

    #[test]
    fn newest_record_for_a_key_answers() {
        let mut index = RetryIndex::new(24, 100);
        index.insert(key(1), at(1), 0);
        index.insert(key(1), at(2), HOUR_MS);
        assert_eq!(index.get(key(1)), Some(at(2)));
    }

    #[test]
    fn limit_drops_the_oldest_hours_first() {
        let mut index = RetryIndex::new(24, 2);
        index.insert(key(1), at(1), 0);
        index.insert(key(2), at(2), HOUR_MS);
        index.insert(key(3), at(3), HOUR_MS);
        assert_eq!((index.get(key(1)), index.len()), (None, 2));
        assert_eq!(index.get(key(3)), Some(at(3)));
    }
}
