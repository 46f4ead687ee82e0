//! My Number cards: registered by the HPKI card, signed in with, registering phones, unlinked by operators.

use super::house::House;
use super::house::Pc;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tests::support::admin;
use tests::support::doctor::Doctor;
use tests::support::http::Reply;
use tests::support::pki::Pair;
use tests::support::pki::Validity;
use tests::support::portal::code_of;

impl House {
    async fn unlink(&self, doctor: &Doctor) -> Reply {
        let cards = self.my_numbers(doctor).await;
        let line = format!("DELETE /jpki/{}", cards[0]["card"].as_str().unwrap());
        admin::ask(&self.world, &self.world.pki.registrar, &line, None).await
    }

    /// The My Number card is shown again for the phone that was proved.
    pub async fn confirm_by_my_number(&self, pc: &Pc, card: &Pair) -> Reply {
        let mut connection = self.with_my_number(Some(card)).await;
        let page = connection.get(&format!("/enrol/{}?lang=en", pc.id)).await;
        self.decide_again(&pc.id, (connection, page), "approve").await
    }

    /// The My Number card allows a phone; the browser is on the page that waits for it.
    async fn begin_enrolment_by_my_number(&self, card: &Pair) -> Pc {
        let mut connection = self.with_my_number(Some(card)).await;
        let page = connection.get("/enrol?lang=en").await;
        self.allow_phone(connection, &page).await
    }
}

/// Whether a file under `folder` has these octets.
fn holds(folder: &Path, octets: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => holds(&path, octets),
            false => {
                let file = std::fs::read(&path).unwrap();
                file.windows(octets.len()).any(|window| window == octets)
            }
        }
    })
}

#[tokio::test]
async fn card_registered_by_the_hpki_card_signs_in_and_signs() {
    let house = House::shared().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    let session = house.sign_in_by_my_number(&card).await;
    assert_eq!(session.answer["method"], "jpki");
    assert_eq!(session.answer["holder"], doctor.holder_id.as_str());
    house.sign(&session).await.expect(200);
    let cards = house.my_numbers(&doctor).await;
    assert_eq!((cards.len(), &cards[0]["enrolled_by"]), (1, &json!("hpki")));
    assert_eq!(cards[0]["renewed_at"], Value::Null);
    let inkan = house.world.inkan(&["jpki", "list", "--holder", &doctor.holder_id]);
    let listed = String::from_utf8_lossy(&inkan.stdout).into_owned();
    assert!(listed.contains(cards[0]["card"].as_str().unwrap()), "{listed}");
}

#[tokio::test]
async fn what_was_proved_is_recorded_and_lies_nowhere_in_clear() {
    let house = House::shared().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    house.sign_in_by_my_number(&card).await;
    let begun = house.records(&doctor, "enrolment_started").await;
    let methods: Vec<_> = begun.iter().map(|record| &record["event"]["method"]).collect();
    assert_eq!(methods, ["hpki", "jpki"]);
    assert_eq!(begun[0]["event"]["ticket"], begun[1]["event"]["ticket"]);
    let approved = &house.records(&doctor, "sign_in_approved").await[0]["event"];
    let evidence: Value =
        serde_json::from_str(approved["evidence_json"].as_str().unwrap()).unwrap();
    assert_eq!(evidence["kind"], "jpki");
    assert_eq!(evidence["digest"].as_str().unwrap().len(), 64);
    assert!(evidence["sealed"].as_str().unwrap().len() > 1_000);
    // The subject stands in every encoding of the certificate that is not sealed.
    let name = format!("997794E9-{}", doctor.holder_id);
    let data = &house.world.data_dir;
    for clear in [name.into_bytes(), card.der.to_vec(), STANDARD.encode(&card.der).into_bytes()] {
        assert!(!holds(data, &clear));
    }
    let hpki = STANDARD.encode(&doctor.card.der).into_bytes();
    assert!(holds(data, &hpki[..200]), "the search finds what is there");
}

#[tokio::test]
async fn session_is_judged_again_from_what_was_sealed_after_a_restart() {
    let mut house = House::new(Default::default()).await;
    let (_, card) = house.doctor_with_my_number().await;
    let session = house.sign_in_by_my_number(&card).await;
    assert!(house.world.daemon.stop(Duration::from_secs(10)).is_some());
    house.world.restart();
    house.sign(&session).await.expect(200);
    house.sign_in_by_my_number(&card).await;
}

#[tokio::test]
async fn another_card_replaces_the_one_before_once_the_holder_agreed() {
    let house = House::shared().await;
    let (doctor, first) = house.doctor_with_my_number().await;
    let session = house.sign_in_by_my_number(&first).await;
    let second = house.world.pki.jpki.my_number_card("second", Validity::CURRENT);
    let (_, page) = house.link_page(&doctor.card).await;
    assert!(page.text().contains("is registered already"), "{page}");
    house.link(&doctor, &second).await.expect(200);
    assert_eq!(house.my_numbers(&doctor).await.len(), 1);
    house.sign(&session).await.expect_problem(401, "session_ended");
    house.sign_in_by_my_number(&second).await;
    let pending = house.ask_my_number(None).await;
    let page = house.my_number_page(&pending, &first).await.expect(403);
    assert!(page.text().contains("not registered here"), "{page}");
}

#[tokio::test]
async fn operator_removes_a_card_at_once_with_its_sessions() {
    let house = House::shared().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    let session = house.sign_in_by_my_number(&card).await;
    let pending = house.ask_my_number(None).await;
    let portal = house.world.jpki_portal();
    let confirmed = portal.approve(&card, &pending.login_path, None).await.expect(303);
    let done = house.unlink(&doctor).await.expect(200).json();
    assert_eq!(done["sessions_ended"], 1, "{done}");
    house.sign(&session).await.expect_problem(401, "session_ended");
    let activated = house.clinic().activate(&pending.session_id, &code_of(&confirmed)).await;
    assert_eq!(activated.status, 403, "{activated}");
    assert!(house.my_numbers(&doctor).await.is_empty());
    let pending = house.ask_my_number(None).await;
    let page = house.my_number_page(&pending, &card).await.expect(403);
    assert!(page.text().contains("Register it again with your HPKI card"), "{page}");
    // And it can be registered again.
    house.link(&doctor, &card).await.expect(200);
    house.sign_in_by_my_number(&card).await;
}

#[tokio::test]
async fn phone_is_registered_by_the_my_number_card() {
    let house = House::without_wait().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    let mut phone = house.new_phone();
    let pc = house.begin_enrolment_by_my_number(&card).await;
    house.prove_new(&pc, &mut phone).await.expect(200);
    let page = house.page(&pc).await.expect(200).text();
    let jpki = format!("https://localhost:{}/enrol/", house.world.ports.jpki.port());
    assert!(page.contains(&jpki), "the same card confirms: {page}");
    house.confirm_by_my_number(&pc, &card).await.expect(200);
    let devices = house.devices(&doctor).await;
    assert_eq!(devices[0]["enrolled_by"], "jpki");
    assert_eq!(devices[0]["enrolled_by_factor"], house.my_numbers(&doctor).await[0]["card"]);
    house.sign_in(&doctor, &mut phone).await;
}

#[tokio::test]
async fn card_that_is_not_linked_any_more_registers_no_phone() {
    let house = House::without_wait().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    let pc = house.begin_enrolment_by_my_number(&card).await;
    house.prove_new(&pc, &mut house.new_phone()).await.expect(200);
    house.unlink(&doctor).await.expect(200);
    assert_eq!(house.confirm_by_my_number(&pc, &card).await.status, 403);
    // Nor does the HPKI card confirm what the other one began.
    assert_eq!(house.confirm_enrolment(&pc, &doctor.card, "approve").await.status, 403);
    assert!(house.devices(&doctor).await.is_empty());
}

#[tokio::test]
async fn portal_offers_the_card_where_it_is_a_method() {
    let house = House::shared().await;
    let page = house.get("/?lang=en").await.expect(200).text();
    let jpki = format!("https://localhost:{}", house.world.ports.jpki.port());
    assert!(page.contains(&format!("href=\"{jpki}/enrol?lang=en\"")), "{page}");
    let pending = house.clinic().ask_sign_in(None).await;
    let page = house.get(&pending.login_path).await.expect(200).text();
    assert!(page.contains("<input type=\"hidden\" name=\"card\" value=\"jpki\">"), "{page}");
    let path = format!("{}/card", pending.login_path);
    let led = house.post_form(&path, "card=jpki&lang=ja").await.expect(303);
    let to = format!("{jpki}{}?lang=ja", pending.login_path);
    assert_eq!(led.header("location"), to);
}

/// Whoever linked a card of their own in the holder's absence gets no further with it today.
#[tokio::test]
async fn card_linked_today_registers_no_phone() {
    let house = House::shared().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    let page = house.with_my_number(Some(&card)).await.get("/enrol?lang=en").await.expect(403);
    // A whole day, to the second, or less.
    let told = page.text();
    assert!(told.contains("It can in 24 hours") || told.contains("It can in 23 hours"), "{page}");
    assert!(house.devices(&doctor).await.is_empty());
    house.sign_in_by_my_number(&card).await;
}
