//! One house, and what becomes of each act in it. Everything that somebody shows is made before the acts begin: the race is
//! about the records.

use super::act::HOLDERS;
use crate::notification_cards::Cards;
use crate::notification_cards::LIFETIME;
use crate::notification_cards::Sheets;
use crate::world::LIMITS;
use crate::world::by_card;
use crate::world::entitled;
use attest::authenticator::Enroller;
use attest::danger_testing::SoftPhone;
use attest::danger_testing::card;
use attest::evidence::NewPasskey;
use attest::evidence::Purpose;
use attest::evidence::VerifiedFido2;
use attest::factor_rules::FactorRules;
use attest::handoff::Handoff;
use attest::handoff::HandoffApproved;
use attest::handoff::NumberChecked;
use attest::jpki::JpkiLinks;
use attest::jpki::LinkTicket;
use attest::jpki::Linked;
use attest::jpki::NewCard;
use attest::notification_card::Registered;
use attest::notification_card::Tried;
use attest::password::Password;
use attest::phone_change::ChangeNumber;
use attest::phone_change::ChangeProved;
use attest::phone_change::PhoneChange;
use attest::phone_change::PhoneChanges;
use attest::qr_link::PageSecret;
use attest::records::CardLink;
use attest::records::Fingerprint;
use attest::records::Holder;
use attest::records::Method;
use attest::sessions::Activation;
use attest::sessions::SessionError;
use attest::sign_in::DenyReason;
use attest::store::Outcome;
use attest::store::Txn;
use attest::ticket::Enrolled;
use attest::ticket::Enrols;
use attest::ticket::Ticket;
use attest::ticket::TicketOpened;
use attest::withdrawn::Stop;
use std::time::Duration;

/// The portal with everything that registers something.
pub struct House {
    pub cards: Cards,
    pub changes: PhoneChanges,
    pub links: JpkiLinks,
}

/// What came of an act, as far as the rules speak of it.
#[derive(Default)]
pub struct Came {
    pub is_done: bool,
    /// Kinds of records that a refusal may change all the same: tries are counted.
    pub may_touch: &'static [&'static str],
    /// What had its one use.
    pub once: Vec<String>,
    /// What was shown, and served.
    pub evidence: Vec<Fingerprint>,
    /// Factors that are a holder's now.
    pub registered: Vec<Fingerprint>,
    pub approved: Option<(String, String)>,
    pub activated: Option<String>,
    pub made: Option<Made>,
}

/// What can be acted on from now on.
pub enum Made {
    Ticket(Ticket, PageSecret),
    Link(LinkTicket),
    Change(PhoneChange, PageSecret),
    HandOff(Box<Handoff>, PageSecret),
    Letter(Sheets),
    Registration(Sheets, String),
    Phone(Fingerprint, Box<SoftPhone>),
}

impl Came {
    fn refused(may_touch: &'static [&'static str]) -> Self {
        Self { may_touch, ..Self::default() }
    }

    fn done() -> Self {
        Self { is_done: true, ..Self::default() }
    }

    fn made(made: Made) -> Self {
        Self { made: Some(made), ..Self::done() }
    }

    fn when(is_done: bool, may_touch: &'static [&'static str]) -> Self {
        if is_done { Self::done() } else { Self::refused(may_touch) }
    }

    fn used(mut self, what: &str, id: &str) -> Self {
        self.once.push(format!("{what} {id}"));
        self
    }

    fn by(mut self, evidence: &Fingerprint) -> Self {
        self.evidence.push(evidence.clone());
        self
    }
}

impl House {
    pub async fn new() -> Self {
        let cards = Cards::new().await;
        let (trust, clock) = (cards.world.trust.clone(), cards.world.clock.clone());
        let changes = PhoneChanges::new(trust.clone(), clock.clone());
        let links = JpkiLinks::new(trust, clock, FactorRules::default());
        Self { cards, changes, links }
    }

    pub async fn begin(
        &self,
        who: &str,
        by: Enroller,
        replaces: Option<Fingerprint>,
        key: Option<&Fingerprint>,
    ) -> Came {
        let page = PageSecret::random().unwrap();
        let tickets = &self.cards.world.tickets;
        let enrols = Enrols::Phone { replaces };
        match tickets.issue(who, by, enrols, "PC", &page, key).await.unwrap() {
            None => Came::refused(&[]),
            Some(ticket) => {
                let came = Came::made(Made::Ticket(ticket, page));
                Came { evidence: key.into_iter().cloned().collect(), ..came }
            }
        }
    }

    pub async fn open(&self, ticket: &Ticket, page: &PageSecret, number: &str) -> Came {
        let tickets = &self.cards.world.tickets;
        let opened = tickets.open(&ticket.ticket_id, &page.link_secret(), number).await;
        match opened.unwrap() {
            TicketOpened::Opened(_) => Came::done(),
            TicketOpened::WrongNumber { .. } => Came::refused(&["t"]),
            TicketOpened::Over => Came::refused(&[]),
        }
    }

    pub async fn register(&self, ticket: &Ticket, new: NewPasskey, phone: SoftPhone) -> Came {
        let finished = self.cards.world.tickets.finish(&ticket.ticket_id, &new).await;
        match finished.unwrap() {
            Enrolled::AsksAgain => {
                Came::made(Made::Phone(new.authenticator_id().clone(), Box::new(phone)))
            }
            Enrolled::Done { .. } => panic!("registered without being asked again"),
            _ => Came::refused(&[]),
        }
    }

    pub async fn confirm(&self, ticket: &Ticket, shown: &Enroller, key: &Fingerprint) -> Came {
        let tickets = &self.cards.world.tickets;
        enrolled(ticket, tickets.confirm(&ticket.ticket_id, shown, key).await.unwrap(), key)
    }

    pub async fn type_second(&self, ticket: &Ticket, page: &PageSecret, right: bool) -> Came {
        let second = page.second();
        let number = if right { second.number() } else { "guess".to_owned() };
        let (tickets, link) = (&self.cards.world.tickets, second.link_secret());
        match tickets.check_second_number(&ticket.ticket_id, &link, &number).await.unwrap() {
            ChangeNumber::Right => Came::done(),
            ChangeNumber::Wrong { .. } => Came::refused(&["t"]),
            ChangeNumber::Over => Came::refused(&[]),
        }
    }

    pub async fn confirm_by_phone(&self, ticket: &Ticket, proof: &VerifiedFido2) -> Came {
        let tickets = &self.cards.world.tickets;
        let outcome = tickets.confirm_by_phone(&ticket.ticket_id, proof).await.unwrap();
        enrolled(ticket, outcome, &proof.replay_key())
    }

    pub async fn deny(&self, ticket: &Ticket) -> Came {
        let tickets = &self.cards.world.tickets;
        match tickets.deny(&ticket.ticket_id, DenyReason::ByHolder).await.unwrap() {
            true => Came::done().used("ticket", &ticket.ticket_id),
            false => Came::refused(&[]),
        }
    }

    pub async fn begin_link(
        &self,
        who: &str,
        replaces: Option<Fingerprint>,
        key: &Fingerprint,
    ) -> Came {
        match self.links.issue(who, by_card(who), replaces, "PC", key).await.unwrap() {
            Some((ticket, _)) => Came::made(Made::Link(ticket)).by(key),
            None => Came::refused(&[]),
        }
    }

    pub async fn prove_link(&self, link: &LinkTicket, new: &NewCard) -> Came {
        match self.links.prove(&link.ticket_id, new).await.unwrap() {
            Linked::AsksCard { .. } => Came::done().by(&new.once_key),
            Linked::Done { .. } => panic!("linked without being asked again"),
            _ => Came::refused(&[]),
        }
    }

    pub async fn confirm_link(
        &self,
        link: &LinkTicket,
        shown: &Enroller,
        key: &Fingerprint,
    ) -> Came {
        match self.links.confirm(&link.ticket_id, shown, key).await.unwrap() {
            Linked::Done { link: new, .. } => {
                let came = Came::done().by(key).used("link", &link.ticket_id);
                Came { registered: vec![new.card.clone()], ..came }
            }
            _ => Came::refused(&[]),
        }
    }

    pub async fn deny_link(&self, link: &LinkTicket) -> Came {
        match self.links.deny(&link.ticket_id).await.unwrap() {
            true => Came::done().used("link", &link.ticket_id),
            false => Came::refused(&[]),
        }
    }

    pub async fn begin_change(&self, who: &str) -> Came {
        let page = PageSecret::random().unwrap();
        let change = self.changes.start(who, "PC", &page).await.unwrap();
        Came::made(Made::Change(change, page))
    }

    pub async fn prove_change(&self, change_id: &str, proof: &VerifiedFido2, may: bool) -> Came {
        let proved = match may {
            true => self.changes.prove(change_id, proof).await,
            false => self.changes.refuse(change_id, proof).await,
        };
        match proved.unwrap() {
            ChangeProved::Done(_) => {
                Came::done().by(&proof.replay_key()).used("proof of change", change_id)
            }
            _ => Came::refused(&[]),
        }
    }

    /// Yes is leave to begin a ticket by the old phone.
    pub async fn agree(&self, change: &PhoneChange, page: &PageSecret, yes: bool) -> Came {
        let id = &change.change_id;
        if !yes {
            return match self.changes.deny(id, DenyReason::ByHolder).await.unwrap() {
                true => Came::done().used("change", id),
                false => Came::refused(&[]),
            };
        }
        let Some(old) = self.changes.agree(id, page).await.unwrap() else {
            return Came::refused(&[]);
        };
        let by = Enroller { method: Method::Fido2, factor: old.clone() };
        self.begin(&change.holder_id, by, Some(old), None).await.used("change", id)
    }

    pub async fn hand_off(&self, who: &str) -> Came {
        let record = self.cards.world.sign_in().await;
        let (handoff, page) = self.cards.world.handoff(&record, who).await;
        Came::made(Made::HandOff(Box::new(handoff), page))
    }

    pub async fn approve(&self, proof: &VerifiedFido2) -> Came {
        let handoffs = &self.cards.world.handoffs;
        match handoffs.approve(proof, &entitled()).await.unwrap() {
            HandoffApproved::Done(_) => {
                let binding = proof.binding();
                let came = Came::done().by(&proof.replay_key());
                let approved = Some((binding.session_id.clone(), proof.digest().0));
                Came { approved, ..came }.used("hand-off", &binding.handoff_id)
            }
            _ => Came::refused(&[]),
        }
    }

    pub async fn deny_handoff(&self, handoff: &Handoff) -> Came {
        let (handoffs, id) = (&self.cards.world.handoffs, &handoff.handoff_id);
        match handoffs.deny(id, DenyReason::ByHolder).await.unwrap() {
            true => Came::done().used("hand-off", id),
            false => Came::refused(&[]),
        }
    }

    pub async fn activate(&self, session_id: &str, code: &str) -> Came {
        let sessions = &self.cards.world.sessions;
        let activated = match sessions.activate(session_id, code, LIMITS).await {
            // The same code is on its way a second time.
            Err(SessionError::Contended) => return Came::refused(&[]),
            activated => activated.unwrap(),
        };
        match activated {
            Activation::Active { session, .. } => {
                assert_eq!(session.session_id, session_id);
                Came { activated: Some(session_id.to_owned()), ..Came::done() }
            }
            Activation::WrongCode { .. } => Came::refused(&["s"]),
            _ => Came::refused(&[]),
        }
    }

    /// An answer of a phone that was given before, to whatever it was for.
    pub async fn replay(&self, proof: &VerifiedFido2, tickets: &[Ticket]) -> Came {
        let binding = proof.binding();
        match binding.purpose {
            Purpose::Day | Purpose::Once => self.approve(proof).await,
            Purpose::ChangePhone => self.prove_change(&binding.handoff_id, proof, true).await,
            Purpose::ConfirmPhone => {
                let of = |ticket: &&Ticket| ticket.ticket_id == binding.handoff_id;
                match tickets.iter().find(of) {
                    Some(ticket) => self.confirm_by_phone(ticket, proof).await,
                    None => Came::refused(&[]),
                }
            }
        }
    }

    /// Every page loaded anew, every link followed: by a person, or by whatever looks at links.
    pub async fn look(
        &self,
        tickets: &[(Ticket, PageSecret)],
        changes: &[(PhoneChange, PageSecret)],
        handoffs: &[(Handoff, PageSecret)],
    ) -> Came {
        let world = &self.cards.world;
        for (ticket, page) in tickets {
            let (id, second) = (&ticket.ticket_id, page.second().link_secret());
            drop(world.tickets.by_page(id, page).await.unwrap());
            drop(world.tickets.by_link(id, &page.link_secret()).await.unwrap());
            drop(world.tickets.by_second_link(id, &second).await.unwrap());
        }
        for (change, page) in changes {
            drop(self.changes.by_page(&change.change_id, page).await.unwrap());
            drop(self.changes.by_link(&change.change_id, &page.link_secret()).await.unwrap());
        }
        for (handoff, page) in handoffs {
            drop(world.handoffs.by_link(&handoff.handoff_id, &page.link_secret()).await.unwrap());
            let typed = world.type_number(handoff, page, &page.number()).await;
            assert!(matches!(typed, NumberChecked::Right(_) | NumberChecked::Over), "{typed:?}");
        }
        // Nothing is done by it, and nothing may change.
        Came::refused(&[])
    }

    pub async fn type_password(&self, sheets: &Sheets, right: bool) -> Came {
        let typed = match right {
            true => Password::parse(&sheets.password).unwrap(),
            false => Password::random().unwrap(),
        };
        let (id, secret) = (&sheets.card_id, &sheets.secret);
        match self.cards.cards.try_password(id, secret, &typed, "iPhone").await.unwrap() {
            Tried::Right { registration, .. } => {
                Came::made(Made::Registration(sheets.clone(), registration.to_string()))
            }
            // A try is counted, and a letter that finds a phone is over.
            _ => Came::refused(&["c"]),
        }
    }

    pub async fn register_by_letter(
        &self,
        sheets: &Sheets,
        registration: &str,
        new: NewPasskey,
        phone: SoftPhone,
    ) -> Came {
        match self.cards.finish(sheets, registration, &new).await {
            Registered::Done(registered) => {
                let id = registered.authenticator_id;
                let came = Came::made(Made::Phone(id.clone(), Box::new(phone)));
                Came { registered: vec![id], ..came }.used("letter", &sheets.card_id)
            }
            Registered::AlreadyRegistered => Came::refused(&["c"]),
            _ => Came::refused(&[]),
        }
    }

    pub async fn issue_letter(&self, who: &str) -> Came {
        let lifetime = Duration::from_secs(LIFETIME);
        let new = self.cards.cards.make(who, ["alice", "bob"], lifetime).await.unwrap();
        let sheets = Sheets::of(&new);
        let is_committed = self.commit(new.issuance).await;
        if is_committed { Came::made(Made::Letter(sheets)) } else { Came::refused(&[]) }
    }

    pub async fn withdraw_letter(&self, sheets: &Sheets) -> Came {
        match self.cards.cards.withdrawal(&sheets.card_id).await.unwrap() {
            Some((_, txn)) => Came::when(self.commit(txn).await, &[]),
            None => Came::refused(&[]),
        }
    }

    pub async fn remove_phone(&self, id: Option<Fingerprint>) -> Came {
        let Some(id) = id else { return Came::refused(&[]) };
        let removed = self.cards.world.authenticators.remove(&id).await.unwrap();
        Came::when(removed.is_some(), &[])
    }

    pub async fn unlink(&self, card: Option<Fingerprint>) -> Came {
        let Some(card) = card else { return Came::refused(&[]) };
        match self.links.removal(&card).await.unwrap() {
            Some((_, txn)) => Came::when(self.commit(txn).await, &[]),
            None => Came::refused(&[]),
        }
    }

    pub async fn unlink_card(&self, who: &str) -> Came {
        let trust = &self.cards.world.trust;
        trust.remove::<CardLink>(&card(who).card.0).await.unwrap();
        Came::done()
    }

    pub async fn link_card(&self, who: &str) -> Came {
        Came::when(self.cards.world.trust.create(&card(who)).await.is_ok(), &[])
    }

    /// Suspends, resumes or retires; nothing leads back from the last.
    pub async fn set_enabled(&self, who: &str, enabled: bool, is_for_good: bool) -> Came {
        let changed = self.cards.world.trust.update(who, |mut holder: Holder| {
            if holder.withdrawn.stop.as_ref().is_some_and(|stop| stop.is_for_good) {
                return None;
            }
            let at = holder.created_at;
            holder.withdrawn.stop = (!enabled).then_some(Stop { at, reason: None, is_for_good });
            Some(Holder { enabled, ..holder })
        });
        Came::when(changed.await.unwrap().is_some(), &[])
    }

    async fn commit(&self, txn: Txn) -> bool {
        self.cards.world.trust.store().commit(txn).await.unwrap() == Outcome::Committed
    }

    /// The phone and the My Number card that a holder has.
    pub async fn factors_of(&self, who: usize) -> [Option<Fingerprint>; 2] {
        let trust = &self.cards.world.trust;
        let phone = self.cards.world.authenticators.phone_of(HOLDERS[who]).await.unwrap();
        let slot = trust.find::<attest::jpki::JpkiSlot>(HOLDERS[who]).await.unwrap();
        [phone.map(|phone| phone.authenticator_id), slot.map(|slot| slot.card)]
    }
}

fn enrolled(ticket: &Ticket, outcome: Enrolled, key: &Fingerprint) -> Came {
    match outcome {
        Enrolled::Done { authenticator, replaced } => {
            let gone = replaced.map(|old| old.authenticator_id);
            assert!(gone.is_none() || gone == ticket.replaces, "a phone that nobody gave up");
            let came = Came::done().by(key).used("ticket", &ticket.ticket_id);
            Came { registered: vec![authenticator.authenticator_id], ..came }
        }
        _ => Came::refused(&[]),
    }
}
