//! What browsers ask to register a My Number card with an HPKI card.
//!
//! ```text
//! hpki  GET  /link               -> LinkPage      the HPKI card proves the holder; changes nothing
//! hpki  POST /link               -> LinkStarted   a one-time ticket, whose secret is a cookie of the next page
//! hpki  GET  /link/{id}/started  -> LinkStarted   "exchange the cards", then one form leads on
//! jpki  POST /link/{id}                           the secret becomes a cookie of this listener
//! jpki  GET  /link/{id}          -> LinkMet       the My Number card in the handshake; changes nothing
//! jpki  POST /link/{id}/confirm  -> LinkDone      proved: GET /link/{id} says to exchange the cards again
//! hpki  GET  /enrol/{id} ...                      the HPKI card confirms it: `confirm_enrol`
//! ```
//! The cards are exchanged on the first listener's page: a browser that reaches the second one with the wrong card in the
//! reader remembers its answer until it is closed.

use crate::operations::CardHandshake;
use crate::operations::WhyNot;
use crate::operations::browser_secret::BrowserSecret;
use crate::operations::portal::Terminal;
use async_trait::async_trait;
use serde::Deserialize;
use serde::Serialize;

/// Whose My Number card is to be registered: what both pages show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkForm {
    /// The holder, as registered.
    pub holder: String,
    /// Their id.
    pub holder_id: String,
    /// Since when the card is registered that would be given up, Unix seconds; `None`: there is none.
    pub replaces_since: Option<u64>,
    /// Hidden one-time field; bound to the card before the reader.
    pub form_token: BrowserSecret,
    /// True while published test cards may sign in.
    pub danger_test_mode: bool,
}

/// The HPKI card listener's page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkPage {
    /// No certificate came.
    PresentCard,
    /// The HPKI card is good: one form begins.
    Confirm(LinkForm),
    /// Possession is proved, but the card does not do.
    Refused(WhyNot),
}

/// What follows the HPKI card's form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkStarted {
    /// A page of its own has one form, which leads to the My Number card's listener: `POST {jpki}/link/{id}` with `secret`.
    Swap {
        /// `https://host:port` of that listener.
        jpki_origin: String,
        /// Names the ticket.
        id: String,
        /// For cookies and the form; in no link.
        secret: BrowserSecret,
    },
    /// See [`LinkPage::Refused`].
    Refused(WhyNot),
}

/// The My Number card's page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkMet {
    /// No card, or not a My Number card: put it into the reader and try again.
    Swap,
    /// The card is good: one form confirms.
    Confirm(LinkForm),
    /// The card was proved; the HPKI card has to be shown again before it is registered.
    AskCard {
        /// Where: `/enrol/{id}` on its listener.
        url: String,
        /// Seconds until it is too late.
        remaining_seconds: u64,
    },
    /// The ticket is unknown, used or too old.
    Over,
    /// Possession is proved, but the card does not do.
    Refused(WhyNot),
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkDone {
    /// The card is proved: see [`LinkMet::AskCard`].
    AskCard,
    /// It was registered for this holder before.
    Known,
    /// It is registered for somebody else.
    OthersCard,
    /// See [`LinkMet::Swap`].
    Swap,
    /// See [`LinkMet::Over`].
    Over,
    /// See [`LinkMet::Refused`].
    Refused(WhyNot),
}

/// What browsers ask to register a My Number card.
#[async_trait]
pub trait MyNumber: Send + Sync {
    /// The HPKI card listener's page. Changes nothing.
    async fn open_link(&self, request_id: &str, card: Option<CardHandshake>) -> LinkPage;

    /// Its form was sent.
    async fn start_link(
        &self,
        request_id: &str,
        card: Option<CardHandshake>,
        form_token: &str,
        terminal: Terminal,
    ) -> LinkStarted;

    /// The page that follows was opened, perhaps once more: the same answer, for whoever has the secret. Changes nothing.
    async fn started_link(&self, request_id: &str, id: &str, secret: &str) -> LinkStarted;

    /// The browser came to the My Number card's listener. Changes nothing.
    async fn meet_link(
        &self,
        request_id: &str,
        id: &str,
        secret: &str,
        card: Option<CardHandshake>,
    ) -> LinkMet;

    /// The holder confirmed.
    async fn confirm_link(
        &self,
        request_id: &str,
        id: &str,
        secret: &str,
        card: Option<CardHandshake>,
        form_token: &str,
    ) -> LinkDone;
}
