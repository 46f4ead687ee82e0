//! What browsers ask of the portal, and the PC's side of it: the choice of a method, the page that waits for a phone.
//!
//! An id or a link stands for a sign-in or for an enrolment; [`super::phone`] and [`super::enrol`] have the phone's side.

use super::Keeper;
use super::enrol::started;
use super::phones::Phones;
use super::phones::Shown;
use super::phones::terminal_line;
use api::operations::CardHandshake;
use api::operations::SignInRefusal;
use api::operations::portal::Choice;
use api::operations::portal::ChoicePage;
use api::operations::portal::EnrolPage;
use api::operations::portal::EnrolStarted;
use api::operations::portal::Handed;
use api::operations::portal::MyNumberUrls;
use api::operations::portal::PhoneAsked;
use api::operations::portal::PhoneDone;
use api::operations::portal::PhonePage;
use api::operations::portal::Portal;
use api::operations::portal::PortalIndex;
use api::operations::portal::Purpose;
use api::operations::portal::Terminal;
use api::operations::portal::WaitPage;
use api::operations::portal::Waiting;
use api::text::is_invisible;
use async_trait::async_trait;
use attest::authenticator::AuthenticatorKind;
use attest::clock::UnixSeconds;
use attest::evidence::Surface;
use attest::handoff::Handoff;
use attest::handoff::HandoffState;
use attest::qr_link::PageSecret;
use attest::records::Method;
use attest::records::SigningSystem;
use attest::sessions::SessionError;
use attest::sign_in::DenyReason;
use attest::sign_in::Phase;
use attest::sign_in::SessionRecord;
use std::sync::Arc;
use std::time::Duration;

/// Characters of a holder id as typed: a longer one is nobody's.
const MAX_TYPED_CHARS: usize = 64;

#[async_trait]
impl Portal for Keeper {
    async fn portal_index(&self) -> PortalIndex {
        let jpki = self.my_numbers.as_ref().filter(|jpki| jpki.listener.has_provider);
        let jpki = jpki.map(|jpki| jpki.listener.origin.as_str());
        let settings = &self.parts.settings;
        PortalIndex {
            changes_by_phone: settings.change_by_phone,
            ..portal_index(&settings.hpki_origin, jpki, self.danger_test_mode())
        }
    }

    async fn choose(&self, _request_id: &str, link: &str) -> ChoicePage {
        let found = (self.linked(link).await, self.parts.clock.now());
        let (Ok(record), Ok(now), true) = (found.0, found.1, self.phones.is_some()) else {
            return ChoicePage::Unavailable;
        };
        let record = record.filter(|record| !record.link_is_over(now));
        let met = record.and_then(|record| {
            let system = self.asking_system(&record)?;
            Some((record, system))
        });
        match met {
            Some((record, system)) => ChoicePage::Choose(self.choice(link, &record, &system, now)),
            None => ChoicePage::Over,
        }
    }

    async fn hand_off(
        &self,
        request_id: &str,
        link: &str,
        holder_id: Option<String>,
        terminal: Terminal,
    ) -> Handed {
        let (Some(phones), Ok(now)) = (&self.phones, self.parts.clock.now()) else {
            return Handed::Unavailable;
        };
        // Step 1: whoever asks too often waits, whatever they ask.
        if let Err(seconds) = phones.address_rate("page", &terminal.address) {
            return Handed::RateLimited { seconds };
        }
        // Step 2: a sign-in that a phone may approve.
        let Ok(record) = self.linked(link).await else {
            return Handed::Unavailable;
        };
        let record = record.filter(|record| !record.link_is_over(now) && self.takes_phones(record));
        let Some(record) = record else {
            return Handed::Over;
        };
        if !phones.is_network_allowed(&terminal.address) {
            let (code, detail) = ("network_not_allowed", terminal_line(&terminal));
            self.note_sign_in(request_id, Some(&record), Method::Fido2, code, &detail).await;
            return Handed::NetworkNotAllowed;
        }
        // Step 3: for whom, as wanted or as typed. Nobody looks here whether there is such a person.
        let holder_id = record.holder_id.clone().or(holder_id.as_deref().map(typed));
        let Some(holder_id) = holder_id.filter(|holder_id| !holder_id.is_empty()) else {
            return Handed::Over;
        };
        if let Err(seconds) = phones.holder_rate("page", &holder_id) {
            return Handed::RateLimited { seconds };
        }
        // Step 4: a page of this browser.
        let terminal = terminal_line(&terminal);
        let started = async {
            let page = PageSecret::random().map_err(SessionError::from)?;
            let handoff = phones.handoffs.start(&record, &holder_id, &terminal, &page).await?;
            Ok::<_, SessionError>((handoff, page))
        };
        match started.await {
            Ok((handoff, page)) => {
                Handed::Page { id: handoff.handoff_id, page_secret: page.text().into() }
            }
            Err(error) => {
                tracing::error!(request_id, %error, "a hand-off could not be stored");
                Handed::Unavailable
            }
        }
    }

    async fn wait_page(
        &self,
        request_id: &str,
        id: &str,
        page_secret: &str,
        wait: Duration,
    ) -> WaitPage {
        let Some(phones) = &self.phones else {
            return WaitPage::Unavailable;
        };
        let Some(page) = PageSecret::parse(page_secret) else {
            return WaitPage::Over;
        };
        let waited = self.wait_for_phone(phones, id, &page, wait).await;
        waited.unwrap_or_else(|error| {
            tracing::error!(request_id, %error, "a waiting page could not be read");
            WaitPage::Unavailable
        })
    }

    async fn phone_page(&self, request_id: &str, link: &str) -> PhonePage {
        let (Some(phones), Ok(now)) = (&self.phones, self.parts.clock.now()) else {
            return PhonePage::Unavailable;
        };
        match phones.by_link(link).await {
            Ok(Some(Shown::SignIn(handoff))) => self.ask_sign_in(&handoff, now).await,
            Ok(Some(Shown::Enrolment(ticket))) => self.ask_enrolment(&ticket, now),
            Ok(Some(Shown::Confirmation(ticket))) => self.ask_confirmation(&ticket, now),
            Ok(Some(Shown::Change(change))) => self.ask_change(&change, now),
            Ok(None) => PhonePage::Over,
            Err(error) => {
                tracing::error!(request_id, %error, "a link could not be read");
                PhonePage::Unavailable
            }
        }
    }

    async fn phone_options(
        &self,
        request_id: &str,
        link: &str,
        number: &str,
        address: &str,
    ) -> PhoneAsked {
        let Some(phones) = &self.phones else {
            return PhoneAsked::Unavailable;
        };
        if let Err(seconds) = phones.address_rate("question", address) {
            return PhoneAsked::RateLimited { seconds };
        }
        let asked = match phones.by_link(link).await {
            Ok(Some(Shown::SignIn(handoff))) => {
                let asked = (link, Surface::Phone);
                self.ask_phone(request_id, phones, asked, *handoff, (number, address)).await
            }
            Ok(Some(Shown::Enrolment(ticket))) => {
                self.ask_new_phone(request_id, phones, link, *ticket, number).await
            }
            Ok(Some(Shown::Confirmation(ticket))) => {
                self.ask_old_phone_again(request_id, phones, link, *ticket, number).await
            }
            Ok(Some(Shown::Change(change))) => {
                self.ask_old_phone(request_id, phones, link, *change, (number, address)).await
            }
            Ok(None) => Ok(PhoneAsked::Over),
            Err(error) => Err(error),
        };
        asked.unwrap_or_else(|error| {
            tracing::error!(request_id, %error, "a phone could not be asked");
            PhoneAsked::Unavailable
        })
    }

    async fn phone_finish(
        &self,
        request_id: &str,
        link: &str,
        ceremony_id: &str,
        credential: serde_json::Value,
    ) -> PhoneDone {
        let Some(phones) = &self.phones else {
            return PhoneDone::Unavailable;
        };
        let shown = phones.by_link(link).await;
        self.finish_shown(request_id, phones, shown, ceremony_id, &credential.to_string()).await
    }

    async fn phone_deny(&self, request_id: &str, link: &str) -> PhoneDone {
        let Some(phones) = &self.phones else {
            return PhoneDone::Unavailable;
        };
        let shown = phones.by_link(link).await;
        self.deny_shown(request_id, phones, shown).await
    }
    async fn open_enrol(
        &self,
        request_id: &str,
        kind: AuthenticatorKind,
        card: Option<CardHandshake>,
    ) -> EnrolPage {
        self.enrol_page(request_id, kind, card).await
    }

    async fn start_enrol(
        &self,
        request_id: &str,
        kind: AuthenticatorKind,
        card: Option<CardHandshake>,
        form_token: &str,
        terminal: Terminal,
    ) -> EnrolStarted {
        self.issue_ticket(request_id, kind, card, form_token, &terminal_line(&terminal)).await
    }

    async fn started_enrol(&self, request_id: &str, id: &str, page_secret: &str) -> EnrolStarted {
        let (Some(phones), Some(page)) = (&self.phones, PageSecret::parse(page_secret)) else {
            return EnrolStarted::Refused(SignInRefusal::LinkOver.into());
        };
        // Whatever became of the ticket: the portal's page says it.
        match phones.tickets.by_page(id, &page).await {
            Ok(Some(ticket)) => started(phones, ticket.kind, ticket.ticket_id, &page),
            Ok(None) => EnrolStarted::Refused(SignInRefusal::LinkOver.into()),
            Err(error) => {
                tracing::error!(request_id, %error, "a ticket could not be read");
                EnrolStarted::Refused(SignInRefusal::Unavailable.into())
            }
        }
    }
}

impl Keeper {
    fn choice(
        &self,
        link: &str,
        record: &SessionRecord,
        system: &SigningSystem,
        now: UnixSeconds,
    ) -> Choice {
        let offered = |method: &Method| {
            self.serves(*method) && record.accepts(*method) && system.methods.contains(method)
        };
        let methods: Vec<Method> =
            [Method::Hpki, Method::Jpki, Method::Fido2].into_iter().filter(offered).collect();
        let at = |method, origin: &str| {
            methods.contains(&method).then(|| format!("{origin}/login/{link}"))
        };
        let jpki = self.my_numbers.as_ref();
        Choice {
            system: system.display_name.clone(),
            hpki_url: at(Method::Hpki, &self.parts.settings.hpki_origin),
            jpki_url: jpki.and_then(|jpki| at(Method::Jpki, &jpki.listener.origin)),
            methods: methods.into_iter().map(Into::into).collect(),
            asks_holder: record.holder_id.is_none(),
            keeps: self.keeps(record),
            remaining_seconds: now.seconds_until(record.link_expires_at),
            danger_test_mode: self.danger_test_mode(),
        }
    }

    /// Whether a phone may approve this sign-in, as sign-in and signing system say.
    pub(super) fn takes_phones(&self, record: &SessionRecord) -> bool {
        let system = self.asking_system(record);
        record.accepts(Method::Fido2)
            && system.is_some_and(|system| system.methods.contains(&Method::Fido2))
    }

    async fn wait_for_phone(
        &self,
        phones: &Phones,
        id: &str,
        page: &PageSecret,
        wait: Duration,
    ) -> Result<WaitPage, SessionError> {
        let deadline = tokio::time::Instant::now() + wait;
        // Only whoever has such a page takes a place among those who wait.
        let session_id = match phones.by_page(id, page).await? {
            Some(Shown::SignIn(handoff)) => handoff.session_id,
            Some(Shown::Enrolment(_) | Shown::Confirmation(_) | Shown::Change(_)) => id.to_owned(),
            None => return Ok(WaitPage::Over),
        };
        let handoff = phones.handoffs.changed(id);
        let ticket = phones.tickets.changed(id);
        let change = phones.changes.changed(id);
        let session = self.parts.sessions.changed(&session_id);
        let mut shown = None;
        loop {
            let next = (handoff.next(), ticket.next(), session.next(), change.next());
            let state = self.page_state(phones, id, page).await?;
            let is_over = tokio::time::Instant::now() >= deadline;
            // It may wait for one phone and then for another: that is another page.
            let waits_on = match &state {
                WaitPage::Waiting(waiting) => {
                    *shown.get_or_insert_with(|| waiting.purpose.clone()) == waiting.purpose
                }
                _ => false,
            };
            if is_over || !waits_on {
                return Ok(state);
            }
            tokio::select! {
                () = next.0 => {}
                () = next.1 => {}
                () = next.2 => {}
                () = next.3 => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    async fn page_state(
        &self,
        phones: &Phones,
        id: &str,
        page: &PageSecret,
    ) -> Result<WaitPage, SessionError> {
        let now = self.parts.clock.now()?;
        match phones.by_page(id, page).await? {
            Some(Shown::SignIn(handoff)) => self.sign_in_state(phones, &handoff, page, now).await,
            Some(Shown::Enrolment(ticket) | Shown::Confirmation(ticket)) => {
                Ok(self.enrolment_state(phones, &ticket, page, now))
            }
            Some(Shown::Change(change)) => Ok(self.change_state(phones, &change, page, now)),
            None => Ok(WaitPage::Over),
        }
    }

    async fn sign_in_state(
        &self,
        phones: &Phones,
        handoff: &Handoff,
        page: &PageSecret,
        now: UnixSeconds,
    ) -> Result<WaitPage, SessionError> {
        let Some((record, system)) = self.sign_in_of(handoff).await? else {
            return Ok(WaitPage::Over);
        };
        Ok(match (&handoff.state, &record.phase) {
            (HandoffState::Denied { .. }, _) => WaitPage::Denied,
            (HandoffState::Approved, Phase::Approved { .. } | Phase::Active { .. }) => {
                let is_waiting = matches!(record.phase, Phase::Approved { .. });
                match self.way_back(&record, &page.code()).filter(|_| is_waiting) {
                    Some(url) => WaitPage::Return { url },
                    None => WaitPage::SignedIn { system: system.display_name.clone() },
                }
            }
            (HandoffState::Waiting, Phase::Denied { reason: DenyReason::ByHolder }) => {
                WaitPage::Denied
            }
            (HandoffState::Waiting, _) if handoff.is_open(now) && !record.link_is_over(now) => {
                WaitPage::Waiting(Waiting {
                    purpose: sign_in_purpose(&record, &system, handoff),
                    url: phones.url(&handoff.handoff_id, page),
                    number: record.number.is_none().then(|| page.number()),
                    remaining_seconds: now.seconds_until(handoff.link.expires_at()),
                })
            }
            _ => WaitPage::Over,
        })
    }

    /// The sign-in that a hand-off is of, and who asks for it.
    pub(super) async fn sign_in_of(
        &self,
        handoff: &Handoff,
    ) -> Result<Option<(SessionRecord, Arc<SigningSystem>)>, SessionError> {
        let Some((record, _)) = self.parts.sessions.record(&handoff.session_id).await? else {
            return Ok(None);
        };
        let system = self.asking_system(&record);
        Ok(system.map(|system| (record, system)))
    }
}

/// What cards can do on the portal, where their listeners are.
pub fn portal_index(hpki: &str, jpki: Option<&str>, danger_test_mode: bool) -> PortalIndex {
    let enrol = |origin: &str| format!("{origin}/enrol");
    let enrol_key = |origin: &str| format!("{origin}/enrol-key");
    PortalIndex {
        enrol_url: enrol(hpki),
        enrol_key_url: enrol_key(hpki),
        my_number: jpki.map(|jpki| MyNumberUrls {
            enrol: enrol(jpki),
            enrol_key: enrol_key(jpki),
            link: format!("{hpki}/link"),
        }),
        changes_by_phone: false,
        danger_test_mode,
    }
}

/// What a phone is asked for by a sign-in.
pub(super) fn sign_in_purpose(
    record: &SessionRecord,
    system: &SigningSystem,
    handoff: &Handoff,
) -> Purpose {
    let holder_id = handoff.holder_id.clone();
    match record.is_for_portal() {
        true => Purpose::OwnPage { holder_id },
        false => Purpose::SignIn { system: system.display_name.clone(), holder_id },
    }
}

/// A holder id as it was meant: without what nobody sees.
pub(super) fn typed(text: &str) -> String {
    let shown = text.trim().chars().filter(|character| !is_invisible(*character));
    shown.take(MAX_TYPED_CHARS).collect()
}
