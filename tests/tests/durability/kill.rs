//! REL1, D1: `kill -9` under load. What was acknowledged stays, once, and the next start needs no help.

use crate::work::Kind;
use crate::work::Work;
use crate::work::random_below;
use crate::work::rounds;
use std::time::Duration;

fn kill_under_load(kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let mut work = Work::new(kind);
    let mut found = 0;
    let rounds = rounds(8);
    for _round in 0..rounds {
        let mut worker = work.start(folder.path(), 4, u64::MAX, &[]);
        assert!(worker.wait_for("ready", Duration::from_secs(30)), "{:?}", worker.said);
        worker.hear(Duration::from_millis(5 + random_below(245)));
        work.hear(&worker.kill());
        found = work.check(folder.path());
    }
    println!(
        "{kind:?}: {rounds} rounds of kill -9, {} acknowledged, {found} found",
        work.acknowledged
    );
    assert!(work.acknowledged > 0);
}

#[test]
fn rel1_store_loses_nothing_acknowledged_by_kill_9() {
    kill_under_load(Kind::Store);
}

#[test]
fn rel1_audit_log_loses_nothing_acknowledged_by_kill_9() {
    kill_under_load(Kind::Audit);
}
