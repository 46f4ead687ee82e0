//! Whether, and after how long, the supervisor tries the token again.

use crate::error::HsmError;
use crate::error::Recovery;
use std::time::Duration;

/// Whether the same start may succeed later without anybody changing the configuration.
pub(crate) fn may_pass(error: &HsmError) -> bool {
    match error {
        HsmError::TokenMissing { .. } | HsmError::Hung => true,
        HsmError::Token(call) => call.recovery() != Recovery::PinRefused,
        _ => false,
    }
}

/// 0, then 200 ms doubling to at most 30 s.
pub(crate) fn backoff(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => {
            Duration::from_millis(200).saturating_mul(1 << doublings.min(10)).min(LONGEST_BACKOFF)
        }
    }
}

const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_to_its_limit() {
        assert_eq!(backoff(0), Duration::ZERO);
        assert_eq!(backoff(1), Duration::from_millis(200));
        assert_eq!(backoff(4), Duration::from_millis(1_600));
        assert_eq!(backoff(9), LONGEST_BACKOFF);
        assert_eq!(backoff(u32::MAX), LONGEST_BACKOFF);
    }
}
