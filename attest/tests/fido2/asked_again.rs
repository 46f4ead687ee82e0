//! The old phone is asked once more for the phone that takes its place: each way to get nowhere, and the one way on.

use crate::world::World;
use crate::world::phone;
use attest::authenticator::Authenticator;
use attest::authenticator::Enroller;
use attest::danger_testing::START;
use attest::danger_testing::SoftPhone;
use attest::evidence::Binding;
use attest::evidence::Purpose;
use attest::evidence::VerifiedFido2;
use attest::phone_change::ChangeNumber;
use attest::qr_link::PageSecret;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::sign_in::DenyReason;
use attest::ticket::CONFIRM_SECONDS;
use attest::ticket::Enrolled;
use attest::ticket::Enrols;
use attest::ticket::Ticket;

const DAY: u64 = 86_400;

/// A holder with a phone that began a ticket; a new phone waits under it.
struct Room {
    world: World,
    phone: SoftPhone,
    old: Authenticator,
    ticket: Ticket,
    page: PageSecret,
}

impl Room {
    /// The old phone began `seconds` after it was registered itself.
    async fn after(seconds: u64) -> Self {
        let world = World::new().await;
        let mut own = phone();
        let old = world.enrol("u-1", &mut own, None).await;
        world.clock.set(START + seconds);
        let by = Enroller { method: Method::Fido2, factor: old.authenticator_id.clone() };
        let (page, replaces) = (PageSecret::random().unwrap(), Some(old.authenticator_id.clone()));
        let ticket =
            world.tickets.issue("u-1", by, Enrols::Phone { replaces }, "PC", &page, None).await;
        let ticket = ticket.unwrap().unwrap();
        let link = page.link_secret();
        world.tickets.open(&ticket.ticket_id, &link, &page.number()).await.unwrap();
        let new = world.register(&ticket, &mut phone(), &[]).unwrap();
        world.prove(&ticket, &new).await;
        Self { world, phone: own, old, ticket, page }
    }

    async fn new() -> Self {
        Self::after(DAY).await
    }

    fn proof(&mut self, binding: Binding) -> VerifiedFido2 {
        self.world.proof_of(binding, &self.old, &mut self.phone)
    }

    async fn own_proof(&mut self) -> VerifiedFido2 {
        let binding = self.world.confirmation(&self.ticket).await;
        self.proof(binding)
    }

    async fn confirm(&self, proof: &VerifiedFido2) -> Enrolled {
        self.world.tickets.confirm_by_phone(&self.ticket.ticket_id, proof).await.unwrap()
    }

    async fn phone_of_holder(&self) -> Option<Fingerprint> {
        let all = self.world.trust.load_all::<Authenticator>().await.unwrap();
        assert!(all.len() <= 1, "{all:?}");
        let slot = self.world.authenticators.phone_of("u-1").await.unwrap();
        slot.map(|phone| phone.authenticator_id)
    }
}

#[tokio::test]
async fn old_phone_confirms_the_new_one_that_replaces_it_once() {
    let mut room = Room::new().await;
    assert_eq!(room.phone_of_holder().await.as_ref(), Some(&room.old.authenticator_id));
    let proof = room.own_proof().await;
    let done = room.confirm(&proof).await;
    let Enrolled::Done { authenticator, replaced: Some(replaced) } = done else {
        panic!("{done:?}")
    };
    assert_eq!(replaced.authenticator_id, room.old.authenticator_id);
    assert_eq!(room.phone_of_holder().await, Some(authenticator.authenticator_id));
    assert!(matches!(room.confirm(&proof).await, Enrolled::Over));
}

/// Each part of what the old phone approves, wrong alone.
#[tokio::test]
async fn approval_of_anything_else_confirms_nothing_and_the_right_one_still_does() {
    let mut room = Room::new().await;
    let right = room.world.confirmation(&room.ticket).await;
    for wrong in [
        Binding { purpose: Purpose::ChangePhone, ..right.clone() },
        Binding { purpose: Purpose::Day, ..right.clone() },
        Binding { handoff_id: "another".into(), ..right.clone() },
        Binding { new_key: None, ..right.clone() },
        Binding { new_key: Some(Fingerprint::of(b"another key")), ..right.clone() },
        Binding { new_key: room.old.public_key(), ..right.clone() },
    ] {
        let proof = room.proof(wrong.clone());
        assert!(matches!(room.confirm(&proof).await, Enrolled::Over), "{wrong:?}");
    }
    assert_eq!(room.phone_of_holder().await.as_ref(), Some(&room.old.authenticator_id));
    let proof = room.proof(right);
    assert!(matches!(room.confirm(&proof).await, Enrolled::Done { .. }));
}

#[tokio::test]
async fn old_phone_enrols_nothing_for_a_day_to_the_second() {
    let mut room = Room::after(DAY - 1).await;
    let proof = room.own_proof().await;
    let refused = room.confirm(&proof).await;
    assert!(matches!(refused, Enrolled::TooNew { from } if from.0 == START + DAY), "{refused:?}");
    assert_eq!(room.phone_of_holder().await.as_ref(), Some(&room.old.authenticator_id));
    room.world.clock.set(START + DAY);
    assert!(matches!(room.confirm(&proof).await, Enrolled::Done { .. }));
}

/// Nobody is locked out: until it is asked again, and whenever it is not, the old phone stays.
#[tokio::test]
async fn old_phone_stays_where_it_is_not_asked_in_time_or_says_no() {
    let mut room = Room::new().await;
    let proof = room.own_proof().await;
    room.world.clock.set(START + DAY + CONFIRM_SECONDS);
    assert!(matches!(room.confirm(&proof).await, Enrolled::Over));
    room.world.clock.set(START + DAY + CONFIRM_SECONDS - 1);
    let id = &room.ticket.ticket_id;
    assert!(room.world.tickets.deny(id, DenyReason::ByHolder).await.unwrap());
    assert!(matches!(room.confirm(&proof).await, Enrolled::Over));
    assert_eq!(room.phone_of_holder().await.as_ref(), Some(&room.old.authenticator_id));
}

#[tokio::test]
async fn stolen_phone_that_was_removed_in_between_confirms_nothing() {
    let mut room = Room::new().await;
    let proof = room.own_proof().await;
    room.world.authenticators.remove(&room.old.authenticator_id).await.unwrap().unwrap();
    assert!(matches!(room.confirm(&proof).await, Enrolled::NotEntitled));
    assert_eq!(room.phone_of_holder().await, None);
}

#[tokio::test]
async fn copied_phone_confirms_nothing() {
    let mut room = Room::new().await;
    let early = room.own_proof().await;
    room.phone.counter += 10;
    let (late, _, _) = room.world.proof(&room.old, &mut room.phone).await;
    let entitled = crate::world::entitled();
    drop(room.world.handoffs.approve(&late, &entitled).await.unwrap());
    assert!(matches!(room.confirm(&early).await, Enrolled::CounterBack));
    assert_eq!(room.phone_of_holder().await.as_ref(), Some(&room.old.authenticator_id));
}

/// The card of the same holder does not stand for their phone.
#[tokio::test]
async fn card_that_did_not_begin_does_not_confirm() {
    let room = Room::new().await;
    let id = &room.ticket.ticket_id;
    let by_card = crate::world::by_card("u-1");
    let refused = room.world.tickets.confirm(id, &by_card, &crate::world::handshake()).await;
    assert!(matches!(refused.unwrap(), Enrolled::Over));
}

#[tokio::test]
async fn second_code_has_a_link_and_a_number_of_its_own_and_five_tries() {
    let room = Room::new().await;
    let (id, second) = (&room.ticket.ticket_id, room.page.second());
    let tickets = &room.world.tickets;
    assert!(tickets.by_second_link(id, &second.link_secret()).await.unwrap().is_some());
    for stranger in [room.page.link_secret(), PageSecret::random().unwrap().link_secret()] {
        assert!(tickets.by_second_link(id, &stranger).await.unwrap().is_none());
        let number = tickets.check_second_number(id, &stranger, &second.number()).await.unwrap();
        assert_eq!(number, ChangeNumber::Over);
    }
    let link = second.link_secret();
    assert!(tickets.by_link(id, &link).await.unwrap().is_none(), "it registers no phone");
    let right = tickets.check_second_number(id, &link, &second.number()).await.unwrap();
    assert_eq!(right, ChangeNumber::Right);
    for attempt in 1..=5 {
        let number = tickets.check_second_number(id, &link, &room.page.number()).await.unwrap();
        assert_eq!(number, ChangeNumber::Wrong { denied: attempt == 5 });
    }
    let number = tickets.check_second_number(id, &link, &second.number()).await.unwrap();
    assert_eq!(number, ChangeNumber::Over);
    // A ticket by card has no second code.
    let (ticket, page) = room.world.opened("u-2", None).await;
    let link = page.second().link_secret();
    assert!(tickets.by_second_link(&ticket.ticket_id, &link).await.unwrap().is_none());
}
