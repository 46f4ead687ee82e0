//! Phones come and go: what rests on one that is gone, ends.

use super::house::House;
use tests::support::admin;
use tests::support::ehr::Sign;
use tests::support::pki::Validity;

/// A11, W11
#[tokio::test]
async fn a11_w11_phone_removed_ends_what_rests_on_it_at_once() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let session = house.sign_in(&doctor, &mut phone).await;
    // Approved, but the code has not come back yet.
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off(&pending, None).await;
    house.approve(&pc, &mut phone).await.expect(200);
    let code = house.code(&pc).await;
    // Asked, but not answered yet.
    let asked = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let asking = house.hand_off(&asked, None).await;
    let (link, number) = house.shown(&asking).await;
    let question = house.ask(&link, &number.unwrap()).await;
    let answer = phone.get(&question.options.to_string()).unwrap();

    let removed = house.remove_phone(&doctor).await;
    assert_eq!(removed["sessions_ended"], 1, "{removed}");
    let sign = Sign {
        token: &session.token,
        credential: Some(&doctor.credential_id),
        content: b"x",
        ..Sign::default()
    };
    let refused = sign.send(&mut house.clinic().connect().await).await;
    refused.expect_problem(401, "session_ended");
    assert_ne!(house.clinic().activate(&pending.session_id, &code).await.status, 200);
    let refused = house.finish(&link, &question.ceremony_id, &answer).await;
    assert_ne!(refused.status, 200, "{refused}");
    assert!(house.devices(&doctor).await.is_empty());
    // The card that registered it goes on.
    house.world.ehr().sign_in(&doctor.card).await;
    house.enrol(&doctor.card, &mut house.new_phone()).await.expect(200);
}

#[tokio::test]
async fn only_registration_and_security_officers_remove_a_phone() {
    let house = House::shared().await;
    let (doctor, _) = house.doctor_with_phone().await;
    let device = house.devices(&doctor).await[0]["device"].as_str().unwrap().to_owned();
    let pki = &house.world.pki;
    let line = format!("DELETE /devices/{device}");
    for who in [&pki.auditor, &pki.administrator] {
        admin::ask(&house.world, who, &line, None).await.expect_problem(403, "not_permitted");
    }
    let listed = house.world.inkan(&["device", "list", "--holder", &doctor.holder_id]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains(&device), "{listed:?}");
    admin::ask(&house.world, &pki.officer, &line, None).await.expect(200);
    admin::ask(&house.world, &pki.officer, &line, None).await.expect_problem(404, "not_found");
}

/// Known difference to the manual: the old phone goes when the new one is proved, not before.
#[tokio::test]
async fn new_phone_takes_the_place_of_the_old_one_when_it_is_proved() {
    let house = House::shared().await;
    let (doctor, mut old) = house.doctor_with_phone().await;
    let session = house.sign_in(&doctor, &mut old).await;
    // Begun and left: the old one goes on.
    let pc = house.begin_enrolment(&doctor.card).await;
    house.shown(&pc).await;
    house.sign_in(&doctor, &mut old).await;
    let mut new = house.new_phone();
    house.enrol(&doctor.card, &mut new).await.expect(200);
    assert_eq!(house.devices(&doctor).await.len(), 1);
    assert_eq!(house.clinic().state(&session.session_id).await, "ended");
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off(&pending, None).await;
    assert_ne!(house.approve(&pc, &mut old).await.status, 200);
    house.approve(&pc, &mut new).await.expect(200);
    let changes = house.records(&doctor, "trust_changed").await;
    // Recorded before it happened: nothing else of this holder comes in between, the end of the session least of all.
    let last: Vec<_> =
        changes.iter().rev().take(2).map(|record| record["seq"].as_u64().unwrap()).collect();
    assert_eq!(last[0], last[1] + 1, "{changes:?}");
    let changes: Vec<_> = changes
        .iter()
        .map(|record| &record["event"])
        .filter(|change| change["what"] == "device")
        .map(|change| change["change"].as_str().unwrap())
        .collect();
    assert_eq!(changes, ["granted", "granted", "removed"]);
}

#[tokio::test]
async fn phone_that_is_registered_is_not_registered_again() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let user_handle = phone.user_handle.clone();
    let refused = house.enrol(&doctor.card, &mut phone).await;
    assert_ne!(refused.status, 200, "{refused}");
    // Nor for anybody else.
    let other = house.doctor(Validity::CURRENT).await;
    let refused = house.enrol(&other.card, &mut phone).await;
    assert_ne!(refused.status, 200, "{refused}");
    assert!(house.devices(&other).await.is_empty());
    // A phone that knows itself registered would have kept what it was given.
    phone.user_handle = user_handle;
    house.sign_in(&doctor, &mut phone).await;
}

#[tokio::test]
async fn w10_enrolment_page_needs_a_good_card_of_a_holder() {
    let house = House::shared().await;
    let pki = &house.world.pki;
    for card in [&pki.unlinked_card, &pki.revoked_card, &pki.expired_card, &pki.wrong_policy_card] {
        let (_, page) = house.enrol_page(card).await;
        assert!(!page.text().contains("form_token"), "{page}");
    }
}

/// Phones survive a restart, and so does their counter.
#[tokio::test]
async fn phone_signs_in_after_a_restart() {
    let mut house = House::new(tests::support::world::Plan::default()).await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let session = house.sign_in(&doctor, &mut phone).await;
    house.world.daemon.stop(std::time::Duration::from_secs(20));
    house.world.restart();
    house.sign_in(&doctor, &mut phone).await;
    let sign = Sign {
        token: &session.token,
        credential: Some(&doctor.credential_id),
        content: b"x",
        ..Sign::default()
    };
    sign.send(&mut house.clinic().connect().await).await.expect(200);
}
