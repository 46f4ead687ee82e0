//! What the admin API answers with: one type for each kind of thing, the same for REST, CLI and the OpenAPI file.

use crate::admin::command::AnchorPurposeName;
use crate::admin::command::RoleName;
use crate::admin::names::DeviceKindName;
use crate::admin::names::EnrollerName;
use crate::wire::MethodName;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

/// Answer of `GET /admin/v1/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    /// `unprovisioned`, `locked`, `operational` or `failed`.
    pub state: String,
    /// Version of the daemon.
    pub version: String,
    /// Seconds since its start.
    pub uptime_seconds: u64,
    /// Its clock, RFC 3339, UTC.
    pub time: String,
    /// Who asks.
    pub operator_id: String,
    /// Their role.
    pub role: RoleName,
    /// What is registered.
    pub counts: CountsView,
    /// The token.
    pub hsm: Option<HsmView>,
    /// The audit log.
    pub audit: Option<AuditHeadView>,
    /// True while published test cards may sign in.
    pub danger_test_mode: bool,
    /// What an operator must look at, most urgent first; empty when all is well.
    pub alarms: Vec<String>,
}

/// What is registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CountsView {
    /// Holders.
    pub holders: u64,
    /// Of them, disabled.
    pub holders_disabled: u64,
    /// Card links.
    pub cards: u64,
    /// My Number cards.
    #[serde(default)]
    pub jpki: u64,
    /// Keys that may sign.
    pub keys_active: u64,
    /// Keys without certificate.
    pub keys_generated: u64,
    /// Keys in quarantine.
    pub keys_quarantined: u64,
    /// Signing systems.
    pub systems: u64,
    /// Operators.
    pub operators: u64,
    /// Live sessions.
    pub sessions: u64,
    /// Proposals that wait for a second operator.
    pub proposals_open: u64,
}

/// The token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HsmView {
    /// CKA_LABEL of the token.
    pub token_label: String,
    /// Its serial number.
    pub token_serial: String,
    /// Sessions that work.
    pub sessions_live: u64,
    /// Sessions that hang.
    pub sessions_hung: u64,
    /// Jobs that wait.
    pub queued: u64,
    /// The last error, if there was one.
    pub last_error: Option<String>,
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DoctorCheck {
    /// What: `token`, `crl medis-auth`, `disk` ...
    pub subject: String,
    /// How it stands.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it, if anything.
    pub next: Option<String>,
}

/// How a check came out.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Works, but will bite.
    Warning,
    /// Does not work.
    Bad,
}

/// Answer of `GET /admin/v1/doctor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DoctorView {
    /// Everything checked.
    pub checks: Vec<DoctorCheck>,
}

/// A holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HolderView {
    /// 本人ID
    pub holder_id: String,
    /// What people call them.
    pub display_name: String,
    /// Whether they may sign.
    pub enabled: bool,
    /// Whom to call at their certification authority.
    pub ca_contact: Option<String>,
    /// Cards linked.
    pub cards: u64,
    /// Credential ids.
    pub credentials: Vec<String>,
    /// RFC 3339, UTC.
    pub created_at: String,
}

/// A card link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CardView {
    /// SHA-256 over issuer, serial and key of the certificate.
    pub card: String,
    /// Whose.
    pub holder_id: String,
    /// Subject of the certificate.
    pub subject: String,
    /// End of the certificate, RFC 3339, UTC; absent where it was linked before this was kept.
    pub not_after: Option<String>,
    /// RFC 3339, UTC.
    pub linked_at: String,
}

/// A phone or a security key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceView {
    /// Which of them.
    pub kind: DeviceKindName,
    /// SHA-256 of its WebAuthn credential id.
    pub device: String,
    /// Whose.
    pub holder_id: String,
    /// What pages call it.
    pub label: String,
    /// How the holder proved to be themselves when it was registered.
    pub enrolled_by: EnrollerName,
    /// The card, device or notification card that did it.
    pub enrolled_by_factor: String,
    /// RFC 3339, UTC.
    pub enrolled_at: String,
    /// Newest sign-in, RFC 3339, UTC.
    pub last_used_at: Option<String>,
    /// Model as it says itself (AAGUID, hexadecimal); nothing vouches for it.
    pub model: String,
    /// Whether its maker may copy its key to other devices.
    pub key_may_be_copied: bool,
    /// When its counter last went back, RFC 3339, UTC: there may be a copy of its key.
    pub counter_went_back_at: Option<String>,
}

/// A My Number card. Its certificate and serial number are kept nowhere in clear, so there is nothing more to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JpkiView {
    /// A MAC over issuer and serial number that only this appliance's HSM can make.
    pub card: String,
    /// Whose.
    pub holder_id: String,
    /// How the holder proved to be themselves when it was registered.
    pub enrolled_by: MethodName,
    /// The card that did it.
    pub enrolled_by_factor: String,
    /// Address and browser from which it was registered.
    pub terminal: String,
    /// RFC 3339, UTC.
    pub linked_at: String,
    /// When a renewed certificate last took its place, RFC 3339, UTC.
    pub renewed_at: Option<String>,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyView {
    /// Its name on the wire.
    pub credential_id: String,
    /// Whose.
    pub holder_id: String,
    /// Kind of key pair.
    pub key_type: String,
    /// `generated`, `active`, `renewing`, `quarantined`, `revoked` or `destroyed`.
    pub status: String,
    /// SHA-256 of the SubjectPublicKeyInfo, DER.
    pub spki_sha256: String,
    /// Subject of the certificate, once there is one.
    pub subject: Option<String>,
    /// RFC 3339, UTC, once there is a certificate.
    pub not_before: Option<String>,
    /// RFC 3339, UTC, once there is a certificate.
    pub not_after: Option<String>,
    /// Whole days until `not_after`.
    pub days_left: Option<u64>,
    /// Whether the certificate passed its last check of path and revocation.
    pub certificate_good: Option<bool>,
    /// hcRole texts.
    pub hc_roles: Vec<String>,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// The pair that takes over when its certificate is installed.
    pub next: Option<PairView>,
    /// Pairs that signed before, oldest first.
    pub earlier: Vec<PairView>,
    /// When it was revoked, RFC 3339, UTC.
    pub revoked_at: Option<String>,
    /// Why, where the operator said so.
    pub revoked_because: Option<String>,
}

/// A pair of a key that does not sign now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PairView {
    /// SHA-256 of the SubjectPublicKeyInfo, DER.
    pub spki_sha256: String,
    /// When it was made to take over, or when it was superseded, RFC 3339, UTC.
    pub since: String,
    /// First moment at which it may be destroyed, RFC 3339, UTC.
    pub may_be_destroyed_from: String,
    /// When it was destroyed, RFC 3339, UTC.
    pub destroyed_at: Option<String>,
}

/// Answer of `POST /admin/v1/keys` and `GET /admin/v1/keys/{credential_id}/request`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyRequestView {
    /// The key.
    pub credential_id: String,
    /// Its certification request (PKCS #10), PEM.
    pub csr_pem: String,
    /// SHA-256 of the SubjectPublicKeyInfo, DER: read it to the certification authority.
    pub spki_sha256: String,
}

/// A signing system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SystemView {
    /// Its id.
    pub system_id: String,
    /// What holders read.
    pub display_name: String,
    /// SHA-256 of its client certificates.
    pub certificates: Vec<String>,
    /// Exact return URLs.
    pub return_urls: Vec<String>,
    /// Holders it may name; every holder, when absent.
    pub holders: Option<Vec<String>>,
    /// Methods it accepts.
    pub methods: Vec<MethodName>,
    /// Whether `output: raw` is open.
    pub raw_allowed: bool,
    /// Whether bare digests are open.
    pub bare_digests_allowed: bool,
    /// Seconds of a session.
    pub session_seconds: u64,
    /// Seconds without a signature.
    pub session_idle_seconds: u64,
    /// Signatures in a session.
    pub session_signatures: u64,
    /// Requests a second.
    pub requests_per_second: u32,
    /// RFC 3339, UTC.
    pub created_at: String,
}

/// An operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OperatorView {
    /// Their id.
    pub operator_id: String,
    /// The one role.
    pub role: RoleName,
    /// SHA-256 of the client certificate.
    pub certificate: String,
    /// RFC 3339, UTC.
    pub created_at: String,
}

/// An anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnchorView {
    /// What for.
    pub purpose: AnchorPurposeName,
    /// SHA-256 of the certificate.
    pub fingerprint: String,
    /// Its subject.
    pub subject: String,
    /// RFC 3339, UTC.
    pub not_after: String,
    /// RFC 3339, UTC.
    pub added_at: String,
}

/// A live session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionEntry {
    /// Its id.
    pub session_id: String,
    /// Whose presence was proved.
    pub holder_id: String,
    /// For which signing system.
    pub system_id: String,
    /// How.
    pub method: MethodName,
    /// RFC 3339, UTC.
    pub authenticated_at: String,
    /// RFC 3339, UTC.
    pub expires_at: String,
    /// RFC 3339, UTC.
    pub last_used: String,
    /// Signatures used.
    pub used: u64,
    /// Signatures left.
    pub remaining: u64,
}

/// One line of what would change: both operators read the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What: `card subject`, `requests per second` ...
    pub what: String,
    /// What it is now, if it is there.
    pub now: Option<String>,
    /// What it would be.
    pub then: Option<String>,
}

/// A proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProposalView {
    /// Names it: `inkan approve <proposal_id>`.
    pub proposal_id: String,
    /// The command that waits, as it was sent.
    pub command: Value,
    /// One line that says what it does.
    pub summary: String,
    /// Everything that would change.
    pub changes: Vec<Change>,
    /// `open`, `approved`, `rejected`, `expired` or `void` (its proposer may not propose it any more).
    pub state: String,
    /// Who proposed it.
    pub proposed_by: String,
    /// RFC 3339, UTC.
    pub proposed_at: String,
    /// RFC 3339, UTC.
    pub expires_at: String,
    /// Roles of which a second operator may approve it.
    pub approvable_by: Vec<RoleName>,
    /// Who decided it.
    pub decided_by: Option<String>,
    /// RFC 3339, UTC.
    pub decided_at: Option<String>,
}

/// Answer 202: it waits for a second operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProposedView {
    /// Names it.
    pub proposal_id: String,
    /// All of it.
    pub proposal: ProposalView,
}

/// Answer to what takes one operator, or to an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DoneView {
    /// One line that says what was done.
    pub done: String,
    /// Everything that changed.
    pub changes: Vec<Change>,
    /// Sessions that ended with it.
    pub sessions_ended: u64,
}

/// The newest checkpoint of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditHeadView {
    /// Records.
    pub size: u64,
    /// The checkpoint (C2SP tlog-checkpoint, signed note), if one was signed yet.
    pub checkpoint: Option<String>,
    /// SubjectPublicKeyInfo of the key that signs checkpoints, PEM.
    pub public_key_pem: Option<String>,
}

/// Answer of `GET /admin/v1/audit/export`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditLines {
    /// One record a line, octet by octet as the log holds it, with its proof of inclusion; the last line is the checkpoint
    /// that the proofs lead to.
    pub lines: Vec<String>,
    /// Where to go on; absent at the end.
    pub next: Option<u64>,
}

/// Answer of `GET /admin/v1/audit/records`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRecords {
    /// Records in order.
    pub records: Vec<Value>,
    /// Where to go on; absent at the end.
    pub next: Option<u64>,
}
