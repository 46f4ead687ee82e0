//! Sessions: evidence cached for one holder and one signing system, within clock, count and idle limits. An activation is one
//! whose evidence is bound to particular entries.
//!
//! A [`LiveSession`] is the in-memory side. Signatures are counted in memory and reserved from the durable record in
//! blocks, so that the count is never exceeded, not even over `kill -9`; what a clean stop did not use is given back.

use crate::activation::Entries;
use crate::activation::Entry;
use crate::activation::NotSpent;
use crate::activation::Requested;
use crate::activation::Spending;
use crate::algorithm::ContentDigest;
use crate::basis::Basis;
use crate::clock::UnixSeconds;
use crate::packed::Packed;
use crate::records::Fingerprint;
use crate::records::Method;
use crate::records::SessionLimits;
use crate::registry::LiveCredential;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Why a session ended. Every reason is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum EndReason {
    /// The signing system or the holder signed out.
    Logout = 1,
    /// The clock limit from the evidence passed.
    Expired = 2,
    /// No signature for too long.
    Idle = 3,
    /// Every signature was used.
    Exhausted = 4,
    /// The holder was disabled.
    HolderDisabled = 5,
    /// The signing system was removed or its rights were changed.
    SystemRemoved = 6,
    /// The certificate of the evidence was revoked or expired, or its card link or authenticator was removed.
    EvidenceRevoked = 7,
    /// An operator ended it.
    Operator = 8,
    /// A second certificate that might sign when it began was revoked.
    SecondCertificateRevoked = 9,
    /// Its holder went on in another session that rests on the same evidence.
    Continued = 10,
}

impl EndReason {
    /// Whether what browsers keep of the holder's sign-ins for this signing system ends with it.
    pub fn ends_saved(self) -> bool {
        match self {
            Self::Expired | Self::Idle | Self::Exhausted | Self::Continued => false,
            Self::Logout
            | Self::HolderDisabled
            | Self::SystemRemoved
            | Self::EvidenceRevoked
            | Self::Operator
            | Self::SecondCertificateRevoked => true,
        }
    }

    fn from_flag(flag: u8) -> Option<Self> {
        match flag {
            0 => None,
            1 => Some(Self::Logout),
            2 => Some(Self::Expired),
            3 => Some(Self::Idle),
            4 => Some(Self::Exhausted),
            5 => Some(Self::HolderDisabled),
            6 => Some(Self::SystemRemoved),
            7 => Some(Self::EvidenceRevoked),
            9 => Some(Self::SecondCertificateRevoked),
            10 => Some(Self::Continued),
            _ => Some(Self::Operator),
        }
    }
}

/// An active session in memory, as small as what the gate asks of it. What it rests on it shares with others, and reads as
/// its own: `session.holder_id`.
pub struct LiveSession {
    /// Public name of the session.
    pub session_id: String,
    basis: Arc<Basis>,
    evidence: Packed,
    /// Of its signing token; of nothing while only the store knows the session.
    pub(crate) token: Packed,
    /// From where it was confirmed, where that is known.
    pub terminal: Option<Box<str>>,
    /// When presence was proved; every limit of the clock counts from here.
    pub authenticated_at: UnixSeconds,
    /// First second at which the session is over.
    pub expires_at: UnixSeconds,
    /// Limits it was made with.
    pub limits: SessionLimits,
    /// What it is good for; a day session is good for any content.
    pub(crate) spending: Option<Box<Spending>>,
    last_used: AtomicU64,
    count: Mutex<Count>,
    ended: AtomicU8,
    /// Held while a block is being reserved, so that one task commits and the others wait.
    pub(crate) reserving: tokio::sync::Mutex<()>,
}

/// Signatures of a session: `used` never passes `reserved`, which the durable record covers.
#[derive(Clone, Copy)]
struct Count {
    used: u64,
    reserved: u64,
}

/// What an active session is made from.
pub struct SessionFacts {
    /// See [`LiveSession`].
    pub session_id: String,
    /// See [`Basis`].
    pub holder_id: String,
    /// See [`Basis`].
    pub system_id: String,
    /// See [`Basis`].
    pub method: Method,
    /// See [`LiveSession::evidence`].
    pub evidence: String,
    /// See [`Basis`].
    pub factor: Fingerprint,
    /// See [`Basis`]; base64.
    pub certificate_b64: Option<String>,
    /// See [`Basis`].
    pub second_certificates: Vec<Fingerprint>,
    /// See [`LiveSession`].
    pub terminal: Option<String>,
    /// See [`LiveSession`].
    pub authenticated_at: UnixSeconds,
    /// See [`LiveSession`].
    pub expires_at: UnixSeconds,
    /// See [`LiveSession`].
    pub limits: SessionLimits,
    /// Signatures already counted by the durable record.
    pub used: u64,
    /// Newest use known.
    pub last_used: UnixSeconds,
    /// What an activation is good for.
    pub entries: Option<Entries>,
    /// Which of these are used up, counted from 0.
    pub used_entries: Vec<usize>,
}

/// What [`LiveSession::take_one`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// One signature is taken.
    Taken,
    /// The block in memory is used up: reserve another, then ask again.
    BlockEmpty,
    /// The session's count is used up.
    Exhausted,
}

impl LiveSession {
    /// A session as its durable record has it: what was reserved before counts as used. A certificate behind its evidence
    /// has not been judged yet: it signs nothing before [`Basis::judge_evidence`].
    pub fn new(facts: SessionFacts) -> Self {
        // What is no base64 is no certificate either, and is refused as one.
        let certificate =
            facts.certificate_b64.map(|text| STANDARD.decode(text).unwrap_or_default());
        let (whose, how) = ((facts.holder_id, facts.system_id), (facts.method, facts.factor));
        let spending = facts.entries.map(|entries| Spending::new(entries, &facts.used_entries));
        Self {
            session_id: facts.session_id,
            basis: Arc::new(Basis::new(whose, how, certificate, facts.second_certificates)),
            evidence: Packed::from(facts.evidence.as_str()),
            token: Packed::Text(Box::default()),
            terminal: facts.terminal.map(String::into_boxed_str),
            authenticated_at: facts.authenticated_at,
            expires_at: facts.expires_at,
            limits: facts.limits,
            spending: spending.map(Box::new),
            last_used: AtomicU64::new(facts.last_used.0),
            count: Mutex::new(Count { used: facts.used, reserved: facts.used }),
            ended: AtomicU8::new(0),
            reserving: tokio::sync::Mutex::new(()),
        }
    }

    /// Rests on `shared`, which says what its own basis says.
    pub(crate) fn rest_on(&mut self, shared: &Arc<Basis>) {
        self.basis = Arc::clone(shared);
    }

    /// What it rests on.
    pub fn basis(&self) -> &Arc<Basis> {
        &self.basis
    }

    /// SHA-256 of the evidence in the audit log.
    pub fn evidence(&self) -> Fingerprint {
        self.evidence.fingerprint()
    }

    /// Takes `count` signatures from the block reserved in memory, all or none.
    pub fn take(&self, count: u64) -> Take {
        let mut held = self.count();
        let after = held.used.saturating_add(count);
        if after > self.limits.signatures {
            return Take::Exhausted;
        }
        if after > held.reserved {
            return Take::BlockEmpty;
        }
        held.used = after;
        Take::Taken
    }

    /// The durable record now covers `reserved` signatures.
    pub(crate) fn set_reserved(&self, reserved: u64) {
        let mut held = self.count();
        held.reserved = held.reserved.max(reserved);
    }

    /// Gives the rest of the block up; what was used. Nothing is taken from here on before another block is reserved.
    pub(crate) fn give_up_block(&self) -> u64 {
        let mut held = self.count();
        held.reserved = held.used;
        held.used
    }

    /// Signatures used, as far as this process counted.
    pub fn used(&self) -> u64 {
        match &self.spending {
            Some(spending) => spending.used(),
            None => self.count().used,
        }
    }

    /// The entries of an activation; nothing: a day session.
    pub fn entries(&self) -> Option<&Entries> {
        self.spending.as_deref().map(Spending::entries)
    }

    /// The entry that allows `requested`, used or not.
    pub fn entry(&self, credential_id: &str, requested: &Requested) -> Option<&Entry> {
        self.spending.as_ref()?.entry(credential_id, requested)
    }

    /// Whether content may still be signed by this credential: `announced`, or any where its digest is not known yet.
    ///
    /// # Errors
    /// [`NotSpent`], of an activation alone.
    pub fn expects(
        &self,
        credential_id: &str,
        announced: Option<&ContentDigest>,
    ) -> Result<(), NotSpent> {
        match &self.spending {
            Some(spending) => spending.expects(credential_id, announced),
            None => Ok(()),
        }
    }

    /// Nothing more comes of `count` signatures that were taken: released, withheld or failed. An activation is over with
    /// the last of its entries.
    pub fn settle(&self, count: u64) {
        if let Some(spending) = &self.spending {
            spending.settle(count);
        }
    }

    /// Signatures that the durable record covers.
    pub fn reserved(&self) -> u64 {
        self.count().reserved
    }

    // Both numbers are written whole: a panic leaves nothing torn.
    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signatures left.
    pub fn remaining(&self) -> u64 {
        self.limits.signatures.saturating_sub(self.used())
    }

    /// Notes a use at `now`.
    pub(crate) fn touch(&self, now: UnixSeconds) {
        self.last_used.fetch_max(now.0, Ordering::AcqRel);
    }

    /// Newest use.
    pub fn last_used(&self) -> UnixSeconds {
        UnixSeconds(self.last_used.load(Ordering::Acquire))
    }

    /// Ends the session, unless it has ended already; the first reason stays.
    pub fn end(&self, reason: EndReason) {
        let _ = self.ended.compare_exchange(0, reason as u8, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Why it ended, if it did.
    pub fn ended(&self) -> Option<EndReason> {
        EndReason::from_flag(self.ended.load(Ordering::Acquire))
    }

    /// Why it is over at `now`, if it is: ended, past its clock or idle limit, or an activation without an entry left.
    ///
    /// The session is good in the last second before `expires_at` and over in that second itself.
    pub fn over(&self, now: UnixSeconds) -> Option<EndReason> {
        if let Some(reason) = self.ended() {
            return Some(reason);
        }
        if self.spending.as_deref().is_some_and(Spending::is_done) {
            return Some(EndReason::Exhausted);
        }
        if now >= self.expires_at {
            return Some(EndReason::Expired);
        }
        let idle_until = self.last_used().0.saturating_add(self.limits.idle_seconds);
        (now.0 >= idle_until).then_some(EndReason::Idle)
    }
}

impl Deref for LiveSession {
    type Target = Basis;

    fn deref(&self) -> &Basis {
        &self.basis
    }
}

/// Something that ends trust at one place of the audit order: applied by the committer together with its record.
#[derive(Clone)]
pub enum Withdrawal {
    /// Ends a session.
    Session(Arc<LiveSession>, EndReason),
    /// Stops a credential.
    Credential(Arc<LiveCredential>),
}

impl Withdrawal {
    /// Applies it; from here on every [`Lease`](crate::permit::Lease) on it fails.
    pub fn apply(&self) {
        match self {
            Self::Session(session, reason) => session.end(*reason),
            Self::Credential(credential) => credential.stop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(limit: u64) -> LiveSession {
        LiveSession::new(SessionFacts {
            session_id: "s".into(),
            holder_id: "u-1".into(),
            system_id: "ehr".into(),
            method: Method::Hpki,
            evidence: String::new(),
            factor: Fingerprint::of(b"card"),
            certificate_b64: None,
            second_certificates: Vec::new(),
            terminal: None,
            authenticated_at: UnixSeconds(1_000),
            expires_at: UnixSeconds(2_000),
            limits: SessionLimits { seconds: 1_000, idle_seconds: 100, signatures: limit },
            used: 0,
            last_used: UnixSeconds(1_000),
            entries: None,
            used_entries: Vec::new(),
        })
    }

    #[test]
    fn count_is_never_exceeded_under_contention() {
        let session = session(1_000);
        session.set_reserved(1_000);
        let taken = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        if session.take(1) == Take::Taken {
                            taken.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(taken.load(Ordering::Relaxed), 1_000);
        assert_eq!(session.take(1), Take::Exhausted);
    }

    #[test]
    fn take_without_a_reserved_block_asks_for_one() {
        let session = session(10);
        assert_eq!(session.take(1), Take::BlockEmpty);
        session.set_reserved(5);
        assert_eq!(session.take(5), Take::Taken);
        assert_eq!(session.take(1), Take::BlockEmpty);
        assert_eq!(session.take(6), Take::Exhausted);
    }

    #[test]
    fn clock_limit_holds_to_the_second() {
        let session = session(1);
        session.touch(UnixSeconds(1_950));
        assert_eq!(session.over(UnixSeconds(1_999)), None);
        assert_eq!(session.over(UnixSeconds(2_000)), Some(EndReason::Expired));
    }

    #[test]
    fn idle_limit_counts_from_the_last_use() {
        let session = session(1);
        assert_eq!(session.over(UnixSeconds(1_099)), None);
        assert_eq!(session.over(UnixSeconds(1_100)), Some(EndReason::Idle));
        session.touch(UnixSeconds(1_090));
        assert_eq!(session.over(UnixSeconds(1_189)), None);
    }

    #[test]
    fn first_end_reason_stays() {
        let session = session(1);
        session.end(EndReason::Logout);
        session.end(EndReason::Operator);
        assert_eq!(session.ended(), Some(EndReason::Logout));
    }
}
