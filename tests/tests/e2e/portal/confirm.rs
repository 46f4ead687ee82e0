//! The card that began an enrolment is shown again: nothing is registered before, and nothing by another card.

use super::house::House;
use tests::support::http::Reply;
use tests::support::pki::Validity;

fn is_confirming(page: &Reply) -> bool {
    page.text().contains("form_token")
}

#[tokio::test]
async fn phone_is_registered_when_the_card_is_shown_again_and_not_before() {
    let house = House::shared().await;
    let (doctor, mut old) = house.doctor_with_phone().await;
    let before = house.devices(&doctor).await;
    let pc = house.begin_enrolment(&doctor.card).await;
    let early = house.confirm_page(&pc, Some(&doctor.card)).await.1;
    assert!(!is_confirming(&early), "no phone is proved yet: {early}");
    let mut new = house.new_phone();
    let told = house.prove_new(&pc, &mut new).await.expect(200).json();
    // Phone and PC show one name; the old phone serves on.
    let page = house.page(&pc).await.expect(200).text();
    let label = page.split("id=\"label\">").nth(1).unwrap().split('<').next().unwrap();
    assert!(label.starts_with("Phone ") && !page.contains("/phone/"), "{page}");
    let told = told.to_string();
    assert!(told.contains(label.strip_prefix("Phone ").unwrap()), "{told}");
    assert_eq!(house.devices(&doctor).await, before);
    house.sign_in(&doctor, &mut old).await;

    house.confirm_enrolment(&pc, &doctor.card, "approve").await.expect(200);
    assert!(house.page(&pc).await.expect(200).text().contains("The phone is registered"));
    assert_ne!(house.devices(&doctor).await, before);
    house.sign_in(&doctor, &mut new).await;
    let again = house.confirm_enrolment(&pc, &doctor.card, "approve").await;
    assert!(!is_confirming(&again) && again.status == 403, "{again}");
    let kinds = ["enrolment_started", "trust_proposed", "enrolment_confirmed", "trust_changed"];
    let mut seqs = Vec::new();
    for kind in kinds {
        let records = house.records(&doctor, kind).await;
        let of_new = records.iter().rev().find(|record| record["event"]["change"] != "removed");
        seqs.push(of_new.unwrap()["seq"].as_u64().unwrap());
    }
    assert!(seqs.is_sorted(), "{seqs:?}");
}

/// Somebody who saw code and number was quicker: the doctor sees a name that no phone in their hand shows.
#[tokio::test]
async fn phone_that_is_turned_down_at_the_pc_is_registered_nowhere() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let pc = house.begin_enrolment(&doctor.card).await;
    house.prove_new(&pc, &mut house.new_phone()).await.expect(200);
    let denied = house.confirm_enrolment(&pc, &doctor.card, "deny").await.expect(200);
    assert!(denied.text().contains("Nothing was registered"), "{denied}");
    assert_eq!(house.page(&pc).await.status, 403);
    let late = house.confirm_enrolment(&pc, &doctor.card, "approve").await;
    assert!(!is_confirming(&late), "{late}");
    assert!(house.devices(&doctor).await.is_empty());
    house.enrol(&doctor.card, &mut house.new_phone()).await.expect(200);
}

/// W10
#[tokio::test]
async fn w10_other_cards_confirm_nothing_and_the_right_one_still_does() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let other = house.doctor(Validity::CURRENT).await;
    let pc = house.begin_enrolment(&doctor.card).await;
    house.prove_new(&pc, &mut house.new_phone()).await.expect(200);
    let page = house.confirm_page(&pc, Some(&other.card)).await.1;
    assert!(!is_confirming(&page) && page.text().contains("another card"), "{page}");
    let pki = &house.world.pki;
    for card in [&pki.unlinked_card, &pki.revoked_card, &pki.expired_card, &pki.wrong_policy_card] {
        assert!(!is_confirming(&house.confirm_page(&pc, Some(card)).await.1));
    }
    let page = house.confirm_page(&pc, None).await.1;
    assert!(!is_confirming(&page) && !page.text().contains("Phone "), "{page}");
    assert!(house.devices(&doctor).await.is_empty());
    house.confirm_enrolment(&pc, &doctor.card, "approve").await.expect(200);
    assert_eq!(house.devices(&doctor).await.len(), 1);
}

/// A proof that is begun and left changes nothing, also over a restart.
#[tokio::test]
async fn phone_that_waits_for_its_card_waits_over_a_restart() {
    let mut house = House::new(tests::support::world::Plan::default()).await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let pc = house.begin_enrolment(&doctor.card).await;
    let mut phone = house.new_phone();
    house.prove_new(&pc, &mut phone).await.expect(200);
    house.world.daemon.stop(std::time::Duration::from_secs(20));
    house.world.restart();
    assert!(house.devices(&doctor).await.is_empty());
    house.confirm_enrolment(&pc, &doctor.card, "approve").await.expect(200);
    house.sign_in(&doctor, &mut phone).await;
}
