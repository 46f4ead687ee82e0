//! `purpose: once` by phone: what the phone shows is what the evidence names and what is signed.

use super::house::House;
use attest::evidence::Fido2Evidence;
use attest::evidence::Purpose;
use attest::evidence::RelyingParty;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use tests::support::cms;
use tests::support::doctor::Doctor;
use tests::support::ehr::Session;
use tests::support::ehr::Sign;
use tests::support::ehr::entry;
use tests::support::ehr::once;
use tests::support::ehr::sha256_b64;
use tests::support::ehr::sign_digests;
use tests::support::http::Reply;

fn content(doctor: &Doctor, octets: &[u8], label: &str) -> Value {
    entry("content", &doctor.credential_id, octets, label)
}

async fn sign(house: &House, doctor: &Doctor, session: &Session, octets: &[u8]) -> Reply {
    let sign = Sign {
        token: &session.token,
        credential: Some(&doctor.credential_id),
        content: octets,
        ..Sign::default()
    };
    sign.send(&mut house.clinic().connect().await).await
}

async fn sign_digest(house: &House, doctor: &Doctor, session: &Session, octets: &[u8]) -> Reply {
    let item = json!({ "id": "x", "alg": "sha-256", "digest": sha256_b64(octets) });
    let body = json!({ "credential": doctor.credential_id, "output": "raw", "items": [item] });
    sign_digests(&mut house.clinic().connect().await, &session.token, &body).await
}

#[tokio::test]
async fn w6_phone_approves_what_it_shows_and_nothing_else_is_signed() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let entries = [
        content(&doctor, b"a", "処方箋 1"),
        entry("dtbsr", &doctor.credential_id, b"signed info", "電子処方箋 2"),
    ];
    let wanted = once(&doctor.holder_id, &entries);
    let pending = house.clinic().ask_sign_in_with(&wanted).await;
    let pc = house.hand_off(&pending, None).await;
    let (link, number) = house.shown(&pc).await;
    let page = house.phone_page(&link).await.expect(200).text();
    for seen in
        ["処方箋 1", "電子処方箋 2", "only the 2 signatures below, each once, within 5 minutes"]
    {
        assert!(page.contains(seen), "{seen}: {page}");
    }
    // The PC's page is for whoever has the login link, and says nothing of them.
    assert!(!house.page(&pc).await.text().contains("処方箋"));
    let question = house.ask(&link, &number.unwrap()).await;
    let answer = phone.get(&question.options.to_string()).unwrap();
    house.finish(&link, &question.ceremony_id, &answer).await.expect(200);
    let code = house.code(&pc).await;
    let active = house.clinic().activate(&pending.session_id, &code).await.expect(200).json();
    assert_eq!((&active["purpose"], &active["remaining_entries"]), (&json!("once"), &json!(2)));
    let token = active["signing_token"].as_str().unwrap().to_owned();
    let session = Session { session_id: pending.session_id, token, answer: active };

    let not_approved = "digest_not_authorized";
    sign(house, &doctor, &session, b"b").await.expect_problem(403, not_approved);
    sign(house, &doctor, &session, b"signed info").await.expect_problem(403, not_approved);
    sign_digest(house, &doctor, &session, b"a").await.expect_problem(403, not_approved);
    let signed = sign(house, &doctor, &session, b"a").await.expect(200);
    cms::assert_good(&house.world, &signed.body, b"a", true);
    let raw = sign_digest(house, &doctor, &session, b"signed info").await.expect(200).json();
    let signature = STANDARD.decode(raw["items"][0]["signature"].as_str().unwrap()).unwrap();
    let path = format!("/v1/credentials?holder={}", doctor.holder_id);
    let listed = house.clinic().connect().await.get(&path).await.expect(200).json();
    let leaf = STANDARD.decode(listed[0]["chain"][0].as_str().unwrap()).unwrap();
    let dtbsr = STANDARD.decode(sha256_b64(b"signed info")).unwrap();
    cms::assert_raw_good(&house.world, &leaf, &dtbsr, &signature);
    assert_eq!(house.clinic().state(&session.session_id).await, "ended");
}

/// The list is in the log before the question, the question before the answer, and the answer proves both again.
#[tokio::test]
async fn evidence_names_the_list_that_was_recorded_before_anybody_saw_it() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let wanted =
        once(&doctor.holder_id, &[content(&doctor, b"a", "A"), content(&doctor, b"b", "B")]);
    house.sign_in_with(&mut phone, &wanted).await;
    let mut records = Vec::new();
    for kind in ["activation_asked", "sign_in_asked", "sign_in_approved"] {
        let found = house.records(&doctor, kind).await;
        let [one] = found.as_slice() else { panic!("{kind}: {found:#?}") };
        records.push(one.clone());
    }
    let [listed, asked, approved] = records.as_slice() else { panic!() };
    assert!(listed["seq"].as_u64() < asked["seq"].as_u64());
    assert!(asked["seq"].as_u64() < approved["seq"].as_u64());
    let json = approved["event"]["evidence_json"].as_str().unwrap();
    let evidence: Fido2Evidence = serde_json::from_str(json).unwrap();
    evidence.check(&RelyingParty::new(&house.origin(), "Inkan").unwrap()).unwrap();
    assert_eq!(evidence.approved.purpose, Purpose::Once);
    assert_eq!(evidence.approved.limits.signatures, 2);
    let digest = json!(evidence.approved.entries);
    assert!(digest.is_string());
    for record in [&listed["event"]["digest"], &asked["event"]["binding"]["entries"]] {
        assert_eq!(*record, digest);
    }
    assert_eq!(approved["event"]["entries"], digest);
}

#[tokio::test]
async fn logout_ends_an_activation_with_entries_left() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let wanted =
        once(&doctor.holder_id, &[content(&doctor, b"a", "A"), content(&doctor, b"b", "B")]);
    let session = house.sign_in_with(&mut phone, &wanted).await;
    sign(house, &doctor, &session, b"a").await.expect(200);
    house.clinic().log_out(&session.session_id).await.expect(204);
    sign(house, &doctor, &session, b"b").await.expect_problem(401, "session_ended");
}

#[tokio::test]
async fn my_number_card_approves_what_its_page_lists_and_nothing_else_is_signed() {
    let house = House::shared().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    let mut wanted = once(&doctor.holder_id, &[content(&doctor, b"a", "処方箋 1")]);
    wanted["methods"] = json!(["jpki"]);
    let pending = house.clinic().ask_sign_in_with(&wanted).await;
    let page = house.my_number_page(&pending, &card).await.expect(200).text();
    assert!(page.contains("処方箋 1") && page.contains("only the signature below"), "{page}");
    let portal = house.world.jpki_portal();
    let confirmed = portal.approve(&card, &pending.login_path, None).await.expect(303);
    let code = tests::support::portal::code_of(&confirmed);
    let active = house.clinic().activate(&pending.session_id, &code).await.expect(200).json();
    let token = active["signing_token"].as_str().unwrap().to_owned();
    let session = Session { session_id: pending.session_id, token, answer: active };
    sign(house, &doctor, &session, b"b").await.expect_problem(403, "digest_not_authorized");
    let signed = sign(house, &doctor, &session, b"a").await.expect(200);
    cms::assert_good(&house.world, &signed.body, b"a", true);
    let asked = house.records(&doctor, "activation_asked").await;
    let approved = house.records(&doctor, "sign_in_approved").await;
    assert_eq!(asked[0]["event"]["digest"], approved[0]["event"]["entries"]);
}
