//! PC, two phones, officers and clock in any order, several at once: one phone a holder, nobody locked out but by an officer,
//! nothing used twice, no session without evidence, and a refusal changes nothing but tries.

mod act;
mod rules;
mod run;

use crate::notification_cards::Sheets;
use crate::steps::interleave;
use crate::world::World;
use crate::world::by_card;
use crate::world::entitled;
use crate::world::handshake;
use crate::world::phone;
use act::Act;
use act::HOLDERS;
use act::acts;
use attest::authenticator::Authenticator;
use attest::authenticator::AuthenticatorKind;
use attest::authenticator::Enroller;
use attest::danger_testing::START;
use attest::danger_testing::SoftPhone;
use attest::danger_testing::holder;
use attest::evidence::Binding;
use attest::evidence::NewPasskey;
use attest::evidence::Purpose;
use attest::evidence::Surface;
use attest::evidence::VerifiedFido2;
use attest::handoff::Handoff;
use attest::handoff::HandoffApproved;
use attest::jpki::LinkTicket;
use attest::jpki::NewCard;
use attest::phone_change::PhoneChange;
use attest::qr_link::PageSecret;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::ticket::Ticket;
use attest::vault::Sealed;
use proptest::prelude::ProptestConfig;
use proptest::test_runner::TestRunner;
use rules::Book;
use rules::Snapshot;
use run::Came;
use run::House;
use run::Made;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

type Doing = Pin<Box<dyn Future<Output = Came>>>;

/// What everybody has in hand.
struct Model {
    house: Rc<House>,
    book: Book,
    tickets: Vec<(Ticket, PageSecret)>,
    links: Vec<LinkTicket>,
    changes: Vec<(PhoneChange, PageSecret)>,
    handoffs: Vec<(Handoff, PageSecret)>,
    letters: Vec<Sheets>,
    registrations: Vec<(Sheets, String)>,
    phones: HashMap<Fingerprint, SoftPhone>,
    handshakes: Vec<Fingerprint>,
    proofs: Vec<VerifiedFido2>,
    now: u64,
}

/// The newest but `at`.
fn newest<T>(all: &[T], at: usize) -> Option<&T> {
    all.iter().rev().nth(at % all.len().max(1))
}

impl Model {
    async fn new() -> Self {
        Self {
            house: Rc::new(House::new().await),
            book: Book::default(),
            tickets: Vec::new(),
            links: Vec::new(),
            changes: Vec::new(),
            handoffs: Vec::new(),
            letters: Vec::new(),
            registrations: Vec::new(),
            phones: HashMap::new(),
            handshakes: Vec::new(),
            proofs: Vec::new(),
            now: START,
        }
    }

    fn world(&self) -> &World {
        &self.house.cards.world
    }

    /// Does `acts` at once, their steps in an order of their own, and holds what comes of it against the rules.
    async fn step(&mut self, acts: &[Act], turn: usize) {
        let (mut doing, mut done) = (Vec::new(), Vec::new());
        for act in acts {
            if let Act::Wait { seconds } = act {
                self.now += seconds;
                self.world().clock.set(self.now);
            } else if let Some(prepared) = self.prepare(act).await {
                doing.push(prepared);
                done.push(act.clone());
            }
        }
        let before = Snapshot::of(&self.house).await;
        let mut turns = turn;
        let came = interleave(doing, |of| {
            turns = turns.wrapping_mul(31).wrapping_add(7);
            (turns >> 3) % of
        });
        let after = Snapshot::of(&self.house).await;
        self.book.judge(&done, &came, &before, &after);
        came.into_iter().filter_map(|came| came.made).for_each(|made| self.take(made));
    }

    fn take(&mut self, made: Made) {
        match made {
            Made::Ticket(ticket, page) => self.tickets.push((ticket, page)),
            Made::Link(link) => self.links.push(link),
            Made::Change(change, page) => self.changes.push((change, page)),
            Made::HandOff(handoff, page) => self.handoffs.push((*handoff, page)),
            Made::Letter(sheets) => self.letters.push(sheets),
            Made::Registration(sheets, secret) => self.registrations.push((sheets, secret)),
            Made::Phone(id, phone) => drop(self.phones.insert(id, *phone)),
        }
    }

    /// A handshake of a card: another one, or one that was shown before.
    fn handshake(&mut self, again: bool) -> Fingerprint {
        let before = self.handshakes.last().filter(|_| again).cloned();
        let shown = before.unwrap_or_else(handshake);
        self.handshakes.push(shown.clone());
        shown
    }

    /// What somebody is about to do; nothing where there is nothing to do it with.
    async fn prepare(&mut self, act: &Act) -> Option<Doing> {
        match act {
            Act::BeginByCard { .. }
            | Act::BeginByMyNumber { .. }
            | Act::BeginLink { .. }
            | Act::BeginChange { .. }
            | Act::HandOff { .. } => Some(self.prepare_beginning(act).await),
            Act::Confirm { .. }
            | Act::ProveLink { .. }
            | Act::ConfirmLink { .. }
            | Act::DenyLink { .. }
            | Act::Agree { .. }
            | Act::Activate { .. } => self.prepare_pc(act),
            Act::Open { .. }
            | Act::Register { .. }
            | Act::Deny { .. }
            | Act::TypeSecond { .. }
            | Act::DenyHandOff { .. }
            | Act::Look
            | Act::TypePassword { .. }
            | Act::RegisterByLetter { .. } => self.prepare_phone(act),
            Act::ProveChange { .. }
            | Act::ConfirmByPhone { .. }
            | Act::Approve { .. }
            | Act::Replay { .. } => self.prepare_answer(act).await,
            _ => self.prepare_officer(act).await,
        }
    }

    async fn prepare_beginning(&mut self, act: &Act) -> Doing {
        let house = self.house.clone();
        match *act {
            Act::BeginByCard { who, gives_up, again } => {
                let [phone, _] = house.factors_of(who).await;
                let (phone, key) = (phone.filter(|_| gives_up), self.handshake(again));
                let by = by_card(HOLDERS[who]);
                Box::pin(async move { house.begin(HOLDERS[who], by, phone, Some(&key)).await })
            }
            Act::BeginByMyNumber { who, again } => {
                let [phone, card] = house.factors_of(who).await;
                let factor = card.unwrap_or_else(|| Fingerprint::of(b"nobody's card"));
                let (by, key) = (Enroller { method: Method::Jpki, factor }, self.handshake(again));
                Box::pin(async move { house.begin(HOLDERS[who], by, phone, Some(&key)).await })
            }
            Act::BeginLink { who, gives_up, again } => {
                let [_, card] = house.factors_of(who).await;
                let (card, key) = (card.filter(|_| gives_up), self.handshake(again));
                Box::pin(async move { house.begin_link(HOLDERS[who], card, &key).await })
            }
            Act::BeginChange { who } => {
                Box::pin(async move { house.begin_change(HOLDERS[who]).await })
            }
            Act::HandOff { who } => Box::pin(async move { house.hand_off(HOLDERS[who]).await }),
            _ => panic!("{act:?} begins nothing"),
        }
    }

    fn prepare_pc(&mut self, act: &Act) -> Option<Doing> {
        let house = self.house.clone();
        Some(match *act {
            Act::Confirm { ticket, right, again } => {
                let (ticket, _) = newest(&self.tickets, ticket)?;
                let ticket = ticket.clone();
                // Only cards are shown again at a PC.
                let is_right = right && ticket.enrolled_by.method != Method::Fido2;
                let shown = if is_right { ticket.enrolled_by.clone() } else { by_card("stranger") };
                let key = self.handshake(again);
                Box::pin(async move { house.confirm(&ticket, &shown, &key).await })
            }
            Act::ProveLink { link, card, again } => {
                let link = newest(&self.links, link)?.clone();
                let new = NewCard {
                    card: Fingerprint::of(&[b'c', card]),
                    certificate: Sealed(format!("sealed {card}")),
                    once_key: self.handshake(again),
                };
                Box::pin(async move { house.prove_link(&link, &new).await })
            }
            Act::ConfirmLink { link, right, again } => {
                let link = newest(&self.links, link)?.clone();
                let shown = if right { link.enrolled_by.clone() } else { by_card("stranger") };
                let key = self.handshake(again);
                Box::pin(async move { house.confirm_link(&link, &shown, &key).await })
            }
            Act::DenyLink { link } => {
                let link = newest(&self.links, link)?.clone();
                Box::pin(async move { house.deny_link(&link).await })
            }
            Act::Agree { change, yes } => {
                let (change, page) = newest(&self.changes, change)?;
                let (change, page) = (change.clone(), copy(page));
                Box::pin(async move { house.agree(&change, &page, yes).await })
            }
            Act::Activate { handoff, right } => {
                let (handoff, page) = newest(&self.handoffs, handoff)?;
                let code = if right { page.code() } else { "guess".to_owned() };
                let session_id = handoff.session_id.clone();
                Box::pin(async move { house.activate(&session_id, &code).await })
            }
            _ => panic!("{act:?} is not done at a PC"),
        })
    }

    fn prepare_phone(&mut self, act: &Act) -> Option<Doing> {
        let house = self.house.clone();
        Some(match *act {
            Act::Open { ticket, right } => {
                let (ticket, page) = newest(&self.tickets, ticket)?;
                let number = if right { page.number() } else { "guess".to_owned() };
                let (ticket, page) = (ticket.clone(), copy(page));
                Box::pin(async move { house.open(&ticket, &page, &number).await })
            }
            Act::Register { ticket } => {
                let ticket = newest(&self.tickets, ticket)?.0.clone();
                let (new, phone) = self.new_phone(&ticket.ticket_id, &ticket.holder_id);
                Box::pin(async move { house.register(&ticket, new, phone).await })
            }
            Act::Deny { ticket } => {
                let ticket = newest(&self.tickets, ticket)?.0.clone();
                Box::pin(async move { house.deny(&ticket).await })
            }
            Act::TypeSecond { ticket, right } => {
                let (ticket, page) = newest(&self.tickets, ticket)?;
                let (ticket, page) = (ticket.clone(), copy(page));
                Box::pin(async move { house.type_second(&ticket, &page, right).await })
            }
            Act::DenyHandOff { handoff } => {
                let handoff = newest(&self.handoffs, handoff)?.0.clone();
                Box::pin(async move { house.deny_handoff(&handoff).await })
            }
            Act::Look => {
                let (tickets, changes) = (copies(&self.tickets), copies(&self.changes));
                let handoffs = copies(&self.handoffs);
                Box::pin(async move { house.look(&tickets, &changes, &handoffs).await })
            }
            Act::TypePassword { letter, right } => {
                let letter = newest(&self.letters, letter)?.clone();
                Box::pin(async move { house.type_password(&letter, right).await })
            }
            Act::RegisterByLetter { registration } => {
                let (sheets, secret) = newest(&self.registrations, registration)?.clone();
                let (new, phone) = self.new_phone(&sheets.card_id, HOLDERS[0]);
                Box::pin(
                    async move { house.register_by_letter(&sheets, &secret, new, phone).await },
                )
            }
            _ => panic!("{act:?} is not done on a phone"),
        })
    }

    /// What a registered phone answers.
    async fn prepare_answer(&mut self, act: &Act) -> Option<Doing> {
        let house = self.house.clone();
        Some(match *act {
            Act::ProveChange { change, may } => {
                let change = newest(&self.changes, change)?.0.clone();
                let id = change.change_id.clone();
                let binding = self.binding(Purpose::ChangePhone, &change.holder_id, &id, &id);
                let old = self.world().authenticators.phone_of(&change.holder_id).await.unwrap()?;
                let proof = self.answer(binding, &old)?;
                Box::pin(async move { house.prove_change(&id, &proof, may).await })
            }
            Act::ConfirmByPhone { ticket, right } => {
                let ticket = newest(&self.tickets, ticket)?.0.clone();
                let id = &ticket.ticket_id;
                let stored = self.world().tickets.by_id(id).await.unwrap()?;
                let new_key = match right {
                    true => stored.proved(attest::clock::UnixSeconds(self.now))?.public_key(),
                    false => Some(Fingerprint::of(b"another key")),
                };
                let old = &ticket.enrolled_by.factor.0;
                let old = self.world().trust.find::<Authenticator>(old).await.unwrap()?;
                let binding = self.binding(Purpose::ConfirmPhone, &ticket.holder_id, id, id);
                let proof = self.answer(Binding { new_key, ..binding }, &old)?;
                Box::pin(async move { house.confirm_by_phone(&ticket, &proof).await })
            }
            Act::Approve { handoff } => {
                let handoff = newest(&self.handoffs, handoff)?.0.clone();
                let own =
                    self.world().authenticators.phone_of(&handoff.holder_id).await.unwrap()?;
                let proof = self.answer(crate::world::binding(&handoff), &own)?;
                Box::pin(async move { house.approve(&proof).await })
            }
            Act::Replay { proof } => {
                let proof = newest(&self.proofs, proof)?.clone();
                let tickets: Vec<_> =
                    self.tickets.iter().map(|(ticket, _)| ticket.clone()).collect();
                Box::pin(async move { house.replay(&proof, &tickets).await })
            }
            _ => panic!("{act:?} is no answer"),
        })
    }

    async fn prepare_officer(&mut self, act: &Act) -> Option<Doing> {
        let house = self.house.clone();
        Some(match *act {
            Act::IssueLetter { who } => {
                Box::pin(async move { house.issue_letter(HOLDERS[who]).await })
            }
            Act::WithdrawLetter { letter } => {
                let letter = newest(&self.letters, letter)?.clone();
                Box::pin(async move { house.withdraw_letter(&letter).await })
            }
            Act::RemovePhone { who } => {
                let [phone, _] = house.factors_of(who).await;
                Box::pin(async move { house.remove_phone(phone).await })
            }
            Act::Unlink { who } => {
                let [_, card] = house.factors_of(who).await;
                Box::pin(async move { house.unlink(card).await })
            }
            Act::UnlinkCard { who } => {
                Box::pin(async move { house.unlink_card(HOLDERS[who]).await })
            }
            Act::LinkCard { who } => Box::pin(async move { house.link_card(HOLDERS[who]).await }),
            Act::Suspend { who } => {
                Box::pin(async move { house.set_enabled(HOLDERS[who], false, false).await })
            }
            Act::Resume { who } => {
                Box::pin(async move { house.set_enabled(HOLDERS[who], true, false).await })
            }
            Act::Retire { who } => {
                Box::pin(async move { house.set_enabled(HOLDERS[who], false, true).await })
            }
            _ => panic!("{act:?} is not done by officers"),
        })
    }

    /// Another phone proves itself.
    fn new_phone(&self, owner: &str, who: &str) -> (NewPasskey, SoftPhone) {
        let (fido2, mut phone) = (&self.world().fido2, phone());
        let kind = AuthenticatorKind::Phone;
        let started = fido2.start_registration(owner, kind, &holder(who), &[]).unwrap();
        let answer = phone.create(&started.options_json).unwrap();
        (fido2.finish_registration(&started.ceremony_id, owner, &answer).unwrap(), phone)
    }

    fn binding(&self, purpose: Purpose, who: &str, session_id: &str, id: &str) -> Binding {
        Binding {
            purpose,
            system_id: "inkan-portal".into(),
            holder_id: who.into(),
            session_id: session_id.into(),
            handoff_id: id.into(),
            limits: crate::world::LIMITS,
            surface: Surface::Phone,
            entries: None,
            new_key: None,
        }
    }

    /// `own` approves `binding`, if its phone is in somebody's hand.
    fn answer(&mut self, binding: Binding, own: &Authenticator) -> Option<VerifiedFido2> {
        let phone = self.phones.get_mut(&own.authenticator_id)?;
        let proof = self.house.cards.world.proof_of(binding, own, phone);
        self.proofs.push(proof.clone());
        Some(proof)
    }

    /// Each phone there is works.
    async fn end(mut self) {
        for who in HOLDERS {
            let found = self.world().authenticators.phone_of(who).await.unwrap();
            let Some(own) = found else { continue };
            let record = self.world().sign_in().await;
            let (handoff, _) = self.world().handoff(&record, who).await;
            let proof = self.answer(crate::world::binding(&handoff), &own).unwrap();
            let done = self.world().handoffs.approve(&proof, &entitled()).await.unwrap();
            assert!(matches!(done, HandoffApproved::Done(_)), "{done:?}");
        }
    }
}

fn copy(page: &PageSecret) -> PageSecret {
    PageSecret::parse(page.text()).unwrap()
}

fn copies<T: Clone>(all: &[(T, PageSecret)]) -> Vec<(T, PageSecret)> {
    all.iter().map(|(one, page)| (one.clone(), copy(page))).collect()
}

/// Lives one after the other and mixed; up to three acts at once.
async fn live(acts: Vec<(Act, bool)>) -> BTreeMap<String, usize> {
    let mut model = Model::new().await;
    let mut waiting: Vec<Act> = Vec::new();
    for (turn, (act, at_once)) in acts.into_iter().enumerate() {
        waiting.push(act);
        if !at_once || waiting.len() == 3 {
            model.step(&std::mem::take(&mut waiting), turn).await;
        }
    }
    model.step(&waiting, 0).await;
    let counts = std::mem::take(&mut model.book.counts);
    model.end().await;
    counts
}

#[test]
fn one_phone_nothing_twice_no_lock_out_no_session_without_evidence() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let total = RefCell::new(BTreeMap::<String, usize>::new());
    let config = ProptestConfig {
        cases: 256,
        source_file: Some(file!()),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let ran = TestRunner::new(config).run(&acts(), |acts| {
        for (what, times) in runtime.block_on(live(acts)) {
            *total.borrow_mut().entry(what).or_default() += times;
        }
        Ok(())
    });
    let total = total.into_inner();
    println!("{total:#?}");
    ran.unwrap();
    // The lives reach every end: a rule that nothing is held against is no rule.
    for reached in [
        "Confirm done",
        "ConfirmLink done",
        "ConfirmByPhone done",
        "RegisterByLetter done",
        "Activate done",
        "BeginByMyNumber done",
        "Replay refused",
        "TypeSecond refused",
        "ConfirmByPhone refused",
        "ConfirmLink refused",
        "Confirm refused",
    ] {
        assert!(total.contains_key(reached), "no {reached}");
    }
}
