//! Sign-ins by HPKI card, by phone and by My Number card: what one costs the daemon, how many a second, how long one takes.
//!
//! One sign-in is everything between a signing system's question and its token. By card: three connections of the system, the
//! card's TLS 1.2 handshake, the page, the form, the code. By phone: the PC's page with the QR code, what the phone fetches
//! and answers, the PC's way back. Keys are in files and in memory: the seconds of people, cards and phones are not in it.

use crate::Effort;
use crate::house::House;
use crate::report::Report;
use crate::report::micros;
use attest::danger_testing::SoftPhone;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use tests::support::config::Settings;
use tests::support::cpu::cpu_time;
use tests::support::doctor::Doctor;
use tests::support::pki::Pair;
use tests::support::pki::Validity;
use tests::support::world::Plan;
use tokio::task::JoinSet;

/// Holders who sign in at once: the beginning of a shift.
const AT_ONCE: usize = 8;
/// As fast as they can: limits are for people.
const LIMITS: &str = "[limits]\nsign_ins_per_minute = 100000\nphones_per_minute = 100000\n\
                      phones_per_minute_of_address = 100000\n";

/// What a holder signs in with.
enum Factor {
    Card(Pair),
    Phone(Doctor, Box<SoftPhone>),
    MyNumber(Pair),
}

#[derive(Clone, Copy)]
enum Kind {
    Card,
    Phone,
    MyNumber,
}

const KINDS: [(&str, Kind); 3] =
    [("HPKI card", Kind::Card), ("phone", Kind::Phone), ("My Number card", Kind::MyNumber)];

impl Kind {
    /// A new doctor with one.
    async fn of_a_doctor(self, house: &House) -> Factor {
        match self {
            Self::Card => Factor::Card(house.doctor(Validity::CURRENT).await.card),
            Self::Phone => {
                let (doctor, phone) = house.doctor_with_phone().await;
                Factor::Phone(doctor, Box::new(phone))
            }
            Self::MyNumber => Factor::MyNumber(house.doctor_with_my_number().await.1),
        }
    }
}

impl Factor {
    async fn sign_in(&mut self, house: &House) {
        match self {
            Self::Card(card) => house.world.ehr().sign_in(card).await,
            Self::Phone(doctor, phone) => house.sign_in(doctor, phone).await,
            Self::MyNumber(card) => house.sign_in_by_my_number(card).await,
        };
    }
}

pub async fn run(report: &mut Report, effort: Effort) {
    let tune = |settings: &mut Settings| settings.more = LIMITS.to_owned();
    let house = Arc::new(House::new(Plan { tune, ..Plan::default() }).await);
    for (name, kind) in KINDS {
        let mut factors = Vec::new();
        for _doctor in 0..AT_ONCE {
            factors.push(kind.of_a_doctor(&house).await);
        }
        measure(report, effort, &house, name, factors).await;
    }
}

async fn measure(
    report: &mut Report,
    effort: Effort,
    house: &Arc<House>,
    name: &str,
    mut factors: Vec<Factor>,
) {
    let (mut cpu, mut rates, mut medians, mut p99s) = (vec![], vec![], vec![], vec![]);
    for _repeat in 0..effort.repeats {
        let (before, begun) = (cpu_time(house.world.daemon.pid()), Instant::now());
        let mut latencies;
        (factors, latencies) = all_at_once(house, factors, effort.length).await;
        let (used, took) = (cpu_time(house.world.daemon.pid()) - before, begun.elapsed());
        latencies.sort();
        let count = latencies.len();
        cpu.push(micros(used) / count as f64 / 1e3);
        rates.push(count as f64 / took.as_secs_f64());
        medians.push(micros(latencies[count / 2]) / 1e3);
        p99s.push(micros(latencies[count * 99 / 100]) / 1e3);
    }
    report.add("SIGNIN", format!("{name}: CPU of the daemon"), "ms", cpu, None);
    report.add("SIGNIN", format!("{name}: rate, {AT_ONCE} at once"), "1/s", rates, None);
    report.add("SIGNIN", format!("{name}: p50, {AT_ONCE} at once"), "ms", medians, None);
    report.add("SIGNIN", format!("{name}: p99, {AT_ONCE} at once"), "ms", p99s, None);
}

/// Every holder signs in again and again for `length`; how long each time took.
async fn all_at_once(
    house: &Arc<House>,
    factors: Vec<Factor>,
    length: Duration,
) -> (Vec<Factor>, Vec<Duration>) {
    let mut holders = JoinSet::new();
    for mut factor in factors {
        let house = Arc::clone(house);
        holders.spawn(async move {
            let (begun, mut latencies) = (Instant::now(), Vec::new());
            while begun.elapsed() < length {
                let asked = Instant::now();
                factor.sign_in(&house).await;
                latencies.push(asked.elapsed());
            }
            (factor, latencies)
        });
    }
    let (factors, latencies): (Vec<_>, Vec<_>) = holders.join_all().await.into_iter().unzip();
    (factors, latencies.concat())
}
