//! Which records of a finished segment are signatures of whom, so that a holder is shown theirs without a scan of the log.
//!
//! A file beside the log for each segment: entries of `half a hash of the holder id u64 | offset u32`, ordered, behind a
//! check sum. It is made from the segment, can be made again, and is believed in nothing: a record it names is read and
//! compared, and a file that does not check is made anew.

use crate::audit::caretaker::replace;
use crate::audit::frame::frame_at;
use crate::audit::frame::put_frame;
use crate::audit::hash::sha256;
use crate::audit::layout::Layout;
use crate::audit::segment;
use std::io;

/// Where the records of one segment are that are signatures of one holder, in their order.
pub(super) fn signatures_in(octets: &[u8], holder_id: &str) -> Vec<usize> {
    let mut offsets = Vec::new();
    each_signature(octets, |found, offset| {
        if found == holder_id.as_bytes() {
            offsets.push(offset);
        }
    });
    offsets
}

/// The index of a segment.
pub(super) struct HolderIndex {
    entries: Vec<u8>,
}

impl HolderIndex {
    /// Reads the index of the segment that begins with record `first`; `None` when there is none that checks.
    pub(super) fn read(layout: &Layout, first: u64) -> Option<Self> {
        let file = std::fs::read(layout.holders(first)).ok()?;
        let mut entries = Vec::new();
        let mut at = 0;
        // As many frames as the entries needed; the last one is empty but for its mark, so that none can be missing.
        loop {
            let frame = frame_at(&file, at).ok()??;
            at = frame.end();
            match frame.record.split_first()? {
                (&MORE, part) if part.len().is_multiple_of(ENTRY_BYTES) => {
                    entries.extend_from_slice(part);
                }
                (&LAST, []) => return Some(Self { entries }),
                _ => return None,
            }
        }
    }

    /// Makes the index of a finished segment.
    ///
    /// # Errors
    /// What the system said.
    pub(super) fn make(layout: &Layout, first: u64) -> io::Result<()> {
        let octets = segment::read(&layout.segment(first))?;
        let mut sorted = Vec::new();
        each_signature(&octets, |holder_id, offset| {
            if let Ok(offset) = u32::try_from(offset) {
                sorted.push((half_hash(holder_id), offset));
            }
        });
        sorted.sort_unstable();
        let mut entries = Vec::with_capacity(sorted.len() * ENTRY_BYTES);
        for (holder, offset) in sorted {
            entries.extend_from_slice(&holder.to_be_bytes());
            entries.extend_from_slice(&offset.to_be_bytes());
        }
        let mut file = Vec::new();
        for part in entries.chunks(ENTRIES_A_FRAME * ENTRY_BYTES) {
            put_frame(&mut file, &[&[MORE], part].concat());
        }
        put_frame(&mut file, &[LAST]);
        replace(&layout.holders(first), &file)
    }

    /// Where records may be that are signatures of this holder, in their order; two holders may share half a hash.
    pub(super) fn offsets(&self, holder_id: &str) -> Vec<usize> {
        let wanted = half_hash(holder_id.as_bytes());
        let (entries, _) = self.entries.as_chunks::<ENTRY_BYTES>();
        let from = entries.partition_point(|entry| of(entry).0 < wanted);
        let theirs = entries.iter().skip(from).map(of).take_while(|(holder, _)| *holder == wanted);
        theirs.filter_map(|(_, offset)| usize::try_from(offset).ok()).collect()
    }
}

fn of(entry: &[u8; ENTRY_BYTES]) -> (u64, u32) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *entry;
    (u64::from_be_bytes([a, b, c, d, e, f, g, h]), u32::from_be_bytes([i, j, k, l]))
}

fn half_hash(holder_id: &[u8]) -> u64 {
    let hash = sha256(&[holder_id]).to_string();
    hash.get(..16).and_then(|half| u64::from_str_radix(half, 16).ok()).unwrap_or_default()
}

/// Calls `found` with holder id and offset of each signature.
///
/// Nothing is parsed: the form of a record is fixed, the holder's id needs no escape, and inside a text every quotation mark
/// has one, so the kind stands in one place only.
fn each_signature(octets: &[u8], mut found: impl FnMut(&[u8], usize)) {
    let mut at = 0;
    while let Ok(Some(frame)) = frame_at(octets, at) {
        at = frame.end();
        let kind = frame.record.windows(SIGNATURE.len()).position(|window| window == SIGNATURE);
        let holder = kind.and_then(|kind| frame.record.get(kind + SIGNATURE.len()..));
        let end = holder.and_then(|rest| rest.iter().position(|octet| *octet == b'"'));
        if let Some(holder_id) = holder.zip(end).and_then(|(rest, end)| rest.get(..end)) {
            found(holder_id, frame.offset);
        }
    }
}

const SIGNATURE: &[u8] = br#""event":{"kind":"signature","holder_id":""#;
const ENTRY_BYTES: usize = 12;
/// What fits a frame with room to spare.
const ENTRIES_A_FRAME: usize = 5_000;
const MORE: u8 = 1;
const LAST: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::event::Event;
    use crate::audit::record::Principal;
    use crate::audit::record::RECORD_VERSION;
    use crate::audit::record::Record;
    use crate::audit::signature::SignatureFacts;
    use crate::audit::signature::Withheld;
    use crate::audit::signature::tests::facts;
    use std::path::Path;

    fn record(seq: u64, event: Event) -> Vec<u8> {
        let record = Record {
            v: RECORD_VERSION,
            seq,
            time_ms: 1_000,
            synced: seq,
            request_id: "r".to_owned(),
            principal: Principal::System("ehr".to_owned()),
            event,
        };
        serde_json::to_vec(&record).unwrap()
    }

    fn signature(holder_id: &str) -> Event {
        let holder_id = holder_id.to_owned();
        Event::Signature(Box::new(SignatureFacts { holder_id, ..facts() }))
    }

    /// A segment with these events; where each lies.
    fn segment(layout: &Layout, events: Vec<Event>) -> Vec<usize> {
        let (mut file, mut offsets) = (Vec::new(), Vec::new());
        for (event, seq) in events.into_iter().zip(0..) {
            offsets.push(file.len());
            put_frame(&mut file, &record(seq, event));
        }
        file.extend_from_slice(&[0; 64]);
        std::fs::write(layout.segment(0), file).unwrap();
        offsets
    }

    fn layout(directory: &Path) -> Layout {
        let layout = Layout::new(directory);
        layout.make().unwrap();
        layout
    }

    #[test]
    fn signatures_of_one_holder_are_found_in_their_order_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(directory.path());
        let posing = serde_json::to_string(&signature("u-1")).unwrap();
        let withheld =
            Event::SignatureWithheld { reason: Withheld::Credential, facts: Box::new(facts()) };
        let at = segment(
            &layout,
            vec![
                signature("u-1"),
                signature("u-11"),
                Event::Stopped { reason: format!("\"event\":{posing}") },
                withheld,
                signature("u-1"),
            ],
        );
        HolderIndex::make(&layout, 0).unwrap();
        let read = HolderIndex::read(&layout, 0).unwrap();
        let octets = segment::read(&layout.segment(0)).unwrap();
        for (holder_id, expected) in
            [("u-1", vec![at[0], at[4]]), ("u-11", vec![at[1]]), ("u-17", vec![]), ("", vec![])]
        {
            assert_eq!(read.offsets(holder_id), expected, "{holder_id}");
            assert_eq!(signatures_in(&octets, holder_id), expected, "{holder_id}");
        }
    }

    #[test]
    fn index_longer_than_a_frame_is_read_back_whole() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(directory.path());
        let count = 2 * ENTRIES_A_FRAME + 1;
        let at = segment(&layout, (0..count).map(|_| signature("u-1")).collect());
        HolderIndex::make(&layout, 0).unwrap();
        assert_eq!(HolderIndex::read(&layout, 0).unwrap().offsets("u-1"), at);
    }

    #[test]
    fn damaged_or_cut_index_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(directory.path());
        segment(&layout, (0..10).map(|_| signature("u-1")).collect());
        HolderIndex::make(&layout, 0).unwrap();
        let good = std::fs::read(layout.holders(0)).unwrap();
        for length in 0..good.len() {
            std::fs::write(layout.holders(0), &good[..length]).unwrap();
            assert!(HolderIndex::read(&layout, 0).is_none(), "{length}");
        }
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 1;
            std::fs::write(layout.holders(0), bad).unwrap();
            assert!(HolderIndex::read(&layout, 0).is_none(), "{index}");
        }
    }
}
