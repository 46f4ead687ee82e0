//! PERF9: document size: CPU = a + b x size, memory flat.

use crate::Effort;
use crate::limits;
use crate::load;
use crate::load::Load;
use crate::perf1;
use crate::report::Report;
use crate::sink::Sink;
use aws_lc_rs::digest::SHA256;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tests::support::cpu::cpu_time;
use tests::support::cpu::peak_resident_bytes;
use tests::support::cpu::resident_bytes;
use tests::support::http::Connection;
use tests::support::world::World;

const MEGABYTE: usize = 1 << 20;
const SMALL: usize = 1_000;
const LARGE: usize = 16 * MEGABYTE;
const GIGABYTE: usize = 1 << 30;

pub async fn run(report: &mut Report, effort: Effort) {
    let world = World::new(perf1::plan()).await;
    let sink = Sink::start(&world.pki);
    let document = |size: usize| Arc::new(vec![0x5a; size]);
    let small = perf1::signing(&world, "p256", document(SMALL)).await;
    let large = Load { body: document(LARGE), ..small.clone() };
    let to_sink = |load: &Load| Load { to: sink.address, pid: sink.pid(), ..load.clone() };
    let (small_sink, large_sink) = (to_sink(&small), to_sink(&large));
    load::run(&small, 8, effort.length).await;
    let resident = resident_bytes(world.daemon.pid());
    let (mut slopes, mut floors, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _repeat in 0..effort.repeats {
        let ours = slope(&small, &large, effort.length).await;
        let sunk = slope(&small_sink, &large_sink, effort.length).await;
        let digest = limits::digest(&SHA256, &large.body, Duration::from_millis(500));
        let digest = digest.as_secs_f64() * 1e9 / LARGE as f64;
        slopes.push(ours);
        floors.push(sunk + digest);
        ratios.push(ours / (sunk + digest));
    }
    report.add("PERF9", "daemon CPU per octet", "ns", slopes, None);
    report.add("PERF9", "raw: SHA-256 + sink per octet", "ns", floors, None);
    report.add("PERF9", "daemon / raw, per octet", "x", ratios, Some(1.25));
    gigabyte(report, &world, &small, effort).await;
    let growth = peak_resident_bytes(world.daemon.pid()).saturating_sub(resident);
    let growth = vec![growth as f64 / MEGABYTE as f64];
    let what = "memory: peak above that after documents of 1 kB";
    report.add("PERF9", what, "MiB", growth, Some(8.0));
}

/// CPU nanoseconds per octet, from two sizes: the constant part falls out.
async fn slope(small: &Load, large: &Load, length: Duration) -> f64 {
    let few = load::run(small, 8, length).await.cpu.as_secs_f64();
    let many = load::run(large, 2, length).await.cpu.as_secs_f64();
    (many - few) * 1e9 / (LARGE - SMALL) as f64
}

async fn gigabyte(report: &mut Report, world: &World, small: &Load, effort: Effort) {
    let file = world.folder.join("gigabyte");
    std::fs::File::create(&file)
        .and_then(|file| file.set_len(GIGABYTE as u64))
        .expect("a sparse file");
    // The first reading fills the page cache.
    openssl_digest(&file);
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _repeat in 0..effort.repeats {
        let before = cpu_time(world.daemon.pid());
        send_gigabyte(small).await;
        let daemon = (cpu_time(world.daemon.pid()) - before).as_secs_f64();
        let openssl = openssl_digest(&file);
        ours.push(daemon);
        theirs.push(openssl);
        ratios.push(daemon / openssl);
    }
    report.add("PERF9", "1 GiB: daemon CPU", "s", ours, None);
    report.add("PERF9", "1 GiB: openssl dgst -sha256 CPU", "s", theirs, None);
    report.add("PERF9", "1 GiB: daemon / openssl", "x", ratios, Some(1.6));
}

async fn send_gigabyte(load: &Load) {
    let mut connection = Connection::tls(load.to, load.tls.clone()).await.expect("a connection");
    let head = format!(
        "{} HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: {GIGABYTE}\r\n\r\n",
        load.line, load.head
    );
    connection.send(head).await.expect("the head");
    let piece = vec![0; MEGABYTE];
    for _piece in 0..GIGABYTE / MEGABYTE {
        connection.send(&piece).await.expect("a piece");
    }
    connection.reply().await.expect("an answer").expect(200);
}

/// User and system time, seconds.
fn openssl_digest(file: &std::path::Path) -> f64 {
    let children = || {
        let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)
            .expect("getrusage");
        let seconds =
            |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        seconds(usage.user_time()) + seconds(usage.system_time())
    };
    let before = children();
    let output =
        Command::new("openssl").args(["dgst", "-sha256"]).arg(file).output().expect("openssl");
    assert!(output.status.success());
    children() - before
}
