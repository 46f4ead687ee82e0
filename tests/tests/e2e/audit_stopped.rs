//! The audit log stops at the worst moment: what was decided and could not be recorded waits for its record.

use super::renewal::key;
use super::renewal::objects;
use super::renewal::revoked_and_kept_its_time;
use super::renewal::text;
use serde_json::json;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tests::support::admin;
use tests::support::world::DOCTOR;
use tests::support::world::Plan;
use tests::support::world::World;

/// A world whose audit log stops for good at its next record once the file is there; nothing where there is no compiler.
async fn with_a_log_that_stops(plan: Plan) -> Option<(World, PathBuf)> {
    let mut world = World::new(plan).await;
    let (library, armed) = (world.folder.join("faults.so"), world.folder.join("armed"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/durability/faults.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).arg("-ldl");
    if !compiler.status().is_ok_and(|status| status.success()) {
        println!("skipped: no C compiler (cc) here");
        return None;
    }
    let fault = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAULT_CALL", "fdatasync".to_owned()),
        ("FAULT_AT", "1".to_owned()),
        ("FAULT_HOW", "5".to_owned()),
        ("FAULT_UNDER", world.data_dir.join("audit").display().to_string()),
        ("FAULT_ARMED", armed.display().to_string()),
    ];
    let fault = fault.map(|(name, value)| (name.to_owned(), value));
    assert!(world.daemon.stop(Duration::from_secs(15)).is_some());
    world.launch.environment.extend(fault);
    world.restart();
    Some((world, armed))
}

fn restarted(world: &mut World, armed: &Path) {
    world.daemon.kill();
    std::fs::remove_file(armed).unwrap();
    world.restart();
}

#[tokio::test]
async fn pair_that_a_durable_record_names_stays_although_its_making_could_not_be_recorded() {
    let Some((mut world, armed)) = with_a_log_that_stops(Plan::default()).await else { return };
    let there = objects(&world.token.objects);
    std::fs::write(&armed, b"").unwrap();
    let new = json!({ "credential_id": "late", "holder_id": DOCTOR, "key_type": "p-256" });
    let refused = admin::ask(&world, &world.pki.registrar, "POST /keys", Some(&new)).await;
    refused.expect_problem(503, "audit_unavailable");
    // Private key and public key.
    assert_eq!(objects(&world.token.objects), there + 2);
    restarted(&mut world, &armed);
    assert_eq!(key(&world, "late").await["status"], "generated");
    let request = "GET /keys/late/request";
    admin::ask(&world, &world.pki.registrar, request, None).await.expect(200);
    let records = admin::audit_records(&world, "event=trust_changed&credential=late").await;
    assert!(!records.is_empty(), "recorded at the start");
}

#[tokio::test]
async fn pair_is_not_destroyed_before_the_decision_is_recorded() {
    let tune = |settings: &mut tests::support::config::Settings| {
        settings.more.push_str("[keys]\ndestroy_after_seconds = 1\n");
    };
    let plan = Plan { tune, ..Plan::default() };
    let Some((mut world, armed)) = with_a_log_that_stops(plan).await else { return };
    let destroy = revoked_and_kept_its_time(&world).await;
    let id = admin::propose(&world, &world.pki.registrar, &destroy, None).await;
    let there = objects(&world.token.objects);
    std::fs::write(&armed, b"").unwrap();
    let approve = format!("POST /proposals/{id}/approve");
    let refused = admin::ask(&world, &world.pki.officer, &approve, None).await;
    refused.expect_problem(503, "audit_unavailable");
    // What is left undone is looked for once a minute.
    tokio::time::sleep(Duration::from_secs(62)).await;
    assert_eq!(objects(&world.token.objects), there);
    restarted(&mut world, &armed);
    assert_eq!(objects(&world.token.objects), there - 3);
    let records = admin::audit_records(&world, "event=trust_changed&credential=p256").await;
    let changes: Vec<String> = records.iter().map(|of| text(&of["event"]["change"])).collect();
    // Revoked; decided, once more where a record whose sync failed is in the file all the same; done.
    let [_, _, revoked, decided @ .., destroyed] = changes.as_slice() else {
        panic!("{changes:?}")
    };
    assert!(!decided.is_empty() && decided.iter().all(|change| change == "removed"));
    assert_eq!((revoked.as_str(), destroyed.as_str()), ("removed", "destroyed"));
}
