//! The log checked by somebody else's code: Go's `golang.org/x/mod/sumdb/{note,tlog}`, which knows nothing of ours.

use std::path::Path;
use std::process::Command;
use std::process::Output;
use tests::durability::audit_work;
use tests::durability::signer::FileSigner;
use tests::durability::signer::make_key;

#[tokio::test(flavor = "multi_thread")]
async fn log_verifies_with_gos_transparency_log_packages() {
    let Some(verifier) = build() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (log_path, key) = (folder.path().join("log"), folder.path().join("key"));
    make_key(&key).unwrap();
    let log = audit_work::open(&log_path, &key, audit_work::config()).unwrap();
    let entries = (0..1_500).map(|number| audit_work::signature(1, number)).collect();
    for recorded in log.append_all(entries).await.unwrap() {
        recorded.unwrap();
    }
    tokio::task::spawn_blocking(move || log.close()).await.unwrap();

    use appliance::audit::CheckpointSigner;
    let signer = FileSigner::read(&key).unwrap();
    let spki = folder.path().join("spki.der");
    std::fs::write(&spki, signer.spki_der()).unwrap();
    let output = run(&verifier.path().join("verify"), &log_path, &spki);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1500 records, all proved"), "{said}");

    // And it can fail: one octet of one record.
    let segment = log_path.join(format!("seg-{:020}.log", 0));
    let mut octets = std::fs::read(&segment).unwrap();
    octets[300] ^= 1;
    std::fs::write(&segment, octets).unwrap();
    let output = run(&verifier.path().join("verify"), &log_path, &spki);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("record 0"), "{said}");
}

fn run(program: &Path, log: &Path, spki: &Path) -> Output {
    Command::new(program).arg(log).arg(spki).output().unwrap()
}

/// Builds the Go program; `None`, with the reason printed, where that cannot be done.
fn build() -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/durability/verify.go");
    std::fs::copy(source, folder.path().join("verify.go")).unwrap();
    let module = "module verify\n\ngo 1.19\n\nrequire golang.org/x/mod v0.7.0\n";
    std::fs::write(folder.path().join("go.mod"), module).unwrap();
    let go = |arguments: &[&str]| {
        Command::new("go")
            .args(arguments)
            .current_dir(folder.path())
            .env("GOFLAGS", "-mod=mod")
            .output()
    };
    match go(&["build", "-o", "verify", "."]) {
        Err(_) => println!("skipped: no Go toolchain (go) here"),
        Ok(output) if !output.status.success() => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            // A program that does not compile is our fault, a module that cannot be fetched is the machine's.
            assert!(
                said.contains("dial tcp")
                    || said.contains("module lookup")
                    || said.contains("proxy"),
                "{said}"
            );
            println!("skipped: golang.org/x/mod cannot be fetched here");
        }
        Ok(_) => return Some(folder),
    }
    None
}
