//! Signatures into an audit log, and what must be there of them.

use crate::durability::say;
use crate::durability::signer::FileSigner;
use appliance::audit::Archive;
use appliance::audit::AuditConfig;
use appliance::audit::AuditError;
use appliance::audit::AuditLog;
use appliance::audit::AuditMetrics;
use appliance::audit::CheckpointSigner;
use appliance::audit::Entry;
use appliance::audit::Event;
use appliance::audit::Label;
use appliance::audit::Principal;
use appliance::audit::SignatureFacts;
use appliance::audit::record::session_hash;
use appliance::audit::signature::Idempotency;
use appliance::audit::verify::verify;
use appliance::time::SystemWallClock;
use attest::algorithm::ContentDigest;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::Dtbsr;
use attest::clock::UnixSeconds;
use attest::records::Fingerprint;
use attest::records::Method;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Name of the log.
pub const ORIGIN: &str = "crash.example/audit";

/// Small segments and quick checkpoints, so that a short life meets every step.
pub fn config() -> AuditConfig {
    AuditConfig {
        segment_bytes: 64 * 1024,
        min_free_bytes: 4 * 1024 * 1024,
        checkpoint_every: Duration::from_millis(20),
        history_every: Duration::from_millis(100),
        ..AuditConfig::new(ORIGIN)
    }
}

/// Opens the log in `directory`, its checkpoints signed by the key in `key`.
///
/// # Errors
/// As text: the worker says it, the test fails with it.
pub fn open(directory: &Path, key: &Path, config: AuditConfig) -> Result<AuditLog, String> {
    let metrics = AuditMetrics::new().map_err(|error| error.to_string())?;
    let (log, _) = AuditLog::open(directory, config, Arc::new(SystemWallClock), metrics)
        .map_err(|error| error.to_string())?;
    let signer = FileSigner::read(key).map_err(|error| error.to_string())?;
    log.set_signer(Arc::new(signer)).map_err(|error| error.to_string())?;
    Ok(log)
}

/// A signature by the worker's life `life`, with number `number` in it.
pub fn signature(life: u64, number: u64) -> Entry {
    let name = format!("{life}-{number}");
    let session = session_hash("session");
    let octets = name.as_bytes();
    let facts = SignatureFacts {
        holder_id: "u-17".to_owned(),
        system_id: "ehr".to_owned(),
        method: Method::Hpki,
        evidence: Fingerprint::of(b"evidence"),
        credential_id: "rsa2048".to_owned(),
        certificate: Fingerprint::of(b"certificate"),
        content_digest: (&ContentDigest::of(DigestAlgorithm::Sha256, octets)).into(),
        dtbsr: Some((&Dtbsr::of(DigestAlgorithm::Sha256, octets)).into()),
        algorithm: "rsa-pkcs1-sha-256".to_owned(),
        salt_len: None,
        packaging: "detached".to_owned(),
        level: "B-B".to_owned(),
        signing_time: UnixSeconds(1_795_411_200),
        // As long as an RSA-2048 signature in base64.
        signature: "c2lnbmF0dXJl".repeat(28),
        label: None,
        idempotency: Some(Idempotency {
            scope: Idempotency::scope("ehr", &session, &name, 0),
            request: Fingerprint::of(octets),
        }),
        session,
    };
    let event = Event::Signature(Box::new(facts));
    let entry = Entry::new(&name, Principal::System("ehr".to_owned()), event);
    match number.is_multiple_of(10).then(|| Label::new(&format!("label of {name}"))) {
        Some(Ok(label)) => entry.labelled(label),
        _ => entry,
    }
}

/// Signs with `tasks` tasks until `total` are done or the log stops, and says `a <seq> <life>-<number>` for each one that
/// would leave.
///
/// # Errors
/// As text, when the log does not open or stops.
pub async fn run(
    directory: &Path,
    key: &Path,
    life: u64,
    tasks: u64,
    total: u64,
) -> Result<(), String> {
    let log = Arc::new(open(directory, key, config())?);
    say("ready");
    let running: Vec<_> = (0..tasks)
        .map(|task| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut number = task;
                while number < total {
                    sign_one(&log, life, number).await?;
                    number += tasks;
                }
                Ok::<(), String>(())
            })
        })
        .collect();
    let mut result = Ok(());
    for task in running {
        let ended = task.await.map_err(|error| error.to_string()).and_then(|ended| ended);
        result = result.and(ended);
    }
    let closing = Arc::clone(&log);
    let closed = tokio::task::spawn_blocking(move || closing.close()).await;
    result.and(closed.map_err(|error| error.to_string()))
}

async fn sign_one(log: &AuditLog, life: u64, number: u64) -> Result<(), String> {
    loop {
        let recorded = match log.reserve(1) {
            Ok(slot) => slot.append(signature(life, number)).await,
            Err(error) => Err(error),
        };
        match recorded {
            Ok(receipt) => {
                say(&format!("a {} {life}-{number}", receipt.seq));
                return Ok(());
            }
            Err(AuditError::NoSpace) => {
                say("full");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Shows that every acknowledged signature is in the log under its number, once, and that the log verifies.
///
/// # Errors
/// What is wrong.
pub fn check(
    directory: &Path,
    key: &Path,
    acknowledged: &BTreeMap<u64, String>,
) -> Result<u64, String> {
    let signer = FileSigner::read(key).map_err(|error| error.to_string())?;
    let keys = [signer.spki_der().to_vec()];
    // As the daemon starts: by itself, without repair.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let log = runtime.block_on(async { open(directory, key, config()) })?;
    for (seq, name) in acknowledged.iter().rev().take(50) {
        let scope = Idempotency::scope("ehr", &session_hash("session"), name, 0);
        let request = Fingerprint::of(name.as_bytes());
        let found = log.find_retry(&Idempotency { scope, request });
        let found = found.map_err(|error| error.to_string())?.map(|record| record.seq);
        if found != Some(*seq) {
            return Err(format!("a retry of {name} finds record {found:?}, not {seq}"));
        }
    }
    log.close();
    let mut seen = BTreeMap::new();
    let archive = Archive::open(directory).map_err(|error| error.to_string())?;
    for record in archive.records(0) {
        let record = record.map_err(|error| error.to_string())?;
        let parsed = record.parse().map_err(|error| error.to_string())?;
        if let Some(before) = seen.insert(parsed.request_id.clone(), record.seq) {
            return Err(format!(
                "{} is recorded as {before} and {}",
                parsed.request_id, record.seq
            ));
        }
        if let Some(name) = acknowledged.get(&record.seq)
            && *name != parsed.request_id
        {
            return Err(format!("record {} is {}, not {name}", record.seq, parsed.request_id));
        }
    }
    if let Some((seq, name)) = acknowledged.iter().find(|(_, name)| !seen.contains_key(*name)) {
        return Err(format!("acknowledged record {seq} ({name}) is gone"));
    }
    let report = verify(directory, &keys, None).map_err(|error| error.to_string())?;
    match report.is_good() && report.notices.is_empty() && report.unsigned == 0 {
        true => Ok(report.records),
        false => Err(report.to_string()),
    }
}
