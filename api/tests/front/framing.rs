//! Group H of the attacks: requests that two readers could take differently, and everything that is no request.

use crate::support::client::Client;
use crate::support::keeper::TOKEN;
use crate::support::rig::Rig;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What the first reply must be. After it either nothing is left on the connection, or it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expect {
    /// One of these statuses (none: no answer at all), then the end of the connection.
    Ends(&'static [u16]),
    /// This status, and the connection goes on with the next request.
    Goes(u16),
}

use Expect::Ends;
use Expect::Goes;

const SMUGGLED: &str = "GET /v1/info HTTP/1.1\r\nHost: localhost\r\n\r\n";
const BAD: Expect = Ends(&[400]);

/// What follows the head of a POST: framing fields, then a body in which a second request is hidden. `{n}` stands for its
/// length, `{s}` for it, `{c}` for it as a chunk.
#[rustfmt::skip]
const BODIES: &[(&str, Expect)] = &[
    // The body is a body.
    ("Content-Length: {n}\r\n\r\n{s}", Goes(400)),
    ("Transfer-Encoding: chunked\r\n\r\n{c}", Goes(400)),
    ("Transfer-Encoding: Chunked\r\n\r\n{c}", Goes(400)),
    // Both lengths: RFC 9112 §6.1 has the chunked one win and the connection close.
    ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{c}", BAD),
    ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{c}", BAD),
    // Codings.
    ("Transfer-Encoding: gzip, chunked\r\n\r\n{c}", BAD),
    ("Transfer-Encoding: chunked, chunked\r\n\r\n{c}", BAD),
    ("Transfer-Encoding: chunked, identity\r\n\r\n{c}", BAD),
    ("Transfer-Encoding: identity\r\nContent-Length: {n}\r\n\r\n{s}", BAD),
    ("Transfer-Encoding: xchunked\r\n\r\n{c}", BAD),
    ("Transfer-Encoding:\x0bchunked\r\n\r\n{c}", BAD),
    ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n{c}", BAD),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n{c}", BAD),
    ("Transfer-Encoding : chunked\r\n\r\n{c}", BAD),
    ("Transfer-Encoding\r\n: chunked\r\n\r\n{c}", BAD),
    ("X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", BAD),
    // Lengths.
    ("Content-Length: {n}\r\nContent-Length: 0\r\n\r\n{s}", BAD),
    ("Content-Length: 0, {n}\r\n\r\n{s}", BAD),
    ("Content-Length: +{n}\r\n\r\n{s}", BAD),
    ("Content-Length: -1\r\n\r\n{s}", BAD),
    ("Content-Length: 0x10\r\n\r\n{s}", BAD),
    ("Content-Length: 1 0\r\n\r\n{s}", BAD),
    ("Content-Length: {n}abc\r\n\r\n{s}", BAD),
    ("Content-Length:\r\n\r\n{s}", BAD),
    ("Content-Length: 18446744073709551616\r\n\r\n{s}", BAD),
    ("Content-Length : {n}\r\n\r\n{s}", BAD),
    // Chunks.
    ("Transfer-Encoding: chunked\r\n\r\n-1\r\n{s}", BAD),
    ("Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", BAD),
    ("Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{s}", BAD),
    ("Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n", BAD),
    ("Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", BAD),
    ("Transfer-Encoding: chunked\r\n\r\n\r\n0\r\n\r\n", BAD),
];

/// Whole requests.
#[rustfmt::skip]
const HEADS: &[(&str, Expect)] = &[
    ("GET /v1/info HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", BAD),
    ("GET /v1/info HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n", BAD),
    ("GET /v1/info HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n", BAD),
    ("GET /v1/info HTTP/1.1\r\nHost: localhost\r\nX y: z\r\n\r\n", BAD),
    ("GET /v1/info HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", BAD),
    ("GET /v1/info HTTP/1.1\r\n\r\n", BAD),
    ("GET /v1/info HTTP/1.1\r\n Host: localhost\r\n\r\n", BAD),
    ("GET  /v1/info HTTP/1.1\r\nHost: localhost\r\n\r\n", BAD),
    ("GET /v1/info HTTP/1.1 \r\nHost: localhost\r\n\r\n", BAD),
    ("GET /v1/info HTTP/2.0\r\nHost: localhost\r\n\r\n", BAD),
    ("GET /v1/info HTTP/1.7\r\nHost: localhost\r\n\r\n", BAD),
    ("GET /v1/info\r\n\r\n", BAD),
    ("GET /v1/info x HTTP/1.1\r\nHost: localhost\r\n\r\n", BAD),
    ("G<T /v1/info HTTP/1.1\r\nHost: localhost\r\n\r\n", BAD),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Ends(&[])),
    ("\r\n\r\nGET /v1/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", Goes(404)),
    ("CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n", Goes(404)),
    ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", Goes(404)),
    ("GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", Goes(404)),
    ("GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: {n}\r\n\r\n{s}", Goes(404)),
    ("GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{c}", Goes(404)),
];

/// H1: after each of these, the front and the peer agree on where the next request begins, or the connection is over. A
/// smuggled second request would be counted as `info`.
#[tokio::test]
async fn h1_no_framing_makes_a_second_request_out_of_a_body() {
    let rig = Rig::new();
    let post =
        "POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let bodies = BODIES.iter().map(|(rest, expect)| (format!("{post}{rest}"), *expect));
    let heads = HEADS.iter().map(|(head, expect)| ((*head).to_owned(), *expect));
    for (pattern, expect) in bodies.chain(heads) {
        let chunk = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
        let request = pattern.replace("{n}", &SMUGGLED.len().to_string());
        let request = request.replace("{s}", SMUGGLED).replace("{c}", &chunk);
        let mut client = rig.connect().await;
        client.send(&request).await.unwrap();
        let reply = match client.reply().await {
            Ok(reply) => reply,
            Err(_) if expect == Ends(&[]) => continue,
            Err(error) => panic!("{request}: {error}"),
        };
        match expect {
            Goes(status) => {
                assert_eq!(reply.status, status, "{request}");
                assert_eq!(client.get("/v1/nothing").await.status, 404, "{request}");
            }
            Ends(statuses) => {
                assert!(statuses.contains(&reply.status), "{request}: {}", reply.status);
                assert_eq!(reply.code(), "malformed_request", "{request}");
                assert!(client.ends_within(Duration::from_secs(3)).await, "{request}");
            }
        }
    }
    assert!(!rig.keeper.was_asked("info"), "nothing was smuggled");
    assert_eq!(rig.keeper.signed.load(Ordering::SeqCst), 0);
}

/// What the codec refuses by itself: a problem as everywhere else, on a page for a browser, behind other answers too.
#[tokio::test]
async fn head_that_cannot_be_read_is_refused_with_a_problem_and_counted() {
    let rig = Rig::new();
    let long_target = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000));
    for (octets, status, code) in [
        ("\u{1}\u{2}\u{3}\r\n\r\n", 400, "malformed_request"),
        ("GET /v1/info HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n", 400, "malformed_request"),
        (long_target.as_str(), 431, "header_too_large"),
    ] {
        let mut client = rig.connect().await;
        assert_eq!(client.get("/v1/info").await.status, 200);
        client.send(octets).await.unwrap();
        let reply = client.reply().await.unwrap();
        assert_eq!((reply.status, reply.code().as_str()), (status, code));
        assert_eq!(reply.header("connection"), "close");
        assert!(reply.header("date").ends_with(" GMT"));
        assert!(client.ends_within(Duration::from_secs(3)).await);
        let mut client = rig.connect().await;
        let pipelined = format!("GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n{octets}");
        client.send(pipelined).await.unwrap();
        assert_eq!(client.reply().await.unwrap().code(), "not_found");
        assert_eq!(client.reply().await.unwrap().code(), code);
        assert!(client.ends_within(Duration::from_secs(3)).await);
    }
    let mut browser = rig.connect_card(None).await;
    browser.send("\u{1}\r\n\r\n").await.unwrap();
    let page = browser.reply().await.unwrap();
    assert_eq!((page.status, page.header("content-type")), (400, "text/html; charset=utf-8"));
    assert!(page.text().contains(page.header("request-id")));
    let metrics = rig.metrics_text().await;
    let count = "inkan_http_requests_total{code=\"malformed_request\",listener=\"signing\",route=\"none\"} 4";
    assert!(metrics.contains(count), "{metrics}");
}

#[tokio::test]
async fn http_1_0_gets_its_answer_and_is_done() {
    let rig = Rig::new();
    let mut client = rig.connect().await;
    client.send("GET /v1/info HTTP/1.0\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(client.reply().await.unwrap().status, 200);
    assert!(client.ends_within(Duration::from_secs(3)).await);
    let mut client = rig.connect().await;
    client.send("POST /v1/sessions HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").await.unwrap();
    assert_eq!(client.reply().await.unwrap().status, 400);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let rig = Rig::new();
    let mut client = rig.connect().await;
    let head = "HTTP/1.1\r\nHost: localhost\r\n";
    let sign =
        format!("POST /v1/sign {head}Signing-Session: {TOKEN}\r\nContent-Length: 3\r\n\r\nabc");
    let all = format!("GET /v1/nothing {head}\r\n{sign}GET /v1/info {head}\r\n");
    client.send(all).await.unwrap();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(client.reply().await.unwrap().status);
    }
    assert_eq!(statuses, [404, 200, 200]);
}

#[tokio::test]
async fn chunked_document_with_extensions_and_trailers_is_its_chunks() {
    let rig = Rig::new();
    let mut client = rig.connect().await;
    let request = format!(
        "POST /v1/sign HTTP/1.1\r\nHost: localhost\r\nSigning-Session: {TOKEN}\r\n\
         Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nContent-Length: 9\r\n\r\n"
    );
    client.send(request).await.unwrap();
    let reply = client.reply().await.unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"abcde");
    assert_eq!(reply.text(), hex::encode(digest));
}

/// H8 over the wire; the table of cases is beside the parser.
#[tokio::test]
async fn h8_json_that_parsers_read_differently_is_malformed() {
    let rig = Rig::new();
    let mut client = rig.connect().await;
    let deep = "[".repeat(400_000);
    for json in [
        r#"{"holder":"a","holder":"b"}"#,
        r#"{"holder":"a","h\u006flder":"b"}"#,
        r#"{"holder":"\ud800"}"#,
        r#"{"holder":1e999}"#,
        r#"{"holder":"a","unknown":1}"#,
        r#"{"holder":"a"} x"#,
        "[]",
        "null",
        "",
        deep.as_str(),
    ] {
        let reply = client.post_json("/v1/sessions", json).await;
        assert_eq!(reply.code(), "malformed_request", "{}", &json[..json.len().min(60)]);
        assert_eq!(reply.status, 400);
    }
    assert!(rig.keeper.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn media_types_and_codings_are_said_and_known() {
    let rig = Rig::new();
    let mut client = rig.connect().await;
    for headers in [
        "",
        "Content-Type: text/json\r\n",
        "Content-Type: application/json; charset=shift_jis\r\n",
        "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
    ] {
        let reply = client.ask("POST /v1/sessions", headers, b"{}").await;
        assert_eq!(reply.code(), "unsupported_media_type", "{headers}");
    }
    for headers in
        ["Content-Encoding: gzip\r\n", "Content-Type: multipart/form-data; boundary=x\r\n"]
    {
        let reply = client.sign("", headers, b"abc").await;
        assert_eq!(reply.code(), "unsupported_media_type", "{headers}");
    }
    assert_eq!(
        client.sign("", "Content-Type: application/x-www-form-urlencoded\r\n", b"a").await.status,
        200
    );
    assert_eq!(client.sign("", "Content-Encoding: identity\r\n", b"a").await.status, 200);
}

/// H9: one resource or 404, in each path parameter.
#[tokio::test]
async fn h9_other_spellings_of_a_path_lead_nowhere() {
    let rig = Rig::new();
    let mut client = rig.connect().await;
    for path in [
        "/v1/sessions/..",
        "/v1/sessions/../info",
        "/v1/sessions/%2e%2e",
        "/v1/sessions/a%2fb",
        "/v1/sessions//a",
        "/v1/sessions/",
        "/v1/sessions/a;x=1",
        "/v1/sessions/a.",
        "/v1/Sessions/a",
        "/v1/sessions/a/",
        "/v1/sessions/%00",
        "/v1/sessions/a%20",
        "/v1//info",
        "/v1/info/",
        "//v1/info",
        "/./v1/info",
        "/v1/info;",
        "/v1/%69nfo",
        "/v1/info%3fx",
        "/metrics",
        "/admin/v1/status",
        "/login/x",
    ] {
        let reply = client.get(path).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"), "{path}");
    }
    assert!(rig.keeper.asked.lock().unwrap().is_empty());
}

/// H10
#[tokio::test]
async fn h10_other_methods_are_refused_and_none_is_overridden() {
    let rig = Rig::new();
    for method in ["OPTIONS", "TRACE", "PUT", "PATCH", "DELETE", "HEAD", "BREW"] {
        let mut client = rig.connect().await;
        client
            .send(format!("{method} /v1/sign HTTP/1.1\r\nHost: localhost\r\nX-HTTP-Method-Override: POST\r\n\r\n"))
            .await
            .unwrap();
        let reply = client.reply_head().await.unwrap();
        assert_eq!((reply.status, reply.header("allow")), (405, "POST"), "{method}");
        assert_eq!(reply.header("access-control-allow-origin"), "");
    }
    let mut client = rig.connect().await;
    client.send("HEAD /v1/info HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let head = client.reply_head().await.unwrap();
    let got = client.get("/v1/info").await;
    assert_eq!((head.status, got.status), (200, 200));
    assert_eq!(head.header("content-length"), got.header("content-length"));
}

#[tokio::test]
async fn parameters_and_fields_are_known_and_given_once() {
    let rig = Rig::new();
    let mut client = rig.connect().await;
    for (query, code) in [
        ("?level=B-T", "unsupported_level"),
        ("?level=", "unsupported_level"),
        ("?level=B-B&level=B-B", "malformed_request"),
        ("?packaging=enveloped", "malformed_request"),
        ("?unknown=1", "malformed_request"),
        ("?credential=../x", "credential_unknown"),
        ("?credential=", "credential_unknown"),
        ("?credential=a+b", "malformed_request"),
        ("?credential=%ff", "malformed_request"),
    ] {
        assert_eq!(client.sign(query, "", b"x").await.code(), code, "{query}");
    }
    for (headers, code) in [
        ("Signing-Session: x\r\n", "malformed_request"),
        ("Idempotency-Key: a\r\nIdempotency-Key: a\r\n", "malformed_request"),
        ("Idempotency-Key:\r\n", "malformed_request"),
        ("Content-Digest: md5=:AA==:\r\n", "malformed_request"),
        ("Content-Digest: sha-256=:AA==:\r\n", "malformed_request"),
    ] {
        assert_eq!(client.sign("", headers, b"x").await.code(), code, "{headers}");
    }
    assert_eq!(client.ask("POST /v1/sign", "", b"x").await.code(), "malformed_request");
    assert_eq!(client.get("/v1/credentials").await.code(), "malformed_request");
    for wait in ["61", "-1", "", "1.5", "999999999999999999999", "+1"] {
        let reply = client.get(&format!("/v1/sessions/s?wait={wait}")).await;
        assert_eq!(reply.code(), "malformed_request", "{wait}");
    }
    let headers = format!("Signing-Session: {TOKEN}\r\nContent-Type: application/json\r\n");
    for (json, code) in [
        (r#"{"output":"cms","level":"B-T","items":[]}"#, "unsupported_level"),
        (r#"{"output":"cms","level":1,"items":[]}"#, "malformed_request"),
        (r#"{"output":"pdf","items":[]}"#, "malformed_request"),
    ] {
        let reply = client.ask("POST /v1/sign/digest", &headers, json.as_bytes()).await;
        assert_eq!(reply.code(), code, "{json}");
    }
    assert!(rig.keeper.heads.lock().unwrap().is_empty(), "nothing of this reached the gate");
}

#[tokio::test]
async fn client_that_hangs_up_in_a_body_signs_nothing() {
    let rig = Rig::new();
    for packaging in ["detached", "attached"] {
        let mut client = rig.connect().await;
        let head = format!(
            "POST /v1/sign?packaging={packaging} HTTP/1.1\r\nHost: localhost\r\nSigning-Session: {TOKEN}\r\n\
             Content-Length: 10\r\n\r\n12345"
        );
        client.send(head).await.unwrap();
        client.finish().await.unwrap();
        let _ = client.ends_within(Duration::from_secs(3)).await;
    }
    let mut client: Client = rig.connect().await;
    assert_eq!(client.get("/v1/info").await.status, 200);
    assert_eq!(rig.keeper.signed.load(Ordering::SeqCst), 0);
}
