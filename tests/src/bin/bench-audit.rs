//! What the audit log costs by itself: `bench-audit [DIR] [SECONDS]`.
//!
//! For 1, 8 and 64 waiting tasks: records a second, waiting time, `fdatasync` for each record and CPU time for each record.
//! Once with a key that takes no time, once with one that does two at a time, 0.8 ms each, as a soft token on two cores.

use appliance::audit::AuditConfig;
use appliance::audit::AuditLog;
use appliance::audit::AuditMetrics;
use appliance::time::SystemWallClock;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use tests::durability::audit_work::ORIGIN;
use tests::durability::audit_work::signature;
use tests::durability::signer::FileSigner;
use tests::durability::signer::make_key;
use tests::support::cpu::cpu_time;
use tokio::sync::Semaphore;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap_or_else(|| "target/bench-audit".to_owned());
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(3);
    let directory = Path::new(&directory);
    let mut out = std::io::stdout();
    writeln!(out, "tasks  key     records/s   p50 us   p99 us   syncs/record   CPU us/record")?;
    for key_us in [0, 800] {
        for tasks in [1, 8, 64] {
            let run = run(directory, tasks, key_us, Duration::from_secs(seconds)).await?;
            writeln!(out, "{run}")?;
        }
    }
    Ok(())
}

async fn run(
    directory: &Path,
    tasks: u64,
    key_us: u64,
    time: Duration,
) -> Result<String, Box<dyn std::error::Error>> {
    let _ = std::fs::remove_dir_all(directory);
    std::fs::create_dir_all(directory)?;
    let key = directory.join("key");
    make_key(&key)?;
    let metrics = AuditMetrics::new()?;
    let config = AuditConfig { min_free_bytes: 0, ..AuditConfig::new(ORIGIN) };
    let path = directory.join("log");
    let (log, _) = AuditLog::open(&path, config, Arc::new(SystemWallClock), metrics)?;
    log.set_signer(Arc::new(FileSigner::read(&key)?))?;
    let log = Arc::new(log);
    let token = Arc::new(Semaphore::new(2));
    let numbers = Arc::new(AtomicU64::new(0));
    let (started, cpu) = (Instant::now(), cpu_time(std::process::id()));
    let running: Vec<_> = (0..tasks)
        .map(|_| {
            let (log, token, numbers) = (log.clone(), token.clone(), numbers.clone());
            tokio::spawn(async move {
                let mut waited = Vec::new();
                while started.elapsed() < time {
                    let Ok(slot) = log.reserve(1) else {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        continue;
                    };
                    if key_us > 0 {
                        let _turn = token.acquire().await;
                        tokio::time::sleep(Duration::from_micros(key_us)).await;
                    }
                    let asked = Instant::now();
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    if slot.append(signature(1, number)).await.is_err() {
                        break;
                    }
                    waited.push(asked.elapsed());
                }
                waited
            })
        })
        .collect();
    let mut waited = Vec::new();
    for task in running {
        waited.extend(task.await?);
    }
    let (elapsed, cpu) = (started.elapsed(), cpu_time(std::process::id()) - cpu);
    waited.sort_unstable();
    let at = |share: usize| {
        waited.get(waited.len() * share / 100).map_or(0, |waited| waited.as_micros())
    };
    let records = u32::try_from(waited.len())?;
    let syncs = log.metrics().syncs.get();
    tokio::task::spawn_blocking(move || log.close()).await?;
    std::fs::remove_dir_all(directory)?;
    Ok(format!(
        "{tasks:5}  {key_us:3} us {:11.0} {:8} {:8} {:14.3} {:15.1}",
        f64::from(records) / elapsed.as_secs_f64(),
        at(50),
        at(99),
        f64::from(u32::try_from(syncs)?) / f64::from(records.max(1)),
        cpu.as_secs_f64() * 1e6 / f64::from(records.max(1)),
    ))
}
