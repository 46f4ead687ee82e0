//! My Number cards that do not do: each with its reason, and nothing half-registered.

use super::house::House;
use rcgen::CertificateParams;
use rcgen::CustomExtension;
use serde_json::json;
use std::time::Duration;
use tests::support::admin;
use tests::support::pki::Ca;
use tests::support::pki::Validity;
use tests::support::world::Plan;
use tests::support::world::RETURN_URL;

/// subjectAltName with an otherName 1.2.392.200149.8.5.5.1, the holder's name: only signature certificates have it.
fn signature_certificate(params: &mut CertificateParams) {
    let name = "300d".to_owned() + "a00b" + "060a2a83088c9b5508050501";
    let mut octets = hex::decode(name).unwrap();
    // [0] EXPLICIT UTF8String "A"
    let value = [0xa0, 3, 0x0c, 1, b'A'];
    octets[1] += 5;
    octets[3] += 5;
    octets.extend_from_slice(&value);
    let extension = CustomExtension::from_oid_content(&[2, 5, 29, 17], octets);
    params.custom_extensions.push(extension);
}

#[tokio::test]
async fn card_left_in_or_none_at_all_is_asked_for_once_more() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let leave = house.begin_link(&doctor.card).await;
    for card in [None, Some(&doctor.card)] {
        let (_, page) = house.meet_link(&leave, card).await;
        let page = page.expect(200).text();
        assert!(page.contains("Put your My Number card into the reader and press OK."), "{page}");
    }
    // The ticket is still good for the right card.
    let card = house.my_number_card(&doctor);
    house.finish_link(&leave, &doctor, &card).await.expect(200);
    assert_eq!(house.my_numbers(&doctor).await.len(), 1);
}

#[tokio::test]
async fn signature_certificate_is_refused_before_anything_is_stored() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let ca = &house.world.pki.jpki;
    let card = ca.my_number_card_with("sign", Validity::CURRENT, signature_certificate);
    let leave = house.begin_link(&doctor.card).await;
    let page = house.finish_link(&leave, &doctor, &card).await.expect(403);
    assert!(page.text().contains("is not the My Number card&#39;s certificate"), "{page}");
    assert!(house.my_numbers(&doctor).await.is_empty());
    assert_eq!(house.records(&doctor, "enrolment_started").await.len(), 1, "the HPKI card's own");
    let pending = house.ask_my_number(Some(&doctor.holder_id)).await;
    house.my_number_page(&pending, &card).await.expect(403);
}

#[tokio::test]
async fn cards_of_the_test_hierarchy_and_of_strangers_are_refused() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let folder = &house.world.pki.folder;
    // An anchor of the test hierarchy, loaded by two operators all the same.
    let test = Ca::jpki(folder, "JPKI-TEST");
    let anchor = json!({ "purpose": "jpki_card", "certificate_pem": test.pem_text() });
    admin::grant(&house.world, "POST /anchors", Some(&anchor)).await;
    let impostor = Ca::jpki(folder, "JPKI");
    for (ca, said) in [(&test, "Test cards are not accepted"), (&impostor, "press OK")] {
        let card = ca.my_number_card("card", Validity::CURRENT);
        let leave = house.begin_link(&doctor.card).await;
        let page = house.finish_link(&leave, &doctor, &card).await;
        assert!(page.text().contains(said), "{page}");
    }
    assert!(house.my_numbers(&doctor).await.is_empty());
}

#[tokio::test]
async fn expired_card_is_told_where_to_renew_it() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let card = house.world.pki.jpki.my_number_card("over", Validity::OVER);
    let leave = house.begin_link(&doctor.card).await;
    let page = house.finish_link(&leave, &doctor, &card).await.expect(403);
    assert!(page.text().contains("Renew it at your municipality"), "{page}");
}

#[tokio::test]
async fn leave_is_good_once_for_its_secret_and_its_holder() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let mut leave = house.begin_link(&doctor.card).await;
    let secret = std::mem::replace(&mut leave.secret, "wrong".to_owned());
    let card = house.my_number_card(&doctor);
    let page = house.finish_link(&leave, &doctor, &card).await.expect(403);
    assert!(page.text().contains("can no longer be used"), "{page}");
    leave.secret = secret;
    house.finish_link(&leave, &doctor, &card).await.expect(200);
    let other = house.world.pki.jpki.my_number_card("other", Validity::CURRENT);
    house.finish_link(&leave, &doctor, &other).await.expect(403);
    // The card is this doctor's: nobody else registers it.
    let second = house.doctor(Validity::CURRENT).await;
    let page = house.link(&second, &card).await.expect(409);
    assert!(page.text().contains("registered for another person"), "{page}");
    assert!(house.my_numbers(&second).await.is_empty());
    let page = house.link(&doctor, &card).await.expect(409);
    assert!(page.text().contains("registered already"), "{page}");
}

#[tokio::test]
async fn cards_open_their_own_listeners_only() {
    let house = House::shared().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    // The My Number card at the HPKI card's listener.
    let wanted = json!({ "methods": ["hpki", "jpki"], "return_url": RETURN_URL });
    let pending = house.clinic().ask_sign_in_with(&wanted).await;
    let mut browser = house.world.portal().browser(Some(&card)).await;
    let page = browser.open(&pending.login_path).await;
    assert!(page.form_token.is_none() && page.reply.status == 403, "{}", page.reply);
    // And the other way round.
    let page = house.my_number_page(&pending, &doctor.card).await;
    assert!(page.status == 403 && field_is_missing(&page.text()), "{page}");
    let (_, page) = house.link_page(&card).await;
    assert_eq!(page.status, 403, "a My Number card registers no other one: {page}");
}

fn field_is_missing(html: &str) -> bool {
    !html.contains("form_token")
}

#[tokio::test]
async fn card_of_somebody_else_does_not_serve_a_sign_in_for_this_holder() {
    let house = House::shared().await;
    let (_, card) = house.doctor_with_my_number().await;
    let other = house.doctor(Validity::CURRENT).await;
    let pending = house.ask_my_number(Some(&other.holder_id)).await;
    let page = house.my_number_page(&pending, &card).await.expect(403);
    assert!(page.text().contains("for somebody else"), "{page}");
    assert_eq!(house.clinic().state(&pending.session_id).await, "pending");
}

#[tokio::test]
async fn system_that_does_not_take_the_method_refuses_the_card() {
    let house = House::shared().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    let wanted = json!({ "methods": ["jpki"], "return_url": RETURN_URL });
    let reply = house.world.ehr().connect().await.post_json("/v1/sessions", &wanted).await;
    reply.expect_problem(403, "factor_refused");
    let pending = house.world.ehr().ask_sign_in(Some(&doctor.holder_id)).await;
    let page = house.my_number_page(&pending, &card).await.expect(403);
    assert!(page.text().contains("Not allowed for this system"), "{page}");
}

#[tokio::test]
async fn f32_without_a_second_certificate_no_method_signs_in() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::for_seconds(20)).await;
    let card = house.my_number_card(&doctor);
    house.link(&doctor, &card).await.expect(200);
    tokio::time::sleep(Duration::from_secs(21)).await;
    let pending = house.ask_my_number(None).await;
    let page = house.my_number_page(&pending, &card).await.expect(409);
    assert!(page.text().contains("You have no certificate to sign with"), "{page}");
}

#[tokio::test]
async fn revoked_card_ends_its_session_and_signs_in_no_more() {
    let tune = |settings: &mut tests::support::config::Settings| settings.crl_refresh_seconds = 1;
    let house = House::new(Plan { tune, ..Plan::default() }).await;
    let (_, card) = house.doctor_with_my_number().await;
    let session = house.sign_in_by_my_number(&card).await;
    house.sign(&session).await.expect(200);
    let ca = &house.world.pki.jpki;
    ca.write_crl(2, &[&card], time::Duration::days(4));
    let mut state = String::new();
    for _ in 0..100 {
        state = house.clinic().state(&session.session_id).await;
        if state == "ended" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(state, "ended");
    house.sign(&session).await.expect_problem(401, "session_ended");
    let pending = house.ask_my_number(None).await;
    let page = house.my_number_page(&pending, &card).await.expect(403);
    assert!(page.text().contains("certificate is revoked"), "{page}");
}

#[tokio::test]
async fn unknown_validity_never_passes() {
    let tune = |settings: &mut tests::support::config::Settings| {
        settings.crl_refresh_seconds = 1;
        // The pages are asked for until they change.
        settings.more.push_str("[limits]\nsign_ins_per_minute = 6000\n");
    };
    let house = House::new(Plan { tune, ..Plan::default() }).await;
    let (doctor, card) = house.doctor_with_my_number().await;
    let session = house.sign_in_by_my_number(&card).await;
    // A list that is good for some seconds, and no other after it.
    house.world.pki.jpki.write_crl(2, &[], time::Duration::seconds(4));
    let mut page = String::new();
    for _ in 0..100 {
        let pending = house.ask_my_number(None).await;
        page = house.my_number_page(&pending, &card).await.text();
        if page.contains("The card cannot be checked") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(page.contains("The card cannot be checked"), "{page}");
    let mut signed = house.sign(&session).await;
    for _ in 0..100 {
        if signed.status != 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        signed = house.sign(&session).await;
    }
    signed.expect_problem(503, "revocation_unavailable");
    let leave = house.begin_link(&doctor.card).await;
    let page = house.finish_link(&leave, &doctor, &card).await.expect(503);
    assert!(page.text().contains("The card cannot be checked"), "{page}");
    // A newer list, and everything goes on.
    house.world.pki.jpki.write_crl(3, &[], time::Duration::days(4));
    let mut signed = house.sign(&session).await;
    for _ in 0..100 {
        if signed.status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        signed = house.sign(&session).await;
    }
    signed.expect(200);
}

#[tokio::test]
async fn without_a_provider_the_method_is_refused_with_what_to_do() {
    let tune = |settings: &mut tests::support::config::Settings| {
        settings.jpki_validity = Some(String::new());
    };
    let house = House::new(Plan { tune, ..Plan::default() }).await;
    let doctor = house.doctor(Validity::CURRENT).await;
    let wanted = json!({ "methods": ["jpki"], "return_url": RETURN_URL });
    let reply = house.clinic().connect().await.post_json("/v1/sessions", &wanted).await;
    let problem = reply.expect_problem(403, "factor_refused").json();
    assert!(problem["detail"].as_str().unwrap().contains("[jpki.validity]"), "{problem}");
    // Left out, the methods that can be served are offered.
    let pending = house.clinic().ask_sign_in(None).await;
    let page = house.get(&pending.login_path).await.expect(200).text();
    assert!(!page.contains("マイナンバーカードで認証"), "{page}");
    assert!(!house.get("/").await.expect(200).text().contains("マイナンバーカードを登録する"));
    let (_, page) = house.link_page(&doctor.card).await;
    assert!(page.text().contains("My Number cards cannot be used here"), "{page}");
    let doctor = house.world.inkan(&["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("My Number cards") && said.contains("[jpki.validity]"), "{said}");
}
