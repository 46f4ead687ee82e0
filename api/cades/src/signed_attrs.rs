//! The signed attributes of CAdES B-B: content-type, signing-time, message-digest, signing-certificate-v2, and no other.

use crate::algorithm::digest_algorithm_der;
use crate::error::CmsError;
use crate::read::Fault;
use crate::read::Reader;
use crate::read::check_contents;
use crate::read::set_of;
use crate::read::single;
use crate::time;
use crate::write::OBJECT_IDENTIFIER;
use crate::write::OCTET_STRING;
use crate::write::SEQUENCE;
use crate::write::SET;
use crate::write::element;
use crate::write::sort_set_of;
use attest::algorithm::ContentDigest;
use attest::algorithm::DigestAlgorithm;
use attest::clock::UnixSeconds;

/// `SignedAttributes`, DER with the tag of a `SET OF`: the octets to sign.
///
/// # Errors
/// [`CmsError::SigningTime`] after the year 9999.
/// # Source
/// RFC 5652 §5.3, §5.4, §11.1, §11.2, §11.3; EN 319 122-1 §6.3 (the attributes of level B-B).
pub fn write(
    content_digest: &ContentDigest,
    signing_time: UnixSeconds,
    signing_certificate_v2: &[u8],
) -> Result<Vec<u8>, CmsError> {
    let signing_time = attribute(SIGNING_TIME, &time::write(signing_time)?);
    let message_digest = element(OCTET_STRING, &[content_digest.as_bytes()]);
    let message_digest = attribute(MESSAGE_DIGEST, &message_digest);
    let mut attributes =
        [CONTENT_TYPE_DATA, &signing_time, &message_digest, signing_certificate_v2];
    sort_set_of(&mut attributes);
    Ok(element(SET, &attributes))
}

/// The signing-certificate-v2 attribute, DER. The hash is the one of the signature, so that the certificate is bound as
/// firmly as the content; SHA-256 is the default and left out in DER.
///
/// ```text
/// SigningCertificateV2 ::= SEQUENCE { certs SEQUENCE OF ESSCertIDv2, policies ... OPTIONAL }
/// ESSCertIDv2 ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier DEFAULT {id-sha256}, certHash Hash,
///                            issuerSerial IssuerSerial OPTIONAL }
/// IssuerSerial ::= SEQUENCE { issuer GeneralNames, serialNumber CertificateSerialNumber }
/// ```
/// # Source
/// RFC 5035 §3, §4; EN 319 122-1 §5.2.2.3 (the certificate of the signer comes first; here it is the only one).
pub fn signing_certificate_v2(
    digest: DigestAlgorithm,
    cert_hash: &[u8],
    issuer_der: &[u8],
    serial_der: &[u8],
) -> Vec<u8> {
    /// `directoryName [4]`; explicit, because a `Name` is a `CHOICE`.
    const DIRECTORY_NAME: u8 = 0xa4;
    let issuer = element(SEQUENCE, &[&element(DIRECTORY_NAME, &[issuer_der])]);
    let issuer_serial = element(SEQUENCE, &[&issuer, serial_der]);
    let hash_algorithm = match digest {
        DigestAlgorithm::Sha256 => &[],
        other => digest_algorithm_der(other),
    };
    let cert_hash = element(OCTET_STRING, &[cert_hash]);
    let ess_cert_id_v2 = element(SEQUENCE, &[hash_algorithm, &cert_hash, &issuer_serial]);
    let certs = element(SEQUENCE, &[&ess_cert_id_v2]);
    attribute(SIGNING_CERTIFICATE_V2, &element(SEQUENCE, &[&certs]))
}

/// Signed attributes, of whoever: a `SET OF Attribute` in DER.
#[derive(Clone, Debug)]
pub struct SignedAttrsView<'a> {
    /// Type (an `OBJECT IDENTIFIER`, DER) and values (contents of a `SET OF`).
    attributes: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> SignedAttrsView<'a> {
    /// Reads the contents of the set: DER down to the leaves, each attribute with a value.
    ///
    /// # Source
    /// RFC 5652 §5.3: `Attribute ::= SEQUENCE { attrType OBJECT IDENTIFIER, attrValues SET OF AttributeValue }`.
    pub fn parse(contents: &'a [u8]) -> Result<Self, Fault> {
        check_contents(contents, DEPTH_MAX)?;
        let attributes = set_of(contents, ATTRIBUTES_MAX)?;
        let attributes = attributes.into_iter().map(|attribute| {
            let mut fields = Reader::new(single(attribute.der, SEQUENCE)?.value);
            let attr_type = fields.expect(OBJECT_IDENTIFIER)?.der;
            let values = fields.expect(SET)?.value;
            fields.finish()?;
            match set_of(values, VALUES_MAX)?.is_empty() {
                true => Err("an attribute has no value"),
                false => Ok((attr_type, values)),
            }
        });
        Ok(Self { attributes: attributes.collect::<Result<_, Fault>>()? })
    }

    /// The content-type attribute: an `OBJECT IDENTIFIER`, DER.
    pub fn content_type(&self) -> Result<&'a [u8], Fault> {
        let values = self.only(CONTENT_TYPE).ok_or("not exactly one content-type")?;
        single(values, OBJECT_IDENTIFIER).map(|value| value.der)
    }

    /// The message-digest attribute.
    pub fn message_digest(&self) -> Result<&'a [u8], Fault> {
        let values = self.only(MESSAGE_DIGEST).ok_or("not exactly one message-digest")?;
        single(values, OCTET_STRING).map(|value| value.value)
    }

    /// The signing-time attribute: a `Time`, DER.
    pub fn signing_time(&self) -> Result<&'a [u8], Fault> {
        self.only(SIGNING_TIME).ok_or("not exactly one signing-time")
    }

    /// The values of the only attribute of this type.
    fn only(&self, attr_type: &[u8]) -> Option<&'a [u8]> {
        let mut found = self.attributes.iter().filter(|(found, _)| *found == attr_type);
        match (found.next(), found.next()) {
            (Some((_, values)), None) => Some(values),
            _ => None,
        }
    }
}

/// `Attribute` with one value.
fn attribute(attr_type: &[u8], value: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[attr_type, &element(SET, &[value])])
}

/// id-contentType.
pub const CONTENT_TYPE: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03";
/// id-messageDigest.
pub const MESSAGE_DIGEST: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04";
/// id-signingTime.
pub const SIGNING_TIME: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05";
/// id-aa-signingCertificateV2.
pub const SIGNING_CERTIFICATE_V2: &[u8] = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x2f";
/// The content-type attribute that says id-data.
const CONTENT_TYPE_DATA: &[u8] = b"\x30\x18\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03\
    \x31\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
/// Levels of nesting in signed attributes; a name in signing-certificate-v2 ends at the twelfth.
const DEPTH_MAX: usize = 24;
const ATTRIBUTES_MAX: usize = 32;
const VALUES_MAX: usize = 32;
