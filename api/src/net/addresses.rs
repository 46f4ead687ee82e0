//! How many of something each address has.

use std::collections::HashMap;
use std::net::IpAddr;

/// Counts by address; an address that has nothing takes no room.
#[derive(Debug, Default)]
pub(crate) struct Addresses(HashMap<IpAddr, usize>);

impl Addresses {
    pub(crate) fn of(&self, address: IpAddr) -> usize {
        self.0.get(&address).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, address: IpAddr) {
        *self.0.entry(address).or_default() += 1;
    }

    pub(crate) fn remove(&mut self, address: IpAddr) {
        if let Some(count) = self.0.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(&address);
            }
        }
    }
}
