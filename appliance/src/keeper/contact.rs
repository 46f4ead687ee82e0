//! Whom to call: told to a holder who is refused, once presence is proved. Before that it would tell whose a card is.

use super::Keeper;
use super::card::ProvedCard;
use api::operations::SignInRefusal;
use api::operations::WhyNot;
use attest::records::Fingerprint;
use attest::ticket::Ticket;

impl Keeper {
    /// The certification authority of a holder.
    pub(super) fn contact(&self, holder_id: &str) -> Option<String> {
        self.parts.registry.holder(holder_id).and_then(|holder| holder.ca_contact.clone())
    }

    /// A holder who was proved is refused.
    pub(super) fn refused(&self, holder_id: &str, refusal: SignInRefusal) -> WhyNot {
        WhyNot { refusal, contact: self.contact(holder_id) }
    }

    /// Whoever a proved card belongs to is refused.
    pub(super) fn refused_with(&self, proved: &ProvedCard, refusal: SignInRefusal) -> WhyNot {
        match self.holder_of_card(proved) {
            Ok(holder) => WhyNot { refusal, contact: holder.ca_contact.clone() },
            Err(_) => refusal.into(),
        }
    }

    /// Possession of this very card is proved, but it does not do.
    pub(super) fn refused_card(&self, card: &Fingerprint, refusal: SignInRefusal) -> WhyNot {
        let registry = &self.parts.registry;
        let hpki = || registry.card(card).map(|link| link.holder_id.clone());
        let my_number = || registry.jpki(card).map(|link| link.holder_id.clone());
        match hpki().or_else(my_number) {
            Some(holder_id) => self.refused(&holder_id, refusal),
            None => refusal.into(),
        }
    }

    /// Nothing comes of an enrolment any more, since who began it may not.
    pub(super) fn why_not(&self, ticket: &Ticket) -> WhyNot {
        let holder = self.parts.registry.holder(&ticket.holder_id);
        let refusal = match holder.is_some_and(|holder| holder.enabled) {
            true => SignInRefusal::CardNotRegistered,
            false => SignInRefusal::HolderDisabled,
        };
        self.refused(&ticket.holder_id, refusal)
    }
}
