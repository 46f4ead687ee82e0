//! Every limit that a peer can reach: at it and one past it.

use crate::support::client::Client;
use crate::support::client::PATIENCE;
use crate::support::client::client_config;
use crate::support::keeper::TOKEN;
use crate::support::rig::Rig;
use crate::support::rig::signing;
use rustls::version::TLS13;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use tokio::net::TcpSocket;
use tokio::time::timeout;

fn head(line: &str, more: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\nSigning-Session: {TOKEN}\r\n{more}\r\n")
}

#[tokio::test]
async fn head_of_16_kib_is_read_and_one_octet_more_is_refused() {
    let rig = Rig::new();
    let mut client = rig.connect().await;
    let request = |filler: usize| {
        format!("GET /v1/info HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(filler))
    };
    // All of the head but the empty line that ends it.
    let at_limit = 16 * 1024 - (request(0).len() - 2);
    client.send(request(at_limit)).await.unwrap();
    assert_eq!(client.reply().await.unwrap().status, 200);
    client.send(request(at_limit + 1)).await.unwrap();
    let reply = client.reply().await.unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (431, "header_too_large"));
    assert!(client.ends_within(Duration::from_secs(3)).await);
    let mut client = rig.connect().await;
    client.send(request(100_000)).await.unwrap();
    assert_eq!(client.reply().await.unwrap().code(), "header_too_large");
}

#[tokio::test]
async fn head_of_64_fields_is_read_and_one_more_is_refused() {
    let rig = Rig::new();
    let mut client = rig.connect().await;
    let fields = |count: usize| (1..count).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    assert_eq!(client.ask("GET /v1/info", &fields(64), b"").await.status, 200);
    assert_eq!(client.ask("GET /v1/info", &fields(65), b"").await.code(), "header_too_large");
    let mut client = rig.connect().await;
    let many = format!("GET /v1/info HTTP/1.1\r\nHost: localhost\r\n{}\r\n", fields(500));
    client.send(many).await.unwrap();
    assert_eq!(client.reply().await.unwrap().code(), "header_too_large");
}

#[tokio::test]
async fn documents_are_taken_up_to_their_limit_declared_or_not() {
    let rig = Rig::with(|config, _| {
        signing(config).documents.detached_bytes = 50_000;
        signing(config).documents.attached_bytes = 10_000;
    });
    for (packaging, limit) in [("detached", 50_000), ("attached", 10_000)] {
        let line = format!("POST /v1/sign?packaging={packaging}");
        for (size, is_taken) in [(limit, true), (limit + 1, false)] {
            let mut client = rig.connect().await;
            let signed = rig.keeper.signed.load(Ordering::SeqCst);
            let body = vec![1; size];
            let length = format!("Content-Length: {size}\r\n");
            client.send([head(&line, &length).as_bytes(), &body].concat()).await.unwrap();
            check(&client.reply().await.unwrap(), is_taken);
            let mut client = rig.connect().await;
            let chunk = [format!("{size:x}\r\n").as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
            let chunked = head(&line, "Transfer-Encoding: chunked\r\n");
            client.send([chunked.as_bytes(), &chunk].concat()).await.unwrap();
            check(&client.reply().await.unwrap(), is_taken);
            let signed = rig.keeper.signed.load(Ordering::SeqCst) - signed;
            assert_eq!(signed, if is_taken { 2 } else { 0 });
        }
    }

    fn check(reply: &crate::support::client::Reply, is_taken: bool) {
        // The keeper of paper makes no CMS into which content could be put.
        let taken = reply.status == 200 || reply.code() == "internal";
        assert_eq!(taken, is_taken, "{}", reply.text());
        if !is_taken {
            assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"));
        }
    }
}

/// H7: 2 GiB declared, and a body that never ends.
#[tokio::test]
async fn h7_endless_bodies_are_refused_in_bounded_time_and_memory() {
    let rig = Rig::with(|config, _| signing(config).documents.detached_bytes = 1_000_000);
    let mut client = rig.connect().await;
    client.send(head("POST /v1/sign", "Content-Length: 2147483648\r\n")).await.unwrap();
    assert_eq!(client.reply().await.unwrap().code(), "body_too_large");
    let mut client = rig.connect().await;
    client.send(head("POST /v1/sign", "Transfer-Encoding: chunked\r\n")).await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[0; 0x10000], b"\r\n"].concat();
    let endless = async { while client.send(&chunk).await.is_ok() {} };
    timeout(PATIENCE, endless).await.expect("the front hangs up on a body without end");
    assert_eq!(rig.keeper.signed.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn refused_head_costs_no_body_where_the_client_waits_for_100() {
    let rig = Rig::new();
    let mut client = rig.connect().await;
    let expect = "Content-Length: 1000000\r\nExpect: 100-continue\r\n";
    let refused = head("POST /v1/sign", expect).replace(TOKEN, "stolen-token");
    client.send(refused).await.unwrap();
    let reply = client.reply().await.unwrap();
    assert_eq!(reply.code(), "session_unknown", "not 100 first");
    let mut client = rig.connect().await;
    let short = "Content-Length: 3\r\nExpect: 100-continue\r\n";
    client.send(head("POST /v1/sign", short)).await.unwrap();
    assert_eq!(client.reply().await.unwrap().status, 100);
    client.send("abc").await.unwrap();
    assert_eq!(client.reply().await.unwrap().status, 200);
}

#[tokio::test]
async fn client_that_sends_its_body_regardless_still_reads_why_it_was_refused() {
    let rig = Rig::new();
    let mut client = rig.connect().await;
    let body = vec![0; 5_000_000];
    let headers = "Signing-Session: stolen-token\r\n";
    let reply = client.ask("POST /v1/sign", headers, &body).await;
    assert_eq!(reply.code(), "session_unknown");
    assert_eq!(client.get("/v1/info").await.status, 200, "and the connection goes on");
}

#[tokio::test]
async fn json_bodies_are_taken_up_to_their_limit() {
    let rig = Rig::with(|config, _| {
        signing(config).limits.json_bytes = 1_000;
        signing(config).documents.digests_json_bytes = 2_000;
    });
    let mut client = rig.connect().await;
    let padded = |size: usize| format!("{{}}{}", " ".repeat(size - 2));
    assert_eq!(client.post_json("/v1/sessions", &padded(1_000)).await.status, 201);
    let reply = client.post_json("/v1/sessions", &padded(1_001)).await;
    assert_eq!(reply.code(), "body_too_large");
    let digests = |size: usize| {
        let json = r#"{"output":"cms","items":[]}"#;
        format!("{json}{}", " ".repeat(size - json.len()))
    };
    let headers = format!("Signing-Session: {TOKEN}\r\nContent-Type: application/json\r\n");
    let line = "POST /v1/sign/digest";
    assert_eq!(client.ask(line, &headers, digests(2_000).as_bytes()).await.status, 200);
    let reply = client.ask(line, &headers, digests(2_001).as_bytes()).await;
    assert_eq!(reply.code(), "body_too_large");
}

#[tokio::test]
async fn names_are_taken_up_to_255_characters() {
    let rig = Rig::new();
    let mut client = rig.connect().await;
    let key = |length: usize| format!("Idempotency-Key: {}\r\n", "k".repeat(length));
    assert_eq!(client.sign("", &key(255), b"x").await.status, 200);
    assert_eq!(client.sign("", &key(256), b"x").await.code(), "malformed_request");
    let id = |length: usize| format!("?credential={}", "c".repeat(length));
    assert_eq!(client.sign(&id(255), "", b"x").await.status, 200);
    assert_eq!(client.sign(&id(256), "", b"x").await.code(), "credential_unknown");
    let heads = rig.keeper.heads.lock().unwrap();
    assert_eq!(heads[0].idempotency_key.as_deref(), Some("k".repeat(255).as_str()));
    assert_eq!(heads[1].credential.as_deref(), Some("c".repeat(255).as_str()));
}

#[tokio::test]
async fn batch_items_have_unique_short_ids_and_clean_labels() {
    let rig = Rig::new();
    let mut client = rig.connect().await;
    let headers = format!("Signing-Session: {TOKEN}\r\nContent-Type: application/json\r\n");
    let batch = |ids: &[String], label: &str| {
        let items: Vec<_> =
            ids.iter().map(|id| serde_json::json!({"id": id, "label": label})).collect();
        serde_json::json!({"output": "cms", "items": items}).to_string()
    };
    let line = "POST /v1/sign/digest";
    let good = batch(&["印".repeat(64)], "A\u{202e}\u{0}B");
    let reply = client.ask(line, &headers, good.as_bytes()).await;
    assert_eq!(reply.json()["items"][0]["signature"], "AB", "the label as the keeper got it");
    assert_eq!(reply.header("signing-session-remaining"), "signatures=48, seconds=1");
    let label_too_long = batch(&["a".into()], &"x".repeat(257));
    for bad in [
        batch(&["印".repeat(65)], ""),
        batch(&[String::new()], ""),
        batch(&["a".into(), "a".into()], ""),
        label_too_long,
    ] {
        assert_eq!(client.ask(line, &headers, bad.as_bytes()).await.code(), "malformed_request");
    }
}

#[tokio::test]
async fn body_that_pauses_too_long_times_out_and_signs_nothing() {
    let rig = Rig::with(|config, _| signing(config).limits.body_pause_seconds = 1);
    let mut client = rig.connect().await;
    client.send(head("POST /v1/sign", "Content-Length: 10\r\n") + "12345").await.unwrap();
    let started = Instant::now();
    let reply = client.reply().await.unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (408, "request_timeout"));
    assert!(started.elapsed() < Duration::from_secs(4));
    assert!(client.ends_within(Duration::from_secs(3)).await);
    assert_eq!(rig.keeper.signed.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn body_that_drips_below_the_rate_times_out() {
    let rig = Rig::with(|config, _| {
        signing(config).limits.body_pause_seconds = 2;
        signing(config).limits.body_bytes_per_second = 1_000;
    });
    let mut client = rig.connect().await;
    client.send(head("POST /v1/sign", "Content-Length: 1000\r\n")).await.unwrap();
    let drip = async {
        for _ in 0..100 {
            if client.send("1").await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            if client.has_said_something().await {
                break;
            }
        }
    };
    timeout(PATIENCE, drip).await.unwrap();
    assert_eq!(client.reply().await.unwrap().code(), "request_timeout");
}

/// H5: 400 slow heads, bodies and readers, and a healthy client beside them.
#[tokio::test]
async fn h5_slow_peers_are_in_nobodys_way() {
    let rig = Rig::with(|config, _| {
        signing(config).limits.header_seconds = 3;
        signing(config).limits.body_pause_seconds = 60;
    });
    let mut slow = Vec::new();
    for number in 0..400 {
        let mut client = rig.connect().await;
        let part = match number % 3 {
            0 => "GET /v1/info HTTP/1.1\r\nHost: loc".to_owned(),
            1 => head("POST /v1/sign", "Content-Length: 10\r\n") + "1",
            _ => head("GET /v1/openapi.json", "").repeat(20),
        };
        client.send(part).await.unwrap();
        slow.push(client);
    }
    let started = Instant::now();
    assert_eq!(rig.connect().await.get("/v1/info").await.status, 200);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert!(slow[0].ends_within(Duration::from_secs(5)).await, "a slow head is dropped");
    assert!(!slow[1].ends_within(Duration::from_millis(100)).await, "a body has longer");
}

#[tokio::test]
async fn answer_that_nobody_reads_is_given_up() {
    let rig = Rig::with(|config, _| signing(config).limits.write_seconds = 1);
    let mut client = rig.connect().await;
    let ask = head("GET /v1/openapi.json", "");
    let stuffed = async { while client.send(&ask).await.is_ok() {} };
    timeout(PATIENCE, stuffed).await.expect("the front drops a peer that does not read");
}

#[tokio::test]
async fn idle_connection_is_closed_and_a_busy_one_is_not() {
    let rig = Rig::with(|config, _| signing(config).keep_alive_seconds = 1);
    let mut idle = rig.connect().await;
    assert_eq!(idle.get("/v1/info").await.status, 200);
    rig.keeper.slow_ms.store(2_500, Ordering::Relaxed);
    let mut busy = rig.connect().await;
    assert_eq!(busy.sign("", "", b"x").await.status, 200);
    assert!(idle.ends_within(Duration::from_millis(500)).await);
}

#[tokio::test]
async fn handshake_that_takes_too_long_is_ended() {
    let rig = Rig::with(|config, _| signing(config).handshake_seconds = 1);
    let mut silent = Client::plain(rig.signing).await.unwrap();
    assert!(silent.ends_within(Duration::from_secs(3)).await);
    let mut stuck = Client::plain(rig.signing).await.unwrap();
    stuck.send([22, 3, 1, 2, 0]).await.unwrap();
    assert!(stuck.ends_within(Duration::from_secs(3)).await);
}

#[tokio::test]
async fn handshakes_of_one_address_are_limited_and_others_are_let_in() {
    let rig = Rig::with(|config, _| signing(config).limits.handshakes_per_address = 2);
    let begun = async || {
        let mut client = Client::plain(rig.signing).await.unwrap();
        client.send([22, 3, 1, 2, 0]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        client
    };
    let (mut first, second) = (begun().await, begun().await);
    assert!(!first.ends_within(Duration::from_millis(10)).await, "at the limit nobody is dropped");
    let third = begun().await;
    assert!(first.ends_within(Duration::from_millis(300)).await, "past it the oldest goes");
    let elsewhere = TcpSocket::new_v4().unwrap();
    elsewhere.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let socket = elsewhere.connect(rig.signing).await.unwrap();
    let config = client_config(&rig.pki, Some(&rig.pki.client), &[&TLS13]);
    let mut other = Client::tls_over(socket, config, "localhost").await.unwrap();
    assert_eq!(other.get("/v1/info").await.status, 200, "another address has its own");
    for mut left in [second, third] {
        assert!(!left.ends_within(Duration::from_millis(10)).await);
    }
    assert_eq!(rig.connect().await.get("/v1/info").await.status, 200, "who is honest is through");
    assert!(rig.metrics_text().await.contains("reason=\"shed\""));
}

#[tokio::test]
async fn requests_at_work_are_limited_and_the_next_is_told_to_wait() {
    let rig = Rig::with(|config, _| signing(config).limits.requests = 2);
    rig.keeper.slow_ms.store(1_500, Ordering::Relaxed);
    let mut first = rig.connect().await;
    let mut second = rig.connect().await;
    let mut third = rig.connect().await;
    let late = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        third.get("/v1/info").await
    };
    let (first, second, third) =
        tokio::join!(first.sign("", "", b"x"), second.sign("", "", b"x"), late);
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!((third.status, third.code().as_str()), (429, "rate_limited"));
    assert_eq!(third.header("retry-after"), "1");
}

/// Slow uploads of one program, and another program beside it.
#[tokio::test]
async fn requests_of_one_certificate_at_once_are_limited_and_others_are_served() {
    let rig = Rig::with(|config, _| signing(config).limits.requests_per_client = 2);
    let mut slow = [rig.connect().await, rig.connect().await];
    for client in &mut slow {
        client.send(head("POST /v1/sign", "Content-Length: 10\r\n") + "12345").await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let third = rig.connect().await.get("/v1/info").await;
    assert_eq!((third.status, third.code().as_str()), (429, "rate_limited"));
    let mut other = rig.connect_as(&rig.pki.client2).await;
    assert_eq!(other.get("/v1/info").await.status, 200);
    for client in &mut slow {
        client.send("67890").await.unwrap();
        assert_eq!(client.reply().await.unwrap().status, 200, "at the limit all are served");
    }
    assert_eq!(rig.connect().await.get("/v1/info").await.status, 200, "and gave their place back");
}

/// Who shows no certificate is counted by address.
#[tokio::test]
async fn requests_of_one_address_at_once_are_limited_where_nobody_shows_a_certificate() {
    let rig = Rig::with(|config, _| config.portal.as_mut().unwrap().limits.requests_per_client = 1);
    let mut slow = rig.connect_portal().await;
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n";
    slow.send(head("POST /login/link-1/phone", form) + "lang").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut other = rig.connect_portal().await;
    let refused = other.get("/").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    slow.send("=ja").await.unwrap();
    assert_eq!(slow.reply().await.unwrap().status, 303, "at the limit one is served");
    assert_eq!(other.get("/").await.status, 200, "and gave its place back");
}

#[tokio::test]
async fn long_polls_do_not_take_the_place_of_requests_and_are_limited_themselves() {
    let rig = Rig::with(|config, _| {
        signing(config).limits.requests = 1;
        signing(config).limits.waiting_requests = 1;
    });
    let mut waiting = rig.connect().await;
    let mut other = rig.connect().await;
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let polled = other.get("/v1/sessions/s-2?wait=2").await;
        let asked = other.get("/v1/info").await;
        (polled, asked)
    };
    let (waited, (polled, asked)) = tokio::join!(waiting.get("/v1/sessions/s-1?wait=2"), meanwhile);
    assert_eq!((waited.status, asked.status), (200, 200));
    assert_eq!(polled.code(), "rate_limited");
}

#[tokio::test]
async fn requests_of_one_certificate_are_limited_by_the_second() {
    let rig = Rig::with(|config, _| signing(config).requests_per_second = 5);
    let mut client = rig.connect().await;
    let mut refused = None;
    for _ in 0..6 {
        let reply = client.get("/v1/info").await;
        if reply.status != 200 {
            refused = Some(reply);
        }
    }
    let refused = refused.expect("the sixth in a second");
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    assert_eq!(refused.header("retry-after"), "1");
    let mut other = rig.connect_as(&rig.pki.client2).await;
    assert_eq!(other.get("/v1/info").await.status, 200, "another has a rate of its own");
    let metrics = rig.metrics_text().await;
    assert!(
        metrics.contains("inkan_refused_total{limit=\"rate\",listener=\"signing\"}"),
        "{metrics}"
    );
}

#[tokio::test]
async fn memory_of_bodies_is_limited_and_given_back() {
    let rig = Rig::with(|config, _| signing(config).limits.buffered_bytes = 1024 * 1024);
    let mut client = rig.connect().await;
    // 600 kB stand in memory twice: once as they came, once in the answer.
    let reply = client.sign("?packaging=attached", "", &vec![1; 600_000]).await;
    assert_eq!(reply.code(), "rate_limited");
    for _ in 0..3 {
        let reply = client.sign("?packaging=attached", "", &vec![1; 400_000]).await;
        assert_eq!(reply.code(), "internal", "it got as far as the signature");
    }
}

#[tokio::test]
async fn connection_past_the_limit_takes_the_place_of_an_idle_one() {
    let rig = Rig::with(|config, _| signing(config).limits.connections = 2);
    let mut first = rig.connect().await;
    assert_eq!(first.get("/v1/info").await.status, 200);
    let mut second = rig.connect().await;
    assert_eq!(second.get("/v1/info").await.status, 200);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let mut third = rig.connect().await;
    assert_eq!(third.get("/v1/info").await.status, 200);
    assert!(first.ends_within(Duration::from_secs(3)).await);
    assert_eq!(second.get("/v1/info").await.status, 200);
}

#[tokio::test]
async fn panic_in_a_request_is_an_internal_error_and_no_more() {
    let rig = Rig::new();
    rig.keeper.panics.store(true, Ordering::Relaxed);
    for client in [&mut rig.connect().await, &mut rig.connect().await] {
        assert_eq!(client.get("/v1/info").await.code(), "internal");
    }
    let mut client = rig.connect().await;
    assert_eq!(client.sign("", "", b"x").await.code(), "internal");
    rig.keeper.panics.store(false, Ordering::Relaxed);
    assert_eq!(rig.connect().await.sign("", "", b"x").await.status, 200);
    assert!(rig.metrics_text().await.contains("inkan_http_panics_total 3"));
}

#[tokio::test]
async fn signature_that_was_begun_is_finished_when_the_client_hangs_up() {
    let rig = Rig::new();
    rig.keeper.slow_ms.store(500, Ordering::Relaxed);
    let mut client = rig.connect().await;
    client.send(head("POST /v1/sign", "Content-Length: 1\r\n") + "x").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(client);
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(rig.keeper.signed.load(Ordering::SeqCst), 1);
}
