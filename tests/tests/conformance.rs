//! PKITS and x509-limbo against our validator. Every difference stands in `CERTIFICATES.md` with its reason; a difference
//! that does not, or a row that is no difference any more, fails.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may end at once and says what it skips"
)]

use attest::path::CertvalValidator;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;
use tests::conformance::Verdict;
use tests::conformance::load_limbo;
use tests::conformance::load_pkits;
use tests::conformance::vectors;

/// DSA is not implemented: a modern validator may refuse it, and refusing is what the other 246 are held against.
const DSA: [&str; 3] = ["4.1.4", "4.1.5", "4.1.6"];
/// Groups whose rules are path validation's; the others are about names of web servers.
const HELD: [&str; 6] = ["rfc5280", "pathlen", "crl", "pathological", "cve", "nc"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Difference {
    FalseReject,
    FalseAccept,
}

#[test]
fn pkits_differs_only_where_the_table_says_so() {
    let Some(folder) = vectors("pkits") else {
        println!("skipped: no PKITS among the vectors");
        return;
    };
    let cases = load_pkits(&folder).unwrap();
    assert_eq!(cases.len(), 249);
    let validator = CertvalValidator::new();
    let run = cases
        .iter()
        .filter(|(case, _)| !DSA.contains(&case.id.as_str()))
        .map(|(case, expected)| (case.id.clone(), *expected, case.run(&validator)));
    let differences = differences(run);
    assert_eq!(differences, table("pkits"));
    assert!(differences.values().all(|one| *one == Difference::FalseReject), "a false accept");
}

#[test]
fn dsa_is_refused() {
    let Some(folder) = vectors("pkits") else {
        println!("skipped: no PKITS among the vectors");
        return;
    };
    let validator = CertvalValidator::new();
    for (case, _) in load_pkits(&folder).unwrap() {
        if DSA.contains(&case.id.as_str()) {
            let refusal = case.run(&validator).unwrap_err();
            assert!(
                ["algorithm_refused", "key_refused"].contains(&refusal.code.as_str()),
                "{refusal:?}"
            );
        }
    }
}

#[test]
fn limbo_differs_only_where_the_table_says_so() {
    let Some(file) = vectors("x509-limbo/limbo.json") else {
        println!("skipped: no x509-limbo among the vectors");
        return;
    };
    let validator = CertvalValidator::new();
    let cases = load_limbo(&file).unwrap();
    assert_eq!(cases.len(), 208);
    let run = cases.iter().map(|(case, expected)| {
        let started = Instant::now();
        let verdict = case.run(&validator);
        assert!(started.elapsed() < Duration::from_secs(2), "{}", case.id);
        (case.id.clone(), *expected, verdict)
    });
    let differences = differences(run);
    assert_eq!(differences, table("limbo"));
    for (id, difference) in differences {
        let group = id.split("::").next().unwrap();
        let is_held = HELD.contains(&group);
        assert!(!is_held || difference == Difference::FalseReject, "a false accept: {id}");
    }
}

#[test]
fn adapter_answers_both_suites_own_runners() {
    let (Some(pkits), Some(limbo)) = (vectors("pkits"), vectors("x509-limbo")) else {
        println!("skipped: no PKITS or x509-limbo among the vectors");
        return;
    };
    let said = runner(&pkits.join("run_pkits.py"), &["--no-dsa", "--include", "4.3.*"]);
    assert!(said.contains("passed, 0 failed"), "{said}");
    let said = runner(&limbo.join("run_limbo.py"), &["--include", "pathlen::*"]);
    assert!(said.contains("passed, 0 failed"), "{said}");
}

#[test]
fn adapter_refuses_what_is_no_case() {
    for input in ["", "{}", "[]", "{\"trust_anchor\": 1}", "\u{0}"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_path-adapter"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer.get("result").unwrap(), "FAILURE", "{input:?}");
    }
}

fn runner(script: &Path, arguments: &[&str]) -> String {
    let output = Command::new("python3")
        .arg(script)
        .args(["--cmd", env!("CARGO_BIN_EXE_path-adapter")])
        .args(arguments)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn differences(run: impl Iterator<Item = (String, bool, Verdict)>) -> BTreeMap<String, Difference> {
    run.filter_map(|(id, expected, verdict)| match (expected, verdict.is_ok()) {
        (true, false) => Some((id, Difference::FalseReject)),
        (false, true) => Some((id, Difference::FalseAccept)),
        _ => None,
    })
    .collect()
}

/// Rows of `CERTIFICATES.md`: `| suite | case | difference | why |`.
fn table(suite: &str) -> BTreeMap<String, Difference> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/CERTIFICATES.md"));
    let text = text.unwrap();
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.split('|').skip(1).map(str::trim);
        (cells.next()? == suite).then(|| (cells.next(), cells.next(), cells.next()))
    });
    rows.map(|row| match row {
        (Some(case), Some(difference), Some(why)) if !why.is_empty() => {
            let case = case.trim_matches('`').to_owned();
            match difference {
                "false reject" => (case, Difference::FalseReject),
                "false accept" => (case, Difference::FalseAccept),
                other => panic!("{case}: {other}"),
            }
        }
        row => panic!("{row:?}"),
    })
    .collect()
}
