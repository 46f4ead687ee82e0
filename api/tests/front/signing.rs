//! `/v1/sign` and its neighbours over real mutual TLS.

use crate::support::keeper::TOKEN;
use crate::support::rig::Rig;
use aws_lc_rs::digest;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

#[tokio::test]
async fn document_of_any_size_is_signed_by_its_digest() {
    let rig = Rig::new();
    let mut client = rig.connect().await;
    for size in [0, 1, 100_000, 3_000_000] {
        let document = vec![7; size];
        let reply = client.sign("", "", &document).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.text(), hex::encode(digest::digest(&digest::SHA256, &document)));
        assert_eq!(reply.header("content-type"), "application/pkcs7-signature");
        assert_eq!(reply.header("signature-receipt"), "r-1");
        assert_eq!(reply.header("signing-session-remaining"), "signatures=49, seconds=28800");
        assert_eq!(reply.header("request-id").len(), 32);
        assert_eq!(reply.header("cache-control"), "no-store");
    }
    assert_eq!(rig.keeper.signed.load(Ordering::SeqCst), 4);
    let callers = rig.keeper.callers.lock().unwrap();
    let fingerprint = hex::encode(digest::digest(&digest::SHA256, &rig.pki.client.der));
    assert!(callers.iter().all(|caller| caller.certificate.0 == fingerprint));
}

#[tokio::test]
async fn info_says_the_limits_of_the_front() {
    let rig = Rig::new();
    let reply = rig.connect().await.get("/v1/info").await;
    assert_eq!(reply.json()["limits"]["attached_bytes"], 16 * 1024 * 1024);
    assert_eq!(reply.json()["limits"]["detached_bytes"], 4_u64 * 1024 * 1024 * 1024);
    assert_eq!(TOKEN, "good-token");
}

/// A signature that the keeper has recorded, and a logout right behind it.
#[tokio::test]
async fn signature_before_a_logout_is_out_before_the_logout_is_answered() {
    let rig = Rig::new();
    rig.keeper.slow_ms.store(500, Ordering::Relaxed);
    let mut signing = rig.connect().await;
    let mut leaving = rig.connect().await;
    let head = "POST /v1/sign HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n";
    signing.send(format!("{head}Signing-Session: {TOKEN}\r\n\r\nx")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let left = leaving.ask("DELETE /v1/sessions/s-1", "", b"").await;
    assert_eq!(left.status, 204);
    assert!(signing.has_said_something().await, "the signature was at the socket before");
    assert_eq!(signing.reply().await.unwrap().status, 200);
}

#[tokio::test]
async fn logout_waits_a_second_and_no_more_for_a_signature_that_hangs() {
    let rig = Rig::new();
    rig.keeper.slow_ms.store(5_000, Ordering::Relaxed);
    let mut signing = rig.connect().await;
    let mut leaving = rig.connect().await;
    let head = "POST /v1/sign HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n";
    signing.send(format!("{head}Signing-Session: {TOKEN}\r\n\r\nx")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    assert_eq!(leaving.ask("DELETE /v1/sessions/s-1", "", b"").await.status, 204);
    let took = started.elapsed();
    assert!((900..2_000).contains(&took.as_millis()), "{took:?}");
}
