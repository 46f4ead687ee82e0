//! Authenticators of people who have none: always the same for one holder id, made of a key that nobody else has. Also over a
//! restart, or whoever asks before and after it would learn whose does not change.
//!
//! They are asked like real ones, so that nobody learns from a question who has what, and an answer costs the same.

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

    /// The one of `holder_id` in this place: the first is a phone's, others are security keys'.
    pub(super) fn passkey(&self, holder_id: &str, place: usize) -> Result<Passkey, Fido2Error> {
        // No holder id ends in a number behind an octet 0.
        let named = |half: usize| match (place, half) {
            (0, 0) => holder_id.to_owned(),
            _ => format!("{holder_id}\0{place}\0{half}"),
        };
        let tag = |half| hmac::sign(&self.key, named(half).as_bytes());
        let octets = [tag(0).as_ref(), tag(1).as_ref()].concat();
        // Phones use ids of 16, 20 and 32 octets, keys of 16, 48 and 64; a holder id always has the same.
        let lengths = if place == 0 { [16, 20, 20, 32] } else { [16, 48, 64, 64] };
        let which = octets.get(31).copied().unwrap_or_default() % 4;
        let len = lengths.get(usize::from(which)).copied().unwrap_or(20);
        let id = URL_SAFE_NO_PAD.encode(octets.get(..len).unwrap_or_default());
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
