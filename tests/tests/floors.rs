//! The floors of the house: which crate may name which, read from `cargo metadata`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may end at once")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// Crate of ours, and the crates of ours that it may name. `tests` may name all.
const FLOORS: &[(&str, &[&str])] = &[
    ("attest", &[]),
    ("hsm", &["attest"]),
    ("cades", &["attest"]),
    ("api", &["attest", "cades"]),
    ("appliance", &["attest", "hsm", "cades", "api"]),
    ("pkcs11-shim", &[]),
    ("tests", &["attest", "hsm", "cades", "api", "appliance", "pkcs11-shim"]),
];

/// What the tests of every crate may name, too: it stands in for the world outside.
const TEST_TOOLS: &[&str] = &["pkcs11-shim"];

/// Crate of others, and those of ours that may name it outside their tests.
const BORDERS: &[(&str, &[&str])] = &[
    // The HSM: only hsm, the shim that stands in front of a module, and the benchmark that measures the bare calls.
    ("cryptoki", &["hsm", "tests"]),
    ("cryptoki-sys", &["hsm", "pkcs11-shim", "tests"]),
    ("libloading", &["hsm", "pkcs11-shim", "tests"]),
    // The network: api; appliance as a client (operators' tool, certificate lists).
    ("hyper", &["api", "appliance", "tests"]),
    ("hyper-util", &["api", "appliance", "tests"]),
    ("hyper-rustls", &["appliance", "tests"]),
    ("tokio-rustls", &["api", "appliance", "tests"]),
    ("rustls", &["api", "appliance", "tests"]),
    ("askama", &["api"]),
    // The disk: appliance.
    ("sled", &["appliance"]),
    ("crc32fast", &["appliance"]),
];

/// No I/O in these: neither asynchronous nor of the operating system.
const PURE: &[&str] = &["cades"];
const IO: &[&str] = &["tokio", "tokio-util", "nix", "hyper", "http", "rustls", "libloading"];

/// Crates whose code is safe without exception.
const SAFE: &[&str] = &["attest", "cades", "api", "appliance"];

struct Member {
    manifest: PathBuf,
    /// Names of normal and build dependencies.
    names: BTreeSet<String>,
    /// Names of dependencies of its tests.
    test_names: BTreeSet<String>,
    /// Root files of its library and its programs.
    roots: Vec<PathBuf>,
}

#[test]
fn every_crate_of_the_workspace_has_its_floor() {
    let floors: BTreeSet<_> = FLOORS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(members().into_keys().collect::<BTreeSet<_>>(), floors);
}

#[test]
fn crates_name_only_what_stands_below_them() {
    let members = members();
    for (name, below) in FLOORS {
        let member = &members[*name];
        let tests = member.test_names.iter().filter(|it| !TEST_TOOLS.contains(&it.as_str()));
        for other in member.names.iter().chain(tests) {
            let is_ours = members.contains_key(other) && other != name;
            assert!(!is_ours || below.contains(&other.as_str()), "{name} must not name {other}");
        }
    }
}

#[test]
fn network_token_and_disk_have_one_owner_each() {
    for (name, member) in members() {
        for (outside, owners) in BORDERS {
            let may = owners.contains(&name.as_str()) || !member.names.contains(*outside);
            assert!(may, "{name} must not name {outside}: that is for {owners:?}");
        }
    }
}

#[test]
fn formats_do_no_input_or_output() {
    let members = members();
    for name in PURE {
        let named: Vec<_> = IO.iter().filter(|io| members[*name].names.contains(**io)).collect();
        assert!(named.is_empty(), "{name} must not name {named:?}");
    }
}

#[test]
fn every_crate_opts_in_to_the_lints_of_the_workspace() {
    for (name, member) in members() {
        let manifest: toml::Table = fs::read_to_string(&member.manifest).unwrap().parse().unwrap();
        let opted_in = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(opted_in, Some(&toml::Value::Boolean(true)), "{name}: [lints] workspace = true");
    }
}

#[test]
fn unsafe_code_is_forbidden_where_none_is_needed() {
    let members = members();
    for name in SAFE {
        for root in &members[*name].roots {
            let text = fs::read_to_string(root).unwrap();
            assert!(text.contains("#![forbid(unsafe_code)]"), "{} lets unsafe in", root.display());
        }
    }
}

#[test]
fn unsafe_code_of_hsm_stands_in_one_file() {
    let source = members()["hsm"].manifest.with_file_name("src");
    let files = rust_files(&source);
    assert!(files.len() > 3, "{files:?}");
    let unsafe_files: Vec<_> = files
        .iter()
        .filter(|file| {
            code_of(file).any(|line| line.contains("unsafe ") || line.contains("allow(unsafe_code"))
        })
        .map(|file| file.strip_prefix(&source).unwrap().display().to_string())
        .filter(|file| file != "lib.rs")
        .collect();
    assert!(unsafe_files.iter().all(|file| file == "ffi.rs"), "{unsafe_files:?}");
}

fn members() -> BTreeMap<String, Member> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(|package| (text(&package["name"]), member(package))).collect()
}

fn member(package: &Value) -> Member {
    let mut member = Member {
        manifest: text(&package["manifest_path"]).into(),
        names: BTreeSet::new(),
        test_names: BTreeSet::new(),
        roots: Vec::new(),
    };
    for dependency in package["dependencies"].as_array().unwrap() {
        let of = match dependency["kind"].as_str() {
            Some("dev") => &mut member.test_names,
            _ => &mut member.names,
        };
        of.insert(text(&dependency["name"]));
    }
    for target in package["targets"].as_array().unwrap() {
        let kinds = target["kind"].as_array().unwrap();
        if kinds.iter().any(|kind| ["lib", "bin"].contains(&kind.as_str().unwrap())) {
            member.roots.push(text(&target["src_path"]).into());
        }
    }
    member
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(rust_files(&path)),
            false if path.extension().is_some_and(|extension| extension == "rs") => {
                files.push(path)
            }
            false => {}
        }
    }
    files
}

/// Its lines without comments.
fn code_of(file: &Path) -> impl Iterator<Item = String> {
    let text = fs::read_to_string(file).unwrap();
    let lines: Vec<_> =
        text.lines().map(|line| line.split("//").next().unwrap().to_owned()).collect();
    lines.into_iter()
}
