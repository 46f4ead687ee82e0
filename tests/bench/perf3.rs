//! PERF3: what the durable audit costs: share of CPU, fdatasyncs per signature, and waiting when alone.

use crate::Effort;
use crate::load;
use crate::load::Load;
use crate::perf1;
use crate::perf1::DOCUMENT;
use crate::perf1::IN_FLIGHT;
use crate::report::Report;
use crate::report::micros;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use tests::support::http::Connection;
use tests::support::world::World;

pub async fn run(report: &mut Report, effort: Effort) {
    let world = World::new(perf1::plan()).await;
    let load = perf1::signing(&world, "p256", Arc::new(vec![0x5a; DOCUMENT])).await;
    let (mut shares, mut syncs) = (Vec::new(), Vec::new());
    let (mut alone, mut waits, mut raw_syncs, mut ratios) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _repeat in 0..effort.repeats {
        let (before, threads_before) = (counted(&world), thread_times(world.daemon.pid()));
        load::run(&load, IN_FLIGHT, effort.length).await;
        let (after, threads_after) = (counted(&world), thread_times(world.daemon.pid()));
        shares.push(100.0 * share(&threads_before, &threads_after));
        syncs.push((after.syncs - before.syncs) / (after.signatures - before.signatures));

        let raw = micros(median_sync(&world.folder, Duration::from_millis(500)));
        alone.push(micros(median(load::alone(&load, effort.length).await)));
        let waited = micros(median_wait(&world, &load, effort.length).await);
        waits.push(waited);
        raw_syncs.push(raw);
        ratios.push(waited / raw);
    }
    report.add("PERF3", "audit thread, share of the daemon's CPU", "%", shares, Some(15.0));
    report.add("PERF3", "fdatasync per signature at 64 in flight", "", syncs, Some(0.15));
    report.add("PERF3", "raw: pwrite + fdatasync, median", "us", raw_syncs, None);
    report.add("PERF3", "alone: whole signature, median", "us", alone, None);
    report.add("PERF3", "alone: waiting for the durable record, median", "us", waits, None);
    report.add("PERF3", "alone: that wait / raw fdatasync", "x", ratios, Some(1.5));
}

/// The median of waiting for the record of one signature, asked for one after the other.
async fn median_wait(world: &World, load: &Load, length: Duration) -> Duration {
    let mut connection = Connection::tls(load.to, load.tls.clone()).await.expect("a connection");
    let (begun, mut before, mut waits) = (Instant::now(), counted(world), Vec::new());
    while begun.elapsed() < length {
        connection.ask(&load.line, &load.head, &load.body).await.expect(200);
        let after = counted(world);
        waits.push(Duration::from_secs_f64(after.audit_seconds - before.audit_seconds));
        before = after;
    }
    median(waits)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

struct Counted {
    signatures: f64,
    syncs: f64,
    audit_seconds: f64,
}

fn counted(world: &World) -> Counted {
    let audit = ["stage=\"audit\""];
    Counted {
        signatures: world.metric("inkan_signatures_total", &["result=\"released\""]),
        syncs: world.metric("inkan_audit_sync_seconds_count", &[]),
        audit_seconds: world.metric("inkan_signing_stage_seconds_sum", &audit),
    }
}

/// Name and CPU nanoseconds of each thread.
fn thread_times(pid: u32) -> Vec<(String, u64)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("threads");
    let of_task = |task: std::io::Result<std::fs::DirEntry>| {
        let task = task.ok()?.path();
        let name = std::fs::read_to_string(task.join("comm")).ok()?.trim().to_owned();
        let times = std::fs::read_to_string(task.join("schedstat")).ok()?;
        Some((name, times.split(' ').next()?.parse().ok()?))
    };
    tasks.filter_map(of_task).collect()
}

/// What threads called `audit...` used of the whole.
fn share(before: &[(String, u64)], after: &[(String, u64)]) -> f64 {
    let sum = |times: &[(String, u64)], name: &str| {
        times.iter().filter(|(thread, _)| thread.contains(name)).map(|(_, time)| *time).sum::<u64>()
            as f64
    };
    let whole = sum(after, "") - sum(before, "");
    let audit = sum(after, "audit") - sum(before, "audit");
    assert!(audit > 0.0, "no thread is called audit");
    audit / whole
}

/// The median of writing 400 octets and syncing them, one after the other, on the disk of the data directory.
fn median_sync(folder: &Path, length: Duration) -> Duration {
    let path = folder.join("raw-sync");
    let mut file = std::fs::File::create(&path).expect("a file");
    file.write_all(&vec![0; 8 << 20]).and_then(|()| file.sync_all()).expect("a preallocated file");
    let (begun, mut times, mut at) = (Instant::now(), Vec::new(), 0);
    while begun.elapsed() < length {
        let sent = Instant::now();
        file.write_all_at(&[7; 400], at).and_then(|()| file.sync_data()).expect("a write");
        times.push(sent.elapsed());
        at = (at + 400) % (8 << 20);
    }
    std::fs::remove_file(path).expect("the file");
    median(times)
}
