//! `make bench`: what a signature costs, against the raw limits measured in the same run.
//!
//! The daemon is a process of its own and only its CPU time counts (`/proc`), never that of this load generator. Machines
//! are shared and noisy: every figure is the median of interleaved repeats with its range, and what is judged is a ratio.
//!
//! `bench [perf1|perf3|perf4|perf5|perf6|perf9|perf12|sign_ins|limits]... [--repeats N] [--seconds N] [--keys N]`; without names: all.
//! `limits` measures the raw limits alone, without a daemon.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measuring program: it prints, and it stops where it cannot measure"
)]

#[path = "../tests/e2e/portal/house.rs"]
#[expect(dead_code, reason = "the end-to-end tests do more in this house than sign in")]
mod house;
mod limits;
mod load;
#[path = "../tests/e2e/portal/my_number_house.rs"]
#[expect(dead_code, reason = "as for the house")]
mod my_number_house;
mod perf1;
mod perf12;
mod perf3;
mod perf4;
mod perf5;
mod perf6;
mod perf9;
mod raw_sign;
mod report;
mod sign_ins;
mod sink;

use report::Report;
use std::time::Duration;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Interleaved repeats.
    pub repeats: usize,
    /// Length of one measurement.
    pub length: Duration,
    /// Keys of the large token.
    pub keys: usize,
}

/// Everything; `limits` is part of `perf1`.
const ALL: [&str; 8] = ["perf12", "perf4", "perf1", "perf3", "perf9", "sign_ins", "perf6", "perf5"];

fn main() {
    // `cargo bench` adds a word for harnesses that have one.
    let is_ours = |argument: &String| argument != "--bench";
    let arguments: Vec<String> = std::env::args().skip(1).filter(is_ours).collect();
    // This program is also its own measured children.
    match arguments.first().map(String::as_str) {
        Some("child-raw-keys") => return raw_sign::child_keys(&arguments[1..]),
        Some("child-raw-sign") => return raw_sign::child_sign(&arguments[1..]),
        Some("child-crowd") => return perf6::child(&arguments[1..]),
        Some("child-sink") => return sink::child(&arguments[1..]),
        _ => {}
    }
    let (wanted, effort) = parse(&arguments);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let report = runtime.expect("a runtime").block_on(measure(&wanted, effort));
    report.print();
    report.write();
}

async fn measure(wanted: &[&str], effort: Effort) -> Report {
    let mut report = Report::new(effort);
    for name in wanted {
        println!("== {name}");
        match *name {
            "limits" => perf1::raw_limits(&mut report, effort).await,
            "perf1" => perf1::run(&mut report, effort).await,
            "perf3" => perf3::run(&mut report, effort).await,
            "perf4" => perf4::run(&mut report).await,
            "perf5" => perf5::run(&mut report, effort).await,
            "perf6" => perf6::run(&mut report, effort).await,
            "sign_ins" => sign_ins::run(&mut report, effort).await,
            "perf9" => perf9::run(&mut report, effort).await,
            _ => perf12::run(&mut report, effort).await,
        }
    }
    report
}

fn parse(arguments: &[String]) -> (Vec<&'static str>, Effort) {
    let mut effort = Effort { repeats: 5, length: Duration::from_secs(3), keys: 10_000 };
    let mut wanted = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut number =
            || arguments.next().and_then(|number| number.parse().ok()).expect("a number");
        match argument.as_str() {
            "--repeats" => effort.repeats = number(),
            "--seconds" => effort.length = Duration::from_secs(number() as u64),
            "--keys" => effort.keys = number(),
            "limits" => wanted.push("limits"),
            name => {
                let known = ALL.iter().find(|known| **known == name);
                wanted.push(*known.expect("limits, or sign_ins, or one of perf1 ... perf12"));
            }
        }
    }
    (if wanted.is_empty() { ALL.to_vec() } else { wanted }, effort)
}
