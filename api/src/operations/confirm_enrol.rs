//! A phone or a My Number card is proved: the card that began its registration is shown once more, on the card listener, and
//! confirms it.
//!
//! ```text
//! PC  GET  /enrol/{id}  -> ConfirmEnrolPage   what was proved; changes nothing
//! PC  POST /enrol/{id}  -> EnrolEnded         yes or no
//! ```

use crate::operations::CardHandshake;
use crate::operations::WhyNot;
use crate::operations::browser_secret::BrowserSecret;
use async_trait::async_trait;
use attest::authenticator::AuthenticatorKind;
use serde::Deserialize;
use serde::Serialize;

/// What the card listener shows when the card came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmEnrolPage {
    /// No certificate came.
    PresentCard,
    /// It is the card that began.
    Confirm(ConfirmEnrol),
    /// Possession is proved, but this card does not do, or there is nothing to confirm.
    Refused(WhyNot),
}

/// What is to be confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmEnrol {
    /// The holder, as registered.
    pub holder: String,
    /// Their id.
    pub holder_id: String,
    /// What was proved.
    pub proposed: Proposed,
    /// Hidden one-time field; bound to the ticket, to what was proved and to the card.
    pub form_token: BrowserSecret,
    /// Seconds until it is too late.
    pub remaining_seconds: u64,
    /// True while published test cards may sign in.
    pub danger_test_mode: bool,
}

/// What was proved, and waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proposed {
    /// A phone.
    Phone {
        /// Its label: the phone itself shows the same.
        label: String,
        /// Whether another phone is given up for it.
        replaces: bool,
    },
    /// A security key: it stands beside what the holder has.
    SecurityKey {
        /// Its label.
        label: String,
    },
    /// A My Number card. What it says of its holder is shown nowhere.
    MyNumberCard {
        /// When it was in the reader, Unix seconds.
        proved_at: u64,
        /// Of which PC.
        terminal: String,
        /// Whether another card is given up for it.
        replaces: bool,
    },
}

/// What became of an enrolment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnrolEnded {
    /// It is registered.
    Enrolled {
        /// What it is.
        kind: AuthenticatorKind,
        /// Its label.
        label: String,
    },
    /// The My Number card is registered.
    Linked,
    /// The holder said no: nothing was registered.
    Denied,
    /// See [`ConfirmEnrolPage::Refused`].
    Refused(WhyNot),
    /// The card was registered too short a time ago.
    TooNew {
        /// Until it may.
        seconds: u64,
    },
}

/// What a browser with a card asks when a phone or a My Number card is proved.
#[async_trait]
pub trait ConfirmEnrolment: Send + Sync {
    /// The card came back. Changes nothing.
    async fn open_confirm_enrol(
        &self,
        request_id: &str,
        id: &str,
        card: Option<CardHandshake>,
    ) -> ConfirmEnrolPage;

    /// Its form was sent; `approve` is false for "do not register it".
    async fn confirm_enrol(
        &self,
        request_id: &str,
        id: &str,
        card: Option<CardHandshake>,
        form_token: &str,
        approve: bool,
    ) -> EnrolEnded;
}
