//! The holder's own page: open in one browser for minutes, after a sign-in for the portal itself.
//!
//! The portal is a relying party of its own under a reserved name, [`PORTAL`]. A sign-in for it is made and approved as any
//! other, by the same evidence; but its code opens a page and never a session, so that no signature can rest on it. Open
//! pages live in memory only: a restart closes them all, which is the safe side.

use crate::clock::UnixSeconds;
use crate::records::Fingerprint;
use crate::sign_in::Approval;
use crate::sign_in::RandomFailed;
use crate::sign_in::random_secret;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

/// The name under which the portal asks for sign-ins of its own; no signing system may have it.
pub const PORTAL: &str = "inkan-portal";
/// Seconds without a click after which a page is closed: a holder is called away from a shared PC.
pub const IDLE_SECONDS: u64 = 600;
/// Seconds from the evidence after which a page is closed whatever happens: time to read and to remove a lost phone.
pub const MAX_SECONDS: u64 = 1_800;
/// Pages that one holder has open: a PC, a phone, and those forgotten.
pub const MAX_OF_HOLDER: usize = 4;
/// Pages open at one time: every holder of a large house at the change of shift.
pub const MAX_PAGES: usize = 10_000;
/// Closings of all pages of somebody that are remembered: far more than fall between a code and its page.
const MAX_CLOSED: usize = 256;
/// Forms of one page that wait to be sent: tabs.
pub const MAX_FORMS: usize = 16;

struct Open {
    /// What opened it: the page lasts no longer than that stands.
    by: Approval,
    used_at: UnixSeconds,
    /// SHA-256 of the one-time fields that are out, the newest last.
    forms: VecDeque<Fingerprint>,
}

impl Open {
    fn is_over(&self, now: UnixSeconds) -> bool {
        let last = self.by.authenticated_at.plus(Duration::from_secs(MAX_SECONDS));
        now >= last || now >= self.used_at.plus(Duration::from_secs(IDLE_SECONDS))
    }
}

/// Why no page was opened.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// [`MAX_PAGES`] others are open.
    #[error("{MAX_PAGES} pages of holders are open")]
    Full,
    /// All pages of this holder were closed since the sign-in came.
    #[error("the holder's pages were closed meanwhile")]
    Closed,
    /// No random octets.
    #[error(transparent)]
    Random(#[from] RandomFailed),
}

/// Every open page, by the SHA-256 of its browser's secret.
#[derive(Default)]
pub struct OwnPages {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    open: HashMap<Fingerprint, Open>,
    /// Calls of [`OwnPages::close_all`] so far.
    closings: u64,
    /// Whose pages the newest of them closed.
    closed: VecDeque<String>,
}

impl Table {
    /// Whether a holder's pages may have been closed since there had been so many closings.
    fn was_closed_since(&self, closings: u64, holder_id: &str) -> bool {
        let since = usize::try_from(self.closings.saturating_sub(closings)).unwrap_or(usize::MAX);
        since > self.closed.len()
            || self.closed.iter().rev().take(since).any(|closed| closed == holder_id)
    }
}

impl OwnPages {
    /// How often [`OwnPages::close_all`] was called: to be taken before a sign-in is redeemed.
    pub fn closings(&self) -> u64 {
        self.lock().closings
    }

    /// Opens a page for whom `approval` proves; the secret for the browser's cookie exists nowhere else. Not when all pages of
    /// this holder were closed since `closings`: their sign-ins end with them.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open(
        &self,
        approval: &Approval,
        closings: u64,
        now: UnixSeconds,
    ) -> Result<String, NotOpened> {
        let secret = random_secret()?;
        let mut table = self.lock();
        if table.was_closed_since(closings, &approval.holder_id) {
            return Err(NotOpened::Closed);
        }
        let open = &mut table.open;
        if open.len() >= MAX_PAGES {
            open.retain(|_, other| !other.is_over(now));
        }
        let of_holder = open.iter().filter(|(_, other)| other.by.holder_id == approval.holder_id);
        let mut theirs: Vec<_> = of_holder.map(|(id, other)| (other.used_at, id.clone())).collect();
        theirs.sort();
        // One holder's newest page costs their own oldest, never another's.
        for (_, oldest) in theirs.iter().rev().skip(MAX_OF_HOLDER - 1) {
            open.remove(oldest);
        }
        if open.len() >= MAX_PAGES {
            return Err(NotOpened::Full);
        }
        let id = Fingerprint::of(secret.as_bytes());
        open.insert(id, Open { by: approval.clone(), used_at: now, forms: VecDeque::new() });
        Ok(secret)
    }

    /// What opened the page of this browser, used now.
    pub fn page(&self, secret: &str, now: UnixSeconds) -> Option<Approval> {
        self.with(secret, now, |open| open.by.clone())
    }

    /// A one-time field for the forms of a page; whichever of them is sent first uses it up.
    ///
    /// # Errors
    /// [`RandomFailed`].
    pub fn form(&self, secret: &str, now: UnixSeconds) -> Result<Option<String>, RandomFailed> {
        let token = random_secret()?;
        let issued = self.with(secret, now, |open| {
            if open.forms.len() >= MAX_FORMS {
                open.forms.pop_front();
            }
            open.forms.push_back(Fingerprint::of(token.as_bytes()));
        });
        Ok(issued.map(|()| token))
    }

    /// Uses a one-time field up; whether it was this page's and out.
    pub fn take_form(&self, secret: &str, token: &str, now: UnixSeconds) -> bool {
        let token = Fingerprint::of(token.as_bytes());
        let taken = self.with(secret, now, |open| {
            let at = open.forms.iter().position(|form| *form == token);
            at.and_then(|at| open.forms.remove(at)).is_some()
        });
        taken.unwrap_or(false)
    }

    /// Closes one page.
    pub fn close(&self, secret: &str) {
        self.lock().open.remove(&Fingerprint::of(secret.as_bytes()));
    }

    /// Closes every page of a holder.
    pub fn close_all(&self, holder_id: &str) {
        let mut table = self.lock();
        table.open.retain(|_, open| open.by.holder_id != holder_id);
        table.closings += 1;
        if table.closed.len() >= MAX_CLOSED {
            table.closed.pop_front();
        }
        table.closed.push_back(holder_id.to_owned());
    }

    fn with<T>(
        &self,
        secret: &str,
        now: UnixSeconds,
        use_it: impl FnOnce(&mut Open) -> T,
    ) -> Option<T> {
        let id = Fingerprint::of(secret.as_bytes());
        let all = &mut self.lock().open;
        if all.get(&id)?.is_over(now) {
            all.remove(&id);
            return None;
        }
        let open = all.get_mut(&id)?;
        open.used_at = open.used_at.max(now);
        Some(use_it(open))
    }

    // A panic while the lock is held leaves whole entries behind: every change is one insert, push or remove.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::danger_testing::START;
    use crate::danger_testing::approval;

    const NOW: UnixSeconds = UnixSeconds(START);

    fn opened(pages: &OwnPages, holder_id: &str) -> String {
        pages.open(&approval(holder_id, "page"), pages.closings(), NOW).unwrap()
    }

    #[test]
    fn page_does_not_open_behind_the_closing_of_all() {
        let pages = OwnPages::default();
        let before = pages.closings();
        pages.close_all("u-1");
        let late = |holder_id: &str| pages.open(&approval(holder_id, "page"), before, NOW);
        assert!(matches!(late("u-1"), Err(NotOpened::Closed)));
        assert!(late("u-2").is_ok(), "another holder's");
        assert!(pages.open(&approval("u-1", "page"), pages.closings(), NOW).is_ok());
        for _ in 0..MAX_CLOSED {
            pages.close_all("u-3");
        }
        assert!(matches!(late("u-2"), Err(NotOpened::Closed)), "nobody knows any more");
    }

    #[test]
    fn page_is_found_by_its_secret_alone() {
        let pages = OwnPages::default();
        let secret = opened(&pages, "u-1");
        assert_eq!(pages.page(&secret, NOW).unwrap().holder_id, "u-1");
        assert_eq!(pages.page("guess", NOW), None);
        assert_eq!(pages.page("", NOW), None);
    }

    #[test]
    fn page_is_closed_when_nobody_clicks_for_ten_minutes_and_not_before() {
        let pages = OwnPages::default();
        let secret = opened(&pages, "u-1");
        assert!(pages.page(&secret, UnixSeconds(START + IDLE_SECONDS - 1)).is_some());
        let later = START + IDLE_SECONDS - 1 + IDLE_SECONDS;
        assert!(pages.page(&secret, UnixSeconds(later - 1)).is_some());
        assert!(pages.page(&secret, UnixSeconds(later - 1 + IDLE_SECONDS)).is_none());
        assert!(pages.page(&secret, UnixSeconds(later)).is_none(), "it came back");
    }

    #[test]
    fn page_is_closed_half_an_hour_from_the_evidence_however_often_it_is_used() {
        let pages = OwnPages::default();
        let secret = opened(&pages, "u-1");
        for minute in 1..30 {
            assert!(pages.page(&secret, UnixSeconds(START + 60 * minute)).is_some(), "{minute}");
        }
        assert!(pages.page(&secret, UnixSeconds(START + MAX_SECONDS - 1)).is_some());
        assert!(pages.page(&secret, UnixSeconds(START + MAX_SECONDS)).is_none());
    }

    #[test]
    fn field_of_a_form_works_once_and_on_its_own_page_only() {
        let pages = OwnPages::default();
        let (one, other) = (opened(&pages, "u-1"), opened(&pages, "u-2"));
        let token = pages.form(&one, NOW).unwrap().unwrap();
        assert!(!pages.take_form(&other, &token, NOW));
        assert!(!pages.take_form(&one, "guess", NOW));
        assert!(pages.take_form(&one, &token, NOW));
        assert!(!pages.take_form(&one, &token, NOW));
    }

    #[test]
    fn newest_fields_wait_and_one_more_drops_the_oldest() {
        let pages = OwnPages::default();
        let secret = opened(&pages, "u-1");
        let forms: Vec<_> =
            (0..=MAX_FORMS).map(|_| pages.form(&secret, NOW).unwrap().unwrap()).collect();
        assert!(!pages.take_form(&secret, &forms[0], NOW));
        assert!(forms.iter().skip(1).all(|form| pages.take_form(&secret, form, NOW)));
    }

    #[test]
    fn one_page_too_many_of_a_holder_closes_their_oldest_and_nobody_elses() {
        let pages = OwnPages::default();
        let other = opened(&pages, "u-2");
        let mut theirs = Vec::new();
        for second in 0..=u64::try_from(MAX_OF_HOLDER).unwrap() {
            let now = UnixSeconds(START + second);
            theirs.push(pages.open(&approval("u-1", "page"), 0, now).unwrap());
        }
        let now = UnixSeconds(START + 60);
        let open: Vec<_> = theirs.iter().map(|secret| pages.page(secret, now).is_some()).collect();
        assert_eq!(open, [&[false][..], &[true; MAX_OF_HOLDER]].concat());
        assert!(pages.page(&other, now).is_some());
    }

    #[test]
    fn full_table_opens_no_more_until_one_is_over() {
        let pages = OwnPages::default();
        for number in 0..MAX_PAGES {
            opened(&pages, &format!("h-{number}"));
        }
        let late = pages.open(&approval("u-1", "page"), 0, NOW);
        assert!(matches!(late, Err(NotOpened::Full)));
        let mut fresh = approval("u-1", "page");
        let later = UnixSeconds(START + IDLE_SECONDS);
        fresh.authenticated_at = later;
        assert!(pages.open(&fresh, 0, later).is_ok());
    }

    #[test]
    fn closing_closes_the_page_and_closing_all_those_of_one_holder() {
        let pages = OwnPages::default();
        let [one, two, three] = ["u-1", "u-1", "u-2"].map(|holder| opened(&pages, holder));
        pages.close(&one);
        assert!(pages.page(&one, NOW).is_none() && pages.page(&two, NOW).is_some());
        pages.close_all("u-1");
        assert!(pages.page(&two, NOW).is_none() && pages.page(&three, NOW).is_some());
    }
}
