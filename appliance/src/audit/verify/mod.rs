//! Checking a log with nothing but its files and the public key: what is wrong, and where.
//!
//! Every record is read once, in order. Two trees grow beside each other: one over the records, one over the leaf hashes
//! that the tiles kept. At every checkpoint the signed root says which of them is the true one, so that an edited record is
//! named itself, and an edited tile is not blamed on a record.

mod checkpoints;
mod finding;
mod scan;

pub use crate::audit::verify::finding::Fault;
pub use crate::audit::verify::finding::Finding;
pub use crate::audit::verify::finding::Place;

use crate::audit::layout::Layout;
use crate::audit::note::Checkpoint;
use crate::audit::note::NoteError;
use crate::audit::note::SignedCheckpoint;
use crate::audit::note::VerifierKey;
use crate::audit::verify::checkpoints::Checkpoints;
use crate::audit::verify::scan::Scan;
use der::Document;
use std::fmt;
use std::io;
use std::path::Path;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Records that are whole and in their place.
    pub records: u64,
    /// Checkpoints that were checked: their signature, and their root against the records.
    pub checkpoints: u64,
    /// The newest checkpoint that is good.
    pub newest: Option<Checkpoint>,
    /// Records behind it: not yet under a signature.
    pub unsigned: u64,
    /// Keys that signed, in the order they came into use.
    pub keys: Vec<String>,
    /// What is wrong; the first [`Report::MAX_FINDINGS`].
    pub findings: Vec<Finding>,
    /// Findings beyond these.
    pub more_findings: u64,
    /// What is worth knowing but no fault.
    pub notices: Vec<String>,
}

/// The check could not be made at all.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A directory cannot be read.
    #[error("cannot read the audit log: {0}")]
    Io(#[from] io::Error),
    /// No key was given, or one that is none.
    #[error("cannot use the public key: {0}")]
    Key(NoteError),
    /// The checkpoint from outside is none.
    #[error("the checkpoint given is none: {0}")]
    Outside(NoteError),
    /// There is no record and no checkpoint here.
    #[error("there is no audit log in this directory")]
    NoLog,
}

impl Report {
    /// Findings kept whole.
    pub const MAX_FINDINGS: usize = 200;

    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty() && self.more_findings == 0
    }
}

/// Checks the log in `directory`.
///
/// `spkis_der`: DER SubjectPublicKeyInfo of keys trusted to sign checkpoints; a key that a trusted one signed over is
/// trusted from there on. `outside`: a checkpoint that was kept elsewhere; the log must still contain what it says.
///
/// # Errors
/// [`VerifyError`] when there is nothing to check or nothing to check with. What is wrong with the log is in the report.
pub fn verify(
    directory: &Path,
    spkis_der: &[Vec<u8>],
    outside: Option<&str>,
) -> Result<Report, VerifyError> {
    let layout = Layout::new(directory);
    let outside: Option<SignedCheckpoint> =
        outside.map(str::parse).transpose().map_err(VerifyError::Outside)?;
    let newest = std::fs::read_to_string(layout.checkpoint());
    if newest.is_err() && layout.segments()?.is_empty() {
        return Err(VerifyError::NoLog);
    }
    let newest = newest.ok().map(|note| note.parse::<SignedCheckpoint>());
    let named = newest.as_ref().and_then(|newest| newest.as_ref().ok()).or(outside.as_ref());
    let origin = named.map_or("unknown", |signed| signed.checkpoint.origin.as_str()).to_owned();
    let keys = spkis_der
        .iter()
        .map(|spki_der| VerifierKey::new(&origin, spki_der))
        .collect::<Result<Vec<_>, _>>()
        .map_err(VerifyError::Key)?;
    if keys.is_empty() {
        return Err(VerifyError::Key(NoteError::UnknownKey));
    }
    let checkpoints = Checkpoints::new(&layout, origin, keys, newest, outside)?;
    // Listed last: while the log grows there is then nothing signed over that is not in these files.
    let segments = layout.segments()?;
    Ok(Scan::new(layout, segments, checkpoints).run())
}

/// The DER in a PEM public key (`-----BEGIN PUBLIC KEY-----`).
///
/// # Errors
/// [`NoteError::Key`].
pub fn public_key_from_pem(pem: &str) -> Result<Vec<u8>, NoteError> {
    match Document::from_pem(pem) {
        Ok(("PUBLIC KEY", document)) => Ok(document.as_bytes().to_vec()),
        _ => Err(NoteError::Key("it is no PEM public key")),
    }
}

/// For people: one line a finding, the verdict last.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        if self.more_findings > 0 {
            writeln!(f, "... and {} more", self.more_findings)?;
        }
        for notice in &self.notices {
            writeln!(f, "note: {notice}")?;
        }
        let Self { records, checkpoints, unsigned, .. } = self;
        let verdict = match self.is_good() {
            true => "good",
            false => "NOT GOOD",
        };
        write!(
            f,
            "{verdict}: {records} records, {checkpoints} checkpoints checked, {unsigned} records not yet under one"
        )
    }
}
