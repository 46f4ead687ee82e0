//! Why a start comes to nothing.

use crate::admin::OwedError;
use crate::audit::AuditError;
use crate::audit::AuditOpenError;
use crate::audit::note::NoteError;
use crate::disk::DiskFault;
use crate::keeper::KeySetError;
use crate::keeper::material::MaterialFault;
use crate::store::StoreOpenError;
use crate::systemd::SocketError;
use api::error::FrontError;
use attest::clock::ClockBehindFloor;
use attest::evidence::Fido2Error;
use attest::sessions::SessionError;
use attest::sign_in::RandomFailed;
use attest::trust::TrustError;
use hsm::HsmError;
use hsm::pin::PinError;
use std::path::PathBuf;
use tokio::task::JoinError;

/// Why the daemon does not come up; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    Disk(#[from] DiskFault),
    /// A panic while something was opened.
    #[error("a part could not be opened: {0}")]
    Died(#[from] JoinError),
    /// Listeners and their certificates.
    #[error(transparent)]
    Front(#[from] FrontError),
    /// Sockets of the service manager.
    #[error(transparent)]
    Sockets(#[from] SocketError),
    /// Metric names.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
    /// The PIN file.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The token.
    #[error(transparent)]
    Hsm(#[from] HsmError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreOpenError),
    /// A trust record.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A session record.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The audit log as it was found.
    #[error(transparent)]
    AuditOpen(#[from] AuditOpenError),
    /// The key of its checkpoints.
    #[error(transparent)]
    CheckpointKey(#[from] NoteError),
    /// The first record.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The clock.
    #[error(transparent)]
    Clock(ClockBehindFloor),
    /// Records that a crash left owing.
    #[error(transparent)]
    Owed(#[from] OwedError),
    /// The token's keys.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    /// The random source.
    #[error(transparent)]
    Random(#[from] RandomFailed),
    /// The portal's origin.
    #[error("listeners.portal.host_names: {0}")]
    Portal(#[from] Fido2Error),
    /// Anchors, intermediates or profiles.
    #[error(transparent)]
    Material(#[from] MaterialFault),
    /// A file of intermediates.
    #[error("{path}: {reason}")]
    Intermediates {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Another PKCS#11 module than the one two operators approved.
    #[error(
        "the PKCS#11 module has SHA-256 {found}, approved is {approved}: it was not loaded. If the new one is right, put \
         the approved one back, start, have two operators run inkan module approve {found}, and change it again"
    )]
    ModuleChanged {
        /// What lies there.
        found: String,
        /// What was approved.
        approved: String,
    },
    /// There are audit records, so there was a store.
    #[error(
        "the store is gone from {0}, but the audit log beside it has records: put the store back from the backup; a new \
         ceremony would begin another appliance"
    )]
    StoreLost(PathBuf),
    /// The mode record is missing although the store is there.
    #[error("the appliance is not provisioned; run: inkan init")]
    NotProvisioned,
}
