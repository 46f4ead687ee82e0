//! What a session is good for, for whom, and until when.

use serde_json::json;
use std::time::Duration;
use tests::support::admin;
use tests::support::ehr::Ehr;
use tests::support::ehr::Session;
use tests::support::ehr::Sign;
use tests::support::http::Reply;
use tests::support::pki::Pair;
use tests::support::pki::Validity;
use tests::support::portal;
use tests::support::world::DOCTOR;
use tests::support::world::DOCTOR2;
use tests::support::world::RETURN_URL;
use tests::support::world::World;
use tokio::task::JoinSet;

/// A signing system of this test alone, with limits of its own.
async fn system(world: &World, id: &str, limits: serde_json::Value) -> Pair {
    let identity = world.pki.clients.client(id, Validity::CURRENT);
    let body = json!({
        "system_id": id, "display_name": id, "certificates_pem": [identity.pem()],
        "return_urls": [RETURN_URL], "all_holders": true, "methods": ["hpki"],
        "limits": limits, "requests_per_second": 100_000,
    });
    admin::grant(world, "POST /systems", Some(&body)).await;
    identity
}

async fn sign(ehr: &Ehr, token: &str) -> Reply {
    let sign = Sign { token, credential: Some("p256"), content: b"document", ..Sign::default() };
    sign.send(&mut ehr.connect().await).await
}

/// The refusal is in the log under its request id, and in the audit log.
async fn assert_noted(world: &World, refused: &Reply) {
    let request_id = refused.request_id();
    assert!(!world.log_of(&request_id).await.is_empty());
    let records = admin::audit_records(world, &format!("request={request_id}")).await;
    assert!(
        records.iter().any(|record| matches!(
            record["event"]["kind"].as_str(),
            Some("denial" | "sign_in_denied")
        )),
        "{request_id}: {records:?}"
    );
    assert!(records.iter().all(|record| record["event"]["kind"] != "signature"));
}

#[tokio::test]
async fn session_of_another_signing_system_is_unknown() {
    let world = World::shared().await;
    let session = world.ehr().sign_in(&world.pki.card).await;
    let stranger = world.ehr2();
    let refused = sign(&stranger, &session.token).await.expect_problem(404, "session_unknown");
    assert_noted(world, &refused).await;
    let path = format!("/v1/sessions/{}", session.session_id);
    stranger.connect().await.get(&path).await.expect_problem(404, "session_unknown");
    stranger.log_out(&session.session_id).await.expect_problem(404, "session_unknown");
    sign(&world.ehr(), &session.token).await.expect(200);
}

#[tokio::test]
async fn token_that_nobody_gave_is_unknown() {
    let world = World::shared().await;
    for token in ["x", &"A".repeat(43), &"A".repeat(500)] {
        let refused = sign(&world.ehr(), token).await;
        assert!(
            matches!(refused.code().as_str(), "session_unknown" | "malformed_request"),
            "{refused}"
        );
        assert!(matches!(refused.status, 400 | 404));
    }
}

#[tokio::test]
async fn session_that_is_pending_or_approved_signs_nothing() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let pending = ehr.ask_sign_in(None).await;
    ehr.activate(&pending.session_id, "guess").await.expect_problem(409, "session_pending");
    sign(&ehr, &pending.session_id).await.expect_problem(404, "session_unknown");
    world.portal().approve(&world.pki.card, &pending.login_path, None).await.expect(303);
    assert_eq!(ehr.state(&pending.session_id).await, "approved");
    sign(&ehr, &pending.session_id).await.expect_problem(404, "session_unknown");
}

#[tokio::test]
async fn wrong_code_activates_nothing_and_the_right_one_works_once() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let pending = ehr.ask_sign_in(None).await;
    let confirmed = world.portal().approve(&world.pki.card, &pending.login_path, None).await;
    let code = portal::code_of(&confirmed);
    let refused =
        ehr.activate(&pending.session_id, "wrong").await.expect_problem(403, "login_denied");
    assert_noted(world, &refused).await;
    world.ehr2().activate(&pending.session_id, &code).await.expect_problem(404, "session_unknown");
    ehr.activate(&pending.session_id, &code).await.expect(200);
    ehr.activate(&pending.session_id, &code).await.expect_problem(401, "session_ended");
}

#[tokio::test]
async fn code_guessed_too_often_ends_the_sign_in() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let pending = ehr.ask_sign_in(None).await;
    let confirmed = world.portal().approve(&world.pki.card, &pending.login_path, None).await;
    for guess in 0..20 {
        ehr.activate(&pending.session_id, &format!("guess-{guess}")).await.expect(403);
    }
    let late = ehr.activate(&pending.session_id, &portal::code_of(&confirmed)).await;
    late.expect_problem(403, "login_denied");
    assert_eq!(ehr.state(&pending.session_id).await, "denied");
}

#[tokio::test]
async fn session_that_was_logged_out_signs_nothing() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    sign(&ehr, &session.token).await.expect(200);
    ehr.log_out(&session.session_id).await.expect(204);
    let refused = sign(&ehr, &session.token).await.expect_problem(401, "session_ended");
    assert_noted(world, &refused).await;
    assert_eq!(ehr.state(&session.session_id).await, "ended");
    // Again changes nothing.
    ehr.log_out(&session.session_id).await.expect(204);
}

#[tokio::test]
async fn s2_session_is_over_at_its_second_counted_from_the_evidence() {
    let world = World::shared().await;
    let identity = system(world, "short", json!({ "seconds": 60, "idle_seconds": 60 })).await;
    let ehr = Ehr::new(world, &identity);
    let pending = ehr.ask_sign_in(None).await;
    let confirmed = world.portal().approve(&world.pki.card, &pending.login_path, None).await;
    // The evidence is older than the activation: the clock limit counts from it.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let answer = ehr.activate(&pending.session_id, &portal::code_of(&confirmed)).await.expect(200);
    let view =
        ehr.connect().await.get(&format!("/v1/sessions/{}", pending.session_id)).await.json();
    assert!(view["remaining_seconds"].as_u64().unwrap() <= 57, "{view}");
    assert!(answer.json()["expires_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn s2_session_signs_until_its_last_second_and_is_over_in_the_next() {
    const SECONDS: u64 = 60;
    let world = World::shared().await;
    let limits = json!({ "seconds": SECONDS, "idle_seconds": SECONDS });
    let ehr = Ehr::new(world, &system(world, "minute", limits).await);
    let session = ehr.sign_in(&world.pki.card).await;
    let begun = std::time::Instant::now();
    let mut signed_at = Duration::ZERO;
    let refused = loop {
        let asked_at = begun.elapsed();
        let reply = sign(&ehr, &session.token).await;
        if reply.status != 200 {
            break reply;
        }
        signed_at = asked_at;
        assert!(asked_at < Duration::from_secs(SECONDS), "signed {asked_at:?} after the sign-in");
        tokio::time::sleep(Duration::from_millis(250)).await;
    };
    // It was in use until then: the clock limit ended it, no idle time.
    assert!(signed_at >= Duration::from_secs(SECONDS - 10), "over after {signed_at:?}");
    let refused = refused.expect_problem(401, "session_expired");
    assert_noted(world, &refused).await;
    assert_eq!(ehr.state(&session.session_id).await, "ended");
}

#[tokio::test]
async fn session_that_nobody_uses_is_over_before_its_clock_limit() {
    let world = World::shared().await;
    let limits = json!({ "seconds": 600, "idle_seconds": 60 });
    let ehr = Ehr::new(world, &system(world, "idle", limits).await);
    let session = ehr.sign_in(&world.pki.card).await;
    sign(&ehr, &session.token).await.expect(200);
    tokio::time::sleep(Duration::from_secs(61)).await;
    sign(&ehr, &session.token).await.expect_problem(401, "session_expired");
    let path = format!("/v1/sessions/{}", session.session_id);
    assert_eq!(ehr.connect().await.get(&path).await.json()["reason"], "idle");
}

#[tokio::test]
async fn session_that_is_used_up_is_refused_with_its_own_reason() {
    let world = World::shared().await;
    let identity = system(world, "three", json!({ "signatures": 3 })).await;
    let ehr = Ehr::new(world, &identity);
    let session = ehr.sign_in(&world.pki.card).await;
    for left in [2, 1, 0] {
        let reply = sign(&ehr, &session.token).await.expect(200);
        assert!(
            reply.header("signing-session-remaining").starts_with(&format!("signatures={left},"))
        );
    }
    let refused = sign(&ehr, &session.token).await.expect_problem(401, "session_exhausted");
    assert_noted(world, &refused).await;
}

#[tokio::test]
async fn s14_fifty_clients_at_once_never_exceed_the_count() {
    const LIMIT: usize = 120;
    let world = World::shared().await;
    let identity = system(world, "counted", json!({ "signatures": LIMIT })).await;
    let ehr = Ehr::new(world, &identity);
    let session = ehr.sign_in(&world.pki.card).await;
    let mut clients = JoinSet::new();
    for _client in 0..50 {
        clients.spawn(sign_times(ehr.clone(), session.clone(), 4));
    }
    let outcomes: Vec<u16> = clients.join_all().await.concat();
    assert_eq!(outcomes.len(), 200);
    assert_eq!(outcomes.iter().filter(|status| **status == 200).count(), LIMIT);
    assert_eq!(outcomes.iter().filter(|status| **status == 401).count(), 200 - LIMIT);
    let records = admin::audit_records(world, "event=signature&system=counted").await;
    assert_eq!(records.len(), LIMIT);
}

async fn sign_times(ehr: Ehr, session: Session, times: usize) -> Vec<u16> {
    let mut connection = ehr.connect().await;
    let token = &session.token;
    let sign = Sign { token, credential: Some("p256"), content: b"document", ..Sign::default() };
    let mut outcomes = Vec::new();
    for _time in 0..times {
        outcomes.push(sign.send(&mut connection).await.status);
    }
    outcomes
}

#[tokio::test]
async fn s1_key_of_another_doctor_is_unknown_to_ones_own_session() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let sign =
        Sign { token: &session.token, credential: Some("other"), content: b"x", ..Sign::default() };
    let refused =
        sign.send(&mut ehr.connect().await).await.expect_problem(404, "credential_unknown");
    assert_noted(world, &refused).await;
}

#[tokio::test]
async fn credential_may_be_left_out_only_when_there_is_one() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let many = ehr.sign_in(&world.pki.card).await;
    let sign = Sign { token: &many.token, content: b"x", ..Sign::default() };
    sign.send(&mut ehr.connect().await).await.expect_problem(409, "credential_ambiguous");
    let one = ehr.sign_in(&world.pki.card2).await;
    let sign = Sign { token: &one.token, content: b"x", ..Sign::default() };
    sign.send(&mut ehr.connect().await).await.expect(200);
}

#[tokio::test]
async fn holder_disabled_in_between_signs_nothing_more() {
    let world = World::shared().await;
    let ehr = world.ehr();
    // A doctor of this test alone.
    let card = world.pki.hpki_auth.card(
        "third",
        tests::support::pki::AUTHENTICATION_POLICY,
        Validity::CURRENT,
    );
    let holder = json!({ "holder_id": "u-19", "display_name": "医師 三郎" });
    admin::grant(world, "POST /holders", Some(&holder)).await;
    let link = json!({ "holder_id": "u-19", "certificate_pem": card.pem() });
    admin::grant(world, "POST /cards", Some(&link)).await;
    world.enrol_key("third", "u-19", "p-256", Validity::CURRENT).await;
    let session = ehr.sign_in(&card).await;
    let sign =
        Sign { token: &session.token, credential: Some("third"), content: b"x", ..Sign::default() };
    sign.send(&mut ehr.connect().await).await.expect(200);
    let disable = "POST /holders/u-19/disable";
    admin::ask(world, &world.pki.registrar, disable, None).await.expect(200);
    let refused = sign.send(&mut ehr.connect().await).await;
    assert!(matches!(refused.code().as_str(), "holder_disabled" | "session_ended"), "{refused}");
    let asked = json!({ "holder": "u-19", "return_url": RETURN_URL });
    let reply = ehr.connect().await.post_json("/v1/sessions", &asked).await;
    reply.expect_problem(403, "holder_disabled");
}

#[tokio::test]
async fn long_poll_answers_when_the_holder_has_confirmed() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let pending = ehr.ask_sign_in(None).await;
    let path = format!("/v1/sessions/{}?wait=30", pending.session_id);
    let mut connection = ehr.connect().await;
    let begun = std::time::Instant::now();
    let approve = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.portal().approve(&world.pki.card, &pending.login_path, None).await.expect(303)
    };
    let (view, _confirmed) = tokio::join!(connection.get(&path), approve);
    assert_eq!(view.expect(200).json()["state"], "approved");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn sign_ins_opened_for_one_holder_have_a_rate() {
    let world = World::shared().await;
    let ehr = Ehr::new(world, &system(world, "ehr-eager", json!({})).await);
    let asked = json!({ "holder": DOCTOR, "return_url": RETURN_URL });
    let mut opened = 0;
    let refused = loop {
        let reply = ehr.connect().await.post_json("/v1/sessions", &asked).await;
        if reply.status != 201 {
            break reply.expect_problem(429, "rate_limited");
        }
        opened += 1;
        assert!(opened < 60, "no rate");
    };
    assert!(opened >= 20, "only {opened}");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1, "{refused}");
    assert!(refused.text().contains("20 sign-ins a minute"), "{refused}");
    ehr.ask_sign_in(Some(DOCTOR2)).await;
}

#[tokio::test]
async fn requests_of_one_signing_system_have_a_rate() {
    let world = World::shared().await;
    let ehr = Ehr::new(world, &system(world, "ehr-slow", json!({})).await);
    let slower = json!({ "requests_per_second": 1 });
    let narrow = "PATCH /systems/ehr-slow";
    admin::ask(world, &world.pki.administrator, narrow, Some(&slower)).await.expect(200);
    let mut connection = ehr.connect().await;
    let mut answered = 0;
    let refused = loop {
        let reply = connection.get("/v1/info").await;
        if reply.status != 200 {
            break reply.expect_problem(429, "rate_limited");
        }
        answered += 1;
        assert!(answered < 60, "no rate");
    };
    assert!(answered >= 2, "only {answered}");
    assert!(!refused.header("retry-after").is_empty(), "{refused}");
    world.ehr().connect().await.get("/v1/info").await.expect(200);
}
