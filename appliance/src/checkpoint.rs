//! The HSM's checkpoint key, as the audit log asks for it.

use crate::audit::CheckpointSigner;
use async_trait::async_trait;
use hsm::Hsm;
use hsm::HsmError;
use std::sync::Arc;

/// Signs checkpoints with the house key made for nothing else.
pub struct HsmCheckpointSigner {
    hsm: Arc<Hsm>,
    spki_der: Vec<u8>,
}

impl HsmCheckpointSigner {
    /// The checkpoint key of `hsm`.
    ///
    /// # Errors
    /// [`HsmError::NoHouseKeys`] before the ceremony.
    pub fn new(hsm: Arc<Hsm>) -> Result<Self, HsmError> {
        let spki_der = hsm.checkpoint_public_key()?;
        Ok(Self { hsm, spki_der })
    }
}

#[async_trait]
impl CheckpointSigner for HsmCheckpointSigner {
    fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    async fn sign(&self, note_text: &[u8]) -> Result<Vec<u8>, String> {
        let signature =
            self.hsm.sign_checkpoint(note_text).await.map_err(|error| error.to_string())?;
        Ok(signature.as_bytes().to_vec())
    }
}
