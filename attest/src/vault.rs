//! What must be judged again later and may not lie in clear: certificates of My Number cards, and evidence that holds them.
//!
//! The key comes from the HSM at start and is kept in memory only, so that a stolen disk shows nothing. Every secret is bound
//! to what it is for: one that is moved elsewhere does not open.

use aws_lc_rs::aead::AES_256_GCM;
use aws_lc_rs::aead::Aad;
use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::aead::Nonce;
use aws_lc_rs::aead::RandomizedNonceKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;

/// Sealed octets: nonce, ciphertext, tag (AES-256-GCM, random nonce), base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(pub String);

/// Why sealed octets stay shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The key has another length than 32 octets, or the cipher failed.
    #[error("the cipher failed")]
    Cipher,
    /// Changed, moved, or sealed under another key.
    #[error("the octets were not sealed here, or not for this")]
    NotSealedHere,
}

/// Seals and opens.
pub struct Vault(RandomizedNonceKey);

impl Vault {
    /// A vault under `key`, which exists nowhere but in the HSM's answer.
    ///
    /// # Errors
    /// [`VaultError::Cipher`].
    pub fn new(key: &[u8; 32]) -> Result<Self, VaultError> {
        RandomizedNonceKey::new(&AES_256_GCM, key).map(Self).map_err(|_| VaultError::Cipher)
    }

    /// Seals `clear` for `purpose`: a fixed text, with the name of the record where there is one.
    ///
    /// # Errors
    /// [`VaultError::Cipher`].
    pub fn seal(&self, purpose: &str, clear: &[u8]) -> Result<Sealed, VaultError> {
        let mut octets = clear.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(purpose), &mut octets);
        let nonce = nonce.map_err(|_| VaultError::Cipher)?;
        Ok(Sealed(STANDARD.encode([nonce.as_ref(), octets.as_slice()].concat())))
    }

    /// Opens what was sealed for `purpose`.
    ///
    /// # Errors
    /// [`VaultError::NotSealedHere`].
    pub fn open(&self, purpose: &str, sealed: &Sealed) -> Result<Vec<u8>, VaultError> {
        let octets = STANDARD.decode(&sealed.0).map_err(|_| VaultError::NotSealedHere)?;
        let (nonce, octets) =
            octets.split_at_checked(NONCE_LEN).ok_or(VaultError::NotSealedHere)?;
        let nonce =
            Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::NotSealedHere)?;
        let mut octets = octets.to_vec();
        let clear = self.0.open_in_place(nonce, Aad::from(purpose), &mut octets);
        clear.map(|clear| clear.to_vec()).map_err(|_| VaultError::NotSealedHere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_octets_open_for_their_purpose_only() {
        let vault = Vault::new(&[7; 32]).unwrap();
        let sealed = vault.seal("a certificate", b"clear").unwrap();
        assert_eq!(vault.open("a certificate", &sealed).unwrap(), b"clear");
        assert_eq!(vault.open("another", &sealed), Err(VaultError::NotSealedHere));
        let other = Vault::new(&[8; 32]).unwrap();
        assert_eq!(other.open("a certificate", &sealed), Err(VaultError::NotSealedHere));
    }

    #[test]
    fn every_changed_octet_is_noticed() {
        let vault = Vault::new(&[7; 32]).unwrap();
        let sealed = vault.seal("a", b"clear").unwrap();
        let octets = STANDARD.decode(&sealed.0).unwrap();
        for index in 0..octets.len() {
            let mut bad = octets.clone();
            bad[index] ^= 1;
            assert_eq!(
                vault.open("a", &Sealed(STANDARD.encode(bad))),
                Err(VaultError::NotSealedHere)
            );
        }
        for short in ["", "AAAA", "no base64!"] {
            assert_eq!(vault.open("a", &Sealed(short.into())), Err(VaultError::NotSealedHere));
        }
    }

    #[test]
    fn same_octets_never_look_the_same_twice() {
        let vault = Vault::new(&[7; 32]).unwrap();
        assert_ne!(vault.seal("a", b"clear").unwrap(), vault.seal("a", b"clear").unwrap());
    }
}
