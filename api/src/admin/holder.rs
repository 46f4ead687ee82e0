//! One person on one screen, and what may be changed about them.

use crate::admin::answer::CardView;
use crate::admin::answer::DeviceView;
use crate::admin::answer::DoctorCheck;
use crate::admin::answer::HolderView;
use crate::admin::answer::JpkiView;
use crate::admin::answer::KeyView;
use crate::admin::answer::SessionEntry;
use crate::admin::check;
use crate::admin::letter::LetterView;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// Answer of `GET /admin/v1/holders/{holder_id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HolderSheet {
    /// Who.
    pub holder: HolderView,
    /// Why they may not sign; absent while they may.
    pub stop: Option<StopView>,
    /// Their cards.
    pub cards: Vec<CardView>,
    /// Their second keys and certificates.
    pub keys: Vec<KeyView>,
    /// Their phones.
    pub devices: Vec<DeviceView>,
    /// Their My Number card, where one is registered.
    pub my_number_cards: Vec<JpkiView>,
    /// Their notification cards that still lead somewhere.
    pub letters: Vec<LetterView>,
    /// Sessions that live.
    pub sessions: Vec<SessionEntry>,
    /// What was taken from them lately, oldest first.
    pub taken: Vec<TakenView>,
    /// What is wrong or will be soon, each with the next command.
    pub findings: Vec<DoctorCheck>,
}

/// Why somebody may not sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StopView {
    /// Since when, RFC 3339, UTC.
    pub at: String,
    /// Why, as the operator said.
    pub reason: Option<String>,
    /// Whether nothing leads back.
    pub is_for_good: bool,
}

/// Something that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TakenView {
    /// `card`, `device`, `credential` ...
    pub what: String,
    /// Its id.
    pub id: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// Why, as the operator said.
    pub reason: Option<String>,
}

/// `PATCH /admin/v1/holders/{holder_id}`: only what is named changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HolderChange {
    /// What people call them.
    #[schemars(length(min = 1, max = check::MAX_NAME_CHARS))]
    pub display_name: Option<String>,
    /// Whom to call at their certification authority.
    #[schemars(length(min = 1, max = check::MAX_TEXT_CHARS))]
    pub ca_contact: Option<String>,
}
