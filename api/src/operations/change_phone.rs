//! Change of phone by the phone itself (F25): the old one proves its holder, who says yes on the PC and goes on with the new one.
//!
//! ```text
//! PC     POST /change             -> Handed        a QR code and a number for the old phone; the pages are those of a sign-in
//! PC     GET  /wait/{id}          -> AskChange     the old phone proved its holder: give it up?
//! PC     POST /wait/{id}/change   -> ChangeGoesOn  yes: another QR code, for the new phone
//! PC     GET  /wait/{id}          -> Waiting       the new phone is proved: a second QR code there, for the old phone again
//! ```

use crate::operations::browser_secret::BrowserSecret;
use crate::operations::portal::Handed;
use crate::operations::portal::Terminal;
use async_trait::async_trait;
use serde::Deserialize;
use serde::Serialize;

/// What follows the holder's yes or no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeGoesOn {
    /// Yes: go to `/wait/{id}` with the secret in the cookie of that page.
    Page {
        /// Names the page.
        id: String,
        /// For the cookie; in no link.
        page_secret: BrowserSecret,
    },
    /// No: nothing is changed.
    Stopped,
    /// Too late, or said before.
    Over,
    /// The appliance cannot do this now.
    Unavailable,
}

/// What browsers ask to change a phone.
#[async_trait]
pub trait ChangePhone: Send + Sync {
    /// A QR code for the old phone is asked for. `holder_id` is as typed; unknown ones get a page like any other.
    async fn start_change(&self, request_id: &str, holder_id: &str, terminal: Terminal) -> Handed;

    /// The holder said yes or no on the page that saw the old phone proved.
    async fn answer_change(
        &self,
        request_id: &str,
        id: &str,
        page_secret: &str,
        agree: bool,
    ) -> ChangeGoesOn;
}
