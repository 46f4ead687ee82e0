//! D2, D3, REL2: one system call fails, writes half, or is the last before `kill -9`: any of them, one after the other.
//!
//! A failed sync is never retried into success: whatever was not durable is not acknowledged, the worker stops or goes on
//! correctly, and the next start needs no help.

use crate::work::Kind;
use crate::work::Work;
use crate::work::rounds;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const EIO: &str = "5";
const ENOSPC: &str = "28";

/// Compiles the library that is preloaded; `None` where there is no compiler.
fn library(folder: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/durability/faults.c");
    let library = folder.join("faults.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .output();
    match compiled {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(library)
        }
        Err(_) => {
            println!("skipped: no C compiler (cc) here");
            None
        }
    }
}

struct Faults {
    kind: Kind,
    /// What the names of the files that are met begin with, in the worker's directory.
    names: &'static str,
    folder: tempfile::TempDir,
    library: PathBuf,
}

/// What became of one worker.
struct Outcome {
    met: bool,
    stopped: Option<String>,
}

impl Faults {
    fn new(kind: Kind) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let library = library(folder.path())?;
        Some(Self { kind, names: "", folder, library })
    }

    /// One worker meets the fault in a fresh directory, a second one must then work there.
    fn try_fault(&self, call: &str, at: usize, how: &str) -> Outcome {
        let directory = self.folder.path().join("data");
        let mark = self.folder.path().join("mark");
        let _ = std::fs::remove_dir_all(&directory);
        let _ = std::fs::remove_file(&mark);
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let environment = [
            ("LD_PRELOAD", text(&self.library)),
            ("FAULT_CALL", call.to_owned()),
            ("FAULT_AT", at.to_string()),
            ("FAULT_HOW", how.to_owned()),
            ("FAULT_UNDER", format!("{}/{}", text(&directory), self.names)),
            ("FAULT_MARK", text(&mark)),
        ];
        let mut work = Work::new(self.kind);
        let worker = work.start(&directory, 3, 120, &environment);
        let what = format!("{:?}: {call} {at} {how}", self.kind);
        let said = worker.end(Duration::from_secs(60)).unwrap_or_else(|| panic!("{what}: hangs"));
        work.hear(&said);
        let stopped = said.iter().find_map(|line| line.strip_prefix("stopped ")).map(str::to_owned);
        // The next start, without the fault.
        let worker = work.start(&directory, 3, 15, &[]);
        let again = worker.end(Duration::from_secs(60)).unwrap_or_else(|| panic!("{what}: hangs"));
        let ended = again.contains(&"end".to_owned());
        assert!(ended, "{what}, said {stopped:?}; the next start: {:?}", again.last());
        work.hear(&again);
        work.check(&directory);
        Outcome { met: mark.exists(), stopped }
    }

    /// Every `step`th call of a kind, until there are no more.
    fn try_all(&self, call: &str, how: &str, step: usize) -> (usize, usize) {
        let (mut met, mut stopped, mut at) = (0, 0, 1);
        loop {
            let outcome = self.try_fault(call, at, how);
            if !outcome.met || at > 5_000 {
                return (met, stopped);
            }
            met += 1;
            stopped += usize::from(outcome.stopped.is_some());
            at += step;
        }
    }
}

/// Every how many calls one fails; with `INKAN_ROUNDS` set ten times as many do.
fn step(few: usize) -> usize {
    if rounds(0) > 0 { few.div_ceil(10) } else { few }
}

fn try_every_call(kind: Kind, calls: &[(&str, &[&str], usize)]) {
    let Some(faults) = Faults::new(kind) else {
        return;
    };
    for (call, hows, few) in calls {
        for how in *hows {
            let (met, stopped) = faults.try_all(call, how, step(*few));
            println!("{kind:?}: {call} {how}: {met} faults met, {stopped} workers stopped");
            assert!(met > 0, "{call} is never called");
        }
    }
}

#[test]
fn d2_audit_log_survives_a_fault_in_every_call() {
    let all: &[&str] = &[EIO, ENOSPC, "short", "kill"];
    try_every_call(
        Kind::Audit,
        &[
            ("pwrite", all, 29),
            ("write", all, 17),
            ("fdatasync", &[EIO, "kill"], 29),
            ("fsync", &[EIO, "kill"], 11),
            ("rename", &[EIO, "kill"], 5),
            ("open", &[EIO, ENOSPC, "kill"], 23),
            ("ftruncate", &[EIO, "kill"], 1),
        ],
    );
}

#[test]
fn d2_store_survives_a_fault_in_every_call() {
    let all: &[&str] = &[EIO, ENOSPC, "short", "kill"];
    try_every_call(
        Kind::Store,
        &[
            ("pwrite", all, 211),
            ("fdatasync", &[EIO, "kill"], 97),
            ("fsync", &[EIO, "kill"], 3),
            ("sync_file_range", &[EIO], 131),
            ("open", &[EIO, "kill"], 7),
        ],
    );
}

#[test]
fn d3_one_failed_sync_of_the_audit_log_stops_it_for_good() {
    let Some(faults) = Faults::new(Kind::Audit) else {
        return;
    };
    // The files of the records: the index of holders beside them may fail, and is made again.
    let faults = Faults { names: "seg-", ..faults };
    // Far behind the opening: the call is the committer's or the caretaker's, never an acknowledged success.
    for at in [20, 33, 47] {
        let outcome = faults.try_fault("fdatasync", at, EIO);
        let reason = outcome.stopped.unwrap_or_else(|| panic!("fdatasync {at} was retried"));
        assert!(outcome.met && reason.contains("has stopped"), "{reason}");
        assert!(reason.contains("os error 5"), "{reason}");
    }
}

#[test]
fn d3_one_failed_sync_of_the_store_stops_it_for_good() {
    let Some(faults) = Faults::new(Kind::Store) else {
        return;
    };
    for at in [20, 60, 100] {
        let outcome = faults.try_fault("fdatasync", at, EIO);
        let reason = outcome.stopped.unwrap_or_else(|| panic!("fdatasync {at} was retried"));
        assert!(outcome.met && reason.contains("has stopped"), "{reason}");
    }
}

#[test]
fn d3_sync_that_never_returns_stops_the_store_in_time() {
    let Some(faults) = Faults::new(Kind::Store) else {
        return;
    };
    let outcome = faults.try_fault("fdatasync", 40, "hang");
    let reason = outcome.stopped.expect("it goes on without its sync");
    assert!(outcome.met && reason.contains("did not end within"), "{reason}");
}
