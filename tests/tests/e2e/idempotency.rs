//! Retries: the same request twice is one signature, also over a restart and after the session has ended.

use std::collections::HashSet;
use tests::support::admin;
use tests::support::ehr::Ehr;
use tests::support::ehr::Sign;
use tests::support::http::Reply;
use tests::support::world::Plan;
use tests::support::world::World;
use tokio::task::JoinSet;

async fn sign(ehr: &Ehr, token: &str, key: &str, content: &[u8]) -> Reply {
    let sign = Sign {
        token,
        credential: Some("p256"),
        idempotency_key: Some(key),
        content,
        ..Sign::default()
    };
    sign.send(&mut ehr.connect().await).await
}

async fn signatures_recorded(world: &World) -> usize {
    admin::audit_records(world, "event=signature").await.len()
}

#[tokio::test]
async fn same_request_again_gives_the_same_octets_without_a_second_use_of_the_key() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let first = sign(&ehr, &session.token, "k-1", b"document").await.expect(200);
    let again = sign(&ehr, &session.token, "k-1", b"document").await.expect(200);
    // ECDSA signatures of one document differ each time they are made.
    assert_eq!(first.body, again.body);
    assert_eq!(first.header("signature-receipt"), again.header("signature-receipt"));
    let query = format!("request={}&event=signature", again.request_id());
    assert!(admin::audit_records(world, &query).await.is_empty());
    assert_eq!(
        first.header("signing-session-remaining").split(',').next(),
        again.header("signing-session-remaining").split(',').next()
    );
    let other_key = sign(&ehr, &session.token, "k-2", b"document").await.expect(200);
    assert_ne!(first.body, other_key.body);
}

#[tokio::test]
async fn same_key_for_another_request_is_a_conflict() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    sign(&ehr, &session.token, "k", b"document").await.expect(200);
    sign(&ehr, &session.token, "k", b"another").await.expect_problem(422, "idempotency_conflict");
    let attached = Sign {
        token: &session.token,
        credential: Some("p256"),
        idempotency_key: Some("k"),
        attached: true,
        content: b"document",
        ..Sign::default()
    };
    attached.send(&mut ehr.connect().await).await.expect_problem(422, "idempotency_conflict");
}

#[tokio::test]
async fn key_of_another_session_or_system_is_another_key() {
    let world = World::shared().await;
    let (ehr, ehr2) = (world.ehr(), world.ehr2());
    let one = ehr.sign_in(&world.pki.card).await;
    let two = ehr.sign_in(&world.pki.card).await;
    let three = ehr2.sign_in(&world.pki.card).await;
    let bodies = [
        sign(&ehr, &one.token, "k", b"document").await.expect(200).body,
        sign(&ehr, &two.token, "k", b"document").await.expect(200).body,
        sign(&ehr2, &three.token, "k", b"document").await.expect(200).body,
    ];
    assert_eq!(bodies.iter().collect::<HashSet<_>>().len(), 3);
    sign(&ehr2, &one.token, "k", b"document").await.expect_problem(404, "session_unknown");
}

#[tokio::test]
async fn h12_fifty_at_once_are_one_signature() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let mut clients = JoinSet::new();
    for _client in 0..50 {
        let (ehr, token) = (ehr.clone(), session.token.clone());
        clients.spawn(async move { sign(&ehr, &token, "at-once", b"document").await });
    }
    let replies = clients.join_all().await;
    let (done, running): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert!(!done.is_empty());
    assert_eq!(done.iter().map(|reply| &reply.body).collect::<HashSet<_>>().len(), 1);
    assert!(running.iter().all(|reply| reply.code() == "idempotency_running"), "{running:?}");
    assert!(running.iter().all(|reply| !reply.header("retry-after").is_empty()));
    let view =
        ehr.connect().await.get(&format!("/v1/sessions/{}", session.session_id)).await.json();
    let left = session.answer["remaining_signatures"].as_u64().unwrap() - 1;
    assert_eq!(view["remaining_signatures"].as_u64(), Some(left));
}

#[tokio::test]
async fn retry_is_answered_after_logout_and_over_restarts() {
    let mut world = World::new(Plan::default()).await;
    let token;
    let first;
    {
        let ehr = world.ehr();
        let session = ehr.sign_in(&world.pki.card).await;
        first = sign(&ehr, &session.token, "k", b"document").await.expect(200).body;
        token = session.token.clone();
    }
    world.daemon.kill();
    world.restart();
    let before = signatures_recorded(&world).await;
    assert_eq!(sign(&world.ehr(), &token, "k", b"document").await.expect(200).body, first);
    sign(&world.ehr(), &token, "k", b"another").await.expect_problem(422, "idempotency_conflict");
    let fresh = world.ehr().sign_in(&world.pki.card).await;
    let kept = sign(&world.ehr(), &fresh.token, "k", b"document").await.expect(200).body;
    world.ehr().log_out(&fresh.session_id).await.expect(204);
    assert_eq!(sign(&world.ehr(), &fresh.token, "k", b"document").await.expect(200).body, kept);
    assert!(
        world
            .daemon
            .stop(std::time::Duration::from_secs(15))
            .is_some_and(|status| status.success())
    );
    world.restart();
    assert_eq!(sign(&world.ehr(), &fresh.token, "k", b"document").await.expect(200).body, kept);
    assert_eq!(signatures_recorded(&world).await, before + 1);
}
