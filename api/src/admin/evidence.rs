//! The evidence of one audit record, opened for whoever may read it.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// Answer of `POST /admin/v1/audit/records/{seq}/evidence`. It may say what a certificate says of its holder: it has no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceView {
    /// Of which record.
    pub seq: u64,
    /// Whose presence it proves.
    pub holder_id: String,
    /// `hpki`, `jpki`, `fido2`
    pub method: String,
    /// Whether it was sealed in the log.
    pub was_sealed: bool,
    /// The evidence, JSON, octet by octet as it was recorded or sealed.
    pub evidence_json: String,
}
