//! D4: every state that a power cut can leave of a write that was not acknowledged.
//!
//! A log with durable records gets one more batch. The sectors of that batch then reach the disk in part, in any order, or
//! torn; the log must open, keep every durable record, and hold nothing but whole records of the batch in their order.

use crate::support::Random;
use crate::support::SetClock;
use crate::support::SoftSigner;
use crate::support::close;
use crate::support::config;
use crate::support::copy;
use crate::support::fill;
use crate::support::open;
use crate::support::open_signed;
use crate::support::rounds;
use crate::support::try_open;
use appliance::audit::AuditOpenError;
use appliance::audit::verify::verify;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

const DURABLE: u64 = 40;
const BATCH: u64 = 25;
const SEGMENT: &str = "seg-00000000000000000000.log";

/// The log before the batch, and the octets that the batch changed in its segment.
struct Cut {
    folder: tempfile::TempDir,
    signer: Arc<SoftSigner>,
    start: usize,
    batch: Vec<u8>,
}

impl Cut {
    async fn new(signed: bool) -> Self {
        let (folder, signer) = (tempfile::tempdir().unwrap(), SoftSigner::new());
        let (before, after) = (folder.path().join("before"), folder.path().join("after"));
        let log = match signed {
            true => open_signed(&before, &signer),
            false => open(&before).0,
        };
        fill(&log, 0..DURABLE).await;
        close(log).await;
        copy(&before, &after);
        let (log, _) = open(&after);
        fill(&log, DURABLE..DURABLE + BATCH).await;
        close(log).await;
        let (old, new) = (read(&before), read(&after));
        let start = old.iter().rposition(|octet| *octet != 0).unwrap() + 1;
        let end = new.iter().rposition(|octet| *octet != 0).unwrap() + 1;
        assert_eq!(old[..start], new[..start]);
        Self { folder, signer, start, batch: new[start..end].to_vec() }
    }

    /// The log as a power cut left it: `batch` lies where the batch should.
    fn state(&self, batch: &[u8]) -> PathBuf {
        let path = self.folder.path().join("state");
        let _ = std::fs::remove_dir_all(&path);
        copy(&self.folder.path().join("before"), &path);
        let file = std::fs::OpenOptions::new().write(true).open(path.join(SEGMENT)).unwrap();
        file.write_all_at(batch, u64::try_from(self.start).unwrap()).unwrap();
        path
    }

    /// Opens the state, goes on, and shows that everything is as it should be.
    async fn recovers(&self, batch: &[u8], what: &str) -> u64 {
        let path = self.state(batch);
        let (log, opened) = try_open(&path, config(), SetClock::new())
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!((DURABLE..=DURABLE + BATCH).contains(&opened.records), "{what}: {opened:?}");
        log.set_signer(Arc::<SoftSigner>::clone(&self.signer)).unwrap();
        fill(&log, 1_000..1_003).await;
        close(log).await;
        let report = verify(&path, std::slice::from_ref(&self.signer.spki_der), None).unwrap();
        assert!(report.is_good(), "{what}: {report}");
        assert!(report.notices.is_empty(), "{what}: {report}");
        assert_eq!(report.records, opened.records + 3, "{what}");
        opened.records
    }
}

fn read(directory: &Path) -> Vec<u8> {
    std::fs::read(directory.join(SEGMENT)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn d4_every_prefix_of_an_unacknowledged_write_recovers() {
    let cut = Cut::new(true).await;
    let mut seen = std::collections::BTreeSet::new();
    let step = cut.batch.len() / rounds(60);
    for length in (0..cut.batch.len()).step_by(step.max(1)).chain([cut.batch.len()]) {
        seen.insert(cut.recovers(&cut.batch[..length], &format!("prefix of {length}")).await);
    }
    assert_eq!(seen, (DURABLE..=DURABLE + BATCH).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn d4_sectors_in_any_order_zeroed_torn_or_of_garbage_recover() {
    let (cut, mut random) = (Cut::new(true).await, Random(4));
    for round in 0..rounds(40) {
        let mut batch = cut.batch.clone();
        let first_sector = cut.start % 512;
        let mut at = 0;
        while at < batch.len() {
            let end = if at == 0 { 512 - first_sector } else { at + 512 }.min(batch.len());
            match random.below(4) {
                // The sector did not reach the disk.
                0 => batch[at..end].fill(0),
                // It did in part.
                1 => {
                    let torn = at + random.below(end - at);
                    batch[torn..end].fill(0);
                }
                // The drive wrote something else over it.
                2 if random.below(8) == 0 => {
                    batch[at..end].iter_mut().for_each(|octet| *octet = random.next() as u8);
                }
                _ => {}
            }
            at = end;
        }
        cut.recovers(&batch, &format!("round {round}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d4_record_that_a_later_one_calls_durable_is_never_cut() {
    let (cut, mut random) = (Cut::new(false).await, Random(5));
    // Without any checkpoint only the records themselves say what was durable: the batch says so of all before it.
    for _round in 0..rounds(40) {
        let path = cut.state(&cut.batch);
        let mut octets = read(&path);
        let at = random.below(cut.start);
        octets[at] ^= 1 << random.below(8);
        std::fs::write(path.join(SEGMENT), octets).unwrap();
        let refused = try_open(&path, config(), SetClock::new()).err();
        assert!(matches!(refused, Some(AuditOpenError::Damaged { .. })), "octet {at}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d4_crash_between_two_segments_recovers() {
    let (folder, signer) = (tempfile::tempdir().unwrap(), SoftSigner::new());
    let (log, _) = open(folder.path());
    fill(&log, 0..100).await;
    close(log).await;
    // The next segment was begun, but nothing was written to it.
    let next = folder.path().join(format!("seg-{:020}.log", 100));
    std::fs::write(&next, vec![0; 128 * 1024]).unwrap();
    let log = open_signed(folder.path(), &signer);
    assert_eq!(log.records(), 100);
    fill(&log, 100..110).await;
    assert_eq!(log.record(99).unwrap().unwrap().seq, 99);
    assert_eq!(log.record(100).unwrap().unwrap().seq, 100);
    close(log).await;
    let report = verify(folder.path(), std::slice::from_ref(&signer.spki_der), None).unwrap();
    assert!(report.is_good(), "{report}");
    // A segment that begins elsewhere was not begun by us.
    std::fs::rename(&next, folder.path().join(format!("seg-{:020}.log", 101))).unwrap();
    let refused = try_open(folder.path(), config(), SetClock::new()).err();
    assert!(matches!(refused, Some(AuditOpenError::SegmentMissing { seq: 100 })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn d4_torn_history_and_leftover_files_do_not_matter() {
    let (folder, signer) = (tempfile::tempdir().unwrap(), SoftSigner::new());
    let log = open_signed(folder.path(), &signer);
    fill(&log, 0..10).await;
    close(log).await;
    let history = crate::support::files(&folder.path().join("checkpoints")).remove(0);
    let mut octets = std::fs::read(&history).unwrap();
    octets.extend_from_slice(&[0, 0, 1, 0, 9, 9]);
    std::fs::write(&history, octets).unwrap();
    std::fs::write(folder.path().join("next"), b"half").unwrap();
    std::fs::write(folder.path().join("checkpoint.new"), b"half").unwrap();
    let log = open_signed(folder.path(), &signer);
    fill(&log, 10..20).await;
    close(log).await;
    let report = verify(folder.path(), std::slice::from_ref(&signer.spki_der), None).unwrap();
    assert!(report.is_good(), "{report}");
}
