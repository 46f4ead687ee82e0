//! Clients that keep a listener busy, and what the serving process used meanwhile.

use rustls::ClientConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use tests::support::cpu::cpu_time;
use tests::support::http::Connection;
use tokio::task::JoinSet;

/// Who is loaded, by what.
#[derive(Clone)]
pub struct Load {
    pub to: SocketAddr,
    pub tls: Arc<ClientConfig>,
    /// Process whose CPU time counts.
    pub pid: u32,
    /// Request line without version.
    pub line: String,
    /// Header lines, each with its end.
    pub head: String,
    pub body: Arc<Vec<u8>>,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// CPU time of the process for each answer.
    pub cpu: Duration,
    /// Answers a second.
    pub rate: f64,
}

/// Keeps `in_flight` requests going for `length` after a warm-up.
///
/// # Panics
/// When an answer is not 200.
pub async fn run(load: &Load, in_flight: usize, length: Duration) -> Outcome {
    let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut clients = JoinSet::new();
    for _client in 0..in_flight {
        clients.spawn(client(load.clone(), done.clone(), stop.clone()));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (begun, cpu_before, done_before) =
        (Instant::now(), cpu_time(load.pid), done.load(Ordering::Relaxed));
    tokio::time::sleep(length).await;
    let (took, cpu, answers) = (
        begun.elapsed(),
        cpu_time(load.pid) - cpu_before,
        done.load(Ordering::Relaxed) - done_before,
    );
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await;
    assert!(answers > 0, "nothing was answered");
    Outcome { cpu: cpu.div_f64(answers as f64), rate: answers as f64 / took.as_secs_f64() }
}

async fn client(load: Load, done: Arc<AtomicU64>, stop: Arc<AtomicBool>) {
    let mut connection = Connection::tls(load.to, load.tls.clone()).await.expect("a connection");
    while !stop.load(Ordering::Relaxed) {
        connection.ask(&load.line, &load.head, &load.body).await.expect(200);
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Latencies of requests one after the other.
pub async fn alone(load: &Load, length: Duration) -> Vec<Duration> {
    let mut connection = Connection::tls(load.to, load.tls.clone()).await.expect("a connection");
    let mut latencies = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < length {
        let sent = Instant::now();
        connection.ask(&load.line, &load.head, &load.body).await.expect(200);
        latencies.push(sent.elapsed());
    }
    latencies
}
