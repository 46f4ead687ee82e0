//! Verification of the appliance's own signatures, outside the token.

use crate::error::HsmError;
use crate::signature::SignatureValue;
use crate::spki;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::SignatureScheme;
use aws_lc_rs::signature as lc;

/// Whether `signature` is one over `message` by the key of `spki_der`.
///
/// ECDSA digests of P-384 and P-521 keys that are not of [`KeyType::digest`](attest::algorithm::KeyType::digest) are not
/// supported: nothing in this crate makes them.
///
/// # Errors
/// [`HsmError::Malformed`] when `spki_der` is no SubjectPublicKeyInfo.
pub(crate) fn verifies(
    spki_der: &[u8],
    scheme: SignatureScheme,
    message: &[u8],
    signature: &SignatureValue,
) -> Result<bool, HsmError> {
    use DigestAlgorithm::*;
    let algorithm: &dyn lc::VerificationAlgorithm = match (scheme, signature.p1363().len()) {
        (SignatureScheme::RsaPkcs1 { digest: Sha256 }, _) => &lc::RSA_PKCS1_2048_8192_SHA256,
        (SignatureScheme::RsaPkcs1 { digest: Sha384 }, _) => &lc::RSA_PKCS1_2048_8192_SHA384,
        (SignatureScheme::RsaPkcs1 { digest: Sha512 }, _) => &lc::RSA_PKCS1_2048_8192_SHA512,
        (SignatureScheme::RsaPss { digest: Sha256, .. }, _) => &lc::RSA_PSS_2048_8192_SHA256,
        (SignatureScheme::RsaPss { digest: Sha384, .. }, _) => &lc::RSA_PSS_2048_8192_SHA384,
        (SignatureScheme::RsaPss { digest: Sha512, .. }, _) => &lc::RSA_PSS_2048_8192_SHA512,
        (SignatureScheme::Ecdsa { digest: Sha256 }, 64) => &lc::ECDSA_P256_SHA256_ASN1,
        (SignatureScheme::Ecdsa { digest: Sha384 }, 96) => &lc::ECDSA_P384_SHA384_ASN1,
        (SignatureScheme::Ecdsa { digest: Sha512 }, 132) => &lc::ECDSA_P521_SHA512_ASN1,
        (SignatureScheme::Ed25519, 64) => &lc::ED25519,
        _ => return Ok(false),
    };
    let key = lc::UnparsedPublicKey::new(algorithm, spki::subject_public_key(spki_der)?);
    Ok(key.verify(message, signature.cms()).is_ok())
}
