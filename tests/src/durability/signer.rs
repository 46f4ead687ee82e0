//! A checkpoint key in a file: the worker's successors must sign with the same key.

use appliance::audit::CheckpointSigner;
use async_trait::async_trait;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use std::io;
use std::path::Path;

/// An ECDSA key on P-256, made by [`make_key`].
pub struct FileSigner {
    pair: EcdsaKeyPair,
    spki_der: Vec<u8>,
}

/// Makes a key and writes it to `path`, PKCS #8.
///
/// # Errors
/// When the file cannot be written.
pub fn make_key(path: &Path) -> io::Result<()> {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
    std::fs::write(path, pkcs8.map_err(io::Error::other)?)
}

impl FileSigner {
    /// Reads the key at `path`.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(path: &Path) -> io::Result<Self> {
        let pkcs8 = std::fs::read(path)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8)
            .map_err(io::Error::other)?;
        let spki_der = pair.public_key().as_der().map_err(io::Error::other)?.as_ref().to_vec();
        Ok(Self { pair, spki_der })
    }
}

#[async_trait]
impl CheckpointSigner for FileSigner {
    fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    async fn sign(&self, note_text: &[u8]) -> Result<Vec<u8>, String> {
        let signature = self.pair.sign(&SystemRandom::new(), note_text);
        Ok(signature.map_err(|error| error.to_string())?.as_ref().to_vec())
    }
}
