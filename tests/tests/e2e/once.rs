//! `purpose: once`: a card approves particular entries; they are signed, each once, and nothing else is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use std::time::Duration;
use tests::support::admin;
use tests::support::cms;
use tests::support::config::Settings;
use tests::support::ehr::Ehr;
use tests::support::ehr::Session;
use tests::support::ehr::Sign;
use tests::support::ehr::content_digest;
use tests::support::ehr::entry;
use tests::support::ehr::once;
use tests::support::ehr::sha256_b64;
use tests::support::ehr::sign_digests;
use tests::support::http::Reply;
use tests::support::world::ALL_KEYS;
use tests::support::world::DOCTOR;
use tests::support::world::DOCTOR2;
use tests::support::world::Plan;
use tests::support::world::World;
use tokio::sync::OnceCell;

/// A world for these tests: one doctor signs in for each of them, oftener than twenty times a minute.
async fn world() -> &'static World {
    static WORLD: OnceCell<World> = OnceCell::const_new();
    let tune = |settings: &mut Settings| {
        settings.more.push_str("[limits]\nsign_ins_per_minute = 1000\n");
    };
    WORLD.get_or_init(|| World::new(Plan { keys: ALL_KEYS, tune, ..Plan::default() })).await
}

async fn activated(world: &World, entries: &[Value]) -> Session {
    world.ehr().sign_in_with(&world.pki.card, &once(DOCTOR, entries)).await
}

fn content(octets: &[u8]) -> Value {
    entry("content", "p256", octets, &String::from_utf8_lossy(octets))
}

fn dtbsr(octets: &[u8]) -> Value {
    entry("dtbsr", "p256", octets, &String::from_utf8_lossy(octets))
}

async fn sign(ehr: &Ehr, token: &str, octets: &[u8]) -> Reply {
    let sign = Sign { token, credential: Some("p256"), content: octets, ..Sign::default() };
    sign.send(&mut ehr.connect().await).await
}

async fn sign_with_key(ehr: &Ehr, token: &str, key: &str, octets: &[u8]) -> Reply {
    let sign = Sign {
        token,
        credential: Some("p256"),
        idempotency_key: Some(key),
        content: octets,
        ..Sign::default()
    };
    sign.send(&mut ehr.connect().await).await
}

async fn batch(ehr: &Ehr, token: &str, output: &str, contents: &[&[u8]]) -> Reply {
    let item = |(n, octets): (usize, &&[u8])| json!({ "id": format!("{n}"), "alg": "sha-256", "digest": sha256_b64(octets) });
    let items: Vec<_> = contents.iter().enumerate().map(item).collect();
    let body = json!({ "credential": "p256", "output": output, "items": items });
    sign_digests(&mut ehr.connect().await, token, &body).await
}

async fn leaf_of(world: &World, holder: &str, credential: &str) -> Vec<u8> {
    let path = format!("/v1/credentials?holder={holder}");
    let listed = world.ehr().connect().await.get(&path).await.expect(200).json();
    let found = listed.as_array().unwrap().iter().find(|one| one["id"] == credential);
    STANDARD.decode(found.unwrap()["chain"][0].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn card_approves_what_its_page_lists_and_just_that_is_signed_each_once() {
    let world = world().await;
    let ehr = world.ehr();
    let labels = ["処方箋 山田 太郎\u{202e} 様", "<b>紹介状</b>"];
    let entries =
        [entry("content", "p256", b"a", labels[0]), entry("content", "p256", b"b", labels[1])];
    let pending = ehr.ask_sign_in_with(&once(DOCTOR, &entries)).await;
    assert_eq!(ehr.view(&pending.session_id).await["purpose"], "once");
    let mut browser = world.portal().browser(Some(&world.pki.card)).await;
    let page = browser.open(&pending.login_path).await;
    let html = page.reply.text();
    for seen in
        ["処方箋 山田 太郎 様", "only the 2 signatures below, each once", "What is to be signed"]
    {
        assert!(html.contains(seen), "{seen}: {html}");
    }
    assert!(html.contains("紹介状") && !html.contains("<b>"), "{html}");
    let form_token = page.form_token.unwrap();
    let confirmed = browser.confirm(&pending.login_path, &form_token, None, "approve").await;
    let code = tests::support::portal::code_of(&confirmed);
    let active = ehr.activate(&pending.session_id, &code).await.expect(200).json();
    assert_eq!((&active["purpose"], &active["remaining_entries"]), (&json!("once"), &json!(2)));
    let token = active["signing_token"].as_str().unwrap();

    // W6: approved is A, submitted is B.
    sign(&ehr, token, b"x").await.expect_problem(403, "digest_not_authorized");
    let signed = sign(&ehr, token, b"a").await.expect(200);
    cms::assert_good(world, &signed.body, b"a", true);
    sign(&ehr, token, b"a").await.expect_problem(403, "digest_not_authorized");
    let view = ehr.view(&pending.session_id).await;
    assert_eq!((&view["state"], &view["remaining_entries"]), (&json!("active"), &json!(1)));
    let signed = sign(&ehr, token, b"b").await.expect(200);
    cms::assert_good(world, &signed.body, b"b", true);
    assert_eq!(signed.header("signing-session-remaining").split(',').next(), Some("signatures=0"));

    let view = ehr.view(&pending.session_id).await;
    assert_eq!((&view["state"], &view["reason"]), (&json!("ended"), &json!("exhausted")));
    sign(&ehr, token, b"a").await.expect_problem(401, "session_exhausted");
}

/// The list that was asked for, the approval and each signature name each other in the log; no label stands in it.
#[tokio::test]
async fn log_ties_the_list_the_approval_and_each_signature_together() {
    let world = World::new(Plan::default()).await;
    let label = "紹介状 佐藤様";
    activated(&world, &[entry("content", "p256", b"a", label)]).await;
    let session = activated(&world, &[entry("content", "p256", b"b", label)]).await;
    sign(&world.ehr(), &session.token, b"b").await.expect(200);
    let all = admin::audit_records(&world, "event=activation_asked").await;
    let asked = &all[1]["event"];
    let approved = &admin::audit_records(&world, "event=sign_in_approved").await[1]["event"];
    let signed = &admin::audit_records(&world, "event=signature").await[0]["event"];
    assert_eq!(asked["session"], approved["session"]);
    assert_eq!(asked["digest"], approved["entries"]);
    assert_eq!(signed["evidence"], approved["evidence"]);
    let listed = &asked["entries"][0];
    assert_eq!(listed["label"], signed["label"]);
    assert_eq!(listed["digest"], signed["content_digest"]);
    assert_ne!(listed["label"], all[0]["event"]["entries"][0]["label"], "the label can be guessed");
    let text = ["kind", "credential_id", "label"].map(|name| listed[name].as_str().unwrap());
    let (alg, value) = (&listed["digest"]["alg"], &listed["digest"]["value"]);
    let [kind, credential, commitment] = text;
    let (alg, value) = (alg.as_str().unwrap(), value.as_str().unwrap());
    let line = format!("{kind}/{alg}/{value}/{credential}/{commitment}\n");
    let digest = attest::records::Fingerprint::of(line.as_bytes());
    assert_eq!(asked["digest"], digest.0.as_str());
    assert!(!json!([all, approved, signed]).to_string().contains("佐藤"));
}

#[tokio::test]
async fn announced_digest_that_is_not_approved_is_refused_before_the_body() {
    let world = world().await;
    let session = activated(world, &[content(b"a"), content(b"b")]).await;
    let mut connection = world.ehr().connect().await;
    let head = |octets: &[u8]| {
        format!(
            "POST /v1/sign?credential=p256 HTTP/1.1\r\nHost: localhost\r\nSigning-Session: {}\r\n{}\
             Content-Length: 1\r\nExpect: 100-continue\r\n\r\n",
            session.token,
            content_digest(octets)
        )
    };
    connection.send(head(b"x")).await.unwrap();
    let refused = connection.reply().await.unwrap();
    refused.expect_problem(403, "digest_not_authorized");
    // Announced is one of them, but another one comes.
    let headers = content_digest(b"a");
    let lies = Sign {
        token: &session.token,
        credential: Some("p256"),
        headers,
        content: b"b",
        ..Sign::default()
    };
    lies.send(&mut world.ehr().connect().await).await.expect_problem(422, "digest_mismatch");
    let view = world.ehr().view(&session.session_id).await;
    assert_eq!(view["remaining_entries"], 2);
    let honest = Sign { content: b"a", ..lies };
    honest.send(&mut world.ehr().connect().await).await.expect(200);
}

#[tokio::test]
async fn bare_digest_that_was_approved_is_signed_and_verified_by_openssl() {
    let world = world().await;
    let ehr = world.ehr();
    let octets: [&[u8]; 2] = [b"signed info 1", b"signed info 2"];
    let rsa = |octets| entry("dtbsr", "rsa2048", octets, "XML");
    for (credential, entries) in [("p256", octets.map(dtbsr)), ("rsa2048", octets.map(rsa))] {
        let session = activated(world, &entries).await;
        let items: Vec<_> = octets
            .iter()
            .map(|octets| {
                let id = String::from_utf8_lossy(octets);
                json!({ "id": id, "alg": "sha-256", "digest": sha256_b64(octets) })
            })
            .collect();
        let body = json!({ "credential": credential, "output": "raw", "items": items });
        let answer = sign_digests(&mut ehr.connect().await, &session.token, &body).await;
        let answer = answer.expect(200).json();
        let leaf = leaf_of(world, DOCTOR, credential).await;
        for (item, octets) in answer["items"].as_array().unwrap().iter().zip(octets) {
            let signature = STANDARD.decode(item["signature"].as_str().unwrap()).unwrap();
            let digest = STANDARD.decode(sha256_b64(octets)).unwrap();
            cms::assert_raw_good(world, &leaf, &digest, &signature);
        }
        assert_eq!(ehr.state(&session.session_id).await, "ended");
    }
}

#[tokio::test]
async fn kinds_never_serve_each_other() {
    let world = world().await;
    let ehr = world.ehr();
    let session = activated(world, &[content(b"a"), dtbsr(b"b")]).await;
    let code = "digest_not_authorized";
    sign(&ehr, &session.token, b"b").await.expect_problem(403, code);
    batch(&ehr, &session.token, "cms", &[b"b"]).await.expect_problem(403, code);
    batch(&ehr, &session.token, "raw", &[b"a"]).await.expect_problem(403, code);
    assert_eq!(ehr.view(&session.session_id).await["remaining_entries"], 2);
    batch(&ehr, &session.token, "raw", &[b"b"]).await.expect(200);
    batch(&ehr, &session.token, "cms", &[b"a"]).await.expect(200);
}

#[tokio::test]
async fn day_session_signs_no_bare_digest_and_is_good_for_no_entry() {
    let world = world().await;
    let ehr = world.ehr();
    let once = activated(world, &[content(b"a")]).await;
    let day = ehr.sign_in(&world.pki.card).await;
    assert_eq!(day.answer["purpose"], "day");
    assert!(day.answer.get("remaining_entries").is_none());
    batch(&ehr, &day.token, "raw", &[b"c"]).await.expect_problem(403, "not_permitted");
    // What a day session signs uses up nothing of another.
    sign(&ehr, &day.token, b"a").await.expect(200);
    sign(&ehr, &once.token, b"other").await.expect_problem(403, "digest_not_authorized");
    sign(&ehr, &once.token, b"a").await.expect(200);
}

#[tokio::test]
async fn s1_entry_of_somebody_elses_key_is_unknown() {
    let world = world().await;
    for credential in ["other", "nobody's"] {
        let entries = [entry("content", credential, b"a", "A")];
        let mut connection = world.ehr().connect().await;
        let reply = connection.post_json("/v1/sessions", &once(DOCTOR, &entries)).await;
        reply.expect_problem(404, "credential_unknown");
    }
    // Nor may a system name a holder that is not its own.
    let entries = [entry("content", "other", b"a", "A")];
    let mut connection = world.ehr2().connect().await;
    let reply = connection.post_json("/v1/sessions", &once(DOCTOR2, &entries)).await;
    reply.expect_problem(404, "holder_unknown");
    // An approved entry of one key is not signed by another of the same holder.
    let session = activated(world, &[entry("content", "rsa2048", b"a", "A")]).await;
    let refused = sign(&world.ehr(), &session.token, b"a").await;
    refused.expect_problem(403, "digest_not_authorized");
}

#[tokio::test]
async fn list_that_is_none_is_refused_with_what_is_wrong_in_it() {
    let world = world().await;
    let with = |change: Value| {
        let mut one = content(b"a");
        one.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        once(DOCTOR, &[content(b"first"), one])
    };
    let many = |count: usize| {
        let entries: Vec<_> = (0..count).map(|n| content(format!("{n}").as_bytes())).collect();
        once(DOCTOR, &entries)
    };
    let mut no_holder = many(1);
    no_holder["holder"] = Value::Null;
    let mut day = many(1);
    day["purpose"] = json!("day");
    let wrong = [
        (no_holder, "names its holder"),
        (day, "entries go with purpose once"),
        (json!({ "holder": DOCTOR, "purpose": "once" }), "takes entries"),
        (many(0), "entries: 1 to 20"),
        (many(21), "entries: 1 to 20"),
        (with(json!({ "value": sha256_b64(b"first") })), "entry 2 has the value of an earlier one"),
        (
            with(json!({ "value": sha256_b64(b"first"), "kind": "dtbsr" })),
            "entry 2 has the value of an earlier one",
        ),
        (with(json!({ "value": STANDARD.encode([0; 31]) })), "length of its algorithm"),
        (with(json!({ "value": "not base64" })), "entry 2: value is not base64"),
        (with(json!({ "alg": "sha-512" })), "entry 2: this key signs sha-256 digests"),
        (with(json!({ "label": "印".repeat(61) })), "entry 2: a label has 1 to 60 characters"),
        (with(json!({ "label": "\u{202e} \u{200b}" })), "entry 2: no label"),
        (with(json!({ "kind": "hash" })), "unknown variant"),
        (with(json!({ "more": 1 })), "unknown field"),
    ];
    let ehr = world.ehr();
    for (wanted, why) in wrong {
        let reply = ehr.connect().await.post_json("/v1/sessions", &wanted).await;
        let reply = reply.expect_problem(400, "malformed_request");
        assert!(reply.text().contains(why), "{why}: {reply}");
    }
    for good in [many(20), with(json!({ "label": "印".repeat(60) }))] {
        ehr.connect().await.post_json("/v1/sessions", &good).await.expect(201);
    }
    let closed = once(DOCTOR, &[dtbsr(b"a")]);
    let reply = world.ehr2().connect().await.post_json("/v1/sessions", &closed).await;
    reply.expect_problem(403, "not_permitted");
}

#[tokio::test]
async fn retry_answers_the_same_signature_without_another_use_also_after_the_end() {
    let world = world().await;
    let ehr = world.ehr();
    let session = activated(world, &[content(b"a"), content(b"b")]).await;
    let first = sign_with_key(&ehr, &session.token, "k", b"a").await.expect(200);
    let again = sign_with_key(&ehr, &session.token, "k", b"a").await.expect(200);
    assert_eq!(first.body, again.body);
    assert_eq!(ehr.view(&session.session_id).await["remaining_entries"], 1);
    sign_with_key(&ehr, &session.token, "other", b"a")
        .await
        .expect_problem(403, "digest_not_authorized");
    sign_with_key(&ehr, &session.token, "k-2", b"b").await.expect(200);
    assert_eq!(ehr.state(&session.session_id).await, "ended");
    let late = sign_with_key(&ehr, &session.token, "k", b"a").await.expect(200);
    assert_eq!(first.body, late.body);
}

#[tokio::test]
async fn s5_batch_with_one_that_is_not_approved_signs_nothing() {
    let world = world().await;
    let ehr = world.ehr();
    let session = activated(world, &[content(b"a"), content(b"b")]).await;
    let code = "digest_not_authorized";
    batch(&ehr, &session.token, "cms", &[b"a", b"b", b"x"]).await.expect_problem(403, code);
    batch(&ehr, &session.token, "cms", &[b"a", b"a"]).await.expect_problem(403, code);
    assert_eq!(ehr.view(&session.session_id).await["remaining_entries"], 2);
    let signed = batch(&ehr, &session.token, "cms", &[b"a", b"b"]).await.expect(200).json();
    for (item, octets) in signed["items"].as_array().unwrap().iter().zip([b"a", b"b"]) {
        let signature = STANDARD.decode(item["signature"].as_str().unwrap()).unwrap();
        cms::assert_good(world, &signature, octets, true);
    }
}

#[tokio::test]
async fn s2_activation_is_over_at_its_second_counted_from_the_evidence() {
    let tune = |settings: &mut tests::support::config::Settings| {
        // They stand in the table of sessions.
        settings.more.push_str("once_seconds = 30\n");
    };
    let world = World::new(Plan { tune, ..Plan::default() }).await;
    let ehr = world.ehr();
    let pending = ehr.ask_sign_in_with(&once(DOCTOR, &[content(b"a")])).await;
    let confirmed = world.portal().approve(&world.pki.card, &pending.login_path, None).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let code = tests::support::portal::code_of(&confirmed);
    ehr.activate(&pending.session_id, &code).await.expect(200);
    let view = ehr.view(&pending.session_id).await;
    assert!(view["remaining_seconds"].as_u64().unwrap() <= 27, "{view}");
}

/// The system's limits shrink between the page and the form: what the holder read is not what would be allowed.
#[tokio::test]
async fn form_of_a_page_that_said_other_limits_is_over() {
    let world = World::new(Plan::default()).await;
    let ehr = world.ehr();
    let pending = ehr.ask_sign_in(None).await;
    let mut browser = world.portal().browser(Some(&world.pki.card)).await;
    let form_token = browser.open(&pending.login_path).await.form_token.unwrap();
    let narrower = json!({ "limits": { "signatures": 7 } });
    let administrator = &world.pki.administrator;
    admin::ask(&world, administrator, "PATCH /systems/ehr", Some(&narrower)).await.expect(200);
    let refused = browser.confirm(&pending.login_path, &form_token, None, "approve").await;
    assert_ne!(refused.status, 303, "{refused}");
    assert_eq!(ehr.state(&pending.session_id).await, "pending");
    // With what the page says now it goes on, and what it says is what there is.
    let session = ehr.sign_in(&world.pki.card).await;
    assert_eq!(session.answer["remaining_signatures"], 7);
}

/// The limits are raised between approval and activation: nobody agreed to that.
#[tokio::test]
async fn limits_raised_after_the_approval_are_not_those_of_the_session() {
    let world = World::new(Plan { session_signatures: 5, ..Plan::default() }).await;
    let ehr = world.ehr();
    let pending = ehr.ask_sign_in(None).await;
    let confirmed = world.portal().approve(&world.pki.card, &pending.login_path, None).await;
    let wider = json!({ "limits": { "signatures": 500 } });
    admin::grant(&world, "PATCH /systems/ehr", Some(&wider)).await;
    let code = tests::support::portal::code_of(&confirmed);
    let active = ehr.activate(&pending.session_id, &code).await.expect(200).json();
    assert_eq!(active["remaining_signatures"], 5);
}

/// Nobody knows what became of it: the entry is gone, the others are not.
#[tokio::test]
async fn d1_kill_9_between_use_and_answer_leaves_the_entry_used() {
    let tune = |settings: &mut tests::support::config::Settings| settings.hsm_deadline_ms = 60_000;
    let mut world = World::new(Plan { shim: true, tune, ..Plan::default() }).await;
    let session = activated(&world, &[content(b"a"), content(b"b"), content(b"c")]).await;
    sign_with_key(&world.ehr(), &session.token, "k-c", b"c").await.expect(200);
    world.shim("C_Sign sleep 60s\n");
    let under_way = tokio::spawn({
        let (ehr, token) = (world.ehr(), session.token.clone());
        async move {
            let mut connection = ehr.connect().await;
            let sign = Sign {
                token: &token,
                credential: Some("p256"),
                idempotency_key: Some("k-a"),
                content: b"a",
                ..Sign::default()
            };
            sign.try_send(&mut connection).await.is_ok()
        }
    });
    let mut looks = 0;
    while world.ehr().view(&session.session_id).await["remaining_entries"] != 1 {
        looks += 1;
        assert!(looks < 500, "the entry is not used");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Another request for it is answered when the use is durable, and not before.
    let code = "digest_not_authorized";
    sign(&world.ehr(), &session.token, b"a").await.expect_problem(403, code);
    world.daemon.kill();
    assert!(!under_way.await.unwrap(), "it was answered");
    world.shim("");
    world.restart();
    let ehr = world.ehr();
    assert_eq!(ehr.view(&session.session_id).await["remaining_entries"], 1);
    sign_with_key(&ehr, &session.token, "k-a", b"a").await.expect_problem(403, code);
    let signatures = admin::audit_records(&world, "event=signature").await.len();
    sign_with_key(&ehr, &session.token, "k-c", b"c").await.expect(200);
    assert_eq!(admin::audit_records(&world, "event=signature").await.len(), signatures);
    let signed = sign(&ehr, &session.token, b"b").await.expect(200);
    cms::assert_good(&world, &signed.body, b"b", true);
    assert_eq!(ehr.view(&session.session_id).await["remaining_entries"], 0);
}

/// A day session is told to try again. An entry of an activation is used up with the try, and nobody is told otherwise.
#[tokio::test]
async fn entry_whose_signature_fails_in_the_token_is_not_to_be_tried_again() {
    let world = World::new(Plan { shim: true, ..Plan::default() }).await;
    let session = activated(&world, &[content(b"a"), content(b"b")]).await;
    // Not one of those after which the call is made once more.
    world.shim("C_Sign CKR_HOST_MEMORY 1\n");
    let failed = sign(&world.ehr(), &session.token, b"a").await;
    assert!(failed.header("retry-after").is_empty(), "{failed}");
    failed.expect_problem(403, "digest_not_authorized");
    world.shim("C_Sign CKR_HOST_MEMORY 1\n");
    let failed = batch(&world.ehr(), &session.token, "cms", &[b"b"]).await.expect(200).json();
    assert_eq!(failed["items"][0]["problem"], "digest_not_authorized", "{failed}");
    assert_eq!(world.ehr().state(&session.session_id).await, "ended");
    let day = world.ehr().sign_in(&world.pki.card).await;
    world.shim("C_Sign CKR_HOST_MEMORY 1\n");
    sign(&world.ehr(), &day.token, b"a").await.expect_problem(503, "hsm_unavailable");
}

/// One of three fails in the token. The batch is sent again: what was signed is answered once more, and nothing else is.
#[tokio::test]
async fn retry_of_a_batch_answers_what_was_signed_and_refuses_the_rest() {
    let world = World::new(Plan { shim: true, ..Plan::default() }).await;
    let contents: [&[u8]; 3] = [b"a", b"b", b"c"];
    let session = activated(&world, &contents.map(content)).await;
    let item = |octets: &[u8]| json!({ "id": sha256_b64(octets), "alg": "sha-256", "digest": sha256_b64(octets) });
    let items = contents.map(item);
    let body = json!({ "credential": "p256", "output": "cms", "items": items }).to_string();
    let head = format!(
        "Signing-Session: {}\r\nIdempotency-Key: k\r\nContent-Type: application/json\r\n",
        session.token
    );
    let send = async || {
        let mut connection = world.ehr().connect().await;
        let reply = connection.ask("POST /v1/sign/digest", &head, body.as_bytes()).await;
        let items = reply.expect(200).json()["items"].clone();
        items.as_array().unwrap().clone()
    };
    // Not one of those after which the call is made once more.
    world.shim("C_Sign CKR_HOST_MEMORY 1\n");
    let first = send().await;
    world.shim("");
    let failed = first.iter().filter(|item| item["problem"].is_string()).count();
    assert_eq!(failed, 1, "{first:#?}");
    assert_eq!(world.ehr().state(&session.session_id).await, "ended");
    let used = world.metric("inkan_signatures_total", &["released"]);
    let again = send().await;
    for (before, now) in first.iter().zip(&again) {
        match before["signature"].as_str() {
            Some(signature) => assert_eq!(now["signature"], signature),
            None => assert_eq!(now["problem"], "session_exhausted"),
        }
    }
    assert_eq!(world.metric("inkan_signatures_total", &["released"]).to_bits(), used.to_bits());
}
