//! The card that began a registration is shown again: only then is the proved phone, or the proved My Number card, registered.
//!
//! Whoever stands at the PC sees what was proved. A phone of somebody who saw the QR code and the number is turned down here, so
//! is a My Number card that somebody put into the reader in between, and a card that is only lying in its reader registers
//! nothing without the person who confirms.

use super::Keeper;
use super::card::CardFault;
use super::card::ProvedCard;
use super::card::Step;
use super::enrol::Recorded;
use super::enrol::enrolment_of;
use super::entries;
use super::my_number;
use super::sign_in::refusal_name;
use crate::audit::record::Enrolment;
use api::operations::CardHandshake;
use api::operations::SignInRefusal;
use api::operations::WhyNot;
use api::operations::confirm_enrol::ConfirmEnrol;
use api::operations::confirm_enrol::ConfirmEnrolPage;
use api::operations::confirm_enrol::ConfirmEnrolment;
use api::operations::confirm_enrol::EnrolEnded;
use api::operations::confirm_enrol::Proposed;
use async_trait::async_trait;
use attest::authenticator::Authenticator;
use attest::authenticator::AuthenticatorKind;
use attest::authenticator::Enroller;
use attest::clock::UnixSeconds;
use attest::jpki::JpkiLink;
use attest::jpki::LinkTicket;
use attest::records::Fingerprint;
use attest::records::Holder;
use attest::sessions::SessionError;
use attest::sign_in::DenyReason;
use attest::ticket::Enrolled;
use attest::ticket::Ticket;
use std::sync::Arc;

/// What is proved, and waits for the card that began.
enum Waits {
    Phone(Box<(Ticket, Authenticator)>),
    MyNumber(Box<(LinkTicket, JpkiLink)>),
}

impl Waits {
    fn ticket_id(&self) -> &str {
        match self {
            Self::Phone(waits) => &waits.0.ticket_id,
            Self::MyNumber(waits) => &waits.0.ticket_id,
        }
    }

    fn enrolled_by(&self) -> &Enroller {
        match self {
            Self::Phone(waits) => &waits.0.enrolled_by,
            Self::MyNumber(waits) => &waits.0.enrolled_by,
        }
    }

    /// The factor that would be registered.
    fn factor(&self) -> &Fingerprint {
        match self {
            Self::Phone(waits) => &waits.1.authenticator_id,
            Self::MyNumber(waits) => &waits.1.card,
        }
    }

    /// When it was proved: a handshake from before confirms nothing.
    fn since(&self, now: UnixSeconds) -> UnixSeconds {
        match self {
            Self::Phone(waits) => waits.1.enrolled_at,
            Self::MyNumber(waits) => waits.0.proved(now).map_or(now, |(at, _)| at),
        }
    }

    fn remaining_seconds(&self, now: UnixSeconds) -> u64 {
        match self {
            Self::Phone(waits) => waits.0.seconds_to_confirm(now),
            Self::MyNumber(waits) => {
                waits.0.proved(now).map_or(0, |(_, until)| now.seconds_until(until))
            }
        }
    }

    /// What the form is about: nobody confirms another phone or card than the one they were shown.
    fn subject(&self) -> Fingerprint {
        Fingerprint::of(format!("confirm/{}/{}", self.ticket_id(), self.factor().0).as_bytes())
    }

    /// What the audit log keeps of the card that was shown again.
    fn enrolment(&self, proved: &ProvedCard) -> Enrolment {
        match self {
            Self::Phone(waits) => enrolment_of(&waits.0, proved),
            Self::MyNumber(waits) => my_number::proof(&waits.0, proved),
        }
    }
}

/// The card that began, with what waits for it.
struct MetAgain {
    proved: ProvedCard,
    holder: Arc<Holder>,
    waits: Waits,
}

#[async_trait]
impl ConfirmEnrolment for Keeper {
    async fn open_confirm_enrol(
        &self,
        request_id: &str,
        id: &str,
        card: Option<CardHandshake>,
    ) -> ConfirmEnrolPage {
        let Some(card) = card else {
            return ConfirmEnrolPage::PresentCard;
        };
        let met = match self.meet_again(request_id, id, card, Step::Look).await {
            Ok(met) => met,
            Err(refusal) => return ConfirmEnrolPage::Refused(refusal),
        };
        let Ok(now) = self.parts.clock.now() else {
            return ConfirmEnrolPage::Refused(SignInRefusal::Unavailable.into());
        };
        ConfirmEnrolPage::Confirm(ConfirmEnrol {
            holder: met.holder.display_name.clone(),
            holder_id: met.holder.holder_id.clone(),
            proposed: self.proposed(&met.waits, now),
            form_token: self.forms.issue(&met.waits.subject(), &met.proved.factor).into(),
            remaining_seconds: met.waits.remaining_seconds(now),
            danger_test_mode: self.danger_test_mode(),
        })
    }

    async fn confirm_enrol(
        &self,
        request_id: &str,
        id: &str,
        card: Option<CardHandshake>,
        form_token: &str,
        approve: bool,
    ) -> EnrolEnded {
        let Some(card) = card else {
            return EnrolEnded::Refused(SignInRefusal::ProofNotFresh.into());
        };
        let met = match self.meet_again(request_id, id, card, Step::Decide).await {
            Ok(met) => met,
            Err(refusal) => return EnrolEnded::Refused(refusal),
        };
        if !self.forms.check(&met.waits.subject(), &met.proved.factor, form_token) {
            return EnrolEnded::Refused(SignInRefusal::FormOver.into());
        }
        match approve {
            true => self.register_confirmed(request_id, met).await,
            false => self.turn_down(request_id, &met.waits).await,
        }
    }
}

impl Keeper {
    fn proposed(&self, waits: &Waits, now: UnixSeconds) -> Proposed {
        match waits {
            Waits::Phone(phone) => match phone.1.kind {
                AuthenticatorKind::Phone => Proposed::Phone {
                    label: phone.1.label.clone(),
                    replaces: phone.0.replaces.is_some(),
                },
                AuthenticatorKind::SecurityKey => {
                    Proposed::SecurityKey { label: phone.1.label.clone() }
                }
            },
            Waits::MyNumber(card) => Proposed::MyNumberCard {
                proved_at: waits.since(now).0,
                terminal: card.0.terminal.clone(),
                replaces: card.0.replaces.is_some(),
            },
        }
    }

    /// What waits under this ticket, if anything does.
    async fn waiting_for_card(
        &self,
        id: &str,
        now: UnixSeconds,
    ) -> Result<Option<Waits>, SessionError> {
        if let Some(phones) = &self.phones
            && let Some(ticket) = phones.tickets.by_id(id).await?
        {
            let phone = ticket.proved(now).cloned();
            return Ok(phone.map(|phone| Waits::Phone(Box::new((ticket, phone)))));
        }
        let Some(my_numbers) = &self.my_numbers else { return Ok(None) };
        let ticket = my_numbers.links.by_id(id).await?;
        Ok(ticket.and_then(|ticket| {
            let link = ticket.link(now)?;
            Some(Waits::MyNumber(Box::new((ticket, link))))
        }))
    }

    async fn meet_again(
        &self,
        request_id: &str,
        id: &str,
        handshake: CardHandshake,
        step: Step,
    ) -> Result<MetAgain, WhyNot> {
        let now = self.parts.clock.now().map_err(|_| SignInRefusal::Unavailable)?;
        // Step 1: the ticket. Nothing about it is told before the card is proved.
        let waits = self.waiting_for_card(id, now).await.map_err(|error| {
            tracing::error!(request_id, %error, "a ticket could not be read");
            SignInRefusal::Unavailable
        })?;
        // Step 2: the card, in a handshake that is not older than the proof of what it is asked for.
        let not_before = waits.as_ref().map_or(UnixSeconds(0), |waits| waits.since(now));
        let proved = match self.prove_card(handshake, not_before, now).await {
            Ok(proved) => proved,
            Err(CardFault { refusal, code, detail, .. }) => {
                if step.is_noted(code) {
                    self.note_enrolment(request_id, code, &detail).await;
                }
                return Err(refusal);
            }
        };
        // Step 3: possession is proved; from here on the person is told.
        let waits = waits.ok_or(SignInRefusal::LinkOver)?;
        let shown = Enroller { method: proved.method, factor: proved.factor.clone() };
        let holder = match shown == *waits.enrolled_by() {
            true => self.holder_of_card(&proved),
            false => Err(SignInRefusal::OtherCard),
        };
        let met = holder.and_then(|holder| {
            self.entitlement(&holder, &proved.roles, now)?;
            Ok(holder)
        });
        match met {
            Ok(holder) => Ok(MetAgain { proved, holder, waits }),
            Err(refusal) => {
                let detail = format!("card {}", proved.factor.0);
                self.note_enrolment(request_id, refusal_name(refusal), &detail).await;
                Err(self.refused_with(&proved, refusal))
            }
        }
    }

    async fn register_confirmed(&self, request_id: &str, met: MetAgain) -> EnrolEnded {
        let MetAgain { proved, waits, .. } = met;
        let confirmed = entries::enrolment_confirmed(request_id, waits.enrolment(&proved));
        if let Err(error) = self.parts.audit.append(confirmed).await {
            tracing::error!(request_id, %error, "a confirmation could not be recorded");
            return EnrolEnded::Refused(SignInRefusal::Unavailable.into());
        }
        // The handshake that began it confirms nothing, however young it is; nor does one that signed in.
        let once_key = &proved.replay_key;
        match waits {
            Waits::Phone(phone) => {
                self.register_confirmed_phone(request_id, &phone.0, &phone.1, once_key).await
            }
            Waits::MyNumber(card) => {
                self.link_confirmed(request_id, &card.0, &card.1, once_key).await
            }
        }
    }

    async fn register_confirmed_phone(
        &self,
        request_id: &str,
        ticket: &Ticket,
        phone: &Authenticator,
        once_key: &Fingerprint,
    ) -> EnrolEnded {
        let unavailable = EnrolEnded::Refused(SignInRefusal::Unavailable.into());
        let Some(phones) = &self.phones else { return unavailable };
        let (id, by) = (&ticket.ticket_id, &ticket.enrolled_by);
        let confirming = phones.tickets.confirm(id, by, once_key);
        match self.register_phone(request_id, ticket, phone, confirming).await {
            Ok(Recorded::Enrolled { label }) => EnrolEnded::Enrolled { kind: phone.kind, label },
            Ok(Recorded::Lost(Enrolled::KeysFull)) => {
                EnrolEnded::Refused(SignInRefusal::KeysFull.into())
            }
            Ok(Recorded::Lost(Enrolled::NotEntitled)) => EnrolEnded::Refused(self.why_not(ticket)),
            Ok(Recorded::Lost(Enrolled::EvidenceUsed)) => {
                EnrolEnded::Refused(SignInRefusal::ProofNotFresh.into())
            }
            Ok(Recorded::Lost(Enrolled::TooNew { from })) => {
                let now = self.parts.clock.now().unwrap_or(from);
                EnrolEnded::TooNew { seconds: now.seconds_until(from) }
            }
            Ok(Recorded::Lost(_)) => EnrolEnded::Refused(SignInRefusal::LinkOver.into()),
            Ok(Recorded::Not) => unavailable,
            Err(error) => {
                tracing::error!(request_id, %error, "an enrolment could not be stored");
                unavailable
            }
        }
    }

    async fn turn_down(&self, request_id: &str, waits: &Waits) -> EnrolEnded {
        let id = waits.ticket_id();
        let denied = match (waits, &self.phones, &self.my_numbers) {
            (Waits::Phone(_), Some(phones), _) => {
                phones.tickets.deny(id, DenyReason::ByHolder).await
            }
            (Waits::MyNumber(_), _, Some(my_numbers)) => my_numbers.links.deny(id).await,
            (Waits::Phone(_) | Waits::MyNumber(_), ..) => Ok(false),
        };
        match denied {
            Ok(true) => {
                let what = match waits {
                    Waits::Phone(_) => "device",
                    Waits::MyNumber(_) => "my number card",
                };
                let detail = format!("{what} {}", waits.factor().0);
                self.note_enrolment(request_id, "denied_by_holder", &detail).await;
                EnrolEnded::Denied
            }
            Ok(false) => EnrolEnded::Refused(SignInRefusal::LinkOver.into()),
            Err(error) => {
                tracing::error!(request_id, %error, "a denial could not be stored");
                EnrolEnded::Refused(SignInRefusal::Unavailable.into())
            }
        }
    }
}
