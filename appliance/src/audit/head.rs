//! The first fields of a record, read without reading the rest: their form is fixed.

use crate::audit::record::RECORD_VERSION;

/// Number, time and durable count of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// See [`Record::seq`](crate::audit::record::Record::seq).
    pub seq: u64,
    /// See [`Record::time_ms`](crate::audit::record::Record::time_ms).
    pub time_ms: u64,
    /// See [`Record::synced`](crate::audit::record::Record::synced).
    pub synced: u64,
}

impl Head {
    /// `None` when `record` does not begin as every record of this version does.
    pub fn parse(record: &[u8]) -> Option<Self> {
        let (version, rest) = number(record, b"{\"v\":")?;
        if version != u64::from(RECORD_VERSION) {
            return None;
        }
        let (seq, rest) = number(rest, b",\"seq\":")?;
        let (time_ms, rest) = number(rest, b",\"time_ms\":")?;
        let (synced, rest) = number(rest, b",\"synced\":")?;
        rest.starts_with(b",\"request_id\":").then_some(Self { seq, time_ms, synced })
    }
}

fn number<'a>(octets: &'a [u8], name: &[u8]) -> Option<(u64, &'a [u8])> {
    let octets = octets.strip_prefix(name)?;
    let digits = octets.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let (digits, rest) = octets.split_at_checked(digits)?;
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_is_read_and_other_forms_are_not() {
        let record = br#"{"v":1,"seq":41,"time_ms":5,"synced":40,"request_id":"r"}"#;
        assert_eq!(Head::parse(record), Some(Head { seq: 41, time_ms: 5, synced: 40 }));
        assert_eq!(
            Head::parse(br#"{"v":2,"seq":41,"time_ms":5,"synced":40,"request_id":"r"}"#),
            None
        );
        assert_eq!(
            Head::parse(br#"{"v":1,"seq":,"time_ms":5,"synced":40,"request_id":"r"}"#),
            None
        );
        assert_eq!(Head::parse(br#"{"v":1, "seq":41}"#), None);
        assert_eq!(Head::parse(b""), None);
    }
}
