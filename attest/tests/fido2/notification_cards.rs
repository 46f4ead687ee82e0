//! Notification cards: the one way to a phone, and each way not to get one.

use crate::steps::step;
use crate::world::World;
use crate::world::phone;
use async_trait::async_trait;
use attest::authenticator::Authenticator;
use attest::authenticator::EnrolledBy;
use attest::authenticator::LetterEnroller;
use attest::danger_testing::START;
use attest::danger_testing::holder;
use attest::evidence::NewPasskey;
use attest::notification_card::CardError;
use attest::notification_card::CardStanding;
use attest::notification_card::CardState;
use attest::notification_card::MacUnavailable;
use attest::notification_card::NewCard;
use attest::notification_card::NotificationCard;
use attest::notification_card::NotificationCards;
use attest::notification_card::PasswordMac;
use attest::notification_card::REGISTRATION_SECONDS;
use attest::notification_card::Registered;
use attest::notification_card::Tried;
use attest::password::Password;
use attest::records::Holder;
use attest::sign_in::split_link;
use attest::store::Outcome;
use aws_lc_rs::hmac;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub const LIFETIME: u64 = 30 * 24 * 3600;

/// What the HSM does, and every input that it was asked about.
#[derive(Default)]
pub struct SoftMac {
    pub inputs: Mutex<Vec<Vec<u8>>>,
    pub is_down: AtomicBool,
}

#[async_trait]
impl PasswordMac for SoftMac {
    async fn mac(&self, input: &[u8]) -> Result<[u8; 32], MacUnavailable> {
        step().await;
        if self.is_down.load(Ordering::SeqCst) {
            return Err(MacUnavailable("the token is away".to_owned()));
        }
        self.inputs.lock().unwrap().push(input.to_vec());
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"in the token"), input);
        Ok(tag.as_ref().try_into().unwrap())
    }
}

/// The portal with notification cards.
pub struct Cards {
    pub world: World,
    pub cards: NotificationCards,
    pub mac: Arc<SoftMac>,
}

/// What stands on the two sheets.
#[derive(Clone, Debug)]
pub struct Sheets {
    pub card_id: String,
    pub secret: String,
    pub password: String,
}

impl Cards {
    pub async fn new() -> Self {
        Self::of(World::new().await)
    }

    pub fn of(world: World) -> Self {
        let mac = Arc::new(SoftMac::default());
        let cards = NotificationCards::new(world.trust.clone(), world.clock.clone(), mac.clone());
        Self { world, cards, mac }
    }

    /// The same appliance after a crash.
    pub fn restarted(self) -> Self {
        Self::of(self.world)
    }

    pub async fn make(&self, holder_id: &str) -> NewCard {
        let by = ["alice", "bob"];
        self.cards.make(holder_id, by, Duration::from_secs(LIFETIME)).await.unwrap()
    }

    pub async fn issue(&self, holder_id: &str) -> Sheets {
        let new = self.make(holder_id).await;
        let sheets = Sheets::of(&new);
        let committed = self.world.trust.store().commit(new.issuance).await.unwrap();
        assert_eq!(committed, Outcome::Committed);
        sheets
    }

    pub async fn card(&self, sheets: &Sheets) -> NotificationCard {
        self.cards.by_id(&sheets.card_id).await.unwrap().unwrap()
    }

    pub async fn type_password(&self, sheets: &Sheets, typed: &str) -> Tried {
        let password = Password::parse(typed).unwrap();
        let tried =
            self.cards.try_password(&sheets.card_id, &sheets.secret, &password, "iPhone").await;
        tried.unwrap()
    }

    pub async fn registration(&self, sheets: &Sheets) -> String {
        match self.type_password(sheets, &sheets.password).await {
            Tried::Right { registration, .. } => registration.to_string(),
            other => panic!("{other:?}"),
        }
    }

    pub async fn finish(&self, sheets: &Sheets, of: &str, new: &NewPasskey) -> Registered {
        self.cards.finish(&sheets.card_id, of, new).await.unwrap()
    }

    async fn new_passkey(&self) -> NewPasskey {
        let [new] = self.world.proved::<1>().await;
        new
    }

    async fn phones(&self) -> usize {
        self.world.trust.load_all::<Authenticator>().await.unwrap().len()
    }
}

impl Sheets {
    pub fn of(new: &NewCard) -> Self {
        let (card_id, secret) = split_link(&new.link).unwrap();
        Self {
            card_id: card_id.to_owned(),
            secret: secret.to_owned(),
            password: new.password.grouped().to_string(),
        }
    }

    /// One character off.
    pub fn wrong(&self) -> String {
        let first = if self.password.starts_with('0') { "1" } else { "0" };
        format!("{first}{}", &self.password[1..])
    }
}

#[tokio::test]
async fn right_password_and_a_proved_phone_register_it() {
    let house = Cards::new().await;
    let sheets = house.issue("u-1").await;
    assert_eq!(house.card(&sheets).await.state, CardState::Issued);
    let registration = house.registration(&sheets).await;
    let new = house.new_passkey().await;
    let done = house.finish(&sheets, &registration, &new).await;
    let Registered::Done(phone) = done else { panic!("{done:?}") };
    let stored = house.world.authenticators.phone_of("u-1").await.unwrap().unwrap();
    assert_eq!(stored, *phone);
    let by = LetterEnroller { notification_card: sheets.card_id.clone() };
    assert_eq!(stored.enrolled_by, EnrolledBy::NotificationCard(by));
    let card = house.card(&sheets).await;
    assert_eq!((card.issued_by.as_str(), card.countersigned_by.as_str()), ("alice", "bob"));
    assert_eq!(card.registered_by(&registration), Some(new.authenticator_id()));
    assert_eq!(card.registered_by("another browser"), None);
    assert!(matches!(house.finish(&sheets, &registration, &new).await, Registered::Over));
    assert!(matches!(house.type_password(&sheets, &sheets.password).await, Tried::Over));
}

#[tokio::test]
async fn link_without_its_secret_leads_nowhere_and_counts_nothing() {
    let house = Cards::new().await;
    let (sheets, other) = (house.issue("u-1").await, house.issue("u-2").await);
    let foreign = Sheets { secret: other.secret, ..house.issue("u-1").await };
    for sheets in [&sheets, &foreign] {
        assert!(matches!(house.type_password(sheets, &sheets.password).await, Tried::Over));
        assert_eq!(house.card(sheets).await.tries, 0);
    }
    assert!(house.cards.by_link(&foreign.card_id, &foreign.secret).await.unwrap().is_none());
}

#[tokio::test]
async fn fifth_wrong_password_locks_and_the_right_one_comes_too_late() {
    let house = Cards::new().await;
    let sheets = house.issue("u-1").await;
    for expected in (0..5).rev() {
        let tried = house.type_password(&sheets, &sheets.wrong()).await;
        assert!(matches!(tried, Tried::Wrong { left, .. } if left == expected), "{tried:?}");
    }
    assert!(matches!(house.type_password(&sheets, &sheets.password).await, Tried::Locked(_)));
    let house = house.restarted();
    assert!(matches!(house.type_password(&sheets, &sheets.password).await, Tried::Locked(_)));
    assert_eq!(house.mac.inputs.lock().unwrap().len(), 0, "nothing is compared any more");
    let now = attest::clock::UnixSeconds(START);
    assert_eq!(house.card(&sheets).await.standing(now), CardStanding::Locked);
}

#[tokio::test]
async fn right_password_after_four_wrong_ones_opens_and_forgives_none_of_them() {
    let house = Cards::new().await;
    let sheets = house.issue("u-1").await;
    for _ in 0..4 {
        house.type_password(&sheets, &sheets.wrong()).await;
    }
    let registration = house.registration(&sheets).await;
    assert_eq!(house.card(&sheets).await.tries, 4);
    let again = house.registration(&sheets).await;
    assert_eq!(house.card(&sheets).await.tries, 4);
    // The newest browser registers; a fifth wrong password stops it, too.
    let new = house.new_passkey().await;
    assert!(matches!(house.finish(&sheets, &registration, &new).await, Registered::Over));
    house.type_password(&sheets, &sheets.wrong()).await;
    assert!(matches!(house.finish(&sheets, &again, &new).await, Registered::Over));
    assert_eq!(house.phones().await, 0);
}

#[tokio::test]
async fn fifth_try_that_is_not_decided_yet_locks_nobody_out() {
    let house = Cards::new().await;
    let sheets = house.issue("u-1").await;
    for _ in 0..4 {
        house.type_password(&sheets, &sheets.wrong()).await;
    }
    let typed = || house.type_password(&sheets, &sheets.password);
    let looked = async {
        while house.card(&sheets).await.tries < 5 {
            step().await;
        }
        house.cards.by_link(&sheets.card_id, &sheets.secret).await.unwrap().unwrap()
    };
    let (first, second, seen) = tokio::join!(typed(), typed(), looked);
    assert!(matches!(first, Tried::Right { .. }), "{first:?}");
    assert!(matches!(second, Tried::Right { .. }), "{second:?}");
    assert_eq!(seen.standing(house_now(&house)), CardStanding::Live);
    // Decided, a wrong one locks at once.
    let wrong = sheets.wrong();
    let (fifth, late) = tokio::join!(house.type_password(&sheets, &wrong), typed());
    assert!(matches!(fifth, Tried::Wrong { left: 0, .. }), "{fifth:?}");
    assert!(matches!(late, Tried::Locked(_)), "{late:?}");
}

#[tokio::test]
async fn outcome_in_a_log_line_has_no_secret() {
    let house = Cards::new().await;
    let sheets = house.issue("u-1").await;
    let tried = house.type_password(&sheets, &sheets.password).await;
    let Tried::Right { registration, .. } = &tried else { panic!("{tried:?}") };
    let said = format!("{tried:?}");
    assert!(said.contains(&sheets.card_id) && !said.contains(registration.as_str()), "{said}");
}

#[tokio::test]
async fn try_that_a_crash_cut_off_is_counted() {
    let house = Cards::new().await;
    let sheets = house.issue("u-1").await;
    for tries in 1..=5 {
        let password = Password::parse(&sheets.password).unwrap();
        {
            let cards = &house.cards;
            let trying = cards.try_password(&sheets.card_id, &sheets.secret, &password, "");
            let mut trying = std::pin::pin!(trying);
            // It goes on until its count is durable, and then never again.
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            while house.card(&sheets).await.tries < tries {
                assert!(trying.as_mut().poll(&mut context).is_pending());
            }
        }
        assert_eq!(house.card(&sheets).await.tries, tries);
    }
    assert!(matches!(house.type_password(&sheets, &sheets.password).await, Tried::Locked(_)));
}

#[tokio::test]
async fn try_without_an_answer_of_the_hsm_is_given_back() {
    let house = Cards::new().await;
    let sheets = house.issue("u-1").await;
    house.mac.is_down.store(true, Ordering::SeqCst);
    let password = Password::parse(&sheets.password).unwrap();
    for _ in 0..6 {
        let tried = house.cards.try_password(&sheets.card_id, &sheets.secret, &password, "");
        assert!(matches!(tried.await, Err(CardError::Mac(_))));
        assert_eq!(house.card(&sheets).await.tries, 0);
    }
    house.mac.is_down.store(false, Ordering::SeqCst);
    house.registration(&sheets).await;
}

#[tokio::test]
async fn card_is_good_until_its_last_second_and_a_registration_until_its_own() {
    let house = Cards::new().await;
    let new = house.new_passkey().await;
    let (first, second) = (house.issue("u-1").await, house.issue("u-2").await);
    let registration = house.registration(&second).await;
    house.world.clock.set(START + REGISTRATION_SECONDS - 1);
    assert!(house.card(&second).await.registers(&registration, house_now(&house)).is_some());
    house.world.clock.set(START + REGISTRATION_SECONDS);
    assert!(matches!(house.finish(&second, &registration, &new).await, Registered::Over));
    // The password opens it again, within the same card.
    house.registration(&second).await;
    house.world.clock.set(START + LIFETIME - 1);
    let registration = house.registration(&first).await;
    house.world.clock.set(START + LIFETIME);
    assert!(matches!(house.finish(&first, &registration, &new).await, Registered::Over));
    assert!(matches!(house.type_password(&first, &first.password).await, Tried::Over));
    assert_eq!(house.card(&first).await.standing(house_now(&house)), CardStanding::Expired);
}

fn house_now(house: &Cards) -> attest::clock::UnixSeconds {
    use attest::clock::Clock;
    house.world.clock.now().unwrap()
}

#[tokio::test]
async fn new_card_withdraws_the_one_before_in_the_same_transaction() {
    let house = Cards::new().await;
    let first = house.issue("u-1").await;
    let registration = house.registration(&first).await;
    let new = house.make("u-1").await;
    assert_eq!(new.withdraws.as_ref().map(|old| &old.card_id), Some(&first.card_id));
    assert_eq!(house.cards.live_of("u-1").await.unwrap().unwrap().card_id, first.card_id);
    let second = Sheets::of(&new);
    house.world.trust.store().commit(new.issuance).await.unwrap();
    assert_eq!(house.card(&first).await.state, CardState::Withdrawn);
    assert_eq!(house.cards.live_of("u-1").await.unwrap().unwrap().card_id, second.card_id);
    let passkey = house.new_passkey().await;
    assert!(matches!(house.finish(&first, &registration, &passkey).await, Registered::Over));
    assert!(matches!(house.type_password(&first, &first.password).await, Tried::Over));
    assert_ne!(first.password, second.password);
    house.registration(&second).await;
}

#[tokio::test]
async fn two_cards_made_at_once_leave_one() {
    let house = Cards::new().await;
    let (first, second) = (house.make("u-1").await, house.make("u-1").await);
    let store = house.world.trust.store();
    assert_eq!(store.commit(first.issuance).await.unwrap(), Outcome::Committed);
    assert_eq!(store.commit(second.issuance).await.unwrap(), Outcome::Conflict);
}

#[tokio::test]
async fn withdrawn_card_registers_nothing_although_its_password_was_right() {
    let house = Cards::new().await;
    let sheets = house.issue("u-1").await;
    let registration = house.registration(&sheets).await;
    let (_, txn) = house.cards.withdrawal(&sheets.card_id).await.unwrap().unwrap();
    house.world.trust.store().commit(txn).await.unwrap();
    let new = house.new_passkey().await;
    assert!(matches!(house.finish(&sheets, &registration, &new).await, Registered::Over));
    assert!(house.cards.withdrawal(&sheets.card_id).await.unwrap().is_none());
    assert_eq!(house.phones().await, 0);
}

#[tokio::test]
async fn phone_that_is_there_is_never_replaced() {
    let house = Cards::new().await;
    let (before, during) = (house.issue("u-1").await, house.issue("u-2").await);
    let mut old = phone();
    house.world.enrol("u-1", &mut old, None).await;
    let tried = house.type_password(&before, &before.password).await;
    assert!(matches!(tried, Tried::AlreadyRegistered(_)), "{tried:?}");
    assert_eq!(house.card(&before).await.state, CardState::AlreadyRegistered);
    // Whoever does not know the password is not told.
    let third = house.issue("u-1").await;
    assert!(matches!(house.type_password(&third, &third.wrong()).await, Tried::Wrong { .. }));
    // The phone may also come between password and proof.
    let registration = house.registration(&during).await;
    let [card_phone, other] = house.world.proved::<2>().await;
    house.world.enrol_proved("u-2", &card_phone, None).await;
    let finished = house.finish(&during, &registration, &other).await;
    assert!(matches!(finished, Registered::AlreadyRegistered), "{finished:?}");
    let kept = house.world.authenticators.phone_of("u-2").await.unwrap().unwrap();
    assert_eq!(kept.authenticator_id, *card_phone.authenticator_id());
}

#[tokio::test]
async fn disabled_holder_and_known_phone_register_nothing() {
    let house = Cards::new().await;
    let sheets = house.issue("u-1").await;
    let registration = house.registration(&sheets).await;
    let [known, new] = house.world.proved::<2>().await;
    house.world.enrol_proved("u-2", &known, None).await;
    assert!(matches!(house.finish(&sheets, &registration, &known).await, Registered::Known));
    let (found, rev) = house.world.trust.load::<Holder>("u-1").await.unwrap().unwrap();
    let disabled = Holder { enabled: false, ..found };
    house.world.trust.replace(&disabled, rev).await.unwrap();
    assert!(matches!(house.finish(&sheets, &registration, &new).await, Registered::NotEntitled));
    let rev = house.world.trust.load::<Holder>("u-1").await.unwrap().unwrap().1;
    house.world.trust.replace(&holder("u-1"), rev).await.unwrap();
    assert!(matches!(house.finish(&sheets, &registration, &new).await, Registered::Done(_)));
}

#[tokio::test]
async fn nothing_in_the_store_is_a_secret_and_the_mac_is_over_this_card_alone() {
    let house = Cards::new().await;
    let (first, second) = (house.issue("u-1").await, house.issue("u-2").await);
    let registration = house.registration(&first).await;
    let all = house.world.trust.store().scan(b"", None, 1_000).await.unwrap();
    let stored: String =
        all.iter().map(|(_, value)| String::from_utf8_lossy(&value.value).into_owned()).collect();
    let plain = first.password.replace('-', "");
    for secret in [&first.secret, &plain, &first.password, &registration, &second.secret] {
        assert!(!stored.contains(secret.as_str()));
    }
    let inputs = house.mac.inputs.lock().unwrap().clone();
    assert!(inputs.iter().all(|input| input.starts_with(b"inkan notification card v1\0")));
    // Made twice, tried once: the try of the first card is its own input again.
    assert_eq!(inputs.iter().collect::<BTreeSet<_>>().len(), 2);
    assert_eq!(inputs[0], inputs[2]);
}
