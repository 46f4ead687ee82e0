//! The card that began an enrolment is shown again: only then is the proved phone registered.
//!
//! Whoever stands at the PC sees which phone was proved. A phone of somebody who saw the QR code and the number is turned down
//! here, and a card that is only lying in its reader registers nothing without the person who confirms.

use super::Keeper;
use super::card::CardFault;
use super::card::ProvedCard;
use super::card::Step;
use super::enrol::Recorded;
use super::enrol::enrolment_of;
use super::entries;
use super::phones::Phones;
use super::sign_in::refusal_name;
use api::operations::CardHandshake;
use api::operations::SignInRefusal;
use api::operations::confirm_enrol::ConfirmEnrol;
use api::operations::confirm_enrol::ConfirmEnrolPage;
use api::operations::confirm_enrol::ConfirmEnrolment;
use api::operations::confirm_enrol::EnrolEnded;
use async_trait::async_trait;
use attest::authenticator::Authenticator;
use attest::authenticator::Enroller;
use attest::clock::UnixSeconds;
use attest::records::Fingerprint;
use attest::records::Holder;
use attest::sign_in::DenyReason;
use attest::ticket::Enrolled;
use attest::ticket::Ticket;
use std::sync::Arc;

/// The card that began, with the phone that waits for it.
struct MetAgain {
    proved: ProvedCard,
    holder: Arc<Holder>,
    ticket: Ticket,
    phone: Authenticator,
}

impl MetAgain {
    /// What the form is about: nobody confirms another phone than the one they were shown.
    fn subject(&self) -> Fingerprint {
        let phone = &self.phone.authenticator_id.0;
        Fingerprint::of(format!("confirm/{}/{phone}", self.ticket.ticket_id).as_bytes())
    }
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
            Ok((_, met)) => met,
            Err(refusal) => return ConfirmEnrolPage::Refused(refusal),
        };
        let Ok(now) = self.parts.clock.now() else {
            return ConfirmEnrolPage::Refused(SignInRefusal::Unavailable);
        };
        ConfirmEnrolPage::Confirm(ConfirmEnrol {
            holder: met.holder.display_name.clone(),
            holder_id: met.holder.holder_id.clone(),
            form_token: self.forms.issue(&met.subject(), &met.proved.factor),
            replaces: met.ticket.replaces.is_some(),
            remaining_seconds: met.ticket.seconds_to_confirm(now),
            label: met.phone.label,
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
            return EnrolEnded::Refused(SignInRefusal::ProofNotFresh);
        };
        let (phones, met) = match self.meet_again(request_id, id, card, Step::Decide).await {
            Ok(met) => met,
            Err(refusal) => return EnrolEnded::Refused(refusal),
        };
        let card = &met.proved.factor;
        if !self.forms.check(&met.subject(), card, form_token) {
            return EnrolEnded::Refused(SignInRefusal::FormOver);
        }
        match approve {
            true => self.register_confirmed(request_id, phones, met).await,
            false => self.turn_down(request_id, phones, &met).await,
        }
    }
}

impl Keeper {
    async fn meet_again(
        &self,
        request_id: &str,
        id: &str,
        handshake: CardHandshake,
        step: Step,
    ) -> Result<(&Phones, MetAgain), SignInRefusal> {
        let now = self.parts.clock.now().map_err(|_| SignInRefusal::Unavailable)?;
        let phones = self.phones.as_ref().ok_or(SignInRefusal::NotAllowedHere)?;
        // Step 1: the ticket. Nothing about it is told before the card is proved.
        let ticket = phones.tickets.by_id(id).await.map_err(|error| {
            tracing::error!(request_id, %error, "a ticket could not be read");
            SignInRefusal::Unavailable
        })?;
        let waits = ticket.and_then(|ticket| {
            let phone = ticket.proved(now)?.clone();
            Some((ticket, phone))
        });
        // Step 2: the card, in a handshake that is not older than the phone's proof.
        let not_before = waits.as_ref().map_or(UnixSeconds(0), |(_, phone)| phone.enrolled_at);
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
        let (ticket, phone) = waits.ok_or(SignInRefusal::LinkOver)?;
        let shown = Enroller { method: proved.method, factor: proved.factor.clone() };
        let holder = match shown == ticket.enrolled_by {
            true => self.holder_of_card(&proved),
            false => Err(SignInRefusal::OtherCard),
        };
        let met = holder.and_then(|holder| {
            self.entitlement(&holder, &proved.roles, now)?;
            Ok(holder)
        });
        match met {
            Ok(holder) => Ok((phones, MetAgain { proved, holder, ticket, phone })),
            Err(refusal) => {
                let detail = format!("card {}", proved.factor.0);
                self.note_enrolment(request_id, refusal_name(refusal), &detail).await;
                Err(refusal)
            }
        }
    }

    async fn register_confirmed(
        &self,
        request_id: &str,
        phones: &Phones,
        met: MetAgain,
    ) -> EnrolEnded {
        let MetAgain { proved, ticket, phone, .. } = met;
        let unavailable = EnrolEnded::Refused(SignInRefusal::Unavailable);
        let confirmed = entries::enrolment_confirmed(request_id, enrolment_of(&ticket, &proved));
        if let Err(error) = self.parts.audit.append(confirmed).await {
            tracing::error!(request_id, %error, "a confirmation could not be recorded");
            return unavailable;
        }
        // The handshake that began it confirms nothing, however young it is; nor does one that signed in.
        let (id, by, once_key) = (&ticket.ticket_id, &ticket.enrolled_by, &proved.replay_key);
        let confirming = phones.tickets.confirm(id, by, once_key);
        match self.register_phone(request_id, &ticket, &phone, confirming).await {
            Ok(Recorded::Enrolled { label }) => EnrolEnded::Enrolled { label },
            Ok(Recorded::Lost(Enrolled::NotEntitled)) => EnrolEnded::Refused(self.why_not(&ticket)),
            Ok(Recorded::Lost(Enrolled::EvidenceUsed)) => {
                EnrolEnded::Refused(SignInRefusal::ProofNotFresh)
            }
            Ok(Recorded::Lost(Enrolled::TooNew { from })) => {
                let now = self.parts.clock.now().unwrap_or(from);
                EnrolEnded::TooNew { seconds: now.seconds_until(from) }
            }
            Ok(Recorded::Lost(_)) => EnrolEnded::Refused(SignInRefusal::LinkOver),
            Ok(Recorded::Not) => unavailable,
            Err(error) => {
                tracing::error!(request_id, %error, "an enrolment could not be stored");
                unavailable
            }
        }
    }

    async fn turn_down(&self, request_id: &str, phones: &Phones, met: &MetAgain) -> EnrolEnded {
        match phones.tickets.deny(&met.ticket.ticket_id, DenyReason::ByHolder).await {
            Ok(true) => {
                let detail = format!("device {}", met.phone.authenticator_id.0);
                self.note_enrolment(request_id, "denied_by_holder", &detail).await;
                EnrolEnded::Denied
            }
            Ok(false) => EnrolEnded::Refused(SignInRefusal::LinkOver),
            Err(error) => {
                tracing::error!(request_id, %error, "a denial could not be stored");
                EnrolEnded::Refused(SignInRefusal::Unavailable)
            }
        }
    }
}
