//! The sessions in memory, and why those that are over ended.

use super::Sessions;
use crate::clock::UnixSeconds;
use crate::records::Fingerprint;
use crate::session::EndReason;
use crate::session::LiveSession;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::PoisonError;
use std::time::Duration;

/// Seconds for which the bearer of a token is told why its session is over: a night.
const OVER_REMEMBERED_SECONDS: u64 = 12 * 3600;
/// Sessions that are over and remembered: ten thousand holders, ten sign-ins each.
const MAX_OVER: usize = 100_000;

#[derive(Default)]
pub(super) struct Live {
    by_id: HashMap<String, (Arc<LiveSession>, Fingerprint)>,
    by_token: HashMap<Fingerprint, Arc<LiveSession>>,
    over: HashMap<Fingerprint, Over>,
}

/// What is remembered of a session that is over, so that the bearer of its token is told why.
struct Over {
    system_id: String,
    reason: EndReason,
    forget_at: UnixSeconds,
}

impl Sessions {
    /// The live session that a signing token stands for.
    pub fn by_token(&self, signing_token: &str) -> Option<Arc<LiveSession>> {
        let token = Fingerprint::of(signing_token.as_bytes());
        self.live.read().unwrap_or_else(PoisonError::into_inner).by_token.get(&token).cloned()
    }

    /// The live session of this id.
    pub fn by_id(&self, session_id: &str) -> Option<Arc<LiveSession>> {
        self.live
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .by_id
            .get(session_id)
            .map(|(session, _)| Arc::clone(session))
    }

    /// Every live session.
    pub fn all(&self) -> Vec<Arc<LiveSession>> {
        self.live
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .by_id
            .values()
            .map(|(session, _)| Arc::clone(session))
            .collect()
    }

    /// The live sessions of one holder.
    pub fn of_holder(&self, holder_id: &str) -> Vec<Arc<LiveSession>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let theirs = live.by_id.values().filter(|(session, _)| session.holder_id == holder_id);
        theirs.map(|(session, _)| Arc::clone(session)).collect()
    }

    /// Drops an ended session from memory, but for why it ended.
    pub fn forget(&self, session: &LiveSession) {
        let removed = {
            let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
            let removed = live.by_id.remove(&session.session_id);
            if let Some((_, token)) = &removed {
                live.by_token.remove(token);
            }
            removed
        };
        if let (Some((_, token)), Some(reason)) = (removed, session.ended()) {
            let now = self.clock.now().unwrap_or(session.expires_at);
            self.remember(token, &session.system_id, reason, now);
        }
    }

    /// Why the session of this token, made for `system_id`, is over; `None` when none is known.
    pub fn over_by_token(&self, signing_token: &str, system_id: &str) -> Option<EndReason> {
        let token = Fingerprint::of(signing_token.as_bytes());
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.over.get(&token).filter(|over| over.system_id == system_id).map(|over| over.reason)
    }

    pub(super) fn remember(
        &self,
        token: Fingerprint,
        system_id: &str,
        reason: EndReason,
        now: UnixSeconds,
    ) {
        let forget_at = now.plus(Duration::from_secs(OVER_REMEMBERED_SECONDS));
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
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
    pub(super) fn begin(&self, token: Fingerprint, session: LiveSession) -> Option<Begun<'_>> {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if live.by_id.contains_key(&session.session_id) {
            return None;
        }
        let session = live.insert(token, session);
        Some(Begun { sessions: self, session, is_kept: false })
    }

    /// Takes a session into memory that its record has as active.
    pub(super) fn insert(&self, token: Fingerprint, session: LiveSession) {
        self.live.write().unwrap_or_else(PoisonError::into_inner).insert(token, session);
    }
}

impl Live {
    fn insert(&mut self, token: Fingerprint, session: LiveSession) -> Arc<LiveSession> {
        let session = Arc::new(session);
        self.by_id.insert(session.session_id.clone(), (Arc::clone(&session), token.clone()));
        self.by_token.insert(token, Arc::clone(&session));
        session
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
