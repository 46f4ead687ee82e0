//! D6, A5: a disk that fills up. Nothing is acknowledged that is not durable, nothing breaks, and space alone brings the
//! work back: no restart, no repair.

use crate::disk::Disk;
use crate::work::Kind;
use crate::work::Work;
use crate::worker::Worker;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Takes all space that is left.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    for piece in [1 << 20, 64 << 10, 4 << 10, 512] {
        while file.write_all(&vec![1; piece]).is_ok() {}
    }
    let _ = file.sync_all();
}

/// Takes all inodes that are left; whether it could.
fn fill_inodes(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    for number in 0..1_000_000 {
        if std::fs::File::create(folder.join(number.to_string())).is_err() {
            return;
        }
    }
}

fn work_through_a_full_disk(kind: Kind, megabytes: u64) {
    let Some(disk) = Disk::new(megabytes) else {
        return;
    };
    let mut work = Work::new(kind);
    let (directory, hog) = (disk.mount_point().join("data"), disk.mount_point().join("hog"));
    let mut worker = work.start(&directory, 4, u64::MAX, &[]);
    assert!(worker.wait_for("ready", Duration::from_secs(30)), "{:?}", worker.said);
    worker.hear(Duration::from_millis(300));
    for round in 0..3 {
        let before = worker.said.len();
        fill(&hog);
        if !worker.wait_for("full", Duration::from_secs(30)) {
            assert!(kind == Kind::Store, "round {round}: {:?}", last(&worker));
            return stopped_safely(&mut work, worker, &directory, &hog);
        }
        worker.hear(Duration::from_millis(300));
        std::fs::remove_file(&hog).unwrap();
        let starts = if kind == Kind::Audit { "a " } else { "c " };
        let heard = worker.said.len();
        if !worker.wait_for(starts, Duration::from_secs(30)) {
            assert!(kind == Kind::Store, "round {round}: {:?}", last(&worker));
            return stopped_safely(&mut work, worker, &directory, &hog);
        }
        assert!(!worker.said[before..].iter().any(|line| line.starts_with("stopped")));
        worker.hear(Duration::from_millis(200));
        assert!(worker.said.len() > heard + 10, "round {round}: does not work again");
    }
    work.hear(&worker.kill());
    work.check(&directory);
}

/// The last that a worker said: a reason, if it stopped.
fn last(worker: &Worker) -> &[String] {
    &worker.said[worker.said.len().saturating_sub(5)..]
}

/// The disk filled up between the store's look at it and its write: a failed write stops the store for good, which is the
/// safe side. What it acknowledged is there for the next start.
fn stopped_safely(work: &mut Work, worker: Worker, directory: &Path, hog: &Path) {
    let _ = std::fs::remove_file(hog);
    work.hear(&worker.kill());
    work.check(directory);
}

#[test]
fn d6_audit_log_waits_for_space_and_goes_on() {
    work_through_a_full_disk(Kind::Audit, 96);
}

#[test]
fn d6_store_waits_for_space_and_goes_on() {
    work_through_a_full_disk(Kind::Store, 96);
}

#[test]
fn d6_disk_that_is_full_from_the_start_is_said_to_be() {
    let Some(disk) = Disk::new(32) else {
        return;
    };
    for kind in [Kind::Audit, Kind::Store] {
        let mut work = Work::new(kind);
        let directory = disk.mount_point().join(format!("{kind:?}"));
        let hog = disk.mount_point().join("hog");
        fill(&hog);
        let worker = work.start(&directory, 2, 10, &[]);
        // It may not open, or open and refuse; it must not work.
        let mut worker = worker;
        worker.hear(Duration::from_secs(2));
        assert!(!worker.said.iter().any(|line| line.starts_with("a ") || line.starts_with("c ")));
        work.hear(&worker.kill());
        std::fs::remove_file(&hog).unwrap();
        let worker = work.start(&directory, 2, 10, &[]);
        let said = worker.end(Duration::from_secs(30)).unwrap();
        assert!(said.contains(&"end".to_owned()), "{kind:?}: {said:?}");
        work.hear(&said);
        work.check(&directory);
    }
}

#[test]
fn d6_file_system_without_inodes_is_survived() {
    let Some(disk) = Disk::new(64) else {
        return;
    };
    for kind in [Kind::Audit, Kind::Store] {
        let mut work = Work::new(kind);
        let directory = disk.mount_point().join(format!("{kind:?}"));
        let files = disk.mount_point().join("files");
        let mut worker = work.start(&directory, 4, u64::MAX, &[]);
        assert!(worker.wait_for("ready", Duration::from_secs(30)), "{:?}", worker.said);
        fill_inodes(&files);
        worker.hear(Duration::from_secs(1));
        std::fs::remove_dir_all(&files).unwrap();
        worker.hear(Duration::from_secs(1));
        work.hear(&worker.kill());
        work.check(&directory);
    }
}
