//! Sheets that wait for their operator: secrets in memory alone, few, for a day, each handed out once.
//!
//! A restart forgets them, and then the card is of no use to anybody: another one is issued.

use api::admin::letter::SheetHalf;
use attest::clock::UnixSeconds;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a sheet waits: whoever proposed the card may be on the next shift.
pub(super) const WAITS_FOR: Duration = Duration::from_secs(24 * 3600);
/// Cards whose sheets may wait at one time: more than two operators print in a day.
pub(super) const MAX_WAITING: usize = 100;

/// A half with its secret, for one operator.
pub(super) enum Half {
    /// What the QR code says.
    Link(Zeroizing<String>),
    /// In groups.
    Password(Zeroizing<String>),
}

/// Both halves of one card.
pub(super) struct NewSheets {
    pub letter_id: String,
    /// Operator and half.
    pub halves: [(String, Half); 2],
}

struct Waiting {
    letter_id: String,
    operator_id: String,
    half: Half,
    until: UnixSeconds,
}

/// See the module.
#[derive(Default)]
pub(super) struct Sheets {
    waiting: Mutex<Vec<Waiting>>,
}

impl Sheets {
    /// Whether the sheets of one more card may wait.
    pub fn have_room(&self, now: UnixSeconds) -> bool {
        self.at(now).len() <= 2 * (MAX_WAITING - 1)
    }

    /// Keeps both halves for their operators.
    pub fn keep(&self, sheets: NewSheets, now: UnixSeconds) {
        let NewSheets { letter_id, halves } = sheets;
        let mut waiting = self.at(now);
        waiting.extend(halves.map(|(operator_id, half)| Waiting {
            letter_id: letter_id.clone(),
            operator_id,
            half,
            until: now.plus(WAITS_FOR),
        }));
    }

    /// The half of this operator, as it will be answered; it stays until it is [taken](Self::take).
    pub fn look(&self, letter_id: &str, operator_id: &str, now: UnixSeconds) -> Option<SheetHalf> {
        let waiting = self.at(now);
        let found = waiting.iter().find(|sheet| sheet.is(letter_id, operator_id))?;
        Some(match &found.half {
            Half::Link(url) => SheetHalf::Link { url: url.to_string() },
            Half::Password(password) => SheetHalf::Password { password: password.to_string() },
        })
    }

    /// Forgets the half of this operator.
    pub fn take(&self, letter_id: &str, operator_id: &str, now: UnixSeconds) {
        self.at(now).retain(|sheet| !sheet.is(letter_id, operator_id));
    }

    /// Forgets both halves.
    pub fn forget(&self, letter_id: &str) {
        self.all().retain(|sheet| sheet.letter_id != letter_id);
    }

    /// Operators who have not fetched theirs.
    pub fn wait_for(&self, letter_id: &str, now: UnixSeconds) -> Vec<String> {
        let waiting = self.at(now);
        let of = waiting.iter().filter(|sheet| sheet.letter_id == letter_id);
        of.map(|sheet| sheet.operator_id.clone()).collect()
    }

    /// What still waits at `now`; the rest is gone.
    fn at(&self, now: UnixSeconds) -> MutexGuard<'_, Vec<Waiting>> {
        let mut waiting = self.all();
        waiting.retain(|sheet| now < sheet.until);
        waiting
    }

    fn all(&self) -> MutexGuard<'_, Vec<Waiting>> {
        // A panic under the lock leaves whole entries behind.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is(&self, letter_id: &str, operator_id: &str) -> bool {
        self.letter_id == letter_id && self.operator_id == operator_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheets(letter_id: &str) -> NewSheets {
        let secret = |text: &str| Zeroizing::new(text.to_owned());
        NewSheets {
            letter_id: letter_id.to_owned(),
            halves: [
                ("alice".to_owned(), Half::Link(secret("url"))),
                ("bob".to_owned(), Half::Password(secret("pass"))),
            ],
        }
    }

    fn now(seconds: u64) -> UnixSeconds {
        UnixSeconds(1_800_000_000 + seconds)
    }

    #[test]
    fn each_operator_has_one_half_and_takes_it_once() {
        let all = Sheets::default();
        all.keep(sheets("c"), now(0));
        assert!(matches!(all.look("c", "alice", now(1)), Some(SheetHalf::Link { .. })));
        assert!(matches!(all.look("c", "bob", now(1)), Some(SheetHalf::Password { .. })));
        assert!(all.look("c", "carol", now(1)).is_none() && all.look("d", "bob", now(1)).is_none());
        all.take("c", "alice", now(1));
        assert!(all.look("c", "alice", now(1)).is_none());
        assert_eq!(all.wait_for("c", now(1)), ["bob"]);
        all.forget("c");
        assert!(all.wait_for("c", now(1)).is_empty());
    }

    #[test]
    fn sheet_waits_a_day_to_the_second() {
        let all = Sheets::default();
        all.keep(sheets("c"), now(0));
        assert!(all.look("c", "bob", now(86_399)).is_some());
        assert!(all.look("c", "bob", now(86_400)).is_none());
        assert!(all.waiting.lock().unwrap().is_empty(), "the secret is gone, too");
    }

    #[test]
    fn hundred_cards_wait_and_not_one_more() {
        let all = Sheets::default();
        for index in 0..MAX_WAITING {
            assert!(all.have_room(now(0)), "{index}");
            all.keep(sheets(&index.to_string()), now(0));
        }
        assert!(!all.have_room(now(0)));
        all.forget("7");
        assert!(all.have_room(now(0)));
    }
}
