//! The audit log from outside: verified from files alone, edited, cut, searched for what must not be in it.

use std::path::Path;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;
use tests::support::admin;
use tests::support::ehr::Sign;
use tests::support::world::Plan;
use tests::support::world::World;

/// A copy of the log as it is now, its public key, and the checkpoint that was published with it.
struct Taken {
    _folder: tempfile::TempDir,
    log: PathBuf,
    key: PathBuf,
    checkpoint: PathBuf,
}

/// Signs a few documents, waits for a checkpoint over them, and takes the log away.
async fn taken(world: &World) -> Taken {
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    for n in 0..3 {
        let content = format!("canary-content-{n}");
        let sign = Sign {
            token: &session.token,
            credential: Some("p256"),
            content: content.as_bytes(),
            headers: "Document-Label: canary-label-7781\r\n".to_owned(),
            ..Sign::default()
        };
        sign.send(&mut ehr.connect().await).await.expect(200);
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let folder = tempfile::tempdir_in(&world.folder).unwrap();
    let at = |name: &str| folder.path().join(name);
    let (key, checkpoint) = (at("key.pem"), at("checkpoint"));
    let files = [key.to_str().unwrap(), "--checkpoint-out", checkpoint.to_str().unwrap()];
    let head = world.inkan(&[&["audit", "head", "--key-out"][..], &files].concat());
    assert!(head.status.success(), "{}", words(&head));
    copy(&world.data_dir.join("audit"), &at("audit"));
    Taken { log: at("audit"), key: at("key.pem"), checkpoint: at("checkpoint"), _folder: folder }
}

fn copy(from: &Path, to: &Path) {
    // A checkpoint may be replaced while its folder is copied.
    for _try in 0..10 {
        let _ = std::fs::remove_dir_all(to);
        let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(to).output().unwrap();
        if copied.status.success() {
            return;
        }
    }
    panic!("{} cannot be copied", from.display());
}

fn verify(world: &World, taken: &Taken, more: &[&str]) -> Output {
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (log, key) = (path(&taken.log), path(&taken.key));
    let arguments = [&["audit", "verify", &log, "--key", &key], more].concat();
    world.inkan(&arguments)
}

fn words(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The newest segment that has records.
fn segment(taken: &Taken) -> PathBuf {
    let files = std::fs::read_dir(&taken.log).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> = files
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("seg-"))
        .collect();
    segments.sort();
    segments.pop().expect("a segment")
}

#[tokio::test]
async fn log_verifies_with_nothing_but_the_files_and_the_public_key() {
    let world = World::shared().await;
    let taken = taken(world).await;
    let output = verify(world, &taken, &[]);
    assert!(output.status.success(), "{}", words(&output));
    // Another key verifies nothing.
    std::fs::copy(world.pki.folder.join("server.pem"), &taken.key).unwrap();
    assert!(!verify(world, &taken, &[]).status.success());
}

#[tokio::test]
async fn a1_one_changed_octet_anywhere_is_found_and_named() {
    let world = World::shared().await;
    let taken = taken(world).await;
    let segment = segment(&taken);
    let good = std::fs::read(&segment).unwrap();
    // The end may be preallocated: only the octets of records count.
    let used = good.iter().rposition(|octet| *octet != 0).unwrap();
    for part in 1..10 {
        let mut bad = good.clone();
        bad[used * part / 12] ^= 1;
        std::fs::write(&segment, bad).unwrap();
        let output = verify(world, &taken, &[]);
        assert!(!output.status.success(), "octet {} of {used}", used * part / 12);
        assert!(
            words(&output).contains("seg-") || words(&output).contains("record"),
            "{}",
            words(&output)
        );
    }
    std::fs::write(&segment, good).unwrap();
    assert!(verify(world, &taken, &[]).status.success());
}

#[tokio::test]
async fn a2_log_cut_below_a_published_checkpoint_is_found() {
    let world = World::shared().await;
    let taken = taken(world).await;
    let checkpoint = taken.checkpoint.to_str().unwrap().to_owned();
    let against = ["--checkpoint", checkpoint.as_str()];
    assert!(verify(world, &taken, &against).status.success());
    let segment = segment(&taken);
    let octets = std::fs::read(&segment).unwrap();
    let used = octets.iter().rposition(|octet| *octet != 0).unwrap();
    std::fs::write(&segment, &octets[..used / 2]).unwrap();
    assert!(!verify(world, &taken, &against).status.success());
}

#[tokio::test]
async fn a8_neither_log_nor_audit_nor_metrics_hold_a_secret() {
    let world = World::shared().await;
    let session = world.ehr().sign_in(&world.pki.card).await;
    let taken = taken(world).await;
    let mut everything = world.daemon.log() + &world.metrics();
    for entry in std::fs::read_dir(&taken.log).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file()
            && path.file_name().is_some_and(|name| name.to_str().unwrap().starts_with("seg-"))
        {
            everything += &String::from_utf8_lossy(&std::fs::read(path).unwrap());
        }
    }
    for canary in
        ["canary-pin", "canary-so-pin", "canary-content", "canary-label", session.token.as_str()]
    {
        assert!(!everything.contains(canary), "{canary} is written down");
    }
}

#[tokio::test]
async fn i5_log_at_its_most_talkative_holds_no_secret() {
    let tune = |settings: &mut tests::support::config::Settings| {
        settings.more = "\n[log]\nfilter = \"debug\"\n".to_owned();
    };
    let world = World::new(Plan { tune, ..Plan::default() }).await;
    let session = world.ehr().sign_in(&world.pki.card).await;
    let sign = Sign {
        token: &session.token,
        credential: Some("p256"),
        content: b"canary-content",
        headers: "Document-Label: canary-label-7781\r\n".to_owned(),
        ..Sign::default()
    };
    sign.send(&mut world.ehr().connect().await).await.expect(200);
    let log = world.daemon.log();
    assert!(log.contains("DEBUG"), "{log}");
    for canary in ["canary-pin", "canary-content", "canary-label", session.token.as_str()] {
        assert!(!log.contains(canary), "{canary} is written down");
    }
}

#[tokio::test]
async fn k10_pin_is_neither_in_the_arguments_nor_in_the_environment_of_the_daemon() {
    let world = World::shared().await;
    for file in ["cmdline", "environ"] {
        let path = format!("/proc/{}/{file}", world.daemon.pid());
        let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        assert!(!text.contains("canary-pin"));
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", world.daemon.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}

#[tokio::test]
async fn a9_signatures_in_the_log_are_those_that_were_answered() {
    let world = World::shared().await;
    let ehr = world.ehr2();
    let session = ehr.sign_in(&world.pki.card).await;
    let mut connection = ehr.connect().await;
    let mut receipts = Vec::new();
    for _time in 0..20 {
        let sign = Sign {
            token: &session.token,
            credential: Some("p384"),
            content: b"x",
            ..Sign::default()
        };
        let reply = sign.send(&mut connection).await.expect(200);
        receipts.push((reply.header("signature-receipt").to_owned(), reply.request_id()));
    }
    let records = admin::audit_records(world, "event=signature&system=ehr2&credential=p384").await;
    for (receipt, request_id) in receipts {
        let of_request: Vec<_> =
            records.iter().filter(|record| record["request_id"] == request_id).collect();
        assert_eq!(of_request.len(), 1);
        assert_eq!(of_request[0]["seq"].to_string(), receipt);
    }
}

#[tokio::test]
async fn a7_flood_of_refusals_loses_no_signature() {
    let world = World::shared().await;
    let ehr = world.ehr();
    let session = ehr.sign_in(&world.pki.card).await;
    let mut connection = ehr.connect().await;
    for round in 0..300 {
        let bad =
            Sign { token: "nobody", credential: Some("p256"), content: b"x", ..Sign::default() };
        bad.send(&mut connection).await.expect(404);
        if round % 100 == 0 {
            let good = Sign {
                token: &session.token,
                credential: Some("p256"),
                content: b"x",
                ..Sign::default()
            };
            let reply = good.send(&mut connection).await.expect(200);
            let query = format!("event=signature&request={}", reply.request_id());
            assert_eq!(admin::audit_records(world, &query).await.len(), 1);
        }
    }
    // Past the first ones they are counted, and the count is recorded within seconds.
    let mut told = 0;
    for _second in 0..10 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let refusals = admin::audit_records(world, "event=denial").await;
        let of_this = refusals
            .iter()
            .map(|record| &record["event"])
            .filter(|event| event["operation"] == "sign" && event["code"] == "session_unknown");
        told = of_this
            .map(|event| {
                let is_count = event["detail"].as_str().unwrap().starts_with("further refusals");
                event["suppressed"].as_u64().unwrap() + u64::from(!is_count)
            })
            .sum();
        if told >= 300 {
            break;
        }
    }
    assert!(told >= 300, "{told} of 300 refusals are told of");
}
