//! What was signed in one holder's name, newest first, a page at a time and at a bounded cost.

use crate::audit::AuditError;
use crate::audit::event::Event;
use crate::audit::holder_index::HolderIndex;
use crate::audit::holder_index::signatures_in;
use crate::audit::label::read_labels;
use crate::audit::log::AuditLog;
use crate::audit::log::read_there;
use crate::audit::retry::Location;
use crate::audit::segment;
use crate::audit::shared::Shared;
use crate::audit::signature::SignatureFacts;
use std::io;
use std::sync::PoisonError;

/// Segments looked at for one page: a month of a large house.
const MAX_SEGMENTS: usize = 512;
/// Segments read whole for one page: the one in use, and those where the caretaker has not been yet.
const MAX_SCANNED: usize = 8;

/// One page of a holder's signatures.
pub struct SignaturesOf {
    /// Newest first.
    pub signatures: Vec<SignatureOf>,
    /// What to ask for next, as `before`; `None`: there are no older ones.
    pub older: Option<u64>,
}

/// A signature as its record has it.
pub struct SignatureOf {
    /// Number of the record.
    pub seq: u64,
    /// Time of the record, Unix milliseconds.
    pub time_ms: u64,
    /// What it says.
    pub facts: SignatureFacts,
    /// The label kept beside it, if it is.
    pub label: Option<String>,
}

impl AuditLog {
    /// Up to `limit` signatures of `holder_id` in records before `before`, or the newest. Fewer do not mean that there are no
    /// older ones: only so many segments are looked at.
    ///
    /// # Errors
    /// [`AuditError::Unreadable`].
    /// # Blocking
    /// Reads the segment in use and up to some hundred small files.
    pub fn signatures_of(
        &self,
        holder_id: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<SignaturesOf, AuditError> {
        let shared = self.shared();
        let before = before.unwrap_or(u64::MAX).min(self.records());
        let segments = shared.segments.read().unwrap_or_else(PoisonError::into_inner).clone();
        let newest = segments.last().copied();
        let mut found = SignaturesOf { signatures: Vec::new(), older: None };
        let mut scanned = 0;
        let behind = segments.partition_point(|first| *first < before);
        for (looked_at, first) in segments.iter().take(behind).rev().copied().enumerate() {
            if looked_at == MAX_SEGMENTS || scanned == MAX_SCANNED {
                found.older = Some(first_behind(&segments, first));
                return Ok(found);
            }
            let index = match Some(first) == newest {
                true => None,
                false => HolderIndex::read(&shared.layout, first),
            };
            let offsets = match index {
                Some(index) => index.offsets(holder_id),
                None => {
                    scanned += 1;
                    let octets = segment::read(&shared.layout.segment(first));
                    signatures_in(&octets.map_err(|error| unreadable(first, &error))?, holder_id)
                }
            };
            if take(shared, (holder_id, before), limit, (first, &offsets), &mut found)? {
                return Ok(found);
            }
        }
        Ok(found)
    }
}

/// Takes the signatures at `offsets` of one segment, newest first; true when there are more than `limit`.
fn take(
    shared: &Shared,
    (holder_id, before): (&str, u64),
    limit: usize,
    (segment, offsets): (u64, &[usize]),
    found: &mut SignaturesOf,
) -> Result<bool, AuditError> {
    let labels = match offsets {
        [] => return Ok(false),
        _ => read_labels(&shared.layout.labels(segment)),
    };
    for offset in offsets.iter().rev() {
        let Ok(offset) = u32::try_from(*offset) else { continue };
        let record = read_there(&shared.layout, Location { seq: segment, segment, offset })?;
        let Event::Signature(facts) = record.event else { continue };
        if record.seq >= before || facts.holder_id != holder_id {
            continue;
        }
        if found.signatures.len() == limit {
            found.older = found.signatures.last().map(|last| last.seq);
            return Ok(true);
        }
        let label = labels.get(&record.seq).map(|label| label.text().to_owned());
        let (seq, time_ms) = (record.seq, record.time_ms);
        found.signatures.push(SignatureOf { seq, time_ms, facts: *facts, label });
    }
    Ok(false)
}

/// First number of the segment behind the one that begins with `first`: everything before it is still to be looked at.
fn first_behind(segments: &[u64], first: u64) -> u64 {
    let behind = segments.partition_point(|other| *other <= first);
    segments.get(behind).copied().unwrap_or(u64::MAX)
}

/// Makes the newest index that is missing; true when there was one. For the caretaker, who has time.
pub(super) fn make_missing(shared: &Shared) -> io::Result<bool> {
    let segments = shared.segments.read().unwrap_or_else(PoisonError::into_inner).clone();
    let finished = segments.split_last().map_or(&[][..], |(_, finished)| finished);
    let missing = finished.iter().rev().find(|first| !shared.layout.holders(**first).exists());
    missing.map_or(Ok(false), |first| HolderIndex::make(&shared.layout, *first).map(|()| true))
}

fn unreadable(seq: u64, error: &io::Error) -> AuditError {
    AuditError::Unreadable { seq, reason: error.to_string() }
}
