//! Requests that are wrong: each has its own answer, signs nothing and costs nothing.

use serde_json::json;
use std::time::Duration;
use std::time::Instant;
use tests::support::admin;
use tests::support::ehr::Session;
use tests::support::ehr::Sign;
use tests::support::ehr::content_digest;
use tests::support::ehr::sha256_b64;
use tests::support::http::Reply;
use tests::support::world::World;

/// Asks with a good session, expects this refusal, and finds nothing signed under it.
async fn refused(
    world: &World,
    line: &str,
    headers: &str,
    body: &[u8],
    status: u16,
    code: &str,
) -> Reply {
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let headers = format!("Signing-Session: {}\r\n{headers}", session.token);
    let reply = ehr.connect().await.ask(line, &headers, body).await.expect_problem(status, code);
    assert_nothing_signed(world, &session, &reply).await;
    reply
}

async fn assert_nothing_signed(world: &World, session: &Session, reply: &Reply) {
    let query = format!("request={}&event=signature", reply.request_id());
    assert!(admin::audit_records(world, &query).await.is_empty());
    let path = format!("/v1/sessions/{}", session.session_id);
    let view = world.ehr().connect().await.get(&path).await.expect(200).json();
    assert_eq!(view["remaining_signatures"], session.answer["remaining_signatures"], "{reply}");
}

#[tokio::test]
async fn body_that_does_not_match_its_content_digest_is_not_signed() {
    let world = World::shared().await;
    let line = "POST /v1/sign?credential=p256";
    let reply =
        refused(world, line, &content_digest(b"other"), b"body", 422, "digest_mismatch").await;
    assert!(!world.log_of(&reply.request_id()).await.is_empty());
    // SHA-512 of a body, for a key that signs SHA-256: both are computed.
    let wrong = format!("Content-Digest: sha-512=:{}:\r\n", "A".repeat(86) + "==");
    refused(world, line, &wrong, b"body", 422, "digest_mismatch").await;
}

#[tokio::test]
async fn body_that_matches_its_content_digest_is_signed() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let headers = content_digest(b"body");
    let sign = Sign {
        token: &session.token,
        credential: Some("p256"),
        headers,
        content: b"body",
        ..Sign::default()
    };
    sign.send(&mut ehr.connect().await).await.expect(200);
}

#[tokio::test]
async fn content_digest_that_is_no_such_header_is_malformed() {
    let world = World::shared().await;
    let line = "POST /v1/sign?credential=p256";
    for value in
        ["sha-256", "sha-256=abc", "sha-256=:AAAA:", "md5=:AAAAAAAAAAAAAAAAAAAAAA==:", "sha-256=::"]
    {
        let header = format!("Content-Digest: {value}\r\n");
        refused(world, line, &header, b"body", 400, "malformed_request").await;
    }
}

#[tokio::test]
async fn unknown_level_and_unknown_or_double_parameters_are_refused() {
    let world = World::shared().await;
    for (query, code) in [
        ("level=B-X", "unsupported_level"),
        ("level=B-LTA", "unsupported_level"),
        ("level=B-T", "unsupported_level"),
        ("level=b-b", "unsupported_level"),
        ("packaging=enveloped", "malformed_request"),
        ("credential=p256&credential=p256", "malformed_request"),
        ("level=B-B&level=B-B", "malformed_request"),
        ("colour=red", "malformed_request"),
    ] {
        refused(world, &format!("POST /v1/sign?{query}"), "", b"body", 400, code).await;
    }
    refused(world, "POST /v1/sign?credential=none", "", b"body", 404, "credential_unknown").await;
}

#[tokio::test]
async fn unknown_and_double_json_fields_are_refused() {
    let world = World::shared().await;
    let digest = sha256_b64(b"x");
    let item = format!(r#"{{"id":"a","alg":"sha-256","digest":"{digest}"}}"#);
    let json = "Content-Type: application/json\r\n";
    for body in [
        format!(r#"{{"output":"cms","output":"cms","credential":"p256","items":[{item}]}}"#),
        format!(r#"{{"output":"cms","credential":"p256","items":[{item}],"more":1}}"#),
        format!(r#"{{"output":"cms","credential":"p256","items":[{item}]}} x"#),
        format!(
            r#"{{"output":"cms","credential":"p256","items":[{}]}}"#,
            item.replace("\"id\"", "\"id\":\"b\",\"id\"")
        ),
        format!(
            r#"{{"output":"cms","credential":"p256","items":[{}]}}"#,
            item.replace("{", r#"{"salt":1,"#)
        ),
        format!(r#"{{"output":"other","credential":"p256","items":[{item}]}}"#),
        r#"{"output":"cms","credential":"p256","items":[]}"#.to_owned(),
        r#"{"output":"cms","credential":"p256"}"#.to_owned(),
        "[".repeat(100_000),
        String::new(),
    ] {
        refused(world, "POST /v1/sign/digest", json, body.as_bytes(), 400, "malformed_request")
            .await;
    }
    let sessions = world.ehr();
    for body in [json!({ "holder": "u-17", "color": 1 }), json!({ "purpose": "night" }), json!([])]
    {
        let reply = sessions.connect().await.post_json("/v1/sessions", &body).await;
        reply.expect_problem(400, "malformed_request");
    }
}

#[tokio::test]
async fn body_larger_than_announced_limits_is_refused_before_it_is_read() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let info = ehr.connect().await.get("/v1/info").await.expect(200).json();
    let cap = info["limits"]["attached_bytes"].as_u64().unwrap();
    let mut connection = ehr.connect().await;
    let head = format!(
        "POST /v1/sign?credential=p256&packaging=attached HTTP/1.1\r\nHost: localhost\r\n\
         Signing-Session: {}\r\nContent-Length: {}\r\n\r\n",
        session.token,
        cap + 1
    );
    connection.send(head).await.unwrap();
    let reply = connection.reply().await.unwrap().expect_problem(413, "body_too_large");
    assert_nothing_signed(world, &session, &reply).await;
}

#[tokio::test]
async fn truncated_body_is_not_signed() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let mut connection = ehr.connect().await;
    let head = format!(
        "POST /v1/sign?credential=p384 HTTP/1.1\r\nHost: localhost\r\nSigning-Session: {}\r\nContent-Length: 1000\r\n\r\n",
        session.token
    );
    connection.send(head + "only this much").await.unwrap();
    drop(connection);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let path = format!("/v1/sessions/{}", session.session_id);
    let view = ehr.connect().await.get(&path).await.expect(200).json();
    assert_eq!(view["remaining_signatures"], session.answer["remaining_signatures"]);
}

#[tokio::test]
async fn slow_body_is_given_up() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let mut connection = ehr.connect().await;
    let head = format!(
        "POST /v1/sign?credential=p256 HTTP/1.1\r\nHost: localhost\r\nSigning-Session: {}\r\nContent-Length: 1000\r\n\r\n",
        session.token
    );
    connection.send(head + "then silence").await.unwrap();
    let begun = Instant::now();
    let reply = connection.reply().await.unwrap().expect_problem(408, "request_timeout");
    let paused = world.settings.body_pause_seconds;
    assert!(begun.elapsed() < Duration::from_secs(paused + 10), "{:?}", begun.elapsed());
    assert_nothing_signed(world, &session, &reply).await;
}

#[tokio::test]
async fn session_is_checked_before_a_body_is_sent() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let mut connection = ehr.connect().await;
    let head = "POST /v1/sign?credential=p256 HTTP/1.1\r\nHost: localhost\r\nSigning-Session: nobody\r\n\
                Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n";
    connection.send(head).await.unwrap();
    connection.reply().await.unwrap().expect_problem(404, "session_unknown");
}

#[tokio::test]
async fn request_without_session_or_with_two_is_malformed() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let line = "POST /v1/sign?credential=p256";
    let none = ehr.connect().await.ask(line, "", b"body").await;
    assert!(matches!(none.status, 400 | 401 | 404), "{none}");
    let twice = "Signing-Session: a\r\nSigning-Session: b\r\n";
    ehr.connect().await.ask(line, twice, b"body").await.expect_problem(400, "malformed_request");
}

#[tokio::test]
async fn holder_that_is_not_there_or_not_ones_own_is_unknown() {
    let world = World::shared().await;
    let wanted = json!({ "holder": "nobody", "return_url": tests::support::world::RETURN_URL });
    let reply = world.ehr().connect().await.post_json("/v1/sessions", &wanted).await;
    reply.expect_problem(404, "holder_unknown");
    // The second system may name the first doctor only, and cannot tell the second from nobody.
    let other = world.ehr2().connect().await.get("/v1/credentials?holder=u-18").await;
    let nobody = world.ehr2().connect().await.get("/v1/credentials?holder=nobody").await;
    other.expect_problem(404, "holder_unknown");
    nobody.expect_problem(404, "holder_unknown");
}

#[tokio::test]
async fn return_url_that_is_not_registered_is_refused() {
    let world = World::shared().await;
    let good = tests::support::world::RETURN_URL;
    for url in [
        "https://evil.example/back",
        &format!("{good}/"),
        &format!("{good}?a=b"),
        "http://ehr.example:8443/back",
    ] {
        let reply = world
            .ehr()
            .connect()
            .await
            .post_json("/v1/sessions", &json!({ "return_url": url }))
            .await;
        reply.expect_problem(403, "not_permitted");
    }
}

#[tokio::test]
async fn h9_other_spellings_of_a_path_are_not_found() {
    let world = World::shared().await;
    let mut connection = world.ehr().connect().await;
    for path in [
        "/v1//info",
        "/v1/./info",
        "/v1/x/../info",
        "/v1/%69nfo",
        "/v1/info;a=b",
        "/V1/info",
        "/v1/info/",
    ] {
        let reply = connection.get(path).await;
        assert!(matches!(reply.status, 400 | 404), "{path}: {reply}");
    }
}

#[tokio::test]
async fn t12_identity_in_a_header_is_nobodys() {
    let world = World::shared().await;
    let unregistered = tests::support::ehr::Ehr::new(world, &world.pki.unregistered);
    let pem = world.pki.ehr.pem().replace('\n', "%0A");
    let headers = format!(
        "X-SSL-Client-Cert: {pem}\r\nX-Forwarded-For: 127.0.0.1\r\nX-Client-Verify: SUCCESS\r\n"
    );
    let reply = unregistered.connect().await.ask("GET /v1/info", &headers, b"").await;
    reply.expect_problem(403, "client_unknown");
}
