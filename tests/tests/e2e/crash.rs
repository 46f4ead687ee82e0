//! The daemon is killed in the thick of it: what was released is recorded, what was counted stays counted.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::time::Duration;
use tests::support::admin;
use tests::support::ehr::Ehr;
use tests::support::ehr::Sign;
use tests::support::world::Plan;
use tests::support::world::World;
use tokio::task::JoinSet;

/// A signature that left the house: its receipt and its value.
struct Released {
    receipt: String,
    value: Vec<u8>,
}

/// Signs with one connection until it breaks, is refused, or `times` are done.
async fn sign_until_broken(ehr: Ehr, token: String, times: usize) -> Vec<Released> {
    let mut released = Vec::new();
    let Ok(mut connection) = ehr.try_connect().await else { return released };
    for n in 0..times {
        let content = format!("{n}");
        let sign = Sign {
            token: &token,
            credential: Some("p256"),
            content: content.as_bytes(),
            ..Sign::default()
        };
        let Ok(reply) = sign.try_send(&mut connection).await else { break };
        if reply.status != 200 {
            break;
        }
        let receipt = reply.header("signature-receipt").to_owned();
        let value = cades::SignedDataView::parse(&reply.body).unwrap().signature().to_vec();
        released.push(Released { receipt, value });
    }
    released
}

/// Starts `clients` that sign until the daemon is gone.
fn load(world: &World, token: &str, clients: usize) -> JoinSet<Vec<Released>> {
    let mut set = JoinSet::new();
    for _client in 0..clients {
        set.spawn(sign_until_broken(world.ehr(), token.to_owned(), 10_000));
    }
    set
}

async fn assert_all_recorded(world: &World, released: &[Released]) -> usize {
    let records = admin::audit_records(world, "event=signature&system=ehr").await;
    let values: HashMap<String, Vec<u8>> = records
        .iter()
        .map(|record| {
            let value = record["event"]["signature"].as_str().expect("a signature value");
            (record["seq"].to_string(), STANDARD.decode(value).unwrap())
        })
        .collect();
    for one in released {
        assert_eq!(
            values.get(&one.receipt),
            Some(&one.value),
            "receipt {} has no record",
            one.receipt
        );
    }
    records.len()
}

#[tokio::test]
async fn d1_kill_9_under_load_loses_no_record_and_never_exceeds_the_count() {
    const LIMIT: u64 = 600;
    let plan = Plan { session_signatures: LIMIT, ..Plan::default() };
    let mut world = World::new(plan).await;
    let token = world.ehr().sign_in(&world.pki.card).await.token;
    let mut released: Vec<Released> = Vec::new();
    for round in 0..8_u64 {
        let clients = load(&world, &token, 8);
        tokio::time::sleep(Duration::from_millis(30 + 67 * round)).await;
        world.daemon.kill();
        released.extend(clients.join_all().await.into_iter().flatten());
        world.restart();
        let recorded = assert_all_recorded(&world, &released).await;
        assert!(recorded as u64 <= LIMIT, "{recorded} signatures in a session of {LIMIT}");
    }
    // What the kills left over can still be used, and no more than that.
    released.extend(load(&world, &token, 8).join_all().await.into_iter().flatten());
    let recorded = assert_all_recorded(&world, &released).await;
    assert!(recorded as u64 <= LIMIT && !released.is_empty());
}

#[tokio::test]
async fn d12_sigterm_in_flight_finishes_cleanly_within_ten_seconds() {
    let mut world = World::new(Plan::default()).await;
    let session = world.ehr().sign_in(&world.pki.card).await;
    let clients = load(&world, &session.token, 8);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let status = world.daemon.stop(Duration::from_secs(10));
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
    let released: Vec<Released> = clients.join_all().await.into_iter().flatten().collect();
    assert!(!released.is_empty());
    world.restart();
    assert_all_recorded(&world, &released).await;
    // A clean stop gives the reserved rest of the count back.
    let path = format!("/v1/sessions/{}", session.session_id);
    let view = world.ehr().connect().await.get(&path).await.expect(200).json();
    let left = session.answer["remaining_signatures"].as_u64().unwrap() - released.len() as u64;
    assert!(
        view["remaining_signatures"].as_u64().is_some_and(|now| now >= left - 8 && now <= left),
        "{view}"
    );
    let stops = admin::audit_records(&world, "event=stopped").await;
    assert_eq!(stops.len(), 1);
}

#[tokio::test]
async fn d10_second_daemon_on_one_data_directory_gives_up() {
    let world = World::new(Plan::default()).await;
    let mut settings = world.settings.clone();
    settings.more.clear();
    let ports = tests::support::config::Ports::free();
    let mut launch = world.launch.clone();
    launch.config = world.folder.join("second.toml");
    launch.log = world.folder.join("second.log");
    launch.pid_file = world.folder.join("second.pid");
    launch.metrics = ports.metrics;
    std::fs::write(&launch.config, settings.toml(&world.data_dir, ports, &world.pki)).unwrap();
    let mut second = tests::support::daemon::Daemon::spawn(&launch);
    let refusal = second.wait_refusal(Duration::from_secs(20));
    assert!(refusal.contains("another") || refusal.contains("lock"), "{refusal}");
    let session = world.ehr().sign_in(&world.pki.card).await;
    assert!(!session.token.is_empty());
}
