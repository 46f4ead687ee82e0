//! The second QR code of a ticket that a phone began: the old phone is asked once more, for the very phone that waits.

use super::Enrolled;
use super::Ticket;
use super::TicketState;
use super::Tickets;
use crate::authenticator::Authenticator;
use crate::authenticator::Enroller;
use crate::evidence::Purpose;
use crate::evidence::VerifiedFido2;
use crate::phone_change::ChangeNumber;
use crate::qr_link::NumberTried;
use crate::records::Method;
use crate::sessions::SessionError;
use crate::sign_in::DenyReason;
use crate::store::Outcome;
use crate::trust::MAX_RETRIES;

impl Tickets {
    /// The ticket whose second QR code has this link, in whatever state; changes nothing.
    ///
    /// # Errors
    /// [`SessionError::Trust`].
    pub async fn by_second_link(
        &self,
        ticket_id: &str,
        secret: &str,
    ) -> Result<Option<Ticket>, SessionError> {
        let found = self.trust.find::<Ticket>(ticket_id).await?;
        Ok(found.filter(|ticket| ticket.is_second_secret(secret)))
    }

    /// The number of the second QR code was typed on the old phone. Five wrong ones deny the ticket.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn check_second_number(
        &self,
        ticket_id: &str,
        secret: &str,
        number: &str,
    ) -> Result<ChangeNumber, SessionError> {
        for _ in 0..MAX_RETRIES {
            let now = self.clock.now()?;
            let found = self.trust.load::<Ticket>(ticket_id).await?;
            let Some((mut ticket, rev)) = found.filter(|(ticket, _)| {
                ticket.proved(now).is_some() && ticket.is_second_secret(secret)
            }) else {
                return Ok(ChangeNumber::Over);
            };
            let tried = ticket.second.as_mut().map(|second| second.try_number(ticket_id, number));
            let denied = match tried {
                Some(NumberTried::Right) => return Ok(ChangeNumber::Right),
                Some(NumberTried::Wrong { denied }) => denied,
                None => return Ok(ChangeNumber::Over),
            };
            if denied {
                ticket.state = TicketState::Denied { reason: DenyReason::WrongNumber };
            }
            if self.replace(&ticket, rev).await? == Outcome::Committed {
                return Ok(ChangeNumber::Wrong { denied });
            }
        }
        Err(SessionError::Contended)
    }

    /// The old phone that began the ticket approved the very phone that waits: everything happens in one transaction, or
    /// nothing. Its evidence is in the audit log by now.
    ///
    /// # Errors
    /// [`SessionError`] when it could not be made durable.
    pub async fn confirm_by_phone(
        &self,
        ticket_id: &str,
        proof: &VerifiedFido2,
    ) -> Result<Enrolled, SessionError> {
        let binding = proof.binding();
        let is_for = |ticket: &Ticket, phone: &Authenticator| {
            binding.purpose == Purpose::ConfirmPhone
                && binding.handoff_id == ticket.ticket_id
                && binding.holder_id == ticket.holder_id
                && binding.new_key.is_some()
                && binding.new_key == phone.public_key()
        };
        let now = self.clock.now()?;
        let found = self.trust.find::<Ticket>(ticket_id).await?;
        if !found.is_some_and(|ticket| ticket.proved(now).is_some_and(|new| is_for(&ticket, new))) {
            return Ok(Enrolled::Over);
        }
        let old = proof.authenticator_id();
        let found = self.trust.find::<Authenticator>(&old.0).await?;
        if found.is_some_and(|old| !old.is_followed_by(proof.counter())) {
            return Ok(Enrolled::CounterBack);
        }
        let shown = Enroller { method: Method::Fido2, factor: old.clone() };
        self.confirm(ticket_id, &shown, &proof.replay_key()).await
    }
}
