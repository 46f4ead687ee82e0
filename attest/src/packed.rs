//! Fingerprints as memory keeps a hundred thousand of them.

use crate::records::Fingerprint;
use aws_lc_rs::digest;

/// A [`Fingerprint`] in a third of its memory. Two are equal when their fingerprints are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Packed {
    /// What 64 lower-case hexadecimal characters say.
    Sha256([u8; 32]),
    /// Any other text, as it is.
    Text(Box<str>),
}

impl Packed {
    /// The fingerprint of `octets`.
    pub fn of(octets: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, octets);
        match digest.as_ref().try_into() {
            Ok(octets) => Self::Sha256(octets),
            Err(_) => Self::Text(hex::encode(digest).into()),
        }
    }

    /// The fingerprint that was packed.
    pub fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Sha256(octets) => Fingerprint(hex::encode(octets)),
            Self::Text(text) => Fingerprint(text.to_string()),
        }
    }
}

impl From<&str> for Packed {
    fn from(text: &str) -> Self {
        let mut octets = [0; 32];
        let is_lower = !text.bytes().any(|octet| octet.is_ascii_uppercase());
        match is_lower && hex::decode_to_slice(text, &mut octets).is_ok() {
            true => Self::Sha256(octets),
            false => Self::Text(text.into()),
        }
    }
}

impl From<&Fingerprint> for Packed {
    fn from(fingerprint: &Fingerprint) -> Self {
        Self::from(fingerprint.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_comes_back_as_it_was_whatever_it_says() {
        let long = "0".repeat(66);
        let digest = Fingerprint::of(b"octets").0;
        for text in ["", "f", "evidence", &digest, &digest.to_uppercase(), &digest[1..], &long] {
            let fingerprint = Fingerprint(text.to_owned());
            assert_eq!(Packed::from(&fingerprint).fingerprint(), fingerprint);
        }
    }

    #[test]
    fn digest_made_here_is_the_packed_fingerprint() {
        assert_eq!(Packed::of(b"octets"), Packed::from(&Fingerprint::of(b"octets")));
        assert_ne!(Packed::of(b"octets"), Packed::of(b"other octets"));
        assert!(matches!(Packed::of(b"octets"), Packed::Sha256(_)));
    }
}
