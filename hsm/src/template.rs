//! The templates that keys are made from: every attribute that matters is said, none is left to the token's defaults.

use crate::error::HsmError;
use crate::spki;
use attest::algorithm::KeyType;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::object::ObjectClass;
use cryptoki::types::Ulong;

/// How pairs of `key_type` are made, and what the mechanism is called.
pub(crate) fn pair_mechanism(key_type: KeyType) -> (Mechanism<'static>, &'static str) {
    match key_type {
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => {
            (Mechanism::RsaPkcsKeyPairGen, "CKM_RSA_PKCS_KEY_PAIR_GEN")
        }
        KeyType::P256 | KeyType::P384 | KeyType::P521 => {
            (Mechanism::EccKeyPairGen, "CKM_EC_KEY_PAIR_GEN")
        }
        KeyType::Ed25519 => (Mechanism::EccEdwardsKeyPairGen, "CKM_EC_EDWARDS_KEY_PAIR_GEN"),
    }
}

/// Public half of a pair: readable without a login, verifies, and nothing else.
///
/// # Errors
/// [`HsmError::Unreachable`] when a key type has neither modulus nor curve.
/// # Source
/// PKCS #11 v3.1 §4.8 (public key objects), §6.1.4, §6.3.9.
pub(crate) fn public(
    key_type: KeyType,
    cka_id: &[u8],
    label: &str,
) -> Result<Vec<Attribute>, HsmError> {
    let mut template = vec![
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Id(cka_id.to_vec()),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Verify(true),
        Attribute::VerifyRecover(false),
        Attribute::Encrypt(false),
        Attribute::Wrap(false),
        Attribute::Derive(false),
        Attribute::Modifiable(false),
        Attribute::Copyable(false),
    ];
    match (key_type.rsa_bits(), spki::ec_params(key_type)) {
        (Some(bits), _) => {
            template.push(Attribute::ModulusBits(Ulong::new(bits)));
            template.push(Attribute::PublicExponent(spki::RSA_PUBLIC_EXPONENT.to_vec()));
        }
        (None, Some(params)) => template.push(Attribute::EcParams(params)),
        (None, None) => return Err(HsmError::Unreachable("a key type without size")),
    }
    Ok(template)
}

/// Private half of a pair: never leaves the token, signs, does nothing else, is never changed or copied.
///
/// # Source
/// PKCS #11 v3.1 §4.9 (private key objects). SoftHSM 2.6.1 takes every one of these, for all key types.
pub(crate) fn private(cka_id: &[u8], label: &str) -> Vec<Attribute> {
    vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Id(cka_id.to_vec()),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::SignRecover(false),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
        Attribute::Modifiable(false),
        Attribute::Copyable(false),
    ]
}

/// The house's MAC key: 256 bits that never leave the token and only make MACs.
///
/// # Source
/// PKCS #11 v3.1 §4.10 (secret key objects), §6.7 (generic secret keys).
pub(crate) fn mac_key(cka_id: &[u8], label: &str) -> Vec<Attribute> {
    vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Id(cka_id.to_vec()),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::ValueLen(Ulong::new(32)),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::Verify(false),
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
        Attribute::Modifiable(false),
        Attribute::Copyable(false),
    ]
}

/// A certificate beside its key.
///
/// # Source
/// PKCS #11 v3.1 §4.6.3 (X.509 public key certificate objects).
pub(crate) fn certificate(
    cka_id: &[u8],
    label: &str,
    subject_der: Vec<u8>,
    certificate_der: &[u8],
) -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::CERTIFICATE),
        Attribute::CertificateType(cryptoki::object::CertificateType::X_509),
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Id(cka_id.to_vec()),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Subject(subject_der),
        Attribute::Value(certificate_der.to_vec()),
        Attribute::Modifiable(false),
    ]
}
