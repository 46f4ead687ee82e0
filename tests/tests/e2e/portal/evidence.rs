//! Evidence that lies sealed in the audit log: two operators open it, one reads it, OpenSSL checks it.

use super::house::House;
use serde_json::Value;
use serde_json::json;
use std::path::Path;
use std::process::Command;
use tests::support::admin;
use tests::support::doctor::Doctor;
use tests::support::pki::Pair;
use tests::support::pki::Validity;

async fn seq_of_sign_in(house: &House, doctor: &Doctor) -> u64 {
    house.records(doctor, "sign_in_approved").await.last().unwrap()["seq"].as_u64().unwrap()
}

fn inkan(house: &House, operator: &Pair, arguments: &[&str]) -> (bool, String) {
    let (certificate, key) =
        (operator.certificate.to_str().unwrap(), operator.key.to_str().unwrap());
    let output = house.world.inkan(&[&["--cert", certificate, "--key", key], arguments].concat());
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// Types the line that the command printed.
fn checked_by_openssl(said: &str) -> bool {
    let line = said.lines().find_map(|line| line.strip_prefix("Next: cd ")).unwrap();
    let done = Command::new("sh").arg("-c").arg(format!("cd {line}")).output().unwrap();
    done.status.success() && String::from_utf8_lossy(&done.stdout).contains("Verified OK")
}

fn holds(folder: &Path, text: &str) -> bool {
    let grep = Command::new("grep").args(["-rqaF", "--", text]).arg(folder).status().unwrap();
    grep.success()
}

#[tokio::test]
async fn my_number_evidence_is_read_by_whom_a_second_operator_lets_and_checked_by_openssl() {
    let house = House::shared().await;
    let (doctor, card) = house.doctor_with_my_number().await;
    house.sign_in_by_my_number(&card).await;
    let pki = &house.world.pki;
    let seq = seq_of_sign_in(house, &doctor).await;
    let line = format!("POST /audit/records/{seq}/evidence");
    let ask = async |operator: &Pair| admin::ask(&house.world, operator, &line, None).await;
    ask(&pki.registrar).await.expect_problem(403, "not_permitted");
    ask(&pki.administrator).await.expect_problem(403, "not_permitted");

    // One alone gets a proposal, and no second one.
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("evidence");
    let arguments = ["audit", "evidence", &seq.to_string(), "--out", out.to_str().unwrap()];
    let (is_done, said) = inkan(house, &pki.auditor, &arguments);
    assert!(is_done && said.contains("inkan approve p-") && !out.exists(), "{said}");
    ask(&pki.auditor).await.expect_problem(409, "conflict");
    let proposal = said.split("inkan approve ").nth(1).unwrap().split_whitespace().next().unwrap();
    let approve = format!("POST /proposals/{proposal}/approve");
    admin::ask(&house.world, &pki.auditor, &approve, None)
        .await
        .expect_problem(403, "not_permitted");
    admin::ask(&house.world, &pki.officer, &approve, None).await.expect(200);

    // Whoever agreed does not read it; whoever asked does, and OpenSSL says what the gate said.
    let other = ask(&pki.officer).await.expect(202).json();
    assert_eq!(other["evidence_json"], Value::Null);
    let (is_done, said) = inkan(house, &pki.auditor, &arguments);
    assert!(is_done && checked_by_openssl(&said), "{said}");
    assert!(said.contains("-sha384"), "a P-384 card signs with SHA-384: {said}");
    let pem = std::fs::read_to_string(out.join("certificate.pem")).unwrap();
    assert_eq!(pem.replace('\n', ""), card.pem().replace('\n', ""));
    // One octet off, and it does not.
    let signed = out.join("signed.bin");
    let mut octets = std::fs::read(&signed).unwrap();
    octets[20] ^= 1;
    std::fs::write(&signed, octets).unwrap();
    assert!(!checked_by_openssl(&said));

    // Reading is recorded; what was read is nowhere.
    let reads = admin::audit_records(&house.world, "event=log_read&operator=auditor").await;
    let reads = reads.iter().filter(|record| {
        record["event"]["operation"] == "evidence"
            && record["event"]["filter"] == json!(format!("seq={seq} sealed=true"))
    });
    assert_eq!(reads.count(), 1);
    let name = format!("997794E9-{}", doctor.holder_id);
    assert!(!holds(&house.world.data_dir, &name) && !house.world.daemon.log().contains(&name));
}

#[tokio::test]
async fn evidence_that_lies_open_in_the_log_comes_at_once_and_is_checked_the_same_way() {
    let house = House::shared().await;
    let doctor = house.doctor(Validity::CURRENT).await;
    house.world.ehr().sign_in(&doctor.card).await;
    let seq = seq_of_sign_in(house, &doctor).await;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("evidence");
    let arguments = ["audit", "evidence", &seq.to_string(), "--out", out.to_str().unwrap()];
    let (is_done, said) = inkan(house, &house.world.pki.auditor, &arguments);
    assert!(is_done && checked_by_openssl(&said), "{said}");
}

#[tokio::test]
async fn record_without_evidence_is_refused() {
    let house = House::shared().await;
    let auditor = &house.world.pki.auditor;
    let ask = async |seq: u64| {
        let line = format!("POST /audit/records/{seq}/evidence");
        admin::ask(&house.world, auditor, &line, None).await
    };
    ask(0).await.expect_problem(409, "conflict");
    ask(u64::MAX).await.expect_problem(404, "not_found");
}
