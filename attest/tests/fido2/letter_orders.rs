//! Notification cards in any order, several acts at once: phones, officers and the clock. One phone, one live card, five
//! comparisons, and no phone without the right password.

use crate::notification_cards::Cards;
use crate::notification_cards::LIFETIME;
use crate::notification_cards::Sheets;
use crate::steps::interleave;
use attest::authenticator::Authenticator;
use attest::authenticator::Authenticators;
use attest::clock::UnixSeconds;
use attest::danger_testing::START;
use attest::evidence::NewPasskey;
use attest::notification_card::CardStanding;
use attest::notification_card::NotificationCard;
use attest::notification_card::REGISTRATION_SECONDS;
use attest::notification_card::Registered;
use attest::notification_card::Tried;
use attest::store::Outcome;
use proptest::collection::vec;
use proptest::prelude::Just;
use proptest::prelude::ProptestConfig;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prop_oneof;
use proptest::proptest;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;

const PHONES: usize = 4;

/// What somebody does. Numbers pick among the cards and registrations there are.
#[derive(Clone, Debug)]
enum Act {
    /// Two officers issue a card.
    Issue,
    /// An officer withdraws one.
    Withdraw { card: usize },
    /// Somebody types a password.
    Type { card: usize, right: bool },
    /// A phone that proved itself ends a registration.
    Finish { registration: usize, phone: usize },
    /// An officer removes the phone there is.
    Remove,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => Just(Act::Issue),
        1 => (0..4_usize).prop_map(|card| Act::Withdraw { card }),
        5 => (0..4_usize, any::<bool>()).prop_map(|(card, right)| Act::Type { card, right }),
        5 => (0..8_usize, 0..PHONES)
            .prop_map(|(registration, phone)| Act::Finish { registration, phone }),
        1 => Just(Act::Remove),
    ]
}

/// What came of an act, as far as the rules speak of it.
#[derive(Debug)]
enum Came {
    Issued(Sheets),
    Began { card_id: String, registration: String },
    Wrong { card_id: String },
    Registered { card_id: String },
    Nothing,
}

struct Model {
    house: Cards,
    cards: Vec<Sheets>,
    registrations: Vec<(String, String)>,
    wrong: HashMap<String, usize>,
    used: Vec<String>,
    phones: Vec<NewPasskey>,
    now: u64,
}

impl Model {
    async fn new() -> Self {
        let house = Cards::new().await;
        let phones = house.world.proved::<PHONES>().await.to_vec();
        let (cards, registrations, used) = (Vec::new(), Vec::new(), Vec::new());
        Self { house, cards, registrations, wrong: HashMap::new(), used, phones, now: START }
    }

    async fn step(&mut self, acts: &[Act], order: &[usize], seconds: u64) {
        self.now += seconds;
        self.house.world.clock.set(self.now);
        let before = self.card_records().await;
        let this = &*self;
        let tasks: Vec<Pin<Box<dyn Future<Output = Came> + '_>>> = acts
            .iter()
            .map(|act| Box::pin(run(this, act.clone())) as Pin<Box<dyn Future<Output = Came> + '_>>)
            .collect();
        let mut order = order.iter().cycle();
        let came = interleave(tasks, |of| order.next().unwrap() % of);
        self.judge(came, &before).await;
    }

    async fn card_records(&self) -> HashMap<String, NotificationCard> {
        let all = self.house.cards.all().await.unwrap();
        all.into_iter().map(|card| (card.card_id.clone(), card)).collect()
    }

    async fn judge(&mut self, came: Vec<Came>, before: &HashMap<String, NotificationCard>) {
        let now = UnixSeconds(self.now);
        for came in came {
            match came {
                Came::Issued(sheets) => self.cards.push(sheets),
                Came::Began { card_id, registration } => {
                    self.registrations.push((card_id, registration));
                }
                Came::Wrong { card_id } => *self.wrong.entry(card_id).or_default() += 1,
                Came::Registered { card_id } => {
                    // Only a registration that the right password began, on a card that was good, and once.
                    let card = &before[&card_id];
                    assert_eq!(card.standing(now), CardStanding::Live, "{card:?}");
                    assert!(!self.used.contains(&card_id), "{card_id} was used twice");
                    self.used.push(card_id);
                }
                Came::Nothing => {}
            }
        }
        let after = self.card_records().await;
        let live: Vec<_> =
            after.values().filter(|card| card.standing(now) != CardStanding::Over).collect();
        let usable = live.iter().filter(|card| card.standing(now) != CardStanding::Expired);
        assert!(usable.count() <= 1, "two live cards: {live:?}");
        for (card_id, card) in &after {
            let wrong = self.wrong.get(card_id).copied().unwrap_or_default();
            // A right one that something else overtook has no use for its count any more.
            let counted = usize::from(card.tries);
            let is_over = card.standing(now) == CardStanding::Over;
            assert!(counted == wrong || (is_over && counted > wrong), "{card:?}, {wrong}");
            assert!(wrong <= 5);
            // What is over stays over.
            let was = before.get(card_id).map(|card| card.standing(now));
            if was == Some(CardStanding::Over) {
                assert_eq!(card, &before[card_id]);
            }
        }
        let phones = self.house.world.trust.load_all::<Authenticator>().await.unwrap();
        assert!(phones.len() <= 1, "two phones");
        let slot = self.house.world.authenticators.phone_of("u-1").await.unwrap();
        assert_eq!(slot.as_ref(), phones.first());
    }
}

async fn run(model: &Model, act: Act) -> Came {
    let house = &model.house;
    let sheets = |index: usize| match model.cards.len() {
        0 => None,
        len => model.cards.get(index % len),
    };
    match act {
        Act::Issue => {
            let new = house.make("u-1").await;
            let sheets = Sheets::of(&new);
            match house.world.trust.store().commit(new.issuance).await.unwrap() {
                Outcome::Committed => Came::Issued(sheets),
                Outcome::Conflict => Came::Nothing,
            }
        }
        Act::Withdraw { card } => {
            if let Some(sheets) = sheets(card)
                && let Some((_, txn)) = house.cards.withdrawal(&sheets.card_id).await.unwrap()
            {
                house.world.trust.store().commit(txn).await.unwrap();
            }
            Came::Nothing
        }
        Act::Type { card, right } => {
            let Some(sheets) = sheets(card) else { return Came::Nothing };
            let typed = if right { sheets.password.clone() } else { sheets.wrong() };
            let card_id = sheets.card_id.clone();
            let tried = house.type_password(sheets, &typed).await;
            match tried {
                Tried::Right { registration, .. } => {
                    assert!(right);
                    Came::Began { card_id, registration: registration.to_string() }
                }
                Tried::Wrong { left, .. } => {
                    assert!(!right && left < 5);
                    Came::Wrong { card_id }
                }
                Tried::AlreadyRegistered(_) | Tried::Locked(_) | Tried::Over => Came::Nothing,
            }
        }
        Act::Finish { registration, phone } => {
            let count = model.registrations.len();
            if count == 0 {
                return Came::Nothing;
            }
            let (card_id, registration) = &model.registrations[registration % count];
            let new = &model.phones[phone];
            match house.cards.finish(card_id, registration, new).await.unwrap() {
                Registered::Done(_) => Came::Registered { card_id: card_id.clone() },
                _ => Came::Nothing,
            }
        }
        Act::Remove => {
            let authenticators = Authenticators::new(house.world.trust.clone());
            if let Some(phone) = authenticators.phone_of("u-1").await.unwrap() {
                authenticators.remove(&phone.authenticator_id).await.unwrap();
            }
            Came::Nothing
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn one_phone_one_live_card_and_five_wrong_passwords_at_most_in_any_order(
        steps in vec((vec(act(), 1..6), vec(0..6_usize, 8..24), seconds()), 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut model = Model::new().await;
            for (acts, order, seconds) in &steps {
                model.step(acts, order, *seconds).await;
            }
        });
    }
}

fn seconds() -> impl Strategy<Value = u64> {
    prop_oneof![
        12 => 0..60_u64,
        2 => Just(REGISTRATION_SECONDS),
        1 => Just(LIFETIME),
    ]
}

/// Eight at once: exactly five are compared, whatever the order.
#[tokio::test]
async fn eight_wrong_passwords_at_once_are_five_comparisons_and_a_locked_card() {
    for seed in 0..200_usize {
        let house = Cards::new().await;
        let sheets = house.issue("u-1").await;
        let made = house.mac.inputs.lock().unwrap().len();
        let wrong = sheets.wrong();
        let tasks: Vec<Pin<Box<dyn Future<Output = Tried> + '_>>> = (0..8)
            .map(|_| {
                Box::pin(house.type_password(&sheets, &wrong))
                    as Pin<Box<dyn Future<Output = Tried> + '_>>
            })
            .collect();
        let mut at = seed;
        let tried = interleave(tasks, |of| {
            at = at.wrapping_mul(31).wrapping_add(7);
            (at >> 3) % of
        });
        let mut left: Vec<u8> = tried
            .iter()
            .filter_map(|tried| match tried {
                Tried::Wrong { left, .. } => Some(*left),
                _ => None,
            })
            .collect();
        left.sort_unstable();
        assert_eq!(left, [0, 1, 2, 3, 4], "{seed}");
        assert_eq!(house.mac.inputs.lock().unwrap().len() - made, 5, "{seed}");
        assert!(matches!(house.type_password(&sheets, &sheets.password).await, Tried::Locked(_)));
    }
}
