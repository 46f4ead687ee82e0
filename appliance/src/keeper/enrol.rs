//! A phone or a security key is registered by its holder's card, HPKI or My Number: the card's page, the ticket, what is
//! proved.

use super::Keeper;
use super::card::ProvedCard;
use super::card::Step;
use super::confirm_change::confirms;
use super::enroller::Met;
use super::enroller::NotMet;
use super::entries;
use super::phone::asked;
use super::phone::not_asked;
use super::phone::not_proved;
use super::phones::Phones;
use crate::audit::record::Enrolment;
use crate::audit::record::session_hash;
use api::operations::CardHandshake;
use api::operations::SignInRefusal;
use api::operations::portal::EnrolPage;
use api::operations::portal::EnrolStarted;
use api::operations::portal::PhoneAsked;
use api::operations::portal::PhoneDone;
use api::operations::portal::PhonePage;
use api::operations::portal::Purpose;
use api::operations::portal::WaitPage;
use api::operations::portal::Waiting;
use attest::authenticator::Authenticator;
use attest::authenticator::AuthenticatorKind;
use attest::authenticator::Enroller;
use attest::clock::UnixSeconds;
use attest::evidence::Fido2Error;
use attest::evidence::NewPasskey;
use attest::qr_link::PageSecret;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::sessions::SessionError;
use attest::sign_in::DenyReason;
use attest::sign_in::split_link;
use attest::ticket::Enrolled;
use attest::ticket::Enrols;
use attest::ticket::Ticket;
use attest::ticket::TicketOpened;
use attest::ticket::TicketState;

/// What became of an enrolment whose record is in the audit log.
pub(super) enum Recorded {
    /// The phone serves.
    Enrolled { label: String },
    /// It does not, and the log says so.
    Lost(Enrolled),
    /// Nothing was recorded, and so nothing done.
    Not,
}

impl Keeper {
    /// The card listener's page.
    pub(super) async fn enrol_page(
        &self,
        request_id: &str,
        kind: AuthenticatorKind,
        card: Option<CardHandshake>,
    ) -> EnrolPage {
        let Some(card) = card else {
            return EnrolPage::PresentCard;
        };
        match self.meet_enroller(request_id, kind, card, Step::Look).await {
            Ok(met) => EnrolPage::Confirm {
                holder: met.holder.display_name.clone(),
                holder_id: met.holder.holder_id.clone(),
                replaces: met.replaces.as_ref().map(|phone| phone.label.clone()),
                form_token: self.forms.issue(&met.subject(), &met.proved.factor).into(),
                danger_test_mode: self.danger_test_mode(),
            },
            Err(NotMet::Refused(refusal)) => EnrolPage::Refused(refusal),
            Err(NotMet::TooNew { seconds }) => EnrolPage::TooNew { seconds },
        }
    }

    /// Its form was sent: a ticket, and a page for this browser.
    pub(super) async fn issue_ticket(
        &self,
        request_id: &str,
        kind: AuthenticatorKind,
        card: Option<CardHandshake>,
        form_token: &str,
        terminal: &str,
    ) -> EnrolStarted {
        let Some(card) = card else {
            return EnrolStarted::Refused(SignInRefusal::ProofNotFresh.into());
        };
        let met = match self.meet_enroller(request_id, kind, card, Step::Decide).await {
            Ok(met) => met,
            Err(NotMet::Refused(refusal)) => return EnrolStarted::Refused(refusal),
            Err(NotMet::TooNew { seconds }) => return EnrolStarted::TooNew { seconds },
        };
        if !self.forms.check(&met.subject(), &met.proved.factor, form_token) {
            return EnrolStarted::Refused(SignInRefusal::FormOver.into());
        }
        if let Err(refusal) = self.renew(request_id, &met.proved, terminal).await {
            return EnrolStarted::Refused(self.refused_with(&met.proved, refusal));
        }
        let Some(phones) = &self.phones else {
            return EnrolStarted::Refused(SignInRefusal::NotAllowedHere.into());
        };
        match self.start_enrolment(request_id, phones, &met, terminal).await {
            Ok(Some((id, page))) => started(phones, kind, id, &page),
            Ok(None) => {
                let detail = format!("card {}", met.proved.factor.0);
                self.note_enrolment(request_id, "evidence_used", &detail).await;
                EnrolStarted::Refused(SignInRefusal::ProofNotFresh.into())
            }
            Err(error) => {
                tracing::error!(request_id, error, "no enrolment began");
                EnrolStarted::Refused(SignInRefusal::Unavailable.into())
            }
        }
    }

    async fn start_enrolment(
        &self,
        request_id: &str,
        phones: &Phones,
        met: &Met,
        terminal: &str,
    ) -> Result<Option<(String, PageSecret)>, String> {
        let enrolled_by = Enroller { method: met.proved.method, factor: met.proved.factor.clone() };
        let enrols = match met.kind {
            AuthenticatorKind::Phone => Enrols::Phone {
                replaces: met.replaces.as_ref().map(|phone| phone.authenticator_id.clone()),
            },
            AuthenticatorKind::SecurityKey => Enrols::SecurityKey,
        };
        let page = PageSecret::random().map_err(|error| error.to_string())?;
        let (holder_id, once_key) = (&met.holder.holder_id, Some(&met.proved.replay_key));
        let ticket =
            phones.tickets.issue(holder_id, enrolled_by, enrols, terminal, &page, once_key);
        let Some(ticket) = ticket.await.map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        let entry = entries::enrolment_started(request_id, enrolment_of(&ticket, &met.proved));
        // Nobody has the page's secret before this record is durable.
        self.parts.audit.append(entry).await.map_err(|error| error.to_string())?;
        Ok(Some((ticket.ticket_id, page)))
    }

    /// What the PC shows of an enrolment.
    pub(super) fn enrolment_state(
        &self,
        phones: &Phones,
        ticket: &Ticket,
        page: &PageSecret,
        now: UnixSeconds,
    ) -> WaitPage {
        match &ticket.state {
            TicketState::Done { authenticator_id } => {
                match self.parts.registry.authenticator(authenticator_id) {
                    Some(found) => {
                        WaitPage::Enrolled { kind: found.kind, label: found.label.clone() }
                    }
                    None => WaitPage::Over,
                }
            }
            TicketState::Denied { .. } => WaitPage::Denied,
            TicketState::Proved { authenticator, .. }
                if ticket.proved(now).is_some() && ticket.second.is_some() =>
            {
                let second = page.second();
                WaitPage::Waiting(Waiting {
                    purpose: confirms(ticket, authenticator),
                    url: phones.url(&ticket.ticket_id, &second),
                    number: Some(second.number()),
                    remaining_seconds: ticket.seconds_to_confirm(now),
                })
            }
            TicketState::Proved { authenticator, .. } if ticket.proved(now).is_some() => {
                WaitPage::AskCard {
                    kind: authenticator.kind,
                    label: authenticator.label.clone(),
                    url: format!(
                        "{}/enrol/{}",
                        self.card_origin(ticket.enrolled_by.method),
                        ticket.ticket_id
                    ),
                    remaining_seconds: ticket.seconds_to_confirm(now),
                }
            }
            TicketState::Issued | TicketState::Opened if ticket.is_open(now) => match ticket.kind {
                AuthenticatorKind::Phone => WaitPage::Waiting(Waiting {
                    purpose: purpose(ticket),
                    url: phones.url(&ticket.ticket_id, page),
                    number: Some(page.number()),
                    remaining_seconds: now.seconds_until(ticket.link.expires_at()),
                }),
                AuthenticatorKind::SecurityKey => WaitPage::AtPc,
            },
            TicketState::Issued | TicketState::Opened | TicketState::Proved { .. } => {
                WaitPage::Over
            }
        }
    }

    /// What the phone shows of an enrolment, or the PC's own page of that of a security key.
    pub(super) fn ask_enrolment(&self, ticket: &Ticket, now: UnixSeconds) -> PhonePage {
        if !ticket.is_open(now) {
            return PhonePage::Over;
        }
        PhonePage::Ask {
            purpose: purpose(ticket),
            terminal: ticket.terminal.clone(),
            number_of_asking_screen: false,
            session_seconds: 0,
            signatures: 0,
            entries: Vec::new(),
            remaining_seconds: now.seconds_until(ticket.link.expires_at()),
        }
    }

    /// The number was typed on the new phone.
    pub(super) async fn ask_new_phone(
        &self,
        request_id: &str,
        phones: &Phones,
        link: &str,
        ticket: Ticket,
        number: &str,
    ) -> Result<PhoneAsked, SessionError> {
        let Some((_, secret)) = split_link(link) else {
            return Ok(PhoneAsked::Over);
        };
        if let Err(seconds) = phones.holder_rate("enrol", &ticket.holder_id) {
            return Ok(PhoneAsked::RateLimited { seconds });
        }
        match phones.tickets.open(&ticket.ticket_id, secret, number).await? {
            TicketOpened::Opened(_) => {}
            TicketOpened::WrongNumber { denied } => {
                self.note_enrolment(request_id, "wrong_number", "").await;
                return Ok(PhoneAsked::WrongNumber { over: denied });
            }
            TicketOpened::Over => return Ok(PhoneAsked::Over),
        }
        let holder = self.parts.registry.holder(&ticket.holder_id);
        let Some(holder) = holder.filter(|holder| holder.enabled) else {
            return Ok(PhoneAsked::Over);
        };
        let known = self.parts.registry.authenticators_of(&holder.holder_id);
        let (id, kind) = (&ticket.ticket_id, ticket.kind);
        Ok(match phones.fido2.start_registration(id, kind, &holder, &known) {
            Ok(started) => asked(request_id, started),
            Err(error) => not_asked(request_id, &error),
        })
    }

    /// The new phone answered.
    pub(super) async fn finish_enrolment(
        &self,
        request_id: &str,
        phones: &Phones,
        ticket: Ticket,
        new: Result<NewPasskey, Fido2Error>,
    ) -> Result<PhoneDone, SessionError> {
        let now = self.parts.clock.now()?;
        let new = match new {
            Ok(new) => new,
            Err(error) => {
                self.note_enrolment(request_id, error.code(), &error.to_string()).await;
                return Ok(match error {
                    Fido2Error::Known => PhoneDone::AlreadyRegistered,
                    Fido2Error::NotAccepted | Fido2Error::BuiltIn | Fido2Error::NotSecurityKey => {
                        PhoneDone::NotAccepted
                    }
                    error => not_proved(&error),
                });
            }
        };
        let phone = ticket.authenticator(&new, now);
        match phones.tickets.finish(&ticket.ticket_id, &new).await? {
            Enrolled::AsksAgain => {}
            lost => {
                self.note_enrolment(request_id, lost_name(&lost), "").await;
                return Ok(self.lost(&ticket, &lost, now));
            }
        }
        let (holder_id, id) = (&ticket.holder_id, &phone.authenticator_id);
        let entry =
            entries::device_proposed(request_id, holder_id, id, enrolment_detail(&ticket, &phone));
        if let Err(error) = self.parts.audit.append(entry).await {
            tracing::error!(request_id, %error, "a phone that waits could not be recorded");
        }
        Ok(match ticket.enrolled_by.method {
            Method::Hpki | Method::Jpki => PhoneDone::AskCard { label: phone.label },
            Method::Fido2 => PhoneDone::AskOldPhone { label: phone.label },
        })
    }

    /// Registers `phone`: the records of it, and of the phone that is given up for it, are durable before anything happens. That
    /// nothing came of it is recorded, too.
    pub(super) async fn register_phone(
        &self,
        request_id: &str,
        ticket: &Ticket,
        phone: &Authenticator,
        registering: impl Future<Output = Result<Enrolled, SessionError>>,
    ) -> Result<Recorded, SessionError> {
        let (holder_id, id) = (&ticket.holder_id, &phone.authenticator_id);
        let detail = enrolment_detail(ticket, phone);
        let granted = entries::device_changed(request_id, holder_id, id, "granted", detail);
        let given_up = ticket.replaces.as_ref();
        let given_up = given_up.filter(|old| self.parts.registry.authenticator(old).is_some());
        let removed = given_up.map(|old| {
            let detail = format!("given up for {}", phone.label);
            entries::device_changed(request_id, holder_id, old, "removed", detail)
        });
        for entry in [Some(granted), removed].into_iter().flatten() {
            if let Err(error) = self.parts.audit.append(entry).await {
                tracing::error!(request_id, %error, "an enrolment could not be recorded");
                return Ok(Recorded::Not);
            }
        }
        let (code, lost) = match registering.await {
            Ok(Enrolled::Done { authenticator, replaced }) => {
                let label = authenticator.label.clone();
                self.take_up(*authenticator).await;
                if let Some(gone) = replaced {
                    self.let_go(request_id, &gone).await;
                }
                return Ok(Recorded::Enrolled { label });
            }
            Ok(lost) => (lost_name(&lost), Ok(Recorded::Lost(lost))),
            Err(error) => ("not_stored", Err(error)),
        };
        self.record_lost_enrolment(request_id, code).await;
        lost
    }

    /// Nothing came of an enrolment whose record is in the log. Never thinned out.
    pub(super) async fn record_lost_enrolment(&self, request_id: &str, code: &str) {
        let detail = "nothing came of the enrolment that is recorded under this request";
        let entry = entries::enrolment_denied(request_id, code, detail);
        if let Err(error) = self.parts.audit.append(entry).await {
            tracing::error!(request_id, %error, "a lost enrolment could not be recorded");
        }
    }

    /// What the phone is told of an enrolment that came to nothing.
    pub(super) fn lost(&self, ticket: &Ticket, lost: &Enrolled, now: UnixSeconds) -> PhoneDone {
        match lost {
            Enrolled::Known => PhoneDone::AlreadyRegistered,
            Enrolled::TooNew { from } => PhoneDone::TooNew { seconds: now.seconds_until(*from) },
            Enrolled::NotEntitled => PhoneDone::Refused(self.why_not(ticket)),
            Enrolled::KeysFull => PhoneDone::Refused(SignInRefusal::KeysFull.into()),
            Enrolled::Over
            | Enrolled::OtherPhone
            | Enrolled::EvidenceUsed
            | Enrolled::AsksAgain
            | Enrolled::CounterBack
            | Enrolled::Done { .. } => PhoneDone::Over,
        }
    }

    /// The holder said no. True when it was still open.
    pub(super) async fn deny_enrolment(
        &self,
        request_id: &str,
        phones: &Phones,
        ticket: &Ticket,
    ) -> Result<bool, SessionError> {
        let denied = phones.tickets.deny(&ticket.ticket_id, DenyReason::ByHolder).await?;
        if denied {
            self.note_enrolment(request_id, "denied_by_holder", "").await;
        }
        Ok(denied)
    }

    pub(super) async fn note_enrolment(&self, request_id: &str, code: &str, detail: &str) {
        let entry = entries::enrolment_denied(request_id, code, detail);
        self.note("enrolment", request_id, &format!("{code}: {detail}"), entry).await;
    }
}

/// The way to the portal's page, for the browser that began.
pub(super) fn started(
    phones: &Phones,
    kind: AuthenticatorKind,
    id: String,
    page: &PageSecret,
) -> EnrolStarted {
    let portal_origin = phones.origin.clone();
    EnrolStarted::Page { kind, portal_origin, id, page_secret: page.text().into() }
}

fn purpose(ticket: &Ticket) -> Purpose {
    let (holder_id, replaces) = (ticket.holder_id.clone(), ticket.replaces.is_some());
    match ticket.kind {
        AuthenticatorKind::Phone => Purpose::Enrol { holder_id, replaces },
        AuthenticatorKind::SecurityKey => Purpose::EnrolKey { holder_id },
    }
}

/// Stable word for the log.
fn lost_name(lost: &Enrolled) -> &'static str {
    match lost {
        Enrolled::AsksAgain | Enrolled::Done { .. } => "enrolled",
        Enrolled::CounterBack => "fido2_counter_back",
        Enrolled::Over => "ticket_over",
        Enrolled::Known => "fido2_known",
        Enrolled::OtherPhone => "other_phone",
        Enrolled::KeysFull => "security_keys_full",
        Enrolled::TooNew { .. } => "factor_too_new",
        Enrolled::NotEntitled => "not_entitled",
        Enrolled::EvidenceUsed => "evidence_used",
    }
}

/// What the audit log keeps of a card that was shown for `ticket`.
pub(super) fn enrolment_of(ticket: &Ticket, proved: &ProvedCard) -> Enrolment {
    let evidence_json = proved.evidence_json.clone();
    Enrolment {
        ticket: session_hash(&ticket.ticket_id),
        holder_id: ticket.holder_id.clone(),
        method: ticket.enrolled_by.method,
        factor: ticket.enrolled_by.factor.clone(),
        replaces: ticket.replaces.clone(),
        terminal: ticket.terminal.clone(),
        evidence: Fingerprint::of(evidence_json.as_bytes()),
        evidence_json,
    }
}

fn enrolment_detail(ticket: &Ticket, phone: &Authenticator) -> String {
    let by = format!("{} {}", ticket.enrolled_by.method.name(), ticket.enrolled_by.factor.0);
    let replaces = ticket.replaces.as_ref().map(|phone| format!(" in place of {}", phone.0));
    format!(
        "a {} registered by {by}{}; ticket {}; model {} as it says itself; its maker may copy its key: {}",
        phone.kind.name(),
        replaces.unwrap_or_default(),
        session_hash(&ticket.ticket_id).0,
        phone.aaguid,
        phone.is_backup_eligible,
    )
}
