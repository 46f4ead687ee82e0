//! Starts that must not succeed: each says why, and nothing signs meanwhile.

use appliance::store::SledStore;
use appliance::store::StoreConfig;
use appliance::store::StoreMetrics;
use attest::clock::Clock;
use attest::clock::ClockBehindFloor;
use attest::clock::UnixSeconds;
use attest::store::Outcome;
use attest::store::Store;
use attest::store::Txn;
use attest::store::Write;
use std::sync::Arc;
use std::time::Duration;
use tests::support::daemon::Daemon;
use tests::support::token::Token;
use tests::support::world::Plan;
use tests::support::world::World;

/// A provisioned appliance whose daemon is down.
fn down(shim: bool) -> World {
    World::provisioned(&Plan { shim, ..Plan::default() })
}

/// Starts the daemon and gives the reason why it does not get ready.
fn refusal(world: &mut World) -> String {
    world.daemon = Daemon::spawn(&world.launch);
    world.daemon.wait_refusal(Duration::from_secs(60)).to_lowercase()
}

fn assert_comes_back(world: &mut World) {
    world.daemon.kill();
    world.restart();
}

#[tokio::test]
async fn wrong_pin_is_tried_once_and_named() {
    let mut world = down(true);
    world.token.set_pin_file("not-the-pin");
    let _ = std::fs::remove_file(world.folder.join("shim-log"));
    let reason = refusal(&mut world);
    assert!(reason.contains("pin"), "{reason}");
    assert!(!reason.contains("not-the-pin"));
    std::thread::sleep(Duration::from_secs(2));
    let log = std::fs::read_to_string(world.folder.join("shim-log")).unwrap();
    assert_eq!(log.lines().filter(|line| line.starts_with("C_Login ")).count(), 1, "{log}");
    world.token.set_pin_file(&world.token.pin);
    assert_comes_back(&mut world);
}

#[tokio::test]
async fn pin_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = down(false);
    let file = world.token.credentials.join("hsm-pin");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let reason = refusal(&mut world);
    assert!(reason.contains("hsm-pin") && reason.contains("mode"), "{reason}");
}

#[tokio::test]
async fn missing_token_is_named() {
    let mut world = down(false);
    let hidden = world.folder.join("hidden-tokens");
    std::fs::rename(&world.token.objects, &hidden).unwrap();
    std::fs::create_dir(&world.token.objects).unwrap();
    let reason = refusal(&mut world);
    assert!(reason.contains("token") && reason.contains("inkan-e2e"), "{reason}");
    world.daemon.kill();
    std::fs::remove_dir_all(&world.token.objects).unwrap();
    std::fs::rename(&hidden, &world.token.objects).unwrap();
    world.restart();
}

#[tokio::test]
async fn swapped_token_of_the_same_label_opens_nothing() {
    let mut world = down(false);
    std::fs::remove_dir_all(&world.token.objects).unwrap();
    // Same folder, same label, same PIN, other keys.
    Token::new(&world.folder.join("hsm"), "inkan-e2e");
    let reason = refusal(&mut world);
    assert!(reason.contains("key") || reason.contains("seal"), "{reason}");
}

#[tokio::test]
async fn module_that_nobody_approved_is_not_loaded() {
    let mut world = down(false);
    let copy = world.folder.join("other-module.so");
    let mut module = std::fs::read(&world.settings.module).unwrap();
    module.extend_from_slice(b"one more octet");
    std::fs::write(&copy, module).unwrap();
    world.settings.module = copy;
    world.write_config();
    let reason = refusal(&mut world);
    assert!(reason.contains("approved"), "{reason}");
}

#[tokio::test]
async fn configuration_with_a_fault_starts_nothing_and_says_where() {
    let mut world = down(false);
    world.settings.more = "\n[hms]\nmodule = \"x\"\n".to_owned();
    world.write_config();
    world.daemon = Daemon::spawn(&world.launch);
    let status = world.daemon.wait_end(Duration::from_secs(20)).expect("an end");
    assert!(!status.success());
    let log = world.daemon.log();
    assert!(log.contains("hms") && log.contains("hsm"), "{log}");
}

#[tokio::test]
async fn a1_log_whose_checkpoint_the_token_did_not_sign_is_refused_and_not_signed_over() {
    let mut world = down(false);
    let checkpoint = world.data_dir.join("audit/checkpoint");
    let genuine = std::fs::read_to_string(&checkpoint).unwrap();
    // Another signature of the same length: everything but the key's consent is as it should be.
    let (text, _) = genuine.trim_end().split_at(genuine.trim_end().len() - 8);
    let forged = format!("{text}AAAAAAA=\n");
    std::fs::write(&checkpoint, &forged).unwrap();
    let reason = refusal(&mut world);
    assert!(reason.contains("checkpoint") && reason.contains("does not verify"), "{reason}");
    world.daemon.kill();
    assert_eq!(std::fs::read_to_string(&checkpoint).unwrap(), forged, "signed over");
    std::fs::write(&checkpoint, genuine).unwrap();
    world.restart();
}

#[tokio::test]
async fn a1_log_without_any_checkpoint_is_refused() {
    let mut world = down(false);
    let audit = world.data_dir.join("audit");
    std::fs::remove_file(audit.join("checkpoint")).unwrap();
    for day in std::fs::read_dir(audit.join("checkpoints")).unwrap() {
        std::fs::remove_file(day.unwrap().path()).unwrap();
    }
    let reason = refusal(&mut world);
    assert!(reason.contains("checkpoint") && reason.contains("missing"), "{reason}");
}

#[tokio::test]
async fn data_directory_that_lost_its_store_is_not_offered_a_ceremony() {
    let mut world = down(false);
    let (store, aside) = (world.data_dir.join("store"), world.folder.join("store-aside"));
    std::fs::rename(&store, &aside).unwrap();
    let reason = refusal(&mut world);
    assert!(reason.contains("store is gone") && reason.contains("backup"), "{reason}");
    let config = world.launch.config.display().to_string();
    let said = world.inkan(&["doctor", "--config", &config]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("the store is gone") && !said.contains("inkan init"), "{said}");
    world.daemon.kill();
    let operator = |id: &str, file: &std::path::Path| {
        format!("--operator={id}:security_officer:{}", file.display())
    };
    let (one, two) = (&world.pki.officer.certificate, &world.pki.officer2.certificate);
    let operators = [operator("officer", one), operator("officer2", two)];
    let init = world.inkan(&["init", "--config", &config, &operators[0], &operators[1]]);
    let said = String::from_utf8_lossy(&init.stderr).into_owned();
    assert!(!init.status.success() && said.contains("store is gone"), "{said}");
    std::fs::rename(&aside, &store).unwrap();
    world.restart();
}

#[tokio::test]
async fn trust_record_edited_on_disk_is_refused_and_named() {
    let mut world = World::new(Plan::default()).await;
    world.daemon.stop(Duration::from_secs(15));
    let edited = edit_everywhere(&world.data_dir, b"u-17", b"u-18");
    assert!(edited > 0, "no trust record found to edit");
    let reason = refusal(&mut world);
    // Where the edit breaks the store's own checksum, what lies behind it is gone, and that is noticed.
    assert!(
        reason.contains("went back")
            || reason.contains("seal")
            || reason.contains("damaged")
            || reason.contains("corrupt"),
        "{reason}"
    );
}

/// Somebody with the disk and this very program, but without the token: every sum of the store is right.
#[tokio::test]
async fn trust_record_edited_through_the_store_is_refused_by_its_seal() {
    let mut world = World::new(Plan::default()).await;
    world.daemon.stop(Duration::from_secs(15));
    let (config, metrics) = (StoreConfig::default(), StoreMetrics::new().unwrap());
    let directory = world.data_dir.join("store");
    let store = SledStore::open(&directory, &config, Arc::new(Now), metrics).unwrap();
    let key = b"h/u-17".to_vec();
    let honest = store.get(&key).await.unwrap().unwrap().value;
    let (from, to) = ("太郎".as_bytes(), "次郎".as_bytes());
    let place = honest.windows(from.len()).position(|window| window == from).unwrap();
    let mut edited = honest.clone();
    edited[place..place + to.len()].copy_from_slice(to);
    put(&store, &key, edited).await;
    drop(store);
    let reason = refusal(&mut world);
    assert!(reason.contains("the seal of the trust record h/u-17 does not check"), "{reason}");

    world.daemon.kill();
    let metrics = StoreMetrics::new().unwrap();
    let store = SledStore::open(&directory, &config, Arc::new(Now), metrics).unwrap();
    put(&store, &key, honest).await;
    drop(store);
    world.restart();
}

async fn put(store: &SledStore, key: &[u8], value: Vec<u8>) {
    let writes = vec![Write::Put { key: key.to_vec(), value, expires: None }];
    let outcome = store.commit(Txn { guards: Vec::new(), writes }).await.unwrap();
    assert_eq!(outcome, Outcome::Committed);
}

struct Now;

impl Clock for Now {
    fn now(&self) -> Result<UnixSeconds, ClockBehindFloor> {
        Ok(std::time::SystemTime::now().into())
    }
}

#[tokio::test]
async fn unprovisioned_appliance_waits_for_the_ceremony() {
    let mut world = down(false);
    let empty = world.folder.join("empty-data");
    std::fs::create_dir(&empty).unwrap();
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o700);
    std::fs::set_permissions(&empty, mode).unwrap();
    world.data_dir = empty;
    world.write_config();
    world.daemon = Daemon::spawn(&world.launch);
    std::thread::sleep(Duration::from_secs(3));
    assert!(world.daemon.is_running());
    let (status, _) = tests::support::daemon::probe(world.ports.metrics, "/readyz").unwrap();
    assert_eq!(status, 503);
    let mut connection = world.ehr().connect().await;
    connection.get("/v1/info").await.expect_problem(503, "not_operational");
}

/// Replaces `from` by `to` in every file under `folder` but the audit log; gives how often.
fn edit_everywhere(folder: &std::path::Path, from: &[u8], to: &[u8]) -> usize {
    let mut edited = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("audit") {
                edited += edit_everywhere(&path, from, to);
            }
            continue;
        }
        let mut octets = std::fs::read(&path).unwrap();
        let places: Vec<usize> = octets
            .windows(from.len())
            .enumerate()
            .filter(|(_, window)| *window == from)
            .map(|(at, _)| at)
            .collect();
        for at in &places {
            octets[*at..at + from.len()].copy_from_slice(to);
        }
        edited += places.len();
        std::fs::write(&path, octets).unwrap();
    }
    edited
}
