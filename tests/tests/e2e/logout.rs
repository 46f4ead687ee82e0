//! Logout racing a thousand signatures: one order in the audit log, and nothing behind it.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tests::support::admin;
use tests::support::ehr::Ehr;
use tests::support::ehr::Sign;
use tests::support::world::World;
use tokio::task::JoinSet;

const CLIENTS: usize = 20;
const EACH: usize = 50;

/// What one request came to: its answer, and whether it was sent after the logout had been answered.
struct Asked {
    status: u16,
    code: String,
    receipt: String,
    was_late: bool,
}

#[tokio::test]
async fn nothing_is_released_after_a_logout_that_was_answered() {
    let world = World::shared().await;
    for round in 0..3 {
        let ehr = world.ehr();
        let session = ehr.sign_in(&world.pki.card).await;
        let (released, logged_out) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut clients = JoinSet::new();
        for _client in 0..CLIENTS {
            let token = session.token.clone();
            clients.spawn(sign_on(ehr.clone(), token, released.clone(), logged_out.clone()));
        }
        // The logout comes in the thick of it, each round at another moment.
        let begun = std::time::Instant::now();
        while released.load(Ordering::SeqCst) < 50 + 150 * round
            && begun.elapsed() < Duration::from_secs(20)
        {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        ehr.log_out(&session.session_id).await.expect(204);
        logged_out.store(1, Ordering::SeqCst);
        let asked: Vec<Asked> = clients.join_all().await.into_iter().flatten().collect();

        assert_eq!(asked.len(), CLIENTS * EACH);
        for one in &asked {
            assert!(
                one.status == 200 || one.code == "session_ended",
                "{} {}",
                one.status,
                one.code
            );
            assert!(!(one.was_late && one.status == 200), "released after the logout was answered");
        }
        check_order(world, &asked).await;
    }
}

/// Every signature released has a record, and every record is before the one of the logout.
async fn check_order(world: &World, asked: &[Asked]) {
    let ends = admin::audit_records(world, "event=session_ended&system=ehr").await;
    let end = ends.last().expect("the record of the logout");
    let end_seq = end["seq"].as_u64().unwrap();
    let session = &end["event"]["session"];
    let records = admin::audit_records(world, "event=signature&system=ehr").await;
    let of_session: Vec<_> =
        records.iter().filter(|record| record["event"]["session"] == *session).collect();
    assert!(of_session.iter().all(|record| record["seq"].as_u64().unwrap() < end_seq));
    let recorded: Vec<String> = of_session.iter().map(|record| record["seq"].to_string()).collect();
    for one in asked.iter().filter(|one| one.status == 200) {
        assert!(recorded.contains(&one.receipt), "no record of receipt {}", one.receipt);
    }
}

async fn sign_on(
    ehr: Ehr,
    token: String,
    released: Arc<AtomicUsize>,
    logged_out: Arc<AtomicUsize>,
) -> Vec<Asked> {
    let mut connection = ehr.connect().await;
    let sign =
        Sign { token: &token, credential: Some("p256"), content: b"document", ..Sign::default() };
    let mut asked = Vec::with_capacity(EACH);
    for _time in 0..EACH {
        let was_late = logged_out.load(Ordering::SeqCst) == 1;
        let reply = sign.send(&mut connection).await;
        if reply.status == 200 {
            released.fetch_add(1, Ordering::SeqCst);
        }
        let receipt = reply.header("signature-receipt").to_owned();
        asked.push(Asked { status: reply.status, code: reply.code(), receipt, was_late });
    }
    asked
}
