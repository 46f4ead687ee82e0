//! Doctors that a test has for itself: the world's own two are everybody's.

use super::admin;
use super::pki::AUTHENTICATION_POLICY;
use super::pki::Pair;
use super::pki::Validity;
use super::world::World;
use serde_json::json;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// A doctor with a card and a key.
pub struct Doctor {
    pub holder_id: String,
    pub credential_id: String,
    pub card: Pair,
}

impl World {
    /// A new doctor whose key is certified for `validity`.
    pub async fn new_doctor(&self, validity: Validity) -> Doctor {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        let holder_id = format!("doctor-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let card = self.pki.hpki_auth.card(&holder_id, AUTHENTICATION_POLICY, Validity::CURRENT);
        let holder = json!({ "holder_id": holder_id, "display_name": holder_id });
        admin::grant(self, "POST /holders", Some(&holder)).await;
        let link = json!({ "holder_id": holder_id, "certificate_pem": card.pem() });
        admin::grant(self, "POST /cards", Some(&link)).await;
        let credential_id = format!("{holder_id}-key");
        self.enrol_key(&credential_id, &holder_id, "p-256", validity).await;
        Doctor { holder_id, credential_id, card }
    }
}
