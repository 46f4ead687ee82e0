//! Reading a log: a copy on an auditor's desk, or the daemon's own while it grows. One segment in memory at a time.

use crate::audit::event::Event;
use crate::audit::frame::frame_at;
use crate::audit::hash::leaf_hash;
use crate::audit::head::Head;
use crate::audit::layout::Layout;
use crate::audit::note::SignedCheckpoint;
use crate::audit::proof::ProofError;
use crate::audit::proof::TreeReader;
use crate::audit::record::Principal;
use crate::audit::record::Record;
use crate::audit::segment;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

/// A log to read.
pub struct Archive {
    layout: Layout,
    segments: Vec<u64>,
    /// Records that may be read; all that are whole when `None`.
    limit: Option<u64>,
}

/// Why a log cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file operation failed.
    #[error("cannot read {path}: {source}")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A record is damaged; `inkan audit verify` says more.
    #[error("{path} at octet {offset}: record {seq} is damaged: {reason}")]
    Damaged {
        /// Segment.
        path: PathBuf,
        /// Offset of the frame.
        offset: usize,
        /// Number the record there should have.
        seq: u64,
        /// What is wrong.
        reason: String,
    },
    /// A proof cannot be made.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The checkpoint is missing or unreadable.
    #[error("there is no readable checkpoint: {0}")]
    NoCheckpoint(String),
}

/// A record as it lies in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// Its number.
    pub seq: u64,
    /// Its time, Unix milliseconds.
    pub time_ms: u64,
    /// Its octets: JSON text.
    pub json: String,
}

impl RawRecord {
    /// Reads it.
    pub fn parse(&self) -> Result<Record, serde_json::Error> {
        serde_json::from_str(&self.json)
    }
}

/// What to look for; everything that is `None` matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Records about this holder.
    pub holder_id: Option<String>,
    /// Records of this signing system.
    pub system_id: Option<String>,
    /// Records of this credential.
    pub credential_id: Option<String>,
    /// Records of this operator: as the one who acted, proposed or approved.
    pub operator_id: Option<String>,
    /// Records of this kind: `signature`, `session_ended` ...
    pub kind: Option<String>,
    /// Records of this request.
    pub request_id: Option<String>,
    /// Not before this time, Unix milliseconds.
    pub since_ms: Option<u64>,
    /// Before this time, Unix milliseconds.
    pub until_ms: Option<u64>,
    /// First record to look at.
    pub from: u64,
}

impl Archive {
    /// Opens the log in `directory`; nothing in it is changed or locked.
    ///
    /// # Errors
    /// [`ArchiveError::Io`] when the directory cannot be read.
    pub fn open(directory: &Path) -> Result<Self, ArchiveError> {
        let layout = Layout::new(directory);
        let segments = layout
            .segments()
            .map_err(|source| ArchiveError::Io { path: directory.to_owned(), source })?;
        Ok(Self { layout, segments, limit: None })
    }

    /// The daemon's own log, as far as it is durable.
    pub(super) fn live(layout: Layout, segments: Vec<u64>, records: u64) -> Self {
        Self { layout, segments, limit: Some(records) }
    }

    /// The records from number `from` on, in order.
    pub fn records(&self, from: u64) -> Records<'_> {
        let behind = self.segments.partition_point(|first| *first <= from);
        Records { archive: self, position: behind.saturating_sub(1), file: None, from }
    }

    /// The records that match `filter`, in order.
    pub fn search(&self, filter: Filter) -> impl Iterator<Item = Result<RawRecord, ArchiveError>> {
        let from = filter.from.max(self.first_at(filter.since_ms));
        let until_ms = filter.until_ms;
        self.records(from)
            .take_while(move |found| match (found, until_ms) {
                (Ok(record), Some(until_ms)) => record.time_ms < until_ms,
                _ => true,
            })
            .filter(move |found| {
                found.as_ref().is_ok_and(|record| filter.matches(record)) || found.is_err()
            })
    }

    /// Writes records as JSON lines, each with the proof that it is under the newest checkpoint, which is the last line.
    ///
    /// A line is `{"leaf_hash":"..","proof":[".."],"record":{..}}`, hashes in base64; the octets of the record as they
    /// stand there are the leaf. The last line is `{"checkpoint":"..."}`. Returns how many records were written.
    ///
    /// # Errors
    /// [`ArchiveError`]; what was written before is whole lines.
    pub fn export(&self, from: u64, limit: u64, out: &mut dyn Write) -> Result<u64, ArchiveError> {
        let checkpoint = self.checkpoint()?;
        let size = checkpoint.checkpoint.size;
        let mut tree = self.tree(size)?;
        let mut count = 0;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        for record in self.records(from).take(limit) {
            let record = record?;
            if record.seq >= size {
                break;
            }
            let proof = tree.prove(record.seq)?;
            let same = proof.leaf == leaf_hash(record.json.as_bytes());
            if !same || !proof.leads_to(&checkpoint.checkpoint.root) {
                return Err(ProofError::DoesNotLead(record.seq).into());
            }
            let line = proof.export_line(&record.json);
            out.write_all(line.as_bytes()).map_err(|source| self.io(source))?;
            count += 1;
        }
        let note = serde_json::json!({ "checkpoint": checkpoint.text });
        writeln!(out, "{note}").map_err(|source| self.io(source))?;
        Ok(count)
    }

    /// The newest checkpoint on the disk; not verified here.
    ///
    /// # Errors
    /// [`ArchiveError::NoCheckpoint`].
    pub fn checkpoint(&self) -> Result<SignedCheckpoint, ArchiveError> {
        std::fs::read_to_string(self.layout.checkpoint())
            .map_err(|error| ArchiveError::NoCheckpoint(error.to_string()))?
            .parse()
            .map_err(|error: crate::audit::note::NoteError| {
                ArchiveError::NoCheckpoint(error.to_string())
            })
    }

    /// The tree over the first `size` records, for proofs. `size` is that of a checkpoint.
    ///
    /// # Errors
    /// [`ProofError`] when a tile or record it needs is missing.
    pub fn tree(&self, size: u64) -> Result<TreeReader, ArchiveError> {
        let partial_from = size - size % 256;
        let mut leaves = Vec::new();
        for record in self.records(partial_from) {
            let record = record?;
            if record.seq >= size {
                break;
            }
            leaves.push(leaf_hash(record.json.as_bytes()));
        }
        Ok(TreeReader::new(self.layout.clone(), size, leaves)?)
    }

    /// First record that can lie at `since_ms` or later: the first of a segment, found by halving.
    fn first_at(&self, since_ms: Option<u64>) -> u64 {
        let Some(since_ms) = since_ms else {
            return 0;
        };
        let behind = self.segments.partition_point(|first| {
            let head = self.records(*first).next().and_then(Result::ok);
            head.is_some_and(|record| record.time_ms < since_ms)
        });
        behind.checked_sub(1).and_then(|at| self.segments.get(at)).copied().unwrap_or(0)
    }

    fn io(&self, source: io::Error) -> ArchiveError {
        ArchiveError::Io { path: self.layout.directory.clone(), source }
    }
}

impl Filter {
    fn matches(&self, record: &RawRecord) -> bool {
        if self.since_ms.is_some_and(|since_ms| record.time_ms < since_ms) {
            return false;
        }
        let wanted = [
            &self.holder_id,
            &self.system_id,
            &self.credential_id,
            &self.operator_id,
            &self.kind,
            &self.request_id,
        ];
        // What is looked for stands in the text somewhere, or the record need not be read.
        let text = |wanted: &String| {
            let quoted = serde_json::to_string(wanted).unwrap_or_default();
            record.json.contains(&quoted)
        };
        if !wanted.into_iter().flatten().all(text) {
            return false;
        }
        record.parse().is_ok_and(|record| self.matches_parsed(&record))
    }

    fn matches_parsed(&self, record: &Record) -> bool {
        let same = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let system_id = record.event.system_id().or(match &record.principal {
            Principal::System(id) => Some(id),
            _ => None,
        });
        let holder_id = record.event.holder_id().or(match &record.principal {
            Principal::Holder(id) => Some(id),
            _ => None,
        });
        same(&self.kind, Some(record.event.kind()))
            && same(&self.holder_id, holder_id)
            && same(&self.system_id, system_id)
            && same(&self.credential_id, record.event.credential_id())
            && same(&self.request_id, Some(&record.request_id))
            && self.operator_id.as_deref().is_none_or(|wanted| by_operator(record, wanted))
    }
}

fn by_operator(record: &Record, operator_id: &str) -> bool {
    let among = |approved_by: &[String]| approved_by.iter().any(|id| id == operator_id);
    let acted = matches!(&record.principal, Principal::Operator(id) if id == operator_id);
    acted
        || match &record.event {
            Event::TrustProposed(change) | Event::TrustChanged(change) => {
                change.proposed_by == operator_id || among(&change.approved_by)
            }
            Event::CheckpointKeyChanged { approved_by, .. }
            | Event::TimeStep { approved_by, .. } => among(approved_by),
            _ => false,
        }
}

/// Records in order; ends at the first that cannot be read.
pub struct Records<'a> {
    archive: &'a Archive,
    position: usize,
    file: Option<Open>,
    from: u64,
}

struct Open {
    path: PathBuf,
    octets: Vec<u8>,
    offset: usize,
    seq: u64,
}

impl Iterator for Records<'_> {
    type Item = Result<RawRecord, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut open = match self.file.take() {
                Some(open) => open,
                None => match self.open_segment()? {
                    Ok(open) => open,
                    Err(error) => return self.end(error),
                },
            };
            if self.archive.limit.is_some_and(|limit| open.seq >= limit) {
                self.position = usize::MAX;
                return None;
            }
            match read_one(&mut open) {
                Ok(Some(record)) => {
                    let wanted = record.seq >= self.from;
                    self.file = Some(open);
                    if wanted {
                        return Some(Ok(record));
                    }
                }
                Ok(None) => self.position = self.position.saturating_add(1),
                // An unfinished write at the very end is not a record yet.
                Err(_) if self.position + 1 == self.archive.segments.len() && ends_torn(&open) => {
                    self.position = usize::MAX;
                    return None;
                }
                Err(error) => return self.end(error),
            }
        }
    }
}

impl Records<'_> {
    fn open_segment(&self) -> Option<Result<Open, ArchiveError>> {
        let first = *self.archive.segments.get(self.position)?;
        let path = self.archive.layout.segment(first);
        Some(match segment::read(&path) {
            Ok(octets) => Ok(Open { path, octets, offset: 0, seq: first }),
            Err(source) => Err(ArchiveError::Io { path, source }),
        })
    }

    fn end(&mut self, error: ArchiveError) -> Option<Result<RawRecord, ArchiveError>> {
        self.position = usize::MAX;
        Some(Err(error))
    }
}

fn read_one(open: &mut Open) -> Result<Option<RawRecord>, ArchiveError> {
    let damaged = |reason: String| ArchiveError::Damaged {
        path: open.path.clone(),
        offset: open.offset,
        seq: open.seq,
        reason,
    };
    let frame = match frame_at(&open.octets, open.offset) {
        Ok(Some(frame)) => frame,
        Ok(None) => return Ok(None),
        Err(bad) => return Err(damaged(bad.to_string())),
    };
    let head = Head::parse(frame.record).filter(|head| head.seq == open.seq);
    let head = head.ok_or_else(|| damaged("its number or form is wrong".to_owned()))?;
    let json = String::from_utf8(frame.record.to_vec())
        .map_err(|_| damaged("it is not UTF-8".to_owned()))?;
    let end = frame.end();
    open.offset = end;
    open.seq += 1;
    Ok(Some(RawRecord { seq: head.seq, time_ms: head.time_ms, json }))
}

fn ends_torn(open: &Open) -> bool {
    crate::audit::frame::next_frame_after(&open.octets, open.offset).is_none()
}
