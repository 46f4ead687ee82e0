//! PERF1: CPU per signature at 64 in flight against raw sign + verify + digest + sink, 100 kB documents.

use crate::Effort;
use crate::limits;
use crate::load;
use crate::load::Load;
use crate::raw_sign::RawToken;
use crate::report::Report;
use crate::report::micros;
use crate::sink::Sink;
use aws_lc_rs::digest;
use rustls::version::TLS13;
use std::sync::Arc;
use std::time::Duration;
use tests::support::config::Settings;
use tests::support::http::tls_config;
use tests::support::pki::Pki;
use tests::support::world::Key;
use tests::support::world::Plan;
use tests::support::world::World;

/// Requests at once.
pub const IN_FLIGHT: usize = 64;
/// Octets of a document.
pub const DOCUMENT: usize = 100_000;
/// How long a digest or a verification is measured.
const SHORT: Duration = Duration::from_millis(500);
/// Credential and the ratio that must not be exceeded.
const ALGORITHMS: [(&str, f64); 4] =
    [("rsa2048", 1.25), ("rsa3072", 1.25), ("p384", 1.25), ("p256", 1.5)];
const KEYS: &[Key] =
    &[("rsa2048", "rsa-2048"), ("rsa3072", "rsa-3072"), ("p384", "p-384"), ("p256", "p-256")];

/// A world as it is measured: a soft token computes on the machine's own cores, so that more sessions than these would only
/// wait for each other inside it.
pub fn plan() -> Plan {
    let tune = |settings: &mut Settings| {
        settings.hsm_sessions = std::thread::available_parallelism().map_or(1, usize::from);
    };
    Plan { keys: KEYS, tune, ..Plan::default() }
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

/// CPU per signature of `many` over that of `few`: a ratio a repeat.
pub async fn cpu_ratios(few: &World, many: &World, effort: Effort) -> Vec<f64> {
    let document = Arc::new(vec![0x5a; DOCUMENT]);
    let few = signing(few, "p256", document.clone()).await;
    let many = signing(many, "p256", document).await;
    let mut ratios = Vec::new();
    for _repeat in 0..effort.repeats {
        let one = load::run(&few, IN_FLIGHT, effort.length).await.cpu;
        let all = load::run(&many, IN_FLIGHT, effort.length).await.cpu;
        ratios.push(micros(all) / micros(one));
    }
    ratios
}

/// Medians are taken over these; each repeat measures all of them once.
#[derive(Default)]
struct Raw {
    sha256: Vec<f64>,
    sha384: Vec<f64>,
    sinks: Vec<f64>,
    signs: [Vec<f64>; 4],
    verifications: [Vec<f64>; 4],
}

/// What a signature cannot be below, but for its key: microseconds.
struct Document {
    sha256: f64,
    sha384: f64,
    sunk: f64,
}

impl Document {
    /// The digest that `credential` signs.
    fn digest(&self, credential: &str) -> f64 {
        if credential == "p384" { self.sha384 } else { self.sha256 }
    }
}

impl Raw {
    /// Receiving and digesting a document.
    async fn document(&mut self, sinking: &Load, effort: Effort) -> Document {
        let document = Document {
            sha256: micros(limits::digest(&digest::SHA256, &sinking.body, SHORT)),
            sha384: micros(limits::digest(&digest::SHA384, &sinking.body, SHORT)),
            sunk: micros(load::run(sinking, IN_FLIGHT, effort.length).await.cpu),
        };
        self.sha256.push(document.sha256);
        self.sha384.push(document.sha384);
        self.sinks.push(document.sunk);
        document
    }

    /// The use of the key and the one verification, of algorithm `n`.
    fn key(&mut self, n: usize, token: &RawToken, effort: Effort) -> f64 {
        let (credential, _) = ALGORITHMS[n];
        let signed = micros(token.measure(credential, effort.length));
        let verified = micros(limits::verification(credential, SHORT));
        self.signs[n].push(signed);
        self.verifications[n].push(verified);
        signed + verified
    }

    fn report(self, report: &mut Report) {
        let mut add = |what: String, values| report.add("PERF1", what, "us", values, None);
        add("raw: SHA-256 of 100 kB".to_owned(), self.sha256);
        add("raw: SHA-384 of 100 kB".to_owned(), self.sha384);
        add("raw: mTLS sink of 100 kB".to_owned(), self.sinks);
        let of_keys = self.signs.into_iter().zip(self.verifications);
        for ((credential, _), (signs, verifications)) in ALGORITHMS.into_iter().zip(of_keys) {
            add(format!("{credential}: raw C_SignInit + C_Sign"), signs);
            add(format!("{credential}: raw verification"), verifications);
        }
    }
}

/// The raw limits alone, without a daemon.
pub async fn raw_limits(report: &mut Report, effort: Effort) {
    let folder = tempfile::tempdir().expect("a folder");
    let pki = Pki::new(folder.path());
    let sink = Sink::start(&pki);
    let token = RawToken::new();
    let sinking = sinking(&pki, &sink, Arc::new(vec![0x5a; DOCUMENT]));
    let mut raw = Raw::default();
    for _repeat in 0..effort.repeats {
        raw.document(&sinking, effort).await;
        for n in 0..ALGORITHMS.len() {
            raw.key(n, &token, effort);
        }
    }
    raw.report(report);
}

/// The load of sending `document` to a sink.
pub fn sinking(pki: &Pki, sink: &Sink, document: Arc<Vec<u8>>) -> Load {
    Load {
        to: sink.address,
        tls: tls_config(&pki.servers.pem, Some(&pki.ehr), &TLS13),
        pid: sink.pid(),
        line: "POST /v1/sign".to_owned(),
        head: String::new(),
        body: document,
    }
}

pub async fn run(report: &mut Report, effort: Effort) {
    let world = World::new(plan()).await;
    let sink = Sink::start(&world.pki);
    let token = RawToken::new();
    let document = Arc::new(vec![0x5a; DOCUMENT]);
    let sinking = sinking(&world.pki, &sink, document.clone());
    let mut loads = Vec::new();
    for (credential, _) in ALGORITHMS {
        loads.push(signing(&world, credential, document.clone()).await);
    }
    let mut raw = Raw::default();
    let mut whole: [Vec<f64>; 4] = Default::default();
    let mut rates: [Vec<f64>; 4] = Default::default();
    let mut ratios: [Vec<f64>; 4] = Default::default();
    let mut p384_by_sha256 = Vec::new();
    for _repeat in 0..effort.repeats {
        let document = raw.document(&sinking, effort).await;
        for (n, load) in loads.iter().enumerate() {
            let (credential, _) = ALGORITHMS[n];
            let key = raw.key(n, &token, effort);
            let outcome = load::run(load, IN_FLIGHT, effort.length).await;
            let cpu = micros(outcome.cpu);
            whole[n].push(cpu);
            rates[n].push(outcome.rate);
            ratios[n].push(cpu / (document.sunk + document.digest(credential) + key));
            if credential == "p384" {
                p384_by_sha256.push(cpu / (document.sunk + document.sha256 + key));
            }
        }
    }
    raw.report(report);
    for (n, (credential, limit)) in ALGORITHMS.into_iter().enumerate() {
        let mut add = |what: &str, unit, values: &mut Vec<f64>, limit| {
            report.add(
                "PERF1",
                format!("{credential}: {what}"),
                unit,
                std::mem::take(values),
                limit,
            );
        };
        add("daemon CPU per signature", "us", &mut whole[n], None);
        add("signatures a second", "/s", &mut rates[n], None);
        add("daemon CPU / sum of raw limits", "x", &mut ratios[n], Some(limit));
    }
    let what = "p384: the same, had it signed SHA-256";
    report.add("PERF1", what, "x", p384_by_sha256, None);
}
