//! Numbers of the audit log.

use std::time::Duration;

/// How the log is kept.
#[derive(Clone, Debug)]
pub struct AuditConfig {
    /// Name of the log in its checkpoints: a schema-less URL, without spaces and `+`.
    pub origin: String,
    /// Octets of one segment.
    pub segment_bytes: u64,
    /// Free octets on the file system below which nothing new is signed; on a small one, a twentieth of it.
    pub min_free_bytes: u64,
    /// Records that may be reserved or waiting at one time.
    pub queue_limit: usize,
    /// One commit waits for this share of the requests in flight: 3 means a third of them.
    pub gather_share: usize,
    /// Longest wait for that share.
    pub gather_at_most: Duration,
    /// Shortest time between two checkpoints.
    pub checkpoint_every: Duration,
    /// Longest time between two checkpoints.
    pub checkpoint_at_least: Duration,
    /// Time between two checkpoints kept in the history.
    pub history_every: Duration,
    /// Longest time the HSM may take for a checkpoint's signature.
    pub signer_timeout: Duration,
    /// Hours for which a retry is answered from the log.
    pub retry_window_hours: u64,
    /// Idempotency keys kept in memory (about 60 octets each).
    pub retry_limit: usize,
    /// Refusals of one crowd that get a record of their own each second; the others are counted.
    pub denials_per_second: u32,
    /// Refusals that get one at once after a quiet time.
    pub denials_burst: u32,
}

impl AuditConfig {
    /// The defaults, each for its reason, under the name `origin`.
    ///
    /// - segments of 8 MiB: about 10,000 signatures, read in 10 ms at start;
    /// - 256 MiB free: a day of the heaviest hospital, and room for the store beside it;
    /// - 4,096 records: eight requests of 500 digests at one time;
    /// - a third of the requests in flight: at 64 in flight one `fdatasync` for 10 signatures even while half of them are
    ///   still being read; up to three none waits;
    /// - 20 ms: about ten RSA-3072 signatures of a busy soft token;
    /// - checkpoints after 1 s: the unsigned tail is a second; every 60 s: shows that the key still answers;
    /// - 24 hours of retries and 1,000,000 keys: what the API promises, and three times the heaviest day.
    /// - 10 refusals a second and crowd, 200 at once: everything a person does wrong, and 15 MB an hour of what a program
    ///   does.
    pub fn new(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            segment_bytes: 8 * 1024 * 1024,
            min_free_bytes: 256 * 1024 * 1024,
            queue_limit: 4096,
            gather_share: 3,
            gather_at_most: Duration::from_millis(20),
            checkpoint_every: Duration::from_secs(1),
            checkpoint_at_least: Duration::from_secs(60),
            history_every: Duration::from_secs(60),
            signer_timeout: Duration::from_secs(10),
            retry_window_hours: 24,
            retry_limit: 1_000_000,
            denials_per_second: 10,
            denials_burst: 200,
        }
    }
}
