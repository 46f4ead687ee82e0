//! The whole way by phone, and who wins when two go it at once.

use super::house::House;
use attest::evidence::Fido2Evidence;
use attest::evidence::RelyingParty;
use tests::support::cms;
use tests::support::ehr::Sign;
use tests::support::portal::code_of;
use tests::support::world::RETURN_URL;

#[tokio::test]
async fn phone_enrolled_by_card_signs_in_and_signs() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let session = house.sign_in(&doctor, &mut phone).await;
    assert_eq!(session.answer["method"], "fido2");
    assert_eq!(session.answer["holder"], doctor.holder_id.as_str());
    let sign = Sign {
        token: &session.token,
        credential: Some(&doctor.credential_id),
        content: b"letter",
        ..Sign::default()
    };
    let signed = sign.send(&mut house.clinic().connect().await).await.expect(200);
    cms::assert_good(&house.world, &signed.body, b"letter", true);
}

#[tokio::test]
async fn login_link_leads_to_the_portal_only_where_a_phone_will_do() {
    let house = House::shared().await;
    let card_only = house.world.ehr().ask_sign_in(None).await;
    let port = house.world.ports.hpki.port();
    assert!(card_only.login_url.starts_with(&format!("https://localhost:{port}/login/")));
    let either = house.clinic().ask_sign_in(None).await;
    assert!(either.login_url.starts_with(&format!("{}/login/", house.origin())));
    let page = house.get(&either.login_path).await.expect(200).text();
    assert!(page.contains("外来") && page.contains("holder_id"), "{page}");
    let card = house.choose_card(&either.login_path).await.expect(303);
    let there = format!("https://localhost:{port}{}?lang=ja", either.login_path);
    assert_eq!(card.header("location"), there, "{page}");
    let wanted = serde_json::json!({ "methods": ["hpki"], "return_url": RETURN_URL });
    let asked = house.clinic().ask_sign_in_with(&wanted).await;
    assert!(asked.login_url.starts_with(&format!("https://localhost:{port}/login/")));
}

/// What was approved is in the log under its challenge before anybody could approve it, and proves itself again.
#[tokio::test]
async fn evidence_in_the_log_proves_what_was_recorded_before_it() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    house.sign_in(&doctor, &mut phone).await;
    let asked = house.records(&doctor, "sign_in_asked").await;
    let approved = house.records(&doctor, "sign_in_approved").await;
    let ([asked], [approved]) = (asked.as_slice(), approved.as_slice()) else {
        panic!("{asked:#?} {approved:#?}")
    };
    assert!(asked["seq"].as_u64() < approved["seq"].as_u64());
    let json = approved["event"]["evidence_json"].as_str().unwrap();
    let evidence: Fido2Evidence = serde_json::from_str(json).unwrap();
    evidence.check(&RelyingParty::new(&house.origin(), "Inkan").unwrap()).unwrap();
    assert_eq!(serde_json::to_value(&evidence.approved).unwrap(), asked["event"]["binding"]);
    let client_data = String::from_utf8(evidence.client_data_json).unwrap();
    assert!(client_data.contains(asked["event"]["challenge"].as_str().unwrap()));
}

#[tokio::test]
async fn w8_two_pages_racing_give_one_session() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    for _round in 0..5 {
        let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
        let mut answers = Vec::new();
        for _page in 0..2 {
            let pc = house.hand_off(&pending, None).await;
            let (link, number) = house.shown(&pc).await;
            let question = house.ask(&link, &number.unwrap()).await;
            let answer = phone.get(&question.options.to_string()).unwrap();
            answers.push((pc, link, question.ceremony_id, answer));
        }
        let [one, two] = answers.as_slice() else { panic!() };
        tokio::join!(house.finish(&one.1, &one.2, &one.3), house.finish(&two.1, &two.2, &two.3),);
        let (first, second) = (house.page(&one.0).await, house.page(&two.0).await);
        let won: Vec<_> = [&first, &second].into_iter().filter(|page| page.status == 303).collect();
        assert_eq!(won.len(), 1, "{first} / {second}");
        house.clinic().activate(&pending.session_id, &code_of(won[0])).await.expect(200);
    }
}

#[tokio::test]
async fn w8_link_and_answer_work_once() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off(&pending, None).await;
    let (link, number) = house.shown(&pc).await;
    let question = house.ask(&link, number.as_deref().unwrap()).await;
    let answer = phone.get(&question.options.to_string()).unwrap();
    house.finish(&link, &question.ceremony_id, &answer).await.expect(200);
    let again = house.finish(&link, &question.ceremony_id, &answer).await;
    assert_ne!(again.status, 200, "{again}");
    assert_ne!(house.phone_page(&link).await.status, 200);
    assert_ne!(house.type_number(&link, &number.unwrap()).await.status, 200);
    // Loading the page again shows the same, until the code was used.
    let code = house.code(&pc).await;
    assert_eq!(house.code(&pc).await, code);
    house.clinic().activate(&pending.session_id, &code).await.expect(200);
    assert_eq!(house.page(&pc).await.status, 200);
}

/// Looking is free: scanners and mail filters follow links.
#[tokio::test]
async fn w9_get_changes_nothing() {
    let house = House::shared().await;
    let (doctor, mut phone) = house.doctor_with_phone().await;
    let pending = house.clinic().ask_sign_in(Some(&doctor.holder_id)).await;
    let pc = house.hand_off(&pending, None).await;
    let before = house.shown(&pc).await;
    for _look in 0..3 {
        let page = house.phone_page(&before.0).await.expect(200).text();
        assert!(page.contains("外来") && page.contains("127.0.0.1"), "{page}");
        house.get(&pending.login_path).await.expect(200);
    }
    assert_eq!(house.shown(&pc).await, before);
    house.approve(&pc, &mut phone).await.expect(200);
}
