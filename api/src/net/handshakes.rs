//! Connections that have not finished their handshake: bounded, and never in the way of an honest peer.
//!
//! Ten thousand half-open connections must not keep a healthy client out. Who is silent makes room for who is new: when
//! the place is full, the oldest connection that has not sent an octet is dropped, then the oldest that dawdles.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;
use tokio::sync::oneshot;

/// A handshake that takes longer than this may be dropped for a new one.
const DAWDLES_AFTER: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct Handshakes {
    limit: usize,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    next: u64,
    silent: BTreeMap<u64, Place>,
    talking: BTreeMap<u64, Place>,
}

#[derive(Debug)]
struct Place {
    since: Instant,
    /// Dropping it tells the connection's task that it was evicted.
    _evict: oneshot::Sender<()>,
}

/// A place among the handshakes, given up when dropped.
#[derive(Debug)]
pub(crate) struct Ticket<'a> {
    handshakes: &'a Handshakes,
    number: u64,
}

/// Ends when the place is lost.
pub(crate) type Evicted = oneshot::Receiver<()>;

impl Handshakes {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, places: Mutex::default() }
    }

    /// Takes a place, at the cost of another when there is none.
    pub(crate) fn enter(&self) -> Option<(Ticket<'_>, Evicted)> {
        let mut places = self.lock();
        if places.silent.len() + places.talking.len() >= self.limit && !places.make_room() {
            return None;
        }
        let number = places.next;
        places.next += 1;
        let (evict, evicted) = oneshot::channel();
        places.silent.insert(number, Place { since: Instant::now(), _evict: evict });
        Some((Ticket { handshakes: self, number }, evicted))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let places = self.lock();
        places.silent.len() + places.talking.len()
    }

    /// Drops the oldest, whatever it does: the process has run out of descriptors.
    pub(crate) fn evict_oldest(&self) {
        let mut places = self.lock();
        if places.silent.pop_first().is_none() {
            places.talking.pop_first();
        }
    }

    // Whole entries only are inserted and removed, so a panic elsewhere leaves nothing torn.
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn make_room(&mut self) -> bool {
        if self.silent.pop_first().is_some() {
            return true;
        }
        let dawdles = |place: &Place| place.since.elapsed() >= DAWDLES_AFTER;
        match self.talking.first_entry() {
            Some(oldest) if dawdles(oldest.get()) => {
                oldest.remove();
                true
            }
            _ => false,
        }
    }
}

impl Ticket<'_> {
    /// The first octet came in.
    pub(crate) fn talks(&self) {
        let mut places = self.handshakes.lock();
        if let Some(place) = places.silent.remove(&self.number) {
            places.talking.insert(self.number, place);
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut places = self.handshakes.lock();
        if places.silent.remove(&self.number).is_none() {
            places.talking.remove(&self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_silent_connection_makes_room() {
        let handshakes = Handshakes::new(2);
        let (first, mut first_evicted) = handshakes.enter().unwrap();
        let (second, mut second_evicted) = handshakes.enter().unwrap();
        first.talks();
        let third = handshakes.enter().unwrap();
        assert!(second_evicted.try_recv() == Err(oneshot::error::TryRecvError::Closed));
        assert!(first_evicted.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        drop(second);
        assert_eq!(handshakes.len(), 2);
        drop((first, third));
        assert_eq!(handshakes.len(), 0);
    }

    #[test]
    fn talking_connections_keep_a_new_one_out_until_they_dawdle() {
        let handshakes = Handshakes::new(1);
        let (slow, mut slow_evicted) = handshakes.enter().unwrap();
        slow.talks();
        assert!(handshakes.enter().is_none());
        std::thread::sleep(DAWDLES_AFTER);
        assert!(handshakes.enter().is_some());
        assert!(slow_evicted.try_recv() == Err(oneshot::error::TryRecvError::Closed));
    }
}
