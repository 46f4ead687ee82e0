//! Requests a second, by name: one bucket for each signing system, holder or certificate.

use governor::DefaultDirectRateLimiter;
use governor::Quota;
use governor::RateLimiter;
use governor::clock::Clock;
use governor::clock::DefaultClock;
use std::collections::HashMap;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::Duration;

/// Names remembered at once. Names come from registrations and checked certificates, so this is a backstop.
const NAMES: usize = 10_000;

/// Rate limits with a rate for each name. A burst of one second's worth is let through.
#[derive(Debug, Default)]
pub struct RateLimits {
    buckets: RwLock<HashMap<String, Bucket>>,
}

#[derive(Clone, Debug)]
struct Bucket {
    per_second: NonZeroU32,
    limiter: Arc<DefaultDirectRateLimiter>,
}

impl RateLimits {
    /// Takes one request of `name`, who may ask `per_second` times a second; 0 stands for no limit.
    ///
    /// # Errors
    /// How long to wait, when the second is used up.
    pub fn take(&self, name: &str, per_second: u32) -> Result<(), Duration> {
        let Some(per_second) = NonZeroU32::new(per_second) else { return Ok(()) };
        let bucket = self.known(name, per_second).unwrap_or_else(|| self.open(name, per_second));
        bucket
            .limiter
            .check()
            .map_err(|refused| refused.wait_time_from(DefaultClock::default().now()))
    }

    fn known(&self, name: &str, per_second: NonZeroU32) -> Option<Bucket> {
        let buckets = self.buckets.read().unwrap_or_else(PoisonError::into_inner);
        buckets.get(name).filter(|bucket| bucket.per_second == per_second).cloned()
    }

    fn open(&self, name: &str, per_second: NonZeroU32) -> Bucket {
        let mut buckets = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(name).filter(|bucket| bucket.per_second == per_second) {
            return bucket.clone();
        }
        if buckets.len() >= NAMES {
            buckets.clear();
        }
        let limiter = Arc::new(RateLimiter::direct(Quota::per_second(per_second)));
        let bucket = Bucket { per_second, limiter };
        buckets.insert(name.to_owned(), bucket.clone());
        bucket
    }
}

/// As whom an address counts where there is a limit for each address: an IPv6 address as its /64, since whoever has one
/// address of a link has all of it (RFC 4291, section 2.5.4; RFC 8981).
#[must_use]
pub fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_counts_as_itself_in_ipv4_and_as_its_link_in_ipv6() {
        let as_whom = |address: &str| counted_as(address.parse().unwrap()).to_string();
        assert_eq!(as_whom("192.0.2.7"), "192.0.2.7");
        assert_eq!(as_whom("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(as_whom("2001:db8:1:2:aaaa::7"), "2001:db8:1:2::");
        assert_eq!(as_whom("2001:db8:1:2:bbbb::9"), "2001:db8:1:2::");
        assert_eq!(as_whom("2001:db8:1:3::7"), "2001:db8:1:3::");
    }

    #[test]
    fn request_past_the_rate_is_told_how_long_to_wait() {
        let limits = RateLimits::default();
        for _ in 0..5 {
            assert_eq!(limits.take("ehr", 5), Ok(()));
        }
        let wait = limits.take("ehr", 5).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(200), "{wait:?}");
    }

    #[test]
    fn names_do_not_share_a_bucket() {
        let limits = RateLimits::default();
        assert_eq!(limits.take("a", 1), Ok(()));
        assert!(limits.take("a", 1).is_err());
        assert_eq!(limits.take("b", 1), Ok(()));
    }

    #[test]
    fn changed_rate_is_in_force_at_once() {
        let limits = RateLimits::default();
        assert_eq!(limits.take("a", 1), Ok(()));
        assert!(limits.take("a", 1).is_err());
        assert_eq!(limits.take("a", 2), Ok(()));
        assert_eq!(limits.take("a", 2), Ok(()));
        assert!(limits.take("a", 2).is_err());
    }

    #[test]
    fn zero_stands_for_no_limit() {
        let limits = RateLimits::default();
        assert!((0..10_000).all(|_| limits.take("a", 0).is_ok()));
    }
}
