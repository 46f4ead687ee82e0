//! PERF6: ten thousand holders with a hundred thousand live sessions: a signature costs what it costs with one of each.
//!
//! The crowd is written into the stopped daemon's store, sealed with its own token's key, by a child of this program: signing
//! in a hundred thousand times would take hours and measure something else.

use crate::Effort;
use crate::perf1;
use crate::perf12::start_ms;
use crate::report::Report;
use appliance::config::Config;
use appliance::daemon::STORE_DIRECTORY;
use appliance::store::SledStore;
use appliance::store::StoreConfig;
use appliance::store::StoreMetrics;
use attest::clock::Clock;
use attest::clock::ClockBehindFloor;
use attest::clock::UnixSeconds;
use attest::judge::card_fingerprint;
use attest::path::Certificate;
use attest::records::CardLink;
use attest::records::Fingerprint;
use attest::records::Holder;
use attest::sign_in::Phase;
use attest::sign_in::SessionRecord;
use attest::store::MAX_TXN_OPS;
use attest::store::Txn;
use attest::store::Write;
use attest::trust::TrustStore;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::Reader;
use der::SliceReader;
use hsm::Hsm;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use tests::support::cpu::resident_bytes;
use tests::support::world::DOCTOR;
use tests::support::world::Plan;
use tests::support::world::World;

const HOLDERS: usize = 10_000;
const SESSIONS: usize = 100_000;

pub async fn run(report: &mut Report, effort: Effort) {
    let few = World::new(Plan::default()).await;
    let mut many = World::new(Plan::default()).await;
    // The pattern of every session of the crowd.
    many.ehr().sign_in(&many.pki.card).await;
    stop(&mut many);
    start_ms(&mut many);
    let before = resident_bytes(many.daemon.pid());
    stop(&mut many);
    fill(&many);
    let start = start_ms(&mut many);
    let grown = resident_bytes(many.daemon.pid()).saturating_sub(before) as f64;
    let ratios = perf1::cpu_ratios(&few, &many, effort).await;
    let what = format!("CPU per signature, {SESSIONS} sessions / one");
    report.add("PERF6", what, "x", ratios, Some(1.05));
    let each = grown / (HOLDERS + SESSIONS) as f64 / 1e3;
    report.add("PERF6", "resident memory per holder or session", "kB", vec![each], Some(1.0));
    report.add("PERF6", "start to ready with all of them", "ms", vec![start], None);
}

fn stop(world: &mut World) {
    assert!(world.daemon.stop(Duration::from_secs(60)).is_some(), "the daemon does not stop");
}

/// A child, because a module reads its environment once.
fn fill(world: &World) {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let cards = world.folder.join("crowd");
    let certificates = world.pki.hpki_auth.cards_of_a_crowd(HOLDERS);
    let octets: Vec<u8> = certificates.iter().flat_map(|der| der.to_vec()).collect();
    std::fs::write(&cards, octets).expect("the cards");
    command.arg("child-crowd").arg(&world.launch.config).arg(&world.data_dir).arg(&cards);
    command.envs(world.launch.environment.iter().cloned());
    assert!(command.status().is_ok_and(|status| status.success()), "the crowd is not in the store");
}

/// The child: configuration, data directory, the cards' certificates one after the other.
pub fn child(arguments: &[String]) {
    let [config, data_dir, cards] = arguments else { panic!("three arguments") };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let cards = cards_in(&std::fs::read(cards).expect("the cards"));
    runtime.block_on(crowd(Path::new(config), Path::new(data_dir), &cards));
}

/// What each card is found by, and its certificate as evidence has it.
fn cards_in(octets: &[u8]) -> Vec<(Fingerprint, String)> {
    let mut reader = SliceReader::new(octets).expect("DER");
    let mut cards = Vec::new();
    while !reader.is_finished() {
        let der = reader.tlv_bytes().expect("a certificate");
        let certificate = Certificate::from_der(der).expect("a certificate");
        cards.push((card_fingerprint(&certificate), STANDARD.encode(der)));
    }
    cards
}

async fn crowd(config: &Path, data_dir: &Path, cards: &[(Fingerprint, String)]) {
    let trust = open(config, data_dir).await;
    let sessions = trust.load_all::<SessionRecord>().await.expect("sessions");
    let is_active = |record: &SessionRecord| matches!(record.phase, Phase::Active { .. });
    let pattern = sessions.into_iter().find(is_active).expect("a live session");
    let (doctor, _) = trust.load::<Holder>(DOCTOR).await.expect("a holder").expect("the doctor");
    let links = trust.load_all::<CardLink>().await.expect("card links");
    let link = links.into_iter().find(|link| link.holder_id == DOCTOR).expect("the card");
    let named = |n: usize| (format!("crowd-{n}"), cards[n].0.clone());
    let people = (0..HOLDERS).flat_map(|n| {
        let (holder_id, card) = named(n);
        let holder = Holder { holder_id: holder_id.clone(), ..doctor.clone() };
        let link = CardLink { holder_id, card, ..link.clone() };
        [trust.sealed(&holder).expect("sealed"), trust.sealed(&link).expect("sealed")]
    });
    let sessions = (0..SESSIONS).map(|n| {
        let (holder, card) = named(n % HOLDERS);
        let mut record = pattern.clone();
        record.session_id = format!("{n:032x}");
        if let Phase::Active { approval, token, .. } = &mut record.phase {
            (approval.holder_id, approval.factor) = (holder, card);
            approval.certificate_b64 = Some(cards[n % HOLDERS].1.clone());
            approval.evidence = Fingerprint::of(format!("evidence {n}").as_bytes()).0;
            *token = Fingerprint::of(format!("token {n}").as_bytes());
        }
        trust.sealed(&record).expect("sealed")
    });
    let mut writes = people.chain(sessions).peekable();
    while writes.peek().is_some() {
        let some: Vec<Write> = writes.by_ref().take(MAX_TXN_OPS).collect();
        trust.store().commit(Txn { guards: Vec::new(), writes: some }).await.expect("a commit");
    }
}

async fn open(config: &Path, data_dir: &Path) -> TrustStore {
    let (config, _) = Config::load(config).expect("the configuration");
    let pin = hsm::pin::read_pin(config.hsm.pin_file.as_deref()).expect("the PIN");
    let hsm = Hsm::open(config.hsm, pin).expect("the token");
    let key = hsm.sealing_key().await.expect("the sealing key");
    let (directory, metrics) = (data_dir.join(STORE_DIRECTORY), StoreMetrics::new());
    let metrics = metrics.expect("metrics");
    let store = SledStore::open(&directory, &StoreConfig::default(), Arc::new(Now), metrics);
    TrustStore::new(Arc::new(store.expect("the store")), &key)
}

/// The clock of a program that writes what another one judges.
struct Now;

impl Clock for Now {
    fn now(&self) -> Result<UnixSeconds, ClockBehindFloor> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Ok(UnixSeconds(since.expect("a clock after 1970").as_secs()))
    }
}
