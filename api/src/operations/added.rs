//! What was added to a holder's factors of late: sign-ins show it once presence is proved, so that nobody adds anything unseen.

use serde::Deserialize;
use serde::Serialize;

/// What was added, and whom to call about what is not one's own. Nothing added: nothing is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentlyAdded {
    /// Newest first.
    pub factors: Vec<AddedFactor>,
    /// The holder's certification authority.
    pub contact: Option<String>,
}

/// One factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedFactor {
    /// What it is.
    pub kind: FactorKind,
    /// What people call it; a My Number card has no name.
    pub label: Option<String>,
    /// When, Unix seconds.
    pub added_at: u64,
    /// From where: browser and address of the PC.
    pub terminal: String,
}

/// What a factor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactorKind {
    /// A phone.
    Phone,
    /// A security key.
    SecurityKey,
    /// A My Number card.
    MyNumberCard,
    /// The certificate with which a My Number card was renewed: it took the place of the one before.
    RenewedMyNumberCard,
}
