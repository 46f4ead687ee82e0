//! Names as text: RFC 4514, with everything that could deceive a reader or break a line escaped.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc4519;
use der::Encode;
use der::Tag;
use der::Tagged;
use der::asn1::Any;
use der::asn1::BmpString;
use std::fmt::Write;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::Name;

/// `name` as RFC 4514 text, most significant part last as the RFC has it.
///
/// Control characters, the bidirectional controls, zero-width characters and line separators are written as the hex pairs
/// of their UTF-8 octets, so that two different names never look the same in a log or on a page for such a reason.
pub fn printable(name: &Name) -> String {
    let mut rdns: Vec<String> = name
        .iter_rdn()
        .map(|rdn| rdn.iter().map(attribute).collect::<Vec<_>>().join("+"))
        .collect();
    rdns.reverse();
    rdns.join(",")
}

/// The letters and digits of all values, ASCII and lower case: equal for names that are equal (RFC 5280 §7.1), cheap to
/// compare, and far coarser than equality. It only spares comparisons.
pub(super) fn coarse(name: &Name) -> Vec<u8> {
    let values = name.iter_rdn().flat_map(|rdn| rdn.iter()).flat_map(|one| one.value.value());
    values.filter(|octet| octet.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect()
}

/// Whether `name` has the organization `organization`, in whatever string type and case.
pub(super) fn has_organization(name: &Name, organization: &str) -> bool {
    let attributes = name.iter_rdn().flat_map(|rdn| rdn.iter());
    let mut organizations = attributes.filter(|one| one.oid == rfc4519::O);
    organizations.any(|one| {
        text(&one.value).is_some_and(|text| text.trim().eq_ignore_ascii_case(organization))
    })
}

fn attribute(attribute: &AttributeTypeAndValue) -> String {
    let key = KEYWORDS
        .iter()
        .find(|(oid, _)| *oid == attribute.oid)
        .map_or_else(|| attribute.oid.to_string(), |(_, keyword)| (*keyword).to_owned());
    match text(&attribute.value) {
        Some(text) => format!("{key}={}", escape(&text)),
        // RFC 4514 §2.4: what has no string form is the hexadecimal of its BER.
        None => format!("{key}=#{}", hex::encode(attribute.value.to_der().unwrap_or_default())),
    }
}

fn text(value: &Any) -> Option<String> {
    match value.tag() {
        Tag::PrintableString | Tag::Utf8String | Tag::Ia5String => {
            String::from_utf8(value.value().to_vec()).ok()
        }
        // T.61 as everybody uses it: Latin-1.
        Tag::TeletexString => Some(value.value().iter().map(|octet| char::from(*octet)).collect()),
        Tag::BmpString => value.decode_as::<BmpString>().ok().map(|text| text.to_string()),
        _ => None,
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (place, character) in text.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => out.extend(['\\', character]),
            '#' | ' ' if place == 0 => out.extend(['\\', character]),
            ' ' if place == last => out.push_str("\\ "),
            _ if deceives(character) => hex_pairs(character, &mut out),
            _ => out.push(character),
        }
    }
    out
}

fn hex_pairs(character: char, out: &mut String) {
    let mut octets = [0; 4];
    for octet in character.encode_utf8(&mut octets).bytes() {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\{octet:02X}");
    }
}

/// Characters that change how others are shown, or cannot be seen: controls, bidirectional marks and embeddings (UAX #9),
/// zero-width characters, line and paragraph separators, tags, variation selectors.
pub(crate) fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E0FFF}')
}

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

/// RFC 4514 §3, and the attributes that HPKI certificates use besides.
const KEYWORDS: [(ObjectIdentifier, &str); 13] = [
    (oid("2.5.4.3"), "CN"),
    (oid("2.5.4.7"), "L"),
    (oid("2.5.4.8"), "ST"),
    (oid("2.5.4.10"), "O"),
    (oid("2.5.4.11"), "OU"),
    (oid("2.5.4.6"), "C"),
    (oid("2.5.4.9"), "STREET"),
    (oid("0.9.2342.19200300.100.1.25"), "DC"),
    (oid("0.9.2342.19200300.100.1.1"), "UID"),
    (oid("2.5.4.5"), "serialNumber"),
    (oid("2.5.4.4"), "SN"),
    (oid("2.5.4.42"), "givenName"),
    (oid("2.5.4.12"), "title"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;
    use x509_cert::attr::AttributeValue;

    fn name_with(value: AttributeValue) -> String {
        attribute(&AttributeTypeAndValue { oid: oid("2.5.4.3"), value })
    }

    fn utf8(text: &str) -> String {
        name_with(Any::new(Tag::Utf8String, text.as_bytes()).unwrap())
    }

    #[test]
    fn order_is_that_of_rfc4514() {
        let name = Name::from_str("CN=Sanjushi Kagurazaka,O=MEDIS,C=JP").unwrap();
        assert_eq!(printable(&name), "CN=Sanjushi Kagurazaka,O=MEDIS,C=JP");
    }

    #[test]
    fn special_characters_are_escaped() {
        assert_eq!(utf8("#a+b,c;d<e>\"f\\ "), "CN=\\#a\\+b\\,c\\;d\\<e\\>\\\"f\\\\\\ ");
        assert_eq!(utf8(" a"), "CN=\\ a");
    }

    #[test]
    fn c12_bidi_nul_and_invisible_characters_are_escaped() {
        assert_eq!(utf8("a\u{202E}b"), "CN=a\\E2\\80\\AEb");
        assert_eq!(utf8("a\0b\nc"), "CN=a\\00b\\0Ac");
        assert_eq!(utf8("a\u{200B}b\u{2066}c"), "CN=a\\E2\\80\\8Bb\\E2\\81\\A6c");
        assert_eq!(utf8("医師 神楽坂"), "CN=医師 神楽坂");
    }

    #[test]
    fn c12_full_width_digits_stay_distinct() {
        assert_ne!(utf8("１２３"), utf8("123"));
    }

    #[test]
    fn value_without_text_is_hexadecimal() {
        assert_eq!(name_with(Any::new(Tag::Integer, [5].as_slice()).unwrap()), "CN=#020105");
        assert_eq!(name_with(Any::new(Tag::Utf8String, [0xff].as_slice()).unwrap()), "CN=#0c01ff");
    }
}
