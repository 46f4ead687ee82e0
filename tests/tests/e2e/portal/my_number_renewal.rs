//! A renewed My Number card takes the place of the one before at its holder's next sign-in, where the provider vouches.

use super::added::card_page;
use super::house::House;
use serde_json::Value;
use serde_json::json;
use std::time::Duration;
use std::time::Instant;
use tests::support::admin;
use tests::support::config::Settings;
use tests::support::jpki_provider::Provider;
use tests::support::jpki_vouching::EVERYBODY;
use tests::support::jpki_vouching::TIMEOUT;
use tests::support::jpki_vouching::Told;
use tests::support::jpki_vouching::sha256;
use tests::support::jpki_vouching::vouch;
use tests::support::pki::Validity;
use tests::support::world::Plan;

/// A house whose provider says what it is told to.
async fn house() -> (House, Provider, Told) {
    let tune = |settings: &mut Settings| settings.crl_refresh_seconds = 1;
    let mut house = House::new(Plan { tune, ..Plan::default() }).await;
    let (provider, told) = house.world.ask_vouching_provider();
    (house, provider, told)
}

/// An answer is remembered to the end of its second, whatever the configuration.
async fn forgotten() {
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

#[tokio::test]
async fn f28_renewed_card_takes_the_place_of_the_one_before_at_the_next_sign_in() {
    let (house, _provider, told) = house().await;
    let (doctor, old) = house.doctor_with_my_number().await;
    let session = house.sign_in_by_my_number(&old).await;
    let before = house.my_numbers(&doctor).await;
    let new = house.world.pki.jpki.my_number_card("renewed", Validity::CURRENT);
    // Without the provider's word it is a card like any other.
    let pending = house.ask_my_number(None).await;
    let page = house.my_number_page(&pending, &new).await.expect(403);
    assert!(page.text().contains("Register it again with your HPKI card"), "{page}");
    vouch(&told, &house.world.pki.jpki, &new, &old);
    forgotten().await;
    // Looking at the page changes nothing.
    house.my_number_page(&pending, &new).await.expect(200);
    assert_eq!(house.my_numbers(&doctor).await, before);
    let renewed = house.sign_in_by_my_number(&new).await;
    house.sign(&renewed).await.expect(200);
    let after = house.my_numbers(&doctor).await;
    assert_eq!(after.len(), 1);
    assert_ne!(after[0]["card"], before[0]["card"]);
    assert_eq!(after[0]["linked_at"], before[0]["linked_at"]);
    assert!(after[0]["renewed_at"].is_string(), "{after:?}");
    let page = card_page(&house, &doctor).await;
    assert!(page.contains("renewed My Number card") && page.contains("127.0.0.1"), "{page}");
    // What rested on the old certificate is over, and it serves no more.
    house.sign(&session).await.expect_problem(401, "session_ended");
    house.my_number_page(&pending, &old).await.expect(403);
    let records = house.records(&doctor, "trust_changed").await;
    let of_cards = records.iter().filter(|record| record["event"]["what"] == "my_number_card");
    let changes: Vec<_> = of_cards.map(|record| record["event"]["change"].clone()).collect();
    assert_eq!(changes, ["granted", "granted", "removed"]);
}

#[tokio::test]
async fn wrong_number_moves_no_registration_and_the_right_one_does() {
    let (house, _provider, told) = house().await;
    let (doctor, old) = house.doctor_with_my_number().await;
    let before = house.my_numbers(&doctor).await;
    let new = house.world.pki.jpki.my_number_card("renewed", Validity::CURRENT);
    vouch(&told, &house.world.pki.jpki, &new, &old);
    let pending = house.clinic().ask_sign_in_with(&json!({ "methods": ["jpki"] })).await;
    let number = pending.number.clone().unwrap();
    let wrong: String = number.chars().map(|at| if at == '0' { '1' } else { '0' }).collect();
    let portal = house.world.jpki_portal();
    portal.approve(&new, &pending.login_path, Some(&wrong)).await.expect(403);
    assert_eq!(house.my_numbers(&doctor).await, before);
    portal.approve(&new, &pending.login_path, Some(&number)).await.expect(200);
    let after = house.my_numbers(&doctor).await;
    assert!(after[0]["renewed_at"].is_string() && after[0]["card"] != before[0]["card"]);
}

#[tokio::test]
async fn provider_that_revokes_or_is_gone_lets_nobody_in() {
    let (house, provider, told) = house().await;
    let (_, card) = house.doctor_with_my_number().await;
    let pending = house.ask_my_number(None).await;
    let revoked = json!({
        "certificate_sha256": sha256(&card.der), "status": "revoked",
        "revoked_at": "2026-01-10T02:00:00Z", "reason": "affiliation_changed",
    });
    told.lock().unwrap().insert(sha256(&card.der), revoked);
    forgotten().await;
    let page = house.my_number_page(&pending, &card).await.expect(403);
    assert!(page.text().contains("certificate is revoked"), "{page}");
    told.lock().unwrap().clear();
    forgotten().await;
    house.my_number_page(&pending, &card).await.expect(200);
    drop(provider);
    forgotten().await;
    let page = house.my_number_page(&pending, &card).await.expect(503);
    assert!(page.text().contains("The card cannot be checked"), "{page}");
}

#[tokio::test]
async fn slow_provider_holds_up_no_start_no_operator_and_no_revocation() {
    let (mut house, _provider, told) = house().await;
    let mut sessions = Vec::new();
    for _doctor in 0..3 {
        let (_, card) = house.doctor_with_my_number().await;
        sessions.push(house.sign_in_by_my_number(&card).await);
    }
    told.lock().unwrap().insert(EVERYBODY.to_owned(), Value::Null);
    forgotten().await;
    // Each of these asked about every session before it came to an end.
    let begun = Instant::now();
    assert!(house.world.daemon.stop(Duration::from_secs(20)).is_some());
    house.world.restart();
    assert!(begun.elapsed() < TIMEOUT, "the start took {:?}", begun.elapsed());
    let ehr = house.world.ehr();
    let by_card = ehr.sign_in(&house.world.pki.card).await;
    let begun = Instant::now();
    let on = json!({ "on": true });
    admin::grant(&house.world, "POST /test-mode", Some(&on)).await;
    assert!(begun.elapsed() < TIMEOUT, "the operators took {:?}", begun.elapsed());
    let (begun, pki) = (Instant::now(), &house.world.pki);
    pki.hpki_auth.write_crl(2, &[&pki.card], time::Duration::days(4));
    while ehr.state(&by_card.session_id).await != "ended" {
        assert!(begun.elapsed() < TIMEOUT, "a revoked card still signs");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Nobody knows of the others: they sign nothing, and live on.
    for session in &sessions {
        house.sign(session).await.expect_problem(503, "revocation_unavailable");
    }
}
