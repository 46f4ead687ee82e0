//! Appending: one order for signatures and withdrawals, durable before the answer, found again after a restart.

use crate::support::START_MS;
use crate::support::SetClock;
use crate::support::close;
use crate::support::config;
use crate::support::ehr;
use crate::support::facts;
use crate::support::fill;
use crate::support::idempotency;
use crate::support::open;
use crate::support::signature;
use crate::support::try_open;
use appliance::audit::AuditConfig;
use appliance::audit::AuditError;
use appliance::audit::Entry;
use appliance::audit::Event;
use appliance::audit::Filter;
use appliance::audit::Principal;
use appliance::audit::record::session_hash;
use appliance::audit::signature::Withheld;
use appliance::time::DurableClock;
use appliance::time::WallClock;
use attest::algorithm::ContentDigest;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::KeyType;
use attest::clock::Clock;
use attest::danger_testing::OpenGate;
use attest::danger_testing::no_key;
use attest::permit::Lease;
use attest::permit::LeaseWithdrawn;
use attest::records::SessionLimits;
use attest::session::EndReason;
use attest::session::Withdrawal;
use std::sync::Arc;
use std::time::Duration;

async fn gate() -> OpenGate {
    let limits = SessionLimits { signatures: 1_000_000, ..SessionLimits::default() };
    OpenGate::new(no_key(KeyType::P256), limits).await.unwrap()
}

async fn lease(gate: &OpenGate) -> Lease {
    gate.permit(ContentDigest::of(DigestAlgorithm::Sha256, b"content")).await.unwrap().1
}

fn logout(gate: &OpenGate) -> Entry {
    let event = Event::SessionEnded {
        session: session_hash("session"),
        holder_id: "u-1".to_owned(),
        system_id: "ehr".to_owned(),
        reason: EndReason::Logout,
        used: 1,
    };
    let withdraws = vec![Withdrawal::Session(Arc::clone(&gate.session), EndReason::Logout)];
    Entry::new("logout", ehr(), event).withdrawing(withdraws)
}

fn under(number: u64, lease: &Lease) -> Entry {
    Entry::signature(&format!("r-{number}"), ehr(), facts(number), lease.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_many_tasks_have_one_order_without_gaps() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    let log = Arc::new(log);
    let tasks: Vec<_> = (0..400)
        .map(|number| {
            let log = Arc::clone(&log);
            tokio::spawn(async move { (number, log.append(signature(number)).await.unwrap()) })
        })
        .collect();
    let mut seqs = Vec::new();
    for task in tasks {
        let (number, receipt) = task.await.unwrap();
        let record = log.record(receipt.seq).unwrap().unwrap();
        assert_eq!((record.seq, record.request_id), (receipt.seq, format!("r-{number}")));
        assert_eq!(record.time_ms, receipt.time_ms);
        assert!(record.synced <= record.seq);
        seqs.push(receipt.seq);
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (0..400).collect::<Vec<_>>());
    assert_eq!(log.record(400).unwrap(), None);
}

#[tokio::test]
async fn signature_whose_session_ended_first_is_withheld_and_recorded_so() {
    let (directory, gate) = (tempfile::tempdir().unwrap(), gate().await);
    let (log, _) = open(directory.path());
    let lease = lease(&gate).await;
    log.append(under(0, &lease)).await.unwrap();
    log.append(logout(&gate)).await.unwrap();
    let refused = log.append(under(2, &lease)).await;
    let reason = LeaseWithdrawn::Session(EndReason::Logout);
    assert_eq!(refused, Err(AuditError::Withdrawn(reason)));
    let Event::SignatureWithheld { reason, facts } = log.record(2).unwrap().unwrap().event else {
        panic!("no record of the withheld signature");
    };
    assert_eq!(reason, Withheld::Session(EndReason::Logout));
    assert_eq!(facts.signature, "");
    // Nothing of it is given out on a retry either.
    assert_eq!(log.find_retry(&idempotency("key-2")).unwrap(), None);
    assert_eq!(log.metrics().withheld.get(), 1);
}

#[tokio::test]
async fn credential_stopped_in_between_withholds() {
    let (directory, gate) = (tempfile::tempdir().unwrap(), gate().await);
    let (log, _) = open(directory.path());
    let lease = lease(&gate).await;
    let credential = gate.registry.credential("key").unwrap();
    let event = Event::CredentialQuarantined {
        credential_id: "key".to_owned(),
        reason: "fault".to_owned(),
    };
    let stop = Entry::new("q", Principal::Appliance, event)
        .withdrawing(vec![Withdrawal::Credential(credential)]);
    log.append(stop).await.unwrap();
    let refused = log.append(under(1, &lease)).await;
    assert_eq!(refused, Err(AuditError::Withdrawn(LeaseWithdrawn::Credential)));
}

#[tokio::test]
async fn batch_is_judged_item_by_item() {
    let (directory, gate) = (tempfile::tempdir().unwrap(), gate().await);
    let (log, _) = open(directory.path());
    let lease = lease(&gate).await;
    let mut entries: Vec<_> = (0..250).map(|number| under(number, &lease)).collect();
    entries.push(logout(&gate));
    entries.extend((251..500).map(|number| under(number, &lease)));
    let recorded = log.append_all(entries).await.unwrap();
    assert_eq!(recorded.len(), 500);
    for (number, recorded) in recorded.iter().enumerate() {
        assert_eq!(recorded.is_ok(), number <= 250, "{number}: {recorded:?}");
    }
    assert_eq!(log.records(), 500);
    let metrics = log.metrics();
    assert!(metrics.syncs.get() <= 8, "{} syncs for one batch", metrics.syncs.get());
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_racing_a_thousand_signatures_leaves_none_behind_it() {
    let (directory, gate) = (tempfile::tempdir().unwrap(), gate().await);
    let (log, _) = open(directory.path());
    let (log, lease) = (Arc::new(log), lease(&gate).await);
    let mut tasks = Vec::new();
    for number in 0..1_000 {
        let (signing, lease) = (Arc::clone(&log), lease.clone());
        tasks.push(tokio::spawn(async move { signing.append(under(number, &lease)).await }));
        if number == 500 {
            tokio::task::yield_now().await;
            let log = Arc::clone(&log);
            let logout = logout(&gate);
            tasks.push(tokio::spawn(async move { log.append(logout).await }));
        }
    }
    let mut released = Vec::new();
    let mut withheld = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(receipt) => released.push(receipt.seq),
            Err(AuditError::Withdrawn(_)) => withheld += 1,
            Err(error) => panic!("{error}"),
        }
    }
    let archive = log.archive();
    let end = archive.search(Filter { kind: Some("session_ended".into()), ..Filter::default() });
    let end: Vec<_> = end.map(|record| record.unwrap().seq).collect();
    assert_eq!(end.len(), 1);
    assert!(released.iter().all(|seq| *seq <= end[0]), "released behind the logout");
    let kind = |kind: &str| Filter { kind: Some(kind.to_owned()), ..Filter::default() };
    assert_eq!(log.archive().search(kind("signature_withheld")).count(), withheld);
    assert_eq!(log.archive().search(kind("signature")).count(), released.len() - 1);
    assert_eq!(log.records(), 1_001);
}

#[tokio::test]
async fn retry_is_answered_over_a_restart_for_a_day() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    fill(&log, 0..900).await;
    assert_eq!(log.find_retry(&idempotency("key-7")).unwrap().unwrap().seq, 7);
    assert_eq!(log.find_retry(&idempotency("no-such-key")).unwrap(), None);
    close(log).await;

    let clock = SetClock::new();
    clock.set(START_MS + 24 * 3_600_000 - 1);
    let (log, _) = try_open(directory.path(), config(), clock.clone()).unwrap();
    for number in [0, 7, 450, 899] {
        let found = log.find_retry(&idempotency(&format!("key-{number}"))).unwrap().unwrap();
        let Event::Signature(facts) = found.event else { panic!("no signature") };
        assert_eq!((found.seq, facts.signature), (number, format!("signature-{number}")));
    }
    close(log).await;

    clock.set(START_MS + 26 * 3_600_000);
    let (log, _) = try_open(directory.path(), config(), clock).unwrap();
    assert_eq!(log.find_retry(&idempotency("key-7")).unwrap(), None);
}

#[tokio::test]
async fn restart_goes_on_behind_the_last_record_and_never_back_in_time() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), SetClock::new());
    let mut expected = 0;
    for restart in 0..5 {
        let (log, opened) = try_open(directory.path(), config(), clock.clone()).unwrap();
        assert_eq!((opened.records, opened.cut_bytes), (expected, 0), "restart {restart}");
        fill(&log, expected..expected + 173).await;
        expected += 173;
        close(log).await;
        // The clock goes back an hour every time.
        clock.set(clock.unix_ms() - 3_600_000);
    }
    let (log, _) = try_open(directory.path(), config(), clock.clone()).unwrap();
    let times: Vec<_> = log.archive().records(0).map(|record| record.unwrap().time_ms).collect();
    assert_eq!(times.len(), 865);
    assert!(times.is_sorted());
    // The daemon's clock obeys the newest record, after the restart, too.
    let wall: Arc<dyn WallClock> = clock.clone();
    let durable = DurableClock::new(wall, log.time_floor(), DurableClock::DEFAULT_GRACE);
    assert!(durable.now().is_err());
    clock.set(START_MS);
    assert_eq!(durable.now().unwrap().0, START_MS / 1000);
}

#[tokio::test]
async fn floor_of_time_is_lowered_only_by_a_record_with_approvals() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), SetClock::new());
    let far = START_MS + 80 * 365 * 86_400_000;
    clock.set(far);
    let (log, _) = try_open(directory.path(), config(), clock.clone()).unwrap();
    log.append(signature(0)).await.unwrap();
    clock.set(START_MS);
    let step = |approved_by: Vec<String>| {
        let event = Event::TimeStep { from_ms: far, to_ms: START_MS, approved_by };
        Entry::new("t", Principal::Appliance, event)
    };
    assert_eq!(log.append(step(Vec::new())).await.unwrap().time_ms, far);
    let both = vec!["op-1".to_owned(), "op-2".to_owned()];
    assert_eq!(log.append(step(both)).await.unwrap().time_ms, START_MS);
    assert_eq!(log.append(signature(3)).await.unwrap().time_ms, START_MS);
    assert_eq!(log.time_floor().unix_ms(), START_MS);
    close(log).await;
    let (log, _) = try_open(directory.path(), config(), clock).unwrap();
    assert_eq!(log.time_floor().unix_ms(), START_MS);
}

#[tokio::test]
async fn places_are_limited_and_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let small = AuditConfig { queue_limit: 3, ..config() };
    let (log, _) = try_open(directory.path(), small, SetClock::new()).unwrap();
    let (first, second) = (log.reserve(2).unwrap(), log.reserve(1).unwrap());
    assert_eq!(log.reserve(1).err(), Some(AuditError::Busy));
    drop(second);
    let second = log.reserve(1).unwrap();
    second.append(signature(0)).await.unwrap();
    assert!(matches!(
        first.append_all((0..3).map(signature).collect()).await,
        Err(AuditError::Busy)
    ));
    assert!(log.reserve(3).is_ok());
}

#[tokio::test]
async fn closed_log_refuses() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    let log = Arc::new(log);
    let closing = Arc::clone(&log);
    tokio::task::spawn_blocking(move || closing.close()).await.unwrap();
    assert!(matches!(log.append(signature(0)).await, Err(AuditError::Stopped(_))));
    assert!(matches!(log.reserve(1), Err(AuditError::Stopped(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_commit_serves_a_third_of_the_requests_in_flight() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open(directory.path());
    let log = Arc::new(log);
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                for number in 0..20 {
                    let slot = log.reserve(1).unwrap();
                    // The key takes its time, every task a little differently.
                    tokio::time::sleep(Duration::from_millis(5 + (task * 7 + number) % 11)).await;
                    slot.append(signature(task * 100 + number)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let syncs = log.metrics().syncs.get();
    assert_eq!(log.records(), 1_280);
    // 0.15 for each is the promise at 64 in flight; the last ones of the run have fewer beside them.
    assert!(syncs <= 1_280 * 15 / 100, "{syncs} syncs for 1280 records");
}

#[tokio::test(flavor = "multi_thread")]
async fn a7_flood_of_refusals_is_counted_to_the_last_and_loses_no_success() {
    let directory = tempfile::tempdir().unwrap();
    let flood = AuditConfig { denials_per_second: 5, denials_burst: 10, ..config() };
    let (log, _) = try_open(directory.path(), flood, SetClock::new()).unwrap();
    let denial = || {
        let event = Event::Denial {
            operation: "sign".to_owned(),
            code: "not_permitted".to_owned(),
            credential_id: None,
            detail: String::new(),
            suppressed: 0,
        };
        Entry::new("r", ehr(), event)
    };
    for number in 0..100 {
        for _denial in 0..20 {
            log.append_denial("ehr", denial()).await.unwrap();
        }
        log.append(signature(number)).await.unwrap();
    }
    // The caretaker records the rest.
    let archive = || log.archive();
    let mut counted = 0;
    for _try in 0..100 {
        counted = 0;
        for record in archive().records(0) {
            let event = record.unwrap().parse().unwrap().event;
            if let Event::Denial { suppressed, detail, .. } = event {
                // A record that only carries a count is no refusal itself.
                counted += suppressed + u64::from(detail.is_empty());
            }
        }
        if counted == 2_000 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(counted, 2_000);
    let kind = Filter { kind: Some("signature".into()), ..Filter::default() };
    assert_eq!(archive().search(kind).count(), 100);
    assert!(log.records() < 600, "{} records for 2000 refusals", log.records());
}

#[tokio::test(flavor = "multi_thread")]
async fn size_of_the_log_is_counted_over_segments_and_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let octets = || -> usize {
        let segments = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap());
        let segments =
            segments.filter(|entry| entry.file_name().to_string_lossy().starts_with("seg-"));
        let read = segments.map(|entry| std::fs::read(entry.path()).unwrap());
        read.map(|file| file.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1)).sum()
    };
    let (log, _) = open(directory.path());
    fill(&log, 0..300).await;
    assert_eq!(log.metrics().size_bytes.get(), octets() as i64);
    close(log).await;
    let (log, _) = open(directory.path());
    assert_eq!(log.metrics().size_bytes.get(), octets() as i64);
    fill(&log, 300..310).await;
    assert_eq!(log.metrics().size_bytes.get(), octets() as i64);
    close(log).await;
}
