//! Change of phone by the phone itself: the old one proves its holder, who says yes on the PC and goes on with the new one.
//!
//! ```text
//! waiting --old phone proved--> proved --"yes" on the PC--> agreed     (and any of them: over by the clock)
//!    \___ wrong number five times, "not mine", "no", refused _\____> denied
//! ```
//! Nothing about the holder id is believed or told before a phone proves it: unknown ids get a page like any other. What is
//! agreed is leave to issue one [`Ticket`](crate::ticket::Ticket) by the old phone, once; the old phone works until that
//! ticket is done, for which it is asked once more.

use crate::authenticator::Authenticator;
use crate::authenticator::ProofUsed;
use crate::authenticator::use_up;
use crate::clock::Clock;
use crate::clock::UnixSeconds;
use crate::evidence::Purpose;
use crate::evidence::VerifiedFido2;
use crate::qr_link::NumberTried;
use crate::qr_link::PageSecret;
use crate::qr_link::QrLink;
use crate::qr_link::one_line;
use crate::records::Fingerprint;
use crate::records::TrustRecord;
use crate::sessions::SessionError;
use crate::sign_in::DenyReason;
use crate::sign_in::number_fingerprint;
use crate::sign_in::random_id;
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

/// Seconds for which the QR code can be used: the old phone is in the pocket.
pub const CHANGE_SECONDS: u64 = 180;
/// Seconds in which to say yes or no on the PC.
pub const AGREE_SECONDS: u64 = 180;
/// Seconds for which a change that is over is still known as such.
const REMEMBERED_SECONDS: u64 = 3600;

/// Where a change stands. Its time may be over in any state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum ChangeState {
    /// Waits for the old phone.
    Waiting,
    /// The old phone proved its holder, who is asked on the PC.
    Proved {
        /// The old phone.
        authenticator_id: Fingerprint,
        /// First second at which it is too late.
        until: UnixSeconds,
    },
    /// The holder said yes. Final.
    Agreed,
    /// Final.
    Denied {
        /// Why.
        reason: DenyReason,
    },
}

/// One page of one PC that waits for the old phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhoneChange {
    /// 16 random octets, hexadecimal.
    pub change_id: String,
    /// The QR code.
    pub link: QrLink,
    /// Whose phone, as typed. Not proved before the phone is.
    pub holder_id: String,
    /// From where it was asked for, as the phone shows it.
    pub terminal: String,
    /// Since when.
    pub created_at: UnixSeconds,
    /// Where it stands.
    pub state: ChangeState,
}

impl TrustRecord for PhoneChange {
    const PREFIX: &'static str = "pc/";

    fn id(&self) -> String {
        self.change_id.clone()
    }

    fn expires(&self) -> Option<UnixSeconds> {
        Some(self.link.expires_at().plus(Duration::from_secs(REMEMBERED_SECONDS)))
    }
}

impl PhoneChange {
    /// Whether the old phone can still be proved at `now`.
    pub fn is_open(&self, now: UnixSeconds) -> bool {
        self.state == ChangeState::Waiting && !self.link.is_expired(now)
    }

    /// The phone that is proved, and until when its holder may say yes or no.
    pub fn proved(&self, now: UnixSeconds) -> Option<(&Fingerprint, UnixSeconds)> {
        match &self.state {
            ChangeState::Proved { authenticator_id, until } if now < *until => {
                Some((authenticator_id, *until))
            }
            ChangeState::Proved { .. }
            | ChangeState::Waiting
            | ChangeState::Agreed
            | ChangeState::Denied { .. } => None,
        }
    }
}

/// What became of a number typed on the old phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeNumber {
    /// The phone may be asked to prove itself now.
    Right,
    /// It is wrong; `denied` when that was the last try.
    Wrong {
        /// Whether the change is denied now.
        denied: bool,
    },
    /// Unknown, another's, used, denied or too late; nobody is told which.
    Over,
}

/// What became of the old phone's proof.
#[derive(Debug)]
pub enum ChangeProved {
    /// The PC asks now, or the change is denied as asked; the authenticator as it is now, to be put into the registry.
    Done(Box<Authenticator>),
    /// Used, denied or too late.
    Over,
    /// This very evidence was used before.
    EvidenceUsed,
    /// The authenticator was removed in between.
    FactorGone,
    /// The counter went back in between: there may be a copy of the key.
    CounterBack,
}

/// Every change of phone: durable records moved forward by guarded writes.
pub struct PhoneChanges {
    trust: TrustStore,
    clock: Arc<dyn Clock>,
    waiting: Waiting,
}

impl PhoneChanges {
    /// Changes over the sealed store.
    pub fn new(trust: TrustStore, clock: Arc<dyn Clock>) -> Self {
        Self { trust, clock, waiting: Waiting::default() }
    }

    /// A new change for `holder_id` as typed, shown by `page` of the PC `terminal`.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn start(
        &self,
        holder_id: &str,
        terminal: &str,
        page: &PageSecret,
    ) -> Result<PhoneChange, SessionError> {
        let now = self.clock.now()?;
        let change_id = random_id()?;
        let number = number_fingerprint(&change_id, &page.number());
        let until = now.plus(Duration::from_secs(CHANGE_SECONDS));
        let change = PhoneChange {
            link: QrLink::new(page, number, until),
            change_id,
            holder_id: holder_id.to_owned(),
            terminal: one_line(terminal),
            created_at: now,
            state: ChangeState::Waiting,
        };
        self.trust.create(&change).await?;
        Ok(change)
    }

    /// The change of a QR code's link, in whatever state; changes nothing.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn by_link(
        &self,
        change_id: &str,
        secret: &str,
    ) -> Result<Option<PhoneChange>, SessionError> {
        let found = self.trust.find::<PhoneChange>(change_id).await?;
        Ok(found.filter(|change| change.link.is_secret(secret)))
    }

    /// The change that `page` shows, in whatever state; changes nothing.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn by_page(
        &self,
        change_id: &str,
        page: &PageSecret,
    ) -> Result<Option<PhoneChange>, SessionError> {
        let found = self.trust.find::<PhoneChange>(change_id).await?;
        Ok(found.filter(|change| change.link.is_page(page)))
    }

    /// Checks the number typed on the old phone. Five wrong ones deny the change.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn check_number(
        &self,
        change_id: &str,
        secret: &str,
        number: &str,
    ) -> Result<ChangeNumber, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let found = self.trust.load::<PhoneChange>(change_id).await?;
            let Some((mut change, rev)) =
                found.filter(|(change, _)| change.is_open(now) && change.link.is_secret(secret))
            else {
                return Ok(ChangeNumber::Over);
            };
            let denied = match change.link.try_number(change_id, number) {
                NumberTried::Right => return Ok(ChangeNumber::Right),
                NumberTried::Wrong { denied } => denied,
            };
            if denied {
                change.state = ChangeState::Denied { reason: DenyReason::WrongNumber };
            }
            if self.replace(&change, rev).await? == Outcome::Committed {
                return Ok(ChangeNumber::Wrong { denied });
            }
        }
        Err(SessionError::Contended)
    }

    /// The old phone proved its holder. Change and authenticator move together or not at all. Its evidence is in the audit log
    /// by now.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn prove(
        &self,
        change_id: &str,
        proof: &VerifiedFido2,
    ) -> Result<ChangeProved, SessionError> {
        self.settle(change_id, proof, |now| ChangeState::Proved {
            authenticator_id: proof.authenticator_id().clone(),
            until: now.plus(Duration::from_secs(AGREE_SECONDS)),
        })
        .await
    }

    /// The old phone proved its holder, who may change nothing: the change is denied, and the proof used up.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn refuse(
        &self,
        change_id: &str,
        proof: &VerifiedFido2,
    ) -> Result<ChangeProved, SessionError> {
        self.settle(change_id, proof, |_| ChangeState::Denied { reason: DenyReason::Refused }).await
    }

    async fn settle(
        &self,
        change_id: &str,
        proof: &VerifiedFido2,
        next: impl Fn(UnixSeconds) -> ChangeState,
    ) -> Result<ChangeProved, SessionError> {
        let binding = proof.binding();
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let found = self.trust.load::<PhoneChange>(change_id).await?;
            let Some((mut change, change_rev)) = found.filter(|(change, _)| {
                change.is_open(now)
                    && binding.purpose == Purpose::ChangePhone
                    && change.change_id == binding.handoff_id
                    && change.holder_id == binding.holder_id
            }) else {
                return Ok(ChangeProved::Over);
            };
            change.state = next(now);
            let mut txn = self.trust.replacement(&change, change_rev)?;
            let authenticator = match use_up(&self.trust, proof, now, &mut txn).await? {
                ProofUsed::Yes(authenticator) => authenticator,
                ProofUsed::FactorGone => return Ok(ChangeProved::FactorGone),
                ProofUsed::CounterBack => return Ok(ChangeProved::CounterBack),
                ProofUsed::EvidenceUsed => return Ok(ChangeProved::EvidenceUsed),
            };
            if self.commit(change_id, txn).await? == Outcome::Committed {
                return Ok(ChangeProved::Done(authenticator));
            }
        }
        Err(SessionError::Contended)
    }

    /// The holder says yes on `page`: once. The phone that is to be given up, if it is still time.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn agree(
        &self,
        change_id: &str,
        page: &PageSecret,
    ) -> Result<Option<Fingerprint>, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let found = self.trust.load::<PhoneChange>(change_id).await?;
            let Some((mut change, rev)) = found.filter(|(change, _)| change.link.is_page(page))
            else {
                return Ok(None);
            };
            let Some(old) = change.proved(now).map(|(old, _)| old.clone()) else {
                return Ok(None);
            };
            change.state = ChangeState::Agreed;
            if self.replace(&change, rev).await? == Outcome::Committed {
                return Ok(Some(old));
            }
        }
        Err(SessionError::Contended)
    }

    /// The holder said no, on the phone or on the PC. True when it was not decided yet.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn deny(&self, change_id: &str, reason: DenyReason) -> Result<bool, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let found = self.trust.load::<PhoneChange>(change_id).await?;
            let undecided =
                |change: &PhoneChange| change.is_open(now) || change.proved(now).is_some();
            let Some((mut change, rev)) = found.filter(|(change, _)| undecided(change)) else {
                return Ok(false);
            };
            change.state = ChangeState::Denied { reason };
            if self.replace(&change, rev).await? == Outcome::Committed {
                return Ok(true);
            }
        }
        Err(SessionError::Contended)
    }

    /// Resolves at the next move of this change. Ask for it before reading the change.
    pub fn changed(&self, change_id: &str) -> Changed<'_> {
        self.waiting.changed(change_id)
    }

    async fn replace(&self, change: &PhoneChange, rev: Rev) -> Result<Outcome, SessionError> {
        self.commit(&change.change_id, self.trust.replacement(change, rev)?).await
    }

    async fn commit(&self, change_id: &str, txn: Txn) -> Result<Outcome, SessionError> {
        let outcome = self.trust.commit(txn).await?;
        if outcome == Outcome::Committed {
            self.waiting.notify(change_id);
        }
        Ok(outcome)
    }
}
