//! Before the asking PC's own screen: signing in with the registered phone, which the browser reaches by itself, or with a
//! security key, and registering a security key.
//!
//! ```text
//! PC   POST /login/{link}/phone        -> Handed      as for a phone, with the button for this way
//! PC   GET  /wait/{id}/key             -> PhonePage   who asks, for what; changes nothing
//! PC   POST /wait/{id}/key/options     -> PhoneAsked  the question to the authenticator
//! PC   POST /wait/{id}/key/finish      -> PhoneDone   its answer; `/wait/{id}` goes on
//! PC   POST /wait/{id}/key/deny        -> PhoneDone   "this is not mine"
//! ```
//! The page is the one that waits for a phone, and follows its own link: whoever has its secret is the browser that asked. The
//! page of a card that registers a security key leads here by itself.

use crate::operations::portal::PhoneAsked;
use crate::operations::portal::PhoneDone;
use crate::operations::portal::PhonePage;
use async_trait::async_trait;

/// What the asking PC's own page asks.
#[async_trait]
pub trait AtPc: Send + Sync {
    /// Who asks, and for what. Changes nothing.
    async fn pc_page(&self, request_id: &str, id: &str, page_secret: &str) -> PhonePage;

    /// The button was pressed. `number` is as typed, where it stands on another screen than this page's.
    async fn pc_options(
        &self,
        request_id: &str,
        id: &str,
        page_secret: &str,
        number: Option<String>,
        address: &str,
    ) -> PhoneAsked;

    /// The authenticator answered; `credential` is `PublicKeyCredential.toJSON()`.
    async fn pc_finish(
        &self,
        request_id: &str,
        id: &str,
        page_secret: &str,
        ceremony_id: &str,
        credential: serde_json::Value,
    ) -> PhoneDone;

    /// The holder pressed "this is not mine".
    async fn pc_deny(&self, request_id: &str, id: &str, page_secret: &str) -> PhoneDone;
}
