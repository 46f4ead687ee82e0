//! When an answer may be believed: not from the future, not over, not too old.

use crate::clock::UnixSeconds;

/// Seconds by which a provider's clock may be ahead of ours.
pub const CLOCK_SKEW_SECONDS: u64 = 60;

/// Why an answer may not be believed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodFault {
    /// It begins later than now.
    #[error("the answer is from the future: {0}")]
    Future(UnixSeconds),
    /// It ends before it begins.
    #[error("the answer ends before it begins")]
    Empty,
    /// It is over.
    #[error("the answer ended at {0}")]
    Over(UnixSeconds),
}

/// Last second at which an answer of `this_update`, said to be good until `next_update`, may be believed.
///
/// # Errors
/// [`PeriodFault`] when that is not now.
pub fn believed_until(
    this_update: UnixSeconds,
    next_update: UnixSeconds,
    max_age_seconds: u64,
    now: UnixSeconds,
) -> Result<UnixSeconds, PeriodFault> {
    not_from_the_future(this_update, now)?;
    if next_update < this_update {
        return Err(PeriodFault::Empty);
    }
    let until = next_update.min(UnixSeconds(this_update.0.saturating_add(max_age_seconds)));
    if now > until { Err(PeriodFault::Over(until)) } else { Ok(until) }
}

/// # Errors
/// [`PeriodFault::Future`] when `at` is later than a clock that is ahead of ours may write.
pub(super) fn not_from_the_future(at: UnixSeconds, now: UnixSeconds) -> Result<(), PeriodFault> {
    match at.0 > now.0.saturating_add(CLOCK_SKEW_SECONDS) {
        true => Err(PeriodFault::Future(at)),
        false => Ok(()),
    }
}
