//! Log lines that a peer can cause: so many a second, the rest is counted.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Instant;

const LINES_PER_SECOND: u64 = 10;

/// Lets so many lines through each second.
#[derive(Debug)]
pub(crate) struct LogLimit {
    start: Instant,
    second: AtomicU64,
    lines: AtomicU64,
    suppressed: AtomicU64,
}

impl LogLimit {
    pub(crate) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { start: Instant::now(), second: zero(), lines: zero(), suppressed: zero() }
    }

    /// Calls `line` with the number of lines that were left out before it, unless this second is full.
    pub(crate) fn warn(&self, line: impl FnOnce(u64)) {
        let second = self.start.elapsed().as_secs();
        if self.second.swap(second, Ordering::AcqRel) != second {
            self.lines.store(0, Ordering::Release);
        }
        if self.lines.fetch_add(1, Ordering::AcqRel) < LINES_PER_SECOND {
            line(self.suppressed.swap(0, Ordering::AcqRel));
        } else {
            self.suppressed.fetch_add(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_past_the_limit_are_counted_and_not_written() {
        let limit = LogLimit::new();
        let mut written = 0;
        for _ in 0..1_000 {
            limit.warn(|_| written += 1);
        }
        assert!((LINES_PER_SECOND..3 * LINES_PER_SECOND).contains(&written));
        let left_out = limit.suppressed.load(Ordering::Acquire);
        assert!(left_out >= 1_000 - 3 * LINES_PER_SECOND);
    }
}
