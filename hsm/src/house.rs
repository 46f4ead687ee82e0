//! The appliance's own keys. They have names of their own and doors of their own; none of them can name a holder's key.

use attest::algorithm::KeyType;
use attest::algorithm::SignatureScheme;

/// A key of the appliance itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HouseKey {
    /// Signs audit checkpoints (ECDSA P-256).
    Checkpoint,
    /// Signs a random message at start, to show that token and module work (ECDSA P-256).
    SelfTest,
    /// Keys the index MAC and the sealing key (HMAC-SHA-256, 256 bits).
    IndexHmac,
}

impl HouseKey {
    /// Every house key, in the order they are made.
    pub const ALL: [Self; 3] = [Self::Checkpoint, Self::SelfTest, Self::IndexHmac];

    /// Kind of the pairs.
    pub(crate) const PAIR_TYPE: KeyType = KeyType::P256;

    /// CKA_ID: ASCII, never 16 octets long as a holder's is.
    pub(crate) fn cka_id(self) -> &'static [u8] {
        self.name().as_bytes()
    }

    /// CKA_LABEL and the text of CKA_ID.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checkpoint => "inkan-house:checkpoint",
            Self::SelfTest => "inkan-house:self-test",
            Self::IndexHmac => "inkan-house:index-hmac",
        }
    }
}

/// How house pairs sign.
pub(crate) fn house_scheme() -> SignatureScheme {
    HouseKey::PAIR_TYPE.default_scheme()
}

/// What the index MAC is computed over: no `data` makes it equal to the input of [`SEALING_CONTEXT`].
pub(crate) fn index_input(data: &[u8]) -> Vec<u8> {
    [b"inkan index v1\0", data].concat()
}

/// Input of the MAC that is the sealing key.
pub(crate) const SEALING_CONTEXT: &[u8] = b"inkan sealing key v1\0";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::HOLDER_ID_LEN;

    #[test]
    fn house_ids_are_distinct_and_no_holder_can_have_them() {
        for (index, key) in HouseKey::ALL.iter().enumerate() {
            assert_ne!(key.cka_id().len(), HOLDER_ID_LEN);
            assert!(HouseKey::ALL.iter().skip(index + 1).all(|other| other.name() != key.name()));
        }
    }

    #[test]
    fn no_index_input_is_the_sealing_context() {
        assert!(!SEALING_CONTEXT.starts_with(&index_input(b"")));
    }
}
