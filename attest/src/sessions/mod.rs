//! Every sign-in and session: durable records moved forward by guarded writes, live ones also in memory.

mod activate;
mod count;
mod live;
mod own_page;
mod saved;
mod spend;

pub use saved::Kept;
pub use saved::WentOn;

use crate::activation::Entries;
use crate::clock::Clock;
use crate::clock::ClockBehindFloor;
use crate::clock::UnixSeconds;
use crate::packed::Packed;
use crate::records::Fingerprint;
use crate::records::Method;
use crate::records::SessionLimits;
use crate::records::SigningSystem;
use crate::session::EndReason;
use crate::session::LiveSession;
use crate::session::SessionFacts;
use crate::sign_in::Approval;
use crate::sign_in::DenyReason;
use crate::sign_in::LINK_SECONDS;
use crate::sign_in::MAX_TRIES;
use crate::sign_in::Phase;
use crate::sign_in::RandomFailed;
use crate::sign_in::SessionRecord;
use crate::sign_in::number_fingerprint;
use crate::sign_in::random_id;
use crate::sign_in::random_number;
use crate::sign_in::random_secret;
use crate::store::Guard;
use crate::store::Key;
use crate::store::Outcome;
use crate::store::Rev;
use crate::store::Txn;
use crate::store::Write;
use crate::trust::MAX_RETRIES;
use crate::trust::TrustError;
use crate::trust::TrustStore;
use crate::waiting::Changed;
use crate::waiting::Waiting;
use live::Live;
use std::sync::Arc;
use std::sync::RwLock;
use std::time::Duration;

/// Seconds for which a piece of evidence is remembered as used: 30 days. Its age is the front's word, so this is far more
/// than its freshness; some hundred octets for each sign-in.
const EVIDENCE_REMEMBERED_SECONDS: u64 = 30 * 24 * 3600;

/// Why a session step was not done.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The durable record.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The clock cannot be trusted.
    #[error(transparent)]
    Clock(#[from] ClockBehindFloor),
    /// No random octets.
    #[error(transparent)]
    Random(#[from] RandomFailed),
    /// The record changed under every try.
    #[error("the record is contended")]
    Contended,
}

/// A sign-in just made, with the secrets that exist nowhere else.
pub struct Created {
    /// The record.
    pub record: SessionRecord,
    /// Secret of the login link.
    pub link_secret: String,
    /// Number to show on the asking screen, where no return URL is used.
    pub number: Option<String>,
}

/// What a signing system wants.
#[derive(Default)]
pub struct Wanted {
    /// Who has to sign in.
    pub holder_id: Option<String>,
    /// Methods that will do.
    pub methods: Vec<Method>,
    /// Where the browser goes with the code.
    pub return_url: Option<String>,
    /// What alone is to be signed; nothing: a day session.
    pub entries: Option<Entries>,
}

/// What became of an approval.
pub enum Approved {
    /// Approved; the code goes through the holder's browser (`None`: the typed number stands for it).
    Code(Option<String>),
    /// Used, over or denied in between: another browser may have won.
    LinkOver,
    /// The number typed is wrong; `denied` when that was the last try.
    WrongNumber {
        /// Whether the sign-in is denied now.
        denied: bool,
    },
    /// This very evidence was used before.
    EvidenceUsed,
}

/// What became of a code.
pub enum Activation {
    /// The session is live; the token exists nowhere else.
    Active {
        /// For the `Signing-Session` header.
        signing_token: String,
        /// The session.
        session: Arc<LiveSession>,
    },
    /// Nobody has signed in yet.
    Pending,
    /// Wrong code; `denied` when that was the last try.
    WrongCode {
        /// Whether the sign-in is denied now.
        denied: bool,
    },
    /// Denied before.
    Denied(DenyReason),
    /// Link or code ran out.
    Expired,
    /// Was active before: a code works once.
    AlreadyUsed,
}

/// See the module.
pub struct Sessions {
    trust: TrustStore,
    clock: Arc<dyn Clock>,
    live: RwLock<Live>,
    waiting: Waiting,
}

impl Sessions {
    /// Sessions over the sealed store.
    pub fn new(trust: TrustStore, clock: Arc<dyn Clock>) -> Self {
        Self { trust, clock, live: RwLock::default(), waiting: Waiting::default() }
    }

    /// Loads what was active when the daemon stopped: a reservation not given back counts as used.
    ///
    /// # Errors
    /// [`SessionError::Trust`] when a record was edited on disk.
    pub async fn load(&self) -> Result<usize, SessionError> {
        let now = self.clock.now()?;
        let mut loaded = 0;
        let take = |record: SessionRecord| match &record.phase {
            Phase::Active { token, expires_at, .. } if now < *expires_at => {
                if let Some(session) = live_session(&record) {
                    self.insert(token, session);
                    loaded += 1;
                }
            }
            Phase::Active { token, .. } => {
                self.remember(Packed::from(token), &record.system_id, EndReason::Expired, now);
            }
            Phase::Ended { token, reason, .. } => {
                self.remember(Packed::from(token), &record.system_id, *reason, now);
            }
            Phase::Pending { .. } | Phase::Approved { .. } | Phase::Denied { .. } => {}
        };
        self.trust.for_each(take).await?;
        Ok(loaded)
    }

    /// A new sign-in for `system`.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn create(
        &self,
        system: &SigningSystem,
        wanted: Wanted,
    ) -> Result<Created, SessionError> {
        let now = self.clock.now()?;
        let session_id = random_id()?;
        let link_secret = random_secret()?;
        let number = match wanted.return_url {
            Some(_) => None,
            None => Some(random_number()?),
        };
        let record = SessionRecord {
            link: Fingerprint::of(link_secret.as_bytes()),
            number: number.as_ref().map(|number| number_fingerprint(&session_id, number)),
            session_id,
            system_id: system.system_id.clone(),
            created_at: now,
            link_expires_at: now.plus(Duration::from_secs(LINK_SECONDS)),
            holder_id: wanted.holder_id,
            methods: wanted.methods,
            return_url: wanted.return_url,
            entries: wanted.entries,
            had_entries: false,
            phase: Phase::Pending { tries: 0 },
        };
        self.trust.create(&record).await?;
        Ok(Created { record, link_secret, number })
    }

    /// The record of a session, with its revision.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn record(
        &self,
        session_id: &str,
    ) -> Result<Option<(SessionRecord, Rev)>, SessionError> {
        Ok(self.trust.load::<SessionRecord>(session_id).await?)
    }

    /// The holder confirmed with fresh evidence. Of several browsers at once exactly one gets a code; `once_key` names the
    /// evidence by what nobody can vary, so that it serves one sign-in only.
    ///
    /// # Errors
    /// [`SessionError`] when nothing could be made durable.
    pub async fn approve(
        &self,
        session_id: &str,
        approval: Approval,
        once_key: &Fingerprint,
        number: Option<&str>,
    ) -> Result<Approved, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let Some((mut record, rev)) = self.record(session_id).await? else {
                return Ok(Approved::LinkOver);
            };
            let tries = match record.phase {
                Phase::Pending { tries } if !record.link_is_over(now) => tries,
                _ => return Ok(Approved::LinkOver),
            };
            if record.number.is_some() && !record.is_number(number.unwrap_or_default()) {
                let tries = tries.saturating_add(1);
                let denied = tries >= MAX_TRIES;
                match denied {
                    true => record.close(Phase::Denied { reason: DenyReason::WrongNumber }),
                    false => record.phase = Phase::Pending { tries },
                }
                match self.replace(&record, rev, None).await? {
                    Outcome::Committed => return Ok(Approved::WrongNumber { denied }),
                    Outcome::Conflict => continue,
                }
            }
            let code = match &record.number {
                Some(_) => None,
                None => Some(random_secret()?),
            };
            let expected = match (&code, number) {
                (Some(code), _) => Fingerprint::of(code.as_bytes()),
                (None, typed) => number_fingerprint(session_id, typed.unwrap_or_default()),
            };
            record.phase = Phase::approved(approval.clone(), expected, now);
            let (evidence_key, used) = evidence_used(once_key, now);
            match self.replace(&record, rev, Some((evidence_key.clone(), used))).await? {
                Outcome::Committed => return Ok(Approved::Code(code)),
                Outcome::Conflict if self.trust.has(&evidence_key).await? => {
                    return Ok(Approved::EvidenceUsed);
                }
                Outcome::Conflict => {}
            }
        }
        Err(SessionError::Contended)
    }

    /// The holder said "this is not mine", or the signing system gave up. True when it was still open.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn deny(&self, session_id: &str, reason: DenyReason) -> Result<bool, SessionError> {
        for _ in 0..MAX_RETRIES {
            let Some((mut record, rev)) = self.record(session_id).await? else {
                return Ok(false);
            };
            if !matches!(record.phase, Phase::Pending { .. } | Phase::Approved { .. }) {
                return Ok(false);
            }
            let approved_for = record.phase.holder_id().map(str::to_owned);
            record.close(Phase::Denied { reason });
            let mut txn = self.trust.replacement(&record, rev)?;
            if let Some(holder_id) = approved_for {
                txn.writes.extend(self.ends_of_saved(&holder_id, &record.system_id).await?);
            }
            if self.commit(session_id, txn).await? == Outcome::Committed {
                return Ok(true);
            }
        }
        Err(SessionError::Contended)
    }

    /// Denies every sign-in that is approved but not active yet and that `which` picks, as the session it would become, and
    /// removes what browsers keep likewise: what withdraws live sessions withdraws these, too.
    ///
    /// # Errors
    /// [`SessionError`] when one could not be made durable.
    pub async fn deny_approved(
        &self,
        which: &(dyn Fn(&LiveSession) -> bool + Send + Sync),
    ) -> Result<u64, SessionError> {
        // A click that comes in between finds nothing to go on with, and one that came before has a code without it.
        let withdrawn = self.withdraw_saved(which).await;
        let mut picked = Vec::new();
        let pick = |record: SessionRecord| {
            if let Phase::Approved { approval, .. } = &record.phase
                && which(&would_be_session(&record, approval))
            {
                picked.push(record.session_id);
            }
        };
        self.trust.for_each(pick).await?;
        let mut denied = 0;
        for session_id in picked {
            if self.deny(&session_id, DenyReason::Withdrawn).await? {
                denied += 1;
            }
        }
        withdrawn.map(|()| denied)
    }

    /// Makes the end durable, and with it the end of what browsers keep where the reason says so. The caller then lets the
    /// audit log apply it to memory, in its order, and calls [`Sessions::forget`]. True when the session was active.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn end(&self, session_id: &str, reason: EndReason) -> Result<bool, SessionError> {
        let live = self.by_id(session_id);
        for _ in 0..MAX_RETRIES {
            // Nothing is reserved in between: what it used stays what its record says.
            let _one_at_a_time = match &live {
                Some(live) => Some(live.reserving.lock().await),
                None => None,
            };
            let Some((mut record, rev)) = self.record(session_id).await? else {
                return Ok(false);
            };
            let Phase::Active { approval, token, reserved, .. } = record.phase.clone() else {
                return Ok(false);
            };
            let used = Some(live.as_ref().map_or(reserved, |live| live.give_up_block()));
            let (holder_id, method) = (approval.holder_id, approval.method);
            let ended = Phase::Ended { reason, holder_id: holder_id.clone(), method, token, used };
            record.close(ended);
            let mut txn = self.trust.replacement(&record, rev)?;
            if reason.ends_saved() {
                txn.writes.extend(self.ends_of_saved(&holder_id, &record.system_id).await?);
            }
            if self.commit(session_id, txn).await? == Outcome::Committed {
                return Ok(true);
            }
        }
        Err(SessionError::Contended)
    }

    /// Resolves at the next change of this session's record. Ask for it before reading the record.
    pub fn changed(&self, session_id: &str) -> Changed<'_> {
        self.waiting.changed(session_id)
    }

    async fn replace(
        &self,
        record: &SessionRecord,
        rev: Rev,
        once: Option<(Key, Write)>,
    ) -> Result<Outcome, SessionError> {
        let mut txn = self.trust.replacement(record, rev)?;
        if let Some((key, used)) = once {
            txn.guards.push(Guard::Absent(key));
            txn.writes.push(used);
        }
        self.commit(&record.session_id, txn).await
    }

    async fn commit(&self, session_id: &str, txn: Txn) -> Result<Outcome, SessionError> {
        let outcome = self.trust.commit(txn).await?;
        if outcome == Outcome::Committed {
            self.notify(session_id);
        }
        Ok(outcome)
    }

    /// Wakes whoever waits for a change of this session's record.
    pub(crate) fn notify(&self, session_id: &str) {
        self.waiting.notify(session_id);
    }
}

/// Where evidence is remembered as used, and what remembers it. Guarded by its absence, it serves once.
pub(crate) fn evidence_used(once_key: &Fingerprint, now: UnixSeconds) -> (Key, Write) {
    let key = [b"e/", once_key.0.as_bytes()].concat();
    let expires = Some(now.plus(Duration::from_secs(EVIDENCE_REMEMBERED_SECONDS)));
    (key.clone(), Write::Put { key, value: vec![1], expires })
}

/// Notes in `txn` that this evidence is used; false when it was before.
pub(crate) async fn note_evidence(
    trust: &TrustStore,
    once_key: &Fingerprint,
    now: UnixSeconds,
    txn: &mut Txn,
) -> Result<bool, TrustError> {
    let (key, used) = evidence_used(once_key, now);
    let is_first = !trust.has(&key).await?;
    txn.guards.push(Guard::Absent(key));
    txn.writes.push(used);
    Ok(is_first)
}

/// The session that an approved sign-in would become, with nothing left in it.
fn would_be_session(record: &SessionRecord, approval: &Approval) -> LiveSession {
    LiveSession::new(facts(record, approval))
}

fn live_session(record: &SessionRecord) -> Option<LiveSession> {
    let Phase::Active { approval, expires_at, limits, reserved, last_used, used_entries, .. } =
        &record.phase
    else {
        return None;
    };
    if record.is_for_portal() {
        return None;
    }
    Some(LiveSession::new(SessionFacts {
        expires_at: *expires_at,
        limits: *limits,
        used: *reserved,
        last_used: *last_used,
        used_entries: used_entries.clone(),
        ..facts(record, approval)
    }))
}

/// What a session is made from, over as soon as it begins.
fn facts(record: &SessionRecord, approval: &Approval) -> SessionFacts {
    SessionFacts {
        session_id: record.session_id.clone(),
        holder_id: approval.holder_id.clone(),
        system_id: record.system_id.clone(),
        method: approval.method,
        evidence: approval.evidence.clone(),
        factor: approval.factor.clone(),
        certificate_b64: approval.certificate_b64.clone(),
        second_certificates: approval.second_certificates.clone(),
        terminal: approval.terminal.clone(),
        authenticated_at: approval.authenticated_at,
        expires_at: approval.authenticated_at,
        limits: SessionLimits::NOTHING,
        used: 0,
        last_used: approval.authenticated_at,
        entries: record.entries.clone(),
        used_entries: Vec::new(),
    }
}
