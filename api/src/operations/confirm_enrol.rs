//! A phone is proved: the card that began its registration is shown once more, on the card listener, and confirms it.
//!
//! ```text
//! PC  GET  /enrol/{id}  -> ConfirmEnrolPage   the phone that was proved; changes nothing
//! PC  POST /enrol/{id}  -> EnrolEnded         yes or no
//! ```

use crate::operations::CardHandshake;
use crate::operations::SignInRefusal;
use async_trait::async_trait;
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
    Refused(SignInRefusal),
}

/// What is to be confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmEnrol {
    /// The holder, as registered.
    pub holder: String,
    /// Their id.
    pub holder_id: String,
    /// Label of the phone that was proved: the phone itself shows the same.
    pub label: String,
    /// Whether another phone is given up for it.
    pub replaces: bool,
    /// Hidden one-time field; bound to ticket, phone and card.
    pub form_token: String,
    /// Seconds until it is too late.
    pub remaining_seconds: u64,
    /// True while published test cards may sign in.
    pub danger_test_mode: bool,
}

/// What became of an enrolment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnrolEnded {
    /// The phone is registered.
    Enrolled {
        /// Its label.
        label: String,
    },
    /// The holder said no: nothing was registered.
    Denied,
    /// See [`ConfirmEnrolPage::Refused`].
    Refused(SignInRefusal),
    /// The card was registered too short a time ago.
    TooNew {
        /// Until it may.
        seconds: u64,
    },
}

/// What a browser with a card asks when the phone is proved.
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
