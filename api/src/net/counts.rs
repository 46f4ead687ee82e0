//! How many of something each peer has.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Counts by peer; who has nothing takes no room.
#[derive(Debug)]
pub(crate) struct Counts<K>(HashMap<K, usize>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Counts<K> {
    pub(crate) fn of<Q: Eq + Hash + ?Sized>(&self, peer: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        self.0.get(peer).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, peer: K) {
        *self.0.entry(peer).or_default() += 1;
    }

    pub(crate) fn remove<Q: Eq + Hash + ?Sized>(&mut self, peer: &Q)
    where
        K: Borrow<Q>,
    {
        if let Some(count) = self.0.get_mut(peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(peer);
            }
        }
    }
}

/// What one peer may have of something at once, whoever else wants it.
#[derive(Debug)]
pub(crate) struct Shares {
    each: usize,
    taken: Mutex<Counts<String>>,
}

/// One taken, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    shares: &'a Shares,
    peer: String,
}

impl Shares {
    pub(crate) fn new(each: usize) -> Self {
        Self { each, taken: Mutex::default() }
    }

    /// `None` when `peer` has all that one may have.
    pub(crate) fn take(&self, peer: &str) -> Option<Share<'_>> {
        let mut taken = self.lock();
        if taken.of(peer) >= self.each {
            return None;
        }
        taken.add(peer.to_owned());
        Some(Share { shares: self, peer: peer.to_owned() })
    }

    // A count is changed in one step, so a panic elsewhere leaves nothing torn.
    fn lock(&self) -> MutexGuard<'_, Counts<String>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.shares.lock().remove(self.peer.as_str());
    }
}
