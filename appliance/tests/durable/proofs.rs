//! Proofs of inclusion and consistency, and the export that carries them.

use crate::support::SoftSigner;
use crate::support::close;
use crate::support::fill;
use crate::support::open;
use crate::support::open_signed;
use appliance::audit::Archive;
use appliance::audit::Filter;
use appliance::audit::hash::Hash;
use appliance::audit::hash::leaf_hash;
use appliance::audit::proof::is_consistent;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_proved_in_every_tree() {
    let (directory, signer) = (tempfile::tempdir().unwrap(), SoftSigner::new());
    let log = open_signed(directory.path(), &signer);
    fill(&log, 0..600).await;
    close(log).await;
    let archive = Archive::open(directory.path()).unwrap();
    for size in [1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 600] {
        let mut tree = archive.tree(size).unwrap();
        let root = tree.root();
        for seq in (0..size).step_by(if size > 50 { 17 } else { 1 }).chain([size - 1]) {
            let proof = tree.prove(seq).unwrap();
            assert!(proof.leads_to(&root), "record {seq} in {size}");
            let mut other = proof.clone();
            other.leaf = leaf_hash(b"another record");
            assert!(!other.leads_to(&root));
            let mut moved = proof.clone();
            moved.seq = (seq + 1) % size;
            assert!(size == 1 || !moved.leads_to(&root), "record {seq} moved in {size}");
            let mut longer = proof.clone();
            longer.hashes.push(root);
            assert!(!longer.leads_to(&root));
        }
        assert!(tree.prove(size).is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tree_is_proved_to_be_the_beginning_of_every_later_one() {
    let (directory, signer) = (tempfile::tempdir().unwrap(), SoftSigner::new());
    let log = open_signed(directory.path(), &signer);
    fill(&log, 0..530).await;
    close(log).await;
    let archive = Archive::open(directory.path()).unwrap();
    let sizes = [0, 1, 2, 3, 6, 7, 8, 100, 255, 256, 257, 400, 512, 529, 530];
    let root = |size| archive.tree(size).unwrap().root();
    for new in sizes {
        let mut tree = archive.tree(new).unwrap();
        for old in sizes.into_iter().filter(|old| *old <= new) {
            let proof = tree.prove_consistency(old).unwrap();
            let (old_root, new_root) = (root(old), root(new));
            assert!(is_consistent((old, &old_root), (new, &new_root), &proof), "{old} in {new}");
            let false_root: Hash = leaf_hash(b"another tree");
            if old > 0 {
                assert!(!is_consistent((old, &false_root), (new, &new_root), &proof));
            }
            if old > 0 && old < new {
                assert!(!is_consistent((old, &old_root), (new, &false_root), &proof));
                assert!(!is_consistent((old, &old_root), (new, &new_root), &proof[1..]));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn export_proves_every_line_to_whoever_holds_it() {
    let (directory, signer) = (tempfile::tempdir().unwrap(), SoftSigner::new());
    let log = open_signed(directory.path(), &signer);
    fill(&log, 0..300).await;
    log.checkpoint_over(300).await.unwrap();
    let mut out = Vec::new();
    assert_eq!(log.archive().export(200, 1_000, &mut out).unwrap(), 100);
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 101);
    for (number, line) in lines[..100].iter().enumerate() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(json["record"]["seq"], 200 + number);
        // The record's octets as they stand in the line are the leaf.
        let record = line.split_once("\"record\":").unwrap().1.strip_suffix('}').unwrap();
        let leaf = STANDARD.encode(leaf_hash(record.as_bytes()).0);
        assert_eq!(json["leaf_hash"], leaf);
    }
    let last: serde_json::Value = serde_json::from_str(lines[100]).unwrap();
    assert!(last["checkpoint"].as_str().unwrap().starts_with("test.example/audit\n300\n"));
}

#[tokio::test]
async fn search_finds_by_everything_it_offers() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    fill(&log, 0..700).await;
    let count =
        |filter: Filter| log.archive().search(filter).filter(|record| record.is_ok()).count();
    let all = Filter::default();
    assert_eq!(count(all.clone()), 700);
    assert_eq!(count(Filter { holder_id: Some("u-3".into()), ..all.clone() }), 100);
    assert_eq!(count(Filter { holder_id: Some("u-".into()), ..all.clone() }), 0);
    assert_eq!(count(Filter { system_id: Some("ehr".into()), from: 690, ..all.clone() }), 10);
    assert_eq!(count(Filter { credential_id: Some("p256".into()), ..all.clone() }), 0);
    assert_eq!(count(Filter { kind: Some("signature".into()), ..all.clone() }), 700);
    assert_eq!(count(Filter { request_id: Some("r-699".into()), ..all.clone() }), 1);
    assert_eq!(count(Filter { operator_id: Some("op".into()), ..all.clone() }), 0);
    let start = crate::support::START_MS;
    assert_eq!(count(Filter { since_ms: Some(start), ..all.clone() }), 700);
    assert_eq!(count(Filter { since_ms: Some(start + 1), ..all.clone() }), 0);
    assert_eq!(count(Filter { until_ms: Some(start), ..all }), 0);
}
