//! Signatures over certificates, CRLs and handshakes, verified by aws-lc-rs with an explicit list of algorithms.
//!
//! RSA (PKCS#1 v1.5 and PSS) from 2048 to 8192 bits, ECDSA on P-256, P-384 and P-521, each with SHA-2, and Ed25519.
//! Everything else, SHA-1 and MD5 first of all, is refused by name.

use crate::algorithm::DigestAlgorithm;
use crate::algorithm::SignatureScheme;
use aws_lc_rs::signature as aws;
use aws_lc_rs::signature::UnparsedPublicKey;
use aws_lc_rs::signature::VerificationAlgorithm;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use const_oid::db::rfc8410;
use der::Decode;
use der::Encode;
use der::Sequence;
use der::asn1::UintRef;
use spki::AlgorithmIdentifierOwned;
use spki::SubjectPublicKeyInfoOwned;

/// Why a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// The algorithm is not on the list.
    #[error("the signature algorithm {0} is not accepted")]
    Algorithm(String),
    /// The key is of another kind than the signature, too short, or no key at all.
    #[error("the public key does not fit the signature algorithm")]
    Key,
    /// The signature is not one of this key over these octets.
    #[error("the signature does not verify")]
    Mismatch,
}

/// Verifies `signature` over `message` by `key`.
///
/// # Shape
/// `signature`: RSA big-endian of modulus length; ECDSA DER `Ecdsa-Sig-Value`; Ed25519 64 octets. The salt of PSS has the
/// length of its digest.
/// # Errors
/// [`SignatureFault::Key`] when the kind of key cannot make a signature of `scheme`, otherwise [`SignatureFault::Mismatch`].
pub fn verify(
    scheme: SignatureScheme,
    key: &SubjectPublicKeyInfoOwned,
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureFault> {
    let algorithm = algorithm_for(scheme, key)?;
    let octets = key.subject_public_key.as_bytes().ok_or(SignatureFault::Key)?;
    UnparsedPublicKey::new(algorithm, octets)
        .verify(message, signature)
        .map_err(|_| SignatureFault::Mismatch)
}

/// Checks that a key is of a kind and length that is accepted: RSA of 2048 to 8192 bits in whole octets, the three
/// curves, Ed25519.
///
/// # Errors
/// [`SignatureFault::Key`].
pub fn check_key(key: &SubjectPublicKeyInfoOwned) -> Result<(), SignatureFault> {
    let accepted = match key.algorithm.oid {
        rfc5912::RSA_ENCRYPTION | rfc5912::ID_RSASSA_PSS => {
            rsa_bits(key).is_some_and(|bits| (2048..=8192).contains(&bits) && bits % 8 == 0)
        }
        rfc5912::ID_EC_PUBLIC_KEY => ecdsa(&curve_of(key)?, DigestAlgorithm::Sha256).is_ok(),
        rfc8410::ID_ED_25519 => true,
        _ => false,
    };
    if accepted { Ok(()) } else { Err(SignatureFault::Key) }
}

/// The scheme that an X.509 `AlgorithmIdentifier` names.
///
/// # Errors
/// [`SignatureFault::Algorithm`] with the dotted OID when it is not on the list or its parameters are not the usual ones.
/// # Source
/// RFC 4055 §3.1, §5; RFC 5758 §3.2; RFC 8410 §3.
pub fn scheme_of(algorithm: &AlgorithmIdentifierOwned) -> Result<SignatureScheme, SignatureFault> {
    use DigestAlgorithm::Sha256;
    use DigestAlgorithm::Sha384;
    use DigestAlgorithm::Sha512;
    let refused = || SignatureFault::Algorithm(algorithm.oid.to_string());
    let parameters = match &algorithm.parameters {
        None => Parameters::Absent,
        Some(any) if any.is_null() => Parameters::Null,
        Some(_) => Parameters::Other,
    };
    let scheme = match algorithm.oid {
        rfc5912::SHA_256_WITH_RSA_ENCRYPTION => SignatureScheme::RsaPkcs1 { digest: Sha256 },
        rfc5912::SHA_384_WITH_RSA_ENCRYPTION => SignatureScheme::RsaPkcs1 { digest: Sha384 },
        rfc5912::SHA_512_WITH_RSA_ENCRYPTION => SignatureScheme::RsaPkcs1 { digest: Sha512 },
        rfc5912::ECDSA_WITH_SHA_256 => SignatureScheme::Ecdsa { digest: Sha256 },
        rfc5912::ECDSA_WITH_SHA_384 => SignatureScheme::Ecdsa { digest: Sha384 },
        rfc5912::ECDSA_WITH_SHA_512 => SignatureScheme::Ecdsa { digest: Sha512 },
        rfc8410::ID_ED_25519 => SignatureScheme::Ed25519,
        rfc5912::ID_RSASSA_PSS => return pss_scheme(algorithm).ok_or_else(refused),
        _ => return Err(refused()),
    };
    let usual = match scheme {
        // RFC 4055 §5: NULL; an absent one is to be accepted as well.
        SignatureScheme::RsaPkcs1 { .. } => parameters != Parameters::Other,
        _ => parameters == Parameters::Absent,
    };
    if usual { Ok(scheme) } else { Err(refused()) }
}

#[derive(PartialEq, Eq)]
enum Parameters {
    Absent,
    Null,
    Other,
}

/// `RSASSA-PSS-params` (RFC 4055 §3.1); what DER leaves out are SHA-1 defaults, which are not accepted.
#[derive(Sequence)]
struct PssParameters {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    hash: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    mask_gen: Option<AlgorithmIdentifierOwned>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    salt_len: Option<u8>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    trailer: Option<u8>,
}

/// `RSAPublicKey` (RFC 8017 §A.1.1).
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
}

fn rsa_bits(key: &SubjectPublicKeyInfoOwned) -> Option<usize> {
    let key = RsaPublicKey::from_der(key.subject_public_key.as_bytes()?).ok()?;
    let modulus = key.modulus.as_bytes();
    let spare = usize::try_from(modulus.first()?.leading_zeros()).ok()?;
    modulus.len().checked_mul(8)?.checked_sub(spare)
}

fn pss_scheme(algorithm: &AlgorithmIdentifierOwned) -> Option<SignatureScheme> {
    let der = algorithm.parameters.as_ref()?.to_der().ok()?;
    let parameters = PssParameters::from_der(&der).ok()?;
    let hash = parameters.hash?;
    let digest = digest_of(&hash.oid)?;
    let mask_gen = parameters.mask_gen?;
    let mask_hash =
        AlgorithmIdentifierOwned::from_der(&mask_gen.parameters?.to_der().ok()?).ok()?;
    let salt_len = u8::try_from(digest.digest_len()).ok()?;
    let fits = mask_gen.oid == rfc5912::ID_MGF_1
        && mask_hash.oid == hash.oid
        && parameters.salt_len == Some(salt_len)
        && parameters.trailer.unwrap_or(1) == 1;
    fits.then_some(SignatureScheme::RsaPss { digest, salt_len })
}

fn digest_of(oid: &ObjectIdentifier) -> Option<DigestAlgorithm> {
    match *oid {
        rfc5912::ID_SHA_256 => Some(DigestAlgorithm::Sha256),
        rfc5912::ID_SHA_384 => Some(DigestAlgorithm::Sha384),
        rfc5912::ID_SHA_512 => Some(DigestAlgorithm::Sha512),
        _ => None,
    }
}

fn algorithm_for(
    scheme: SignatureScheme,
    key: &SubjectPublicKeyInfoOwned,
) -> Result<&'static dyn VerificationAlgorithm, SignatureFault> {
    let kind = key.algorithm.oid;
    let rsa = kind == rfc5912::RSA_ENCRYPTION;
    match scheme {
        SignatureScheme::RsaPkcs1 { digest } if rsa => Ok(match digest {
            DigestAlgorithm::Sha256 => &aws::RSA_PKCS1_2048_8192_SHA256,
            DigestAlgorithm::Sha384 => &aws::RSA_PKCS1_2048_8192_SHA384,
            DigestAlgorithm::Sha512 => &aws::RSA_PKCS1_2048_8192_SHA512,
        }),
        // RFC 4055 §1.2: a key named id-RSASSA-PSS is for PSS alone; the reverse is not so.
        SignatureScheme::RsaPss { digest, salt_len }
            if (rsa || kind == rfc5912::ID_RSASSA_PSS)
                && usize::from(salt_len) == digest.digest_len() =>
        {
            Ok(match digest {
                DigestAlgorithm::Sha256 => &aws::RSA_PSS_2048_8192_SHA256,
                DigestAlgorithm::Sha384 => &aws::RSA_PSS_2048_8192_SHA384,
                DigestAlgorithm::Sha512 => &aws::RSA_PSS_2048_8192_SHA512,
            })
        }
        SignatureScheme::Ecdsa { digest } if kind == rfc5912::ID_EC_PUBLIC_KEY => {
            ecdsa(&curve_of(key)?, digest)
        }
        SignatureScheme::Ed25519 if kind == rfc8410::ID_ED_25519 => Ok(&aws::ED25519),
        _ => Err(SignatureFault::Key),
    }
}

/// The named curve; explicit parameters are refused (RFC 5480 §2.1.1).
fn curve_of(key: &SubjectPublicKeyInfoOwned) -> Result<ObjectIdentifier, SignatureFault> {
    let parameters = key.algorithm.parameters.as_ref().ok_or(SignatureFault::Key)?;
    parameters.decode_as::<ObjectIdentifier>().map_err(|_| SignatureFault::Key)
}

fn ecdsa(
    curve: &ObjectIdentifier,
    digest: DigestAlgorithm,
) -> Result<&'static dyn VerificationAlgorithm, SignatureFault> {
    use DigestAlgorithm::Sha256;
    use DigestAlgorithm::Sha384;
    use DigestAlgorithm::Sha512;
    Ok(match (*curve, digest) {
        (rfc5912::SECP_256_R_1, Sha256) => &aws::ECDSA_P256_SHA256_ASN1,
        (rfc5912::SECP_256_R_1, Sha384) => &aws::ECDSA_P256_SHA384_ASN1,
        (rfc5912::SECP_256_R_1, Sha512) => &aws::ECDSA_P256_SHA512_ASN1,
        (rfc5912::SECP_384_R_1, Sha256) => &aws::ECDSA_P384_SHA256_ASN1,
        (rfc5912::SECP_384_R_1, Sha384) => &aws::ECDSA_P384_SHA384_ASN1,
        (rfc5912::SECP_384_R_1, Sha512) => &aws::ECDSA_P384_SHA512_ASN1,
        (rfc5912::SECP_521_R_1, Sha256) => &aws::ECDSA_P521_SHA256_ASN1,
        (rfc5912::SECP_521_R_1, Sha384) => &aws::ECDSA_P521_SHA384_ASN1,
        (rfc5912::SECP_521_R_1, Sha512) => &aws::ECDSA_P521_SHA512_ASN1,
        _ => return Err(SignatureFault::Key),
    })
}
