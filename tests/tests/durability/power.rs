//! REL1, D5: power cuts under load, on a file system that drops what was not synced.
//!
//! A cut also fails every write and sync that is under way (A5, D3): whatever a worker says after it must have been durable
//! before, or the check finds it.

use crate::disk::Disk;
use crate::work::Kind;
use crate::work::Work;
use crate::work::random_below;
use crate::work::rounds;
use std::time::Duration;

fn cut_power_under_load(kind: Kind) {
    let Some(mut disk) = Disk::new(256) else {
        return;
    };
    let mut work = Work::new(kind);
    let directory = disk.mount_point().join("data");
    let (mut found, mut stopped) = (0, 0);
    let rounds = rounds(8);
    for round in 0..rounds {
        let mut worker = work.start(&directory, 4, u64::MAX, &[]);
        // Some cuts hit the opening itself.
        if round % 5 != 4 {
            assert!(worker.wait_for("ready", Duration::from_secs(30)), "{:?}", worker.said);
            worker.hear(Duration::from_millis(5 + random_below(1_000)));
        } else {
            worker.hear(Duration::from_millis(random_below(60)));
        }
        disk.cut_power();
        worker.hear(Duration::from_millis(200));
        let said = worker.kill();
        stopped += usize::from(said.iter().any(|line| line.starts_with("stopped")));
        work.hear(&said);
        disk.unmount();
        assert!(disk.mount(), "the file system does not mount any more");
        found = work.check(&directory);
    }
    println!(
        "{kind:?}: {rounds} power cuts, {} acknowledged, {found} found, {stopped} workers stopped by themselves",
        work.acknowledged
    );
    assert!(work.acknowledged > 0);
}

#[test]
fn rel1_store_loses_nothing_acknowledged_by_power_cuts() {
    cut_power_under_load(Kind::Store);
}

#[test]
fn rel1_audit_log_loses_nothing_acknowledged_by_power_cuts() {
    cut_power_under_load(Kind::Audit);
}
