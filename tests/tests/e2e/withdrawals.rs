//! What an officer takes away holds at once (F24, F29, F30): a signature that is on its way when it goes does not leave.

use serde_json::Value;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tests::support::admin;
use tests::support::doctor::Doctor;
use tests::support::ehr::Ehr;
use tests::support::ehr::Sign;
use tests::support::letter::issue_unfetched;
use tests::support::pki::Validity;
use tests::support::world::Plan;
use tests::support::world::World;
use tokio::task::JoinSet;

/// The card of a doctor as the officer's list shows it.
async fn card_of(world: &World, holder_id: &str) -> String {
    let line = format!("GET /cards?holder={holder_id}");
    let cards = admin::ask(world, &world.pki.registrar, &line, None).await.expect(200).json();
    cards[0]["card"].as_str().expect("a card").to_owned()
}

/// A signature that takes its time in the token, sent off.
fn slow_signature(ehr: &Ehr, token: &str, key: &str) -> tokio::task::JoinHandle<(u16, String)> {
    let (ehr, token, key) = (ehr.clone(), token.to_owned(), key.to_owned());
    tokio::spawn(async move {
        let sign = Sign { token: &token, credential: Some(&key), content: b"x", ..Sign::default() };
        let reply = sign.send(&mut ehr.connect().await).await;
        (reply.status, reply.code())
    })
}

async fn withheld(world: &World, doctor: &Doctor) -> usize {
    let query = format!("event=signature_withheld&holder={}", doctor.holder_id);
    admin::audit_records(world, &query).await.len()
}

#[tokio::test]
async fn signature_on_its_way_does_not_leave_once_something_it_rests_on_is_taken_away() {
    let world = &World::new(Plan { shim: true, ..Plan::default() }).await;
    let ehr = world.ehr();
    let because = json!({ "reason": "紛失の届出" });
    for (what, expected) in [
        ("disable", "holder_disabled"),
        ("retire", "holder_disabled"),
        ("card", "session_ended"),
        ("key", "session_ended"),
        ("sessions", "session_ended"),
        ("session", "session_ended"),
    ] {
        let doctor = world.new_doctor(Validity::CURRENT).await;
        let (holder, key) = (&doctor.holder_id, &doctor.credential_id);
        let session = ehr.sign_in(&doctor.card).await;
        let (line, body) = match what {
            "disable" | "retire" => (format!("POST /holders/{holder}/{what}"), Some(&because)),
            "card" => (format!("DELETE /cards/{}", card_of(world, holder).await), Some(&because)),
            "key" => (format!("POST /keys/{key}/revoke"), Some(&because)),
            "sessions" => (format!("DELETE /holders/{holder}/sessions"), None),
            _ => (format!("DELETE /sessions/{}", session.session_id), None),
        };
        world.shim("C_Sign sleep 2s\n");
        let signature = slow_signature(&ehr, &session.token, key);
        tokio::time::sleep(Duration::from_millis(700)).await;
        let done = match what {
            "retire" => admin::grant(world, &line, body).await,
            _ => admin::ask(world, &world.pki.registrar, &line, body).await.expect(200),
        };
        assert_eq!(done.json()["sessions_ended"], 1, "{what}: {done}");
        assert!(!signature.is_finished(), "{what}: nothing was on its way any more");
        let (status, code) = signature.await.unwrap();
        world.shim("");
        assert_ne!(status, 200, "{what}: it left");
        assert!([expected, "credential_revoked"].contains(&code.as_str()), "{what}: {code}");
        assert_eq!(withheld(world, &doctor).await, 1, "{what}");
        assert_eq!(ehr.state(&session.session_id).await, "ended", "{what}");
        if body.is_some() {
            let query = format!("event=trust_changed&holder={holder}");
            let records = admin::audit_records(world, &query).await;
            let last = records.last().map(Value::to_string).unwrap_or_default();
            assert!(last.contains("紛失の届出"), "{what}: {last}");
        }
    }
}

#[tokio::test]
async fn holder_leaves_for_good_by_two_is_not_enabled_again_and_their_id_is_not_given_away() {
    let world = World::shared().await;
    let doctor = world.new_doctor(Validity::CURRENT).await;
    let (pki, holder) = (&world.pki, &doctor.holder_id);
    let retire = format!("POST /holders/{holder}/retire");
    admin::ask(world, &pki.auditor, &retire, None).await.expect_problem(403, "not_permitted");
    let because = json!({ "reason": "退職" });
    let proposal = admin::propose(world, &pki.registrar, &retire, Some(&because)).await;
    let approve = format!("POST /proposals/{proposal}/approve");
    admin::ask(world, &pki.registrar, &approve, None).await.expect_problem(403, "not_permitted");
    let sheet = format!("GET /holders/{holder}");
    let shown = admin::ask(world, &pki.auditor, &sheet, None).await.expect(200).json();
    assert_eq!(shown["stop"], Value::Null, "one alone ends nobody");
    admin::ask(world, &pki.officer, &approve, None).await.expect(200);
    for line in ["enable", "disable", "retire"] {
        let line = format!("POST /holders/{holder}/{line}");
        let refused = admin::ask(world, &pki.registrar, &line, None).await;
        assert!(refused.text().contains("for good"), "{refused}");
        refused.expect_problem(409, "conflict");
    }
    let again = json!({ "holder_id": holder, "display_name": "Another" });
    let again = admin::ask(world, &pki.registrar, "POST /holders", Some(&again)).await;
    again.expect_problem(409, "conflict");
    let asked = json!({ "holder": holder });
    let refused = world.ehr().connect().await.post_json("/v1/sessions", &asked).await;
    refused.expect_problem(403, "holder_disabled");
}

#[tokio::test]
async fn disabling_twice_keeps_since_when_and_why_and_retiring_says_its_own() {
    let world = World::shared().await;
    let doctor = world.new_doctor(Validity::CURRENT).await;
    let (registrar, holder) = (&world.pki.registrar, &doctor.holder_id);
    let line = format!("POST /holders/{holder}/disable");
    let stop = async || {
        let sheet = format!("GET /holders/{holder}");
        admin::ask(world, registrar, &sheet, None).await.expect(200).json()["stop"].clone()
    };
    let first = json!({ "reason": "紛失の届出" });
    admin::ask(world, registrar, &line, Some(&first)).await.expect(200);
    let since = stop().await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let second = json!({ "reason": "again" });
    admin::ask(world, registrar, &line, Some(&second)).await.expect(200);
    assert_eq!(stop().await, since);
    let left = json!({ "reason": "退職" });
    admin::grant(world, &format!("POST /holders/{holder}/retire"), Some(&left)).await;
    assert_eq!(stop().await["reason"], "退職");
}

#[tokio::test]
async fn reason_is_optional_and_a_text_that_reads_the_same_to_everybody() {
    let world = World::shared().await;
    let doctor = world.new_doctor(Validity::CURRENT).await;
    let line = format!("POST /holders/{}/disable", doctor.holder_id);
    let ask = async |reason: Value| {
        admin::ask(world, &world.pki.registrar, &line, Some(&json!({ "reason": reason }))).await
    };
    for wrong in [json!(""), json!("a\nb"), json!("a\u{202e}b"), json!("x".repeat(501)), json!(1)] {
        ask(wrong).await.expect_problem(400, "malformed_request");
    }
    ask(json!("x".repeat(500))).await.expect(200);
    admin::grant(world, &format!("POST /holders/{}/enable", doctor.holder_id), None).await;
    admin::ask(world, &world.pki.registrar, &line, None).await.expect(200);
}

#[tokio::test]
async fn sheets_of_a_holder_who_may_not_sign_are_handed_to_nobody() {
    let world = World::shared().await;
    let doctor = world.new_doctor(Validity::CURRENT).await;
    let letter_id = issue_unfetched(world, &doctor.holder_id).await;
    let registrar = &world.pki.registrar;
    let disable = format!("POST /holders/{}/disable", doctor.holder_id);
    admin::ask(world, registrar, &disable, None).await.expect(200);
    let line = format!("POST /letters/{letter_id}/sheet");
    for operator in [registrar, &world.pki.officer2] {
        let refused = admin::ask(world, operator, &line, None).await;
        refused.expect_problem(403, "holder_disabled");
    }
    // Enabled again within the day, they are there.
    admin::grant(world, &format!("POST /holders/{}/enable", doctor.holder_id), None).await;
    admin::ask(world, registrar, &line, None).await.expect(200);
}

#[tokio::test]
async fn revoked_key_releases_nothing_after_the_revocation_was_answered() {
    let world = World::new(Plan::default()).await;
    let session = world.ehr().sign_in(&world.pki.card).await;
    let answered = Arc::new(AtomicBool::new(false));
    let released = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _client in 0..8 {
        let (ehr, token, answered) = (world.ehr(), session.token.clone(), answered.clone());
        let released = released.clone();
        clients.spawn(async move {
            let mut connection = ehr.connect().await;
            let sign =
                Sign { token: &token, credential: Some("p256"), content: b"x", ..Sign::default() };
            let mut outcomes = Vec::new();
            let mut late = 0;
            while late < 5 && outcomes.len() < 20_000 {
                let was_late = answered.load(Ordering::SeqCst);
                let reply = sign.send(&mut connection).await;
                late += usize::from(was_late);
                released.fetch_add(usize::from(reply.status == 200), Ordering::SeqCst);
                outcomes.push((was_late, reply.status, reply.code()));
            }
            outcomes
        });
    }
    for _look in 0..10_000 {
        if released.load(Ordering::SeqCst) >= 50 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    admin::ask(&world, &world.pki.registrar, "POST /keys/p256/revoke", None).await.expect(200);
    answered.store(true, Ordering::SeqCst);
    let outcomes: Vec<_> = clients.join_all().await.into_iter().flatten().collect();
    assert!(outcomes.iter().any(|(_, status, _)| *status == 200), "nothing was signed before");
    assert!(outcomes.iter().any(|(was_late, ..)| *was_late), "nothing was asked for after");
    for (was_late, status, code) in &outcomes {
        let is_over = matches!(code.as_str(), "credential_revoked" | "session_ended");
        assert!(*status == 200 || is_over, "{status} {code}");
        assert!(!(*was_late && *status == 200), "released after the revocation was answered");
    }
    // Final: a revoked key comes back by no command.
    let again = admin::ask(&world, &world.pki.officer, "POST /keys/p256/release", None).await;
    again.expect_problem(409, "conflict");
    // In the log the revocation is behind every signature of the key.
    let revoked = admin::audit_records(&world, "event=trust_changed&credential=p256").await;
    let place = revoked.last().unwrap()["seq"].as_u64().unwrap();
    let signatures = admin::audit_records(&world, "event=signature&credential=p256").await;
    assert!(signatures.iter().all(|record| record["seq"].as_u64().unwrap() < place));
}

#[tokio::test]
async fn anchor_that_goes_takes_its_sessions_and_keys_with_it() {
    let world = World::new(Plan::default()).await;
    let pki = &world.pki;
    let session = world.ehr().sign_in(&pki.card).await;
    let sign =
        Sign { token: &session.token, credential: Some("p256"), content: b"x", ..Sign::default() };
    sign.send(&mut world.ehr().connect().await).await.expect(200);

    // Test mode: two to turn on, one to turn off.
    let on = json!({ "on": true });
    admin::grant(&world, "POST /test-mode", Some(&on)).await;
    let status = admin::ask(&world, &pki.auditor, "GET /status", None).await.expect(200).json();
    assert_eq!(status["danger_test_mode"], true);
    assert!(status["alarms"].to_string().contains("test mode"), "{status:#}");
    let off = json!({ "on": false });
    admin::ask(&world, &pki.officer, "POST /test-mode", Some(&off)).await.expect(200);
    sign.send(&mut world.ehr().connect().await).await.expect(200);

    let anchors = admin::ask(&world, &pki.auditor, "GET /anchors", None).await.expect(200).json();
    for anchor in anchors.as_array().unwrap() {
        let (purpose, fingerprint) = (&anchor["purpose"], &anchor["fingerprint"]);
        let line = format!(
            "DELETE /anchors/{}/{}",
            purpose.as_str().unwrap(),
            fingerprint.as_str().unwrap()
        );
        admin::ask(&world, &pki.officer, &line, None).await.expect(200);
        let refused = sign.send(&mut world.ehr().connect().await).await;
        assert!((400..500).contains(&refused.status), "{purpose}: {refused}");
    }
    let found = admin::ask(&world, &pki.auditor, "GET /doctor", None).await.expect(200).json();
    let without = found["checks"].as_array().unwrap().iter();
    let without =
        without.filter(|check| check["subject"].as_str().unwrap().starts_with("anchors for"));
    assert!(without.clone().count() == 3 && without.clone().all(|check| check["verdict"] == "bad"));

    // Back again by two: keys sign again after a new sign-in; the old session stays ended.
    for purpose in ["hpki_card", "second_certificate"] {
        let body = json!({ "purpose": purpose, "certificate_pem": pki.hpki_root.pem_text() });
        admin::grant(&world, "POST /anchors", Some(&body)).await;
    }
    let old = sign.send(&mut world.ehr().connect().await).await;
    assert!((400..500).contains(&old.status), "{old}");
    let session = world.ehr().sign_in(&pki.card).await;
    let sign =
        Sign { token: &session.token, credential: Some("p256"), content: b"x", ..Sign::default() };
    sign.send(&mut world.ehr().connect().await).await.expect(200);
}
