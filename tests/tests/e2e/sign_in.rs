//! A holder at the card listener: who may confirm what, and what everybody else is told.

use serde_json::json;
use tests::support::admin;
use tests::support::ehr::Sign;
use tests::support::http::Connection;
use tests::support::http::tls_config;
use tests::support::pki::Pair;
use tests::support::portal;
use tests::support::world::DOCTOR;
use tests::support::world::World;

/// What a browser with this card reads behind a fresh link.
async fn page_for(world: &World, card: Option<&Pair>) -> (String, String) {
    let pending = world.ehr().ask_sign_in(None).await;
    let mut browser = world.portal().browser(card).await;
    let page = browser.open(&pending.login_path).await;
    assert_eq!(page.form_token, None, "a form for a card that is not good: {}", page.reply);
    assert_eq!(world.ehr().state(&pending.session_id).await, "pending");
    (page.reply.text(), page.reply.request_id())
}

#[tokio::test]
async fn page_names_the_system_and_the_holder_in_japanese_and_english() {
    let world = World::shared().await;
    let pending = world.ehr().ask_sign_in(None).await;
    let mut browser = world.portal().browser(Some(&world.pki.card)).await;
    let page = browser.open(&pending.login_path).await;
    let html = page.reply.text();
    assert!(html.contains("電子カルテ") && html.contains("医師 太郎"), "{html}");
    assert!(html.contains("Do you allow"), "English was asked for: {html}");
    assert_eq!(page.reply.header("cache-control"), "no-store");
    assert!(page.reply.header("content-security-policy").contains("default-src 'none'"));
}

#[tokio::test]
async fn login_link_sent_to_the_wrong_doctor_gives_that_doctor_nothing() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let pending = ehr.ask_sign_in(Some(DOCTOR)).await;
    let mut wrong = world.portal().browser(Some(&world.pki.card2)).await;
    let page = wrong.open(&pending.login_path).await;
    assert_eq!(page.form_token, None, "{}", page.reply);
    let refused = page.reply.request_id();
    let records = admin::audit_records(world, &format!("request={refused}")).await;
    assert!(
        records.iter().any(|record| record["event"]["kind"] == "sign_in_denied"),
        "{records:?}"
    );
    assert_eq!(ehr.state(&pending.session_id).await, "pending");
    // The right doctor is not hindered.
    world.portal().approve(&world.pki.card, &pending.login_path, None).await.expect(303);
}

/// A link that was not made for anybody: whoever confirms signs in as themselves, and only in their own browser comes
/// the code. The asking system learns who it was before anything is signed.
#[tokio::test]
async fn link_without_holder_signs_in_whoever_confirms_and_nobody_else() {
    let world = World::shared().await;
    let session = world.ehr().sign_in(&world.pki.card2).await;
    assert_eq!(session.answer["holder"], "u-18");
    let sign =
        Sign { token: &session.token, credential: Some("p256"), content: b"x", ..Sign::default() };
    let refused = sign.send(&mut world.ehr().connect().await).await;
    refused.expect_problem(404, "credential_unknown");
}

#[tokio::test]
async fn second_browser_racing_the_first_gets_nothing() {
    let world = World::shared().await;
    let ehr = world.ehr();
    for _round in 0..10 {
        let pending = ehr.ask_sign_in(None).await;
        let mut first = world.portal().browser(Some(&world.pki.card)).await;
        let mut second = world.portal().browser(Some(&world.pki.card)).await;
        let path = &pending.login_path;
        let one = first.open(path).await.form_token.unwrap();
        let two = second.open(path).await.form_token.unwrap();
        let (one, two) = tokio::join!(
            first.confirm(path, &one, None, "approve"),
            second.confirm(path, &two, None, "approve")
        );
        let won: Vec<_> = [&one, &two].into_iter().filter(|reply| reply.status == 303).collect();
        assert_eq!(won.len(), 1, "{one} / {two}");
        let code = portal::code_of(won[0]);
        ehr.activate(&pending.session_id, &code).await.expect(200);
        // An approval that came to nothing is put right in the log.
        for reply in [&one, &two] {
            let query = format!("request={}", reply.request_id());
            let records = admin::audit_records(world, &query).await;
            let count =
                |kind| records.iter().filter(|record| record["event"]["kind"] == kind).count();
            let (approved, denied) = (count("sign_in_approved"), count("sign_in_denied"));
            assert_eq!(approved - denied, usize::from(reply.status == 303), "{records:#?}");
        }
    }
}

#[tokio::test]
async fn two_doctors_racing_for_one_link_get_one_session() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let pending = ehr.ask_sign_in(None).await;
    let mut first = world.portal().browser(Some(&world.pki.card)).await;
    let mut second = world.portal().browser(Some(&world.pki.card2)).await;
    let path = &pending.login_path;
    let one = first.open(path).await.form_token.unwrap();
    let two = second.open(path).await.form_token.unwrap();
    // A form is bound to its card: the other card cannot send it.
    let stolen = world
        .portal()
        .browser(Some(&world.pki.card2))
        .await
        .confirm(path, &one, None, "approve")
        .await;
    assert_ne!(stolen.status, 303);
    let (one, two) = tokio::join!(
        first.confirm(path, &one, None, "approve"),
        second.confirm(path, &two, None, "approve")
    );
    assert_eq!([&one, &two].iter().filter(|reply| reply.status == 303).count(), 1, "{one} / {two}");
}

#[tokio::test]
async fn link_that_was_used_or_denied_is_over() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let used = ehr.ask_sign_in(None).await;
    world.portal().approve(&world.pki.card, &used.login_path, None).await.expect(303);
    let denied = ehr.ask_sign_in(None).await;
    let mut browser = world.portal().browser(Some(&world.pki.card)).await;
    let form_token = browser.open(&denied.login_path).await.form_token.unwrap();
    browser.confirm(&denied.login_path, &form_token, None, "deny").await;
    assert_eq!(ehr.state(&denied.session_id).await, "denied");
    for path in [&used.login_path, &denied.login_path] {
        let mut browser = world.portal().browser(Some(&world.pki.card)).await;
        assert_eq!(browser.open(path).await.form_token, None);
    }
    ehr.activate(&denied.session_id, "any").await.expect_problem(403, "login_denied");
}

#[tokio::test]
async fn opening_a_link_changes_nothing() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let pending = ehr.ask_sign_in(None).await;
    for card in
        [None, Some(&world.pki.card), Some(&world.pki.card2), Some(&world.pki.unlinked_card)]
    {
        world.portal().browser(card).await.open(&pending.login_path).await;
    }
    assert_eq!(ehr.state(&pending.session_id).await, "pending");
    world.portal().approve(&world.pki.card, &pending.login_path, None).await.expect(303);
}

#[tokio::test]
async fn number_from_the_asking_screen_stands_for_the_code() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let pending = ehr.ask_sign_in_with(&json!({ "holder": null })).await;
    let number = pending.number.clone().expect("a number without return_url");
    let mut browser = world.portal().browser(Some(&world.pki.card)).await;
    let form_token = browser.open(&pending.login_path).await.form_token.unwrap();
    let wrong = if number == "000000" { "000001" } else { "000000" };
    let refused = browser.confirm(&pending.login_path, &form_token, Some(wrong), "approve").await;
    assert_ne!(refused.status, 303);
    assert_eq!(ehr.state(&pending.session_id).await, "pending");
    world.portal().approve(&world.pki.card, &pending.login_path, Some(&number)).await.expect(200);
    ehr.activate(&pending.session_id, &number).await.expect(200);
}

#[tokio::test]
async fn t6_handshake_older_than_the_link_proves_nothing_for_it() {
    let world = World::shared().await;
    let mut browser = world.portal().browser(Some(&world.pki.card)).await;
    let first = world.ehr().ask_sign_in(None).await;
    browser.open(&first.login_path).await;
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    let second = world.ehr().ask_sign_in(None).await;
    let page = browser.open(&second.login_path).await;
    assert_eq!(page.form_token, None, "{}", page.reply);
    assert_eq!(world.ehr().state(&second.session_id).await, "pending");
}

#[tokio::test]
async fn c7_revoked_card_is_refused_with_its_reason() {
    let world = World::shared().await;
    let (html, request_id) = page_for(world, Some(&world.pki.revoked_card)).await;
    assert!(html.to_lowercase().contains("revoked"), "{html}");
    assert!(world.log_of(&request_id).await.contains("revoked"));
    let records = admin::audit_records(world, &format!("request={request_id}")).await;
    assert!(
        records.iter().any(|record| record["event"]["kind"] == "sign_in_denied"),
        "{records:?}"
    );
}

#[tokio::test]
async fn c4_expired_card_is_refused_with_its_reason() {
    let world = World::shared().await;
    let (html, request_id) = page_for(world, Some(&world.pki.expired_card)).await;
    assert!(html.to_lowercase().contains("expired"), "{html}");
    assert!(world.log_of(&request_id).await.contains("expired"));
}

#[tokio::test]
async fn c5_certificate_with_the_signature_policy_is_no_card() {
    let world = World::shared().await;
    let (html, _) = page_for(world, Some(&world.pki.wrong_policy_card)).await;
    assert!(html.to_lowercase().contains("certificate"), "{html}");
}

#[tokio::test]
async fn c11_good_card_of_nobody_here_is_refused_with_its_reason() {
    let world = World::shared().await;
    let (html, _) = page_for(world, Some(&world.pki.unlinked_card)).await;
    assert!(html.contains("registered"), "{html}");
}

#[tokio::test]
async fn t11_without_a_card_every_link_reads_the_same() {
    let world = World::shared().await;
    let pending = world.ehr().ask_sign_in(None).await;
    let used = world.ehr().ask_sign_in(None).await;
    world.portal().approve(&world.pki.card, &used.login_path, None).await.expect(303);
    let mut pages = Vec::new();
    for path in [&pending.login_path, &used.login_path, &"/login/unknown".to_owned()] {
        let page = world.portal().browser(None).await.open(path).await;
        assert_eq!(page.form_token, None);
        let link = path.trim_start_matches("/login/");
        pages.push((page.reply.status, page.reply.text().replace(link, "LINK")));
    }
    assert!(pages.windows(2).all(|two| without_ids(&two[0]) == without_ids(&two[1])), "{pages:?}");
}

/// Request ids and nonces differ on every page.
fn without_ids(page: &(u16, String)) -> (u16, String) {
    let words = page.1.split(|c: char| !c.is_ascii_alphanumeric());
    (page.0, words.filter(|word| word.len() < 20).collect::<Vec<_>>().join(" "))
}

#[tokio::test]
async fn t5_card_listener_resumes_no_session() {
    let world = World::shared().await;
    let pki = &world.pki;
    let mut config =
        (*tls_config(&pki.servers.pem, Some(&pki.card), &rustls::version::TLS12)).clone();
    config.resumption = rustls::client::Resumption::in_memory_sessions(8);
    let config = std::sync::Arc::new(config);
    for _round in 0..3 {
        // Each connection is a full handshake: the card signs again, or there would be no form.
        let pending = world.ehr().ask_sign_in(None).await;
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        let mut connection = Connection::tls(world.ports.hpki, config.clone()).await.unwrap();
        let reply = connection.get(&pending.login_path).await;
        assert!(reply.text().contains("form_token"), "{reply}");
    }
}
