//! Connections that have not finished their handshake: bounded, and never in the way of an honest peer.
//!
//! Ten thousand half-open connections must not keep a healthy client out. When the place is full, who dawdles makes room
//! for who is new: first the oldest that has not sent an octet, then the oldest that has begun. An honest peer is through
//! in a few milliseconds; when nobody dawdles yet, new connections wait in the system's queue until somebody does.
//!
//! One address cannot take every place. At its own limit it makes room for itself, and does not wait for that, so that
//! others need not wait behind it.

use super::counts::Counts;
use crate::rate::counted_as;
use std::collections::BTreeMap;
use std::net::IpAddr;
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
    per_address: usize,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    next: u64,
    silent: BTreeMap<u64, Place>,
    talking: BTreeMap<u64, Place>,
    addresses: Counts<IpAddr>,
}

#[derive(Debug)]
struct Place {
    since: Instant,
    address: IpAddr,
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
    pub(crate) fn new(limit: usize, per_address: usize) -> Self {
        Self { limit, per_address, places: Mutex::default() }
    }

    /// Takes a place, at the cost of another when there is none; `None` while the listener is full and nobody dawdles.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<(Ticket, Evicted)> {
        let address = counted_as(address);
        let mut places = self.lock();
        if places.addresses.of(&address) >= self.per_address
            && !places.make_room(Some(address), SILENT_FOR, DAWDLES_FOR)
        {
            // It has so many that its oldest goes at once: who is honest is among the newest, and soon through.
            places.make_room(Some(address), Duration::ZERO, Duration::ZERO);
        }
        if places.len() >= self.limit && !places.make_room(None, SILENT_FOR, DAWDLES_FOR) {
            return None;
        }
        let number = places.next;
        places.next += 1;
        let (evict, evicted) = oneshot::channel();
        let place = Place { since: Instant::now(), address, _evict: evict };
        places.addresses.add(address);
        places.silent.insert(number, place);
        Some((Ticket { handshakes: Arc::clone(self), number }, evicted))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.lock().len()
    }

    /// Drops the oldest, whatever it does: the process has run out of descriptors.
    pub(crate) fn evict_oldest(&self) {
        let mut places = self.lock();
        let oldest = places.silent.keys().chain(places.talking.keys()).next().copied();
        if let Some(oldest) = oldest {
            places.remove(oldest);
        }
    }

    // Places are counted and uncounted together with their entries, so a panic elsewhere leaves nothing torn.
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn len(&self) -> usize {
        self.silent.len() + self.talking.len()
    }

    /// Drops the oldest silent place, or else the oldest that has begun, of everybody or of one address.
    fn make_room(
        &mut self,
        of: Option<IpAddr>,
        silent_for: Duration,
        dawdles_for: Duration,
    ) -> bool {
        let oldest = |places: &BTreeMap<u64, Place>, patience| {
            let mut meant = places.iter().filter(|(_, at)| of.is_none_or(|of| of == at.address));
            let (number, place) = meant.next()?;
            (place.since.elapsed() >= patience).then_some(*number)
        };
        let oldest =
            oldest(&self.silent, silent_for).or_else(|| oldest(&self.talking, dawdles_for));
        oldest.is_some_and(|oldest| self.remove(oldest))
    }

    fn remove(&mut self, number: u64) -> bool {
        let place = self.silent.remove(&number).or_else(|| self.talking.remove(&number));
        if let Some(place) = &place {
            self.addresses.remove(&place.address);
        }
        place.is_some()
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
        self.handshakes.lock().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot::error::TryRecvError;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn handshakes(limit: usize, per_address: usize) -> Arc<Handshakes> {
        Arc::new(Handshakes::new(limit, per_address))
    }

    #[test]
    fn silent_connection_makes_room_before_one_that_has_begun() {
        let handshakes = handshakes(2, 9);
        let (begun, mut begun_evicted) = handshakes.enter(HERE).unwrap();
        let (silent, mut silent_evicted) = handshakes.enter(HERE).unwrap();
        begun.talks();
        std::thread::sleep(DAWDLES_FOR);
        let third = handshakes.enter(HERE).unwrap();
        assert_eq!(silent_evicted.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(begun_evicted.try_recv(), Err(TryRecvError::Empty));
        drop(silent);
        assert_eq!(handshakes.len(), 2);
        drop((begun, third));
        assert_eq!(handshakes.len(), 0);
        assert_eq!(handshakes.lock().addresses.of(&HERE), 0);
    }

    #[test]
    fn nobody_is_dropped_before_its_time() {
        let handshakes = handshakes(1, 9);
        let (begun, mut evicted) = handshakes.enter(HERE).unwrap();
        assert!(handshakes.enter(HERE).is_none());
        begun.talks();
        std::thread::sleep(SILENT_FOR);
        assert!(handshakes.enter(HERE).is_none());
        std::thread::sleep(DAWDLES_FOR);
        assert!(handshakes.enter(HERE).is_some());
        assert_eq!(evicted.try_recv(), Err(TryRecvError::Closed));
    }

    #[test]
    fn address_at_its_limit_loses_who_dawdles_before_who_has_just_come() {
        let handshakes = handshakes(9, 2);
        let (begun, mut begun_evicted) = handshakes.enter(HERE).unwrap();
        begun.talks();
        std::thread::sleep(DAWDLES_FOR);
        let (fresh, mut fresh_evicted) = handshakes.enter(HERE).unwrap();
        assert!(handshakes.enter(HERE).is_some());
        assert_eq!(begun_evicted.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(fresh_evicted.try_recv(), Err(TryRecvError::Empty));
        drop(fresh);
    }

    #[test]
    fn address_at_its_limit_makes_room_for_itself_and_for_nobody_else() {
        let handshakes = handshakes(9, 2);
        let (other, mut other_evicted) = handshakes.enter(THERE).unwrap();
        let (silent, mut silent_evicted) = handshakes.enter(HERE).unwrap();
        let (begun, mut begun_evicted) = handshakes.enter(HERE).unwrap();
        begun.talks();
        let (third, _) = handshakes.enter(HERE).unwrap();
        assert_eq!(silent_evicted.try_recv(), Err(TryRecvError::Closed));
        third.talks();
        assert!(handshakes.enter(THERE).is_some(), "others have places of their own");
        assert!(handshakes.enter(HERE).is_some());
        assert_eq!(begun_evicted.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(other_evicted.try_recv(), Err(TryRecvError::Empty));
        drop((other, silent));
    }
}
