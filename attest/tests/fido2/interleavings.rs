//! PC, phone, officer and clock in any order, several at once: one active phone, no ticket used twice, nobody locked out.

use crate::world::World;
use crate::world::by_card;
use crate::world::entitled;
use crate::world::handshake;
use crate::world::interleave;
use crate::world::phone;
use attest::authenticator::Authenticator;
use attest::danger_testing::START;
use attest::danger_testing::SoftPhone;
use attest::evidence::NewPasskey;
use attest::handoff::HandoffApproved;
use attest::qr_link::PageSecret;
use attest::records::Fingerprint;
use attest::ticket::Enrolled;
use attest::ticket::Ticket;
use proptest::collection::vec;
use proptest::prelude::Just;
use proptest::prelude::ProptestConfig;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prop_oneof;
use proptest::proptest;
use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;

/// What somebody does. Numbers pick among the tickets there are.
#[derive(Clone, Debug)]
enum Act {
    /// The PC, by card: a ticket that gives up the phone there is, or none.
    Issue { gives_up: bool },
    /// A phone types a number.
    Open { ticket: usize, right: bool },
    /// A new phone, proved, ends a ticket.
    Finish { ticket: usize },
    /// The officer removes the phone there is.
    Remove,
    /// Somebody says "not mine".
    Deny { ticket: usize },
    /// The phone signs in.
    SignIn,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => any::<bool>().prop_map(|gives_up| Act::Issue { gives_up }),
        3 => (0..6_usize, any::<bool>()).prop_map(|(ticket, right)| Act::Open { ticket, right }),
        3 => (0..6_usize).prop_map(|ticket| Act::Open { ticket, right: true }),
        6 => (0..6_usize).prop_map(|ticket| Act::Finish { ticket }),
        1 => Just(Act::Remove),
        1 => (0..6_usize).prop_map(|ticket| Act::Deny { ticket }),
        3 => Just(Act::SignIn),
    ]
}

/// What came of an act, as far as the rules speak of it.
enum Came {
    Issued(Ticket, PageSecret),
    Enrolled { ticket_id: String, id: Fingerprint, phone: SoftPhone },
    SignedIn(bool),
    Other,
}

/// What is known from outside.
struct Model {
    world: World,
    tickets: Vec<(Ticket, PageSecret)>,
    used: HashSet<String>,
    current: Option<(Fingerprint, SoftPhone)>,
    now: u64,
}

impl Model {
    async fn new() -> Self {
        let (tickets, used) = (Vec::new(), HashSet::new());
        Self { world: World::new().await, tickets, used, current: None, now: START }
    }

    /// Does `acts` at once, their steps ordered by `order`, and holds what comes of it against the rules.
    async fn step(&mut self, acts: &[Act], order: &[usize], seconds: u64) {
        self.now += seconds;
        self.world.clock.set(self.now);
        let before = self.current.as_ref().map(|(id, _)| id.clone());
        let authenticator = self.world.authenticators.phone_of("u-1").await.unwrap();
        // What a phone answers is made beforehand: the race is about the records.
        let prepared: Vec<Prepared> =
            acts.iter().map(|act| self.prepare(act, authenticator.as_ref())).collect();
        let mut made = Vec::new();
        for prepared in prepared {
            made.push(self.with_proof(prepared, authenticator.as_ref()).await);
        }
        let tasks: Vec<Pin<Box<dyn Future<Output = Came> + '_>>> = made
            .into_iter()
            .map(|prepared| {
                Box::pin(run(&self.world, prepared, before.clone()))
                    as Pin<Box<dyn Future<Output = Came> + '_>>
            })
            .collect();
        let mut order = order.iter().cycle();
        let came = interleave(tasks, |of| order.next().unwrap() % of);
        self.judge(acts, came, before).await;
    }

    fn prepare(&self, act: &Act, authenticator: Option<&Authenticator>) -> Prepared {
        let ticket = |index: &usize| match self.tickets.len() {
            0 => None,
            len => self.tickets.get(index % len),
        };
        match act {
            Act::Issue { gives_up } => {
                let phone = authenticator.filter(|_| *gives_up);
                Prepared::Issue(phone.map(|phone| phone.authenticator_id.clone()))
            }
            Act::Open { ticket: index, right } => {
                ticket(index).map_or(Prepared::Nothing, |found| {
                    let number = if *right { found.1.number() } else { "guess".to_owned() };
                    Prepared::Open(found.0.ticket_id.clone(), found.1.link_secret(), number)
                })
            }
            Act::Finish { ticket: index } => ticket(index).map_or(Prepared::Nothing, |found| {
                let mut phone = phone();
                let new = self.world.register(&found.0, &mut phone, &[]).unwrap();
                Prepared::Finish(found.0.ticket_id.clone(), Box::new((new, phone)))
            }),
            Act::Deny { ticket: index } => ticket(index)
                .map_or(Prepared::Nothing, |found| Prepared::Deny(found.0.ticket_id.clone())),
            Act::Remove => Prepared::Remove,
            Act::SignIn => Prepared::SignIn(None),
        }
    }

    async fn with_proof(
        &mut self,
        prepared: Prepared,
        authenticator: Option<&Authenticator>,
    ) -> Prepared {
        match (prepared, &mut self.current, authenticator) {
            (Prepared::SignIn(_), Some((_, phone)), Some(authenticator)) => {
                let (proof, ..) = self.world.proof(authenticator, phone).await;
                Prepared::SignIn(Some(Box::new(proof)))
            }
            (Prepared::SignIn(_), ..) => Prepared::Nothing,
            (other, ..) => other,
        }
    }

    async fn judge(&mut self, acts: &[Act], came: Vec<Came>, before: Option<Fingerprint>) {
        let removes = acts.iter().any(|act| matches!(act, Act::Remove));
        let mut enrolled = Vec::new();
        for came in came {
            match came {
                Came::Issued(ticket, page) => self.tickets.push((ticket, page)),
                Came::Enrolled { ticket_id, id, phone } => {
                    assert!(self.used.insert(ticket_id), "a ticket was used twice");
                    enrolled.push((id, phone));
                }
                // Several answers of one phone may overtake each other; alone it is always taken.
                Came::SignedIn(done) => assert!(done || acts.len() > 1, "a phone was refused"),
                Came::Other => {}
            }
        }
        let all = self.world.trust.load_all::<Authenticator>().await.unwrap();
        let slot = self.world.authenticators.phone_of("u-1").await.unwrap();
        assert!(all.len() <= 1, "{} phones", all.len());
        assert_eq!(all.first(), slot.as_ref(), "slot and phone disagree");
        let now = slot.map(|phone| phone.authenticator_id);
        match &now {
            None => assert!(removes || before.is_none(), "the holder is locked out"),
            Some(id) => {
                let is_new = enrolled.iter().any(|(new, _)| new == id);
                assert!(is_new || before.as_ref() == Some(id), "a phone came from nowhere");
                let went = before.is_some() && before != now;
                assert!(!went || is_new, "the old phone went before a new one was proved");
            }
        }
        let old = self.current.take();
        let mut known = enrolled.into_iter().chain(old);
        self.current = now.and_then(|id| known.find(|(known, _)| *known == id));
    }

    /// The phone there is works.
    async fn end(mut self) {
        let Some((_, phone)) = &mut self.current else { return };
        let authenticator = self.world.authenticators.phone_of("u-1").await.unwrap().unwrap();
        let (proof, ..) = self.world.proof(&authenticator, phone).await;
        let done = self.world.handoffs.approve(&proof, &entitled()).await.unwrap();
        assert!(matches!(done, HandoffApproved::Done(_)));
    }
}

enum Prepared {
    Issue(Option<Fingerprint>),
    Open(String, String, String),
    Finish(String, Box<(NewPasskey, SoftPhone)>),
    Deny(String),
    Remove,
    SignIn(Option<Box<attest::evidence::VerifiedFido2>>),
    Nothing,
}

async fn run(world: &World, prepared: Prepared, before: Option<Fingerprint>) -> Came {
    match prepared {
        Prepared::Issue(replaces) => {
            let (ticket, page) = world.ticket("u-1", replaces).await;
            return Came::Issued(ticket, page);
        }
        Prepared::Open(id, link, number) => {
            drop(world.tickets.open(&id, &link, &number).await.unwrap());
        }
        Prepared::Finish(ticket_id, new) => {
            let (new, phone) = *new;
            let id = new.authenticator_id().clone();
            let mut enrolled = world.tickets.finish(&ticket_id, &new).await.unwrap();
            if matches!(enrolled, Enrolled::AsksAgain) {
                enrolled =
                    world.tickets.confirm(&ticket_id, &by_card("u-1"), &handshake()).await.unwrap();
            }
            if matches!(enrolled, Enrolled::Done { .. }) {
                return Came::Enrolled { ticket_id, id, phone };
            }
        }
        Prepared::Deny(id) => {
            world.tickets.deny(&id, attest::sign_in::DenyReason::ByHolder).await.unwrap();
        }
        Prepared::Remove => {
            if let Some(id) = before {
                world.authenticators.remove(&id).await.unwrap();
            }
        }
        Prepared::SignIn(proof) => {
            if let Some(proof) = proof {
                let outcome = world.handoffs.approve(&proof, &entitled()).await.unwrap();
                return Came::SignedIn(matches!(outcome, HandoffApproved::Done(_)));
            }
        }
        Prepared::Nothing => {}
    }
    Came::Other
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn one_phone_no_ticket_twice_no_lock_out(
        steps in vec((vec(act(), 1..=3), vec(0..3_usize, 1..=40), 0..40_u64), 4..=24)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut model = Model::new().await;
            for (acts, order, seconds) in steps {
                model.step(&acts, &order, seconds).await;
            }
            model.end().await;
        });
    }
}

#[tokio::test]
async fn ordinary_life_of_a_phone_reaches_every_state() {
    let mut model = Model::new().await;
    let order = [0];
    for act in [
        Act::Issue { gives_up: false },
        Act::Open { ticket: 0, right: true },
        Act::Finish { ticket: 0 },
        Act::SignIn,
        Act::Issue { gives_up: true },
        Act::Open { ticket: 1, right: true },
        Act::Finish { ticket: 1 },
        Act::SignIn,
    ] {
        model.step(&[act], &order, 1).await;
    }
    assert_eq!(model.used.len(), 2);
    assert!(model.current.is_some());
    model.step(&[Act::Remove], &order, 1).await;
    assert!(model.current.is_none());
}
