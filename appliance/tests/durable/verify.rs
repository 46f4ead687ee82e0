//! Group A of the attacks: what the verifier finds, and where.

use crate::support::Random;
use crate::support::SoftSigner;
use crate::support::close;
use crate::support::copy;
use crate::support::ehr;
use crate::support::facts;
use crate::support::files;
use crate::support::fill;
use crate::support::open_signed;
use crate::support::rounds;
use appliance::audit::AuditOpenError;
use appliance::audit::Entry;
use appliance::audit::Event;
use appliance::audit::Label;
use appliance::audit::frame::frame_at;
use appliance::audit::frame::put_frame;
use appliance::audit::proof::is_consistent;
use appliance::audit::verify::Fault;
use appliance::audit::verify::Report;
use appliance::audit::verify::VerifyError;
use appliance::audit::verify::verify;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

const RECORDS: u64 = 700;

/// A log of several segments and full tiles, closed in good order.
struct Log {
    folder: tempfile::TempDir,
    signer: Arc<SoftSigner>,
    copies: usize,
}

impl Log {
    async fn new() -> Self {
        let (folder, signer) = (tempfile::tempdir().unwrap(), SoftSigner::new());
        let log = open_signed(&folder.path().join("log"), &signer);
        for part in 0..7 {
            fill(&log, part * 100..part * 100 + 99).await;
            let event = Event::Signature(Box::new(facts(part * 100 + 99)));
            let label = Label::new(&format!("document {part}")).unwrap();
            let entry = Entry::new(&format!("r-{}", part * 100 + 99), ehr(), event).labelled(label);
            log.append(entry).await.unwrap();
            log.checkpoint_over(part * 100 + 100).await.unwrap();
        }
        close(log).await;
        Self { folder, signer, copies: 0 }
    }

    fn original(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// A fresh copy to spoil; the last one is removed.
    fn copy(&mut self) -> PathBuf {
        let path = |number: usize| self.folder.path().join(format!("copy-{number}"));
        let _ = std::fs::remove_dir_all(path(self.copies));
        self.copies += 1;
        copy(&self.original(), &path(self.copies));
        path(self.copies)
    }

    fn verify(&self, directory: &Path) -> Report {
        verify(directory, std::slice::from_ref(&self.signer.spki_der), None).unwrap()
    }

    fn segments(&self) -> Vec<PathBuf> {
        let all = files(&self.original());
        all.into_iter().filter(|path| name(path).starts_with("seg-")).collect()
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Frames of a segment: offset and record.
fn frames(octets: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(frame) = frame_at(octets, at).unwrap() {
        found.push((frame.offset, frame.record.to_vec()));
        at = frame.end();
    }
    found
}

fn with_frames(frames: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let mut octets = Vec::new();
    frames.iter().for_each(|(_, record)| put_frame(&mut octets, record));
    octets
}

#[tokio::test(flavor = "multi_thread")]
async fn good_log_is_good() {
    let log = Log::new().await;
    let report = log.verify(&log.original());
    assert!(report.is_good(), "{report}");
    assert_eq!((report.records, report.unsigned), (RECORDS, 0));
    assert!(report.checkpoints >= 8, "{report}");
    assert!(log.segments().len() >= 4);
    assert!(report.to_string().starts_with("good: 700 records"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_one_octet_changed_anywhere_is_found_in_its_file() {
    let mut log = Log::new().await;
    let mut random = Random(1);
    let all = files(&log.original());
    for file in &all {
        let relative = file.strip_prefix(log.original()).unwrap().to_owned();
        let length = std::fs::metadata(file).unwrap().len();
        let tries = if name(file).starts_with("seg-") { rounds(12) } else { rounds(6) };
        for _try in 0..tries {
            let copy = log.copy();
            let path = copy.join(&relative);
            let mut octets = std::fs::read(&path).unwrap();
            let at = random.below(usize::try_from(length).unwrap());
            octets[at] ^= 1 << random.below(8);
            std::fs::write(&path, octets).unwrap();
            let report = log.verify(&copy);
            let place = format!("{}, octet {at}", relative.display());
            // A label file is not part of the log; a frame in it that is not whole is a label that is gone. An index by
            // holder is made from the records; a damaged one is not read.
            if relative.starts_with("labels") || relative.starts_with("holders") {
                continue;
            }
            let named = report.findings.iter().any(|finding| finding.place.path == path);
            let unfinished = report.notices.iter().any(|notice| notice.contains(&name(&path)));
            assert!(named || unfinished, "{place} changed, report:\n{report}");
            assert!(!report.is_good() || unfinished, "{place} changed, report:\n{report}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_octet_inserted_deleted_or_doubled_in_a_segment_is_found_at_its_record() {
    let mut log = Log::new().await;
    let mut random = Random(2);
    for segment in log.segments() {
        let good = std::fs::read(&segment).unwrap();
        let frames = frames(&good);
        let used = frames.last().map(|(at, record)| at + 8 + record.len()).unwrap();
        for kind in 0..3 {
            for _try in 0..rounds(3) {
                let at = random.below(used);
                let mut octets = good.clone();
                match kind {
                    0 => octets.insert(at, b'7'),
                    1 => drop(octets.remove(at)),
                    _ => octets.insert(at, octets[at]),
                }
                let copy = log.copy();
                let path = copy.join(name(&segment));
                std::fs::write(&path, octets).unwrap();
                let report = log.verify(&copy);
                let (offset, _) = frames.iter().rfind(|(offset, _)| *offset <= at).unwrap();
                // A doubled octet equals its neighbour; the frame it falls into may be the one before.
                let near = |found: u64| usize::try_from(found).unwrap().abs_diff(*offset) < 2_000;
                let named = report.findings.iter().any(|finding| {
                    finding.place.path == path && finding.place.offset.is_some_and(near)
                });
                assert!(named, "kind {kind} at {at} of {}, report:\n{report}", name(&segment));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_edited_record_with_a_good_check_sum_is_named() {
    let mut log = Log::new().await;
    let segment = log.segments().into_iter().next().unwrap();
    let mut all = frames(&std::fs::read(&segment).unwrap());
    let text = String::from_utf8(all[13].1.clone()).unwrap();
    all[13].1 = text.replace("\"holder_id\":\"u-6\"", "\"holder_id\":\"u-5\"").into_bytes();
    assert_ne!(all[13].1, text.into_bytes());
    let copy = log.copy();
    std::fs::write(copy.join(name(&segment)), with_frames(&all)).unwrap();
    let report = log.verify(&copy);
    assert_eq!(report.findings.len(), 1, "{report}");
    assert_eq!(report.findings[0].place.seq, Some(13));
    assert!(matches!(report.findings[0].fault, Fault::Edited(_)), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_edited_record_behind_the_last_full_tile_is_narrowed_to_its_checkpoint() {
    let mut log = Log::new().await;
    let segment = log.segments().into_iter().next_back().unwrap();
    let mut all = frames(&std::fs::read(&segment).unwrap());
    let last = all.len() - 3;
    let text = String::from_utf8(all[last].1.clone()).unwrap();
    all[last].1 = text.replace("\"level\":\"B-B\"", "\"level\":\"B-X\"").into_bytes();
    let copy = log.copy();
    std::fs::write(copy.join(name(&segment)), with_frames(&all)).unwrap();
    let report = log.verify(&copy);
    let narrowed =
        |fault: &Fault| matches!(fault, Fault::OtherRoot { size: 698..=700, from: 600..=697 });
    assert!(report.findings.iter().any(|finding| narrowed(&finding.fault)), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_swapped_doubled_inserted_and_deleted_records_are_named() {
    let mut log = Log::new().await;
    let segment = log.segments().into_iter().next().unwrap();
    let good = frames(&std::fs::read(&segment).unwrap());
    type Spoil = fn(&mut Vec<(usize, Vec<u8>)>);
    let kinds: [(&str, Spoil, u64); 4] = [
        ("swapped", |all| all.swap(20, 21), 20),
        ("doubled", |all| all.insert(31, all[30].clone()), 31),
        ("inserted", |all| all.insert(40, all[90].clone()), 40),
        ("deleted", |all| drop(all.remove(50)), 50),
    ];
    for (kind, spoil, seq) in kinds {
        let mut all = good.clone();
        spoil(&mut all);
        let copy = log.copy();
        std::fs::write(copy.join(name(&segment)), with_frames(&all)).unwrap();
        let report = log.verify(&copy);
        assert!(!report.is_good(), "{kind}");
        assert_eq!(report.findings[0].place.seq, Some(seq), "{kind}: {report}");
        let told = matches!(report.findings[0].fault, Fault::Missing(_) | Fault::Misplaced(_));
        assert!(told, "{kind}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_missing_files_are_named() {
    let mut log = Log::new().await;
    let segments = log.segments();
    for (gone, expected) in [
        (name(&segments[1]), "records are missing"),
        ("tile/0/001".to_owned(), "the tile is missing"),
        ("checkpoint".to_owned(), "there is no checkpoint"),
    ] {
        let copy = log.copy();
        std::fs::remove_file(copy.join(&gone)).unwrap();
        let report = log.verify(&copy);
        assert!(report.to_string().contains(expected), "{gone}: {report}");
        assert!(!report.is_good());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_edited_tile_is_not_blamed_on_a_record() {
    let mut log = Log::new().await;
    let copy = log.copy();
    let tile = copy.join("tile/0/001");
    let mut octets = std::fs::read(&tile).unwrap();
    octets[5 * 32] ^= 1;
    std::fs::write(&tile, octets).unwrap();
    let report = log.verify(&copy);
    assert_eq!(report.findings.len(), 1, "{report}");
    assert_eq!(report.findings[0].fault, Fault::TileEdited);
    assert_eq!(report.findings[0].place.seq, Some(256 + 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_exchanged_label_is_found() {
    let mut log = Log::new().await;
    let copy = log.copy();
    let labels = files(&copy.join("labels")).into_iter().next().unwrap();
    let mut all = frames(&std::fs::read(&labels).unwrap());
    let last = all[0].1.len() - 1;
    all[0].1[last] = b'9';
    std::fs::write(&labels, with_frames(&all)).unwrap();
    let report = log.verify(&copy);
    assert_eq!(report.findings.len(), 1, "{report}");
    assert_eq!(report.findings[0].fault, Fault::Label);
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_cut_tail_is_found_by_the_newest_checkpoint_and_by_one_kept_outside() {
    let mut log = Log::new().await;
    let outside = std::fs::read_to_string(log.original().join("checkpoint")).unwrap();
    let segment = log.segments().into_iter().next_back().unwrap();
    let mut all = frames(&std::fs::read(&segment).unwrap());
    all.truncate(all.len() - 2);
    let copy = log.copy();
    std::fs::write(copy.join(name(&segment)), with_frames(&all)).unwrap();
    let cut = Fault::CutOff { size: RECORDS, records: RECORDS - 2 };
    let report = log.verify(&copy);
    assert!(report.findings.iter().any(|finding| finding.fault == cut), "{report}");
    // Whoever cuts the checkpoints off, too, is found from outside only.
    std::fs::remove_dir_all(copy.join("checkpoints")).unwrap();
    std::fs::remove_file(copy.join("checkpoint")).unwrap();
    let keys = [log.signer.spki_der.clone()];
    let report = verify(&copy, &keys, Some(&outside)).unwrap();
    assert!(report.findings.iter().any(|finding| finding.fault == cut), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a3_two_histories_from_one_beginning_are_told_apart_by_a_checkpoint_of_the_other() {
    let (folder, signer) = (tempfile::tempdir().unwrap(), SoftSigner::new());
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let log = open_signed(&one, &signer);
    fill(&log, 0..300).await;
    close(log).await;
    copy(&one, &other);
    for (path, numbers) in [(&one, 300..400), (&other, 500..700)] {
        let log = open_signed(path, &signer);
        fill(&log, numbers).await;
        close(log).await;
    }
    let keys = [signer.spki_der.clone()];
    let note = |path: &Path| std::fs::read_to_string(path.join("checkpoint")).unwrap();
    for path in [&one, &other] {
        let report = verify(path, &keys, None).unwrap();
        assert!(report.is_good(), "each history is good by itself: {report}");
    }
    let report = verify(&other, &keys, Some(&note(&one))).unwrap();
    assert_eq!(report.findings.len(), 1, "{report}");
    assert_eq!(report.findings[0].fault, Fault::OtherHistory { size: 400 });
    // And no consistency proof leads from one to the other.
    let archive = appliance::audit::Archive::open(&other).unwrap();
    let mut tree = archive.tree(500).unwrap();
    let proof = tree.prove_consistency(400).unwrap();
    let signed: appliance::audit::SignedCheckpoint = note(&one).parse().unwrap();
    let old = (400, &signed.checkpoint.root);
    assert!(!is_consistent(old, (500, &tree.root()), &proof));
}

#[tokio::test(flavor = "multi_thread")]
async fn a4_whole_log_rolled_back_is_found_by_a_checkpoint_kept_outside() {
    let (folder, signer) = (tempfile::tempdir().unwrap(), SoftSigner::new());
    let (log_path, backup) = (folder.path().join("log"), folder.path().join("backup"));
    let log = open_signed(&log_path, &signer);
    fill(&log, 0..50).await;
    close(log).await;
    copy(&log_path, &backup);
    let log = open_signed(&log_path, &signer);
    fill(&log, 50..80).await;
    close(log).await;
    let outside = std::fs::read_to_string(log_path.join("checkpoint")).unwrap();
    let keys = [signer.spki_der.clone()];
    assert!(verify(&backup, &keys, None).unwrap().is_good());
    let report = verify(&backup, &keys, Some(&outside)).unwrap();
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].fault, Fault::CutOff { size: 80, records: 50 });
}

#[tokio::test(flavor = "multi_thread")]
async fn check_without_a_key_a_log_or_a_note_says_so() {
    let log = Log::new().await;
    let keys = [log.signer.spki_der.clone()];
    assert!(matches!(verify(&log.original(), &[], None), Err(VerifyError::Key(_))));
    assert!(matches!(verify(&log.original(), &[vec![1, 2]], None), Err(VerifyError::Key(_))));
    let outside = verify(&log.original(), &keys, Some("no note"));
    assert!(matches!(outside, Err(VerifyError::Outside(_))));
    assert!(matches!(verify(log.folder.path(), &keys, None), Err(VerifyError::NoLog)));
    assert!(matches!(verify(Path::new("/nonexistent"), &keys, None), Err(VerifyError::Io(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_tiles_are_made_again_from_the_records_and_from_no_others() {
    let mut log = Log::new().await;
    let copy = log.copy();
    std::fs::remove_dir_all(copy.join("tile")).unwrap();
    assert_eq!(appliance::audit::rebuild_tiles(&copy).unwrap(), 2);
    let report = log.verify(&copy);
    assert!(report.is_good(), "{report}");
    let segment = log.segments().into_iter().next().unwrap();
    let mut all = frames(&std::fs::read(&segment).unwrap());
    let text = String::from_utf8(all[3].1.clone()).unwrap();
    all[3].1 = text.replace("\"level\":\"B-B\"", "\"level\":\"B-X\"").into_bytes();
    std::fs::write(copy.join(name(&segment)), with_frames(&all)).unwrap();
    let refused = appliance::audit::rebuild_tiles(&copy).err().unwrap().to_string();
    assert!(refused.contains("nothing was changed"), "{refused}");
}

/// What the daemon itself notices when it starts.
#[tokio::test(flavor = "multi_thread")]
async fn a1_daemon_does_not_start_on_a_log_that_was_tampered_with() {
    let mut log = Log::new().await;
    let last = name(log.segments().last().unwrap());
    let open = |path: &Path| {
        let clock = crate::support::SetClock::new();
        crate::support::try_open(path, crate::support::config(), clock).err()
    };
    assert!(open(&log.copy()).is_none());

    let copy = log.copy();
    let mut octets = std::fs::read(copy.join(&last)).unwrap();
    octets[100] ^= 1;
    std::fs::write(copy.join(&last), octets).unwrap();
    assert!(matches!(open(&copy), Some(AuditOpenError::Damaged { .. })));

    let copy = log.copy();
    let mut all = frames(&std::fs::read(copy.join(&last)).unwrap());
    all.truncate(all.len() - 1);
    std::fs::write(copy.join(&last), with_frames(&all)).unwrap();
    assert!(matches!(open(&copy), Some(AuditOpenError::Short { records: 699, checkpoint: 700 })));

    let copy = log.copy();
    let text = String::from_utf8(all[5].1.clone()).unwrap();
    all = frames(&std::fs::read(copy.join(&last)).unwrap());
    all[5].1 = text.replace("\"level\":\"B-B\"", "\"level\":\"B-X\"").into_bytes();
    std::fs::write(copy.join(&last), with_frames(&all)).unwrap();
    assert!(matches!(open(&copy), Some(AuditOpenError::OtherRoot { size: 700 })));

    let copy = log.copy();
    std::fs::remove_file(copy.join("checkpoint")).unwrap();
    assert!(matches!(open(&copy), Some(AuditOpenError::CheckpointMissing { .. })));

    let copy = log.copy();
    std::fs::remove_file(copy.join("tile/0/000")).unwrap();
    assert!(matches!(open(&copy), Some(AuditOpenError::Tile { .. })));

    let copy = log.copy();
    std::fs::remove_file(copy.join(&last)).unwrap();
    assert!(matches!(open(&copy), Some(AuditOpenError::Short { .. })));

    let copy = log.copy();
    std::fs::remove_file(copy.join(name(&log.segments()[0]))).unwrap();
    assert!(matches!(open(&copy), Some(AuditOpenError::SegmentMissing { seq: 0 })));

    let copy = log.copy();
    let (opened, _) = crate::support::open(&copy);
    let key = |signer: &SoftSigner| {
        appliance::audit::VerifierKey::new(crate::support::ORIGIN, &signer.spki_der).unwrap()
    };
    assert!(opened.check_signed_by(&key(&log.signer)).is_ok());
    let refused = opened.check_signed_by(&key(&SoftSigner::new())).err();
    assert!(matches!(refused, Some(AuditOpenError::Checkpoint { .. })));
}

/// Yesterday's checkpoints are met first, so today's file is read while the log grows on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn log_that_grows_while_it_is_verified_raises_no_alarm() {
    let (folder, signer) = (tempfile::tempdir().unwrap(), SoftSigner::new());
    let clock = crate::support::SetClock::new();
    let config = appliance::audit::AuditConfig {
        segment_bytes: 16 * 1024,
        checkpoint_every: std::time::Duration::from_millis(1),
        ..crate::support::config()
    };
    let opened = crate::support::try_open(folder.path(), config, Arc::clone(&clock));
    let log = Arc::new(opened.unwrap().0);
    log.set_signer(Arc::<SoftSigner>::clone(&signer)).unwrap();
    fill(&log, 0..5_000).await;
    log.checkpoint_over(5_000).await.unwrap();
    clock.set(crate::support::START_MS + 86_400_000);
    fill(&log, 5_000..5_100).await;
    log.checkpoint_over(5_100).await.unwrap();
    let growing = tokio::spawn({
        let log = Arc::clone(&log);
        async move {
            for part in 51.. {
                fill(&log, part * 100..part * 100 + 100).await;
            }
        }
    });
    let (path, spki) = (folder.path().to_owned(), signer.spki_der.clone());
    let check = move || verify(&path, std::slice::from_ref(&spki), None).unwrap();
    for _check in 0..3 {
        let report = tokio::task::spawn_blocking(check.clone()).await.unwrap();
        assert!(report.is_good(), "{report}");
    }
    growing.abort();
}
