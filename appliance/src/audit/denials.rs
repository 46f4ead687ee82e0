//! Refusals are recorded, too, but a flood of them neither fills the disk nor slows what is allowed.
//!
//! So many a second get a record each, crowd by crowd: whoever floods takes no record from anybody else. The others are
//! counted by kind, and the count goes into the next record of that kind, or into one of its own within seconds.

use crate::audit::event::Event;
use crate::rate::RateLimiter;
use std::collections::BTreeMap;
use std::time::Instant;

/// What a refusal is counted under: operation and stable code.
type Kind = (String, String);

/// The account of refusals.
pub(super) struct Denials {
    per_second: u32,
    burst: u32,
    rates: RateLimiter,
    suppressed: BTreeMap<Kind, u64>,
}

impl Denials {
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let (rates, suppressed) = (RateLimiter::default(), BTreeMap::new());
        Self { per_second, burst, rates, suppressed }
    }

    /// Whether `event` of somebody in `crowd` gets a record of its own at `now`; then with the number of those that did
    /// not.
    pub(super) fn admit(&mut self, crowd: &str, event: &mut Event, now: Instant) -> bool {
        let kind = kind_of(event);
        let (per_second, burst) = (f64::from(self.per_second), f64::from(self.burst));
        if self.rates.take(crowd, per_second, burst, now).is_ok() {
            if let Event::Denial { suppressed, .. } = event {
                *suppressed = suppressed.saturating_add(self.suppressed.remove(&kind).unwrap_or(0));
            }
            return true;
        }
        let known = self.suppressed.len() < MAX_KINDS || self.suppressed.contains_key(&kind);
        let kind = if known { kind } else { ("other".to_owned(), "other".to_owned()) };
        let count = self.suppressed.entry(kind).or_insert(0);
        *count = count.saturating_add(1);
        false
    }

    /// Records for what was counted since the last look, one for each kind.
    pub(super) fn summaries(&mut self) -> Vec<Event> {
        let summary = |((operation, code), suppressed)| Event::Denial {
            operation,
            code,
            credential_id: None,
            detail: "further refusals without a record of their own".to_owned(),
            suppressed,
        };
        std::mem::take(&mut self.suppressed).into_iter().map(summary).collect()
    }
}

fn kind_of(event: &Event) -> Kind {
    match event {
        Event::Denial { operation, code, .. } => (operation.clone(), code.clone()),
        Event::SignInDenied { code, .. } => ("sign_in".to_owned(), code.clone()),
        other => (other.kind().to_owned(), String::new()),
    }
}

/// Operations and codes are ours and few; this only bounds a mistake.
const MAX_KINDS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn denial(code: &str) -> Event {
        Event::Denial {
            operation: "sign".to_owned(),
            code: code.to_owned(),
            credential_id: None,
            detail: String::new(),
            suppressed: 0,
        }
    }

    fn suppressed_in(event: &Event) -> u64 {
        match event {
            Event::Denial { suppressed, .. } => *suppressed,
            _ => 0,
        }
    }

    #[test]
    fn a7_flood_is_counted_and_the_count_is_recorded() {
        let start = Instant::now();
        let mut denials = Denials::new(10, 5);
        let admitted = (0..100).filter(|_| denials.admit("ehr", &mut denial("x"), start)).count();
        assert_eq!(admitted, 5);
        let mut next = denial("x");
        assert!(denials.admit("ehr", &mut next, start + Duration::from_millis(100)));
        assert_eq!(suppressed_in(&next), 95);
    }

    #[test]
    fn a7_what_no_later_record_carries_gets_one_of_its_own() {
        let start = Instant::now();
        let mut denials = Denials::new(1, 1);
        for code in ["a", "b", "b"] {
            denials.admit("ehr", &mut denial(code), start);
        }
        let summaries = denials.summaries();
        assert_eq!(summaries.iter().map(suppressed_in).collect::<Vec<_>>(), [2]);
        assert!(denials.summaries().is_empty());
    }

    #[test]
    fn a7_flood_of_one_crowd_takes_no_record_from_another() {
        let start = Instant::now();
        let mut denials = Denials::new(1, 5);
        for _ in 0..100 {
            denials.admit("ehr", &mut denial("x"), start);
        }
        assert!(!denials.admit("ehr", &mut denial("x"), start));
        assert!(denials.admit("sign-in", &mut denial("x"), start));
    }

    #[test]
    fn kinds_are_bounded() {
        let start = Instant::now();
        let mut denials = Denials::new(1, 0);
        for number in 0..1_000 {
            denials.admit("ehr", &mut denial(&number.to_string()), start);
        }
        let summaries = denials.summaries();
        assert!(summaries.len() <= MAX_KINDS + 1);
        assert_eq!(summaries.iter().map(suppressed_in).sum::<u64>(), 1_000);
    }
}
