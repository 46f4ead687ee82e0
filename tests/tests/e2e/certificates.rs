//! Lists and certificates that change while sessions live: automation only takes away.

use std::time::Duration;
use tests::support::ehr::Ehr;
use tests::support::ehr::Session;
use tests::support::ehr::Sign;
use tests::support::http::Reply;
use tests::support::pki::Validity;
use tests::support::world::DOCTOR;
use tests::support::world::Plan;
use tests::support::world::World;

/// A world that looks at its lists every second.
async fn attentive() -> World {
    World::new(Plan { tune: |settings| settings.crl_refresh_seconds = 1, ..Plan::default() }).await
}

async fn sign(ehr: &Ehr, session: &Session, credential: &str) -> Reply {
    let sign = Sign {
        token: &session.token,
        credential: Some(credential),
        content: b"x",
        ..Sign::default()
    };
    sign.send(&mut ehr.connect().await).await
}

/// Asks until the answer is another than 200, for at most twenty seconds.
async fn refusal(ehr: &Ehr, session: &Session, credential: &str) -> Reply {
    for _try in 0..100 {
        let reply = sign(ehr, session, credential).await;
        if reply.status != 200 {
            return reply;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("still signing");
}

const DAYS: time::Duration = time::Duration::days(4);

#[tokio::test]
async fn c14_session_ends_when_the_card_behind_it_is_revoked() {
    let world = attentive().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let other = ehr.sign_in(&world.pki.card2).await;
    sign(&ehr, &session, "p256").await.expect(200);
    world.pki.hpki_auth.write_crl(2, &[&world.pki.card], DAYS);
    refusal(&ehr, &session, "p256").await.expect_problem(401, "session_ended");
    sign(&ehr, &other, "other").await.expect(200);
}

#[tokio::test]
async fn c14_second_certificate_that_is_revoked_ends_the_sessions_it_might_sign_in() {
    let world = attentive().await;
    let ehr = world.ehr();
    let serial = world.enrol_key("doomed", DOCTOR, "p-256", Validity::CURRENT).await;
    let session = ehr.sign_in(&world.pki.card).await;
    sign(&ehr, &session, "doomed").await.expect(200);
    world.pki.hpki_sign.write_crl_of_serials(2, &[serial], DAYS);
    refusal(&ehr, &session, "p256").await.expect_problem(401, "session_ended");
    // Whoever signs in now does so with the other certificates.
    let session = ehr.sign_in(&world.pki.card).await;
    sign(&ehr, &session, "doomed").await.expect_problem(409, "credential_revoked");
    sign(&ehr, &session, "p256").await.expect(200);
}

#[tokio::test]
async fn c14_card_revoked_between_sign_in_and_activation_activates_nothing() {
    let world = attentive().await;
    let ehr = world.ehr();
    let pending = ehr.ask_sign_in(None).await;
    let confirmed = world.portal().approve(&world.pki.card, &pending.login_path, None).await;
    world.pki.hpki_auth.write_crl(2, &[&world.pki.card], DAYS);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let code = tests::support::portal::code_of(&confirmed);
    ehr.activate(&pending.session_id, &code).await.expect_problem(401, "session_ended");
    assert_eq!(ehr.state(&pending.session_id).await, "ended");
}

#[tokio::test]
async fn c4_second_certificate_that_expires_ends_the_session_and_signs_nothing_more() {
    let world = attentive().await;
    let ehr = world.ehr();
    world.enrol_key("short-lived", DOCTOR, "p-256", Validity::for_seconds(10)).await;
    let session = ehr.sign_in(&world.pki.card).await;
    sign(&ehr, &session, "short-lived").await.expect(200);
    refusal(&ehr, &session, "p256").await.expect_problem(401, "session_expired");
    let session = ehr.sign_in(&world.pki.card).await;
    sign(&ehr, &session, "short-lived").await.expect_problem(409, "credential_expired");
    sign(&ehr, &session, "p256").await.expect(200);
}

#[tokio::test]
async fn c10_garbage_in_place_of_a_list_leaves_the_old_one_standing() {
    let world = attentive().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    for garbage in [vec![], b"garbage".to_vec(), vec![0x30; 1_000_000]] {
        std::fs::write(&world.pki.hpki_auth.crl, garbage).unwrap();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        sign(&ehr, &session, "p256").await.expect(200);
    }
    assert!(
        world.daemon.log().to_lowercase().contains("list") || world.daemon.log().contains("crl")
    );
}

#[tokio::test]
async fn c7_list_with_an_older_number_does_not_bring_a_revoked_card_back() {
    let world = attentive().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    world.pki.hpki_auth.write_crl(9, &[&world.pki.card], DAYS);
    refusal(&ehr, &session, "p256").await.expect_problem(401, "session_ended");
    world.pki.hpki_auth.write_crl(8, &[], DAYS);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let pending = ehr.ask_sign_in(None).await;
    let mut browser = world.portal().browser(Some(&world.pki.card)).await;
    assert_eq!(browser.open(&pending.login_path).await.form_token, None);
}

#[tokio::test]
async fn c9_list_that_is_out_of_date_signs_nobody_in() {
    let world = attentive().await;
    // A newer list with a short life replaces the one of four days.
    world.pki.hpki_auth.write_crl(2, &[], time::Duration::seconds(6));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let page = world.metrics();
    let remaining = page.lines().filter(|line| line.starts_with("inkan_crl_remaining_seconds{"));
    let remaining: Vec<f64> =
        remaining.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
    let over = remaining.iter().filter(|seconds| **seconds == 0.0).count();
    assert!(over == 1 && remaining.len() > 1, "{remaining:?}");
    let pending = world.ehr().ask_sign_in(None).await;
    let mut browser = world.portal().browser(Some(&world.pki.card)).await;
    let page = browser.open(&pending.login_path).await;
    assert_eq!(page.form_token, None, "{}", page.reply);
}
