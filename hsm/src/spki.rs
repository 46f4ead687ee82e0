//! Public keys as tokens hold them, made into SubjectPublicKeyInfo.

use crate::error::HsmError;
use attest::algorithm::KeyType;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use const_oid::db::rfc8410;
use cryptoki::object::Attribute;
use cryptoki::object::AttributeType;
use cryptoki::object::KeyType as CkKeyType;
use der::Decode;
use der::Encode;
use der::Sequence;
use der::asn1::Any;
use der::asn1::BitString;
use der::asn1::OctetStringRef;
use der::asn1::UintRef;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// The attributes of a public key object that [`from_attributes`] needs.
pub(crate) const ATTRIBUTES: [AttributeType; 5] = [
    AttributeType::KeyType,
    AttributeType::Modulus,
    AttributeType::PublicExponent,
    AttributeType::EcParams,
    AttributeType::EcPoint,
];

/// ```text
/// RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }
/// ```
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
}

/// The SubjectPublicKeyInfo (DER) of a public key object, and what kind of key it is.
///
/// # Errors
/// [`HsmError::Malformed`] when an attribute is missing, of impossible shape, or the key is of no [`KeyType`].
/// # Source
/// PKCS #11 v3.1 §6.1.2, §6.3.3, §6.3.5 (attributes); RFC 3279 §2.3.1, RFC 5480 §2, RFC 8410 §4 (SubjectPublicKeyInfo).
pub(crate) fn from_attributes(attributes: &[Attribute]) -> Result<(KeyType, Vec<u8>), HsmError> {
    let family = attributes.iter().find_map(|attribute| match attribute {
        Attribute::KeyType(family) => Some(*family),
        _ => None,
    });
    match family {
        Some(CkKeyType::RSA) => rsa(attributes),
        Some(CkKeyType::EC) => ec(attributes),
        Some(CkKeyType::EC_EDWARDS) => edwards(attributes),
        _ => Err(HsmError::Malformed("a public key of an unknown kind")),
    }
}

/// The key itself, without its algorithm: what `aws_lc_rs::signature::UnparsedPublicKey` wants of every key type.
///
/// # Errors
/// [`HsmError::Malformed`] when `spki_der` is no SubjectPublicKeyInfo.
pub(crate) fn subject_public_key(spki_der: &[u8]) -> Result<&[u8], HsmError> {
    SubjectPublicKeyInfoRef::from_der(spki_der)
        .ok()
        .and_then(|spki| spki.subject_public_key.as_bytes())
        .ok_or(HsmError::Malformed("no SubjectPublicKeyInfo"))
}

/// The modulus of an RSA SubjectPublicKeyInfo, without leading zeros.
pub(crate) fn rsa_modulus(spki_der: &[u8]) -> Option<Vec<u8>> {
    let key = RsaPublicKey::from_der(subject_public_key(spki_der).ok()?).ok()?;
    Some(key.modulus.as_bytes().to_vec())
}

/// CKA_EC_PARAMS of a key type on a curve: DER OBJECT IDENTIFIER.
pub(crate) fn ec_params(key_type: KeyType) -> Option<Vec<u8>> {
    curve(key_type).and_then(|oid| oid.to_der().ok())
}

fn curve(key_type: KeyType) -> Option<ObjectIdentifier> {
    match key_type {
        KeyType::P256 => Some(rfc5912::SECP_256_R_1),
        KeyType::P384 => Some(rfc5912::SECP_384_R_1),
        KeyType::P521 => Some(rfc5912::SECP_521_R_1),
        KeyType::Ed25519 => Some(rfc8410::ID_ED_25519),
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => None,
    }
}

fn rsa(attributes: &[Attribute]) -> Result<(KeyType, Vec<u8>), HsmError> {
    const MISSING: HsmError = HsmError::Malformed("an RSA public key without modulus or exponent");
    let modulus = attributes.iter().find_map(|attribute| match attribute {
        Attribute::Modulus(octets) => Some(octets),
        _ => None,
    });
    let exponent = attributes.iter().find_map(|attribute| match attribute {
        Attribute::PublicExponent(octets) => Some(octets),
        _ => None,
    });
    let modulus = UintRef::new(modulus.ok_or(MISSING)?).map_err(|_| MISSING)?;
    let public_exponent = UintRef::new(exponent.ok_or(MISSING)?).map_err(|_| MISSING)?;
    let key_type = rsa_type(modulus.as_bytes())?;
    if public_exponent.as_bytes() != RSA_PUBLIC_EXPONENT {
        return Err(HsmError::Malformed("an RSA public exponent that is not 65537"));
    }
    let key = RsaPublicKey { modulus, public_exponent };
    let algorithm =
        AlgorithmIdentifierOwned { oid: rfc5912::RSA_ENCRYPTION, parameters: Some(Any::null()) };
    Ok((key_type, info(algorithm, &key.to_der().map_err(|_| MISSING)?)?))
}

/// e = 65537.
pub(crate) const RSA_PUBLIC_EXPONENT: [u8; 3] = [1, 0, 1];

fn rsa_type(modulus: &[u8]) -> Result<KeyType, HsmError> {
    let top_bit_set = modulus.first().is_some_and(|octet| octet & 0x80 != 0);
    match (modulus.len(), top_bit_set) {
        (256, true) => Ok(KeyType::Rsa2048),
        (384, true) => Ok(KeyType::Rsa3072),
        (512, true) => Ok(KeyType::Rsa4096),
        _ => Err(HsmError::Malformed(
            "an RSA modulus of another length than 2048, 3072 or 4096 bits",
        )),
    }
}

fn ec(attributes: &[Attribute]) -> Result<(KeyType, Vec<u8>), HsmError> {
    let params = ec_params_of(attributes)?;
    let key_type = [KeyType::P256, KeyType::P384, KeyType::P521]
        .into_iter()
        .find(|key_type| ec_params(*key_type).as_deref() == Some(params))
        .ok_or(HsmError::Malformed("a key on another curve than P-256, P-384 or P-521"))?;
    let point_len = match key_type {
        KeyType::P256 => 65,
        KeyType::P384 => 97,
        _ => 133,
    };
    let point = point(attributes, point_len)?;
    if point.first() != Some(&UNCOMPRESSED) {
        return Err(HsmError::Malformed("a point that is not in uncompressed form"));
    }
    let named_curve = Any::from_der(params).map_err(|_| HsmError::Malformed("no curve name"))?;
    let algorithm =
        AlgorithmIdentifierOwned { oid: rfc5912::ID_EC_PUBLIC_KEY, parameters: Some(named_curve) };
    Ok((key_type, info(algorithm, point)?))
}

/// First octet of an uncompressed point (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

fn edwards(attributes: &[Attribute]) -> Result<(KeyType, Vec<u8>), HsmError> {
    let params = ec_params_of(attributes)?;
    let by_oid = ec_params(KeyType::Ed25519);
    if by_oid.as_deref() != Some(params) && params != ED25519_CURVE_NAME {
        return Err(HsmError::Malformed("an Edwards key that is not Ed25519"));
    }
    let algorithm = AlgorithmIdentifierOwned { oid: rfc8410::ID_ED_25519, parameters: None };
    Ok((KeyType::Ed25519, info(algorithm, point(attributes, 32)?)?))
}

/// DER PrintableString `edwards25519`, the other name that PKCS #11 v3.1 §6.3.5 allows in CKA_EC_PARAMS.
const ED25519_CURVE_NAME: &[u8] = b"\x13\x0cedwards25519";

fn ec_params_of(attributes: &[Attribute]) -> Result<&[u8], HsmError> {
    attributes
        .iter()
        .find_map(|attribute| match attribute {
            Attribute::EcParams(octets) => Some(octets.as_slice()),
            _ => None,
        })
        .ok_or(HsmError::Malformed("a public key without CKA_EC_PARAMS"))
}

/// The point of `len` octets in CKA_EC_POINT: a DER OCTET STRING by the standard, bare with some modules. The length
/// tells them apart.
fn point(attributes: &[Attribute], len: usize) -> Result<&[u8], HsmError> {
    let octets = attributes
        .iter()
        .find_map(|attribute| match attribute {
            Attribute::EcPoint(octets) => Some(octets.as_slice()),
            _ => None,
        })
        .ok_or(HsmError::Malformed("a public key without CKA_EC_POINT"))?;
    if octets.len() == len {
        return Ok(octets);
    }
    match <&OctetStringRef>::from_der(octets) {
        Ok(point) if point.as_bytes().len() == len => Ok(point.as_bytes()),
        _ => Err(HsmError::Malformed("a point of another length than its curve's")),
    }
}

fn info(algorithm: AlgorithmIdentifierOwned, key: &[u8]) -> Result<Vec<u8>, HsmError> {
    const UNENCODABLE: HsmError = HsmError::Malformed("a public key that cannot be encoded");
    let subject_public_key = BitString::from_bytes(key).map_err(|_| UNENCODABLE)?;
    SubjectPublicKeyInfoOwned { algorithm, subject_public_key }.to_der().map_err(|_| UNENCODABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p256_attributes(point: Vec<u8>) -> Vec<Attribute> {
        vec![
            Attribute::KeyType(CkKeyType::EC),
            Attribute::EcParams(ec_params(KeyType::P256).unwrap()),
            Attribute::EcPoint(point),
        ]
    }

    fn point_octets() -> Vec<u8> {
        let mut octets = vec![0x55; 65];
        octets[0] = UNCOMPRESSED;
        octets
    }

    #[test]
    fn point_is_taken_wrapped_and_bare() {
        let mut wrapped = vec![0x04, 65];
        wrapped.extend(point_octets());
        let (key_type, from_wrapped) = from_attributes(&p256_attributes(wrapped)).unwrap();
        let (_, from_bare) = from_attributes(&p256_attributes(point_octets())).unwrap();
        assert_eq!(key_type, KeyType::P256);
        assert_eq!(from_wrapped, from_bare);
        assert_eq!(subject_public_key(&from_bare).unwrap(), point_octets());
    }

    #[test]
    fn point_that_is_short_compressed_or_absent_is_refused() {
        let mut compressed = point_octets();
        compressed[0] = 2;
        for point in [vec![], vec![4; 64], vec![4; 66], compressed] {
            assert!(from_attributes(&p256_attributes(point)).is_err());
        }
        assert!(from_attributes(&p256_attributes(point_octets())[..2]).is_err());
    }

    #[test]
    fn rsa_with_another_exponent_or_length_is_refused() {
        let attributes = |modulus: Vec<u8>, exponent: Vec<u8>| {
            vec![
                Attribute::KeyType(CkKeyType::RSA),
                Attribute::Modulus(modulus),
                Attribute::PublicExponent(exponent),
            ]
        };
        let (key_type, spki) =
            from_attributes(&attributes(vec![0xff; 256], vec![1, 0, 1])).unwrap();
        assert_eq!(key_type, KeyType::Rsa2048);
        assert_eq!(rsa_modulus(&spki).unwrap(), vec![0xff; 256]);
        assert!(from_attributes(&attributes(vec![0xff; 256], vec![3])).is_err());
        assert!(from_attributes(&attributes(vec![0xff; 128], vec![1, 0, 1])).is_err());
        assert!(from_attributes(&attributes(vec![0x7f; 256], vec![1, 0, 1])).is_err());
    }
}
