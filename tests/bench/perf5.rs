//! PERF5: a token with thousands of keys: signing, starting and adding a key cost what they cost with one.

use crate::Effort;
use crate::perf1;
use crate::perf12::start_ms;
use crate::report::Report;
use std::time::Duration;
use std::time::Instant;
use tests::support::cpu::resident_bytes;
use tests::support::pki::Validity;
use tests::support::world::DOCTOR;
use tests::support::world::Plan;
use tests::support::world::World;

pub async fn run(report: &mut Report, effort: Effort) {
    let mut few = World::new(Plan::default()).await;
    let mut many = World::new(Plan::default()).await;
    let resident_before = resident_bytes(many.daemon.pid());
    let (first, last) = fill(&many, effort.keys).await;
    let grown = resident_bytes(many.daemon.pid()).saturating_sub(resident_before) as f64;
    let ratios = perf1::cpu_ratios(&few, &many, effort).await;
    let keys = effort.keys;
    report.add(
        "PERF5",
        format!("CPU per signature, {keys} keys / one key"),
        "x",
        ratios,
        Some(1.2),
    );
    report.add(
        "PERF5",
        "adding a key at the end / at the beginning",
        "x",
        vec![last / first],
        Some(1.5),
    );
    report.add("PERF5", "resident memory per key", "kB", vec![grown / keys as f64 / 1e3], None);
    let (mut starts, mut enumerations) = (Vec::new(), Vec::new());
    for _repeat in 0..effort.repeats.min(3) {
        for world in [&mut few, &mut many] {
            assert!(
                world.daemon.stop(Duration::from_secs(30)).is_some(),
                "the daemon does not stop"
            );
        }
        let bare = start_ms(&mut few);
        let full = start_ms(&mut many);
        enumerations.push(bare);
        starts.push(full);
    }
    report.add("PERF5", "start to ready with one key", "ms", enumerations, None);
    report.add("PERF5", format!("start to ready with {keys} keys"), "ms", starts, None);
}

/// Makes keys until there are `count`; gives the mean milliseconds of the first and the last twenty.
async fn fill(world: &World, count: usize) -> (f64, f64) {
    const SOME: usize = 20;
    let (mut first, mut last) = (0.0, 0.0);
    for n in 0..count {
        let begun = Instant::now();
        world.enrol_key(&format!("k{n}"), DOCTOR, "p-256", Validity::CURRENT).await;
        let took = begun.elapsed().as_secs_f64() * 1e3 / SOME as f64;
        match n {
            0..SOME => first += took,
            _ if n + SOME >= count => last += took,
            _ => {}
        }
        if n % 500 == 499 {
            println!("   {} keys", n + 1);
        }
    }
    (first, last)
}
