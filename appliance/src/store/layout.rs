//! Keys as they lie in the engine's one tree: a first octet says what kind, so that callers' keys meet nothing of ours.
//!
//! ```text
//! d <key>                  a caller's value
//! x <be64 expiry> <key>    the expiry index: which values to sweep, oldest first
//! m                        state of the whole store: newest revision, number of records, sum over all of them
//! ```

use attest::clock::UnixSeconds;

/// Where the state of the whole store lies.
pub(super) const STATE_KEY: &[u8] = b"m";
/// First octet of every expiry index entry.
pub(super) const EXPIRY_PREFIX: &[u8] = b"x";
/// First octet of every caller's value.
pub(super) const DATA_PREFIX: &[u8] = b"d";

/// Where a caller's `key` lies.
pub(super) fn data_key(key: &[u8]) -> Vec<u8> {
    [DATA_PREFIX, key].concat()
}

/// The caller's key again.
pub(super) fn caller_key(data_key: &[u8]) -> &[u8] {
    data_key.strip_prefix(DATA_PREFIX).unwrap_or(data_key)
}

/// Where the index says that the caller's `key` expires at `at`.
pub(super) fn expiry_key(at: UnixSeconds, key: &[u8]) -> Vec<u8> {
    [EXPIRY_PREFIX, &at.0.to_be_bytes(), key].concat()
}

/// What an index entry says.
pub(super) fn parse_expiry_key(key: &[u8]) -> Option<(UnixSeconds, &[u8])> {
    let (at, key) = key.strip_prefix(EXPIRY_PREFIX)?.split_first_chunk::<8>()?;
    Some((UnixSeconds(u64::from_be_bytes(*at)), key))
}

/// A key for messages: as text where it is text, other octets escaped.
pub(super) fn printable(key: &[u8]) -> String {
    caller_key(key).escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_keys_sort_by_time_and_parse_back() {
        let early = expiry_key(UnixSeconds(255), b"zz");
        let late = expiry_key(UnixSeconds(256), b"aa");
        assert!(early < late);
        assert_eq!(parse_expiry_key(&late), Some((UnixSeconds(256), b"aa".as_slice())));
        assert_eq!(parse_expiry_key(b"x123"), None);
    }

    #[test]
    fn key_with_odd_octets_is_printable() {
        assert_eq!(printable(&data_key(b"h/u-1\x00\xff")), "h/u-1\\x00\\xff");
    }
}
