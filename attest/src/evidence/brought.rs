//! Authenticators that their holder brings to a PC: a phone that its browser reaches by itself, or a security key.
//!
//! A hospital's PC is shared. What is built into it answers to whoever may unlock it, and is refused. The browser says how an
//! authenticator is joined to the machine; nothing signs that. It keeps people from the wrong thing, while the registered key
//! is what proves them.

use super::fido2::Fido2Error;
use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::json;

/// The transports of what is brought (WebAuthn Level 3 §5.8.4): all but `internal`.
const TRANSPORTS: [&str; 5] = ["usb", "nfc", "ble", "smart-card", "hybrid"];

/// The transports of a security key; `hybrid` leads to a phone.
const SECURITY_KEY_TRANSPORTS: [&str; 4] = ["usb", "nfc", "ble", "smart-card"];

/// What the browser says of the authenticator (WebAuthn Level 3 §5.1).
#[derive(Deserialize)]
pub(super) struct Joined {
    #[serde(rename = "authenticatorAttachment")]
    attachment: Option<String>,
}

/// The same of a new one, with its transports (§5.2.1.1).
#[derive(Deserialize)]
pub(super) struct NewlyJoined {
    #[serde(flatten)]
    joined: Joined,
    response: Transports,
}

#[derive(Deserialize)]
struct Transports {
    #[serde(default)]
    transports: Vec<String>,
}

/// Offers nothing that is built in. Every credential gets the same transports: they tell models apart, and a decoy has none.
pub(super) fn ask_to_use(options: &mut Json) {
    let allowed = options.pointer_mut("/publicKey/allowCredentials");
    for allowed in allowed.and_then(Json::as_array_mut).into_iter().flatten() {
        if let Some(allowed) = allowed.as_object_mut() {
            allowed.insert("transports".to_owned(), json!(TRANSPORTS));
        }
    }
    if let Some(options) = options.pointer_mut("/publicKey").and_then(Json::as_object_mut) {
        options.insert("hints".to_owned(), json!(["hybrid", "security-key"]));
    }
}

/// A browser that does not say what answered may have used what is built in.
pub(super) fn check_attachment(joined: &Joined) -> Result<(), Fido2Error> {
    match joined.attachment.as_deref() {
        Some("cross-platform") => Ok(()),
        Some(_) | None => Err(Fido2Error::BuiltIn),
    }
}

/// Asks for a security key: neither what is built in nor, where the browser can tell, a phone.
pub(super) fn ask_to_create(options: &mut Json) {
    if let Some(selection) =
        options.pointer_mut("/publicKey/authenticatorSelection").and_then(Json::as_object_mut)
    {
        selection.insert("authenticatorAttachment".to_owned(), json!("cross-platform"));
    }
    if let Some(options) = options.pointer_mut("/publicKey").and_then(Json::as_object_mut) {
        options.insert("hints".to_owned(), json!(["security-key"]));
    }
}

/// A new authenticator is on a wire or near a reader, and nowhere else. One whose browser names no transport may be a phone.
pub(super) fn check_security_key(new: &NewlyJoined) -> Result<(), Fido2Error> {
    check_attachment(&new.joined)?;
    let named = &new.response.transports;
    let is_of_key = |named: &String| SECURITY_KEY_TRANSPORTS.contains(&named.as_str());
    match !named.is_empty() && named.iter().all(is_of_key) {
        true => Ok(()),
        false => Err(Fido2Error::NotSecurityKey),
    }
}
