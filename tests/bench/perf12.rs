//! PERF12: start, memory, size, idleness, with one key.

use crate::Effort;
use crate::report::Report;
use std::time::Duration;
use std::time::Instant;
use tests::support::build::programs;
use tests::support::cpu::cpu_time;
use tests::support::cpu::resident_bytes;
use tests::support::daemon::Daemon;
use tests::support::daemon::probe;
use tests::support::world::Plan;
use tests::support::world::World;

pub async fn run(report: &mut Report, effort: Effort) {
    let mut world = World::new(Plan::default()).await;
    let mut starts = Vec::new();
    for _repeat in 0..effort.repeats {
        assert!(world.daemon.stop(Duration::from_secs(15)).is_some(), "the daemon does not stop");
        starts.push(start_ms(&mut world));
    }
    report.add("PERF12", "start to ready", "ms", starts, Some(150.0));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let resident = resident_bytes(world.daemon.pid()) as f64 / f64::from(1 << 20);
    report.add("PERF12", "resident memory, idle", "MiB", vec![resident], Some(32.0));
    let before = cpu_time(world.daemon.pid());
    tokio::time::sleep(Duration::from_secs(20)).await;
    let idle = (cpu_time(world.daemon.pid()) - before).as_secs_f64() / 20.0 * 100.0;
    report.add("PERF12", "CPU, idle for 20 s", "%", vec![idle], Some(0.1));
    report.add("PERF12", "inkand, stripped", "MiB", vec![stripped_megabytes(&world)], Some(16.0));
}

/// Milliseconds from `spawn` to the first `/readyz` that says 200.
pub fn start_ms(world: &mut World) -> f64 {
    let begun = Instant::now();
    world.daemon = Daemon::spawn(&world.launch);
    while probe(world.ports.metrics, "/readyz").is_none_or(|(status, _)| status != 200) {
        assert!(begun.elapsed() < Duration::from_secs(120), "the daemon does not get ready");
        std::thread::sleep(Duration::from_millis(1));
    }
    begun.elapsed().as_secs_f64() * 1e3
}

fn stripped_megabytes(world: &World) -> f64 {
    let copy = world.folder.join("inkand-stripped");
    std::fs::copy(&programs().inkand, &copy).expect("a copy");
    let stripped = std::process::Command::new("strip").arg(&copy).status();
    assert!(stripped.is_ok_and(|status| status.success()), "strip (Debian package binutils)");
    let octets = std::fs::metadata(&copy).expect("its size").len();
    octets as f64 / f64::from(1 << 20)
}
