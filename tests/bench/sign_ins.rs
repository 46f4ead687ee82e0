//! Sign-ins by HPKI card: what one costs the daemon, how many a second, how long one takes.
//!
//! One sign-in is everything between a signing system's question and its token: three connections of the system, the card's
//! TLS 1.2 handshake, the page, the form, the code. The cards are keys in files: the seconds of a real card are not in it.

use crate::Effort;
use crate::report::Report;
use crate::report::micros;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use tests::support::config::Settings;
use tests::support::cpu::cpu_time;
use tests::support::pki::Pair;
use tests::support::pki::Validity;
use tests::support::world::Plan;
use tests::support::world::World;
use tokio::task::JoinSet;

/// Holders who sign in at once: the beginning of a shift.
const AT_ONCE: usize = 8;

pub async fn run(report: &mut Report, effort: Effort) {
    let tune = |settings: &mut Settings| {
        settings.more = "[limits]\nsign_ins_per_minute = 100000\n".to_owned();
    };
    let world = World::new(Plan { tune, ..Plan::default() }).await;
    let mut cards = Vec::new();
    for _doctor in 0..AT_ONCE {
        cards.push(Arc::new(world.new_doctor(Validity::CURRENT).await.card));
    }
    let (mut cpu, mut rates, mut medians, mut p99s) = (vec![], vec![], vec![], vec![]);
    for _repeat in 0..effort.repeats {
        let (before, begun) = (cpu_time(world.daemon.pid()), Instant::now());
        let mut latencies = all_at_once(&world, &cards, effort.length).await;
        let (used, took) = (cpu_time(world.daemon.pid()) - before, begun.elapsed());
        latencies.sort();
        let count = latencies.len();
        cpu.push(micros(used) / count as f64 / 1e3);
        rates.push(count as f64 / took.as_secs_f64());
        medians.push(micros(latencies[count / 2]) / 1e3);
        p99s.push(micros(latencies[count * 99 / 100]) / 1e3);
    }
    report.add("SIGNIN", "HPKI card: CPU of the daemon", "ms", cpu, None);
    report.add("SIGNIN", format!("HPKI card: rate, {AT_ONCE} at once"), "1/s", rates, None);
    report.add("SIGNIN", format!("HPKI card: p50, {AT_ONCE} at once"), "ms", medians, None);
    report.add("SIGNIN", format!("HPKI card: p99, {AT_ONCE} at once"), "ms", p99s, None);
}

/// Every holder signs in again and again for `length`; how long each time took.
async fn all_at_once(world: &World, cards: &[Arc<Pair>], length: Duration) -> Vec<Duration> {
    let mut holders = JoinSet::new();
    for card in cards {
        let (ehr, card) = (world.ehr(), card.clone());
        holders.spawn(async move {
            let (begun, mut latencies) = (Instant::now(), Vec::new());
            while begun.elapsed() < length {
                let asked = Instant::now();
                ehr.sign_in(&card).await;
                latencies.push(asked.elapsed());
            }
            latencies
        });
    }
    holders.join_all().await.concat()
}
