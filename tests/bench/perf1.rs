//! PERF1: CPU per signature at 64 in flight against raw sign + verify + digest + sink, 100 kB documents.

use crate::Effort;
use crate::limits;
use crate::load;
use crate::load::Load;
use crate::raw_sign;
use crate::report::Report;
use crate::report::micros;
use crate::sink::Sink;
use rustls::version::TLS13;
use std::sync::Arc;
use std::time::Duration;
use tests::support::http::tls_config;
use tests::support::world::Key;
use tests::support::world::Plan;
use tests::support::world::World;

/// Requests at once.
pub const IN_FLIGHT: usize = 64;
/// Octets of a document.
pub const DOCUMENT: usize = 100_000;
/// Credential, key type and the ratio that must not be exceeded.
const ALGORITHMS: [(&str, &str, f64); 4] = [
    ("rsa2048", "rsa-2048", 1.25),
    ("rsa3072", "rsa-3072", 1.25),
    ("p384", "p-384", 1.25),
    ("p256", "p-256", 1.5),
];
const KEYS: &[Key] =
    &[("rsa2048", "rsa-2048"), ("rsa3072", "rsa-3072"), ("p384", "p-384"), ("p256", "p-256")];

/// A world as it is measured.
pub fn plan() -> Plan {
    Plan { keys: KEYS, ..Plan::default() }
}

/// The load of signing `document` detached with `credential`.
pub async fn signing(world: &World, credential: &str, document: Arc<Vec<u8>>) -> Load {
    let session = world.ehr().sign_in(&world.pki.card).await;
    Load {
        to: world.ports.signing,
        tls: tls_config(&world.pki.servers.pem, Some(&world.pki.ehr), &TLS13),
        pid: world.daemon.pid(),
        line: format!("POST /v1/sign?credential={credential}"),
        head: format!("Signing-Session: {}\r\n", session.token),
        body: document,
    }
}

pub async fn run(report: &mut Report, effort: Effort) {
    let world = World::new(plan()).await;
    let sink = Sink::start(&world.pki);
    let document = Arc::new(vec![0x5a; DOCUMENT]);
    let mut loads = Vec::new();
    for (credential, _, _) in ALGORITHMS {
        loads.push(signing(&world, credential, document.clone()).await);
    }
    let swallowing = Load { to: sink.address, pid: sink.pid(), ..loads[0].clone() };
    let short = Duration::from_millis(500);
    let (mut digests, mut sinks) = (Vec::new(), Vec::new());
    let mut raw: [Vec<f64>; 4] = Default::default();
    let mut verifications: [Vec<f64>; 4] = Default::default();
    let mut whole: [Vec<f64>; 4] = Default::default();
    let mut rates: [Vec<f64>; 4] = Default::default();
    let mut ratios: [Vec<f64>; 4] = Default::default();
    for _repeat in 0..effort.repeats {
        let digest = limits::sha256(&document, short);
        let sunk = load::run(&swallowing, IN_FLIGHT, effort.length).await.cpu;
        digests.push(micros(digest));
        sinks.push(micros(sunk));
        for (n, (credential, _, _)) in ALGORITHMS.into_iter().enumerate() {
            let signed = raw_sign::measure(&world, credential, effort.length);
            let verified = limits::verification(credential, short);
            let outcome = load::run(&loads[n], IN_FLIGHT, effort.length).await;
            raw[n].push(micros(signed));
            verifications[n].push(micros(verified));
            whole[n].push(micros(outcome.cpu));
            rates[n].push(outcome.rate);
            ratios[n].push(micros(outcome.cpu) / micros(signed + verified + digest + sunk));
        }
    }
    report.add("PERF1", "raw: SHA-256 of 100 kB", "us", digests, None);
    report.add("PERF1", "raw: mTLS sink of 100 kB", "us", sinks, None);
    for (n, (credential, _, limit)) in ALGORITHMS.into_iter().enumerate() {
        let mut add = |what: &str, unit, values: &mut Vec<f64>, limit| {
            report.add(
                "PERF1",
                format!("{credential}: {what}"),
                unit,
                std::mem::take(values),
                limit,
            );
        };
        add("raw C_SignInit + C_Sign", "us", &mut raw[n], None);
        add("raw verification", "us", &mut verifications[n], None);
        add("daemon CPU per signature", "us", &mut whole[n], None);
        add("signatures a second", "/s", &mut rates[n], None);
        add("daemon CPU / sum of raw limits", "x", &mut ratios[n], Some(limit));
    }
}
