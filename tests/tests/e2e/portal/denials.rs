//! Who gets nothing, and how little they learn.

use super::house::House;
use attest::danger_testing::SoftPhone;
use serde_json::Value;
use serde_json::json;
use std::time::Duration;
use tests::support::admin;
use tests::support::http::Reply;
use tests::support::pki::AUTHENTICATION_POLICY;
use tests::support::pki::Validity;
use tests::support::portal::field;
use tests::support::world::Plan;

/// What a page says, without what differs from page to page anyway: these words, and every number.
fn shape(page: &Reply, but: &[&str]) -> String {
    let request_id = page.request_id();
    let mut html = page.text();
    for word in but.iter().chain([&request_id.as_str()]) {
        html = html.replace(word, "-");
    }
    let mut shape: Vec<&str> = html.split(|c: char| c.is_ascii_digit()).collect();
    shape.retain(|part| !part.is_empty());
    shape.join("0")
}

/// The keys of a JSON value, all the way down, without the values.
fn keys(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            object.iter().map(|(key, value)| (key.clone(), keys(value))).collect()
        }
        Value::Array(values) => values.iter().map(keys).collect(),
        _ => Value::Null,
    }
}

fn told(reply: &Reply) -> (u16, Value) {
    let mut told = reply.json();
    if let Some(told) = told.as_object_mut() {
        told.remove("request_id");
    }
    (reply.status, told)
}

#[tokio::test]
async fn f19_unknown_holder_id_gets_equal_pages_and_an_equal_denial() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let without = house.doctor(Validity::CURRENT).await;
    let mut stranger = house.new_phone();
    let mut seen = Vec::new();
    for holder in [doctor.holder_id.as_str(), "nobody-of-denials", &without.holder_id] {
        let pending = house.clinic().ask_sign_in(None).await;
        let pc = house.hand_off(&pending, Some(holder)).await;
        let page = house.page(&pc).await.expect(200);
        let (link, number) = house.shown(&pc).await;
        let asked = house.phone_page(&link).await.expect(200);
        let question = house.ask(&link, &number.unwrap()).await;
        let answer = stranger.get(&question.options.to_string()).unwrap();
        let refused = house.finish(&link, &question.ceremony_id, &answer).await;
        // The page's own name stands in its link; the QR code is a picture of that.
        let id = link.split('.').next().unwrap();
        let page = shape(&page, &[holder, &link, id]);
        let (before, qr) = page.split_once("<svg").unwrap();
        let after = qr.split_once("</svg>").unwrap().1;
        let page = format!("{before}{after}");
        let asked = shape(&asked, &[holder, &link]);
        seen.push((page, asked, keys(&question.options), told(&refused)));
    }
    let lines = |page: &str| page.lines().map(str::to_owned).collect::<Vec<_>>();
    for other in &seen[1..] {
        for (known, other) in [(&seen[0].0, &other.0), (&seen[0].1, &other.1)] {
            let (known, other) = (lines(known), lines(other));
            let differs: Vec<_> = known.iter().zip(&other).filter(|(a, b)| a != b).collect();
            assert!(differs.is_empty() && known.len() == other.len(), "{differs:#?}");
        }
        assert_eq!((&seen[0].2, &seen[0].3), (&other.2, &other.3));
    }
    // The log has what nobody was told.
    let query = "holder=nobody-of-denials&event=sign_in_denied";
    let denied = tests::support::admin::audit_records(&house.world, query).await;
    assert_eq!(denied.len(), 1, "{denied:#?}");
    house.sign_in(&doctor, &mut phone).await;
}

#[tokio::test]
async fn number_wrong_five_times_ends_the_page() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off(&pending, None).await;
    let (link, number) = house.shown(&pc).await;
    let number = number.unwrap();
    for left in (0..5).rev() {
        let told = house.type_number(&link, "wrong").await.json();
        assert_eq!(told["state"], if left == 0 { "end" } else { "again" }, "{told}");
    }
    assert_ne!(house.type_number(&link, &number).await.status, 200);
    assert!(house.page_goes_on(&pc).await);
    assert_eq!(house.page(&pc).await.status, 403);
    // The number was of this page alone: the holder begins another.
    let pc = house.hand_off(&pending, None).await;
    house.approve(&pc, &mut phone).await.expect(200);
    house.code(&pc).await;
}

#[tokio::test]
async fn number_of_the_asking_screen_wrong_five_times_ends_the_sign_in() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let wanted = json!({ "holder": doctor.holder_id });
    let pending = house.clinic().ask_sign_in_with(&wanted).await;
    let pc = house.hand_off(&pending, None).await;
    let (link, shown) = house.shown(&pc).await;
    assert_eq!(shown, None, "the number is on the asking screen");
    // The right one approves, and stands for the code.
    let question = house.ask(&link, pending.number.as_deref().unwrap()).await;
    let answer = phone.get(&question.options.to_string()).unwrap();
    house.finish(&link, &question.ceremony_id, &answer).await.expect(200);
    let number = pending.number.as_deref().unwrap();
    house.clinic().activate(&pending.session_id, number).await.expect(200);

    let pending = house.clinic().ask_sign_in_with(&wanted).await;
    let pc = house.hand_off(&pending, None).await;
    let (link, _) = house.shown(&pc).await;
    for _ in 0..5 {
        house.type_number(&link, "wrong").await;
    }
    assert_eq!(house.clinic().state(&pending.session_id).await, "denied");
}

#[tokio::test]
async fn w8_phone_of_another_doctor_proves_nothing() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let (_, mut other) = house.doctor_with_phone().await;
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off(&pending, None).await;
    let refused = house.approve(&pc, &mut other).await;
    assert_ne!(refused.status, 200, "{refused}");
    assert_eq!(house.clinic().state(&pending.session_id).await, "pending");
    // The right one is not hindered.
    house.approve(&pc, &mut phone).await.expect(200);
}

#[tokio::test]
async fn w1_unverified_user_and_foreign_origin_prove_nothing() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off(&pending, None).await;
    let mut with = async |fault: fn(&mut SoftPhone), mend: fn(&mut SoftPhone, &str)| {
        fault(&mut phone);
        let refused = house.approve(&pc, &mut phone).await;
        mend(&mut phone, &house.origin());
        assert_ne!(refused.status, 200, "{refused}");
    };
    with(|phone| phone.flags = 0x01, |phone, _| phone.flags = 0x05).await;
    with(
        |phone| phone.origin = "https://evil.example".to_owned(),
        |phone, origin| phone.origin = origin.to_owned(),
    )
    .await;
    house.approve(&pc, &mut phone).await.expect(200);
    let denied = house.records(&doctor, "sign_in_denied").await;
    let codes: Vec<_> = denied.iter().filter_map(|one| one["event"]["code"].as_str()).collect();
    assert_eq!(codes, ["fido2_user_not_verified", "fido2_origin"]);
}

/// W13: the counter of a copied key goes back: refused, and the operators see it.
#[tokio::test]
async fn w13_counter_that_goes_back_is_refused_and_shown() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    house.sign_in(&doctor, &mut phone).await;
    phone.counter = 1;
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off(&pending, None).await;
    assert_ne!(house.approve(&pc, &mut phone).await.status, 200);
    let devices = house.devices(&doctor).await;
    assert!(devices[0]["counter_went_back_at"].is_string(), "{devices:?}");
}

#[tokio::test]
async fn holder_who_says_no_ends_page_and_sign_in() {
    let house = House::shared().await;
    let (doctor, _) = house.doctor_with_phone().await;
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off(&pending, None).await;
    let (link, _) = house.shown(&pc).await;
    house.deny(&link).await.expect(200);
    assert!(house.page_goes_on(&pc).await);
    assert_eq!(house.page(&pc).await.status, 403);
    assert_eq!(house.clinic().state(&pending.session_id).await, "denied");
}

/// F32: whoever has no certificate to sign with signs in by no method, and is told so.
#[tokio::test]
async fn f32_expired_second_certificate_refuses_every_method() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::for_seconds(10)).await;
    let mut phone = house.new_phone();
    house.enrol(&doctor.card, &mut phone).await.expect(200);
    tokio::time::sleep(Duration::from_secs(11)).await;
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off(&pending, None).await;
    let refused = house.approve(&pc, &mut phone).await;
    assert!(refused.text().contains("セカンド証明書"), "{refused}");
    let mut browser = house.world.portal().browser(Some(&doctor.card)).await;
    let page = browser.open(&pending.login_path).await;
    assert!(page.form_token.is_none() && page.reply.text().contains("second certificate"));
    let (_, page) = house.enrol_page(&doctor.card).await;
    assert!(page.text().contains("second certificate"), "{page}");
    assert_eq!(house.clinic().state(&pending.session_id).await, "pending");
}

#[tokio::test]
async fn f32_expired_card_ends_the_phone_as_well_and_a_lost_one_does_not() {
    let house = House::shared().await;
    let pki = &house.world.pki;
    let doctor = house.doctor(Validity::CURRENT).await;
    let mut phone = house.new_phone();
    house.enrol(&doctor.card, &mut phone).await.expect(200);
    // The card is lost: the phone goes on (F29).
    let listed = format!("GET /cards?holder={}", doctor.holder_id);
    let cards = admin::ask(&house.world, &pki.registrar, &listed, None).await.expect(200).json();
    let unlink = format!("DELETE /cards/{}", cards[0]["card"].as_str().unwrap());
    admin::ask(&house.world, &pki.registrar, &unlink, None).await.expect(200);
    house.sign_in(&doctor, &mut phone).await;
    // Another one is linked and ends: nothing does any more (F32), and the log has the reason.
    let validity = Validity::for_seconds(20);
    let card = pki.hpki_auth.card(&doctor.holder_id, AUTHENTICATION_POLICY, validity);
    let link = json!({ "holder_id": doctor.holder_id, "certificate_pem": card.pem() });
    admin::grant(&house.world, "POST /cards", Some(&link)).await;
    tokio::time::sleep(Duration::from_secs(21)).await;
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off(&pending, None).await;
    let refused = house.approve(&pc, &mut phone).await;
    assert!(refused.text().contains("HPKIカードの有効期限が切れています"), "{refused}");
    let query = format!("event=sign_in_denied&holder={}", doctor.holder_id);
    let records = admin::audit_records(&house.world, &query).await;
    let codes: Vec<_> = records.iter().map(|record| &record["event"]["code"]).collect();
    assert!(codes.iter().any(|code| **code == "entitlement_over"), "{codes:?}");
}

/// Browsers connect ahead: a page that meets such a handshake asks for another, and nobody is accused.
#[tokio::test]
async fn page_that_is_opened_over_an_older_handshake_writes_no_record() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let (mut connection, _) = house.enrol_page(&doctor.card).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let again = connection.get(&pending.login_path).await.expect(303);
    assert!(again.header("location").contains("again=1"), "{again}");
    let denied = house.records(&doctor, "sign_in_denied").await;
    assert!(denied.is_empty(), "{denied:?}");
}

/// Where there is no link, a handshake is too old once its time is over. A form over it is another matter.
#[tokio::test]
async fn page_of_a_registration_over_an_older_handshake_writes_no_record_and_its_form_does() {
    let mut house = House::new(Plan::default()).await;
    let config = &house.world.launch.config;
    let shorter = "[hpki]\nhandshake_seconds = 10\n";
    let toml = std::fs::read_to_string(config).unwrap().replace("[hpki]\n", shorter);
    std::fs::write(config, toml).unwrap();
    assert!(house.world.daemon.stop(Duration::from_secs(10)).is_some());
    house.world.restart();
    let doctor = house.doctor(Validity::CURRENT).await;
    let (mut enrol, _) = house.enrol_page(&doctor.card).await;
    let (mut link, _) = house.link_page(&doctor.card).await;
    let (mut form, page) = house.enrol_page(&doctor.card).await;
    let form_token = field(&page.text(), "form_token").unwrap();
    tokio::time::sleep(Duration::from_secs(12)).await;
    for (connection, path) in [(&mut enrol, "/enrol"), (&mut link, "/link")] {
        let again = connection.get(path).await.expect(303);
        assert!(again.header("location").contains("again=1"), "{again}");
    }
    let denials = async || admin::audit_records(&house.world, "event=denial").await;
    let denied = denials().await;
    assert!(denied.is_empty(), "{denied:?}");
    let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
    let body = format!("form_token={form_token}");
    form.ask("POST /enrol", headers, body.as_bytes()).await.expect(403);
    let denied = denials().await;
    assert_eq!(denied.len(), 1, "{denied:?}");
    assert_eq!(denied[0]["event"]["code"], "evidence_not_fresh");
}

#[tokio::test]
async fn without_a_portal_a_phone_is_refused_and_cards_go_on() {
    let house =
        House::new(Plan { tune: |settings| settings.portal = false, ..Plan::default() }).await;
    let wanted = json!({ "methods": ["fido2"] });
    let mut clinic = house.clinic().connect().await;
    let refused = clinic.post_json("/v1/sessions", &wanted).await;
    assert!(refused.text().contains("no portal"), "{refused}");
    refused.expect_problem(403, "factor_refused");
    let pending = house.clinic().ask_sign_in(None).await;
    house
        .world
        .portal()
        .approve(&house.world.pki.card, &pending.login_path, None)
        .await
        .expect(303);
}
