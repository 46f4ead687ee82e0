//! What a browser asks that keeps a sign-in: to go on with it by one click, or to forget it.
//!
//! ```text
//! PC  GET  /arrive?code&state&keep  -> Arrived       fresh evidence: the browser that began it keeps the sign-in
//! PC  GET  /login/{link}            -> SavedOffer    instead of the choice, where a click would do; changes nothing
//! PC  POST /login/{link}/saved      -> WentOn        the click
//! PC  POST /login/{link}/forget     -> bool          "not mine": nothing is kept any more, and the choice follows
//! ```
//! The cookie proves the browser and nobody's presence; who that was, the page does not say.

use crate::operations::browser_secret::BrowserSecret;
use crate::operations::portal::Terminal;
use crate::wire::MethodName;
use async_trait::async_trait;
use serde::Deserialize;
use serde::Serialize;

/// A cookie for the browser that keeps a sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedCookie {
    /// Its value.
    pub secret: BrowserSecret,
    /// Seconds until the last of what the browser keeps is over.
    pub seconds: u64,
}

/// One click goes on with the evidence of before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedOffer {
    /// Name of the signing system that asks.
    pub system: String,
    /// How presence was proved.
    pub method: MethodName,
    /// When, Unix seconds.
    pub since: u64,
    /// First second at which it is over, Unix seconds.
    pub until: u64,
    /// Signatures left.
    pub signatures: u64,
    /// Hidden field; bound to the link, the browser and what is shown.
    pub form_token: BrowserSecret,
    /// Scheme, host and port of where the click leads.
    pub return_origin: Option<String>,
    /// Seconds until the link is over.
    pub remaining_seconds: u64,
    /// True while published test cards may sign in.
    pub danger_test_mode: bool,
}

/// What follows the click.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WentOn {
    /// Back to the signing system with the code.
    Return {
        /// Registered return URL with `code` and `state`.
        url: String,
    },
    /// The saved sign-in is over, or does not do for what is asked: choose how to sign in.
    SavedOver,
    /// The login link is.
    LinkOver,
    /// Too many clicks.
    RateLimited {
        /// Seconds to wait.
        seconds: u64,
    },
    /// The appliance cannot do this now.
    Unavailable,
}

/// What a browser with a saved sign-in asks. `cookie` is what it brought.
#[async_trait]
pub trait SavedSignIns: Send + Sync {
    /// What a click would go on with; `None`: the choice is shown. Changes nothing.
    async fn saved_offer(
        &self,
        request_id: &str,
        link: &str,
        cookie: &str,
        terminal: Terminal,
    ) -> Option<SavedOffer>;

    /// The click.
    async fn go_on(
        &self,
        request_id: &str,
        link: &str,
        cookie: &str,
        form_token: &str,
        terminal: Terminal,
    ) -> WentOn;

    /// This browser keeps nothing any more; false when that is not durable.
    async fn forget_saved(&self, request_id: &str, cookie: &str) -> bool;
}
