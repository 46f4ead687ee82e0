//! From a signature scheme to what C_SignInit and C_Sign are given.
//!
//! The daemon hashes; the token never sees more than a digest (Ed25519 excepted, which signs the message itself).

use crate::error::HsmError;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::KeyType;
use attest::algorithm::SignatureScheme;
use attest::permit::ToSign;
use cryptoki::mechanism::MechanismType;
use std::borrow::Cow;

/// A mechanism with its parameters, as far as this appliance uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignMechanism {
    /// CKM_RSA_PKCS: the padding of PKCS#1 v1.5 round a DigestInfo that we made.
    RsaPkcs,
    /// CKM_RSA_PKCS_PSS over a finished digest.
    RsaPss {
        /// Of the message and of MGF1.
        digest: DigestAlgorithm,
        /// Octets of salt.
        salt_len: u8,
    },
    /// CKM_ECDSA over a finished digest.
    Ecdsa,
    /// CKM_EDDSA without parameters: pure Ed25519.
    Eddsa,
    /// CKM_SHA256_HMAC.
    Sha256Hmac,
}

impl SignMechanism {
    /// The mechanism for `scheme` with a key of `key_type`.
    ///
    /// # Errors
    /// [`HsmError::SchemeNotForKey`], also for a PSS salt that does not fit into the modulus.
    pub(crate) fn new(key_type: KeyType, scheme: SignatureScheme) -> Result<Self, HsmError> {
        let refused = || HsmError::SchemeNotForKey { key_type, scheme: scheme.name() };
        if !key_type.can_sign(scheme) {
            return Err(refused());
        }
        match scheme {
            SignatureScheme::RsaPkcs1 { .. } => Ok(Self::RsaPkcs),
            SignatureScheme::RsaPss { digest, salt_len } => {
                // RFC 8017 §9.1.1 step 3: emLen >= hLen + sLen + 2.
                let em_len = crate::signature::signature_len(key_type);
                let fits = em_len >= digest.digest_len() + usize::from(salt_len) + 2;
                fits.then_some(Self::RsaPss { digest, salt_len }).ok_or_else(refused)
            }
            SignatureScheme::Ecdsa { .. } => Ok(Self::Ecdsa),
            SignatureScheme::Ed25519 => Ok(Self::Eddsa),
        }
    }

    /// Its name in C_GetMechanismList.
    pub(crate) fn mechanism_type(self) -> MechanismType {
        match self {
            Self::RsaPkcs => MechanismType::RSA_PKCS,
            Self::RsaPss { .. } => MechanismType::RSA_PKCS_PSS,
            Self::Ecdsa => MechanismType::ECDSA,
            Self::Eddsa => MechanismType::EDDSA,
            Self::Sha256Hmac => MechanismType::SHA256_HMAC,
        }
    }

    /// Its name in the standard.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RsaPkcs => "CKM_RSA_PKCS",
            Self::RsaPss { .. } => "CKM_RSA_PKCS_PSS",
            Self::Ecdsa => "CKM_ECDSA",
            Self::Eddsa => "CKM_EDDSA",
            Self::Sha256Hmac => "CKM_SHA256_HMAC",
        }
    }
}

/// The octets that C_Sign is given for `to_sign`.
///
/// # Errors
/// [`HsmError::SchemeNotForKey`] when the digest is of another algorithm than the scheme's, or a message stands where a
/// digest should: a permit never says that, so it is our own fault.
/// # Source
/// RFC 8017 §9.2 (DigestInfo); PKCS #11 v3.1 §6.1.10 (CKM_RSA_PKCS), §6.3.12 (CKM_ECDSA), §6.3.17 (CKM_EDDSA).
pub(crate) fn sign_input(
    scheme: SignatureScheme,
    to_sign: &ToSign,
) -> Result<Cow<'_, [u8]>, HsmError> {
    match (scheme, to_sign) {
        (SignatureScheme::RsaPkcs1 { digest }, ToSign::Dtbsr(dtbsr))
            if dtbsr.algorithm() == digest =>
        {
            Ok(Cow::Owned([digest_info_prefix(digest), dtbsr.as_bytes()].concat()))
        }
        (
            SignatureScheme::RsaPss { digest, .. } | SignatureScheme::Ecdsa { digest },
            ToSign::Dtbsr(dtbsr),
        ) if dtbsr.algorithm() == digest => Ok(Cow::Borrowed(dtbsr.as_bytes())),
        (SignatureScheme::Ed25519, ToSign::Message(message)) => Ok(Cow::Borrowed(message)),
        _ => Err(HsmError::Unreachable("the permit's octets are not those of its scheme")),
    }
}

/// DER of DigestInfo up to the digest.
///
/// # Source
/// RFC 8017 §9.2, note 1.
fn digest_info_prefix(digest: DigestAlgorithm) -> &'static [u8] {
    match digest {
        DigestAlgorithm::Sha256 => &[
            0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x01, 0x05, 0x00, 0x04, 0x20,
        ],
        DigestAlgorithm::Sha384 => &[
            0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x02, 0x05, 0x00, 0x04, 0x30,
        ],
        DigestAlgorithm::Sha512 => &[
            0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x03, 0x05, 0x00, 0x04, 0x40,
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attest::algorithm::Dtbsr;

    #[test]
    fn digest_info_is_a_der_sequence_of_the_right_length() {
        for digest in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
            let to_sign = ToSign::Dtbsr(Dtbsr::of(digest, b"x"));
            let scheme = SignatureScheme::RsaPkcs1 { digest };
            let octets = sign_input(scheme, &to_sign).unwrap();
            assert_eq!(usize::from(octets[1]), octets.len() - 2, "{}", digest.name());
            assert_eq!(usize::from(octets[18]), digest.digest_len(), "{}", digest.name());
        }
    }

    #[test]
    fn digest_of_another_algorithm_is_refused() {
        let to_sign = ToSign::Dtbsr(Dtbsr::of(DigestAlgorithm::Sha512, b"x"));
        let scheme = SignatureScheme::Ecdsa { digest: DigestAlgorithm::Sha256 };
        assert!(sign_input(scheme, &to_sign).is_err());
        assert!(sign_input(SignatureScheme::Ed25519, &to_sign).is_err());
        assert!(sign_input(scheme, &ToSign::Message(vec![0; 32])).is_err());
    }

    #[test]
    fn pss_salt_holds_at_the_modulus_and_not_past_it() {
        let scheme =
            |salt_len| SignatureScheme::RsaPss { digest: DigestAlgorithm::Sha512, salt_len };
        assert!(SignMechanism::new(KeyType::Rsa2048, scheme(190)).is_ok());
        assert!(SignMechanism::new(KeyType::Rsa2048, scheme(191)).is_err());
        assert!(SignMechanism::new(KeyType::P256, scheme(32)).is_err());
    }
}
