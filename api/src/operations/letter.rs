//! What a phone asks with the link of a notification card (通知カード).
//!
//! ```text
//! phone  GET  /letter/{link}           -> LetterPage    the password is asked for; changes nothing
//! phone  POST /letter/{link}           -> LetterTried   the password; the right one gives this browser a secret (its cookie)
//! phone  GET  /letter/{link} (cookie)  -> LetterPage    whose phone it will be
//! phone  POST /letter/{link}/options   -> LetterAsked   the question to the authenticator
//! phone  POST /letter/{link}/finish    -> LetterDone    its answer
//! ```
//! Unknown, used, withdrawn and expired cards are one page. Whoever has the link of a card that lives, which stands on a sheet
//! with the contact, is told how many tries are left, that it is locked, and whom to call; who the holder is, and whether they
//! have a phone, is told to whoever typed the right password.

use crate::operations::WhyNot;
use crate::operations::browser_secret::BrowserSecret;
use crate::operations::portal::Terminal;
use async_trait::async_trait;
use serde::Deserialize;
use serde::Serialize;

/// What a phone shows that followed the link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterPage {
    /// Type the password.
    AskPassword,
    /// It was typed in this browser: prove yourself.
    Register {
        /// The holder, as registered.
        holder: String,
        /// Their id.
        holder_id: String,
        /// Seconds until the password has to be typed again.
        remaining_seconds: u64,
    },
    /// This browser has registered its phone.
    Registered {
        /// Its label.
        label: String,
    },
    /// The password was wrong too often.
    Locked {
        /// Whom to call.
        contact: Option<String>,
    },
    /// Unknown, used, withdrawn or over: one page for all.
    Over,
    /// The appliance cannot do this now.
    Unavailable,
}

/// What became of a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterTried {
    /// It is the one.
    Right {
        /// For the cookie; in no link.
        registration: BrowserSecret,
    },
    /// It is not.
    Wrong {
        /// How many more may be tried; at least one.
        left: u8,
    },
    /// This can be no password at all; it does not count.
    NoPassword,
    /// It was wrong too often.
    Locked {
        /// Whom to call.
        contact: Option<String>,
    },
    /// It is the one, but the holder has a phone, which this way never replaces.
    AlreadyRegistered {
        /// Whom to call.
        contact: Option<String>,
    },
    /// It is the one, but the holder may not sign by any method.
    Refused(WhyNot),
    /// See [`LetterPage::Over`].
    Over,
    /// Too many from this address.
    RateLimited {
        /// Seconds to wait.
        seconds: u64,
    },
    /// The appliance cannot do this now.
    Unavailable,
}

/// What is asked of the authenticator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterAsked {
    /// The question.
    Options {
        /// Names the ceremony.
        ceremony_id: String,
        /// `CredentialCreationOptions` in the JSON form of WebAuthn level 3 (base64url).
        options: serde_json::Value,
    },
    /// The password has to be typed again, or there is nothing more to do.
    Over,
    /// The appliance cannot do this now.
    Unavailable,
}

/// What became of the authenticator's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterDone {
    /// This phone is registered.
    Registered {
        /// Its label.
        label: String,
    },
    /// The proof does not do; it may be tried again.
    NotProved,
    /// This very phone is registered already.
    Known,
    /// The holder got a phone meanwhile, which this way never replaces.
    AlreadyRegistered {
        /// Whom to call.
        contact: Option<String>,
    },
    /// The holder may not sign by any method.
    Refused(WhyNot),
    /// See [`LetterAsked::Over`].
    Over,
    /// The appliance cannot do this now.
    Unavailable,
}

/// What a phone asks with a notification card's link; `registration` is the secret of its cookie.
#[async_trait]
pub trait Letters: Send + Sync {
    /// The link was followed. Changes nothing: a link scanner may do it, too.
    async fn letter_page(
        &self,
        request_id: &str,
        link: &str,
        registration: Option<&str>,
    ) -> LetterPage;

    /// A password was typed. That it was tried is durable before this answers.
    async fn letter_password(
        &self,
        request_id: &str,
        link: &str,
        password: &str,
        terminal: Terminal,
    ) -> LetterTried;

    /// The holder wants to register this phone.
    async fn letter_options(&self, request_id: &str, link: &str, registration: &str)
    -> LetterAsked;

    /// The authenticator answered; `credential` is `PublicKeyCredential.toJSON()`.
    async fn letter_finish(
        &self,
        request_id: &str,
        link: &str,
        registration: &str,
        ceremony_id: &str,
        credential: serde_json::Value,
    ) -> LetterDone;
}
