//! A notification card's link is followed on a phone.

use super::Parts;
use async_trait::async_trait;
use attest::notification_card::MacUnavailable;
use attest::notification_card::NotificationCards;
use attest::notification_card::PasswordMac;
use hsm::Hsm;
use std::sync::Arc;

/// Verifiers of passwords are made by the HSM's index key: without the token nobody can search for one.
struct HsmMac(Arc<Hsm>);

#[async_trait]
impl PasswordMac for HsmMac {
    async fn mac(&self, input: &[u8]) -> Result<[u8; 32], MacUnavailable> {
        self.0.index_hmac(input).await.map_err(|error| MacUnavailable(error.to_string()))
    }
}

/// The notification cards of an appliance made of these parts.
pub fn notification_cards(parts: &Parts) -> NotificationCards {
    let mac = Arc::new(HsmMac(parts.hsm.clone()));
    NotificationCards::new(parts.trust.clone(), parts.clock.clone(), mac)
}
