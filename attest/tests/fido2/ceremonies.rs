//! Each refusal of a ceremony alone. Every test starts from a phone that would be taken.

use crate::world::ORIGIN;
use crate::world::RP_ID;
use crate::world::World;
use crate::world::binding;
use crate::world::phone;
use attest::authenticator::Authenticator;
use attest::authenticator::AuthenticatorKind;
use attest::danger_testing::PhoneKey;
use attest::danger_testing::START;
use attest::danger_testing::SoftPhone;
use attest::danger_testing::holder;
use attest::evidence::Binding;
use attest::evidence::CEREMONY_SECONDS;
use attest::evidence::Fido2;
use attest::evidence::Fido2Error;
use attest::evidence::MAX_CREDENTIAL_BYTES;
use attest::evidence::MAX_WITHOUT_LINK;
use attest::evidence::Purpose;
use attest::evidence::RelyingParty;
use attest::evidence::Started;
use attest::factor_rules::FactorRules;
use attest::handoff::Handoff;
use attest::own_page::PORTAL;
use std::sync::Arc;

/// A page that waits for the phone of `u-1`.
async fn waiting() -> (World, SoftPhone, Arc<Authenticator>, Handoff) {
    let world = World::new().await;
    let mut phone = phone();
    let authenticator = Arc::new(world.enrol("u-1", &mut phone, None).await);
    let record = world.sign_in().await;
    let (handoff, _) = world.handoff(&record, "u-1").await;
    (world, phone, authenticator, handoff)
}

/// What an enrolment says of a phone that is wrong in one way.
async fn enrolment_with(change: impl FnOnce(&mut SoftPhone)) -> Result<(), Fido2Error> {
    let world = World::new().await;
    let (ticket, _) = world.opened("u-1", None).await;
    let mut phone = phone();
    change(&mut phone);
    world.register(&ticket, &mut phone, &[]).map(|_| ())
}

/// What a sign-in says of an enrolled phone that is wrong in one way.
async fn sign_in_with(change: impl FnOnce(&mut SoftPhone)) -> Result<(), Fido2Error> {
    let (world, mut phone, authenticator, handoff) = waiting().await;
    let started = world.ask(&handoff, &[authenticator]);
    change(&mut phone);
    world.answer(&started, &handoff, &mut phone).map(|_| ())
}

/// What both say of a phone that is wrong in the same way.
async fn both_with(change: impl Fn(&mut SoftPhone)) -> [Result<(), Fido2Error>; 2] {
    [enrolment_with(&change).await, sign_in_with(&change).await]
}

#[tokio::test]
async fn honest_phones_are_taken() {
    enrolment_with(|_| {}).await.unwrap();
    sign_in_with(|_| {}).await.unwrap();
    sign_in_with(|phone| phone.user_handle = None).await.unwrap();
}

#[tokio::test]
async fn user_that_was_not_verified_is_refused() {
    for refused in both_with(|phone| phone.flags = 0x01).await {
        assert!(matches!(refused, Err(Fido2Error::UserNotVerified)), "{refused:?}");
    }
}

#[tokio::test]
async fn user_that_was_not_present_is_refused() {
    for refused in both_with(|phone| phone.flags = 0x04).await {
        assert!(matches!(refused, Err(Fido2Error::UserNotPresent)), "{refused:?}");
    }
}

#[tokio::test]
async fn every_other_origin_is_refused() {
    for origin in [
        "https://portal.example.jp",
        "https://portal.example.jp:8444",
        "http://portal.example.jp:8443",
        "https://evil.portal.example.jp:8443",
        "https://example.jp:8443",
        "https://192.0.2.1:8443",
    ] {
        for refused in both_with(|phone| phone.origin = origin.into()).await {
            assert!(matches!(refused, Err(Fido2Error::Origin)), "{origin} {refused:?}");
        }
    }
}

#[tokio::test]
async fn frame_in_another_page_is_refused() {
    for refused in both_with(|phone| phone.is_cross_origin = true).await {
        assert!(matches!(refused, Err(Fido2Error::Origin)), "{refused:?}");
    }
}

#[tokio::test]
async fn credential_of_another_relying_party_is_refused() {
    for refused in both_with(|phone| phone.rp_id = "example.jp".into()).await {
        assert!(matches!(refused, Err(Fido2Error::RpId)), "{refused:?}");
    }
}

#[tokio::test]
async fn answer_to_another_challenge_is_refused() {
    let other = Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned());
    for refused in both_with(|phone| phone.challenge = other.clone()).await {
        assert!(matches!(refused, Err(Fido2Error::Challenge)), "{refused:?}");
    }
}

#[tokio::test]
async fn challenge_with_padding_or_spaces_is_refused() {
    let world = World::new().await;
    let mut phone = phone();
    let authenticator = Arc::new(world.enrol("u-1", &mut phone, None).await);
    let record = world.sign_in().await;
    for change in [|text: &str| format!("{text}="), |text: &str| format!(" {text}")] {
        let (handoff, _) = world.handoff(&record, "u-1").await;
        let started = world.ask(&handoff, &[Arc::clone(&authenticator)]);
        phone.challenge = Some(change(&started.challenge));
        let refused = world.answer(&started, &handoff, &mut phone);
        assert!(refused.is_err(), "{:?}", phone.challenge);
    }
}

#[tokio::test]
async fn enrolment_does_not_answer_a_sign_in_nor_the_reverse() {
    let refused = enrolment_with(|phone| phone.kind = Some("webauthn.get")).await;
    assert!(matches!(refused, Err(Fido2Error::Type)), "{refused:?}");
    let refused = sign_in_with(|phone| phone.kind = Some("webauthn.create")).await;
    assert!(matches!(refused, Err(Fido2Error::Type)), "{refused:?}");
    let world = World::new().await;
    let (ticket, _) = world.opened("u-1", None).await;
    let id = &ticket.ticket_id;
    let started =
        world.fido2.start_registration(id, AuthenticatorKind::Phone, &holder("u-1"), &[]).unwrap();
    let answer = phone().get(&started.options_json).unwrap();
    let refused = world.fido2.finish_assertion(&started.ceremony_id, id, &answer);
    assert!(matches!(refused, Err(Fido2Error::CeremonyOver)));
}

#[tokio::test]
async fn authenticator_that_was_not_asked_is_refused() {
    let refused = sign_in_with(|other| *other = phone()).await;
    assert!(matches!(refused, Err(Fido2Error::NotAsked)), "{refused:?}");
}

#[tokio::test]
async fn authenticator_of_another_holder_is_not_asked() {
    let world = World::new().await;
    let mut hers = phone();
    let of_another = Arc::new(world.enrol("u-2", &mut hers, None).await);
    let record = world.sign_in().await;
    let (handoff, _) = world.handoff(&record, "u-1").await;
    let started = world.ask(&handoff, &[of_another]);
    let refused = world.answer(&started, &handoff, &mut hers);
    assert!(matches!(refused, Err(Fido2Error::NotAsked)), "{refused:?}");
}

#[tokio::test]
async fn stolen_credential_id_without_its_key_is_refused() {
    let refused = sign_in_with(|real| {
        let mut thief = phone();
        thief.credential_id = real.credential_id.clone();
        thief.counter = 9;
        *real = thief;
    })
    .await;
    assert!(matches!(refused, Err(Fido2Error::Signature)), "{refused:?}");
}

#[tokio::test]
async fn answer_for_another_user_is_refused() {
    let refused = sign_in_with(|phone| phone.user_handle = Some(vec![7; 16])).await;
    assert!(matches!(refused, Err(Fido2Error::UserHandle)), "{refused:?}");
}

#[tokio::test]
async fn counter_that_goes_back_or_stands_still_is_refused() {
    for (enrolled, answered) in [(5, 5), (5, 4), (5, 1), (5, 0), (u32::MAX, 1)] {
        let world = World::new().await;
        let mut phone = phone();
        phone.counter = enrolled;
        let authenticator = world.enrol("u-1", &mut phone, None).await;
        let record = world.sign_in().await;
        let (handoff, _) = world.handoff(&record, "u-1").await;
        let started = world.ask(&handoff, &[Arc::new(authenticator.clone())]);
        phone.counter = answered;
        let refused = world.answer(&started, &handoff, &mut phone);
        let Err(Fido2Error::CounterBack(id)) = refused else {
            panic!("{enrolled} then {answered}: {refused:?}")
        };
        assert_eq!(id, authenticator.authenticator_id);
    }
}

#[tokio::test]
async fn phone_without_a_counter_is_taken_again_and_again() {
    let world = World::new().await;
    let mut phone = phone();
    phone.counter = 0;
    let authenticator = world.enrol("u-1", &mut phone, None).await;
    for _ in 0..3 {
        world.proof(&authenticator, &mut phone).await;
    }
}

#[tokio::test]
async fn ceremony_is_over_after_its_time_to_the_second() {
    let (world, mut phone, authenticator, handoff) = waiting().await;
    for (seconds, is_over) in [(CEREMONY_SECONDS - 1, false), (CEREMONY_SECONDS, true)] {
        world.clock.set(START);
        let started = world.ask(&handoff, &[Arc::clone(&authenticator)]);
        world.clock.set(START + seconds);
        let answered = world.answer(&started, &handoff, &mut phone);
        assert_eq!(matches!(answered, Err(Fido2Error::CeremonyOver)), is_over, "{answered:?}");
        assert_eq!(answered.is_ok(), !is_over);
    }
}

#[tokio::test]
async fn ceremony_of_another_ticket_or_page_is_over() {
    let world = World::new().await;
    let mut phone = phone();
    let authenticator = Arc::new(world.enrol("u-1", &mut phone, None).await);
    let record = world.sign_in().await;
    let (mine, _) = world.handoff(&record, "u-1").await;
    let (other, _) = world.handoff(&record, "u-1").await;
    let started = world.ask(&mine, &[authenticator]);
    let refused = world.answer(&started, &other, &mut phone);
    assert!(matches!(refused, Err(Fido2Error::CeremonyOver)));
    let refused = world.answer(&started, &mine, &mut phone);
    assert!(matches!(refused, Err(Fido2Error::CeremonyOver)), "a ceremony is answered once");
}

#[tokio::test]
async fn of_eight_answers_to_one_challenge_one_is_judged() {
    let (world, mut phone, authenticator, handoff) = waiting().await;
    let started = world.ask(&handoff, &[authenticator]);
    let answer = phone.get(&started.options_json).unwrap();
    let taken: usize = std::thread::scope(|scope| {
        let answers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let (ceremony, page) = (&started.ceremony_id, &handoff.handoff_id);
                    usize::from(world.fido2.finish_assertion(ceremony, page, &answer).is_ok())
                })
            })
            .collect();
        answers.into_iter().map(|answer| answer.join().unwrap()).sum()
    });
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn wrong_answer_uses_its_ceremony_up() {
    let (world, mut phone, authenticator, handoff) = waiting().await;
    let started = world.ask(&handoff, &[authenticator]);
    phone.flags = 0x01;
    world.answer(&started, &handoff, &mut phone).unwrap_err();
    phone.flags = 0x05;
    let refused = world.answer(&started, &handoff, &mut phone);
    assert!(matches!(refused, Err(Fido2Error::CeremonyOver)));
}

#[tokio::test]
async fn holders_own_phone_is_left_out_of_an_enrolment() {
    let world = World::new().await;
    let mut phone = phone();
    let known = Arc::new(world.enrol("u-1", &mut phone, None).await);
    let (ticket, _) = world.opened("u-1", None).await;
    let started = world
        .fido2
        .start_registration(&ticket.ticket_id, ticket.kind, &holder("u-1"), &[Arc::clone(&known)])
        .unwrap();
    let options: serde_json::Value = serde_json::from_str(&started.options_json).unwrap();
    let excluded = options.pointer("/publicKey/excludeCredentials").unwrap();
    assert_eq!(excluded.as_array().unwrap().len(), 1);
    let refused = world.register(&ticket, &mut phone, &[known]);
    assert!(matches!(refused, Err(Fido2Error::Known)), "{refused:?}");
}

#[tokio::test]
async fn keys_that_are_not_accepted_are_not_offered() {
    let world = World::new().await;
    let started = world
        .fido2
        .start_registration("ticket", AuthenticatorKind::Phone, &holder("u-1"), &[])
        .unwrap();
    let options: serde_json::Value = serde_json::from_str(&started.options_json).unwrap();
    let offered = options.pointer("/publicKey/pubKeyCredParams").unwrap().as_array().unwrap();
    let algorithms: Vec<_> = offered.iter().map(|offer| offer["alg"].as_i64().unwrap()).collect();
    assert_eq!(algorithms, [-7, -35]);
    let selection = options.pointer("/publicKey/authenticatorSelection/userVerification");
    assert_eq!(selection.unwrap(), "required");
}

#[tokio::test]
async fn p384_phone_is_taken() {
    let world = World::new().await;
    let mut phone = SoftPhone::new(ORIGIN, RP_ID, PhoneKey::P384).unwrap();
    let authenticator = world.enrol("u-1", &mut phone, None).await;
    world.proof(&authenticator, &mut phone).await;
}

#[tokio::test]
async fn decoy_is_the_same_after_a_restart_and_another_appliance_s_is_not() {
    let mut world = World::new().await;
    let record = world.sign_in().await;
    let (nobodys, _) = world.handoff(&record, "nobody").await;
    let id = |world: &World| {
        let options = world.ask(&nobodys, &[]).options_json;
        let options: serde_json::Value = serde_json::from_str(&options).unwrap();
        options.pointer("/publicKey/allowCredentials/0/id").unwrap().clone()
    };
    let before = id(&world);
    let portal = || RelyingParty::new(ORIGIN, "Inkan").unwrap();
    world.fido2 = Arc::new(World::fido2(portal(), FactorRules::default(), &world.clock));
    assert_eq!(id(&world), before);
    let other = Fido2::new(portal(), FactorRules::default(), world.clock.clone(), &[8; 32]);
    world.fido2 = Arc::new(other.unwrap());
    assert_ne!(id(&world), before);
}

#[tokio::test]
async fn question_for_somebody_without_a_phone_looks_the_same_and_takes_no_answer() {
    let world = World::new().await;
    let mut real = phone();
    let authenticator = Arc::new(world.enrol("u-1", &mut real, None).await);
    let record = world.sign_in().await;
    let (mine, _) = world.handoff(&record, "u-1").await;
    let (nobodys, _) = world.handoff(&record, "nobody").await;
    let shape = |authenticators: &[Arc<Authenticator>], handoff| {
        let started = world.ask(handoff, authenticators);
        let options: serde_json::Value = serde_json::from_str(&started.options_json).unwrap();
        let id = options.pointer("/publicKey/allowCredentials/0/id").unwrap().clone();
        let mut shape = options;
        *shape.pointer_mut("/publicKey/allowCredentials/0/id").unwrap() = "id".into();
        *shape.pointer_mut("/publicKey/challenge").unwrap() = "challenge".into();
        (shape, id)
    };
    let (asked, _) = shape(&[authenticator], &mine);
    let (decoy, id) = shape(&[], &nobodys);
    assert_eq!(asked, decoy);
    assert_eq!(shape(&[], &nobodys).1, id, "the decoy changes from page to page");
    let started = world.ask(&nobodys, &[]);
    let mut thief = phone();
    thief.credential_id = base64_url(id.as_str().unwrap());
    let refused = world.answer(&started, &nobodys, &mut thief);
    assert!(matches!(refused, Err(Fido2Error::Signature)), "{refused:?}");
}

fn base64_url(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// What the old phone is asked at the page `name` of a change.
fn change(handoff: &Handoff, name: &str) -> Binding {
    Binding {
        purpose: Purpose::ChangePhone,
        system_id: PORTAL.into(),
        handoff_id: name.into(),
        ..binding(handoff)
    }
}

/// Anybody may begin a change of phone: it takes no place from those whom a signing system sent, and only the oldest of its own.
#[tokio::test]
async fn changes_beyond_their_share_end_the_oldest_of_them_and_no_sign_in() {
    let (world, mut mine, authenticator, handoff) = waiting().await;
    let sign_in = world.ask(&handoff, &[Arc::clone(&authenticator)]);
    let ask = |name: &str| {
        let change = change(&handoff, name);
        world.fido2.start_assertion(change, &[Arc::clone(&authenticator)]).unwrap()
    };
    let (first, second) = (ask("first"), ask("second"));
    for number in 2..MAX_WITHOUT_LINK {
        ask(&format!("change {number}"));
    }
    let mut answer = |started: &Started, name: &str| {
        let answer = mine.get(&started.options_json).unwrap();
        world.fido2.finish_assertion(&started.ceremony_id, name, &answer)
    };
    // At the share every one is there; one past it ends the oldest.
    answer(&first, "first").unwrap();
    ask("in its place");
    ask("one past");
    assert!(matches!(answer(&second, "second"), Err(Fido2Error::CeremonyOver)));
    answer(&sign_in, &handoff.handoff_id).unwrap();
    world.ask(&handoff, &[]);
}

/// The last question of a change has the ticket of the phone that waits.
#[tokio::test]
async fn changes_beyond_their_share_do_not_end_the_question_that_completes_one() {
    let (world, mut mine, authenticator, handoff) = waiting().await;
    let completes = Binding { purpose: Purpose::ConfirmPhone, ..change(&handoff, "ticket") };
    let question = world.fido2.start_assertion(completes, &[authenticator]).unwrap();
    for number in 0..=MAX_WITHOUT_LINK {
        world.fido2.start_assertion(change(&handoff, &format!("change {number}")), &[]).unwrap();
    }
    let answer = mine.get(&question.options_json).unwrap();
    world.fido2.finish_assertion(&question.ceremony_id, "ticket", &answer).unwrap();
}

#[tokio::test]
async fn change_has_one_live_question_the_one_asked_last() {
    let (world, mut mine, authenticator, handoff) = waiting().await;
    let change = change(&handoff, "change");
    let ask =
        || world.fido2.start_assertion(change.clone(), &[Arc::clone(&authenticator)]).unwrap();
    let (before, last) = (ask(), ask());
    let mut answer = |started: &Started| {
        let answer = mine.get(&started.options_json).unwrap();
        world.fido2.finish_assertion(&started.ceremony_id, "change", &answer)
    };
    assert!(matches!(answer(&before), Err(Fido2Error::CeremonyOver)));
    answer(&last).unwrap();
}

#[tokio::test]
async fn ninth_ceremony_of_one_page_waits_until_one_is_over() {
    let world = World::new().await;
    let record = world.sign_in().await;
    let (handoff, _) = world.handoff(&record, "u-1").await;
    for _ in 0..8 {
        world.ask(&handoff, &[]);
    }
    let refused = world.fido2.start_assertion(binding(&handoff), &[]);
    assert!(matches!(refused, Err(Fido2Error::Busy)));
    world.clock.set(START + CEREMONY_SECONDS);
    world.ask(&handoff, &[]);
}

#[tokio::test]
async fn answers_that_are_no_answers_are_refused() {
    let world = World::new().await;
    let record = world.sign_in().await;
    let (handoff, _) = world.handoff(&record, "u-1").await;
    let long = "x".repeat(MAX_CREDENTIAL_BYTES + 1);
    for answer in ["", "{}", "null", "[]", r#"{"id":"a","rawId":"!"}"#, &long] {
        let started = world.ask(&handoff, &[]);
        let refused =
            world.fido2.finish_assertion(&started.ceremony_id, &handoff.handoff_id, answer);
        let is_long = answer.len() > MAX_CREDENTIAL_BYTES;
        assert_eq!(matches!(refused, Err(Fido2Error::TooLarge)), is_long);
        assert_eq!(matches!(refused, Err(Fido2Error::Unreadable(_))), !is_long);
    }
}

#[test]
fn relying_party_is_an_https_host_name() {
    for bad in [
        "http://portal.example.jp",
        "https://192.0.2.1",
        "https://[2001:db8::1]",
        "https://portal.example.jp/path",
        "portal.example.jp",
        "",
    ] {
        assert!(RelyingParty::new(bad, "Inkan").is_err(), "{bad}");
    }
    let portal = RelyingParty::new("https://Portal.example.jp:443/", "Inkan").unwrap();
    assert_eq!(portal.origin(), "https://portal.example.jp");
    assert_eq!(portal.rp_id(), "portal.example.jp");
}
