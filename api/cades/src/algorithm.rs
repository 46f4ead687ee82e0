//! Algorithm identifiers in CMS, both ways, and nothing that is not in the tables here.

use crate::read::Reader;
use crate::read::single;
use crate::write::CONTEXT_0;
use crate::write::INTEGER;
use crate::write::SEQUENCE;
use crate::write::element;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::KeyType;
use attest::algorithm::SignatureScheme;
use std::borrow::Cow;

/// The digest that `scheme` needs of the content: one hash per signature, so it is also the one of the signed attributes.
///
/// # Source
/// RFC 5652 §5.4; RFC 8933 §3 (both digests are `SignerInfo.digestAlgorithm`); RFC 8419 §3 (SHA-512 beside Ed25519).
pub fn content_digest_algorithm(scheme: SignatureScheme) -> DigestAlgorithm {
    scheme.digest().unwrap_or(DigestAlgorithm::Sha512)
}

/// Whether a key of this type can make this signature, the salt included.
///
/// # Source
/// RFC 8017 §9.1.1 step 3: emLen >= hLen + sLen + 2; emLen is the modulus length for the sizes in [`KeyType`].
pub fn can_sign(key_type: KeyType, scheme: SignatureScheme) -> bool {
    let salt_fits = match (scheme, key_type.rsa_bits()) {
        (SignatureScheme::RsaPss { digest, salt_len }, Some(bits)) => {
            let needed = digest.digest_len() + usize::from(salt_len) + 2;
            u64::try_from(needed).is_ok_and(|needed| needed <= bits / 8)
        }
        _ => true,
    };
    salt_fits && key_type.can_sign(scheme)
}

/// `DigestAlgorithmIdentifier`, DER.
///
/// # Source
/// RFC 5754 §2: the parameters are absent.
pub fn digest_algorithm_der(digest: DigestAlgorithm) -> &'static [u8] {
    match digest {
        DigestAlgorithm::Sha256 => b"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01",
        DigestAlgorithm::Sha384 => b"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02",
        DigestAlgorithm::Sha512 => b"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03",
    }
}

/// `SignatureAlgorithmIdentifier`, DER.
///
/// # Source
/// RFC 5754 §3.2 (RSA: parameters NULL), §3.3 (ECDSA: absent); RFC 4056 §3 (RSASSA-PSS); RFC 8419 §2.2 (Ed25519: absent).
pub fn signature_algorithm_der(scheme: SignatureScheme) -> Cow<'static, [u8]> {
    use DigestAlgorithm::*;
    Cow::Borrowed(match scheme {
        SignatureScheme::RsaPss { digest, salt_len } => {
            return Cow::Owned(rsa_pss_der(digest, salt_len));
        }
        SignatureScheme::RsaPkcs1 { digest: Sha256 } => {
            b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"
        }
        SignatureScheme::RsaPkcs1 { digest: Sha384 } => {
            b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00"
        }
        SignatureScheme::RsaPkcs1 { digest: Sha512 } => {
            b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00"
        }
        SignatureScheme::Ecdsa { digest: Sha256 } => {
            b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
        }
        SignatureScheme::Ecdsa { digest: Sha384 } => {
            b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"
        }
        SignatureScheme::Ecdsa { digest: Sha512 } => {
            b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04"
        }
        SignatureScheme::Ed25519 => b"\x30\x05\x06\x03\x2b\x65\x70",
    })
}

/// The digest algorithm that exactly these octets identify.
pub fn read_digest_algorithm(der: &[u8]) -> Option<DigestAlgorithm> {
    DIGESTS.into_iter().find(|digest| digest_algorithm_der(*digest) == der)
}

/// The signature scheme that exactly these octets identify.
pub fn read_signature_algorithm(der: &[u8]) -> Option<SignatureScheme> {
    let salt_len = read_salt_len(der);
    let with_digest = DIGESTS.into_iter().flat_map(|digest| {
        [
            Some(SignatureScheme::RsaPkcs1 { digest }),
            Some(SignatureScheme::Ecdsa { digest }),
            salt_len.map(|salt_len| SignatureScheme::RsaPss { digest, salt_len }),
        ]
    });
    with_digest
        .flatten()
        .chain([SignatureScheme::Ed25519])
        .find(|scheme| signature_algorithm_der(*scheme).as_ref() == der)
}

/// What the algorithm of a `SubjectPublicKeyInfo` says about the type of the key.
///
/// # Source
/// RFC 3279 §2.3.1 (RSA); RFC 5480 §2.1.1 (named curves); RFC 8410 §3 (Ed25519).
pub fn read_key_algorithm(der: &[u8]) -> Option<KeyAlgorithm> {
    const RSA_ENCRYPTION: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    const P256: &[u8] =
        b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
    const P384: &[u8] = b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
    const P521: &[u8] = b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23";
    const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";
    match der {
        RSA_ENCRYPTION => Some(KeyAlgorithm::Rsa),
        P256 => Some(KeyAlgorithm::Of(KeyType::P256)),
        P384 => Some(KeyAlgorithm::Of(KeyType::P384)),
        P521 => Some(KeyAlgorithm::Of(KeyType::P521)),
        ED25519 => Some(KeyAlgorithm::Of(KeyType::Ed25519)),
        _ => None,
    }
}

/// What the algorithm of a public key says about its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// RSA; the type depends on the length of the modulus.
    Rsa,
    /// This type.
    Of(KeyType),
}

/// ```text
/// RSASSA-PSS-params ::= SEQUENCE {
///    hashAlgorithm     [0] HashAlgorithm    DEFAULT sha1Identifier,
///    maskGenAlgorithm  [1] MaskGenAlgorithm DEFAULT mgf1SHA1Identifier,
///    saltLength        [2] INTEGER          DEFAULT 20,
///    trailerField      [3] INTEGER          DEFAULT 1 }
/// ```
/// The hash identifiers in here carry NULL (RFC 4055 §2.1), unlike `digestAlgorithm`; a salt of 20 is left out in DER.
fn rsa_pss_der(digest: DigestAlgorithm, salt_len: u8) -> Vec<u8> {
    const RSASSA_PSS: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
    const MGF1: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08";
    const NULL: &[u8] = b"\x05\x00";
    let digest_oid = digest_algorithm_der(digest).get(2..).unwrap_or_default();
    let hash = element(SEQUENCE, &[digest_oid, NULL]);
    let mask_gen = element(SEQUENCE, &[MGF1, &hash]);
    let salt = match salt_len {
        DEFAULT_SALT_LEN => Vec::new(),
        0..=0x7f => element(SALT_LEN_TAG, &[&element(INTEGER, &[&[salt_len]])]),
        0x80..=0xff => element(SALT_LEN_TAG, &[&element(INTEGER, &[&[0, salt_len]])]),
    };
    let params = element(
        SEQUENCE,
        &[&element(CONTEXT_0, &[&hash]), &element(MASK_GEN_TAG, &[&mask_gen]), &salt],
    );
    element(SEQUENCE, &[RSASSA_PSS, &params])
}

/// The salt length that RSASSA-PSS parameters say; the rest of them is for the caller to compare.
fn read_salt_len(der: &[u8]) -> Option<u8> {
    let mut algorithm = Reader::new(single(der, SEQUENCE).ok()?.value);
    algorithm.any().ok()?;
    let mut params = algorithm.enter(SEQUENCE).ok()?;
    params.expect(CONTEXT_0).ok()?;
    params.expect(MASK_GEN_TAG).ok()?;
    match params.optional(SALT_LEN_TAG).ok()? {
        None => Some(DEFAULT_SALT_LEN),
        Some(salt) => match single(salt.value, INTEGER).ok()?.value {
            [salt_len] | [0, salt_len] => Some(*salt_len),
            _ => None,
        },
    }
}

const DIGESTS: [DigestAlgorithm; 3] =
    [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512];
const MASK_GEN_TAG: u8 = 0xa1;
const SALT_LEN_TAG: u8 = 0xa2;
const DEFAULT_SALT_LEN: u8 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use const_oid::ObjectIdentifier;
    use const_oid::db;
    use der::Decode;
    use spki::AlgorithmIdentifierRef;

    fn identifier(der: &[u8]) -> (ObjectIdentifier, Option<Vec<u8>>) {
        let read = AlgorithmIdentifierRef::from_der(der).unwrap();
        (read.oid, read.parameters.map(|any| der::Encode::to_der(&any).unwrap()))
    }

    #[test]
    fn identifiers_are_those_of_the_registry() {
        use DigestAlgorithm::*;
        let null = Some(vec![5, 0]);
        let digest = |digest| identifier(digest_algorithm_der(digest));
        assert_eq!(digest(Sha256), (db::rfc5912::ID_SHA_256, None));
        assert_eq!(digest(Sha384), (db::rfc5912::ID_SHA_384, None));
        assert_eq!(digest(Sha512), (db::rfc5912::ID_SHA_512, None));
        let expected = [
            (
                SignatureScheme::RsaPkcs1 { digest: Sha256 },
                db::rfc5912::SHA_256_WITH_RSA_ENCRYPTION,
                null.clone(),
            ),
            (
                SignatureScheme::RsaPkcs1 { digest: Sha384 },
                db::rfc5912::SHA_384_WITH_RSA_ENCRYPTION,
                null.clone(),
            ),
            (
                SignatureScheme::RsaPkcs1 { digest: Sha512 },
                db::rfc5912::SHA_512_WITH_RSA_ENCRYPTION,
                null,
            ),
            (SignatureScheme::Ecdsa { digest: Sha256 }, db::rfc5912::ECDSA_WITH_SHA_256, None),
            (SignatureScheme::Ecdsa { digest: Sha384 }, db::rfc5912::ECDSA_WITH_SHA_384, None),
            (SignatureScheme::Ecdsa { digest: Sha512 }, db::rfc5912::ECDSA_WITH_SHA_512, None),
            (SignatureScheme::Ed25519, db::rfc8410::ID_ED_25519, None),
        ];
        for (scheme, oid, parameters) in expected {
            assert_eq!(
                identifier(&signature_algorithm_der(scheme)),
                (oid, parameters),
                "{scheme:?}"
            );
        }
    }

    /// RFC 4055 §3.1, encoded by hand. That others read it so is shown by the interoperability tests.
    #[test]
    fn pss_parameters_are_der() {
        let der = |salt_len| rsa_pss_der(DigestAlgorithm::Sha256, salt_len);
        let head = "06092a864886f70d01010a30";
        let hash = "a00f300d06096086480165030402010500";
        let mask_gen = "a11c301a06092a864886f70d010108300d06096086480165030402010500";
        assert_eq!(hex::encode(der(32)), format!("3041{head}34{hash}{mask_gen}a203020120"));
        assert_eq!(
            hex::encode(der(20)),
            format!("303c{head}2f{hash}{mask_gen}"),
            "20 is the default"
        );
        assert_eq!(hex::encode(der(0)), format!("3041{head}34{hash}{mask_gen}a203020100"));
        assert_eq!(hex::encode(der(200)), format!("3042{head}35{hash}{mask_gen}a204020200c8"));
    }

    #[test]
    fn every_scheme_is_read_back_and_nothing_else() {
        for digest in DIGESTS {
            assert_eq!(read_digest_algorithm(digest_algorithm_der(digest)), Some(digest));
            let pss = (0..=255).map(|salt_len| SignatureScheme::RsaPss { digest, salt_len });
            let others = [
                SignatureScheme::RsaPkcs1 { digest },
                SignatureScheme::Ecdsa { digest },
                SignatureScheme::Ed25519,
            ];
            for scheme in pss.chain(others) {
                let der = signature_algorithm_der(scheme);
                assert_eq!(read_signature_algorithm(&der), Some(scheme));
                let mut longer = der.to_vec();
                longer.push(0);
                assert_eq!(read_signature_algorithm(&longer), None);
            }
        }
        let sha1_with_rsa = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00";
        assert_eq!(read_signature_algorithm(sha1_with_rsa), None);
        let sha256_with_null = b"\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00";
        assert_eq!(read_digest_algorithm(sha256_with_null), None);
    }

    #[test]
    fn salt_that_does_not_fit_the_modulus_is_refused() {
        let pss = |salt_len| SignatureScheme::RsaPss { digest: DigestAlgorithm::Sha512, salt_len };
        assert!(can_sign(KeyType::Rsa2048, pss(190)));
        assert!(!can_sign(KeyType::Rsa2048, pss(191)));
        assert!(can_sign(KeyType::Rsa3072, pss(255)));
        assert!(!can_sign(KeyType::P256, pss(32)));
    }
}
