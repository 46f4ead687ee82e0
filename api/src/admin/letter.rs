//! Notification cards (通知カード) as operators see them: who issued one, where it stands, and the two sheets.

use crate::admin::check;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// `POST /admin/v1/letters`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLetter {
    /// For whom.
    #[schemars(regex(pattern = check::ID))]
    pub holder_id: String,
}

/// A notification card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LetterView {
    /// Names it.
    pub letter_id: String,
    /// For whom.
    pub holder_id: String,
    /// `issued`, `opened`, `registering`, `done`, `locked`, `already_registered`, `withdrawn` or `expired`.
    pub state: String,
    /// Passwords that may still be tried.
    pub tries_left: u64,
    /// Who proposed it: has the sheet with the link.
    pub issued_by: String,
    /// Who approved it: has the sheet with the password.
    pub countersigned_by: String,
    /// RFC 3339, UTC.
    pub issued_at: String,
    /// RFC 3339, UTC.
    pub expires_at: String,
    /// Operators who have not fetched their sheet and still may: `inkan letter sheet`.
    pub sheets_wait_for: Vec<String>,
}

/// Answer of `POST /admin/v1/letters/{letter_id}/sheet`: one of the two sheets, once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SheetView {
    /// Names the card.
    pub letter_id: String,
    /// For whom.
    pub holder_id: String,
    /// What people call them.
    pub display_name: String,
    /// Whom to call at their certification authority.
    pub ca_contact: Option<String>,
    /// RFC 3339, UTC.
    pub expires_at: String,
    /// The half that this operator sees.
    pub half: SheetHalf,
}

/// Half of what registers a phone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SheetHalf {
    /// The link: for whoever proposed the card.
    Link {
        /// What the QR code says.
        url: String,
    },
    /// The password: for whoever approved it.
    Password {
        /// In groups.
        password: String,
    },
}
