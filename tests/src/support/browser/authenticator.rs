//! Virtual authenticators: what a security key, or a phone with a passkey, does in a real browser.
//!
//! Source: WebAuthn Level 3 §11 (User Agent Automation).

use super::Browser;
use serde_json::Value;
use serde_json::json;

/// How an authenticator is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Built in, as in a phone or a laptop.
    Internal,
    /// A security key.
    Usb,
    /// A phone that the browser reaches by itself.
    Hybrid,
}

/// An authenticator in a browser: CTAP 2, with resident keys and user verification. It is there until it is removed.
#[derive(Debug)]
pub struct Authenticator<'a> {
    browser: &'a Browser,
    id: String,
}

impl Browser {
    /// Adds one whose user is verified when asked, until told otherwise.
    pub async fn add_authenticator(&self, transport: Transport) -> Authenticator<'_> {
        let transport = match transport {
            Transport::Internal => "internal",
            Transport::Usb => "usb",
            Transport::Hybrid => "hybrid",
        };
        let wanted = json!({
            "protocol": "ctap2", "transport": transport, "hasResidentKey": true,
            "hasUserVerification": true, "isUserConsenting": true, "isUserVerified": true,
        });
        let id = self.driver.post("/webauthn/authenticator", &wanted).await;
        Authenticator { browser: self, id: id.as_str().expect("an id").to_owned() }
    }
}

impl Authenticator<'_> {
    /// What it holds: `credentialId`, `rpId`, `userHandle`, `privateKey`, `signCount`, ... as the standard names them.
    pub async fn credentials(&self) -> Vec<Value> {
        let held = self.browser.driver.get(&self.path("/credentials")).await;
        held.as_array().cloned().unwrap_or_default()
    }

    /// Puts one in that another gave: a copied key, or one with an older counter.
    pub async fn add_credential(&self, credential: &Value) {
        self.browser.driver.post(&self.path("/credential"), credential).await;
    }

    pub async fn remove_credential(&self, credential_id: &str) {
        self.browser.driver.delete(&self.path(&format!("/credentials/{credential_id}"))).await;
    }

    /// Whether its user passes the next verifications (PIN, finger, face).
    pub async fn set_user_verified(&self, is_user_verified: bool) {
        let verified = json!({ "isUserVerified": is_user_verified });
        self.browser.driver.post(&self.path("/uv"), &verified).await;
    }

    /// Lost or unplugged.
    pub async fn remove(self) {
        self.browser.driver.delete(&self.path("")).await;
    }

    fn path(&self, what: &str) -> String {
        format!("/webauthn/authenticator/{}{what}", self.id)
    }
}
