//! How one value lies in the engine: with its revision, its expiry and a check sum of its own.
//!
//! ```text
//! octets  0      version, 1
//!         1..9   revision, big-endian
//!         9..17  expiry, Unix seconds, big-endian; 0: never
//!         17..21 CRC-32 over the engine's key, octets 0..17 and the value, big-endian
//!         21..   the value
//! ```
//! The engine checks pages as it reads them from the disk, not what sits in its cache, and not that a value lies under
//! its own key; this check sum does both.

use crate::audit::hash::sha256;
use attest::clock::UnixSeconds;
use attest::store::Rev;

/// A value as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) rev: Rev,
    pub(super) expires: Option<UnixSeconds>,
    pub(super) value: Vec<u8>,
}

/// The octets under a key are not an envelope made for that key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EnvelopeError {
    #[error("it is too short")]
    Short,
    #[error("its version byte is {0}, this program knows {VERSION}")]
    Version(u8),
    #[error("its check sum does not fit")]
    CheckSum,
}

impl Envelope {
    /// The octets to store under `key`.
    pub(super) fn seal(&self, key: &[u8]) -> Vec<u8> {
        let mut octets = Vec::with_capacity(HEADER_BYTES + self.value.len());
        octets.push(VERSION);
        octets.extend_from_slice(&self.rev.0.to_be_bytes());
        octets.extend_from_slice(&self.expires.map_or(0, |at| at.0).to_be_bytes());
        let crc = check_sum(key, &octets, &self.value);
        octets.extend_from_slice(&crc.to_be_bytes());
        octets.extend_from_slice(&self.value);
        octets
    }

    /// The value under `key`, if it is what was stored there.
    pub(super) fn open(key: &[u8], octets: &[u8]) -> Result<Self, EnvelopeError> {
        let (version, rest) = octets.split_first().ok_or(EnvelopeError::Short)?;
        if *version != VERSION {
            return Err(EnvelopeError::Version(*version));
        }
        let (rev, rest) = rest.split_first_chunk::<8>().ok_or(EnvelopeError::Short)?;
        let (expires, rest) = rest.split_first_chunk::<8>().ok_or(EnvelopeError::Short)?;
        let (crc, value) = rest.split_first_chunk::<4>().ok_or(EnvelopeError::Short)?;
        let header = octets.get(..CHECKED_HEADER_BYTES).ok_or(EnvelopeError::Short)?;
        if check_sum(key, header, value) != u32::from_be_bytes(*crc) {
            return Err(EnvelopeError::CheckSum);
        }
        let expires = match u64::from_be_bytes(*expires) {
            0 => None,
            at => Some(UnixSeconds(at)),
        };
        Ok(Self { rev: Rev(u64::from_be_bytes(*rev)), expires, value: value.to_vec() })
    }

    /// Whether it may no longer be read at `now`: from the second of its expiry on.
    pub(super) fn is_expired(&self, now: UnixSeconds) -> bool {
        self.expires.is_some_and(|at| now >= at)
    }
}

/// What one sealed value adds to the sum over the whole store: 128 bits that depend on key, header and check sum.
pub(super) fn share(key: &[u8], sealed: &[u8]) -> u128 {
    let header = sealed.get(..HEADER_BYTES).unwrap_or(sealed);
    let digest = sha256(&[header, key]);
    digest.0.first_chunk::<16>().map_or(0, |half| u128::from_be_bytes(*half))
}

fn check_sum(key: &[u8], header: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(header);
    hasher.update(value);
    hasher.finalize()
}

const VERSION: u8 = 1;
const CHECKED_HEADER_BYTES: usize = 17;
const HEADER_BYTES: usize = 21;

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        Envelope { rev: Rev(7), expires: Some(UnixSeconds(1_000)), value: b"value".to_vec() }
    }

    #[test]
    fn sealed_value_opens_under_its_own_key_only() {
        let sealed = envelope().seal(b"key");
        assert_eq!(Envelope::open(b"key", &sealed), Ok(envelope()));
        assert_eq!(Envelope::open(b"kez", &sealed), Err(EnvelopeError::CheckSum));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let sealed = envelope().seal(b"key");
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Envelope::open(b"key", &damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_shorter_value_is_found() {
        let sealed = envelope().seal(b"key");
        for length in 0..sealed.len() {
            assert!(Envelope::open(b"key", &sealed[..length]).is_err(), "{length} octets");
        }
    }

    #[test]
    fn value_expires_in_the_second_named() {
        assert!(!envelope().is_expired(UnixSeconds(999)));
        assert!(envelope().is_expired(UnixSeconds(1_000)));
    }
}
