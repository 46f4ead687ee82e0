//! Hand-offs: each way not to sign in by phone, and the one way to.

use crate::world::LIMITS;
use crate::world::World;
use crate::world::entitled;
use crate::world::phone;
use attest::authenticator::Authenticator;
use attest::clock::UnixSeconds;
use attest::danger_testing::START;
use attest::danger_testing::SoftPhone;
use attest::danger_testing::approval;
use attest::handoff::Entitlement;
use attest::handoff::HANDOFF_SECONDS;
use attest::handoff::HandoffApproved;
use attest::handoff::HandoffState;
use attest::handoff::NumberChecked;
use attest::qr_link::PageSecret;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::registry::Standing;
use attest::session::EndReason;
use attest::sessions::Activation;
use attest::sessions::Approved;
use attest::sign_in::DenyReason;
use attest::sign_in::Phase;
use std::sync::Arc;

async fn enrolled() -> (World, SoftPhone, Authenticator) {
    let world = World::new().await;
    let mut phone = phone();
    let authenticator = world.enrol("u-1", &mut phone, None).await;
    (world, phone, authenticator)
}

#[tokio::test]
async fn phone_approves_and_the_page_alone_has_the_code() {
    let (world, mut phone, authenticator) = enrolled().await;
    let record = world.sign_in().await;
    let (handoff, page) = world.handoff(&record, "u-1").await;
    let checked = world.type_number(&handoff, &page, &page.number()).await;
    assert!(matches!(checked, NumberChecked::Right(_)));
    let started = world.ask(&handoff, &[Arc::new(authenticator.clone())]);
    let proof = world.answer(&started, &handoff, &mut phone).unwrap();
    let (waits, session_waits) =
        (world.handoffs.changed(&handoff.handoff_id), world.sessions.changed(&record.session_id));
    let (next, session_next) = (waits.next(), session_waits.next());
    let done = world.handoffs.approve(&proof, &entitled()).await.unwrap();
    let HandoffApproved::Done(used) = done else { panic!("{done:?}") };
    next.await;
    session_next.await;
    assert_eq!((used.counter, used.last_used_at), (2, Some(UnixSeconds(START))));
    let seen = world.handoffs.by_page(&handoff.handoff_id, &page).await.unwrap().unwrap();
    assert_eq!(seen.state, HandoffState::Approved);
    let wrong = world.sessions.activate(&record.session_id, &page.link_secret(), LIMITS).await;
    assert!(matches!(wrong.unwrap(), Activation::WrongCode { .. }), "the phone has no code");
    let active = world.sessions.activate(&record.session_id, &page.code(), LIMITS).await.unwrap();
    let Activation::Active { session, .. } = active else { panic!("no session") };
    assert_eq!((session.method, &session.factor), (Method::Fido2, &authenticator.authenticator_id));
    assert_eq!(session.evidence(), Fingerprint::of(proof.evidence_json().as_bytes()));
    assert_eq!(session.certificate, None);
    assert_eq!(session.evidence_standing(), Standing::Good);
    assert_eq!(session.authenticated_at, UnixSeconds(START));
}

#[tokio::test]
async fn session_by_phone_ends_with_the_second_certificate() {
    let (world, mut phone, authenticator) = enrolled().await;
    let (proof, handoff, page) = world.proof(&authenticator, &mut phone).await;
    let soon = Entitlement { not_after: UnixSeconds(START + 60), ..entitled() };
    world.handoffs.approve(&proof, &soon).await.unwrap();
    let active = world.sessions.activate(&handoff.session_id, &page.code(), LIMITS).await.unwrap();
    let Activation::Active { session, .. } = active else { panic!("no session") };
    assert_eq!(session.over(UnixSeconds(START + 60)), None);
    assert_eq!(session.over(UnixSeconds(START + 61)), Some(EndReason::Expired));
}

#[tokio::test]
async fn asking_screens_number_is_typed_on_the_phone_and_is_the_code() {
    let (world, mut phone, authenticator) = enrolled().await;
    let wanted = attest::sessions::Wanted {
        holder_id: Some("u-1".into()),
        methods: vec![Method::Fido2],
        ..Default::default()
    };
    let created = world.sessions.create(&world.system, wanted).await.unwrap();
    let number = created.number.unwrap();
    let (handoff, page) = world.handoff(&created.record, "u-1").await;
    if page.number() != number {
        let checked = world.type_number(&handoff, &page, &page.number()).await;
        assert!(matches!(checked, NumberChecked::Wrong { denied: false }));
    }
    let checked = world.type_number(&handoff, &page, &number).await;
    assert!(matches!(checked, NumberChecked::Right(_)));
    let started = world.ask(&handoff, &[Arc::new(authenticator)]);
    let proof = world.answer(&started, &handoff, &mut phone).unwrap();
    world.handoffs.approve(&proof, &entitled()).await.unwrap();
    let active = world.sessions.activate(&created.record.session_id, &number, LIMITS).await;
    assert!(matches!(active.unwrap(), Activation::Active { .. }));
}

#[tokio::test]
async fn wrong_number_five_times_denies_the_hand_off_and_not_the_sign_in() {
    let (world, mut phone, authenticator) = enrolled().await;
    let (proof, handoff, page) = world.proof(&authenticator, &mut phone).await;
    for attempt in 1..=5 {
        let checked = world.type_number(&handoff, &page, "guess").await;
        assert!(matches!(checked, NumberChecked::Wrong { denied } if denied == (attempt == 5)));
    }
    let checked = world.type_number(&handoff, &page, &page.number()).await;
    assert!(matches!(checked, NumberChecked::Over));
    let refused = world.handoffs.approve(&proof, &entitled()).await.unwrap();
    assert!(matches!(refused, HandoffApproved::Over));
    let (record, _) = world.sessions.record(&handoff.session_id).await.unwrap().unwrap();
    assert!(matches!(record.phase, Phase::Pending { .. }));
    let (again, page) = world.handoff(&record, "u-1").await;
    let checked = world.type_number(&again, &page, &page.number()).await;
    assert!(matches!(checked, NumberChecked::Right(_)));
}

#[tokio::test]
async fn link_secret_of_another_page_is_over() {
    let (world, ..) = enrolled().await;
    let record = world.sign_in().await;
    let (handoff, page) = world.handoff(&record, "u-1").await;
    let (_, other) = world.handoff(&record, "u-1").await;
    let checked = world.type_number(&handoff, &other, &page.number()).await;
    assert!(matches!(checked, NumberChecked::Over));
    let id = &handoff.handoff_id;
    assert!(world.handoffs.by_link(id, &other.link_secret()).await.unwrap().is_none());
    assert!(world.handoffs.by_page(id, &other).await.unwrap().is_none());
    assert_eq!(world.handoffs.by_link(id, &page.link_secret()).await.unwrap(), Some(handoff));
}

#[tokio::test]
async fn unknown_holder_gets_a_hand_off_like_any_other() {
    let (world, ..) = enrolled().await;
    let record = world.sign_in().await;
    let (mine, my_page) = world.handoff(&record, "u-1").await;
    let (nobodys, page) = world.handoff(&record, "no such person").await;
    assert_eq!(mine.link.expires_at(), nobodys.link.expires_at());
    assert_eq!(my_page.number().len(), page.number().len());
    let checked = world.type_number(&nobodys, &page, &page.number()).await;
    assert!(matches!(checked, NumberChecked::Right(_)));
}

#[tokio::test]
async fn hand_off_is_over_after_its_time_to_the_second() {
    for (seconds, is_over) in [(HANDOFF_SECONDS - 1, false), (HANDOFF_SECONDS, true)] {
        let (world, mut phone, authenticator) = enrolled().await;
        let (proof, handoff, page) = world.proof(&authenticator, &mut phone).await;
        world.clock.set(START + seconds);
        let checked = world.type_number(&handoff, &page, &page.number()).await;
        assert_eq!(matches!(checked, NumberChecked::Over), is_over);
        let approved = world.handoffs.approve(&proof, &entitled()).await.unwrap();
        assert_eq!(matches!(approved, HandoffApproved::Over), is_over);
    }
}

#[tokio::test]
async fn hand_off_ends_no_later_than_its_sign_in() {
    let (world, ..) = enrolled().await;
    let record = world.sign_in().await;
    world.clock.set(record.link_expires_at.0 - 30);
    let (handoff, _) = world.handoff(&record, "u-1").await;
    assert_eq!(handoff.link.expires_at(), record.link_expires_at);
}

#[tokio::test]
async fn denied_hand_off_is_over() {
    let (world, mut phone, authenticator) = enrolled().await;
    let (proof, handoff, page) = world.proof(&authenticator, &mut phone).await;
    assert!(world.handoffs.deny(&handoff.handoff_id, DenyReason::ByHolder).await.unwrap());
    let refused = world.handoffs.approve(&proof, &entitled()).await.unwrap();
    assert!(matches!(refused, HandoffApproved::Over));
    let seen = world.handoffs.by_page(&handoff.handoff_id, &page).await.unwrap().unwrap();
    assert_eq!(seen.state, HandoffState::Denied { reason: DenyReason::ByHolder });
}

#[tokio::test]
async fn sign_in_denied_or_approved_by_card_in_between_is_over() {
    let (world, mut phone, authenticator) = enrolled().await;
    let (proof, handoff, _) = world.proof(&authenticator, &mut phone).await;
    world.sessions.deny(&handoff.session_id, DenyReason::Withdrawn).await.unwrap();
    let refused = world.handoffs.approve(&proof, &entitled()).await.unwrap();
    assert!(matches!(refused, HandoffApproved::LinkOver));

    let (proof, handoff, _) = world.proof(&authenticator, &mut phone).await;
    let by_card = approval("u-1", "card");
    let once_key = Fingerprint::of(b"card");
    let approved = world.sessions.approve(&handoff.session_id, by_card, &once_key, None).await;
    assert!(matches!(approved.unwrap(), Approved::Code(Some(_))));
    let refused = world.handoffs.approve(&proof, &entitled()).await.unwrap();
    assert!(matches!(refused, HandoffApproved::LinkOver));
}

#[tokio::test]
async fn sign_in_for_another_holder_or_another_method_is_not_approved() {
    let (world, mut phone, authenticator) = enrolled().await;
    let return_url = Some("https://ehr.example/return".to_owned());
    let for_another = world.sign_in_wanting(Some("u-2".into()), return_url.clone()).await;
    let methods = vec![Method::Hpki];
    let wanted = attest::sessions::Wanted { methods, return_url, ..Default::default() };
    let by_card_only = world.sessions.create(&world.system, wanted).await.unwrap().record;
    for record in [for_another, by_card_only] {
        let (handoff, _) = world.handoff(&record, "u-1").await;
        let started = world.ask(&handoff, &[Arc::new(authenticator.clone())]);
        let proof = world.answer(&started, &handoff, &mut phone).unwrap();
        let refused = world.handoffs.approve(&proof, &entitled()).await.unwrap();
        assert!(matches!(refused, HandoffApproved::LinkOver));
    }
}

#[tokio::test]
async fn phone_removed_in_between_approves_nothing() {
    let (world, mut phone, authenticator) = enrolled().await;
    let (proof, handoff, _) = world.proof(&authenticator, &mut phone).await;
    world.authenticators.remove(&authenticator.authenticator_id).await.unwrap().unwrap();
    let refused = world.handoffs.approve(&proof, &entitled()).await.unwrap();
    assert!(matches!(refused, HandoffApproved::FactorGone));
    let (record, _) = world.sessions.record(&handoff.session_id).await.unwrap().unwrap();
    assert!(matches!(record.phase, Phase::Pending { .. }));
}

#[tokio::test]
async fn copy_of_a_phone_that_is_asked_beside_it_is_noticed() {
    let (world, mut phone, authenticator) = enrolled().await;
    // Both are asked before either answers: webauthn-rs compares both with the counter of the enrolment.
    let (real, ..) = world.proof(&authenticator, &mut phone).await;
    phone.counter -= 1;
    let (copy, handoff, _) = world.proof(&authenticator, &mut phone).await;
    assert_eq!(real.counter(), copy.counter());
    let done = world.handoffs.approve(&real, &entitled()).await.unwrap();
    assert!(matches!(done, HandoffApproved::Done(_)));
    let refused = world.handoffs.approve(&copy, &entitled()).await.unwrap();
    assert!(matches!(refused, HandoffApproved::CounterBack));
    let (record, _) = world.sessions.record(&handoff.session_id).await.unwrap().unwrap();
    assert!(matches!(record.phase, Phase::Pending { .. }));
    let id = &authenticator.authenticator_id;
    let noted = world.authenticators.note_counter_back(id, UnixSeconds(START)).await.unwrap();
    assert_eq!(noted.unwrap().counter_went_back_at, Some(UnixSeconds(START)));
}

#[tokio::test]
async fn proof_approves_once() {
    let (world, mut phone, authenticator) = enrolled().await;
    let (proof, ..) = world.proof(&authenticator, &mut phone).await;
    let done = world.handoffs.approve(&proof, &entitled()).await.unwrap();
    assert!(matches!(done, HandoffApproved::Done(_)));
    let refused = world.handoffs.approve(&proof, &entitled()).await.unwrap();
    assert!(matches!(refused, HandoffApproved::Over));
}

#[tokio::test]
async fn two_pages_of_one_sign_in_get_one_approval() {
    let (world, mut phone, authenticator) = enrolled().await;
    let record = world.sign_in().await;
    let mut outcomes = Vec::new();
    let authenticator = Arc::new(authenticator);
    let mut pages = Vec::new();
    for _ in 0..2 {
        let (handoff, page) = world.handoff(&record, "u-1").await;
        let started = world.ask(&handoff, &[Arc::clone(&authenticator)]);
        let proof = world.answer(&started, &handoff, &mut phone).unwrap();
        outcomes.push(world.handoffs.approve(&proof, &entitled()).await.unwrap());
        pages.push(page);
    }
    assert!(matches!(outcomes[0], HandoffApproved::Done(_)));
    assert!(matches!(outcomes[1], HandoffApproved::LinkOver));
    let id = &record.session_id;
    let wrong = world.sessions.activate(id, &pages[1].code(), LIMITS).await.unwrap();
    assert!(matches!(wrong, Activation::WrongCode { .. }));
    let active = world.sessions.activate(id, &pages[0].code(), LIMITS).await.unwrap();
    assert!(matches!(active, Activation::Active { .. }));
}

#[tokio::test]
async fn terminal_is_one_short_line() {
    let (world, ..) = enrolled().await;
    let record = world.sign_in().await;
    let page = PageSecret::random().unwrap();
    let long = format!("ward\r\n\u{7}3 {}", "x".repeat(500));
    let handoff = world.handoffs.start(&record, "u-1", &long, &page).await.unwrap();
    assert!(handoff.terminal.starts_with("ward3 x") && handoff.terminal.chars().count() == 120);
}
