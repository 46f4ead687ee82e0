//! A phone in software: what an authenticator and the browser before it answer to a portal's questions.
//!
//! Its fields are what can be wrong with a phone: tests set them one by one.

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
use aws_lc_rs::signature::ECDSA_P384_SHA384_ASN1_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_cbor_2::Value as Cbor;
use serde_json::Value as Json;
use serde_json::json;
use std::collections::BTreeMap;

/// User present and verified (WebAuthn §6.1).
pub const UP_UV: u8 = 0x05;
/// Attested credential data included.
const FLAG_AT: u8 = 0x40;

/// Kinds of key a phone may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhoneKey {
    /// ES256.
    P256,
    /// ES384.
    P384,
}

/// See the module.
pub struct SoftPhone {
    /// Page that the browser is on.
    pub origin: String,
    /// Relying party that the credential is for.
    pub rp_id: String,
    /// Whether that page is a frame in another's.
    pub is_cross_origin: bool,
    /// Flags UP, UV, BE, BS.
    pub flags: u8,
    /// Counter of the next answer; one more each time, unless it is 0.
    pub counter: u32,
    /// Answers to this challenge in place of the one asked.
    pub challenge: Option<String>,
    /// Says that it did this in place of what it did.
    pub kind: Option<&'static str>,
    /// The user handle that it gives back, if any.
    pub user_handle: Option<Vec<u8>>,
    /// Name of its one credential.
    pub credential_id: Vec<u8>,
    /// How it is joined to the browser's machine, as the browser says it.
    pub attachment: Option<&'static str>,
    /// The ways to it, as the browser says them of a new one.
    pub transports: Vec<&'static str>,
    /// Its model.
    pub aaguid: [u8; 16],
    key: EcdsaKeyPair,
    curve: PhoneKey,
}

impl SoftPhone {
    /// A phone whose browser is at `origin`, with one key; nothing without random octets.
    pub fn new(origin: &str, rp_id: &str, curve: PhoneKey) -> Option<Self> {
        let algorithm = match curve {
            PhoneKey::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
            PhoneKey::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
        };
        let mut credential_id = vec![0; 20];
        aws_lc_rs::rand::fill(&mut credential_id).ok()?;
        Some(Self {
            origin: origin.to_owned(),
            rp_id: rp_id.to_owned(),
            is_cross_origin: false,
            flags: UP_UV,
            counter: 1,
            challenge: None,
            kind: None,
            user_handle: None,
            credential_id,
            attachment: Some("platform"),
            transports: vec!["internal"],
            aaguid: *b"soft phone model",
            key: EcdsaKeyPair::generate(algorithm).ok()?,
            curve,
        })
    }

    /// The same in a security key on a wire.
    pub fn security_key(self) -> Self {
        Self { attachment: Some("cross-platform"), transports: vec!["usb", "nfc"], ..self }
    }

    /// Answers `navigator.credentials.create`: attestation "none".
    pub fn create(&mut self, options_json: &str) -> Option<String> {
        let options: Json = serde_json::from_str(options_json).ok()?;
        let user = options.pointer("/publicKey/user/id")?.as_str()?;
        self.user_handle = Some(URL_SAFE_NO_PAD.decode(user).ok()?);
        let client_data = self.client_data(&options, "webauthn.create")?;
        let id_len = u16::try_from(self.credential_id.len()).ok()?.to_be_bytes();
        let attested = [&self.aaguid[..], &id_len, &self.credential_id, &self.cose_key()?].concat();
        let data = [self.fixed(FLAG_AT), attested].concat();
        let object = BTreeMap::from([
            (Cbor::Text("fmt".into()), Cbor::Text("none".into())),
            (Cbor::Text("attStmt".into()), Cbor::Map(BTreeMap::new())),
            (Cbor::Text("authData".into()), Cbor::Bytes(data)),
        ]);
        let object = serde_cbor_2::to_vec(&Cbor::Map(object)).ok()?;
        Some(self.answer(json!({
            "attestationObject": URL_SAFE_NO_PAD.encode(object),
            "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
            "transports": self.transports,
        })))
    }

    /// Answers `navigator.credentials.get`, whoever was asked.
    pub fn get(&mut self, options_json: &str) -> Option<String> {
        let options: Json = serde_json::from_str(options_json).ok()?;
        let client_data = self.client_data(&options, "webauthn.get")?;
        let data = self.fixed(0);
        let hash = digest::digest(&digest::SHA256, client_data.as_bytes());
        let signed = [&data, hash.as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).ok()?;
        Some(self.answer(json!({
            "authenticatorData": URL_SAFE_NO_PAD.encode(data),
            "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
            "signature": URL_SAFE_NO_PAD.encode(signature),
            "userHandle": self.user_handle.as_ref().map(|handle| URL_SAFE_NO_PAD.encode(handle)),
        })))
    }

    fn answer(&self, response: Json) -> String {
        let id = URL_SAFE_NO_PAD.encode(&self.credential_id);
        json!({
            "id": id,
            "rawId": id,
            "type": "public-key",
            "authenticatorAttachment": self.attachment,
            "response": response,
            "clientExtensionResults": {},
        })
        .to_string()
    }

    fn client_data(&self, options: &Json, kind: &str) -> Option<String> {
        let asked = options.pointer("/publicKey/challenge")?.as_str()?;
        let client_data = json!({
            "type": self.kind.unwrap_or(kind),
            "challenge": self.challenge.as_deref().unwrap_or(asked),
            "origin": self.origin,
            "crossOrigin": self.is_cross_origin,
        });
        Some(client_data.to_string())
    }

    /// rpIdHash, flags, signCount.
    fn fixed(&mut self, more_flags: u8) -> Vec<u8> {
        let rp_id_hash = digest::digest(&digest::SHA256, self.rp_id.as_bytes());
        let counter = self.counter.to_be_bytes();
        if self.counter > 0 {
            self.counter = self.counter.saturating_add(1);
        }
        [rp_id_hash.as_ref(), &[self.flags | more_flags], &counter].concat()
    }

    /// RFC 9053 §7.1.1.
    fn cose_key(&self) -> Option<Vec<u8>> {
        let (algorithm, curve) = match self.curve {
            PhoneKey::P256 => (-7, 1),
            PhoneKey::P384 => (-35, 2),
        };
        let point = self.key.public_key().as_ref().get(1..)?;
        let (x, y) = point.split_at_checked(point.len() / 2)?;
        let key = BTreeMap::from([
            (Cbor::Integer(1), Cbor::Integer(2)),
            (Cbor::Integer(3), Cbor::Integer(algorithm)),
            (Cbor::Integer(-1), Cbor::Integer(curve)),
            (Cbor::Integer(-2), Cbor::Bytes(x.to_vec())),
            (Cbor::Integer(-3), Cbor::Bytes(y.to_vec())),
        ]);
        serde_cbor_2::to_vec(&Cbor::Map(key)).ok()
    }
}
