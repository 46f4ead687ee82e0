//! What browsers ask of the portal: choosing a method, the PC's page that waits for a phone, the phone's own pages.
//!
//! ```text
//! PC     GET /                        -> PortalIndex         what can be done here
//! PC     GET /login/{link}            -> ChoicePage          names the system, offers the methods; changes nothing
//! PC     POST /login/{link}/phone     -> Handed              a QR code and a number for this browser (its cookie)
//! PC     GET /wait/{id}               -> WaitPage            the QR code, then what became of it
//! PC     GET /wait/{id}/state?wait=   -> WaitPage            for the page's script: whether it changed from what `shows` says
//! phone  GET /phone/{link}            -> PhonePage           who asks, from where; changes nothing
//! phone  POST /phone/{link}/options   -> PhoneAsked          the number typed; the question to the authenticator
//! phone  POST /phone/{link}/finish    -> PhoneDone           its answer
//! phone  POST /phone/{link}/deny      -> PhoneDone           "this is not mine"
//! ```
//! A phone is enrolled the same way: the card listener proves the card and hands the browser a page secret for
//! `POST /wait/{id}`. The pages are one for both; the keeper knows what an id stands for.

use crate::operations::CardHandshake;
use crate::operations::EntryShown;
use crate::operations::WhyNot;
use crate::operations::added::RecentlyAdded;
use crate::operations::browser_secret::BrowserSecret;
use crate::wire::MethodName;
use async_trait::async_trait;
use attest::authenticator::AuthenticatorKind;
use serde::Deserialize;
use serde::Serialize;
use std::time::Duration;

/// What can be done on the portal without a login link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortalIndex {
    /// Where an HPKI card registers a phone: `/enrol` on the card listener.
    pub enrol_url: String,
    /// Where it registers a security key: `/enrol-key` there.
    pub enrol_key_url: String,
    /// Where My Number cards may be used: what they are for.
    pub my_number: Option<MyNumberUrls>,
    /// Whether a phone may be changed by the phone itself.
    pub changes_by_phone: bool,
    /// True while published test cards may sign in.
    pub danger_test_mode: bool,
}

/// What My Number cards are for on the portal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MyNumberUrls {
    /// Where a My Number card registers a phone: `/enrol` on its listener.
    pub enrol: String,
    /// Where it registers a security key: `/enrol-key` there.
    pub enrol_key: String,
    /// Where an HPKI card registers a My Number card: `/link` on the HPKI card's listener.
    pub link: String,
}

/// What stands behind a login link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChoicePage {
    /// The link can be used.
    Choose(Choice),
    /// Unknown, used or over: one page for all.
    Over,
    /// The appliance cannot do this now.
    Unavailable,
}

/// Who asks, and how one may sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Name of the signing system that asks.
    pub system: String,
    /// Methods offered, in the order to show them.
    pub methods: Vec<MethodName>,
    /// The same link on the card listener, where an HPKI card is a method.
    pub hpki_url: Option<String>,
    /// The same link on the My Number card's listener, where such a card is a method.
    pub jpki_url: Option<String>,
    /// Whether the holder's id (本人ID) must be typed before a phone can be asked.
    pub asks_holder: bool,
    /// Whether this browser keeps the sign-in until its end.
    pub keeps: bool,
    /// Seconds until the link is over.
    pub remaining_seconds: u64,
    /// True while published test cards may sign in.
    pub danger_test_mode: bool,
}

/// Where a browser is, as the phone shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Address of the connection.
    pub address: String,
    /// Browser and system in a few words, from the User-Agent: `Chrome, Windows`. Not proved.
    pub browser: String,
}

/// A page of this browser that waits for a phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handed {
    /// Go to `/wait/{id}` with the secret in the cookie of that page.
    Page {
        /// Names the page.
        id: String,
        /// For the cookie; in no link.
        page_secret: BrowserSecret,
    },
    /// The login link cannot be used.
    Over,
    /// The PC is in no network from which a phone may be asked.
    NetworkNotAllowed,
    /// Too many pages were asked for.
    RateLimited {
        /// Seconds to wait.
        seconds: u64,
    },
    /// The appliance cannot do this now.
    Unavailable,
}

/// The PC's page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitPage {
    /// The phone has not been there yet, or is not done.
    Waiting(Waiting),
    /// Signed in: back to the signing system with the code.
    Return {
        /// Registered return URL with `code` and `state`.
        url: String,
    },
    /// Signed in; the asking screen goes on by itself.
    SignedIn {
        /// Name of the signing system.
        system: String,
    },
    /// What is asked for is before this PC: go to `/wait/{id}/key`.
    AtPc,
    /// An authenticator is proved; the card that began has to be shown again before it is registered.
    AskCard {
        /// What it is.
        kind: AuthenticatorKind,
        /// Its label.
        label: String,
        /// Where the card is asked for: `/enrol/{id}` on its listener.
        url: String,
        /// Seconds until it is too late.
        remaining_seconds: u64,
    },
    /// The old phone proved its holder: is it to be given up for another?
    AskChange {
        /// The holder's id.
        holder_id: String,
        /// Label of the old phone.
        label: String,
        /// Seconds until it is too late.
        remaining_seconds: u64,
    },
    /// An authenticator is registered.
    Enrolled {
        /// What it is.
        kind: AuthenticatorKind,
        /// Its label.
        label: String,
    },
    /// The holder said no, or the number was wrong too often.
    Denied,
    /// Its time is over, or this browser has no such page.
    Over,
    /// The appliance cannot do this now.
    Unavailable,
}

/// What the PC shows while it waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// For what.
    pub purpose: Purpose,
    /// What the QR code says: `https://portal/phone/{link}`.
    pub url: String,
    /// The number to type on the phone; `None`: the one on the asking screen.
    pub number: Option<String>,
    /// Seconds until it is over.
    pub remaining_seconds: u64,
}

/// What a phone is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Sign in for a signing system.
    SignIn {
        /// Its name.
        system: String,
        /// The holder's id as wanted or typed.
        holder_id: String,
    },
    /// Prove yourself with this phone, to register another in its place.
    Change {
        /// The holder's id as typed.
        holder_id: String,
    },
    /// Confirm, with the old phone that began, that the new one takes its place.
    ConfirmChange {
        /// The holder's id.
        holder_id: String,
        /// Label of the new phone.
        label: String,
    },
    /// Open the holder's own page.
    OwnPage {
        /// The holder's id as typed.
        holder_id: String,
    },
    /// Register this phone.
    Enrol {
        /// The holder's id, proved by the card.
        holder_id: String,
        /// Whether another phone is given up for it.
        replaces: bool,
    },
    /// Register a security key, at the PC itself.
    EnrolKey {
        /// The holder's id, proved by the card.
        holder_id: String,
    },
}

impl Purpose {
    /// Tells the QR codes apart that one page shows one after the other.
    pub fn code(&self) -> u8 {
        match self {
            Self::SignIn { .. }
            | Self::Change { .. }
            | Self::OwnPage { .. }
            | Self::Enrol { .. }
            | Self::EnrolKey { .. } => 1,
            Self::ConfirmChange { .. } => 2,
        }
    }
}

/// What a phone shows that followed a QR code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhonePage {
    /// Type the number, then prove yourself.
    Ask {
        /// For what.
        purpose: Purpose,
        /// From where it was asked, one line.
        terminal: String,
        /// Whether the number is the one on the asking screen, not on the page with the QR code.
        number_of_asking_screen: bool,
        /// Hours and signatures agreed to, where somebody signs in.
        session_seconds: u64,
        /// See `session_seconds`.
        signatures: u64,
        /// What alone is to be signed; none: a day session.
        entries: Vec<EntryShown>,
        /// Seconds until it is over.
        remaining_seconds: u64,
    },
    /// Unknown, used or over: one page for all.
    Over,
    /// The appliance cannot do this now.
    Unavailable,
}

/// What became of the number typed on the phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhoneAsked {
    /// The question to the authenticator.
    Options {
        /// Names the ceremony.
        ceremony_id: String,
        /// `CredentialCreationOptions` or `CredentialRequestOptions` in the JSON form of WebAuthn level 3 (base64url).
        options: serde_json::Value,
    },
    /// Wrong number; `over` when that was the last try.
    WrongNumber {
        /// Whether nothing more can be tried.
        over: bool,
    },
    /// Unknown, used or over.
    Over,
    /// Too many questions were put for this holder id, whether anybody has it or not.
    RateLimited {
        /// Seconds to wait.
        seconds: u64,
    },
    /// The appliance cannot do this now.
    Unavailable,
}

/// What became of the authenticator's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhoneDone {
    /// Signed in: go back to the PC.
    SignedIn {
        /// Name of the signing system.
        system: String,
        /// What was added to the holder's factors of late: told now, since before nobody was proved.
        added: RecentlyAdded,
    },
    /// The old phone is proved: go back to the PC, which asks whether it is to be given up.
    MayChange,
    /// This phone is proved: go back to the PC, which asks for the card again.
    AskCard {
        /// Its label, as the PC shows it.
        label: String,
    },
    /// This phone is proved: go back to the PC, which asks for the old phone again.
    AskOldPhone {
        /// Its label, as the PC shows it.
        label: String,
    },
    /// The new phone took this one's place.
    Replaced {
        /// Label of the new one.
        label: String,
    },
    /// Denied as asked.
    Denied,
    /// The proof does not do, or belongs to nobody here; nothing is proved, so nothing more is told. It may be tried again.
    NotProved,
    /// The appliance takes no phones of this kind.
    NotAccepted,
    /// What enrols was added too short a time ago.
    TooNew {
        /// After how many it may.
        seconds: u64,
    },
    /// This phone is registered already.
    AlreadyRegistered,
    /// Presence is proved, but this sign-in is refused: the person gets the reason and the next step.
    Refused(WhyNot),
    /// Used, denied or too late.
    Over,
    /// The appliance cannot do this now.
    Unavailable,
}

/// What the card listener shows to somebody who wants to register a phone or a security key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnrolPage {
    /// No certificate came.
    PresentCard,
    /// The card is good: one form confirms.
    Confirm {
        /// The holder, as registered.
        holder: String,
        /// Their id.
        holder_id: String,
        /// Label of the phone that would be given up, once the new one is proved.
        replaces: Option<String>,
        /// Hidden one-time field; bound to the card.
        form_token: BrowserSecret,
        /// True while published test cards may sign in.
        danger_test_mode: bool,
    },
    /// Possession is proved, but the card does not do.
    Refused(WhyNot),
    /// The card was registered too short a time ago.
    TooNew {
        /// Until it may.
        seconds: u64,
    },
}

/// What follows the confirmed enrolment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnrolStarted {
    /// A page of its own has one form, which leads to the portal's: `POST {portal}/wait/{id}` with `page_secret`.
    Page {
        /// What is registered there.
        kind: AuthenticatorKind,
        /// `https://host:port` of the portal.
        portal_origin: String,
        /// Names the page.
        id: String,
        /// For cookies and the form; in no link.
        page_secret: BrowserSecret,
    },
    /// See [`EnrolPage::Refused`].
    Refused(WhyNot),
    /// See [`EnrolPage::TooNew`].
    TooNew {
        /// Until it may.
        seconds: u64,
    },
}

/// What browsers ask of the portal.
#[async_trait]
pub trait Portal: Send + Sync {
    /// The portal's first page. Changes nothing.
    async fn portal_index(&self) -> PortalIndex;

    /// A login link was opened. Changes nothing: a link scanner may do it, too.
    async fn choose(&self, request_id: &str, link: &str) -> ChoicePage;

    /// A QR code is asked for. `holder_id` is as typed; unknown ones get a page like any other.
    async fn hand_off(
        &self,
        request_id: &str,
        link: &str,
        holder_id: Option<String>,
        terminal: Terminal,
    ) -> Handed;

    /// The PC's page; waits up to `wait` for another state than waiting. Changes nothing.
    async fn wait_page(
        &self,
        request_id: &str,
        id: &str,
        page_secret: &str,
        wait: Duration,
    ) -> WaitPage;

    /// A phone followed a QR code. Changes nothing.
    async fn phone_page(&self, request_id: &str, link: &str) -> PhonePage;

    /// The number was typed, on a phone at this `address`.
    async fn phone_options(
        &self,
        request_id: &str,
        link: &str,
        number: &str,
        address: &str,
    ) -> PhoneAsked;

    /// The authenticator answered; `credential` is `PublicKeyCredential.toJSON()`.
    async fn phone_finish(
        &self,
        request_id: &str,
        link: &str,
        ceremony_id: &str,
        credential: serde_json::Value,
    ) -> PhoneDone;

    /// The holder pressed "this is not mine".
    async fn phone_deny(&self, request_id: &str, link: &str) -> PhoneDone;

    /// The card listener's page for registering something of this `kind`. Changes nothing.
    async fn open_enrol(
        &self,
        request_id: &str,
        kind: AuthenticatorKind,
        card: Option<CardHandshake>,
    ) -> EnrolPage;

    /// Its form was sent.
    async fn start_enrol(
        &self,
        request_id: &str,
        kind: AuthenticatorKind,
        card: Option<CardHandshake>,
        form_token: &str,
        terminal: Terminal,
    ) -> EnrolStarted;

    /// The page that follows was opened, perhaps once more: the same answer, for whoever has the secret. Changes nothing.
    async fn started_enrol(&self, request_id: &str, id: &str, page_secret: &str) -> EnrolStarted;
}
