//! PKCS#10 certification requests, built here so that nobody hands in octets to be signed.

use crate::error::HsmError;
use crate::signature::SignatureValue;
use attest::algorithm::KeyType;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use const_oid::db::rfc8410;
use der::Decode;
use der::Encode;
use der::asn1::Any;
use der::asn1::BitString;
use std::str::FromStr;
use x509_cert::attr::Attributes;
use x509_cert::name::Name;
use x509_cert::request::CertReq;
use x509_cert::request::CertReqInfo;
use x509_cert::request::Version;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

/// Longest subject, in octets of its RFC 4514 text. Longer names do not occur and cost every later reader.
pub const MAX_SUBJECT_BYTES: usize = 1024;

/// DER of CertificationRequestInfo: version 1, the subject, the key, no attributes.
///
/// # Errors
/// [`HsmError::Subject`] when `subject` is no RFC 4514 text, empty, or longer than [`MAX_SUBJECT_BYTES`].
/// # Source
/// RFC 2986 §4.1.
pub(crate) fn info(spki_der: &[u8], subject: &str) -> Result<Vec<u8>, HsmError> {
    if subject.trim().is_empty() {
        return Err(HsmError::Subject("it is empty".into()));
    }
    if subject.len() > MAX_SUBJECT_BYTES {
        return Err(HsmError::Subject(format!("it is longer than {MAX_SUBJECT_BYTES} octets")));
    }
    let subject = Name::from_str(subject).map_err(|error| HsmError::Subject(error.to_string()))?;
    let public_key = SubjectPublicKeyInfoOwned::from_der(spki_der)
        .map_err(|_| HsmError::Malformed("no SubjectPublicKeyInfo"))?;
    let info =
        CertReqInfo { version: Version::V1, subject, public_key, attributes: Attributes::new() };
    info.to_der().map_err(|error| HsmError::Subject(error.to_string()))
}

/// DER of the CertificationRequest.
///
/// # Errors
/// [`HsmError::Unreachable`] when `info_der` is not what [`info`] made.
/// # Source
/// RFC 2986 §4.2; RFC 4055 §5 (RSA), RFC 5758 §3.2 (ECDSA), RFC 8410 §3 (Ed25519).
pub(crate) fn assemble(
    info_der: &[u8],
    key_type: KeyType,
    signature: &SignatureValue,
) -> Result<Vec<u8>, HsmError> {
    const UNREACHABLE: HsmError = HsmError::Unreachable("the request was encoded a moment ago");
    let request = CertReq {
        info: CertReqInfo::from_der(info_der).map_err(|_| UNREACHABLE)?,
        algorithm: algorithm(key_type),
        signature: BitString::from_bytes(signature.cms()).map_err(|_| UNREACHABLE)?,
    };
    request.to_der().map_err(|_| UNREACHABLE)
}

/// The algorithm of [`KeyType::default_scheme`].
fn algorithm(key_type: KeyType) -> AlgorithmIdentifierOwned {
    let with_null = |oid| AlgorithmIdentifierOwned { oid, parameters: Some(Any::null()) };
    let bare = |oid: ObjectIdentifier| AlgorithmIdentifierOwned { oid, parameters: None };
    match key_type {
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => {
            with_null(rfc5912::SHA_256_WITH_RSA_ENCRYPTION)
        }
        KeyType::P256 => bare(rfc5912::ECDSA_WITH_SHA_256),
        KeyType::P384 => bare(rfc5912::ECDSA_WITH_SHA_384),
        KeyType::P521 => bare(rfc5912::ECDSA_WITH_SHA_512),
        KeyType::Ed25519 => bare(rfc8410::ID_ED_25519),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subject_that_is_empty_malformed_or_long_is_refused() {
        let spki = hex::decode(
            "302a300506032b6570032100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        )
        .unwrap();
        assert!(info(&spki, "CN=Sato,C=JP").is_ok());
        for subject in ["", "  ", "Sato", "=x", &format!("CN={}", "x".repeat(MAX_SUBJECT_BYTES))] {
            assert!(matches!(info(&spki, subject), Err(HsmError::Subject(_))), "{subject}");
        }
    }
}
