//! A holder who leaves for good leaves nothing behind that anybody could use, and keeps no card from whoever has it next.

use super::house::House;
use serde_json::Value;
use serde_json::json;
use tests::support::admin;
use tests::support::doctor::Doctor;
use tests::support::letter::issue;
use tests::support::letter::letter;
use tests::support::pki::Validity;

async fn retire(house: &House, doctor: &Doctor) -> Value {
    let line = format!("POST /holders/{}/retire", doctor.holder_id);
    let left = json!({ "reason": "退職" });
    admin::grant(&house.world, &line, Some(&left)).await.json()
}

/// What went, as the audit log has it: what, by whom proposed and approved.
async fn removed(house: &House, doctor: &Doctor) -> Vec<String> {
    let records = house.records(doctor, "trust_changed").await;
    let mut removed: Vec<_> = records
        .iter()
        .map(|record| &record["event"])
        .filter(|event| event["change"] == "removed" && event["approved_by"] != json!([]))
        .map(|event| event["what"].as_str().unwrap().to_owned())
        .collect();
    removed.sort();
    removed
}

async fn list(house: &House, what: &str, doctor: &Doctor) -> Value {
    let line = format!("GET /{what}?holder={}", doctor.holder_id);
    admin::ask(&house.world, &house.world.pki.registrar, &line, None).await.expect(200).json()
}

#[tokio::test]
async fn cards_and_phone_of_a_retired_holder_go_with_them_and_prove_another_holder_later() {
    let house = House::shared().await;
    let (doctor, my_number) = house.doctor_with_my_number().await;
    let mut phone = house.new_phone();
    house.enrol(&doctor.card, &mut phone).await.expect(200);
    house.enrol_key(&doctor.card, &mut house.new_key()).await;
    let session = house.sign_in(&doctor, &mut phone).await;
    assert_eq!(retire(house, &doctor).await["sessions_ended"], 1);

    house.sign(&session).await.expect_problem(403, "holder_disabled");
    for what in ["cards", "devices", "jpki"] {
        assert_eq!(list(house, what, &doctor).await, json!([]), "{what}");
    }
    assert_eq!(
        removed(house, &doctor).await,
        ["card", "device", "device", "holder", "my_number_card"]
    );
    let line = format!("GET /holders/{}", doctor.holder_id);
    let shown = admin::ask(&house.world, &house.world.pki.auditor, &line, None).await.json();
    assert_eq!(shown["taken"].as_array().unwrap().len(), 4, "{shown:#}");
    assert_eq!(shown["findings"].as_array().unwrap().len(), 1, "nothing is advised: {shown:#}");

    // No card is linked to who left.
    let link = json!({ "holder_id": doctor.holder_id, "certificate_pem": doctor.card.pem() });
    let registrar = &house.world.pki.registrar;
    let refused = admin::ask(&house.world, registrar, "POST /cards", Some(&link)).await;
    refused.expect_problem(409, "conflict");

    // The same cards are another holder's.
    let holder_id = format!("{}-again", doctor.holder_id);
    let again = Doctor { credential_id: format!("{holder_id}-key"), holder_id, card: doctor.card };
    let holder = json!({ "holder_id": again.holder_id, "display_name": "Again" });
    admin::grant(&house.world, "POST /holders", Some(&holder)).await;
    let link = json!({ "holder_id": again.holder_id, "certificate_pem": again.card.pem() });
    admin::grant(&house.world, "POST /cards", Some(&link)).await;
    let (key, holder) = (&again.credential_id, &again.holder_id);
    house.world.enrol_key(key, holder, "p-256", Validity::CURRENT).await;
    house.link(&again, &my_number).await.expect(200);
    let session = house.sign_in_by_my_number(&my_number).await;
    assert_eq!(session.answer["holder"], again.holder_id.as_str());
    house.sign(&session).await.expect(200);
}

#[tokio::test]
async fn notification_card_of_a_retired_holder_is_withdrawn() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let sheets = issue(&house.world, &doctor.holder_id).await;
    retire(house, &doctor).await;
    assert_eq!(letter(&house.world, &doctor.holder_id).await["state"], "withdrawn");
    assert_eq!(removed(house, &doctor).await, ["card", "holder", "notification_card"]);
    let form = format!("password={}&lang=en", sheets.password);
    assert_ne!(house.post_form(&sheets.path, &form).await.status, 303);
}

#[tokio::test]
async fn phone_proved_for_a_holder_who_retires_meanwhile_is_registered_for_nobody() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let pc = house.begin_enrolment(&doctor.card).await;
    house.prove_new(&pc, &mut house.new_phone()).await.expect(200);
    retire(house, &doctor).await;
    assert_eq!(house.confirm_enrolment(&pc, &doctor.card, "approve").await.status, 403);
    assert_eq!(list(house, "devices", &doctor).await, json!([]));
}

/// What two approved is what both read: a phone that came in between is another decision.
#[tokio::test]
async fn phone_registered_after_the_proposal_to_retire_makes_it_another_proposal() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let line = format!("POST /holders/{}/retire", doctor.holder_id);
    let pki = &house.world.pki;
    let proposal = admin::propose(&house.world, &pki.registrar, &line, None).await;
    house.enrol(&doctor.card, &mut house.new_phone()).await.expect(200);
    let approve = format!("POST /proposals/{proposal}/approve");
    let refused = admin::ask(&house.world, &pki.officer, &approve, None).await;
    refused.expect_problem(409, "conflict");
    assert_eq!(list(house, "devices", &doctor).await.as_array().unwrap().len(), 1);
}
