//! Authenticators of people who have none: always the same for one holder id, made of a key that nobody else has. Also over a
//! restart, or whoever asks before and after it would learn whose does not change.
//!
//! They are asked like real ones, so that nobody learns from a question who has a phone, and an answer costs the same.

use super::fido2::Fido2Error;
use crate::sign_in::RandomFailed;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use webauthn_rs::prelude::Passkey;

/// See the module.
pub(super) struct Decoys {
    key: hmac::Key,
    x: String,
    y: String,
}

impl Decoys {
    /// Decoys under this key: 256 bits that only the appliance has, the same at every start.
    pub(super) fn new(key: &[u8; 32]) -> Result<Self, Fido2Error> {
        let failed = || Fido2Error::Random(RandomFailed);
        // The private half is gone at the end of this function.
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| failed())?;
        let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
        let (x, y) = point.split_at_checked(32).unwrap_or_default();
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), x, y })
    }

    /// The one of `holder_id`.
    pub(super) fn passkey(&self, holder_id: &str) -> Result<Passkey, Fido2Error> {
        let tag = hmac::sign(&self.key, holder_id.as_bytes());
        // Phones use ids of 16, 20 and 32 octets; a holder id always has the same.
        let len = match tag.as_ref().last().copied().unwrap_or_default() % 4 {
            0 => 16,
            1 | 2 => 20,
            _ => 32,
        };
        let id = URL_SAFE_NO_PAD.encode(tag.as_ref().get(..len).unwrap_or_default());
        let ec2 = json!({ "curve": "SECP256R1", "x": self.x, "y": self.y });
        let passkey = json!({ "cred": {
            "cred_id": id,
            "cred": { "type_": "ES256", "key": { "EC_EC2": ec2 } },
            "counter": 0,
            "transports": null,
            "user_verified": true,
            "backup_eligible": false,
            "backup_state": false,
            "registration_policy": "required",
            "extensions": {},
            "attestation": { "data": "None", "metadata": "None" },
            "attestation_format": "none",
        }});
        serde_json::from_value(passkey).map_err(Fido2Error::Unreadable)
    }
}
