//! Connections that have not finished their handshake: bounded, and never in the way of an honest peer.
//!
//! Ten thousand half-open connections must not keep a healthy client out. When the place is full, who dawdles makes room
//! for who is new: first the oldest that has not sent an octet, then the oldest that has begun. An honest peer is through
//! in a few milliseconds; when nobody dawdles yet, new connections wait in the system's queue until somebody does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;
use tokio::sync::oneshot;

/// A connection that has not sent an octet for so long may be dropped for a new one.
const SILENT_FOR: Duration = Duration::from_millis(100);
/// A handshake that takes so long may be dropped for a new one.
const DAWDLES_FOR: Duration = Duration::from_millis(500);

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
pub(crate) struct Ticket {
    handshakes: Arc<Handshakes>,
    number: u64,
}

/// Ends when the place is lost.
pub(crate) type Evicted = oneshot::Receiver<()>;

impl Handshakes {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, places: Mutex::default() }
    }

    /// Takes a place, at the cost of another when there is none; `None` while nobody can be dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<(Ticket, Evicted)> {
        let mut places = self.lock();
        if places.silent.len() + places.talking.len() >= self.limit && !places.make_room() {
            return None;
        }
        let number = places.next;
        places.next += 1;
        let (evict, evicted) = oneshot::channel();
        places.silent.insert(number, Place { since: Instant::now(), _evict: evict });
        Some((Ticket { handshakes: Arc::clone(self), number }, evicted))
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
        let candidates = [(&mut self.silent, SILENT_FOR), (&mut self.talking, DAWDLES_FOR)];
        for (places, patience) in candidates {
            if let Some(oldest) = places.first_entry()
                && oldest.get().since.elapsed() >= patience
            {
                oldest.remove();
                return true;
            }
        }
        false
    }
}

impl Ticket {
    /// The first octet came in.
    pub(crate) fn talks(&self) {
        let mut places = self.handshakes.lock();
        if let Some(place) = places.silent.remove(&self.number) {
            places.talking.insert(self.number, place);
        }
    }
}

impl Drop for Ticket {
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
    use tokio::sync::oneshot::error::TryRecvError;

    fn handshakes(limit: usize) -> Arc<Handshakes> {
        Arc::new(Handshakes::new(limit))
    }

    #[test]
    fn silent_connection_makes_room_before_one_that_has_begun() {
        let handshakes = handshakes(2);
        let (begun, mut begun_evicted) = handshakes.enter().unwrap();
        let (silent, mut silent_evicted) = handshakes.enter().unwrap();
        begun.talks();
        std::thread::sleep(DAWDLES_FOR);
        let third = handshakes.enter().unwrap();
        assert_eq!(silent_evicted.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(begun_evicted.try_recv(), Err(TryRecvError::Empty));
        drop(silent);
        assert_eq!(handshakes.len(), 2);
        drop((begun, third));
        assert_eq!(handshakes.len(), 0);
    }

    #[test]
    fn nobody_is_dropped_before_its_time() {
        let handshakes = handshakes(1);
        let (begun, mut evicted) = handshakes.enter().unwrap();
        assert!(handshakes.enter().is_none());
        begun.talks();
        std::thread::sleep(SILENT_FOR);
        assert!(handshakes.enter().is_none());
        std::thread::sleep(DAWDLES_FOR);
        assert!(handshakes.enter().is_some());
        assert_eq!(evicted.try_recv(), Err(TryRecvError::Closed));
    }
}
