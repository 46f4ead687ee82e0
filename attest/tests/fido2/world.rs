//! A portal with one holder, one card, one signing system.

use crate::steps::StepStore;
use attest::authenticator::Authenticator;
use attest::authenticator::Authenticators;
use attest::authenticator::Enroller;
use attest::clock::Clock;
use attest::clock::UnixSeconds;
use attest::danger_testing::HandClock;
use attest::danger_testing::PhoneKey;
use attest::danger_testing::START;
use attest::danger_testing::SoftPhone;
use attest::danger_testing::card;
use attest::danger_testing::holder;
use attest::danger_testing::system;
use attest::evidence::Binding;
use attest::evidence::Fido2;
use attest::evidence::Fido2Error;
use attest::evidence::NewPasskey;
use attest::evidence::Purpose;
use attest::evidence::RelyingParty;
use attest::evidence::Started;
use attest::evidence::Surface;
use attest::evidence::VerifiedFido2;
use attest::factor_rules::FactorRules;
use attest::handoff::Entitlement;
use attest::handoff::Handoff;
use attest::handoff::Handoffs;
use attest::handoff::NumberChecked;
use attest::qr_link::PageSecret;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::records::SessionLimits;
use attest::records::SigningSystem;
use attest::sessions::SessionError;
use attest::sessions::Sessions;
use attest::sessions::Wanted;
use attest::sign_in::SessionRecord;
use attest::ticket::Enrolled;
use attest::ticket::Enrols;
use attest::ticket::Ticket;
use attest::ticket::TicketOpened;
use attest::ticket::Tickets;
use attest::trust::TrustStore;
use std::sync::Arc;

pub const ORIGIN: &str = "https://portal.example.jp:8443";
pub const RP_ID: &str = "portal.example.jp";
pub const LIMITS: SessionLimits =
    SessionLimits { seconds: 3_600, idle_seconds: 600, signatures: 20 };

pub struct World {
    pub trust: TrustStore,
    pub clock: Arc<HandClock>,
    pub sessions: Arc<Sessions>,
    pub tickets: Tickets,
    pub handoffs: Handoffs,
    pub authenticators: Authenticators,
    pub fido2: Arc<Fido2>,
    pub system: SigningSystem,
}

impl World {
    pub async fn new() -> Self {
        let clock = Arc::new(HandClock::default());
        let relying_party = RelyingParty::new(ORIGIN, "Inkan").unwrap();
        let fido2 = Arc::new(Self::fido2(relying_party, FactorRules::default(), &clock));
        Self::with(fido2, clock).await
    }

    /// Ceremonies of one appliance, started anew.
    pub fn fido2(relying_party: RelyingParty, rules: FactorRules, clock: &Arc<HandClock>) -> Fido2 {
        Fido2::new(relying_party, rules, clock.clone(), &[7; 32]).unwrap()
    }

    /// A fresh store beside the same portal: for orders by the thousand.
    pub async fn again(&self) -> Self {
        Self::with(self.fido2.clone(), self.clock.clone()).await
    }

    async fn with(fido2: Arc<Fido2>, clock: Arc<HandClock>) -> Self {
        clock.set(START);
        let trust = TrustStore::new(Arc::new(StepStore::default()), &[1; 32]);
        for who in ["u-1", "u-2"] {
            trust.create(&holder(who)).await.unwrap();
            trust.create(&card(who)).await.unwrap();
        }
        let sessions = Arc::new(Sessions::new(trust.clone(), clock.clone()));
        let mut system = system("ehr", Fingerprint::of(b"client certificate of ehr"), LIMITS);
        system.methods = vec![Method::Hpki, Method::Fido2];
        Self {
            tickets: Tickets::new(trust.clone(), clock.clone(), FactorRules::default()),
            handoffs: Handoffs::new(sessions.clone(), trust.clone(), clock.clone()),
            authenticators: Authenticators::new(trust.clone()),
            fido2,
            trust,
            clock,
            sessions,
            system,
        }
    }

    /// A ticket for `holder_id` by their card, and the page that shows it.
    pub async fn ticket(
        &self,
        holder_id: &str,
        replaces: Option<Fingerprint>,
    ) -> (Ticket, PageSecret) {
        let page = PageSecret::random().unwrap();
        let (by, once_key) = (by_card(holder_id), handshake());
        let enrols = Enrols::Phone { replaces };
        let ticket = self.tickets.issue(holder_id, by, enrols, "PC", &page, Some(&once_key));
        (ticket.await.unwrap().unwrap(), page)
    }

    /// As [`World::ticket`], with the number typed.
    pub async fn opened(
        &self,
        holder_id: &str,
        replaces: Option<Fingerprint>,
    ) -> (Ticket, PageSecret) {
        let (ticket, page) = self.ticket(holder_id, replaces).await;
        let opened =
            self.tickets.open(&ticket.ticket_id, &page.link_secret(), &page.number()).await;
        assert!(matches!(opened.unwrap(), TicketOpened::Opened(_)));
        (ticket, page)
    }

    /// `phone` proves itself under `ticket`.
    pub fn register(
        &self,
        ticket: &Ticket,
        phone: &mut SoftPhone,
        known: &[Arc<Authenticator>],
    ) -> Result<NewPasskey, Fido2Error> {
        let (id, kind) = (&ticket.ticket_id, ticket.kind);
        let started = self.fido2.start_registration(id, kind, &holder("u-1"), known).unwrap();
        let answer = phone.create(&started.options_json).unwrap();
        self.fido2.finish_registration(&started.ceremony_id, &ticket.ticket_id, &answer)
    }

    /// `count` phones that proved themselves.
    pub async fn proved<const COUNT: usize>(&self) -> [NewPasskey; COUNT] {
        let (ticket, _) = self.opened("u-1", None).await;
        std::array::from_fn(|_| self.register(&ticket, &mut phone(), &[]).unwrap())
    }

    /// Makes `phone` the phone of `holder_id`, in place of `replaces`.
    pub async fn enrol(
        &self,
        holder_id: &str,
        phone: &mut SoftPhone,
        replaces: Option<Fingerprint>,
    ) -> Authenticator {
        let (ticket, _) = self.opened(holder_id, replaces.clone()).await;
        let new = self.register(&ticket, phone, &[]).unwrap();
        self.enrol_proved(holder_id, &new, replaces).await
    }

    /// Makes a phone that proved itself before the phone of `holder_id`.
    pub async fn enrol_proved(
        &self,
        holder_id: &str,
        new: &NewPasskey,
        replaces: Option<Fingerprint>,
    ) -> Authenticator {
        let (ticket, _) = self.opened(holder_id, replaces).await;
        match self.finish(&ticket, new).await.unwrap() {
            Enrolled::Done { authenticator, .. } => *authenticator,
            other => panic!("not enrolled: {other:?}"),
        }
    }

    /// The phone is proved, and the card shown again.
    pub async fn finish(
        &self,
        ticket: &Ticket,
        new: &NewPasskey,
    ) -> Result<Enrolled, SessionError> {
        match self.tickets.finish(&ticket.ticket_id, new).await? {
            Enrolled::AsksAgain => self.confirm(ticket).await,
            other => Ok(other),
        }
    }

    /// `new` is proved under `ticket`, and the card has not been shown again yet.
    pub async fn prove(&self, ticket: &Ticket, new: &NewPasskey) {
        let outcome = self.tickets.finish(&ticket.ticket_id, new).await.unwrap();
        assert!(matches!(outcome, Enrolled::AsksAgain), "{outcome:?}");
    }

    /// `phone`, which is `authenticator` in the registry, approves what `binding` says.
    pub fn proof_of(
        &self,
        binding: Binding,
        authenticator: &Authenticator,
        phone: &mut SoftPhone,
    ) -> VerifiedFido2 {
        let owner = binding.handoff_id.clone();
        let started =
            self.fido2.start_assertion(binding, &[Arc::new(authenticator.clone())]).unwrap();
        let answer = phone.get(&started.options_json).unwrap();
        self.fido2.finish_assertion(&started.ceremony_id, &owner, &answer).unwrap()
    }

    /// What the old phone is asked for the phone that waits under `ticket`.
    pub async fn confirmation(&self, ticket: &Ticket) -> Binding {
        let now = self.clock.now().unwrap();
        let found = self.tickets.by_id(&ticket.ticket_id).await.unwrap().unwrap();
        Binding {
            purpose: Purpose::ConfirmPhone,
            system_id: "inkan-portal".into(),
            holder_id: ticket.holder_id.clone(),
            session_id: ticket.ticket_id.clone(),
            handoff_id: ticket.ticket_id.clone(),
            limits: LIMITS,
            surface: Surface::Phone,
            entries: None,
            new_key: found.proved(now).unwrap().public_key(),
        }
    }

    /// The card that began `ticket` is shown again.
    pub async fn confirm(&self, ticket: &Ticket) -> Result<Enrolled, SessionError> {
        self.tickets.confirm(&ticket.ticket_id, &ticket.enrolled_by, &handshake()).await
    }

    /// A sign-in that waits for somebody.
    pub async fn sign_in(&self) -> SessionRecord {
        self.sign_in_wanting(None, Some("https://ehr.example/return".into())).await
    }

    pub async fn sign_in_wanting(
        &self,
        holder_id: Option<String>,
        return_url: Option<String>,
    ) -> SessionRecord {
        let methods = vec![Method::Hpki, Method::Fido2];
        let wanted = Wanted { holder_id, methods, return_url, entries: None };
        self.sessions.create(&self.system, wanted).await.unwrap().record
    }

    /// A page that waits for the phone of `holder_id`.
    pub async fn handoff(&self, record: &SessionRecord, holder_id: &str) -> (Handoff, PageSecret) {
        let page = PageSecret::random().unwrap();
        let started = self.handoffs.start(record, holder_id, "ward 3, 192.0.2.7", &page).await;
        (started.unwrap(), page)
    }

    pub async fn type_number(
        &self,
        handoff: &Handoff,
        page: &PageSecret,
        number: &str,
    ) -> NumberChecked {
        let link = page.link_secret();
        self.handoffs.check_number(&handoff.handoff_id, &link, number).await.unwrap()
    }

    /// Asks the authenticators of the hand-off's holder.
    pub fn ask(&self, handoff: &Handoff, authenticators: &[Arc<Authenticator>]) -> Started {
        self.fido2.start_assertion(binding(handoff), authenticators).unwrap()
    }

    pub fn answer(
        &self,
        started: &Started,
        handoff: &Handoff,
        phone: &mut SoftPhone,
    ) -> Result<VerifiedFido2, Fido2Error> {
        let answer = phone.get(&started.options_json).unwrap();
        self.fido2.finish_assertion(&started.ceremony_id, &handoff.handoff_id, &answer)
    }

    /// `phone` proves `authenticator` for a new page of a new sign-in.
    pub async fn proof(
        &self,
        authenticator: &Authenticator,
        phone: &mut SoftPhone,
    ) -> (VerifiedFido2, Handoff, PageSecret) {
        let record = self.sign_in().await;
        let (handoff, page) = self.handoff(&record, &authenticator.holder_id).await;
        let started = self.ask(&handoff, &[Arc::new(authenticator.clone())]);
        (self.answer(&started, &handoff, phone).unwrap(), handoff, page)
    }
}

pub fn phone() -> SoftPhone {
    SoftPhone::new(ORIGIN, RP_ID, PhoneKey::P256).unwrap()
}

pub fn by_card(holder_id: &str) -> Enroller {
    Enroller { method: Method::Hpki, factor: card(holder_id).card }
}

pub fn binding(handoff: &Handoff) -> Binding {
    Binding {
        purpose: Purpose::Day,
        system_id: "ehr".into(),
        holder_id: handoff.holder_id.clone(),
        session_id: handoff.session_id.clone(),
        handoff_id: handoff.handoff_id.clone(),
        limits: LIMITS,
        surface: Surface::Phone,
        entries: None,
        new_key: None,
    }
}

pub fn entitled() -> Entitlement {
    Entitlement {
        certificates: vec![Fingerprint::of(b"second certificate")],
        not_after: UnixSeconds(START + 86_400),
    }
}

/// What a handshake is remembered by as used: each is another.
pub fn handshake() -> Fingerprint {
    Fingerprint::of(attest::sign_in::random_id().unwrap().as_bytes())
}
