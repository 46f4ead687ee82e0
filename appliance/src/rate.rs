//! Token buckets by name: how many requests a signing system, and how many sign-ins a holder, may make.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

/// Names remembered at once; past it, full buckets are forgotten first.
const MAX_NAMES: usize = 20_000;
/// Rest between two looks through a full table.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// The bucket of all names that find no place of their own; no name is empty.
const EVERYBODY_ELSE: &str = "";

struct Bucket {
    tokens: f64,
    filled_at: Instant,
    per_second: f64,
    burst: f64,
}

/// One bucket a name; each holds `burst` tokens and gains `per_second`.
#[derive(Default)]
pub struct RateLimiter {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    buckets: HashMap<String, Bucket>,
    swept_at: Option<Instant>,
}

impl RateLimiter {
    /// Takes one token of `name` at `now`.
    ///
    /// # Errors
    /// How long to wait for the next token.
    pub fn take(
        &self,
        name: &str,
        per_second: f64,
        burst: f64,
        now: Instant,
    ) -> Result<(), Duration> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let name = if table.has_place_for(name, now) { name } else { EVERYBODY_ELSE };
        let bucket = table.buckets.entry(name.to_owned()).or_insert(Bucket {
            tokens: burst,
            filled_at: now,
            per_second,
            burst,
        });
        (bucket.per_second, bucket.burst) = (per_second, burst);
        bucket.tokens = bucket.refilled(now);
        bucket.filled_at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64(((1.0 - bucket.tokens) / per_second.max(0.001)).min(3_600.0)))
    }
}

impl Table {
    fn has_place_for(&mut self, name: &str, now: Instant) -> bool {
        if self.buckets.len() < MAX_NAMES || self.buckets.contains_key(name) {
            return true;
        }
        if self.swept_at.is_none_or(|swept_at| now >= swept_at + SWEEP_EVERY) {
            self.buckets.retain(|_, bucket| bucket.refilled(now) < bucket.burst);
            self.swept_at = Some(now);
        }
        self.buckets.len() < MAX_NAMES
    }
}

impl Bucket {
    fn refilled(&self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.filled_at).as_secs_f64();
        (self.tokens + since * self.per_second).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_passes_and_the_next_one_waits() {
        let limiter = RateLimiter::default();
        let now = Instant::now();
        for _ in 0..10 {
            assert!(limiter.take("ehr", 5.0, 10.0, now).is_ok());
        }
        let wait = limiter.take("ehr", 5.0, 10.0, now).unwrap_err();
        assert!(wait <= Duration::from_millis(200));
        assert!(limiter.take("ehr", 5.0, 10.0, now + wait).is_ok());
    }

    #[test]
    fn full_table_forgets_a_name_by_its_own_rate_and_not_by_that_of_the_asker() {
        let limiter = RateLimiter::default();
        let now = Instant::now();
        for _ in 0..20 {
            assert!(limiter.take("slow", 0.1, 20.0, now).is_ok());
        }
        for name in 1..MAX_NAMES {
            assert!(limiter.take(&name.to_string(), 1.0, 1.0, now).is_ok());
        }
        let soon = now + Duration::from_secs(5);
        assert!(limiter.take("fast", 1_000.0, 1_000.0, soon).is_ok());
        assert!(limiter.take("slow", 0.1, 20.0, soon).is_err(), "its used-up tokens came back");
    }

    #[test]
    fn names_without_a_place_share_one_bucket_until_others_are_full_again() {
        let limiter = RateLimiter::default();
        let now = Instant::now();
        for name in 0..MAX_NAMES {
            assert!(limiter.take(&name.to_string(), 0.1, 1.0, now).is_ok());
        }
        assert!(limiter.take("a", 0.1, 1.0, now).is_ok());
        assert!(limiter.take("b", 0.1, 1.0, now).is_err(), "every new name brings a token");
        let later = now + Duration::from_secs(10);
        assert!(limiter.take("a", 0.1, 1.0, later).is_ok());
        assert!(limiter.take("b", 0.1, 1.0, later).is_ok());
    }

    #[test]
    fn one_name_does_not_use_up_anothers_tokens() {
        let limiter = RateLimiter::default();
        let now = Instant::now();
        assert!(limiter.take("a", 1.0, 1.0, now).is_ok());
        assert!(limiter.take("a", 1.0, 1.0, now).is_err());
        assert!(limiter.take("b", 1.0, 1.0, now).is_ok());
    }
}
