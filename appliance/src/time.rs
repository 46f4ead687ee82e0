//! The appliance's clock: the system's, but never behind the newest durable audit record.
//!
//! The floor is the time of the newest record in the audit log, so it survives a restart without a file of its own. A
//! clock a few seconds behind it (a time server correcting it) is read as the floor; one further behind is refused, and
//! with it every signature. A jump forward is believed, because ending sessions early is safe, and reported.

use attest::clock::Clock;
use attest::clock::ClockBehindFloor;
use attest::clock::UnixSeconds;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

/// The system's wall clock, or a test's.
pub trait WallClock: Send + Sync {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn unix_ms(&self) -> u64;
}

/// The system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemWallClock;

impl WallClock for SystemWallClock {
    fn unix_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The newest time that is durable; shared by the audit log, which moves it, and the clock, which obeys it.
#[derive(Clone, Debug, Default)]
pub struct TimeFloor(Arc<AtomicU64>);

impl TimeFloor {
    /// Milliseconds since 1970-01-01T00:00:00Z; 0 when nothing was recorded yet.
    pub fn unix_ms(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Moves it to the time of the record that is newest now.
    pub(crate) fn set(&self, unix_ms: u64) {
        self.0.store(unix_ms, Ordering::Release);
    }
}

/// How far the wall clock ran ahead of or behind the time that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeStep {
    /// Where it should have been, Unix milliseconds.
    pub from_ms: u64,
    /// Where it was, Unix milliseconds.
    pub to_ms: u64,
}

/// The one [`Clock`] of the daemon.
pub struct DurableClock {
    wall: Arc<dyn WallClock>,
    floor: TimeFloor,
    grace: Duration,
    /// Wall time and monotonic time at the last look for jumps.
    looked: Mutex<(u64, Instant)>,
}

impl DurableClock {
    /// A time server steps a clock by less than this in good order (chrony's default slews up to it): read as the floor.
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(5);
    /// Further off than this between two looks is a jump, not drift.
    pub const JUMP: Duration = Duration::from_secs(10);

    /// A clock over `wall` that never goes below `floor`, and reads up to `grace` behind it as the floor.
    pub fn new(wall: Arc<dyn WallClock>, floor: TimeFloor, grace: Duration) -> Self {
        let looked = Mutex::new((wall.unix_ms(), Instant::now()));
        Self { wall, floor, grace, looked }
    }

    /// Looks whether the wall clock jumped since the last look. Called every few seconds; a jump is recorded and alarmed.
    pub fn jumped(&self) -> Option<TimeStep> {
        let (wall_ms, now) = (self.wall.unix_ms(), Instant::now());
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let (before_ms, before) = std::mem::replace(&mut *looked, (wall_ms, now));
        let passed = millis(now.saturating_duration_since(before));
        let expected_ms = before_ms.saturating_add(passed);
        (wall_ms.abs_diff(expected_ms) > millis(Self::JUMP))
            .then_some(TimeStep { from_ms: expected_ms, to_ms: wall_ms })
    }

    /// The floor.
    pub fn floor(&self) -> UnixSeconds {
        UnixSeconds(self.floor.unix_ms() / 1000)
    }
}

impl Clock for DurableClock {
    fn now(&self) -> Result<UnixSeconds, ClockBehindFloor> {
        let (now_ms, floor_ms) = (self.wall.unix_ms(), self.floor.unix_ms());
        match floor_ms.saturating_sub(now_ms) > millis(self.grace) {
            true => Err(ClockBehindFloor { now: now_ms / 1000, floor: floor_ms / 1000 }),
            false => Ok(UnixSeconds(now_ms.max(floor_ms) / 1000)),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A wall clock set by hand.
    #[derive(Default)]
    pub(crate) struct SetWallClock(pub(crate) AtomicU64);

    impl WallClock for SetWallClock {
        fn unix_ms(&self) -> u64 {
            self.0.load(Ordering::Acquire)
        }
    }

    const START_MS: u64 = 1_795_411_200_000;

    fn clock() -> (Arc<SetWallClock>, TimeFloor, DurableClock) {
        let wall = Arc::new(SetWallClock(AtomicU64::new(START_MS)));
        let floor = TimeFloor::default();
        floor.set(START_MS);
        let shared: Arc<dyn WallClock> = Arc::<SetWallClock>::clone(&wall);
        let clock = DurableClock::new(shared, floor.clone(), DurableClock::DEFAULT_GRACE);
        (wall, floor, clock)
    }

    #[test]
    fn clock_within_the_grace_reads_as_the_floor_and_further_back_is_refused() {
        let (wall, _, clock) = clock();
        wall.0.store(START_MS - 5_000, Ordering::Release);
        assert_eq!(clock.now(), Ok(UnixSeconds(START_MS / 1000)));
        wall.0.store(START_MS - 5_001, Ordering::Release);
        assert!(clock.now().is_err());
    }

    #[test]
    fn clocks_of_1970_and_a_day_back_are_refused() {
        let (wall, floor, clock) = clock();
        for back in [0, START_MS - 25 * 3_600_000] {
            wall.0.store(back, Ordering::Release);
            let refused = ClockBehindFloor { now: back / 1000, floor: START_MS / 1000 };
            assert_eq!(clock.now(), Err(refused));
        }
        floor.set(0);
        assert!(clock.now().is_ok());
    }

    #[test]
    fn years_2038_and_2106_are_plain_times() {
        let (wall, _, clock) = clock();
        for seconds in [i32::MAX as u64 + 1, u64::from(u32::MAX) + 1] {
            wall.0.store(seconds * 1000, Ordering::Release);
            assert_eq!(clock.now(), Ok(UnixSeconds(seconds)));
        }
    }

    #[test]
    fn jump_is_reported_once_and_drift_is_not() {
        let (wall, _, clock) = clock();
        wall.0.store(START_MS + 9_000, Ordering::Release);
        assert_eq!(clock.jumped(), None);
        wall.0.store(START_MS + 9_000 + 25 * 3_600_000, Ordering::Release);
        let step = clock.jumped().unwrap();
        assert_eq!(step.to_ms, START_MS + 9_000 + 25 * 3_600_000);
        assert!(step.from_ms.abs_diff(START_MS + 9_000) < 5_000);
        assert_eq!(clock.jumped(), None);
        wall.0.store(START_MS, Ordering::Release);
        assert!(clock.jumped().is_some_and(|step| step.to_ms < step.from_ms));
    }
}
