//! A phone is changed by the phone itself: the old one proves its holder, and is what enrols the new one.
//!
//! Until the old phone has answered, nobody is told whether there is such a holder, or whether they have a phone.

use super::Keeper;
use super::confirm_change::question;
use super::entries;
use super::phones::Phones;
use super::phones::terminal_line;
use super::portal::typed;
use crate::audit::record::Enrolment;
use crate::audit::record::session_hash;
use api::operations::SignInRefusal;
use api::operations::change_phone::ChangeGoesOn;
use api::operations::change_phone::ChangePhone;
use api::operations::portal::Handed;
use api::operations::portal::PhoneAsked;
use api::operations::portal::PhoneDone;
use api::operations::portal::PhonePage;
use api::operations::portal::Purpose;
use api::operations::portal::Terminal;
use api::operations::portal::WaitPage;
use api::operations::portal::Waiting;
use async_trait::async_trait;
use attest::authenticator::Enroller;
use attest::clock::UnixSeconds;
use attest::evidence::Fido2Error;
use attest::evidence::Purpose as Approves;
use attest::evidence::VerifiedFido2;
use attest::phone_change::ChangeProved;
use attest::phone_change::ChangeState;
use attest::phone_change::PhoneChange;
use attest::qr_link::PageSecret;
use attest::records::Method;
use attest::sessions::SessionError;
use attest::sign_in::DenyReason;
use attest::sign_in::split_link;
use attest::ticket::Enrols;

#[async_trait]
impl ChangePhone for Keeper {
    async fn start_change(&self, request_id: &str, holder_id: &str, terminal: Terminal) -> Handed {
        let Some(phones) = &self.phones else {
            return Handed::Unavailable;
        };
        if !self.parts.settings.change_by_phone {
            return Handed::Over;
        }
        if let Err(seconds) = phones.rate_without_link("page", &terminal.address) {
            return Handed::RateLimited { seconds };
        }
        if !phones.is_network_allowed(&terminal.address) {
            let detail = terminal_line(&terminal);
            self.note_enrolment(request_id, "network_not_allowed", &detail).await;
            return Handed::NetworkNotAllowed;
        }
        let holder_id = typed(holder_id);
        if holder_id.is_empty() {
            return Handed::Over;
        }
        if let Err(seconds) = phones.holder_rate("change", &holder_id) {
            return Handed::RateLimited { seconds };
        }
        let terminal = terminal_line(&terminal);
        let started = async {
            let page = PageSecret::random().map_err(SessionError::from)?;
            let change = phones.changes.start(&holder_id, &terminal, &page).await?;
            Ok::<_, SessionError>((change.change_id, page))
        };
        match started.await {
            Ok((id, page)) => Handed::Page { id, page_secret: page.text().into() },
            Err(error) => {
                tracing::error!(request_id, %error, "a change of phone could not be stored");
                Handed::Unavailable
            }
        }
    }

    async fn answer_change(
        &self,
        request_id: &str,
        id: &str,
        page_secret: &str,
        agree: bool,
    ) -> ChangeGoesOn {
        let Some(phones) = &self.phones else {
            return ChangeGoesOn::Unavailable;
        };
        let Some(page) = PageSecret::parse(page_secret) else {
            return ChangeGoesOn::Over;
        };
        if agree && !self.parts.settings.change_by_phone {
            return ChangeGoesOn::Over;
        }
        let goes_on = self.go_on_with_change(request_id, phones, id, &page, agree).await;
        goes_on.unwrap_or_else(|error| {
            tracing::error!(request_id, %error, "a change of phone could not be stored");
            ChangeGoesOn::Unavailable
        })
    }
}

impl Keeper {
    /// Yes: a ticket by the old phone, and another page of this browser. No: the end of it.
    async fn go_on_with_change(
        &self,
        request_id: &str,
        phones: &Phones,
        id: &str,
        page: &PageSecret,
        agree: bool,
    ) -> Result<ChangeGoesOn, SessionError> {
        let Some(change) = phones.changes.by_page(id, page).await? else {
            return Ok(ChangeGoesOn::Over);
        };
        if !agree {
            return Ok(match self.deny_change(request_id, phones, &change).await? {
                true => ChangeGoesOn::Stopped,
                false => ChangeGoesOn::Over,
            });
        }
        let Some(old) = phones.changes.agree(id, page).await? else {
            return Ok(ChangeGoesOn::Over);
        };
        let by = Enroller { method: Method::Fido2, factor: old.clone() };
        let next = PageSecret::random().map_err(SessionError::from)?;
        let issued = phones.tickets.issue(
            &change.holder_id,
            by,
            Enrols::Phone { replaces: Some(old.clone()) },
            &change.terminal,
            &next,
            None,
        );
        let Some(ticket) = issued.await? else {
            return Ok(ChangeGoesOn::Over);
        };
        // The old phone's proof leads to the new phone in the log, before anybody can go on with it.
        let entry = entries::phone_change_agreed(request_id, &change, &ticket.ticket_id, &old);
        if let Err(error) = self.parts.audit.append(entry).await {
            tracing::error!(request_id, %error, "a change of phone could not be recorded");
            return Ok(ChangeGoesOn::Unavailable);
        }
        Ok(ChangeGoesOn::Page { id: ticket.ticket_id, page_secret: next.text().into() })
    }

    /// What the PC shows of a change.
    pub(super) fn change_state(
        &self,
        phones: &Phones,
        change: &PhoneChange,
        page: &PageSecret,
        now: UnixSeconds,
    ) -> WaitPage {
        if let Some((old, until)) = change.proved(now) {
            return match self.parts.registry.authenticator(old) {
                Some(old) => WaitPage::AskChange {
                    holder_id: change.holder_id.clone(),
                    label: old.label.clone(),
                    remaining_seconds: now.seconds_until(until),
                },
                None => WaitPage::Over,
            };
        }
        match &change.state {
            ChangeState::Waiting if change.is_open(now) => WaitPage::Waiting(Waiting {
                purpose: Purpose::Change { holder_id: change.holder_id.clone() },
                url: phones.url(&change.change_id, page),
                number: Some(page.number()),
                remaining_seconds: now.seconds_until(change.link.expires_at()),
            }),
            ChangeState::Denied { .. } => WaitPage::Denied,
            ChangeState::Waiting | ChangeState::Proved { .. } | ChangeState::Agreed => {
                WaitPage::Over
            }
        }
    }

    /// What the old phone shows of a change.
    pub(super) fn ask_change(&self, change: &PhoneChange, now: UnixSeconds) -> PhonePage {
        if !change.is_open(now) {
            return PhonePage::Over;
        }
        PhonePage::Ask {
            purpose: Purpose::Change { holder_id: change.holder_id.clone() },
            terminal: change.terminal.clone(),
            number_of_asking_screen: false,
            session_seconds: 0,
            signatures: 0,
            entries: Vec::new(),
            remaining_seconds: now.seconds_until(change.link.expires_at()),
        }
    }

    /// The number was typed: the question to whichever phone the holder has, or to none that looks the same.
    pub(super) async fn ask_old_phone(
        &self,
        request_id: &str,
        phones: &Phones,
        link: &str,
        change: PhoneChange,
        (number, address): (&str, &str),
    ) -> Result<PhoneAsked, SessionError> {
        let Some((_, secret)) = split_link(link) else {
            return Ok(PhoneAsked::Over);
        };
        let holder_id = &change.holder_id;
        // Each question is one more record for ever. A change takes nothing from the holder's sign-ins: anybody may begin one.
        let rates = phones.rate_without_link("question", address);
        if let Err(seconds) = rates.and_then(|()| phones.holder_rate("change-phone", holder_id)) {
            return Ok(PhoneAsked::RateLimited { seconds });
        }
        let typed = phones.changes.check_number(&change.change_id, secret, number).await?;
        if let Some(told) = self.wrongly_typed(request_id, typed).await {
            return Ok(told);
        }
        let binding = question(Approves::ChangePhone, &change.change_id, holder_id, None);
        let known = self.parts.registry.authenticators_of(holder_id);
        Ok(self.ask_to_approve(request_id, phones, binding, &known).await)
    }

    /// The old phone answered.
    pub(super) async fn finish_change(
        &self,
        request_id: &str,
        phones: &Phones,
        change: PhoneChange,
        proof: Result<VerifiedFido2, Fido2Error>,
    ) -> Result<PhoneDone, SessionError> {
        // Step 1: the proof. Whatever is wrong with it, nobody is told.
        let proof = match self.proved(request_id, proof).await {
            Ok(proof) => proof,
            Err(done) => return Ok(done),
        };
        // Step 2: possession is proved; from here on the person is told.
        let now = self.parts.clock.now()?;
        if let Err(refused) = self.may_change(&proof, now) {
            let done = self.note_not_yet(request_id, &proof, refused, now).await;
            // The PC does not wait on, and the proof is used up.
            let settled = phones.changes.refuse(&change.change_id, &proof).await?;
            if let ChangeProved::Done(authenticator) = settled {
                self.take_up(*authenticator).await;
            }
            return Ok(done);
        }
        // Step 3: the evidence is durable before anything that rests on it.
        let entry = entries::enrolment_started(
            request_id,
            Enrolment {
                ticket: session_hash(&change.change_id),
                holder_id: change.holder_id.clone(),
                method: Method::Fido2,
                factor: proof.authenticator_id().clone(),
                replaces: Some(proof.authenticator_id().clone()),
                terminal: change.terminal.clone(),
                evidence: proof.digest(),
                evidence_json: proof.evidence_json().to_owned(),
            },
        );
        if let Err(error) = self.parts.audit.append(entry).await {
            tracing::error!(request_id, %error, "a change of phone could not be recorded");
            return Ok(PhoneDone::Unavailable);
        }
        // Step 4: change and counter move together, or not at all.
        let (code, lost) = match phones.changes.prove(&change.change_id, &proof).await? {
            ChangeProved::Done(authenticator) => {
                self.take_up(*authenticator).await;
                return Ok(PhoneDone::MayChange);
            }
            ChangeProved::Over => ("link_over", PhoneDone::Over),
            ChangeProved::EvidenceUsed => ("evidence_used", PhoneDone::NotProved),
            ChangeProved::FactorGone => ("factor_gone", PhoneDone::NotProved),
            ChangeProved::CounterBack => {
                self.note_counter_back(request_id, proof.authenticator_id()).await;
                ("fido2_counter_back", PhoneDone::NotProved)
            }
        };
        self.note_enrolment(request_id, code, "").await;
        Ok(lost)
    }

    pub(super) fn may_change(&self, proof: &VerifiedFido2, now: UnixSeconds) -> Result<(), NotYet> {
        let registry = &self.parts.registry;
        let holder = registry.holder(&proof.binding().holder_id);
        let holder = holder.ok_or(NotYet::Never(SignInRefusal::HolderDisabled))?;
        self.entitlement(&holder, &[], now).map_err(NotYet::Never)?;
        let phone = registry.authenticator(proof.authenticator_id());
        let phone = phone.ok_or(NotYet::Never(SignInRefusal::LinkOver))?;
        let from = self.parts.settings.factor_rules.may_add_from(phone.enrolled_at);
        if now < from { Err(NotYet::Until(from)) } else { Ok(()) }
    }

    /// The holder said no. True when it was not decided yet.
    pub(super) async fn deny_change(
        &self,
        request_id: &str,
        phones: &Phones,
        change: &PhoneChange,
    ) -> Result<bool, SessionError> {
        let denied = phones.changes.deny(&change.change_id, DenyReason::ByHolder).await?;
        if denied {
            self.note_enrolment(request_id, "denied_by_holder", "").await;
        }
        Ok(denied)
    }
}

/// Why a proved phone changes nothing.
pub(super) enum NotYet {
    /// It was registered too short a time ago.
    Until(UnixSeconds),
    /// It does not do.
    Never(SignInRefusal),
}
