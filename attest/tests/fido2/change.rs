//! Change of phone by the phone itself: each way to get nowhere, and the one way on.

use crate::steps::interleave;
use crate::world::LIMITS;
use crate::world::World;
use crate::world::phone;
use attest::authenticator::Authenticator;
use attest::clock::Clock;
use attest::danger_testing::START;
use attest::danger_testing::SoftPhone;
use attest::evidence::Binding;
use attest::evidence::Purpose;
use attest::evidence::Surface;
use attest::evidence::VerifiedFido2;
use attest::phone_change::AGREE_SECONDS;
use attest::phone_change::CHANGE_SECONDS;
use attest::phone_change::ChangeNumber;
use attest::phone_change::ChangeProved;
use attest::phone_change::ChangeState;
use attest::phone_change::PhoneChange;
use attest::phone_change::PhoneChanges;
use attest::qr_link::PageSecret;
use attest::records::Fingerprint;
use attest::sign_in::DenyReason;
use std::future::Future;
use std::pin::Pin;

/// One holder with a phone, and a change that waits for it.
struct Room {
    world: World,
    changes: PhoneChanges,
    phone: SoftPhone,
    old: Authenticator,
    change: PhoneChange,
    page: PageSecret,
}

impl Room {
    async fn new() -> Self {
        let world = World::new().await;
        let mut phone = phone();
        let old = world.enrol("u-1", &mut phone, None).await;
        let changes = PhoneChanges::new(world.trust.clone(), world.clock.clone());
        let page = PageSecret::random().unwrap();
        let change = changes.start("u-1", "ward 3", &page).await.unwrap();
        Self { world, changes, phone, old, change, page }
    }

    fn binding(&self, holder_id: &str, change_id: &str) -> Binding {
        Binding {
            purpose: Purpose::ChangePhone,
            system_id: "inkan-portal".into(),
            holder_id: holder_id.into(),
            session_id: change_id.into(),
            handoff_id: change_id.into(),
            limits: LIMITS,
            surface: Surface::Phone,
            entries: None,
            new_key: None,
        }
    }

    fn proof(&mut self, holder_id: &str, change_id: &str) -> VerifiedFido2 {
        let binding = self.binding(holder_id, change_id);
        let old = Authenticator { holder_id: holder_id.into(), ..self.old.clone() };
        self.world.proof_of(binding, &old, &mut self.phone)
    }

    fn own_proof(&mut self) -> VerifiedFido2 {
        let id = self.change.change_id.clone();
        self.proof("u-1", &id)
    }

    async fn prove(&self, proof: &VerifiedFido2) -> ChangeProved {
        self.changes.prove(&self.change.change_id, proof).await.unwrap()
    }

    async fn agree(&self) -> Option<Fingerprint> {
        self.changes.agree(&self.change.change_id, &self.page).await.unwrap()
    }

    async fn state(&self) -> ChangeState {
        let id = &self.change.change_id;
        self.changes.by_page(id, &self.page).await.unwrap().unwrap().state
    }
}

#[tokio::test]
async fn old_phone_is_proved_and_its_holder_agrees_once() {
    let mut room = Room::new().await;
    assert_eq!(room.agree().await, None, "nothing is proved yet");
    let proof = room.own_proof();
    let ChangeProved::Done(used) = room.prove(&proof).await else { panic!() };
    assert_eq!((used.counter, used.enrolled_at), (proof.counter(), room.old.enrolled_at));
    let stranger = PageSecret::random().unwrap();
    let id = &room.change.change_id;
    assert_eq!(room.changes.agree(id, &stranger).await.unwrap(), None);
    assert_eq!(room.agree().await, Some(room.old.authenticator_id.clone()));
    assert_eq!(room.agree().await, None);
    assert_eq!(room.state().await, ChangeState::Agreed);
    assert!(!room.changes.deny(id, DenyReason::ByHolder).await.unwrap());
    // The old phone is there until another is proved.
    let slot = room.world.authenticators.phone_of("u-1").await.unwrap().unwrap();
    assert_eq!(slot.authenticator_id, room.old.authenticator_id);
}

#[tokio::test]
async fn proof_for_another_change_or_holder_and_a_proof_used_before_move_nothing() {
    let mut room = Room::new().await;
    let other = PageSecret::random().unwrap();
    let other = room.changes.start("u-1", "ward 4", &other).await.unwrap();
    let elsewhere = room.proof("u-1", &other.change_id);
    assert!(matches!(room.prove(&elsewhere).await, ChangeProved::Over));
    let id = room.change.change_id.clone();
    let somebody = room.proof("u-2", &id);
    assert!(matches!(room.prove(&somebody).await, ChangeProved::Over));
    assert_eq!(room.state().await, ChangeState::Waiting);
    let proof = room.own_proof();
    assert!(matches!(room.prove(&proof).await, ChangeProved::Done(_)));
    assert!(matches!(room.prove(&proof).await, ChangeProved::Over));
}

#[tokio::test]
async fn phone_removed_or_copied_in_between_moves_nothing() {
    let mut room = Room::new().await;
    let (early, late) = (room.own_proof(), room.own_proof());
    let ChangeProved::Done(_) = room.prove(&late).await else { panic!() };
    let page = PageSecret::random().unwrap();
    room.change = room.changes.start("u-1", "PC", &page).await.unwrap();
    let outcome = room.changes.prove(&early.binding().handoff_id.clone(), &early).await.unwrap();
    assert!(matches!(outcome, ChangeProved::Over), "its change is proved already");
    room.phone.counter = 2;
    let copied = room.own_proof();
    assert!(matches!(room.prove(&copied).await, ChangeProved::CounterBack));
    room.phone.counter = 40;
    let proof = room.own_proof();
    room.world.authenticators.remove(&room.old.authenticator_id).await.unwrap().unwrap();
    assert!(matches!(room.prove(&proof).await, ChangeProved::FactorGone));
}

#[tokio::test]
async fn change_is_over_after_three_minutes_to_the_second_and_so_is_the_answer() {
    let mut room = Room::new().await;
    let proof = room.own_proof();
    room.world.clock.set(START + CHANGE_SECONDS);
    assert!(matches!(room.prove(&proof).await, ChangeProved::Over));
    let (id, link) = (room.change.change_id.clone(), room.page.link_secret());
    let number = room.changes.check_number(&id, &link, &room.page.number()).await.unwrap();
    assert_eq!(number, ChangeNumber::Over);
    let last = START + CHANGE_SECONDS - 1;
    room.world.clock.set(last);
    assert!(matches!(room.prove(&proof).await, ChangeProved::Done(_)));
    room.world.clock.set(last + AGREE_SECONDS);
    assert_eq!(room.agree().await, None);
    assert!(!room.changes.deny(&id, DenyReason::ByHolder).await.unwrap());
    room.world.clock.set(last + AGREE_SECONDS - 1);
    assert!(room.agree().await.is_some());
}

#[tokio::test]
async fn number_wrong_five_times_denies_the_change_and_a_wrong_link_counts_nothing() {
    let room = Room::new().await;
    let (id, link) = (&room.change.change_id, room.page.link_secret());
    let right = room.page.number();
    for _ in 0..9 {
        let other = PageSecret::random().unwrap().link_secret();
        let number = room.changes.check_number(id, &other, "guess").await.unwrap();
        assert_eq!(number, ChangeNumber::Over);
    }
    assert_eq!(room.changes.check_number(id, &link, &right).await.unwrap(), ChangeNumber::Right);
    for attempt in 1..=5 {
        let number = room.changes.check_number(id, &link, "guess").await.unwrap();
        assert_eq!(number, ChangeNumber::Wrong { denied: attempt == 5 });
    }
    assert_eq!(room.changes.check_number(id, &link, &right).await.unwrap(), ChangeNumber::Over);
    assert_eq!(room.state().await, ChangeState::Denied { reason: DenyReason::WrongNumber });
}

#[tokio::test]
async fn holder_who_says_no_before_or_after_the_proof_ends_it() {
    for is_proved in [false, true] {
        let mut room = Room::new().await;
        let proof = room.own_proof();
        if is_proved {
            assert!(matches!(room.prove(&proof).await, ChangeProved::Done(_)));
        }
        let id = &room.change.change_id;
        assert!(room.changes.deny(id, DenyReason::ByHolder).await.unwrap());
        assert!(!room.changes.deny(id, DenyReason::ByHolder).await.unwrap());
        assert!(matches!(room.prove(&proof).await, ChangeProved::Over));
        assert_eq!(room.agree().await, None);
    }
}

/// The phone proved its holder, who may change nothing: neither page nor proof is good for more.
#[tokio::test]
async fn refused_proof_ends_the_change_and_is_used_up() {
    let mut room = Room::new().await;
    let proof = room.own_proof();
    let id = room.change.change_id.clone();
    let ChangeProved::Done(used) = room.changes.refuse(&id, &proof).await.unwrap() else {
        panic!()
    };
    assert_eq!((used.counter, used.last_used_at), (proof.counter(), Some(proof.proved_at())));
    assert_eq!(room.state().await, ChangeState::Denied { reason: DenyReason::Refused });
    assert_eq!(room.agree().await, None);
    assert!(matches!(room.prove(&proof).await, ChangeProved::Over));
    let stored = room.world.authenticators.phone_of("u-1").await.unwrap();
    assert_eq!(stored, Some(*used));
    let now = room.world.clock.now().unwrap();
    let noted = room.world.authenticators.note_proof(&proof, now).await.unwrap();
    assert_eq!(noted, None, "used before");
}

/// A proof of another purpose moves no change.
#[tokio::test]
async fn approval_of_a_sign_in_proves_no_change() {
    let mut room = Room::new().await;
    let id = room.change.change_id.clone();
    let binding = Binding { purpose: Purpose::Day, ..room.binding("u-1", &id) };
    let proof = room.world.proof_of(binding, &room.old, &mut room.phone);
    assert!(matches!(room.prove(&proof).await, ChangeProved::Over));
    assert_eq!(room.state().await, ChangeState::Waiting);
}

/// Two tabs of one browser say yes and no, in lockstep and one after the other.
#[tokio::test]
async fn of_two_answers_one_counts() {
    for turns in [vec![0], vec![0, 0, 0, 1], vec![1, 0]] {
        let mut room = Room::new().await;
        let proof = room.own_proof();
        assert!(matches!(room.prove(&proof).await, ChangeProved::Done(_)));
        let room = &room;
        let tasks: Vec<Pin<Box<dyn Future<Output = bool> + '_>>> = vec![
            Box::pin(async { room.agree().await.is_some() }),
            Box::pin(async { room.agree().await.is_some() }),
            Box::pin(async {
                let id = &room.change.change_id;
                room.changes.deny(id, DenyReason::ByHolder).await.unwrap()
            }),
        ];
        let mut turns = turns.iter().cycle();
        let counted = interleave(tasks, |of| turns.next().unwrap() % of);
        assert_eq!(counted.iter().filter(|counted| **counted).count(), 1, "{counted:?}");
    }
}
