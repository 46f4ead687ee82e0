//! Rules for the factors that holders add themselves: how long a new one can add no other, and which passkeys are taken.

use crate::clock::UnixSeconds;
use crate::evidence::NewPasskey;
use std::time::Duration;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactorRules {
    /// How long a factor that was added can add or replace no other: whoever added it in the holder's absence gets no further
    /// before the holder's next working day. Cards linked by operators are not concerned.
    pub wait: Duration,
    /// Whether keys are taken that their maker may copy to other devices. Phones of today make no others.
    pub accepts_synced: bool,
    /// Models taken (AAGUID, 16 octets); empty: every model. They say it themselves and nothing vouches for it.
    pub models: Vec<[u8; 16]>,
}

impl Default for FactorRules {
    fn default() -> Self {
        Self { wait: Duration::from_secs(86_400), accepts_synced: true, models: Vec::new() }
    }
}

impl FactorRules {
    /// When a factor that was added at `added_at` may add another.
    pub fn may_add_from(&self, added_at: UnixSeconds) -> UnixSeconds {
        added_at.plus(self.wait)
    }

    /// Whether an authenticator of this kind is taken.
    pub fn accepts(&self, new: &NewPasskey) -> bool {
        let is_model = self.models.is_empty() || self.models.contains(&new.aaguid());
        is_model && (self.accepts_synced || !new.is_backup_eligible())
    }
}
