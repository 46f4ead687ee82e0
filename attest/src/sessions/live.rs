//! The sessions in memory, and why those that are over ended.

use super::Sessions;
use crate::clock::UnixSeconds;
use crate::packed::Packed;
use crate::records::Fingerprint;
use crate::session::EndReason;
use crate::session::LiveSession;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::HashSet;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;
use std::time::Duration;

/// Seconds for which the bearer of a token is told why its session is over: a night.
const OVER_REMEMBERED_SECONDS: u64 = 12 * 3600;
/// Sessions that are over and remembered: ten thousand holders, ten sign-ins each.
const MAX_OVER: usize = 100_000;

/// Each session once, found by what it carries itself.
#[derive(Default)]
pub(super) struct Live {
    by_id: HashSet<ById>,
    by_token: HashSet<ByToken>,
    of_holder: HashMap<String, Vec<Arc<LiveSession>>>,
    over: HashMap<Packed, Over>,
}

struct ById(Arc<LiveSession>);

struct ByToken(Arc<LiveSession>);

/// What is remembered of a session that is over, so that the bearer of its token is told why.
struct Over {
    system_id: String,
    reason: EndReason,
    forget_at: UnixSeconds,
}

impl Sessions {
    /// The live session that a signing token stands for.
    pub fn by_token(&self, signing_token: &str) -> Option<Arc<LiveSession>> {
        let token = Packed::of(signing_token.as_bytes());
        self.read().by_token.get(&token).map(|found| Arc::clone(&found.0))
    }

    /// The live session of this id.
    pub fn by_id(&self, session_id: &str) -> Option<Arc<LiveSession>> {
        self.read().by_id.get(session_id).map(|found| Arc::clone(&found.0))
    }

    /// How many sessions are live.
    pub fn count(&self) -> usize {
        self.read().by_id.len()
    }

    /// Every live session.
    pub fn all(&self) -> Vec<Arc<LiveSession>> {
        self.read().by_id.iter().map(|found| Arc::clone(&found.0)).collect()
    }

    /// The live sessions of one holder.
    pub fn of_holder(&self, holder_id: &str) -> Vec<Arc<LiveSession>> {
        self.read().of_holder.get(holder_id).cloned().unwrap_or_default()
    }

    /// Drops an ended session from memory, but for why it ended.
    pub fn forget(&self, session: &LiveSession) {
        let removed = self.write().remove(&session.session_id);
        if let (Some(removed), Some(reason)) = (removed, session.ended()) {
            let now = self.clock.now().unwrap_or(session.expires_at);
            self.remember(removed.token.clone(), &session.system_id, reason, now);
        }
    }

    /// Why the session of this token, made for `system_id`, is over; `None` when none is known.
    pub fn over_by_token(&self, signing_token: &str, system_id: &str) -> Option<EndReason> {
        let token = Packed::of(signing_token.as_bytes());
        let live = self.read();
        live.over.get(&token).filter(|over| over.system_id == system_id).map(|over| over.reason)
    }

    pub(super) fn remember(
        &self,
        token: Packed,
        system_id: &str,
        reason: EndReason,
        now: UnixSeconds,
    ) {
        let forget_at = now.plus(Duration::from_secs(OVER_REMEMBERED_SECONDS));
        let mut live = self.write();
        if live.over.len() >= MAX_OVER {
            live.over.retain(|_, over| over.forget_at > now);
        }
        // Full of younger ones: the bearer is told that the session is unknown, which is true as well.
        if live.over.len() < MAX_OVER {
            live.over.insert(token, Over { system_id: system_id.to_owned(), reason, forget_at });
        }
    }

    /// Takes a session into memory before its record says so: a logout that comes in between finds it. Nothing while
    /// another exchange of the same code is under way: two sessions of one name would hide each other.
    pub(super) fn begin(&self, token: &Fingerprint, session: LiveSession) -> Option<Begun<'_>> {
        let mut live = self.write();
        if live.by_id.contains(session.session_id.as_str()) {
            return None;
        }
        let session = live.insert(token, session);
        Some(Begun { sessions: self, session, is_kept: false })
    }

    /// Takes a session into memory that its record has as active.
    pub(super) fn insert(&self, token: &Fingerprint, session: LiveSession) {
        self.write().insert(token, session);
    }

    // A panic while the lock is held leaves nothing torn that the gate reads: each set is changed by one call.
    fn read(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn insert(&mut self, token: &Fingerprint, mut session: LiveSession) -> Arc<LiveSession> {
        session.token = Packed::from(token);
        let theirs = self.of_holder.entry(session.holder_id.clone()).or_default();
        if let Some(other) = theirs.iter().find(|other| other.basis().is_same(session.basis())) {
            session.rest_on(other.basis());
        }
        let session = Arc::new(session);
        theirs.push(Arc::clone(&session));
        self.by_id.insert(ById(Arc::clone(&session)));
        self.by_token.insert(ByToken(Arc::clone(&session)));
        session
    }

    fn remove(&mut self, session_id: &str) -> Option<Arc<LiveSession>> {
        let ById(removed) = self.by_id.take(session_id)?;
        self.by_token.remove(&removed.token);
        if let Some(theirs) = self.of_holder.get_mut(&removed.holder_id) {
            theirs.retain(|other| !Arc::ptr_eq(other, &removed));
            if theirs.is_empty() {
                self.of_holder.remove(&removed.holder_id);
            }
        }
        Some(removed)
    }
}

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        &self.0.session_id
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.session_id == other.0.session_id
    }
}

impl Eq for ById {}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.session_id.hash(state);
    }
}

impl Borrow<Packed> for ByToken {
    fn borrow(&self) -> &Packed {
        &self.0.token
    }
}

impl PartialEq for ByToken {
    fn eq(&self, other: &Self) -> bool {
        self.0.token == other.0.token
    }
}

impl Eq for ByToken {}

impl Hash for ByToken {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.token.hash(state);
    }
}

/// A session in memory whose record is not durable yet. Dropped unless kept: whoever exchanges a code may give up.
pub(super) struct Begun<'a> {
    sessions: &'a Sessions,
    session: Arc<LiveSession>,
    is_kept: bool,
}

impl Begun<'_> {
    /// Its record is durable: the session stays.
    pub(super) fn keep(mut self) -> Arc<LiveSession> {
        self.is_kept = true;
        Arc::clone(&self.session)
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.session.end(EndReason::Operator);
            self.sessions.forget(&self.session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::danger_testing::approval;
    use crate::records::Method;
    use crate::records::SessionLimits;
    use crate::registry::Standing;
    use crate::session::SessionFacts;

    fn facts(session_id: &str) -> SessionFacts {
        let approval = approval("u-1", session_id);
        SessionFacts {
            session_id: session_id.into(),
            holder_id: approval.holder_id,
            system_id: "ehr".into(),
            method: approval.method,
            evidence: approval.evidence,
            factor: approval.factor,
            certificate_b64: approval.certificate_b64,
            second_certificates: approval.second_certificates,
            terminal: approval.terminal,
            authenticated_at: approval.authenticated_at,
            expires_at: approval.authenticated_at,
            limits: SessionLimits::default(),
            used: 0,
            last_used: approval.authenticated_at,
            entries: None,
            used_entries: Vec::new(),
        }
    }

    fn take(live: &mut Live, facts: SessionFacts) -> Arc<LiveSession> {
        let token = Fingerprint::of(facts.session_id.as_bytes());
        live.insert(&token, LiveSession::new(facts))
    }

    #[test]
    fn sessions_that_rest_on_the_same_are_judged_together() {
        let mut live = Live::default();
        let (one, other) = (take(&mut live, facts("1")), take(&mut live, facts("2")));
        one.judge_evidence(Standing::Good);
        assert_eq!(other.evidence_standing(), Standing::Good);
        one.judge_evidence(Standing::Revoked);
        assert_eq!(other.evidence_standing(), Standing::Revoked);
    }

    #[test]
    fn session_that_differs_in_one_thing_is_judged_by_itself() {
        let changes: [fn(&mut SessionFacts); 6] = [
            |facts| facts.holder_id = "u-2".into(),
            |facts| facts.system_id = "pharmacy".into(),
            |facts| facts.method = Method::Jpki,
            |facts| facts.factor = Fingerprint::of(b"another card"),
            |facts| facts.certificate_b64 = Some("AAAA".into()),
            |facts| facts.second_certificates = vec![Fingerprint::of(b"second")],
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut live = Live::default();
            take(&mut live, facts("1")).judge_evidence(Standing::Good);
            let mut other = facts("2");
            change(&mut other);
            let other = take(&mut live, other);
            assert_eq!(other.evidence_standing(), Standing::Unknown, "{index}");
        }
    }

    #[test]
    fn what_was_judged_goes_with_the_last_session_that_rests_on_it() {
        let mut live = Live::default();
        take(&mut live, facts("1")).judge_evidence(Standing::Good);
        take(&mut live, facts("2"));
        assert!(live.remove("1").is_some());
        assert_eq!(take(&mut live, facts("3")).evidence_standing(), Standing::Good);
        assert!(live.remove("2").is_some() && live.remove("3").is_some());
        assert_eq!(take(&mut live, facts("4")).evidence_standing(), Standing::Unknown);
    }

    #[test]
    fn removed_session_is_found_by_nothing_and_its_holders_other_one_by_everything() {
        let mut live = Live::default();
        let (one, other) = (take(&mut live, facts("1")), take(&mut live, facts("2")));
        assert!(live.remove("1").is_some_and(|removed| Arc::ptr_eq(&removed, &one)));
        assert!(live.remove("1").is_none());
        assert!(!live.by_id.contains("1") && !live.by_token.contains(&one.token));
        assert!(live.by_id.contains("2") && live.by_token.contains(&other.token));
        assert!(live.of_holder["u-1"].iter().all(|left| Arc::ptr_eq(left, &other)));
        live.remove("2");
        assert!(live.of_holder.is_empty(), "holders who left stay in memory");
    }
}
