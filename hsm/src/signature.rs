//! Signature values as a token gives them, and as CMS and JOSE/XML want them.

use attest::algorithm::KeyType;
use der::Decode;
use der::Encode;
use der::Sequence;
use der::asn1::UintRef;

/// An octet string that is no signature of the kind expected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{octets} octets are no {expected}")]
pub struct MalformedSignature {
    /// What it should have been.
    pub expected: &'static str,
    /// Octets it had.
    pub octets: usize,
}

/// An ECDSA signature as r‖s, both big-endian and as long as the order of the curve: the PKCS#11 and IEEE P1363 form.
///
/// # Source
/// PKCS #11 v3.1 §6.3.1 (EC signatures); IEEE P1363 §E.3.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcdsaRaw(Vec<u8>);

/// An ECDSA signature as DER `Ecdsa-Sig-Value`: the CMS and X.509 form.
///
/// # Source
/// RFC 3279 §2.2.3; RFC 5753 §7.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcdsaDer(Vec<u8>);

/// ```text
/// Ecdsa-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }
/// ```
#[derive(Sequence)]
struct EcdsaSigValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

impl EcdsaRaw {
    /// Takes r‖s of a key of `key_type`.
    ///
    /// # Errors
    /// [`MalformedSignature`] when the length is not twice that of the curve's order (64, 96 or 132 octets).
    pub fn new(key_type: KeyType, octets: Vec<u8>) -> Result<Self, MalformedSignature> {
        match order_len(key_type) {
            Some(len) if octets.len() == 2 * len => Ok(Self(octets)),
            _ => Err(MalformedSignature {
                expected: "r and s of the curve's length",
                octets: octets.len(),
            }),
        }
    }

    /// r‖s.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same signature as DER.
    ///
    /// # Errors
    /// [`MalformedSignature`] when an integer cannot be encoded.
    pub fn to_der(&self) -> Result<EcdsaDer, MalformedSignature> {
        let malformed = || MalformedSignature { expected: "r and s", octets: self.0.len() };
        let (r, s) = self.0.split_at(self.0.len() / 2);
        let value = EcdsaSigValue {
            r: UintRef::new(r).map_err(|_| malformed())?,
            s: UintRef::new(s).map_err(|_| malformed())?,
        };
        value.to_der().map(EcdsaDer).map_err(|_| malformed())
    }
}

impl EcdsaDer {
    /// Takes DER `Ecdsa-Sig-Value`.
    ///
    /// # Errors
    /// [`MalformedSignature`] when it is not strict DER.
    pub fn new(octets: Vec<u8>) -> Result<Self, MalformedSignature> {
        match EcdsaSigValue::from_der(&octets) {
            Ok(_) => Ok(Self(octets)),
            Err(_) => Err(MalformedSignature { expected: "Ecdsa-Sig-Value", octets: octets.len() }),
        }
    }

    /// The DER octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same signature as r‖s of a key of `key_type`.
    ///
    /// # Errors
    /// [`MalformedSignature`] when an integer is longer than the curve's order.
    pub fn to_raw(&self, key_type: KeyType) -> Result<EcdsaRaw, MalformedSignature> {
        let malformed = || MalformedSignature {
            expected: "Ecdsa-Sig-Value of the curve",
            octets: self.0.len(),
        };
        let len = order_len(key_type).ok_or_else(malformed)?;
        let value = EcdsaSigValue::from_der(&self.0).map_err(|_| malformed())?;
        let mut raw = Vec::with_capacity(2 * len);
        for integer in [value.r.as_bytes(), value.s.as_bytes()] {
            let padding = len.checked_sub(integer.len()).ok_or_else(malformed)?;
            raw.resize(raw.len() + padding, 0);
            raw.extend_from_slice(integer);
        }
        Ok(EcdsaRaw(raw))
    }
}

/// What [`Hsm::sign`](crate::Hsm::sign) gives: one signature, in the form each format wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureValue {
    /// RSA, PKCS#1 v1.5 or PSS: big-endian, as long as the modulus.
    Rsa(Vec<u8>),
    /// ECDSA, both forms: the conversion is done once, where its failure can still be told.
    Ecdsa {
        /// r‖s.
        raw: EcdsaRaw,
        /// `Ecdsa-Sig-Value`.
        der: EcdsaDer,
    },
    /// Ed25519: 64 octets (RFC 8032 §5.1.6).
    Ed25519(Vec<u8>),
}

impl SignatureValue {
    /// Takes what C_Sign of a key of `key_type` returned.
    ///
    /// # Errors
    /// [`MalformedSignature`] when it has not exactly the length such a signature has.
    pub fn from_token(key_type: KeyType, octets: Vec<u8>) -> Result<Self, MalformedSignature> {
        let expected = signature_len(key_type);
        if octets.len() != expected {
            return Err(MalformedSignature {
                expected: "signature of the key's length",
                octets: octets.len(),
            });
        }
        match key_type {
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => Ok(Self::Rsa(octets)),
            KeyType::P256 | KeyType::P384 | KeyType::P521 => {
                let raw = EcdsaRaw::new(key_type, octets)?;
                let der = raw.to_der()?;
                Ok(Self::Ecdsa { raw, der })
            }
            KeyType::Ed25519 => Ok(Self::Ed25519(octets)),
        }
    }

    /// The signature octets of CMS and X.509: DER `Ecdsa-Sig-Value` for ECDSA, as they are for RSA and Ed25519.
    pub fn cms(&self) -> &[u8] {
        match self {
            Self::Rsa(octets) | Self::Ed25519(octets) => octets,
            Self::Ecdsa { der, .. } => der.as_bytes(),
        }
    }

    /// The signature octets of XML signatures and JOSE: r‖s for ECDSA, as they are for RSA and Ed25519.
    pub fn p1363(&self) -> &[u8] {
        match self {
            Self::Rsa(octets) | Self::Ed25519(octets) => octets,
            Self::Ecdsa { raw, .. } => raw.as_bytes(),
        }
    }
}

/// Octets of one integer of an ECDSA signature; `None` for other kinds of key.
fn order_len(key_type: KeyType) -> Option<usize> {
    match key_type {
        KeyType::P256 => Some(32),
        KeyType::P384 => Some(48),
        KeyType::P521 => Some(66),
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 | KeyType::Ed25519 => None,
    }
}

/// Octets that C_Sign returns for a key of `key_type`: the buffer is made this long before the call.
pub(crate) fn signature_len(key_type: KeyType) -> usize {
    match key_type {
        KeyType::Rsa2048 => 256,
        KeyType::Rsa3072 => 384,
        KeyType::Rsa4096 => 512,
        KeyType::P256 | KeyType::Ed25519 => 64,
        KeyType::P384 => 96,
        KeyType::P521 => 132,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(r: &[u8], s: &[u8]) -> EcdsaRaw {
        let mut octets = vec![0; 64];
        octets[32 - r.len()..32].copy_from_slice(r);
        octets[64 - s.len()..].copy_from_slice(s);
        EcdsaRaw::new(KeyType::P256, octets).unwrap()
    }

    #[test]
    fn der_integers_are_minimal_and_positive() {
        let der = raw(&[0x80], &[0x7f]).to_der().unwrap();
        assert_eq!(der.as_bytes(), [0x30, 7, 2, 2, 0, 0x80, 2, 1, 0x7f]);
    }

    #[test]
    fn raw_to_der_and_back_is_the_same() {
        for (r, s) in [([0x01].as_slice(), [0xff; 32].as_slice()), (&[0x7f; 31], &[0x80; 32])] {
            let raw = raw(r, s);
            assert_eq!(raw.to_der().unwrap().to_raw(KeyType::P256).unwrap(), raw);
        }
    }

    #[test]
    fn raw_of_another_curve_is_refused() {
        for len in [0, 63, 65, 96] {
            assert!(EcdsaRaw::new(KeyType::P256, vec![1; len]).is_err(), "{len}");
        }
        assert!(EcdsaRaw::new(KeyType::Rsa2048, vec![1; 64]).is_err());
    }

    #[test]
    fn der_with_trailing_octets_is_refused() {
        let mut der = raw(&[1], &[2]).to_der().unwrap().as_bytes().to_vec();
        assert!(EcdsaDer::new(der.clone()).is_ok());
        der.push(0);
        assert!(EcdsaDer::new(der).is_err());
    }

    #[test]
    fn der_of_a_longer_curve_does_not_fit_a_shorter_one() {
        let long = EcdsaRaw::new(KeyType::P384, vec![0x55; 96]).unwrap().to_der().unwrap();
        assert!(long.to_raw(KeyType::P256).is_err());
    }

    #[test]
    fn signature_of_wrong_length_is_refused() {
        for key_type in KeyType::ALL {
            let len = signature_len(key_type);
            assert!(SignatureValue::from_token(key_type, vec![1; len]).is_ok());
            assert!(SignatureValue::from_token(key_type, vec![1; len - 1]).is_err());
            assert!(SignatureValue::from_token(key_type, vec![1; len + 1]).is_err());
        }
    }
}
