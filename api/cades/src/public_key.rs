//! The public key of a credential, and the one verification that every signature passes before it leaves.

use crate::algorithm;
use crate::algorithm::KeyAlgorithm;
use crate::error::CertificateFault;
use crate::error::CmsError;
use crate::read::Fault;
use crate::read::Reader;
use crate::read::is_integer;
use crate::read::single;
use crate::write::BIT_STRING;
use crate::write::INTEGER;
use crate::write::SEQUENCE;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::Dtbsr;
use attest::algorithm::KeyType;
use attest::algorithm::SignatureScheme;
use aws_lc_rs::digest::Digest;
use aws_lc_rs::signature;
use aws_lc_rs::signature::ParsedPublicKey;
use aws_lc_rs::signature::RsaParameters;
use aws_lc_rs::signature::RsaPssSaltLength;
use aws_lc_rs::signature::VerificationAlgorithm;

/// A public key, parsed once.
#[derive(Clone, Debug)]
pub struct PublicKey {
    key_type: KeyType,
    spki_der: Vec<u8>,
    /// Ready for the default scheme of `key_type`; the others parse `spki_der` each time.
    parsed: ParsedPublicKey,
}

impl PublicKey {
    /// Parses a `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    /// [`CertificateFault::UnknownKey`] for a kind or size of key that is not in [`KeyType`];
    /// [`CertificateFault::Malformed`] when it is no DER or no key (a point that is not on its curve, say).
    /// # Source
    /// RFC 5280 §4.1.2.7; RFC 3279 §2.3.1; RFC 5480 §2; RFC 8410 §4.
    pub fn from_spki_der(spki_der: &[u8]) -> Result<Self, CertificateFault> {
        let key_type = key_type(spki_der)
            .map_err(CertificateFault::Malformed)?
            .ok_or(CertificateFault::UnknownKey)?;
        let algorithm = verification_algorithm(key_type, key_type.default_scheme())
            .ok_or(CertificateFault::UnknownKey)?;
        let parsed = ParsedPublicKey::new(algorithm, spki_der)
            .map_err(|_| CertificateFault::Malformed("its public key is no key of its kind"))?;
        Ok(Self { key_type, spki_der: spki_der.to_vec(), parsed })
    }

    /// The kind of key.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// The `SubjectPublicKeyInfo`, DER, as it was given.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// Verifies `signature` over `message` (the octets themselves, not their digest).
    ///
    /// # Shape
    /// `signature`: RSA: big-endian, as long as the modulus. ECDSA: DER `Ecdsa-Sig-Value`. Ed25519: 64 octets.
    /// # Errors
    /// [`CmsError::SignatureInvalid`] when it does not verify; [`CmsError::Scheme`] when this kind of key makes no such
    /// signature.
    /// # Source
    /// RFC 8017 §8.1.2, §8.2.2; FIPS 186-5 §6.4.2; RFC 8032 §5.1.7.
    pub fn verify(
        &self,
        scheme: SignatureScheme,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CmsError> {
        let valid = if scheme == self.key_type.default_scheme() {
            self.parsed.verify_sig(message, signature)
        } else {
            let algorithm = verification_algorithm(self.key_type, scheme)
                .ok_or(CmsError::Scheme { key_type: self.key_type, scheme })?;
            algorithm.verify_sig(&self.spki_der, message, signature)
        };
        valid.map_err(|_| CmsError::SignatureInvalid)
    }

    /// Verifies `signature` over the octets whose digest is `dtbsr`, by the default scheme of this key.
    ///
    /// # Errors
    /// See [`PublicKey::verify`]. [`CmsError::Scheme`] for Ed25519 too, which signs no digest.
    pub fn verify_digest(
        &self,
        scheme: SignatureScheme,
        dtbsr: &Dtbsr,
        signature: &[u8],
    ) -> Result<(), CmsError> {
        if scheme != self.key_type.default_scheme() || scheme.digest() != Some(dtbsr.algorithm()) {
            return Err(CmsError::Scheme { key_type: self.key_type, scheme });
        }
        let implementation = dtbsr.algorithm().implementation();
        Digest::import_less_safe(dtbsr.as_bytes(), implementation)
            .and_then(|digest| self.parsed.verify_digest_sig(&digest, signature))
            .map_err(|_| CmsError::SignatureInvalid)
    }
}

fn key_type(spki_der: &[u8]) -> Result<Option<KeyType>, Fault> {
    let mut spki = Reader::new(single(spki_der, SEQUENCE)?.value);
    let algorithm = spki.expect(SEQUENCE)?;
    let subject_public_key = spki.expect(BIT_STRING)?;
    spki.finish()?;
    let Some((0, key)) = subject_public_key.value.split_first() else {
        return Err("its public key does not consist of whole octets");
    };
    match algorithm::read_key_algorithm(algorithm.der) {
        None => Ok(None),
        Some(KeyAlgorithm::Of(key_type)) => Ok(Some(key_type)),
        Some(KeyAlgorithm::Rsa) => rsa_key_type(key),
    }
}

fn rsa_key_type(rsa_public_key_der: &[u8]) -> Result<Option<KeyType>, Fault> {
    let mut rsa_public_key = Reader::new(single(rsa_public_key_der, SEQUENCE)?.value);
    let modulus = rsa_public_key.expect(INTEGER)?.value;
    let public_exponent = rsa_public_key.expect(INTEGER)?.value;
    rsa_public_key.finish()?;
    if !is_integer(modulus) || !is_integer(public_exponent) {
        return Err("a number in its public key is not in its DER form");
    }
    // A leading zero octet stands before a highest bit that is set: the modulus has exactly 8 bits for each other octet.
    Ok(match modulus {
        [0, rest @ ..] => {
            KeyType::ALL.into_iter().find(|key_type| key_type.rsa_bits() == Some(bits(rest)))
        }
        _ => None,
    })
}

fn bits(octets: &[u8]) -> u64 {
    u64::try_from(octets.len()).unwrap_or(u64::MAX).saturating_mul(8)
}

fn verification_algorithm(
    key_type: KeyType,
    scheme: SignatureScheme,
) -> Option<&'static dyn VerificationAlgorithm> {
    use DigestAlgorithm::*;
    if !algorithm::can_sign(key_type, scheme) {
        return None;
    }
    Some(match (scheme, key_type) {
        (SignatureScheme::RsaPkcs1 { digest: Sha256 }, _) => &signature::RSA_PKCS1_2048_8192_SHA256,
        (SignatureScheme::RsaPkcs1 { digest: Sha384 }, _) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (SignatureScheme::RsaPkcs1 { digest: Sha512 }, _) => &signature::RSA_PKCS1_2048_8192_SHA512,
        (SignatureScheme::RsaPss { digest, salt_len }, _) => rsa_pss(digest, salt_len)?,
        (SignatureScheme::Ecdsa { digest: Sha256 }, KeyType::P256) => {
            &signature::ECDSA_P256_SHA256_ASN1
        }
        (SignatureScheme::Ecdsa { digest: Sha256 }, KeyType::P384) => {
            &signature::ECDSA_P384_SHA256_ASN1
        }
        (SignatureScheme::Ecdsa { digest: Sha384 }, KeyType::P384) => {
            &signature::ECDSA_P384_SHA384_ASN1
        }
        (SignatureScheme::Ecdsa { digest: Sha256 }, KeyType::P521) => {
            &signature::ECDSA_P521_SHA256_ASN1
        }
        (SignatureScheme::Ecdsa { digest: Sha384 }, KeyType::P521) => {
            &signature::ECDSA_P521_SHA384_ASN1
        }
        (SignatureScheme::Ecdsa { digest: Sha512 }, KeyType::P521) => {
            &signature::ECDSA_P521_SHA512_ASN1
        }
        (SignatureScheme::Ed25519, KeyType::Ed25519) => &signature::ED25519,
        (SignatureScheme::Ecdsa { .. } | SignatureScheme::Ed25519, _) => return None,
    })
}

/// RSASSA-PSS with exactly this salt length: a verifier that takes any would not notice a token that chose another one than
/// the parameters will say.
fn rsa_pss(digest: DigestAlgorithm, salt_len: u8) -> Option<&'static dyn VerificationAlgorithm> {
    let by_salt_len = match digest {
        DigestAlgorithm::Sha256 => &RSA_PSS_SHA256,
        DigestAlgorithm::Sha384 => &RSA_PSS_SHA384,
        DigestAlgorithm::Sha512 => &RSA_PSS_SHA512,
    };
    let parameters: &'static RsaParameters = by_salt_len.get(usize::from(salt_len))?;
    Some(parameters)
}

/// `RsaParameters` for each salt length from 0 to 255, since the library wants them to live for ever. A macro, because a
/// function cannot take a constant that is no `Copy`.
macro_rules! for_each_salt_len {
    ($parameters:path) => {{
        let mut by_salt_len = [const { $parameters }; 256];
        let mut salt_len: u16 = 0;
        while salt_len < 256 {
            by_salt_len[salt_len as usize] =
                $parameters.with_pss_salt_length(RsaPssSaltLength::Custom(salt_len));
            salt_len += 1;
        }
        by_salt_len
    }};
}

#[expect(clippy::indexing_slicing, reason = "at compile time: the index ends where the array does")]
static RSA_PSS_SHA256: [RsaParameters; 256] =
    for_each_salt_len!(signature::RSA_PSS_2048_8192_SHA256);
#[expect(clippy::indexing_slicing, reason = "at compile time: the index ends where the array does")]
static RSA_PSS_SHA384: [RsaParameters; 256] =
    for_each_salt_len!(signature::RSA_PSS_2048_8192_SHA384);
#[expect(clippy::indexing_slicing, reason = "at compile time: the index ends where the array does")]
static RSA_PSS_SHA512: [RsaParameters; 256] =
    for_each_salt_len!(signature::RSA_PSS_2048_8192_SHA512);
