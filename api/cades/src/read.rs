//! Reading DER by hand: borrowed slices, definite lengths in their shortest form, nothing left over.

use crate::write::BIT_STRING;
use crate::write::GENERALIZED_TIME;
use crate::write::INTEGER;
use crate::write::OBJECT_IDENTIFIER;
use crate::write::OCTET_STRING;
use crate::write::UTC_TIME;

/// What was wrong with the encoding.
pub type Fault = &'static str;

/// One element: identifier octet, value, and the whole encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// The identifier octet.
    pub tag: u8,
    /// The contents octets.
    pub value: &'a [u8],
    /// Identifier, length and contents octets.
    pub der: &'a [u8],
}

/// Reads elements one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over the contents of something.
    pub fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    /// The next element.
    pub fn any(&mut self) -> Result<Element<'a>, Fault> {
        let (header_len, value_len) = header(self.rest)?;
        let end = header_len.checked_add(value_len).ok_or(TRUNCATED)?;
        let (der, rest) = self.rest.split_at_checked(end).ok_or(TRUNCATED)?;
        let value = der.get(header_len..).ok_or(TRUNCATED)?;
        let tag = der.first().copied().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(Element { tag, value, der })
    }

    /// The next element, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Result<Element<'a>, Fault> {
        match self.any()? {
            element if element.tag == tag => Ok(element),
            _ => Err("another tag is expected here"),
        }
    }

    /// The next element if it has this tag.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Fault> {
        match self.rest.first() {
            Some(next) if *next == tag => self.any().map(Some),
            _ => Ok(None),
        }
    }

    /// Goes into the next element, which must have this tag.
    pub fn enter(&mut self, tag: u8) -> Result<Reader<'a>, Fault> {
        self.expect(tag).map(|element| Reader::new(element.value))
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Ends the reading.
    pub fn finish(self) -> Result<(), Fault> {
        match self.is_empty() {
            true => Ok(()),
            false => Err("octets are left over"),
        }
    }
}

/// The only element in `der`, of this tag.
pub fn single(der: &[u8], tag: u8) -> Result<Element<'_>, Fault> {
    let mut reader = Reader::new(der);
    let element = reader.expect(tag)?;
    reader.finish()?;
    Ok(element)
}

/// The elements of a `SET OF`, which must stand in DER order without duplicates; at most `limit`.
pub fn set_of(value: &[u8], limit: usize) -> Result<Vec<Element<'_>>, Fault> {
    let mut reader = Reader::new(value);
    let mut elements: Vec<Element<'_>> = Vec::new();
    while !reader.is_empty() {
        let element = reader.any()?;
        if elements.last().is_some_and(|last| last.der >= element.der) {
            return Err("a SET OF is out of order or has duplicates");
        }
        if elements.len() == limit {
            return Err("a SET OF has too many elements");
        }
        elements.push(element);
    }
    Ok(elements)
}

/// Whether `value` is made of DER elements down to its leaves, as far as that shows without knowing the types.
///
/// # Source
/// X.690 §8.3.2 (INTEGER in the fewest octets), §8.8 (NULL), §10.1 (lengths), §10.2 (strings are primitive), §11.1
/// (BOOLEAN), §11.2 (unused bits are zero).
pub fn check_contents(value: &[u8], depth: usize) -> Result<(), Fault> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err("nested too deeply");
    };
    let mut reader = Reader::new(value);
    while !reader.is_empty() {
        let element = reader.any()?;
        match element.tag & CONSTRUCTED {
            0 => check_primitive(element)?,
            _ => check_constructed(element, depth)?,
        }
    }
    Ok(())
}

fn check_constructed(element: Element<'_>, depth: usize) -> Result<(), Fault> {
    const UNIVERSAL: u8 = 0x00;
    const CLASS: u8 = 0xc0;
    match element.tag {
        crate::write::SEQUENCE | crate::write::SET => {}
        tag if tag & CLASS == UNIVERSAL => return Err("a string is in pieces"),
        _ => {}
    }
    check_contents(element.value, depth)
}

fn check_primitive(element: Element<'_>) -> Result<(), Fault> {
    const BOOLEAN: u8 = 0x01;
    const NULL: u8 = 0x05;
    const ENUMERATED: u8 = 0x0a;
    const SEQUENCE_PRIMITIVE: u8 = 0x10;
    const SET_PRIMITIVE: u8 = 0x11;
    let good = match (element.tag, element.value) {
        (0x00 | SEQUENCE_PRIMITIVE | SET_PRIMITIVE, _) => false,
        (BOOLEAN, value) => matches!(value, [0x00 | 0xff]),
        (INTEGER | ENUMERATED, value) => is_integer(value),
        (BIT_STRING, value) => is_bit_string(value),
        (NULL, value) => value.is_empty(),
        (OBJECT_IDENTIFIER, value) => is_object_identifier(value),
        (UTC_TIME | GENERALIZED_TIME, value) => value.last() == Some(&b'Z'),
        (OCTET_STRING, _) | (_, _) => true,
    };
    match good {
        true => Ok(()),
        false => Err("a value is not in its DER form"),
    }
}

/// Whether these are the contents of an `INTEGER` in the fewest octets.
pub fn is_integer(value: &[u8]) -> bool {
    match value {
        [] | [0x00, 0x00..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => false,
        [..] => true,
    }
}

fn is_bit_string(value: &[u8]) -> bool {
    match value {
        [0] => true,
        [unused @ 0..=7, .., last] => last & ((1 << unused) - 1) == 0,
        _ => false,
    }
}

/// Whether these are the contents of an `OBJECT IDENTIFIER`: whole arcs, none beginning with a padding octet.
fn is_object_identifier(value: &[u8]) -> bool {
    let mut at_start = true;
    for octet in value {
        if at_start && *octet == 0x80 {
            return false;
        }
        at_start = octet & 0x80 == 0;
    }
    !value.is_empty() && at_start
}

/// Octets of the header and of the value.
fn header(octets: &[u8]) -> Result<(usize, usize), Fault> {
    const HIGH_TAG_NUMBER: u8 = 0x1f;
    let (tag, after_tag) = octets.split_first().ok_or(TRUNCATED)?;
    if tag & HIGH_TAG_NUMBER == HIGH_TAG_NUMBER {
        return Err("a tag number is above 30");
    }
    let (first, after_first) = after_tag.split_first().ok_or(TRUNCATED)?;
    match first {
        0x00..=0x7f => Ok((2, usize::from(*first))),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let length = after_first.get(..count).ok_or(TRUNCATED)?;
            let value = length.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet));
            match length.first() {
                Some(0) => Err(NOT_SHORTEST),
                _ if value < 0x80 => Err(NOT_SHORTEST),
                _ => Ok((2 + count, value)),
            }
        }
        0x80 => Err("a length is indefinite"),
        0x85..=0xff => Err("a length is beyond 4 GiB"),
    }
}

const CONSTRUCTED: u8 = 0x20;
const TRUNCATED: Fault = "it ends too early";
const NOT_SHORTEST: Fault = "a length is not in its shortest form";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::SEQUENCE;
    use crate::write::SET;
    use crate::write::element;
    use proptest::prelude::*;

    #[test]
    fn what_was_written_is_read() {
        for len in [0, 1, 127, 128, 255, 256, 65535, 65536] {
            let der = element(OCTET_STRING, &[&vec![9; len]]);
            let read = single(&der, OCTET_STRING).unwrap();
            assert_eq!((read.value.len(), read.der.len()), (len, der.len()));
        }
    }

    #[test]
    fn forms_that_are_ber_only_are_refused() {
        let cases: [(&[u8], &str); 8] = [
            (&[0x04, 0x81, 0x01, 0x00], "long form for a short length"),
            (&[0x04, 0x82, 0x00, 0x80, 0x00], "leading zero in the length"),
            (&[0x30, 0x80, 0x00, 0x00], "indefinite length"),
            (&[0x1f, 0x21, 0x00], "high tag number"),
            (&[0x04, 0x02, 0x00], "cut off"),
            (&[0x04], "no length"),
            (&[0x04, 0x85, 0x01, 0x00, 0x00, 0x00, 0x00], "five length octets"),
            (&[], "nothing"),
        ];
        for (der, why) in cases {
            assert!(Reader::new(der).any().is_err(), "{why}");
        }
        assert!(single(&[0x04, 0x00, 0x00], OCTET_STRING).is_err(), "trailing octet");
    }

    #[test]
    fn values_that_are_ber_only_are_refused() {
        let cases: [(&[u8], bool); 18] = [
            (&[0x01, 0x01, 0xff], true),
            (&[0x01, 0x01, 0x01], false),
            (&[0x02, 0x01, 0x00], true),
            (&[0x02, 0x02, 0x00, 0x80], true),
            (&[0x02, 0x02, 0x00, 0x7f], false),
            (&[0x02, 0x02, 0xff, 0x80], false),
            (&[0x02, 0x00], false),
            (&[0x03, 0x02, 0x07, 0x80], true),
            (&[0x03, 0x02, 0x07, 0x81], false),
            (&[0x03, 0x00], false),
            (&[0x05, 0x01, 0x00], false),
            (&[0x06, 0x03, 0x2a, 0x86, 0x48], true),
            (&[0x06, 0x02, 0x2a, 0x86], false),
            (&[0x06, 0x03, 0x2a, 0x80, 0x01], false),
            (&[0x24, 0x03, 0x04, 0x01, 0x00], false),
            (&[0xa0, 0x03, 0x04, 0x01, 0x00], true),
            (&[0xa0, 0x03, 0x04, 0x02, 0x00], false),
            (&[0x10, 0x00], false),
        ];
        for (der, good) in cases {
            assert_eq!(check_contents(der, 8).is_ok(), good, "{der:02x?}");
        }
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |levels| (0..levels).fold(Vec::new(), |der, _| element(SEQUENCE, &[&der]));
        assert_eq!(check_contents(&nested(7), 8), Ok(()));
        assert!(check_contents(&nested(8), 8).is_err());
    }

    #[test]
    fn set_out_of_order_is_refused() {
        assert_eq!(set_of(&[0x02, 1, 1, 0x02, 1, 2], 2).unwrap().len(), 2);
        assert!(set_of(&[0x02, 1, 2, 0x02, 1, 1], 2).is_err(), "descending");
        assert!(set_of(&[0x02, 1, 1, 0x02, 1, 1], 2).is_err(), "twice the same");
        assert!(set_of(&[0x02, 1, 1, 0x02, 1, 2], 1).is_err(), "one past the limit");
        assert_eq!(single(&element(SET, &[]), SET).unwrap().value, b"");
    }

    proptest! {
        #[test]
        fn reading_never_panics(octets: Vec<u8>) {
            let _ = Reader::new(&octets).any();
            let _ = set_of(&octets, 16);
            let _ = check_contents(&octets, 16);
        }
    }
}
