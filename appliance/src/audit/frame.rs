//! How records lie in a file: `length u32 | CRC-32 u32 | record`, big-endian, the check sum over length and record.
//!
//! A length of zero ends the file: segments are filled with zeros before they are used.

/// Octets in front of every record.
pub const FRAME_HEADER_BYTES: usize = 8;
/// Longest record: entry bundles of C2SP tlog-tiles have 16-bit lengths.
pub const MAX_RECORD_BYTES: usize = 65_535;

/// Appends one frame to `file`. `record` has 1 to [`MAX_RECORD_BYTES`] octets.
pub fn put_frame(file: &mut Vec<u8>, record: &[u8]) {
    let length = u32::try_from(record.len()).unwrap_or(u32::MAX).to_be_bytes();
    file.extend_from_slice(&length);
    file.extend_from_slice(&check_sum(length, record).to_be_bytes());
    file.extend_from_slice(record);
}

/// One frame found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Where its header begins.
    pub offset: usize,
    /// The record.
    pub record: &'a [u8],
}

impl Frame<'_> {
    /// Where the next frame begins.
    pub fn end(&self) -> usize {
        self.offset + FRAME_HEADER_BYTES + self.record.len()
    }
}

/// What is not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// The file ends inside it.
    #[error("the file ends inside a frame")]
    Short,
    /// Longer than any record.
    #[error("a frame claims {0} octets")]
    Length(u32),
    /// Something in it changed.
    #[error("a frame's check sum does not fit")]
    CheckSum,
}

/// The frame at `offset`; `None` at the end: no octets left, or a length of zero.
///
/// # Errors
/// [`BadFrame`] when there is something, but not a whole frame.
pub fn frame_at(file: &[u8], offset: usize) -> Result<Option<Frame<'_>>, BadFrame> {
    let rest = file.get(offset..).unwrap_or_default();
    if rest.is_empty() {
        return Ok(None);
    }
    let (length_octets, rest) = rest.split_first_chunk::<4>().ok_or(BadFrame::Short)?;
    let length = u32::from_be_bytes(*length_octets);
    if length == 0 {
        return Ok(None);
    }
    let record_bytes = usize::try_from(length).map_err(|_| BadFrame::Length(length))?;
    if record_bytes > MAX_RECORD_BYTES {
        return Err(BadFrame::Length(length));
    }
    let (crc, rest) = rest.split_first_chunk::<4>().ok_or(BadFrame::Short)?;
    let record = rest.get(..record_bytes).ok_or(BadFrame::Short)?;
    match check_sum(*length_octets, record) == u32::from_be_bytes(*crc) {
        true => Ok(Some(Frame { offset, record })),
        false => Err(BadFrame::CheckSum),
    }
}

/// The first whole frame behind `offset` whose record looks like one of ours; for naming what a damage spared.
pub fn next_frame_after(file: &[u8], offset: usize) -> Option<Frame<'_>> {
    let mut at = offset.checked_add(1)?;
    loop {
        let rest = file.get(at + FRAME_HEADER_BYTES..)?;
        at += rest.windows(RECORD_START.len()).position(|window| window == RECORD_START)?;
        match frame_at(file, at) {
            Ok(Some(frame)) => return Some(frame),
            Ok(None) | Err(_) => at += 1,
        }
    }
}

fn check_sum(length: [u8; 4], record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(record);
    hasher.finalize()
}

/// Every record begins so.
pub(super) const RECORD_START: &[u8] = b"{\"v\":";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_in_order_and_end_at_zeros() {
        let mut file = Vec::new();
        put_frame(&mut file, b"one");
        put_frame(&mut file, b"two");
        file.extend_from_slice(&[0; 100]);
        let one = frame_at(&file, 0).unwrap().unwrap();
        assert_eq!(one.record, b"one");
        let two = frame_at(&file, one.end()).unwrap().unwrap();
        assert_eq!(two.record, b"two");
        assert_eq!(frame_at(&file, two.end()), Ok(None));
        assert_eq!(frame_at(&file, file.len()), Ok(None));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let mut file = Vec::new();
        put_frame(&mut file, b"record");
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(frame_at(&damaged, 0).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn longest_record_is_read_and_one_octet_more_is_not() {
        for (length, good) in [(MAX_RECORD_BYTES, true), (MAX_RECORD_BYTES + 1, false)] {
            let mut file = Vec::new();
            put_frame(&mut file, &vec![b'x'; length]);
            assert_eq!(frame_at(&file, 0).is_ok(), good, "{length}");
        }
    }

    #[test]
    fn frame_behind_a_damage_is_found_again() {
        let mut file = Vec::new();
        put_frame(&mut file, b"{\"v\":1}");
        let second = file.len();
        put_frame(&mut file, b"{\"v\":2}");
        file.insert(9, b'x');
        assert!(frame_at(&file, 0).is_err());
        let found = next_frame_after(&file, 0).unwrap();
        assert_eq!((found.offset, found.record), (second + 1, b"{\"v\":2}".as_slice()));
    }
}
