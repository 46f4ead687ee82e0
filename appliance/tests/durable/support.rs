//! A log in a folder of its own, a checkpoint key in software, a clock set by hand.

use appliance::audit::AuditConfig;
use appliance::audit::AuditLog;
use appliance::audit::AuditMetrics;
use appliance::audit::AuditOpenError;
use appliance::audit::CheckpointSigner;
use appliance::audit::Entry;
use appliance::audit::Event;
use appliance::audit::Opened;
use appliance::audit::Principal;
use appliance::audit::SignatureFacts;
use appliance::audit::record::session_hash;
use appliance::audit::signature::Idempotency;
use appliance::time::WallClock;
use async_trait::async_trait;
use attest::algorithm::ContentDigest;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::Dtbsr;
use attest::clock::UnixSeconds;
use attest::records::Fingerprint;
use attest::records::Method;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub const ORIGIN: &str = "test.example/audit";
/// 2026-11-23T00:00:00Z.
pub const START_MS: u64 = 1_795_392_000_000;

/// A wall clock set by hand.
pub struct SetClock(pub AtomicU64);

impl SetClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(START_MS)))
    }

    pub fn set(&self, unix_ms: u64) {
        self.0.store(unix_ms, Ordering::SeqCst);
    }
}

impl WallClock for SetClock {
    fn unix_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A checkpoint key in software.
pub struct SoftSigner {
    pair: EcdsaKeyPair,
    pub spki_der: Vec<u8>,
}

impl SoftSigner {
    pub fn new() -> Arc<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let spki_der = pair.public_key().as_der().unwrap().as_ref().to_vec();
        Arc::new(Self { pair, spki_der })
    }
}

#[async_trait]
impl CheckpointSigner for SoftSigner {
    fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    async fn sign(&self, note_text: &[u8]) -> Result<Vec<u8>, String> {
        Ok(self.pair.sign(&SystemRandom::new(), note_text).unwrap().as_ref().to_vec())
    }
}

/// Small segments, so that a few hundred records fill several.
pub fn config() -> AuditConfig {
    AuditConfig {
        segment_bytes: 128 * 1024,
        min_free_bytes: 0,
        checkpoint_every: Duration::from_millis(50),
        history_every: Duration::ZERO,
        ..AuditConfig::new(ORIGIN)
    }
}

pub fn try_open(
    directory: &Path,
    config: AuditConfig,
    clock: Arc<SetClock>,
) -> Result<(AuditLog, Opened), AuditOpenError> {
    AuditLog::open(directory, config, clock, AuditMetrics::new().unwrap())
}

pub fn open(directory: &Path) -> (AuditLog, Opened) {
    try_open(directory, config(), SetClock::new()).unwrap()
}

/// Opens the log with `signer` as the key of its checkpoints.
pub fn open_signed(directory: &Path, signer: &Arc<SoftSigner>) -> AuditLog {
    let (log, _) = open(directory);
    log.set_signer(Arc::<SoftSigner>::clone(signer)).unwrap();
    log
}

/// Ends the log as the daemon does, away from the runtime.
pub async fn close(log: AuditLog) {
    tokio::task::spawn_blocking(move || log.close()).await.unwrap();
}

pub fn facts(number: u64) -> SignatureFacts {
    let session = session_hash("session");
    let content = ContentDigest::of(DigestAlgorithm::Sha256, &number.to_be_bytes());
    SignatureFacts {
        holder_id: format!("u-{}", number % 7),
        system_id: "ehr".to_owned(),
        method: Method::Hpki,
        evidence: Fingerprint::of(b"evidence"),
        credential_id: "rsa2048".to_owned(),
        certificate: Fingerprint::of(b"certificate"),
        content_digest: (&content).into(),
        dtbsr: Some((&Dtbsr::of(DigestAlgorithm::Sha256, &number.to_be_bytes())).into()),
        algorithm: "rsa-pkcs1-sha-256".to_owned(),
        salt_len: None,
        packaging: "detached".to_owned(),
        level: "B-B".to_owned(),
        signing_time: UnixSeconds(START_MS / 1000),
        signature: format!("signature-{number}"),
        label: None,
        idempotency: Some(idempotency(&format!("key-{number}"))),
        session,
    }
}

pub fn idempotency(key: &str) -> Idempotency {
    Idempotency {
        scope: Idempotency::scope("ehr", &session_hash("session"), key, 0),
        request: Fingerprint::of(b"request"),
    }
}

pub fn ehr() -> Principal {
    Principal::System("ehr".to_owned())
}

/// A signature that hangs on nothing.
pub fn signature(number: u64) -> Entry {
    Entry::new(&format!("r-{number}"), ehr(), Event::Signature(Box::new(facts(number))))
}

/// Appends `numbers`, many at a time.
pub async fn fill(log: &AuditLog, numbers: std::ops::Range<u64>) {
    let entries: Vec<_> = numbers.map(signature).collect();
    for recorded in log.append_all(entries).await.unwrap() {
        recorded.unwrap();
    }
}

/// Copies a log.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// All files under `directory`.
pub fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// A small, fixed sequence of random numbers: tests fail the same way twice.
pub struct Random(pub u64);

impl Random {
    /// SplitMix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }
}

/// Rounds of a test that can go on for long: `INKAN_ROUNDS`, or a few.
pub fn rounds(few: usize) -> usize {
    std::env::var("INKAN_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(few)
}
