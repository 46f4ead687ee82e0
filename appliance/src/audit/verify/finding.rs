//! What can be wrong with a log, in words that name the place.

use std::fmt;
use std::path::PathBuf;

/// Something wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// What.
    pub fault: Fault,
}

/// A place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// File or directory.
    pub path: PathBuf,
    /// Octet in it.
    pub offset: Option<u64>,
    /// First record concerned.
    pub seq: Option<u64>,
}

/// What is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// The frame is not whole; the next good record follows.
    #[error("it is damaged ({reason}); the next whole record is {next}")]
    Damaged {
        /// What is wrong with the frame.
        reason: String,
        /// `number N at octet O`, or `in the next segment`.
        next: String,
    },
    /// Something follows the last record.
    #[error("something was put behind the last record")]
    Behind,
    /// Records are missing.
    #[error("{0} records are missing here")]
    Missing(u64),
    /// A record is there twice, or out of its place.
    #[error("record {0} stands here, out of its place")]
    Misplaced(u64),
    /// The octets are no record.
    #[error("it is no record: {0}")]
    NotARecord(String),
    /// A record is not the one that was signed over.
    #[error(
        "it was edited: it is not the record that the checkpoint over {0} records was signed over"
    )]
    Edited(u64),
    /// Record and tile differ and no checkpoint covers them yet.
    #[error("record and tile differ, and no checkpoint says which is true")]
    Differ,
    /// Time goes back without leave.
    #[error("its time is before that of the record in front of it")]
    TimeBack,
    /// The evidence in it is not what its digest says.
    #[error("the evidence in it does not have the digest beside it")]
    Evidence,
    /// The label kept beside it is not the one committed to.
    #[error("the label kept for it is not the one it commits to")]
    Label,
    /// A tile is missing.
    #[error("the tile is missing")]
    TileMissing,
    /// A tile was changed; the records are good.
    #[error("the tile was changed; the record it stands for is as it was signed over")]
    TileEdited,
    /// A checkpoint's signature or form is not good.
    #[error("the checkpoint over {size} records is not good: {reason}")]
    BadCheckpoint {
        /// Records that it claims.
        size: u64,
        /// What is wrong.
        reason: String,
    },
    /// The records do not give the root that was signed.
    #[error(
        "the records do not have the root that was signed over {size} records: something in {from}..{size} was changed"
    )]
    OtherRoot {
        /// Records under the checkpoint.
        size: u64,
        /// Records under the newest good one before it.
        from: u64,
    },
    /// The log is shorter than a checkpoint.
    #[error("the log was cut off: {size} records were signed over, {records} are there")]
    CutOff {
        /// Records signed over.
        size: u64,
        /// Records there.
        records: u64,
    },
    /// The checkpoint from outside tells another history.
    #[error(
        "the log is not the one that the outside checkpoint over {size} records was signed over: its history was changed or forked"
    )]
    OtherHistory {
        /// Records under the outside checkpoint.
        size: u64,
    },
    /// The newest checkpoint is missing.
    #[error("there is no checkpoint")]
    NoCheckpoint,
    /// Checkpoints in the history are out of order.
    #[error("a checkpoint over {size} records follows one over {before}")]
    CheckpointOrder {
        /// Its records.
        size: u64,
        /// Records of the one in front.
        before: u64,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(offset) = self.offset {
            write!(f, ", octet {offset}")?;
        }
        if let Some(seq) = self.seq {
            write!(f, ", record {seq}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.fault)
    }
}
