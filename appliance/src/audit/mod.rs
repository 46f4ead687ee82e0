//! The audit log: one durable record for every use of a key and every decision, before anything leaves.
//!
//! Records are appended to segments by one thread, many to one `fdatasync`, and hashed into a Merkle tree whose root an
//! HSM key signs every second (C2SP tlog-tiles, tlog-checkpoint, signed-note). A failed write or sync stops the log, and
//! with it all signing, until a restart. Logouts and revocations go through the same thread, so there is one order:
//! a signature whose session ended first is recorded as withheld and does not leave.
//!
//! Nobody needs this program to check a log: frames, tiles and notes are simple files, and [`verify`] shows how.

pub mod activation;
mod archive;
mod caretaker;
mod committer;
mod config;
mod denials;
mod entry;
mod event;
pub mod frame;
pub mod hash;
pub mod head;
mod history;
mod holder_index;
mod label;
mod layout;
mod log;
mod metrics;
pub mod note;
mod of_holder;
pub mod proof;
mod rebuild;
pub mod record;
mod recover;
mod retry;
mod retry_scan;
mod segment;
mod shared;
pub mod signature;
mod slot;
pub mod tree;
pub mod verify;

pub use crate::audit::archive::Archive;
pub use crate::audit::archive::ArchiveError;
pub use crate::audit::archive::Filter;
pub use crate::audit::archive::RawRecord;
pub use crate::audit::config::AuditConfig;
pub use crate::audit::entry::Entry;
pub use crate::audit::event::Event;
pub use crate::audit::label::Label;
pub use crate::audit::label::LabelError;
pub use crate::audit::label::LabelFound;
pub use crate::audit::label::MAX_LABEL_BYTES;
pub use crate::audit::log::AuditLog;
pub use crate::audit::log::Opened;
pub use crate::audit::metrics::AuditMetrics;
pub use crate::audit::note::CheckpointSigner;
pub use crate::audit::note::SignedCheckpoint;
pub use crate::audit::note::VerifierKey;
pub use crate::audit::of_holder::SignatureOf;
pub use crate::audit::of_holder::SignaturesOf;
pub use crate::audit::rebuild::RebuildError;
pub use crate::audit::rebuild::rebuild_tiles;
pub use crate::audit::record::Principal;
pub use crate::audit::record::Record;
pub use crate::audit::recover::AuditOpenError;
pub use crate::audit::signature::SignatureFacts;
pub use crate::audit::slot::Slot;

use attest::clock::UnixSeconds;
use attest::permit::LeaseWithdrawn;

/// A record is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its number.
    pub seq: u64,
    /// Its time, Unix milliseconds.
    pub time_ms: u64,
}

impl Receipt {
    /// Its time, whole seconds.
    pub fn time(self) -> UnixSeconds {
        UnixSeconds(self.time_ms / 1000)
    }
}

/// Why something is not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// Our own fault: the record cannot be written.
    #[error("a record cannot be written as JSON: {0}")]
    Malformed(String),
    /// Our own fault: the record is longer than any may be.
    #[error("a record of {0} octets is too long")]
    TooLong(usize),
    /// What allowed the signature ended in between. A record of a withheld signature is durable; nothing may leave.
    #[error("withdrawn before it was recorded: {0}")]
    Withdrawn(LeaseWithdrawn),
    /// Too many records wait; safe to retry.
    #[error("the audit log is busy")]
    Busy,
    /// The disk is nearly full: nothing is signed until there is room again; safe to retry.
    #[error("the audit log has no room on its disk")]
    NoSpace,
    /// A write or sync failed; the log never works again before a restart, and is never retried into success.
    #[error("the audit log has stopped: {0}")]
    Stopped(String),
    /// A record that was asked for cannot be read.
    #[error("the audit log cannot be read at record {seq}: {reason}")]
    Unreadable {
        /// Which record.
        seq: u64,
        /// What is wrong.
        reason: String,
    },
}
