//! Phones and other factors that holders add themselves.

use crate::network::Network;
use attest::factor_rules::FactorRules;
use attest::records::SessionLimits;
use serde::Deserialize;
use serde::Deserializer;
use std::time::Duration;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Factors {
    /// Seconds for which a factor that was added can add or replace no other.
    pub wait_seconds: u64,
    /// Whether a phone may be changed by the phone itself.
    pub change_by_phone: bool,
    /// Seconds for which sign-ins show what was added.
    pub show_seconds: u64,
    /// Whether passkeys are taken that their maker copies to the holder's other devices.
    pub accept_synced_passkeys: bool,
    /// Models taken (AAGUID); empty: every model.
    #[serde(deserialize_with = "aaguids")]
    pub models: Vec<[u8; 16]>,
    /// Networks of the PCs that may show a QR code for a phone; empty: every PC may.
    pub phone_networks: Vec<Network>,
    /// Seconds of a session that a phone approved, from the evidence.
    pub phone_session_seconds: u64,
}

impl Default for Factors {
    fn default() -> Self {
        Self {
            // A stolen evening does not become a lasting foothold before the holder works again.
            wait_seconds: 86_400,
            // Who registered by a letter has no card to change it with; SECURITY.md says what a relayed page can do.
            change_by_phone: true,
            // Everybody signs in once within a week.
            show_seconds: 7 * 86_400,
            // Phones of today make no others.
            accept_synced_passkeys: true,
            models: Vec::new(),
            // The appliance cannot know the house's networks.
            phone_networks: Vec::new(),
            // As long as the signing system's registration says: phones replace cards for a whole shift.
            phone_session_seconds: SessionLimits::CEILING_SECONDS,
        }
    }
}

impl Factors {
    /// As tickets are held against them.
    pub fn rules(&self) -> FactorRules {
        FactorRules {
            wait: Duration::from_secs(self.wait_seconds),
            accepts_synced: self.accept_synced_passkeys,
            models: self.models.clone(),
        }
    }
}

fn aaguids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<[u8; 16]>, D::Error> {
    use serde::de::Error;
    let aaguid = |text: String| {
        let mut octets = [0; 16];
        let read = hex::decode_to_slice(text.replace('-', ""), &mut octets);
        read.map(|()| octets).map_err(|_| {
            D::Error::custom(format!("{text:?} is no AAGUID: 32 hexadecimal digits in five groups"))
        })
    };
    Vec::<String>::deserialize(deserializer)?.into_iter().map(aaguid).collect()
}
