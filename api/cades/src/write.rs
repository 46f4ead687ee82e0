//! Writing DER by hand: definite lengths in their shortest form, nothing else is needed.

/// `INTEGER`.
pub const INTEGER: u8 = 0x02;
/// `BIT STRING`.
pub const BIT_STRING: u8 = 0x03;
/// `OCTET STRING`.
pub const OCTET_STRING: u8 = 0x04;
/// `OBJECT IDENTIFIER`.
pub const OBJECT_IDENTIFIER: u8 = 0x06;
/// `UTCTime`.
pub const UTC_TIME: u8 = 0x17;
/// `GeneralizedTime`.
pub const GENERALIZED_TIME: u8 = 0x18;
/// `SEQUENCE` and `SEQUENCE OF`.
pub const SEQUENCE: u8 = 0x30;
/// `SET` and `SET OF`.
pub const SET: u8 = 0x31;
/// `[0]`, constructed: an explicit tag, or an implicit one on something constructed.
pub const CONTEXT_0: u8 = 0xa0;

/// One element: `tag`, the length of all `parts` together, the parts.
pub fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(element_len(len));
    push_header(&mut out, tag, len);
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// Octets of an element whose value has `value_len` octets.
pub fn element_len(value_len: usize) -> usize {
    1 + length_octets(value_len) + value_len
}

/// Appends identifier and length octets.
///
/// # Source
/// X.690 §8.1.3 and §10.1: the definite form, in the fewest octets.
pub fn push_header(out: &mut Vec<u8>, tag: u8, value_len: usize) {
    out.push(tag);
    let octets = value_len.to_be_bytes();
    let short = length_octets(value_len) == 1;
    let used = if short { 1 } else { length_octets(value_len) - 1 };
    if let (false, Ok(count)) = (short, u8::try_from(used)) {
        out.push(0x80 | count);
    }
    out.extend(octets.into_iter().skip(octets.len() - used));
}

/// The elements of a `SET OF`, put in the order DER wants.
///
/// # Source
/// X.690 §11.6: ascending, compared as octet strings. No element is a prefix of another, so the zero padding of that
/// comparison never decides.
pub fn sort_set_of<T: AsRef<[u8]>>(elements: &mut [T]) {
    elements.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
}

fn length_octets(value_len: usize) -> usize {
    match value_len {
        0..=0x7f => 1,
        more => 1 + (usize::BITS - more.leading_zeros()).div_ceil(8) as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use der::Encode;
    use der::asn1::OctetStringRef;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lengths_are_those_of_the_der_crate(len in prop_oneof![0usize..600, 60_000usize..70_000, Just(1 << 24)]) {
            let value = vec![7; len];
            let ours = element(OCTET_STRING, &[&value]);
            prop_assert_eq!(ours.len(), element_len(len));
            prop_assert_eq!(ours, OctetStringRef::new(&value).unwrap().to_der().unwrap());
        }
    }

    #[test]
    fn set_is_ordered_by_encoding_not_by_meaning() {
        let mut set = [vec![0x30, 0x03, 1, 1, 1], vec![0x04, 0x01, 9], vec![0x30, 0x02, 9, 9]];
        sort_set_of(&mut set);
        assert_eq!(set, [vec![0x04, 0x01, 9], vec![0x30, 0x02, 9, 9], vec![0x30, 0x03, 1, 1, 1]]);
    }
}
