//! Tickets: a phone or a security key is enrolled by another factor of its holder.
//!
//! ```text
//! issued --number typed--> opened --phone proved--> proved --card or old phone asked again--> done
//!    \________ wrong number five times, "not mine" _____\_____________________________________> denied   (and any: over by the clock)
//! ```
//! The card, or the old phone, proves the holder; the PC shows a QR code and a number. Following the link changes nothing; typing
//! the number opens the ticket. A proved phone is not registered yet: whoever stands at the PC sees what was proved, and what
//! began is asked once more: the card in another handshake, the old phone by a second QR code, for this very phone. That ends
//! the ticket in one transaction that also puts the phone in its slot and removes the one that the holder gave up. Until that
//! moment the old phone works, and no ticket does it twice.
//!
//! A security key is enrolled by a card at the PC itself: the page that has the secret types its own number, and nobody follows
//! a link. Otherwise it is as with a phone.

mod outcome;
mod place;
mod second_code;

pub use outcome::Enrolled;
pub use outcome::TicketOpened;

use crate::authenticator::Authenticator;
use crate::authenticator::AuthenticatorKind;
use crate::authenticator::EnrolledBy;
use crate::authenticator::Enroller;
use crate::clock::Clock;
use crate::clock::UnixSeconds;
use crate::enroller;
use crate::enroller::Entitled;
use crate::evidence::NewPasskey;
use crate::factor_rules::FactorRules;
use crate::qr_link::NumberTried;
use crate::qr_link::PageSecret;
use crate::qr_link::QrLink;
use crate::qr_link::one_line;
use crate::records::Fingerprint;
use crate::records::Method;
use crate::records::TrustRecord;
use crate::sessions::SessionError;
use crate::sessions::note_evidence;
use crate::sign_in::DenyReason;
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
use place::Place;
use serde::Deserialize;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// Seconds for which a QR code of an enrolment can be used: time to find the phone and unlock it.
pub const TICKET_SECONDS: u64 = 300;
/// Seconds within which what began is asked once more, once the new phone or card is proved: a card is out of its reader by now.
pub const CONFIRM_SECONDS: u64 = 180;
/// Seconds for which a ticket that is over is still known as such.
const REMEMBERED_SECONDS: u64 = 3600;

/// Where a ticket stands. Its time may be over in any state: [`Ticket::is_open`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum TicketState {
    /// Waits for a phone.
    Issued,
    /// The number was typed on a phone; trying again is allowed.
    Opened,
    /// A phone is proved, and waits for what began to be asked once more.
    Proved {
        /// The phone; registered nowhere.
        authenticator: Box<Authenticator>,
        /// First second at which it is too late.
        until: UnixSeconds,
    },
    /// Final.
    Done {
        /// What was enrolled.
        authenticator_id: Fingerprint,
    },
    /// Final.
    Denied {
        /// Why.
        reason: DenyReason,
    },
}

/// What a ticket enrols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enrols {
    /// A phone, in place of the one that the holder was shown and agreed to give up, if they have one.
    Phone {
        /// That one.
        replaces: Option<Fingerprint>,
    },
    /// One more security key.
    SecurityKey,
}

/// Leave to enrol one authenticator for one holder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    /// 16 random octets, hexadecimal.
    pub ticket_id: String,
    /// The QR code for the new phone.
    pub link: QrLink,
    /// The second one, for the old phone that began.
    pub second: Option<QrLink>,
    /// For whom.
    pub holder_id: String,
    /// By what the holder proved to be themselves.
    pub enrolled_by: Enroller,
    /// What may be enrolled.
    #[serde(default)]
    pub kind: AuthenticatorKind,
    /// The phone that the holder agreed to give up, if they had one.
    pub replaces: Option<Fingerprint>,
    /// From where it was asked for, as the phone shows it.
    pub terminal: String,
    /// Since when.
    pub created_at: UnixSeconds,
    /// Where it stands.
    pub state: TicketState,
}

impl TrustRecord for Ticket {
    const PREFIX: &'static str = "t/";

    fn id(&self) -> String {
        self.ticket_id.clone()
    }

    fn expires(&self) -> Option<UnixSeconds> {
        Some(self.link.expires_at().plus(Duration::from_secs(REMEMBERED_SECONDS)))
    }
}

impl Ticket {
    /// Whether a phone can still be proved under it at `now`.
    pub fn is_open(&self, now: UnixSeconds) -> bool {
        let waits = matches!(self.state, TicketState::Issued | TicketState::Opened);
        waits && !self.link.is_expired(now)
    }

    /// The phone that waits at `now` for what began.
    pub fn proved(&self, now: UnixSeconds) -> Option<&Authenticator> {
        match &self.state {
            TicketState::Proved { authenticator, until } if now < *until => Some(authenticator),
            TicketState::Proved { .. }
            | TicketState::Issued
            | TicketState::Opened
            | TicketState::Done { .. }
            | TicketState::Denied { .. } => None,
        }
    }

    /// The authenticator that `new` would be.
    pub fn authenticator(&self, new: &NewPasskey, now: UnixSeconds) -> Authenticator {
        let enrolled_by = EnrolledBy::Factor(self.enrolled_by.clone());
        Authenticator::proved(new, &self.holder_id, enrolled_by, &self.terminal, now)
    }

    /// Whether `secret` is that of the second QR code's link.
    fn is_second_secret(&self, secret: &str) -> bool {
        self.second.as_ref().is_some_and(|second| second.is_secret(secret))
    }

    /// Seconds left to ask what began once more.
    pub fn seconds_to_confirm(&self, now: UnixSeconds) -> u64 {
        match &self.state {
            TicketState::Proved { until, .. } => now.seconds_until(*until),
            TicketState::Issued
            | TicketState::Opened
            | TicketState::Done { .. }
            | TicketState::Denied { .. } => 0,
        }
    }
}

/// Every ticket: durable records moved forward by guarded writes.
pub struct Tickets {
    trust: TrustStore,
    clock: Arc<dyn Clock>,
    rules: FactorRules,
    waiting: Waiting,
}

impl Tickets {
    /// Tickets over the sealed store.
    pub fn new(trust: TrustStore, clock: Arc<dyn Clock>, rules: FactorRules) -> Self {
        Self { trust, clock, rules, waiting: Waiting::default() }
    }

    /// A new ticket for `holder_id`, just proved by `enrolled_by`, shown by `page` of the PC `terminal`. `once_key` is what a
    /// card's handshake is remembered by as used; there is none when a phone proved the holder, whose evidence was used up by
    /// that. `None` when this very handshake was used before.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn issue(
        &self,
        holder_id: &str,
        enrolled_by: Enroller,
        enrols: Enrols,
        terminal: &str,
        page: &PageSecret,
        once_key: Option<&Fingerprint>,
    ) -> Result<Option<Ticket>, SessionError> {
        let now = self.clock.now()?;
        let ticket_id = random_id()?;
        let number = number_fingerprint(&ticket_id, &page.number());
        let until = now.plus(Duration::from_secs(TICKET_SECONDS));
        let second = (enrolled_by.method == Method::Fido2).then(|| {
            let (page, last) = (page.second(), until.plus(Duration::from_secs(CONFIRM_SECONDS)));
            QrLink::new(&page, number_fingerprint(&ticket_id, &page.number()), last)
        });
        let (kind, replaces) = match enrols {
            Enrols::Phone { replaces } => (AuthenticatorKind::Phone, replaces),
            Enrols::SecurityKey => (AuthenticatorKind::SecurityKey, None),
        };
        let ticket = Ticket {
            link: QrLink::new(page, number, until),
            second,
            ticket_id,
            holder_id: holder_id.to_owned(),
            enrolled_by,
            kind,
            replaces,
            terminal: one_line(terminal),
            created_at: now,
            state: TicketState::Issued,
        };
        let mut txn = self.trust.creation(&ticket)?;
        if let Some(once_key) = once_key
            && !note_evidence(&self.trust, once_key, now, &mut txn).await?
        {
            return Ok(None);
        }
        // The ticket's name is new, so that only another use of the handshake can have been first.
        let outcome = self.commit(&ticket.ticket_id, txn).await?;
        Ok((outcome == Outcome::Committed).then_some(ticket))
    }

    /// The ticket of this name, in whatever state; changes nothing. Whoever asks has proved nothing yet.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn by_id(&self, ticket_id: &str) -> Result<Option<Ticket>, SessionError> {
        Ok(self.trust.find(ticket_id).await?)
    }

    /// The ticket of a QR code's link, in whatever state; changes nothing.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn by_link(
        &self,
        ticket_id: &str,
        secret: &str,
    ) -> Result<Option<Ticket>, SessionError> {
        let found = self.trust.find::<Ticket>(ticket_id).await?;
        Ok(found.filter(|ticket| ticket.link.is_secret(secret)))
    }

    /// The ticket that `page` shows, in whatever state; changes nothing.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn by_page(
        &self,
        ticket_id: &str,
        page: &PageSecret,
    ) -> Result<Option<Ticket>, SessionError> {
        let found = self.trust.find::<Ticket>(ticket_id).await?;
        Ok(found.filter(|ticket| ticket.link.is_page(page)))
    }

    /// The number was typed on a phone that followed the link; it may register now, also if it did so before.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn open(
        &self,
        ticket_id: &str,
        secret: &str,
        number: &str,
    ) -> Result<TicketOpened, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let found = self.trust.load::<Ticket>(ticket_id).await?;
            let Some((mut ticket, rev)) =
                found.filter(|(ticket, _)| ticket.is_open(now) && ticket.link.is_secret(secret))
            else {
                return Ok(TicketOpened::Over);
            };
            let tried = ticket.link.try_number(ticket_id, number);
            ticket.state = match tried {
                NumberTried::Right => TicketState::Opened,
                NumberTried::Wrong { denied: true } => {
                    TicketState::Denied { reason: DenyReason::WrongNumber }
                }
                NumberTried::Wrong { denied: false } => ticket.state,
            };
            if self.replace(&ticket, rev).await? == Outcome::Conflict {
                continue;
            }
            return Ok(match tried {
                NumberTried::Right => TicketOpened::Opened(Box::new(ticket)),
                NumberTried::Wrong { denied } => TicketOpened::WrongNumber { denied },
            });
        }
        Err(SessionError::Contended)
    }

    /// The phone is proved: it waits for what began.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn finish(
        &self,
        ticket_id: &str,
        new: &NewPasskey,
    ) -> Result<Enrolled, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let Some((mut ticket, rev)) = self.trust.load::<Ticket>(ticket_id).await? else {
                return Ok(Enrolled::Over);
            };
            if ticket.state != TicketState::Opened || !ticket.is_open(now) {
                return Ok(Enrolled::Over);
            }
            let authenticator = ticket.authenticator(new, now);
            // What was asked for one kind is never enrolled as the other.
            if authenticator.kind != ticket.kind {
                return Ok(Enrolled::Over);
            }
            // The phone is told now what it could not be told later.
            if self.is_known(&authenticator).await? {
                return Ok(Enrolled::Known);
            }
            let until = now.plus(Duration::from_secs(CONFIRM_SECONDS));
            ticket.state = TicketState::Proved { authenticator: Box::new(authenticator), until };
            if self.replace(&ticket, rev).await? == Outcome::Committed {
                return Ok(Enrolled::AsksAgain);
            }
        }
        Err(SessionError::Contended)
    }

    /// What began the ticket was shown again, in a handshake that is remembered by `once_key` as used: everything happens in one
    /// transaction, or nothing.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn confirm(
        &self,
        ticket_id: &str,
        shown: &Enroller,
        once_key: &Fingerprint,
    ) -> Result<Enrolled, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let found = self.trust.load::<Ticket>(ticket_id).await?;
            let Some((ticket, rev)) = found.filter(|(ticket, _)| ticket.enrolled_by == *shown)
            else {
                return Ok(Enrolled::Over);
            };
            let Some(proved) = ticket.proved(now) else {
                return Ok(Enrolled::Over);
            };
            let authenticator = Authenticator { enrolled_at: now, ..proved.clone() };
            let enrolled = self.register(ticket, rev, authenticator, once_key).await?;
            if let Some(enrolled) = enrolled {
                return Ok(enrolled);
            }
        }
        Err(SessionError::Contended)
    }

    /// The new authenticator in, an old phone out, the ticket done; `None` when something changed in between.
    async fn register(
        &self,
        mut ticket: Ticket,
        rev: Rev,
        authenticator: Authenticator,
        once_key: &Fingerprint,
    ) -> Result<Option<Enrolled>, SessionError> {
        let now = authenticator.enrolled_at;
        let new_id = authenticator.authenticator_id.clone();
        // Step 1: who enrols is still entitled to.
        let mut txn = Txn::default();
        txn.guards.push(Guard::Rev(ticket.key(), rev));
        let (holder_id, by, rules) = (&ticket.holder_id, &ticket.enrolled_by, &self.rules);
        match enroller::guard(&self.trust, holder_id, by, rules, now, &mut txn).await? {
            Entitled::Yes => {}
            Entitled::NotBefore(from) => return Ok(Some(Enrolled::TooNew { from })),
            Entitled::No => return Ok(Some(Enrolled::NotEntitled)),
        }
        // Step 2: what was shown again proved nothing before.
        if !note_evidence(&self.trust, once_key, now, &mut txn).await? {
            return Ok(Some(Enrolled::EvidenceUsed));
        }
        // Step 3: nobody has this authenticator (WebAuthn §7.1, credentialId of any user).
        if self.is_known(&authenticator).await? {
            return Ok(Some(Enrolled::Known));
        }
        txn.guards.push(Guard::Absent(authenticator.key()));
        // Step 4: there is a place for it.
        let replaced = match place::take(&self.trust, &ticket, &new_id, &mut txn).await? {
            Place::Taken { replaced } => replaced,
            Place::OtherPhone => return Ok(Some(Enrolled::OtherPhone)),
            Place::KeysFull => return Ok(Some(Enrolled::KeysFull)),
        };
        // Step 5: the new one in, the ticket done.
        ticket.state = TicketState::Done { authenticator_id: new_id };
        txn.writes.push(self.trust.sealed(&authenticator)?);
        txn.writes.push(self.trust.sealed(&ticket)?);
        Ok(match self.commit(&ticket.ticket_id, txn).await? {
            Outcome::Committed => {
                Some(Enrolled::Done { authenticator: Box::new(authenticator), replaced })
            }
            Outcome::Conflict => None,
        })
    }

    async fn is_known(&self, authenticator: &Authenticator) -> Result<bool, SessionError> {
        Ok(self.trust.has(&authenticator.key()).await?)
    }

    /// The holder said "this is not mine", or gave up. True when it was still open.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn deny(&self, ticket_id: &str, reason: DenyReason) -> Result<bool, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let found = self.trust.load::<Ticket>(ticket_id).await?;
            let Some((mut ticket, rev)) =
                found.filter(|(ticket, _)| ticket.is_open(now) || ticket.proved(now).is_some())
            else {
                return Ok(false);
            };
            ticket.state = TicketState::Denied { reason };
            if self.replace(&ticket, rev).await? == Outcome::Committed {
                return Ok(true);
            }
        }
        Err(SessionError::Contended)
    }

    /// Resolves at the next change of this ticket. Ask for it before reading the ticket.
    pub fn changed(&self, ticket_id: &str) -> Changed<'_> {
        self.waiting.changed(ticket_id)
    }

    async fn replace(&self, ticket: &Ticket, rev: Rev) -> Result<Outcome, SessionError> {
        self.commit(&ticket.ticket_id, self.trust.replacement(ticket, rev)?).await
    }

    async fn commit(&self, ticket_id: &str, txn: Txn) -> Result<Outcome, SessionError> {
        let outcome = self.trust.commit(txn).await?;
        if outcome == Outcome::Committed {
            self.waiting.notify(ticket_id);
        }
        Ok(outcome)
    }
}
