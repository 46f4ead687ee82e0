//! One holder's signatures: all of them, newest first, whether the indexes are there, missing or damaged.

use crate::support::close;
use crate::support::config;
use crate::support::fill;
use crate::support::open;
use crate::support::try_open;
use appliance::audit::AuditConfig;
use appliance::audit::AuditLog;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

const RECORDS: u64 = 700;

/// Numbers of the records of `u-3`, as a reader finds them page by page, and how many pages that took.
fn read_all(log: &AuditLog, limit: usize) -> (Vec<u64>, usize) {
    let (mut found, mut before) = (Vec::new(), None);
    for page in 1..10_000 {
        let read = log.signatures_of("u-3", before, limit).unwrap();
        assert!(read.signatures.len() <= limit);
        assert!(read.signatures.iter().all(|signature| signature.facts.holder_id == "u-3"));
        found.extend(read.signatures.iter().map(|signature| signature.seq));
        assert!(read.older.is_none_or(|older| before.is_none_or(|before| older < before)));
        before = read.older;
        if before.is_none() {
            return (found, page);
        }
    }
    panic!("no end");
}

fn theirs() -> Vec<u64> {
    (0..RECORDS).filter(|number| number % 7 == 3).rev().collect()
}

fn indexes(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory.join("holders")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn segments(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap();
    let is_segment = |name: &str| name.starts_with("seg-");
    entries
        .filter(|entry| is_segment(entry.as_ref().unwrap().file_name().to_str().unwrap()))
        .count()
}

/// A log of many small segments, each with its index but the one in use.
async fn filled(directory: &Path) -> AuditLog {
    let config = AuditConfig { segment_bytes: 16 * 1024, ..config() };
    let (log, _) = try_open(directory, config, crate::support::SetClock::new()).unwrap();
    fill(&log, 0..RECORDS).await;
    let until = Instant::now() + Duration::from_secs(60);
    while indexes(directory).len() + 1 < segments(directory) {
        assert!(Instant::now() < until, "the caretaker made {:?}", indexes(directory));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    log
}

#[tokio::test]
async fn every_signature_of_a_holder_is_found_newest_first_in_pages_of_any_size() {
    let directory = tempfile::tempdir().unwrap();
    let log = filled(directory.path()).await;
    assert!(segments(directory.path()) > 20);
    for limit in [1, 7, 50, 1_000] {
        let (found, pages) = read_all(&log, limit);
        assert_eq!(found, theirs(), "{limit}");
        assert_eq!(pages, theirs().len().div_ceil(limit), "{limit}");
    }
    let nobody = log.signatures_of("u-33", None, 50).unwrap();
    assert!(nobody.signatures.is_empty() && nobody.older.is_none());
    let exact = log.signatures_of("u-3", None, theirs().len()).unwrap();
    assert_eq!((exact.signatures.len(), exact.older), (theirs().len(), None));
    close(log).await;
}

/// What one page costs is bounded even then: it says where to go on.
#[tokio::test]
async fn without_indexes_a_page_reads_a_few_segments_and_the_next_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    close(filled(directory.path()).await).await;
    let (log, _) = open(directory.path());
    indexes(directory.path()).iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let first = log.signatures_of("u-3", None, 1_000).unwrap();
    assert!(first.signatures.len() < theirs().len() / 2, "it read the whole log");
    assert!(first.older.is_some());
    let (found, pages) = read_all(&log, 1_000);
    assert_eq!(found, theirs());
    assert!(pages > 1);
    close(log).await;
}

#[tokio::test]
async fn damaged_index_is_not_believed() {
    let directory = tempfile::tempdir().unwrap();
    let log = filled(directory.path()).await;
    for (path, number) in indexes(directory.path()).iter().zip(0..) {
        let mut octets = std::fs::read(path).unwrap();
        match number % 3 {
            0 => octets[20] ^= 1,
            1 => octets.truncate(octets.len() - 1),
            _ => octets.clear(),
        }
        std::fs::write(path, octets).unwrap();
    }
    assert_eq!(read_all(&log, 1_000).0, theirs());
    close(log).await;
}

#[tokio::test]
async fn index_is_made_for_segments_of_an_older_log() {
    let directory = tempfile::tempdir().unwrap();
    close(filled(directory.path()).await).await;
    std::fs::remove_dir_all(directory.path().join("holders")).unwrap();
    let log = {
        let config = AuditConfig { segment_bytes: 16 * 1024, ..config() };
        try_open(directory.path(), config, crate::support::SetClock::new()).unwrap().0
    };
    let until = Instant::now() + Duration::from_secs(60);
    while indexes(directory.path()).len() + 1 < segments(directory.path()) {
        assert!(Instant::now() < until, "{:?}", indexes(directory.path()));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(read_all(&log, 50).0, theirs());
    close(log).await;
}
