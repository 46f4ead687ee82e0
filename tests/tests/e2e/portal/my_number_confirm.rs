//! The HPKI card that began is shown again for the My Number card that was proved: nothing is linked before, and nothing by
//! another card.

use super::house::House;
use super::my_number_house::Leave;
use tests::support::pki::Validity;
use tests::support::world::Plan;

#[tokio::test]
async fn card_is_linked_when_the_hpki_card_is_shown_again_and_not_before() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let card = house.my_number_card(&doctor);
    let leave = house.begin_link(&doctor.card).await;
    let early = house.confirm_link(&leave, &doctor.card, "approve").await;
    assert_eq!(early.status, 403, "no card is proved yet: {early}");
    let page = house.prove_link(&leave, &card).await.expect(200).text();
    let hpki = format!("https://localhost:{}/enrol/", house.world.ports.hpki.port());
    assert!(page.contains("It is not registered yet") && page.contains(&hpki), "{page}");
    // The page is had again, whatever card is in the reader by now, and by nobody without the ticket's secret.
    for card in [Some(&doctor.card), None] {
        let (_, again) = house.meet_link(&leave, card).await;
        assert!(again.expect(200).text().contains(&hpki), "the way on is lost");
    }
    let foreign = Leave { path: leave.path.clone(), secret: "AAAA".to_owned() };
    let (_, page) = house.meet_link(&foreign, Some(&card)).await;
    assert!(!page.expect(403).text().contains(&hpki));
    assert!(house.my_numbers(&doctor).await.is_empty());
    let pending = house.ask_my_number(None).await;
    let page = house.my_number_page(&pending, &card).await.expect(403);
    assert!(page.text().contains("not registered here"), "{page}");
    let id = leave.path.strip_prefix("/link/").unwrap();
    let (_, page) = house.again_page(id, Some(&doctor.card)).await;
    let page = page.expect(200).text();
    assert!(page.contains("Register this My Number card?") && page.contains("proved-at"), "{page}");
    assert!(!page.contains("997794E9"), "what the card says is shown nowhere: {page}");

    house.confirm_link(&leave, &doctor.card, "approve").await.expect(200);
    assert_eq!(house.my_numbers(&doctor).await.len(), 1);
    house.sign_in_by_my_number(&card).await;
    assert_eq!(house.confirm_link(&leave, &doctor.card, "approve").await.status, 403);
    let mut seqs = Vec::new();
    for kind in ["enrolment_started", "trust_proposed", "enrolment_confirmed", "trust_changed"] {
        let records = house.records(&doctor, kind).await;
        seqs.push(records.last().unwrap()["seq"].as_u64().unwrap());
    }
    assert!(seqs.is_sorted(), "{seqs:?}");
    let confirmed = &house.records(&doctor, "enrolment_confirmed").await[0]["event"];
    assert_eq!(confirmed["method"], "hpki");
}

/// Somebody put a card of their own into the reader in between: the doctor sees that it was not theirs.
#[tokio::test]
async fn card_that_is_turned_down_at_the_pc_is_linked_nowhere() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let card = house.my_number_card(&doctor);
    let leave = house.begin_link(&doctor.card).await;
    house.prove_link(&leave, &card).await.expect(200);
    let denied = house.confirm_link(&leave, &doctor.card, "deny").await.expect(200);
    assert!(denied.text().contains("Nothing was registered"), "{denied}");
    assert_eq!(house.confirm_link(&leave, &doctor.card, "approve").await.status, 403);
    assert!(house.my_numbers(&doctor).await.is_empty());
    house.link(&doctor, &card).await.expect(200);
}

/// W10
#[tokio::test]
async fn w10_other_cards_confirm_no_my_number_card_and_the_right_one_still_does() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let other = house.doctor(Validity::CURRENT).await;
    let card = house.my_number_card(&doctor);
    let leave = house.begin_link(&doctor.card).await;
    house.prove_link(&leave, &card).await.expect(200);
    let page = house.confirm_link(&leave, &other.card, "approve").await;
    assert!(page.status == 403 && page.text().contains("another card"), "{page}");
    let pki = &house.world.pki;
    for wrong in [&pki.unlinked_card, &pki.revoked_card, &pki.expired_card, &card] {
        let page = house.confirm_link(&leave, wrong, "approve").await;
        assert_eq!(page.status, 403, "{page}");
    }
    // Nor does the My Number card itself, on its own listener.
    let id = leave.path.strip_prefix("/link/").unwrap();
    let page = house.with_my_number(Some(&card)).await.get(&format!("/enrol/{id}?lang=en")).await;
    assert_eq!(page.status, 403, "{page}");
    assert!(house.my_numbers(&doctor).await.is_empty());
    house.confirm_link(&leave, &doctor.card, "approve").await.expect(200);
    assert_eq!(house.my_numbers(&doctor).await.len(), 1);
}

/// A handshake from before the card was proved confirms nothing, and one confirms once.
#[tokio::test]
async fn handshake_that_began_does_not_confirm() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let card = house.my_number_card(&doctor);
    let leave = house.begin_link(&doctor.card).await;
    let id = leave.path.strip_prefix("/link/").unwrap();
    let (mut early, _) = house.link_page(&doctor.card).await;
    // Handshakes count in whole seconds.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    house.prove_link(&leave, &card).await.expect(200);
    let page = early.get(&format!("/enrol/{id}?lang=en&again=6")).await;
    assert!(page.status == 403 && !page.text().contains("form_token"), "{page}");
    house.confirm_link(&leave, &doctor.card, "approve").await.expect(200);
}

/// What is begun and left changes nothing, also over a restart.
#[tokio::test]
async fn card_that_waits_for_the_hpki_card_waits_over_a_restart() {
    let mut house = House::new(Plan::default()).await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let card = house.my_number_card(&doctor);
    let leave = house.begin_link(&doctor.card).await;
    house.prove_link(&leave, &card).await.expect(200);
    house.world.daemon.stop(std::time::Duration::from_secs(20));
    house.world.restart();
    assert!(house.my_numbers(&doctor).await.is_empty());
    house.confirm_link(&leave, &doctor.card, "approve").await.expect(200);
    house.sign_in_by_my_number(&card).await;
}
