//! A disk that is full or cannot be written: nothing is signed, nothing is lost, and space brings signing back.
//!
//! Needs root and a loop device; says so and stops where there is neither.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tests::support::build::target_dir;
use tests::support::daemon::Daemon;
use tests::support::ehr::Sign;
use tests::support::ehr::entry;
use tests::support::ehr::once;
use tests::support::world::DOCTOR;
use tests::support::world::Plan;
use tests::support::world::World;

/// A small ext4 of its own, unmounted when dropped.
struct SmallDisk {
    image: PathBuf,
    mount: PathBuf,
}

impl SmallDisk {
    fn new(name: &str, megabytes: u64) -> Option<Self> {
        let folder = target_dir().join("e2e").join(format!("disk-{}-{name}", std::process::id()));
        let disk = Self { image: folder.join("image"), mount: folder.join("mount") };
        std::fs::create_dir_all(&disk.mount).unwrap();
        std::fs::File::create(&disk.image).unwrap().set_len(megabytes << 20).unwrap();
        let made = run("mkfs.ext4", &["-q", "-F", "-m", "0", path(&disk.image)])
            && run("mount", &["-o", "loop", path(&disk.image), path(&disk.mount)]);
        if !made {
            println!("skipped: no loop device can be mounted here (root is needed)");
            return None;
        }
        std::fs::remove_dir(disk.mount.join("lost+found")).unwrap();
        Some(disk)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The daemon may need a moment to be gone.
        for _try in 0..50 {
            if run("umount", &[path(&self.mount)]) {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        if let Some(folder) = self.image.parent() {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

/// Takes all the space that is left.
fn fill(disk: &SmallDisk) -> PathBuf {
    use std::io::Write;
    let hog = disk.mount.join("hog");
    let mut file = std::fs::File::create(&hog).unwrap();
    for piece in [1 << 20, 64 << 10, 4 << 10, 1 << 10] {
        while file.write_all(&vec![1; piece]).is_ok() {}
    }
    let _ = file.sync_all();
    hog
}

#[tokio::test]
async fn d6_full_disk_stops_signing_and_space_brings_it_back() {
    let Some(disk) = SmallDisk::new("full", 96) else { return };
    let data_dir = disk.mount.join("data");
    let mut world = World::new(Plan { data_dir: Some(data_dir), ..Plan::default() }).await;
    let session = world.ehr().sign_in(&world.pki.card).await;
    let hog = fill(&disk);
    let mut connection = world.ehr().connect().await;
    let sign =
        Sign { token: &session.token, credential: Some("p256"), content: b"x", ..Sign::default() };
    let mut released = Vec::new();
    let mut refusal = None;
    // What was set aside before may still be used up.
    for _time in 0..60_000 {
        let reply = sign.send(&mut connection).await;
        if reply.status != 200 {
            refusal = Some(reply);
            break;
        }
        released.push(reply.header("signature-receipt").to_owned());
    }
    let refusal = refusal.expect("signing goes on without space");
    // Whichever comes first: the audit log finds no room, or the session's next block cannot be reserved.
    let code = refusal.code();
    let is_for_room = ["audit_unavailable", "not_operational"].contains(&code.as_str());
    assert!(refusal.status == 503 && is_for_room, "{refusal}");
    std::fs::remove_file(hog).unwrap();
    let mut back = false;
    for _try in 0..100 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if sign.send(&mut connection).await.status == 200 {
            back = true;
            break;
        }
    }
    if !back {
        // An error that reached the file stops the daemon's log for good: a restart, without repair, is allowed.
        world.daemon.stop(Duration::from_secs(15));
        world.restart();
        sign.send(&mut world.ehr().connect().await).await.expect(200);
    }
    let records = tests::support::admin::audit_records(&world, "event=signature").await;
    let recorded: Vec<String> = records.iter().map(|record| record["seq"].to_string()).collect();
    assert!(released.iter().all(|receipt| recorded.contains(receipt)));
    world.daemon.kill();
    drop(world);
}

/// Its place in the audit log comes first: without one nothing is used up, and space brings the entry back.
#[tokio::test]
async fn d6_entry_of_an_activation_is_not_used_up_while_the_log_has_no_room() {
    let Some(disk) = SmallDisk::new("once", 96) else { return };
    let data_dir = disk.mount.join("data");
    let mut world = World::new(Plan { data_dir: Some(data_dir), ..Plan::default() }).await;
    let entries = [entry("content", "p256", b"x", "x")];
    let session = world.ehr().sign_in_with(&world.pki.card, &once(DOCTOR, &entries)).await;
    let hog = fill(&disk);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let sign =
        Sign { token: &session.token, credential: Some("p256"), content: b"x", ..Sign::default() };
    let refused = sign.send(&mut world.ehr().connect().await).await;
    refused.expect_problem(503, "audit_unavailable");
    std::fs::remove_file(hog).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut signed = sign.send(&mut world.ehr().connect().await).await;
    if signed.status != 200 {
        // An error that reached the file stops the daemon's log for good: a restart, without repair, is allowed.
        world.daemon.stop(Duration::from_secs(15));
        world.restart();
        signed = sign.send(&mut world.ehr().connect().await).await;
    }
    signed.expect(200);
    world.daemon.kill();
}

#[tokio::test]
async fn read_only_disk_is_refused_at_start_and_named() {
    let Some(disk) = SmallDisk::new("read-only", 96) else { return };
    let data_dir = disk.mount.join("data");
    let mut world = World::provisioned(&Plan { data_dir: Some(data_dir), ..Plan::default() });
    assert!(run("mount", &["-o", "remount,ro", path(&disk.mount)]));
    world.daemon = Daemon::spawn(&world.launch);
    let reason = world.daemon.wait_refusal(Duration::from_secs(30)).to_lowercase();
    assert!(reason.contains("read-only"), "{reason}");
    world.daemon.kill();
    assert!(run("mount", &["-o", "remount,rw", path(&disk.mount)]));
    world.restart();
    world.daemon.kill();
}

#[tokio::test]
async fn d8_wrong_mode_of_the_data_directory_is_refused_and_named() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = World::provisioned(&Plan::default());
    std::fs::set_permissions(&world.data_dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.daemon = Daemon::spawn(&world.launch);
    let reason = world.daemon.wait_refusal(Duration::from_secs(30));
    assert!(reason.contains("0700") || reason.contains("700"), "{reason}");
    world.daemon.kill();
    std::fs::set_permissions(&world.data_dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    // What the daemon finds, the doctor finds beside it, daemon or not.
    let stranger = world.data_dir.join("store.bak");
    std::fs::write(&stranger, b"").unwrap();
    let config = world.launch.config.display().to_string();
    let said = world.inkan(&["--config", &config, "doctor"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("store.bak does not belong into the data directory"), "{said}");
    std::fs::remove_file(stranger).unwrap();
}

#[tokio::test]
async fn d3_failed_sync_of_the_store_turns_readiness_red_and_is_alarmed_once() {
    let mut world = World::new(Plan::default()).await;
    world.daemon.stop(Duration::from_secs(15));
    let library = world.folder.join("faults.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/durability/faults.c");
    if !run("cc", &["-shared", "-fPIC", "-O1", "-o", path(&library), path(&source), "-ldl"]) {
        println!("skipped: no C compiler (cc) here");
        return;
    }
    // The start takes fewer syncs of the store, the sign-ins below more.
    let fault = [
        ("LD_PRELOAD", path(&library).to_owned()),
        ("FAULT_CALL", "fdatasync".to_owned()),
        ("FAULT_AT", "15".to_owned()),
        ("FAULT_HOW", "5".to_owned()),
        ("FAULT_UNDER", path(&world.data_dir.join("store")).to_owned()),
        ("FAULT_MARK", path(&world.folder.join("mark")).to_owned()),
    ];
    let fault = fault.map(|(name, value)| (name.to_owned(), value));
    world.launch.environment.extend(fault);
    world.restart();
    let mut connection = world.ehr().connect().await;
    let mut refused = None;
    for _time in 0..40 {
        let body = serde_json::json!({ "holder": "u-17", "methods": ["hpki"] });
        let reply = connection.post_json("/v1/sessions", &body).await;
        if reply.status != 201 {
            refused = Some(reply);
            break;
        }
    }
    refused.expect("a refusal").expect_problem(503, "not_operational");
    let (status, reasons) = tests::support::daemon::probe(world.ports.metrics, "/readyz").unwrap();
    assert!(status == 503 && reasons.contains("store has stopped"), "{status} {reasons}");
    let doctor = world.inkan(&["doctor"]);
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains("BAD     store: stopped"), "{doctor}");
    let log = world.daemon.log();
    assert_eq!(log.matches("ALARM: the store has stopped").count(), 1, "{log}");
    world.launch.environment.truncate(world.launch.environment.len() - 6);
    world.daemon.kill();
    world.restart();
}
