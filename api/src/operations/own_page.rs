//! What a holder's browser asks of the portal about the holder: who is signed in where, by what, and what was signed.
//!
//! ```text
//! GET  /me                  -> OwnPageView     or the way to sign in
//! POST /me/sign-in          -> Begun           a sign-in for the portal itself, made as for any signing system
//! GET  /arrive?code&state   -> Arrived         its code, in the browser that began it; other sign-ins go on from here
//! POST /me                  -> OwnDone         end one sign-in, sign out, sign out everywhere
//! GET  /me/devices/{id}     -> DeviceRemoval   what would remain to sign in with; changes nothing
//! POST /me/devices/{id}     -> OwnDone         the phone is removed
//! GET  /me/signatures       -> OwnSignatures   newest first
//! ```
//! The browser's cookie is the only proof; every form has a one-time field.

use crate::admin::names::EnrollerName;
use crate::operations::browser_secret::BrowserSecret;
use crate::operations::portal::Terminal;
use crate::operations::saved::SavedCookie;
use crate::wire::MethodName;
use async_trait::async_trait;
use attest::authenticator::AuthenticatorKind;
use serde::Deserialize;
use serde::Serialize;

/// A sign-in for the portal itself was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begun {
    /// Go to `/login/{link}`.
    Link(BrowserSecret),
    /// Too many were asked for.
    RateLimited {
        /// Seconds to wait.
        seconds: u64,
    },
    /// The appliance cannot do this now.
    Unavailable,
}

/// What a browser brings to `/arrive`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Arrival {
    /// One-time code of the sign-in.
    pub code: String,
    /// The sign-in: `state`.
    pub session_id: String,
    /// Only the browser that approved was sent here with it.
    pub keep: Option<String>,
    /// Cookie: the sign-in that this browser began last.
    pub begun: Option<String>,
    /// Cookie of the sign-ins that it keeps.
    pub saved: Option<String>,
}

/// A browser brought a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrived {
    /// The holder's page is open.
    OwnPage {
        /// For the cookie; in no link.
        secret: BrowserSecret,
    },
    /// Back to the signing system with the code.
    Return {
        /// Registered return URL with `code` and `state`.
        url: String,
        /// What the browser keeps from now on, if anything.
        kept: Option<SavedCookie>,
    },
    /// Unknown, used, denied, too late, or begun in another browser.
    Over,
    /// The appliance cannot do this now.
    Unavailable,
}

/// What only the holder's open page shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Own<T> {
    /// The page is open.
    Open(T),
    /// It is not: sign in.
    SignIn,
    /// It is, but there is no such thing on it.
    NotFound,
    /// The appliance cannot do this now.
    Unavailable,
}

/// The page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnPageView {
    /// The holder, as registered.
    pub holder: String,
    /// Their id.
    pub holder_id: String,
    /// One-time field for every form of the page.
    pub form_token: BrowserSecret,
    /// Sessions that live.
    pub sign_ins: Vec<OwnSignIn>,
    /// The phones registered.
    pub phones: Vec<OwnPhone>,
    /// The cards linked.
    pub cards: Vec<OwnCard>,
    /// Whom to call at the certification authority.
    pub ca_contact: Option<String>,
    /// True while published test cards may sign in.
    pub danger_test_mode: bool,
}

/// A session that lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnSignIn {
    /// Names it.
    pub session_id: String,
    /// Name of the signing system.
    pub system: String,
    /// How.
    pub method: MethodName,
    /// When presence was proved, Unix seconds.
    pub since: u64,
    /// Its last second, Unix seconds.
    pub until: u64,
    /// Signatures left.
    pub remaining_signatures: u64,
    /// From where, where that is known.
    pub terminal: Option<String>,
}

/// A phone or a security key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnPhone {
    /// Which of them.
    pub kind: AuthenticatorKind,
    /// Names it.
    pub device: String,
    /// What people call it.
    pub label: String,
    /// Since when, Unix seconds.
    pub since: u64,
    /// By what it was registered.
    pub enrolled_by: EnrollerName,
    /// Newest use, Unix seconds.
    pub last_used: Option<u64>,
}

/// A card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnCard {
    /// An HPKI card or a My Number card.
    pub kind: MethodName,
    /// Subject of its certificate; a My Number card's is kept by nobody.
    pub subject: Option<String>,
    /// Linked since when, Unix seconds.
    pub since: u64,
}

/// What removing a phone or a security key would mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRemoval {
    /// That one.
    pub phone: OwnPhone,
    /// One-time field of the form.
    pub form_token: BrowserSecret,
    /// Phone and security keys with which the holder could still sign in.
    pub remaining_devices: Vec<OwnPhone>,
    /// Cards with which the holder could still sign in.
    pub remaining_cards: Vec<OwnCard>,
    /// Whom to call where nothing remains.
    pub ca_contact: Option<String>,
}

impl DeviceRemoval {
    /// Whether nothing would remain to sign in with.
    pub fn is_last(&self) -> bool {
        self.remaining_cards.is_empty() && self.remaining_devices.is_empty()
    }
}

/// What the holder pressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnAction {
    /// End one session.
    End {
        /// Which.
        session_id: String,
    },
    /// Remove a phone or a security key.
    RemovePhone {
        /// Which.
        device: String,
    },
    /// Close this page.
    SignOut,
    /// End everything that is signed in.
    SignOutEverywhere,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnDone {
    /// Done; the page goes on.
    Done,
    /// Done; the page is closed.
    SignedOut,
    /// Done; the page is closed, and so is everything else.
    SignedOutEverywhere {
        /// Sessions that were ended.
        ended: u64,
    },
    /// The form was sent before, or is not this page's.
    FormOver,
    /// The page is not open.
    SignIn,
    /// Not all of it could be done: it has to be asked for again.
    Unavailable,
}

/// What was signed in the holder's name: one page of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnSignatures {
    /// Newest first.
    pub signatures: Vec<OwnSignature>,
    /// Where the next page begins; `None`: this is the last.
    pub older: Option<u64>,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnSignature {
    /// When, Unix seconds.
    pub at: u64,
    /// What the signing system called the document; nothing where it gave no label or the label was erased.
    pub label: Option<String>,
    /// Name of the signing system, or its id once it is gone.
    pub system: String,
    /// By which evidence.
    pub method: MethodName,
    /// Names the audit record.
    pub receipt: String,
}

/// What a holder's browser asks about the holder. `secret` is the cookie's, empty without one.
#[async_trait]
pub trait OwnPage: Send + Sync {
    /// Begins a sign-in for the portal itself.
    async fn begin_own_page(&self, request_id: &str, terminal: Terminal) -> Begun;

    /// A browser brought a code.
    async fn arrive(&self, request_id: &str, arrival: Arrival) -> Arrived;

    /// The page.
    async fn own_page(&self, request_id: &str, secret: &str) -> Own<OwnPageView>;

    /// What removing a phone or a security key would mean.
    async fn own_device(&self, request_id: &str, secret: &str, device: &str) -> Own<DeviceRemoval>;

    /// A button was pressed.
    async fn own_action(
        &self,
        request_id: &str,
        secret: &str,
        form_token: &str,
        action: OwnAction,
    ) -> OwnDone;

    /// Signatures before the record `before`, or the newest.
    async fn own_signatures(
        &self,
        request_id: &str,
        secret: &str,
        before: Option<u64>,
    ) -> Own<OwnSignatures>;
}
