//! A new phone is proved: the old phone that began the change is asked once more, for this very phone, and is given up by that.

use super::Keeper;
use super::change_phone::NotYet;
use super::enrol::Recorded;
use super::entries;
use super::phone::not_proved;
use super::phones::Phones;
use super::sign_in::refusal_name;
use crate::audit::record::Enrolment;
use crate::audit::record::session_hash;
use api::operations::portal::PhoneAsked;
use api::operations::portal::PhoneDone;
use api::operations::portal::PhonePage;
use api::operations::portal::Purpose;
use attest::authenticator::Authenticator;
use attest::clock::UnixSeconds;
use attest::evidence::Binding;
use attest::evidence::Fido2Error;
use attest::evidence::Purpose as Approves;
use attest::evidence::Surface;
use attest::evidence::VerifiedFido2;
use attest::own_page::PORTAL;
use attest::phone_change::ChangeNumber;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::records::SessionLimits;
use attest::sessions::SessionError;
use attest::sign_in::DenyReason;
use attest::sign_in::split_link;
use attest::ticket::Enrolled;
use attest::ticket::Ticket;

impl Keeper {
    /// What the old phone shows that followed the second QR code.
    pub(super) fn ask_confirmation(&self, ticket: &Ticket, now: UnixSeconds) -> PhonePage {
        let Some(new) = self.confirmable(ticket, now) else {
            return PhonePage::Over;
        };
        PhonePage::Ask {
            purpose: confirms(ticket, new),
            terminal: ticket.terminal.clone(),
            number_of_asking_screen: false,
            session_seconds: 0,
            signatures: 0,
            entries: Vec::new(),
            remaining_seconds: ticket.seconds_to_confirm(now),
        }
    }

    /// The phone that waits for the old one, while changes by phone are allowed at all.
    fn confirmable<'a>(&self, ticket: &'a Ticket, now: UnixSeconds) -> Option<&'a Authenticator> {
        ticket.proved(now).filter(|_| self.parts.settings.change_by_phone)
    }

    /// The number was typed on the old phone.
    pub(super) async fn ask_old_phone_again(
        &self,
        request_id: &str,
        phones: &Phones,
        link: &str,
        ticket: Ticket,
        number: &str,
    ) -> Result<PhoneAsked, SessionError> {
        let now = self.parts.clock.now()?;
        let (Some((_, secret)), Some(new)) = (split_link(link), self.confirmable(&ticket, now))
        else {
            return Ok(PhoneAsked::Over);
        };
        if let Err(seconds) = phones.holder_rate("confirm-change", &ticket.holder_id) {
            return Ok(PhoneAsked::RateLimited { seconds });
        }
        let typed = phones.tickets.check_second_number(&ticket.ticket_id, secret, number).await?;
        if let Some(told) = self.wrongly_typed(request_id, typed).await {
            return Ok(told);
        }
        let (id, holder_id) = (&ticket.ticket_id, &ticket.holder_id);
        let binding = question(Approves::ConfirmPhone, id, holder_id, new.public_key());
        let mut known = self.parts.registry.authenticators_of(&ticket.holder_id);
        known.retain(|known| known.authenticator_id == ticket.enrolled_by.factor);
        Ok(self.ask_to_approve(request_id, phones, binding, &known).await)
    }

    /// The old phone answered.
    pub(super) async fn finish_confirmation(
        &self,
        request_id: &str,
        phones: &Phones,
        ticket: Ticket,
        proof: Result<VerifiedFido2, Fido2Error>,
    ) -> Result<PhoneDone, SessionError> {
        // Step 1: the proof. Whatever is wrong with it, nobody is told.
        let proof = match self.proved(request_id, proof).await {
            Ok(proof) => proof,
            Err(done) => return Ok(done),
        };
        // Step 2: possession is proved; from here on the person is told.
        let now = self.parts.clock.now()?;
        let Some(new) = self.confirmable(&ticket, now).cloned() else {
            return Ok(PhoneDone::Over);
        };
        if let Err(refused) = self.may_change(&proof, now) {
            let done = self.note_not_yet(request_id, &proof, refused, now).await;
            self.note_refused_proof(request_id, phones, &proof).await;
            phones.tickets.deny(&ticket.ticket_id, DenyReason::Refused).await?;
            return Ok(done);
        }
        // Step 3: the evidence is durable before anything that rests on it.
        let confirmed = entries::enrolment_confirmed(
            request_id,
            Enrolment {
                ticket: session_hash(&ticket.ticket_id),
                holder_id: ticket.holder_id.clone(),
                method: Method::Fido2,
                factor: proof.authenticator_id().clone(),
                replaces: ticket.replaces.clone(),
                terminal: ticket.terminal.clone(),
                evidence: proof.digest(),
                evidence_json: proof.evidence_json().to_owned(),
            },
        );
        if let Err(error) = self.parts.audit.append(confirmed).await {
            tracing::error!(request_id, %error, "a confirmation could not be recorded");
            return Ok(PhoneDone::Unavailable);
        }
        // Step 4: the new phone in, the old one out, the ticket done.
        let confirming = phones.tickets.confirm_by_phone(&ticket.ticket_id, &proof);
        let lost = match self.register_phone(request_id, &ticket, &new, confirming).await? {
            Recorded::Enrolled { label } => return Ok(PhoneDone::Replaced { label }),
            Recorded::Not => return Ok(PhoneDone::Unavailable),
            Recorded::Lost(lost) => lost,
        };
        if let Enrolled::CounterBack = lost {
            self.note_counter_back(request_id, proof.authenticator_id()).await;
        } else {
            self.note_refused_proof(request_id, phones, &proof).await;
        }
        Ok(self.lost(&ticket, &lost, now))
    }

    /// What the old phone is told where the number was not right; it goes on otherwise.
    pub(super) async fn wrongly_typed(
        &self,
        request_id: &str,
        typed: ChangeNumber,
    ) -> Option<PhoneAsked> {
        match typed {
            ChangeNumber::Right => None,
            ChangeNumber::Wrong { denied } => {
                self.note_enrolment(request_id, "wrong_number", "").await;
                Some(PhoneAsked::WrongNumber { over: denied })
            }
            ChangeNumber::Over => Some(PhoneAsked::Over),
        }
    }

    /// Why a proved phone changes nothing, recorded; what it is told.
    pub(super) async fn note_not_yet(
        &self,
        request_id: &str,
        proof: &VerifiedFido2,
        refused: NotYet,
        now: UnixSeconds,
    ) -> PhoneDone {
        let (code, done) = match refused {
            NotYet::Until(from) => {
                ("factor_too_new", PhoneDone::TooNew { seconds: now.seconds_until(from) })
            }
            NotYet::Never(refusal) => {
                let why = self.refused(&proof.binding().holder_id, refusal);
                (refusal_name(refusal), PhoneDone::Refused(why))
            }
        };
        let detail = format!("device {}", proof.authenticator_id().0);
        self.note_enrolment(request_id, code, &detail).await;
        done
    }

    /// A phone that proved itself and was refused all the same: its counter and its evidence are used up.
    pub(super) async fn note_refused_proof(
        &self,
        request_id: &str,
        phones: &Phones,
        proof: &VerifiedFido2,
    ) {
        let noted = match self.parts.clock.now() {
            Ok(now) => phones.authenticators.note_proof(proof, now).await,
            Err(error) => Err(error.into()),
        };
        match noted {
            Ok(Some(used)) => self.take_up(used).await,
            Ok(None) => {}
            Err(error) => {
                tracing::error!(request_id, %error, "the use of a phone could not be noted");
            }
        }
    }

    /// The proof, or what is told where an answer proves nothing.
    pub(super) async fn proved(
        &self,
        request_id: &str,
        proof: Result<VerifiedFido2, Fido2Error>,
    ) -> Result<VerifiedFido2, PhoneDone> {
        let error = match proof {
            Ok(proof) => return Ok(proof),
            Err(error) => error,
        };
        if let Fido2Error::CounterBack(id) = &error {
            self.note_counter_back(request_id, id).await;
        }
        self.note_enrolment(request_id, error.code(), &error.to_string()).await;
        Err(not_proved(&error))
    }
}

/// What the old phone is asked in the course of a change, under the name of the change or of its ticket.
pub(super) fn question(
    purpose: Approves,
    id: &str,
    holder_id: &str,
    new_key: Option<Fingerprint>,
) -> Binding {
    Binding {
        purpose,
        system_id: PORTAL.to_owned(),
        holder_id: holder_id.to_owned(),
        session_id: id.to_owned(),
        handoff_id: id.to_owned(),
        limits: SessionLimits::NOTHING,
        surface: Surface::Phone,
        entries: None,
        new_key,
    }
}

/// What the old phone is asked for: `new` in its place.
pub(super) fn confirms(ticket: &Ticket, new: &Authenticator) -> Purpose {
    Purpose::ConfirmChange { holder_id: ticket.holder_id.clone(), label: new.label.clone() }
}
