//! Hand-offs: a sign-in begun on a PC is approved by the holder's phone, and the PC goes on.
//!
//! ```text
//! waiting --phone proved--> approved          (or over by the clock)
//!    \___ wrong number five times, "not mine" ___> denied
//! ```
//! A hand-off is made for a sign-in, a holder id as typed and one page of one PC. Nothing about the holder id is believed or
//! told before a phone proves it: unknown ones get a hand-off like any other. Approval moves sign-in, hand-off and the phone's
//! counter in one transaction, so that of two phones, two pages and a card one wins. The code that completes the sign-in is
//! known to the PC's page alone.

use crate::activation::Entries;
use crate::authenticator::Authenticator;
use crate::clock::Clock;
use crate::clock::UnixSeconds;
use crate::evidence::Binding;
use crate::evidence::VerifiedFido2;
use crate::qr_link::NumberTried;
use crate::qr_link::PageSecret;
use crate::qr_link::QrLink;
use crate::qr_link::one_line;
use crate::records::Fingerprint;
use crate::records::Method;
use crate::records::TrustRecord;
use crate::sessions::SessionError;
use crate::sessions::Sessions;
use crate::sessions::evidence_used;
use crate::sign_in::Approval;
use crate::sign_in::DenyReason;
use crate::sign_in::Phase;
use crate::sign_in::SessionRecord;
use crate::sign_in::number_fingerprint;
use crate::sign_in::random_id;
use crate::store::Guard;
use crate::store::Outcome;
use crate::store::Rev;
use crate::store::Txn;
use crate::trust::MAX_RETRIES;
use crate::trust::TrustStore;
use crate::waiting::Changed;
use crate::waiting::Waiting;
use serde::Deserialize;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// Seconds for which a QR code of a sign-in can be used: the phone is in the pocket.
pub const HANDOFF_SECONDS: u64 = 180;
/// Seconds for which a hand-off that is over is still known as such.
const REMEMBERED_SECONDS: u64 = 3600;

/// Where a hand-off stands. Its time may be over while it waits: [`Handoff::is_open`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum HandoffState {
    /// Waits for the phone.
    Waiting,
    /// The sign-in is approved and this page has its code. Final.
    Approved,
    /// Final.
    Denied {
        /// Why.
        reason: DenyReason,
    },
}

/// One page of one PC that waits for a phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handoff {
    /// 16 random octets, hexadecimal.
    pub handoff_id: String,
    /// The QR code.
    pub link: QrLink,
    /// The sign-in.
    pub session_id: String,
    /// Who is to approve: as the sign-in wants, or as typed. Not proved.
    pub holder_id: String,
    /// SHA-256 of the code that the page hands on.
    code: Fingerprint,
    /// From where it is asked, as the phone shows it.
    pub terminal: String,
    /// Since when.
    pub created_at: UnixSeconds,
    /// Where it stands.
    pub state: HandoffState,
}

impl TrustRecord for Handoff {
    const PREFIX: &'static str = "d/";

    fn id(&self) -> String {
        self.handoff_id.clone()
    }

    fn expires(&self) -> Option<UnixSeconds> {
        Some(self.link.expires_at().plus(Duration::from_secs(REMEMBERED_SECONDS)))
    }
}

impl Handoff {
    /// Whether a phone can still approve it at `now`.
    pub fn is_open(&self, now: UnixSeconds) -> bool {
        self.state == HandoffState::Waiting && !self.link.is_expired(now)
    }
}

/// What became of a number typed on the phone.
#[derive(Debug)]
pub enum NumberChecked {
    /// The phone may be asked to prove itself now.
    Right(Box<Handoff>),
    /// It is wrong; `denied` when that was the last try.
    Wrong {
        /// Whether the hand-off is denied now.
        denied: bool,
    },
    /// Unknown, another's, used, denied or too late; nobody is told which.
    Over,
}

/// What became of a phone's approval.
#[derive(Debug)]
pub enum HandoffApproved {
    /// The page may go on; the authenticator as it is now, to be put into the registry.
    Done(Box<Authenticator>),
    /// The hand-off is used, denied or too late.
    Over,
    /// The sign-in is over: another page, phone or card may have won.
    LinkOver,
    /// This very evidence was used before.
    EvidenceUsed,
    /// The authenticator was removed in between.
    FactorGone,
    /// The counter went back in between: there may be a copy of the key.
    CounterBack,
}

/// The holder's second certificates that may sign: what a session by phone rests on besides the phone.
pub struct Entitlement {
    /// SHA-256 of each.
    pub certificates: Vec<Fingerprint>,
    /// When the first of them ends.
    pub not_after: UnixSeconds,
}

/// Every hand-off: durable records moved forward by guarded writes.
pub struct Handoffs {
    sessions: Arc<Sessions>,
    trust: TrustStore,
    clock: Arc<dyn Clock>,
    waiting: Waiting,
}

impl Handoffs {
    /// Hand-offs of these sign-ins, in the same sealed store.
    pub fn new(sessions: Arc<Sessions>, trust: TrustStore, clock: Arc<dyn Clock>) -> Self {
        Self { sessions, trust, clock, waiting: Waiting::default() }
    }

    /// A new hand-off of the sign-in `record`, shown by `page` of the PC `terminal`, for `holder_id` as typed there.
    ///
    /// The number to type is [`PageSecret::number`], or the one on the asking screen where the sign-in has such a number.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn start(
        &self,
        record: &SessionRecord,
        holder_id: &str,
        terminal: &str,
        page: &PageSecret,
    ) -> Result<Handoff, SessionError> {
        let now = self.clock.now()?;
        let number = record.number.clone();
        let number =
            number.unwrap_or_else(|| number_fingerprint(&record.session_id, &page.number()));
        let until = now.plus(Duration::from_secs(HANDOFF_SECONDS)).min(record.link_expires_at);
        let handoff = Handoff {
            handoff_id: random_id()?,
            link: QrLink::new(page, number, until),
            session_id: record.session_id.clone(),
            holder_id: holder_id.to_owned(),
            code: Fingerprint::of(page.code().as_bytes()),
            terminal: one_line(terminal),
            created_at: now,
            state: HandoffState::Waiting,
        };
        self.trust.create(&handoff).await?;
        Ok(handoff)
    }

    /// The hand-off of a QR code's link, in whatever state; changes nothing.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn by_link(
        &self,
        handoff_id: &str,
        secret: &str,
    ) -> Result<Option<Handoff>, SessionError> {
        let found = self.trust.find::<Handoff>(handoff_id).await?;
        Ok(found.filter(|handoff| handoff.link.is_secret(secret)))
    }

    /// The hand-off that `page` shows, in whatever state; changes nothing. Approved: the page hands [`PageSecret::code`] on.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn by_page(
        &self,
        handoff_id: &str,
        page: &PageSecret,
    ) -> Result<Option<Handoff>, SessionError> {
        let found = self.trust.find::<Handoff>(handoff_id).await?;
        Ok(found.filter(|handoff| handoff.link.is_page(page)))
    }

    /// Checks the number typed on the phone. Five wrong ones deny the hand-off; where the sign-in has a number of its own
    /// the caller then denies the sign-in, too.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn check_number(
        &self,
        handoff_id: &str,
        secret: &str,
        number: &str,
    ) -> Result<NumberChecked, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let found = self.trust.load::<Handoff>(handoff_id).await?;
            let Some((mut handoff, rev)) =
                found.filter(|(handoff, _)| handoff.is_open(now) && handoff.link.is_secret(secret))
            else {
                return Ok(NumberChecked::Over);
            };
            let denied = match handoff.link.try_number(&handoff.session_id, number) {
                NumberTried::Right => return Ok(NumberChecked::Right(Box::new(handoff))),
                NumberTried::Wrong { denied } => denied,
            };
            if denied {
                handoff.state = HandoffState::Denied { reason: DenyReason::WrongNumber };
            }
            if self.replace(&handoff, rev).await? == Outcome::Committed {
                return Ok(NumberChecked::Wrong { denied });
            }
        }
        Err(SessionError::Contended)
    }

    /// The phone proved its holder. Sign-in, hand-off and authenticator move together or not at all. Its evidence is in the
    /// audit log by now.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn approve(
        &self,
        proof: &VerifiedFido2,
        entitlement: &Entitlement,
    ) -> Result<HandoffApproved, SessionError> {
        let binding = proof.binding();
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let found = self.trust.load::<Handoff>(&binding.handoff_id).await?;
            let Some((mut handoff, handoff_rev)) = found.filter(|(handoff, _)| {
                handoff.is_open(now)
                    && handoff.session_id == binding.session_id
                    && handoff.holder_id == binding.holder_id
            }) else {
                return Ok(HandoffApproved::Over);
            };
            let found = self.sessions.record(&binding.session_id).await?;
            let Some((mut record, record_rev)) = found.filter(|(record, _)| {
                !record.link_is_over(now) && is_for(record, &handoff, binding)
            }) else {
                return Ok(HandoffApproved::LinkOver);
            };
            let found = self.trust.load::<Authenticator>(&proof.authenticator_id().0).await?;
            let Some((mut authenticator, rev)) =
                found.filter(|(found, _)| found.holder_id == binding.holder_id)
            else {
                return Ok(HandoffApproved::FactorGone);
            };
            if !authenticator.is_followed_by(proof.counter()) {
                return Ok(HandoffApproved::CounterBack);
            }
            proof.note_use(&mut authenticator);
            let code = record.number.clone().unwrap_or_else(|| handoff.code.clone());
            let approval = approval(proof, entitlement, &handoff.terminal);
            record.phase = Phase::approved(approval, code, now);
            handoff.state = HandoffState::Approved;
            let evidence = evidence_used(&proof.replay_key(), now);
            let txn = Txn {
                guards: vec![
                    Guard::Rev(record.key(), record_rev),
                    Guard::Rev(handoff.key(), handoff_rev),
                    Guard::Rev(authenticator.key(), rev),
                    Guard::Absent(evidence.0.clone()),
                ],
                writes: vec![
                    self.trust.sealed(&record)?,
                    self.trust.sealed(&handoff)?,
                    self.trust.sealed(&authenticator)?,
                    evidence.1,
                ],
            };
            match self.commit(&handoff, txn).await? {
                Outcome::Committed => {
                    self.sessions.notify(&record.session_id);
                    return Ok(HandoffApproved::Done(Box::new(authenticator)));
                }
                Outcome::Conflict if self.trust.has(&evidence.0).await? => {
                    return Ok(HandoffApproved::EvidenceUsed);
                }
                Outcome::Conflict => {}
            }
        }
        Err(SessionError::Contended)
    }

    /// The holder said "this is not mine", or the page gave up. True when it was still open.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn deny(&self, handoff_id: &str, reason: DenyReason) -> Result<bool, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let found = self.trust.load::<Handoff>(handoff_id).await?;
            let Some((mut handoff, rev)) = found.filter(|(handoff, _)| handoff.is_open(now)) else {
                return Ok(false);
            };
            handoff.state = HandoffState::Denied { reason };
            if self.replace(&handoff, rev).await? == Outcome::Committed {
                return Ok(true);
            }
        }
        Err(SessionError::Contended)
    }

    /// Resolves at the next change of this hand-off. Ask for it before reading the hand-off.
    pub fn changed(&self, handoff_id: &str) -> Changed<'_> {
        self.waiting.changed(handoff_id)
    }

    async fn replace(&self, handoff: &Handoff, rev: Rev) -> Result<Outcome, SessionError> {
        self.commit(handoff, self.trust.replacement(handoff, rev)?).await
    }

    async fn commit(&self, handoff: &Handoff, txn: Txn) -> Result<Outcome, SessionError> {
        let outcome = self.trust.commit(txn).await?;
        if outcome == Outcome::Committed {
            self.waiting.notify(&handoff.handoff_id);
        }
        Ok(outcome)
    }
}

/// Whether the sign-in can be approved by this hand-off: by phone, by this holder, with this number, and for what the
/// authenticator was asked.
fn is_for(record: &SessionRecord, handoff: &Handoff, binding: &Binding) -> bool {
    record.accepts(Method::Fido2)
        && record.holder_id.as_ref().is_none_or(|wanted| *wanted == handoff.holder_id)
        && record.number.as_ref().is_none_or(|number| number == handoff.link.number())
        && record.entries.as_ref().map(Entries::digest) == binding.entries
}

fn approval(proof: &VerifiedFido2, entitlement: &Entitlement, terminal: &str) -> Approval {
    Approval {
        holder_id: proof.binding().holder_id.clone(),
        method: Method::Fido2,
        evidence: proof.digest().0,
        factor: proof.authenticator_id().clone(),
        certificate_b64: None,
        certificate_not_after: None,
        second_certificates: entitlement.certificates.clone(),
        second_certificates_not_after: Some(entitlement.not_after),
        authenticated_at: proof.proved_at(),
        limits: proof.binding().limits,
        terminal: Some(terminal.to_owned()),
        continued: None,
    }
}
