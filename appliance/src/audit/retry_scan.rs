//! The index of retries at start, read from the segments of its window.

use crate::audit::config::AuditConfig;
use crate::audit::frame::FRAME_HEADER_BYTES;
use crate::audit::frame::frame_at;
use crate::audit::head::Head;
use crate::audit::layout::Layout;
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

/// What a retry of this record's request is recognised by, its number and its time; `None` for whatever is no signature,
/// came without an idempotency key, or is too old.
///
/// A day's records are read in a second because they are not parsed: the form of a record is fixed, so `idempotency` is
/// its end, and inside a text every quotation mark is escaped, so the kind stands in one place only.
fn retry_of(record: &[u8], oldest_ms: u64) -> Option<(RetryKey, u64, u64)> {
    let head = Head::parse(record).filter(|head| head.time_ms >= oldest_ms)?;
    let tail = record.get(record.len().checked_sub(TAIL_BYTES)?..)?;
    let (scope, rest) = tail.strip_prefix(SCOPE)?.split_first_chunk::<HEX_BYTES>()?;
    let is_signature = || record.windows(SIGNATURE.len()).any(|window| window == SIGNATURE);
    if !rest.starts_with(REQUEST) || !rest.ends_with(END) || !is_signature() {
        return None;
    }
    let key = RetryKey::of_scope(std::str::from_utf8(scope).ok()?)?;
    Some((key, head.seq, head.time_ms))
}

const SIGNATURE: &[u8] = br#""event":{"kind":"signature","#;
const SCOPE: &[u8] = br#""idempotency":{"scope":""#;
const REQUEST: &[u8] = br#"","request":""#;
const END: &[u8] = br#""}}}"#;
const HEX_BYTES: usize = 64;
const TAIL_BYTES: usize = SCOPE.len() + HEX_BYTES + REQUEST.len() + HEX_BYTES + END.len();

fn first_time_ms(path: &Path) -> io::Result<Option<u64>> {
    let file = File::open(path)?;
    let mut octets = vec![0; FRAME_HEADER_BYTES + 128];
    let read = file.read_at(&mut octets, 0)?;
    let record = octets.get(FRAME_HEADER_BYTES..read).unwrap_or_default();
    Ok(Head::parse(record).map(|head| head.time_ms))
}

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

    fn of(event: Event) -> Option<(RetryKey, u64, u64)> {
        let record = Record {
            v: RECORD_VERSION,
            seq: 41,
            time_ms: 1_000,
            synced: 40,
            request_id: "r-1".to_owned(),
            principal: Principal::System("ehr".to_owned()),
            event,
        };
        retry_of(&serde_json::to_vec(&record).unwrap(), 1_000)
    }

    #[test]
    fn signature_with_a_key_is_found_by_the_same_key_as_when_it_was_made() {
        let key = facts().idempotency.as_ref().and_then(RetryKey::of).unwrap();
        assert_eq!(of(Event::Signature(Box::new(facts()))), Some((key, 41, 1_000)));
    }

    #[test]
    fn whatever_answers_no_retry_is_left_out() {
        let without = SignatureFacts { idempotency: None, ..facts() };
        assert_eq!(of(Event::Signature(Box::new(without))), None);
        let (reason, facts) = (Withheld::Credential, Box::new(facts()));
        assert_eq!(of(Event::SignatureWithheld { reason, facts: facts.clone() }), None);
        let posing = serde_json::to_string(&Event::Signature(facts.clone())).unwrap();
        assert_eq!(of(Event::Stopped { reason: format!("\"event\":{posing}") }), None);
        let record = br#"{"v":1,"seq":1,"time_ms":999,"synced":0,"request_id":"r"}"#;
        assert_eq!(retry_of(record, 1_000), None);
    }
}
