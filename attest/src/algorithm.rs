//! Key types, digests and signature schemes: the vocabulary that the gate, the HSM border and CMS share.

use serde::Deserialize;
use serde::Serialize;

/// A SHA-2 digest algorithm. SHA-1 and MD5 do not exist here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DigestAlgorithm {
    /// SHA-256, 32 octets.
    #[serde(rename = "sha-256")]
    Sha256,
    /// SHA-384, 48 octets.
    #[serde(rename = "sha-384")]
    Sha384,
    /// SHA-512, 64 octets.
    #[serde(rename = "sha-512")]
    Sha512,
}

impl DigestAlgorithm {
    /// Octets of one digest.
    pub fn digest_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The name of RFC 9530 and of the wire: `sha-256`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// The same algorithm in aws-lc-rs.
    pub fn implementation(self) -> &'static aws_lc_rs::digest::Algorithm {
        match self {
            Self::Sha256 => &aws_lc_rs::digest::SHA256,
            Self::Sha384 => &aws_lc_rs::digest::SHA384,
            Self::Sha512 => &aws_lc_rs::digest::SHA512,
        }
    }
}

/// The kind of a holder's key pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyType {
    /// RSA, 2048-bit modulus, e = 65537.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA, 3072-bit modulus.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA, 4096-bit modulus.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    /// ECDSA on NIST P-256.
    #[serde(rename = "p-256")]
    P256,
    /// ECDSA on NIST P-384.
    #[serde(rename = "p-384")]
    P384,
    /// ECDSA on NIST P-521.
    #[serde(rename = "p-521")]
    P521,
    /// Ed25519 (RFC 8032, pure).
    #[serde(rename = "ed25519")]
    Ed25519,
}

impl KeyType {
    /// Every key type, for tables and tests.
    pub const ALL: [Self; 7] = [
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::P256,
        Self::P384,
        Self::P521,
        Self::Ed25519,
    ];

    /// The wire and command-line name: `rsa-2048`, `p-256`, `ed25519`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::P256 => "p-256",
            Self::P384 => "p-384",
            Self::P521 => "p-521",
            Self::Ed25519 => "ed25519",
        }
    }

    /// The modulus length in bits, for RSA.
    pub fn rsa_bits(self) -> Option<u64> {
        match self {
            Self::Rsa2048 => Some(2048),
            Self::Rsa3072 => Some(3072),
            Self::Rsa4096 => Some(4096),
            Self::P256 | Self::P384 | Self::P521 | Self::Ed25519 => None,
        }
    }

    /// The digest used for content, signed attributes and signature alike: one hash per signature.
    ///
    /// # Source
    /// RFC 5652 §5.4 (the digest over signedAttrs is SignerInfo.digestAlgorithm); RFC 5753 §2.1.1; RFC 8419 §3 (SHA-512 for Ed25519).
    pub fn digest(self) -> DigestAlgorithm {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 | Self::P256 => DigestAlgorithm::Sha256,
            Self::P384 => DigestAlgorithm::Sha384,
            Self::P521 | Self::Ed25519 => DigestAlgorithm::Sha512,
        }
    }

    /// The scheme used where nobody asks for another: PKCS#1 v1.5 for RSA, as HPKI does today.
    pub fn default_scheme(self) -> SignatureScheme {
        let digest = self.digest();
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => SignatureScheme::RsaPkcs1 { digest },
            Self::P256 | Self::P384 | Self::P521 => SignatureScheme::Ecdsa { digest },
            Self::Ed25519 => SignatureScheme::Ed25519,
        }
    }

    /// Whether a key of this type can make a signature of `scheme`.
    pub fn can_sign(self, scheme: SignatureScheme) -> bool {
        match scheme {
            SignatureScheme::RsaPkcs1 { .. } | SignatureScheme::RsaPss { .. } => {
                self.rsa_bits().is_some()
            }
            // PKCS#11 ECDSA truncates nothing: the digest may not be longer than the order of the curve.
            SignatureScheme::Ecdsa { digest } => match self {
                Self::P256 => digest == DigestAlgorithm::Sha256,
                Self::P384 => digest != DigestAlgorithm::Sha512,
                Self::P521 => true,
                _ => false,
            },
            SignatureScheme::Ed25519 => self == Self::Ed25519,
        }
    }
}

/// How a signature value is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "scheme", rename_all = "kebab-case")]
pub enum SignatureScheme {
    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2).
    RsaPkcs1 {
        /// Digest of the message.
        digest: DigestAlgorithm,
    },
    /// RSASSA-PSS (RFC 8017 §8.1), MGF1 with the same digest.
    RsaPss {
        /// Digest of the message and of MGF1.
        digest: DigestAlgorithm,
        /// Salt length in octets, as the caller wants it.
        salt_len: u8,
    },
    /// ECDSA (FIPS 186-5), signature as DER `Ecdsa-Sig-Value`.
    Ecdsa {
        /// Digest of the message.
        digest: DigestAlgorithm,
    },
    /// Ed25519, pure (RFC 8032).
    Ed25519,
}

impl SignatureScheme {
    /// The digest of the message; `None` for Ed25519, which signs the message itself.
    pub fn digest(self) -> Option<DigestAlgorithm> {
        match self {
            Self::RsaPkcs1 { digest } | Self::RsaPss { digest, .. } | Self::Ecdsa { digest } => {
                Some(digest)
            }
            Self::Ed25519 => None,
        }
    }

    /// A short stable name for logs, metrics and audit records: `rsa-pkcs1-sha-256`.
    pub fn name(self) -> &'static str {
        use DigestAlgorithm::*;
        match self {
            Self::RsaPkcs1 { digest: Sha256 } => "rsa-pkcs1-sha-256",
            Self::RsaPkcs1 { digest: Sha384 } => "rsa-pkcs1-sha-384",
            Self::RsaPkcs1 { digest: Sha512 } => "rsa-pkcs1-sha-512",
            Self::RsaPss { digest: Sha256, .. } => "rsa-pss-sha-256",
            Self::RsaPss { digest: Sha384, .. } => "rsa-pss-sha-384",
            Self::RsaPss { digest: Sha512, .. } => "rsa-pss-sha-512",
            Self::Ecdsa { digest: Sha256 } => "ecdsa-sha-256",
            Self::Ecdsa { digest: Sha384 } => "ecdsa-sha-384",
            Self::Ecdsa { digest: Sha512 } => "ecdsa-sha-512",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// A digest that does not have the length of its algorithm.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a {algorithm} digest has {expected} octets, not {actual}", algorithm = .algorithm.name())]
pub struct DigestLength {
    /// The algorithm named.
    pub algorithm: DigestAlgorithm,
    /// Octets it has.
    pub expected: usize,
    /// Octets given.
    pub actual: usize,
}

/// A digest with its algorithm; `value` has exactly `algorithm.digest_len()` octets.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Digest {
    algorithm: DigestAlgorithm,
    value: Vec<u8>,
}

impl Digest {
    fn new(algorithm: DigestAlgorithm, value: Vec<u8>) -> Result<Self, DigestLength> {
        match value.len() == algorithm.digest_len() {
            true => Ok(Self { algorithm, value }),
            false => Err(DigestLength {
                algorithm,
                expected: algorithm.digest_len(),
                actual: value.len(),
            }),
        }
    }

    fn of(algorithm: DigestAlgorithm, octets: &[u8]) -> Self {
        let value = aws_lc_rs::digest::digest(algorithm.implementation(), octets).as_ref().to_vec();
        Self { algorithm, value }
    }
}

/// Digest of the content that the signer asked to have signed (RFC 5652 §5.4, the `messageDigest`).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ContentDigest(Digest);

/// Digest of the exact octets the key signs over (EN 419241-1: the representation of the data to be signed).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Dtbsr(Digest);

macro_rules! digest_type {
    ($name:ident) => {
        impl $name {
            /// Takes a finished digest.
            ///
            /// # Errors
            /// [`DigestLength`] when `value` is not as long as `algorithm` makes it.
            pub fn new(algorithm: DigestAlgorithm, value: Vec<u8>) -> Result<Self, DigestLength> {
                Digest::new(algorithm, value).map(Self)
            }

            /// Digests `octets`.
            pub fn of(algorithm: DigestAlgorithm, octets: &[u8]) -> Self {
                Self(Digest::of(algorithm, octets))
            }

            /// The algorithm.
            pub fn algorithm(&self) -> DigestAlgorithm {
                self.0.algorithm
            }

            /// The raw digest, `algorithm().digest_len()` octets.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0.value
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}:{}", self.0.algorithm.name(), hex::encode(&self.0.value))
            }
        }
    };
}
digest_type!(ContentDigest);
digest_type!(Dtbsr);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_wrong_length_is_refused() {
        assert!(ContentDigest::new(DigestAlgorithm::Sha256, vec![0; 32]).is_ok());
        for wrong in [0, 16, 20, 31, 33, 64] {
            assert!(
                ContentDigest::new(DigestAlgorithm::Sha256, vec![0; wrong]).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn default_scheme_is_one_the_key_can_make() {
        for key_type in KeyType::ALL {
            assert!(key_type.can_sign(key_type.default_scheme()), "{}", key_type.name());
        }
    }

    #[test]
    fn p256_refuses_a_digest_longer_than_its_order() {
        assert!(
            !KeyType::P256.can_sign(SignatureScheme::Ecdsa { digest: DigestAlgorithm::Sha384 })
        );
    }
}
