//! Connections after their handshake: how many there may be, and which one goes when there are too many.

use super::activity::Activity;
use super::counts::Counts;
use crate::rate::counted_as;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A connection that idles at least this long may be closed for a new one.
const MAY_BE_CLOSED_AFTER: Duration = Duration::from_secs(1);

/// The open connections of one listener.
#[derive(Debug)]
pub(crate) struct Connections {
    limit: usize,
    per_address: usize,
    stop: CancellationToken,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    all: HashMap<u64, Entry>,
    addresses: Counts<IpAddr>,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    activity: Arc<Activity>,
    close: CancellationToken,
}

/// A place among the connections, given up when dropped.
#[derive(Debug)]
pub(crate) struct Seat<'a> {
    connections: &'a Connections,
    number: u64,
    /// Set when the connection has to go: for another, or because the front stops.
    pub(crate) close: CancellationToken,
}

impl Connections {
    pub(crate) fn new(limit: usize, per_address: usize, stop: CancellationToken) -> Self {
        Self { limit, per_address, stop, open: Mutex::default() }
    }

    /// Takes a place. When the listener or the address is full, the connection that idles longest is closed for it;
    /// `None` when every one of them is at work.
    pub(crate) fn enter(&self, address: IpAddr, activity: Arc<Activity>) -> Option<Seat<'_>> {
        let address = counted_as(address);
        let mut open = self.lock();
        if open.addresses.of(&address) >= self.per_address && !open.close_idle(Some(address)) {
            return None;
        }
        if open.all.len() >= self.limit && !open.close_idle(None) {
            return None;
        }
        let number = open.next;
        open.next += 1;
        let close = self.stop.child_token();
        open.addresses.add(address);
        open.all.insert(number, Entry { address, activity, close: close.clone() });
        Some(Seat { connections: self, number, close })
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.lock().all.len()
    }

    // Counts are changed together with their entries by `Open::remove` only.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn close_idle(&mut self, of: Option<IpAddr>) -> bool {
        let candidates =
            self.all.iter().filter(|(_, entry)| of.is_none_or(|of| of == entry.address));
        let idlest = candidates.max_by_key(|(_, entry)| entry.activity.idle_for());
        let Some((number, entry)) = idlest else { return false };
        if entry.activity.idle_for() < MAY_BE_CLOSED_AFTER {
            return false;
        }
        let number = *number;
        self.remove(number);
        true
    }

    fn remove(&mut self, number: u64) {
        let Some(entry) = self.all.remove(&number) else { return };
        entry.close.cancel();
        self.addresses.remove(&entry.address);
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.connections.lock().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    #[test]
    fn busy_connections_are_never_closed_for_a_new_one() {
        let connections = Connections::new(1, 9, CancellationToken::new());
        let busy = Arc::new(Activity::new());
        busy.begin();
        let _seat = connections.enter(HERE, busy).unwrap();
        assert!(connections.enter(HERE, Arc::new(Activity::new())).is_none());
    }

    #[test]
    fn longest_idle_connection_is_closed_for_a_new_one() {
        let connections = Connections::new(2, 9, CancellationToken::new());
        let first = connections.enter(HERE, Arc::new(Activity::new())).unwrap();
        std::thread::sleep(MAY_BE_CLOSED_AFTER);
        let second = connections.enter(HERE, Arc::new(Activity::new())).unwrap();
        let third = connections.enter(HERE, Arc::new(Activity::new())).unwrap();
        assert!(first.close.is_cancelled());
        assert!(!second.close.is_cancelled() && !third.close.is_cancelled());
        assert_eq!(connections.len(), 2);
    }

    #[test]
    fn addresses_of_one_ipv6_link_share_a_limit() {
        let connections = Connections::new(9, 1, CancellationToken::new());
        let enter = |address: &str| {
            let busy = Activity::new();
            busy.begin();
            connections.enter(address.parse().unwrap(), Arc::new(busy))
        };
        let _first = enter("2001:db8:1:2::7").unwrap();
        assert!(enter("2001:db8:1:2:ffff::9").is_none());
        assert!(enter("2001:db8:1:3::7").is_some());
    }

    #[test]
    fn address_at_its_limit_does_not_close_connections_of_others() {
        let connections = Connections::new(9, 1, CancellationToken::new());
        let other = connections.enter(THERE, Arc::new(Activity::new())).unwrap();
        let own = connections.enter(HERE, Arc::new(Activity::new())).unwrap();
        assert!(connections.enter(HERE, Arc::new(Activity::new())).is_none());
        std::thread::sleep(MAY_BE_CLOSED_AFTER);
        let _new = connections.enter(HERE, Arc::new(Activity::new())).unwrap();
        assert!(own.close.is_cancelled() && !other.close.is_cancelled());
    }
}
