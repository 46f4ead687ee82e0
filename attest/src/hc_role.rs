//! hcRole: the health professional's qualification in a certificate (ISO 17090, as HPKI encodes it).
//!
//! ```text
//! SubjectDirectoryAttributes ::= SEQUENCE OF Attribute               -- extension 2.5.29.9
//! Attribute   ::= SEQUENCE { type OID (1.0.17090.0.1), values SET OF HCActorData }
//! HCActorData ::= SET OF HCActor
//! HCActor     ::= SEQUENCE { codedData [0] EXPLICIT CodedData,
//!                            regionalHCActorData [1] EXPLICIT SEQUENCE OF RegionalData OPTIONAL }
//! CodedData   ::= SET { codingSchemeReference [0] EXPLICIT OBJECT IDENTIFIER,
//!                       codeDataValue [1] EXPLICIT NumericString OPTIONAL,
//!                       codeDataFreeText [2] EXPLICIT DirectoryString }
//! ```
//! A role is its free text, compared exactly and case-sensitively, and only under HPKI's coding scheme. An unknown text is no
//! role: it never becomes "doctor". A certificate without the extension has no role either; clerks' cards are like that.

use crate::path::Certificate;
use crate::path::deceives;
use const_oid::ObjectIdentifier;
use der::Decode;
use der::Header;
use der::Reader;
use der::SliceReader;
use der::Tag;
use der::TagNumber;
use serde::Deserialize;
use serde::Serialize;

/// Longest extension value read.
pub const MAX_EXTENSION_BYTES: usize = 4096;
/// Most roles in one certificate: nobody holds more national qualifications.
pub const MAX_ROLES: usize = 16;
/// Longest role text, octets.
pub const MAX_TEXT_BYTES: usize = 128;

/// The five names that are confirmed (2004 certificate policy; two of them seen on cards), with their Japanese.
pub const CONFIRMED_ROLES: [(&str, &str); 5] = [
    ("Medical Doctor", "医師"),
    ("Dentist", "歯科医師"),
    ("Pharmacist", "薬剤師"),
    ("Medical Technologist", "臨床検査技師"),
    ("Radiological Technologist", "診療放射線技師"),
];

/// One role as a certificate has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HcRole {
    /// codeDataFreeText: `Medical Doctor`.
    pub text: String,
    /// Whether the coding scheme is HPKI's; a text of another scheme is no role here.
    pub is_hpki: bool,
}

impl HcRole {
    /// Whether this is the role `name` of HPKI, exactly.
    pub fn is(&self, name: &str) -> bool {
        self.is_hpki && self.text == name
    }
}

/// Why the extension cannot be read. An unreadable role is refused, not overlooked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HcRoleError {
    /// Longer than [`MAX_EXTENSION_BYTES`], more than [`MAX_ROLES`], or a text longer than [`MAX_TEXT_BYTES`].
    #[error("the role extension exceeds a limit: {0}")]
    Limit(&'static str),
    /// Not the structure above.
    #[error("the role extension is not well formed: {0}")]
    Encoding(String),
    /// A text that nobody could compare: empty, or with control or invisible characters.
    #[error("the role extension contains a text that cannot be shown")]
    Text,
}

impl From<der::Error> for HcRoleError {
    fn from(error: der::Error) -> Self {
        Self::Encoding(error.to_string())
    }
}

/// The roles in a certificate; empty without the extension.
///
/// # Errors
/// [`HcRoleError`].
pub fn roles_of(certificate: &Certificate) -> Result<Vec<HcRole>, HcRoleError> {
    match certificate.extension(&SUBJECT_DIRECTORY_ATTRIBUTES) {
        None => Ok(Vec::new()),
        Some((_, value)) => parse_attributes(value),
    }
}

/// Parses the value of a subjectDirectoryAttributes extension; attributes of other types are passed over.
///
/// # Errors
/// [`HcRoleError`].
pub fn parse_attributes(value: &[u8]) -> Result<Vec<HcRole>, HcRoleError> {
    if value.len() > MAX_EXTENSION_BYTES {
        return Err(HcRoleError::Limit("extension"));
    }
    let mut roles = Vec::new();
    let mut reader = SliceReader::new(value)?;
    reader.sequence(|attributes| {
        while !attributes.is_finished() {
            attributes.sequence(|attribute| parse_attribute(attribute, &mut roles))?;
        }
        Ok::<_, HcRoleError>(())
    })?;
    reader.finish()?;
    Ok(roles)
}

/// Parses one DER `HCActor`.
///
/// # Errors
/// [`HcRoleError`].
pub fn parse_actor(der: &[u8]) -> Result<HcRole, HcRoleError> {
    if der.len() > MAX_EXTENSION_BYTES {
        return Err(HcRoleError::Limit("actor"));
    }
    let mut reader = SliceReader::new(der)?;
    let role = reader.sequence(read_actor)?;
    reader.finish()?;
    Ok(role)
}

fn parse_attribute(
    attribute: &mut SliceReader<'_>,
    roles: &mut Vec<HcRole>,
) -> Result<(), HcRoleError> {
    let kind = ObjectIdentifier::decode(attribute)?;
    if kind != HEALTHCARE_ACTOR {
        while !attribute.is_finished() {
            attribute.tlv_bytes()?;
        }
        return Ok(());
    }
    nested(attribute, Tag::Set, |values| {
        while !values.is_finished() {
            nested(values, Tag::Set, |actors| {
                while !actors.is_finished() {
                    roles.push(actors.sequence(read_actor)?);
                    if roles.len() > MAX_ROLES {
                        return Err(HcRoleError::Limit("roles"));
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    })
}

fn read_actor(actor: &mut SliceReader<'_>) -> Result<HcRole, HcRoleError> {
    let role = nested(actor, explicit(0), |coded| nested(coded, Tag::Set, read_coded_data))?;
    // regionalHCActorData: "do not use" in HPKI, seen empty; well formed or refused, never read.
    if !actor.is_finished() {
        nested(actor, explicit(1), |regional| {
            regional.sequence(|data| {
                while !data.is_finished() {
                    data.tlv_bytes()?;
                }
                Ok::<_, HcRoleError>(())
            })
        })?;
    }
    Ok(role)
}

/// DER orders the members of the SET by tag, so they come as they are written.
fn read_coded_data(data: &mut SliceReader<'_>) -> Result<HcRole, HcRoleError> {
    let scheme = nested(data, explicit(0), |inner| Ok(ObjectIdentifier::decode(inner)?))?;
    if next_is(data, explicit(1)) {
        nested(data, explicit(1), read_numeric)?;
    }
    let text = nested(data, explicit(2), read_directory_string)?;
    Ok(HcRole { text, is_hpki: scheme == HPKI_CODING_SCHEME })
}

/// codeDataValue: "do not use" in HPKI; seen, so it is read and not kept.
fn read_numeric(inner: &mut SliceReader<'_>) -> Result<(), HcRoleError> {
    let digits = value_of(inner, Tag::NumericString)?;
    match digits.len() <= MAX_TEXT_BYTES
        && digits.iter().all(|octet| octet.is_ascii_digit() || *octet == b' ')
    {
        true => Ok(()),
        false => Err(HcRoleError::Text),
    }
}

/// UTF8String, as the certificate policy says; PrintableString, whose octets are the same.
fn read_directory_string(inner: &mut SliceReader<'_>) -> Result<String, HcRoleError> {
    let tag =
        if next_is(inner, Tag::PrintableString) { Tag::PrintableString } else { Tag::Utf8String };
    let octets = value_of(inner, tag)?;
    if octets.len() > MAX_TEXT_BYTES {
        return Err(HcRoleError::Limit("text"));
    }
    let text = std::str::from_utf8(octets).map_err(|_| HcRoleError::Text)?;
    match text.is_empty() || text.chars().any(deceives) {
        true => Err(HcRoleError::Text),
        false => Ok(text.to_owned()),
    }
}

/// Reads one value of `tag` whose content `read` must use up.
fn nested<'r, T>(
    reader: &mut SliceReader<'r>,
    tag: Tag,
    read: impl FnOnce(&mut SliceReader<'r>) -> Result<T, HcRoleError>,
) -> Result<T, HcRoleError> {
    let header = Header::decode(reader)?;
    header.tag().assert_eq(tag)?;
    reader.read_nested(header.length(), read)
}

fn value_of<'r>(reader: &mut SliceReader<'r>, tag: Tag) -> Result<&'r [u8], HcRoleError> {
    let header = Header::decode(reader)?;
    header.tag().assert_eq(tag)?;
    Ok(reader.read_slice(header.length())?)
}

fn next_is(reader: &SliceReader<'_>, tag: Tag) -> bool {
    Tag::peek(reader).is_ok_and(|next| next == tag)
}

fn explicit(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

const SUBJECT_DIRECTORY_ATTRIBUTES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.9");
const HEALTHCARE_ACTOR: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.0.17090.0.1");
const HPKI_CODING_SCHEME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.392.100495.1.6.1.1");

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    /// The whole extension value of the published doctor's test card.
    const DOCTOR: &str = "303430320606288185420001312831263024A0223120A00C060A2A830886910F01060101\
                          A2100C0E4D65646963616C20446F63746F72";

    fn doctor() -> Vec<u8> {
        hex::decode(DOCTOR).unwrap()
    }

    fn actor(text: &str) -> Result<HcRole, HcRoleError> {
        parse_actor(&STANDARD.decode(text).unwrap())
    }

    #[test]
    fn extension_of_the_doctors_card_is_read() {
        let roles = parse_attributes(&doctor()).unwrap();
        assert_eq!(roles, [HcRole { text: "Medical Doctor".into(), is_hpki: true }]);
    }

    #[test]
    fn published_actor_vectors_are_read() {
        let doctor = actor("MCSgIjEgoAwGCiqDCIaRDwEGAQGiEAwOTWVkaWNhbCBEb2N0b3I=").unwrap();
        let with_code = actor("MCegJTEjoAwGCiqDCIaRDwEGAQGhBRIDMTIzogwMClBoYXJtYWNpc3Q=").unwrap();
        let with_region =
            actor("MCugJTEjoAwGCiqDCIaRDwEGAQGhBRIDMTIzogwMClBoYXJtYWNpc3ShAjAA").unwrap();
        assert!(doctor.is("Medical Doctor"));
        assert!(with_code.is("Pharmacist"));
        assert!(with_region.is("Pharmacist"));
    }

    #[test]
    fn role_is_compared_exactly() {
        let role = HcRole { text: "Medical Doctor".into(), is_hpki: true };
        for other in ["medical doctor", "Medical Doctor ", "Medical  Doctor", "Medical", ""] {
            assert!(!role.is(other), "{other:?}");
        }
        let foreign = HcRole { is_hpki: false, ..role };
        assert!(!foreign.is("Medical Doctor"));
    }

    #[test]
    fn text_of_another_coding_scheme_is_no_role() {
        let mut der = doctor();
        let last_arc = der.iter().position(|octet| *octet == 0xA2).unwrap() - 1;
        der[last_arc] = 2;
        let roles = parse_attributes(&der).unwrap();
        assert!(!roles[0].is_hpki);
    }

    #[test]
    fn trailing_octets_are_refused() {
        let mut der = doctor();
        der.push(0);
        assert!(parse_attributes(&der).is_err());
    }

    #[test]
    fn invisible_characters_in_a_role_are_refused() {
        let mut der = doctor();
        let end = der.len();
        der[end - 1] = 0;
        assert_eq!(parse_attributes(&der), Err(HcRoleError::Text));
    }

    #[test]
    fn one_octet_more_than_the_limit_is_refused() {
        let at = [&[0x04, 0x82, 0x0F, 0xFC][..], &[0; 4092]].concat();
        assert!(matches!(parse_attributes(&at), Err(HcRoleError::Encoding(_))));
        let past = [&[0x04, 0x82, 0x0F, 0xFD][..], &[0; 4093]].concat();
        assert_eq!(parse_attributes(&past), Err(HcRoleError::Limit("extension")));
    }

    #[test]
    fn every_truncation_and_every_changed_octet_is_no_other_role() {
        let whole = doctor();
        for end in 0..whole.len() {
            assert!(parse_attributes(&whole[..end]).is_err(), "{end}");
        }
        for index in 0..whole.len() {
            let mut changed = whole.clone();
            changed[index] ^= 0x01;
            if let Ok(roles) = parse_attributes(&changed) {
                assert!(roles.iter().all(|role| !role.is("Medical Doctor")), "{index}");
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_octets_do_not_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_attributes(&octets);
            let _ = parse_actor(&octets);
        }

        #[test]
        fn damaged_extension_does_not_panic(index in 0usize..54, octet: u8) {
            let mut der = doctor();
            der[index] = octet;
            let _ = parse_attributes(&der);
        }
    }
}
