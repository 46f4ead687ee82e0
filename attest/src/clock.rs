//! Time as the gate sees it: seconds since 1970-01-01T00:00:00Z, never below the durable floor.

use serde::Deserialize;
use serde::Serialize;
use std::fmt;
use std::time::Duration;
use std::time::SystemTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Seconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixSeconds(pub u64);

impl UnixSeconds {
    /// The instant `duration` (whole seconds) later; saturates.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// Whole seconds from `self` until `later`; 0 when that has passed.
    pub fn seconds_until(self, later: Self) -> u64 {
        later.0.saturating_sub(self.0)
    }
}

/// RFC 3339, UTC.
impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = i64::try_from(self.0).ok();
        let time = time.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        match time.and_then(|time| time.format(&Rfc3339).ok()) {
            Some(text) => f.write_str(&text),
            None => write!(f, "{}", self.0),
        }
    }
}

impl From<SystemTime> for UnixSeconds {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
    }
}

/// The time could not be trusted: the clock stands before what was already recorded.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the clock says {now}, which is before {floor}, the newest time already recorded")]
pub struct ClockBehindFloor {
    /// What the clock says, Unix seconds.
    pub now: u64,
    /// The newest durable time, Unix seconds.
    pub floor: u64,
}

/// Where the time comes from. The daemon has one implementation, with a durable floor; tests set theirs by hand.
pub trait Clock: Send + Sync {
    /// The time now.
    ///
    /// # Errors
    /// [`ClockBehindFloor`] when the clock went back behind the last durable record; nothing is signed then.
    fn now(&self) -> Result<UnixSeconds, ClockBehindFloor>;
}
