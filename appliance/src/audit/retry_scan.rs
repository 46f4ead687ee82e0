//! The index of retries at start, read from the segments of its window.

use crate::audit::config::AuditConfig;
use crate::audit::event::Event;
use crate::audit::frame::FRAME_HEADER_BYTES;
use crate::audit::frame::frame_at;
use crate::audit::head::Head;
use crate::audit::layout::Layout;
use crate::audit::record::Record;
use crate::audit::recover::AuditOpenError;
use crate::audit::recover::at;
use crate::audit::retry::Location;
use crate::audit::retry::RetryIndex;
use crate::audit::retry::RetryKey;
use crate::audit::segment;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Reads back from the newest segment as far as the retry window reaches.
pub(super) fn read_retries(
    layout: &Layout,
    segments: &[u64],
    config: &AuditConfig,
    now_ms: u64,
) -> Result<RetryIndex, AuditOpenError> {
    let oldest_ms = now_ms.saturating_sub(config.retry_window_hours.saturating_mul(3_600_000));
    let mut from = segments.len();
    while from > 0 {
        from -= 1;
        let Some(first) = segments.get(from) else { break };
        let begun_ms = at(&layout.segment(*first), first_time_ms)?;
        if begun_ms.is_some_and(|begun_ms| begun_ms < oldest_ms) {
            break;
        }
    }
    let mut index = RetryIndex::new(config.retry_window_hours, config.retry_limit);
    for first in segments.iter().skip(from) {
        let file = at(&layout.segment(*first), segment::read)?;
        let mut offset = 0;
        while let Ok(Some(frame)) = frame_at(&file, offset) {
            offset = frame.end();
            let Some((key, seq, time_ms)) = retry_of(frame.record, oldest_ms) else {
                continue;
            };
            if let Ok(offset) = u32::try_from(frame.offset) {
                index.insert(key, Location { seq, segment: *first, offset }, time_ms);
            }
        }
    }
    Ok(index)
}

fn retry_of(record: &[u8], oldest_ms: u64) -> Option<(RetryKey, u64, u64)> {
    let head = Head::parse(record)?;
    if head.time_ms < oldest_ms {
        return None;
    }
    let record: Record = serde_json::from_slice(record).ok()?;
    match record.event {
        Event::Signature(facts) => {
            Some((RetryKey::of(facts.idempotency.as_ref()?)?, head.seq, head.time_ms))
        }
        _ => None,
    }
}

fn first_time_ms(path: &Path) -> io::Result<Option<u64>> {
    let file = File::open(path)?;
    let mut octets = vec![0; FRAME_HEADER_BYTES + 128];
    let read = file.read_at(&mut octets, 0)?;
    let record = octets.get(FRAME_HEADER_BYTES..read).unwrap_or_default();
    Ok(Head::parse(record).map(|head| head.time_ms))
}
