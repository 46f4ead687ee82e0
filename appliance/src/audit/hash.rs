//! SHA-256 and the tree hashing of RFC 9162.

use aws_lc_rs::digest;
use std::fmt;

/// A SHA-256 value: 32 octets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

/// Octets of one [`Hash`].
pub const HASH_BYTES: usize = 32;

impl Hash {
    /// Reads 32 octets.
    pub fn from_slice(octets: &[u8]) -> Option<Self> {
        octets.try_into().ok().map(Self)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// SHA-256 over all `parts`, one behind the other.
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    Hash::from_slice(context.finish().as_ref()).unwrap_or(Hash([0; HASH_BYTES]))
}

/// Hash of one record as a leaf.
///
/// # Source
/// RFC 9162 §2.1.1: `HASH(0x00 || d[0])`.
pub fn leaf_hash(record: &[u8]) -> Hash {
    sha256(&[&[0], record])
}

/// Hash of an inner node.
///
/// # Source
/// RFC 9162 §2.1.1: `HASH(0x01 || MTH(left) || MTH(right))`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], &left.0, &right.0])
}

/// Root of the tree without leaves.
///
/// # Source
/// RFC 9162 §2.1.1: `MTH({}) = HASH()`.
pub fn empty_root() -> Hash {
    sha256(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_rfc_9162() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(empty_root().to_string(), empty);
        // Leaf of no octets and of 0x00: test vectors of RFC 6962 implementations (certificate-transparency, merkle_test).
        let leaf = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(leaf_hash(b"").to_string(), leaf);
        let leaf = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
        assert_eq!(leaf_hash(&[0]).to_string(), leaf);
        let node = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125";
        assert_eq!(node_hash(&leaf_hash(b""), &leaf_hash(&[0])).to_string(), node);
    }
}
