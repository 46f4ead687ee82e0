//! The set of keys in the token, as it was when the appliance last changed it: a token directory that was rolled back or
//! added to is noticed at the next start.

use super::Keeper;
use super::entries;
use crate::audit::record::AlarmSource;
use attest::records::Fingerprint;
use attest::records::TrustRecord;
use attest::trust::TrustError;
use hsm::HsmError;
use serde::Deserialize;
use serde::Serialize;

/// Digest of the key set after the last change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeySet {
    digest: Fingerprint,
}

impl TrustRecord for KeySet {
    const PREFIX: &'static str = "f/";

    fn id(&self) -> String {
        KEY_SET.to_owned()
    }
}

/// Why the key set is not known.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// The token did not say.
    #[error(transparent)]
    Hsm(#[from] HsmError),
    /// The record.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl Keeper {
    /// Makes the present key set durable: after every key that was made or destroyed.
    ///
    /// # Errors
    /// [`KeySetError`]; at the next start the difference is an alarm.
    pub async fn keep_key_set(&self) -> Result<(), KeySetError> {
        let present = self.key_set().await?;
        match self.parts.trust.load::<KeySet>(KEY_SET).await? {
            Some((kept, _)) if kept == present => {}
            Some((_, rev)) => self.parts.trust.replace(&present, rev).await?,
            None => self.parts.trust.create(&present).await?,
        }
        Ok(())
    }

    /// Compares the token with what was kept. A difference is an alarm; keys that lack or changed are refused by their own
    /// audit anyway.
    ///
    /// # Errors
    /// [`KeySetError`]
    pub async fn check_key_set(&self) -> Result<(), KeySetError> {
        let present = self.key_set().await?;
        let kept = match self.parts.trust.load::<KeySet>(KEY_SET).await? {
            None => return Ok(self.parts.trust.create(&present).await?),
            Some((kept, _)) if kept == present => return Ok(()),
            Some((kept, _)) => kept,
        };
        let detail =
            format!("the token's keys are {}, kept was {}", present.digest.0, kept.digest.0);
        tracing::error!(
            detail,
            "ALARM: keys were added to or taken from the token outside the appliance"
        );
        let entry = entries::alarm(AlarmSource::Hsm, "key_set_changed", &detail);
        if let Err(error) = self.parts.audit.append(entry).await {
            tracing::error!(%error, "an alarm could not be recorded");
        }
        Ok(())
    }

    async fn key_set(&self) -> Result<KeySet, HsmError> {
        let digest = self.parts.hsm.key_set_digest().await?;
        Ok(KeySet { digest: Fingerprint(hex::encode(digest)) })
    }
}

const KEY_SET: &str = "key-set";
