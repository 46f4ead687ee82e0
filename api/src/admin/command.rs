//! The commands of the admin API, one type each for what they carry.

pub use crate::admin::key::NewCertificate;
pub use crate::admin::key::NewChain;
pub use crate::admin::key::NewKey;
pub use crate::admin::key::NewRenewal;
pub use crate::admin::key::NewSubject;
pub use crate::admin::names::AnchorPurposeName;
pub use crate::admin::names::RoleName;
pub use crate::admin::system::NewLimits;
pub use crate::admin::system::NewSystem;
pub use crate::admin::system::SystemChange;

use crate::admin::check;
use crate::admin::holder::HolderChange;
use crate::admin::letter::NewLetter;
use attest::records::Fingerprint;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// One command of the admin API, as plain data. Proposals store it as it is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum AdminCommand {
    /// State, versions, counts, alarms.
    Status {},
    /// Everything that a new operator gets wrong, checked.
    Doctor {},

    /// Grants: registers a holder.
    HolderAdd(NewHolder),
    /// Lists holders.
    HolderList {},
    /// Everything about one holder, and what is wrong.
    HolderShow {
        /// Whose.
        holder_id: String,
    },
    /// Changes what people read of a holder.
    HolderUpdate {
        /// Whose.
        holder_id: String,
        /// What changes.
        change: HolderChange,
    },
    /// Withdraws: the holder signs nothing until they are enabled again, every session ends.
    HolderDisable {
        /// Whose.
        holder_id: String,
        /// Why, for whoever asks later.
        reason: Option<String>,
    },
    /// Withdraws for good: nobody of this id signs ever again, every session ends.
    HolderRetire {
        /// Whose.
        holder_id: String,
        /// Why, for whoever asks later.
        reason: Option<String>,
    },
    /// Grants: the holder may sign again.
    HolderEnable {
        /// Whose.
        holder_id: String,
    },

    /// Grants: this card's certificate belongs to this holder.
    CardLink(NewCard),
    /// Withdraws a card link; sessions proved with it end.
    CardUnlink {
        /// SHA-256 that `card_list` shows.
        card: Fingerprint,
        /// Why, for whoever asks later.
        reason: Option<String>,
    },
    /// Lists card links.
    CardList {
        /// Of this holder only.
        holder_id: Option<String>,
    },

    /// Lists phones and security keys that prove presence.
    DeviceList {
        /// Of this holder only.
        holder_id: Option<String>,
    },
    /// Withdraws a phone; sessions proved with it end.
    DeviceRemove {
        /// SHA-256 that `device_list` shows.
        device: Fingerprint,
        /// Why, for whoever asks later.
        reason: Option<String>,
    },

    /// Lists My Number cards that prove presence.
    JpkiList {
        /// Of this holder only.
        holder_id: Option<String>,
    },
    /// Withdraws a My Number card; sessions proved with it end.
    JpkiUnlink {
        /// Name that `jpki_list` shows.
        card: Fingerprint,
        /// Why, for whoever asks later.
        reason: Option<String>,
    },

    /// Grants: a link and a password, handed out by two operators, register the holder's phone.
    LetterIssue(NewLetter),
    /// Lists notification cards.
    LetterList {},
    /// Hands the operator's own sheet out, once.
    LetterSheet {
        /// Which card.
        letter_id: String,
    },
    /// Withdraws a notification card.
    LetterWithdraw {
        /// Which.
        letter_id: String,
    },

    /// Makes a key pair in the HSM; answers with its certification request. Nothing may be signed with it yet.
    KeyCreate(NewKey),
    /// The certification request of a key that has no certificate yet, again.
    KeyRequest {
        /// Which.
        credential_id: String,
    },
    /// Grants: the certificate makes the key usable.
    KeyInstall(NewCertificate),
    /// Makes the pair that takes over from the one of a credential when its certificate is installed; answers with its
    /// certification request. Until then nothing changes.
    KeyRenew(NewRenewal),
    /// Destroys, for good, a pair that signs no more: superseded, revoked, given up, or never certified.
    KeyDestroy {
        /// Of which credential.
        credential_id: String,
        /// SHA-256 of its public key, as `key_list` shows it.
        public_key: Fingerprint,
    },
    /// Lists keys.
    KeyList {
        /// Of this holder only.
        holder_id: Option<String>,
    },
    /// Withdraws a key for good.
    KeyRevoke {
        /// Which.
        credential_id: String,
        /// Why, for whoever asks later.
        reason: Option<String>,
    },
    /// Grants: a quarantined key may sign again.
    KeyRelease {
        /// Which.
        credential_id: String,
    },

    /// Grants: registers a signing system.
    SystemAdd(NewSystem),
    /// Grants or withdraws, depending on the change.
    SystemUpdate {
        /// Which.
        system_id: String,
        /// What changes.
        change: SystemChange,
    },
    /// Withdraws a signing system; its sessions end.
    SystemRemove {
        /// Which.
        system_id: String,
    },
    /// Lists signing systems.
    SystemList {},

    /// Grants: registers an operator.
    OperatorAdd(NewOperator),
    /// Withdraws an operator.
    OperatorRemove {
        /// Who.
        operator_id: String,
    },
    /// Lists operators.
    OperatorList {},

    /// Grants: certificates under this one are believed.
    AnchorAdd(NewAnchor),
    /// Withdraws an anchor; what hung on it stops.
    AnchorRemove {
        /// What it was trusted for.
        purpose: AnchorPurposeName,
        /// SHA-256 of the certificate.
        fingerprint: Fingerprint,
    },
    /// Lists anchors.
    AnchorList {},

    /// Grants: published test cards may sign in. Never for real documents.
    TestModeOn {},
    /// Withdraws test mode.
    TestModeOff {},
    /// Grants: this PKCS#11 module may be loaded at the next start, instead of the present one.
    ModuleApprove(NewModule),

    /// Lists live sessions.
    SessionList {
        /// Of this holder only.
        holder_id: Option<String>,
        /// Of this signing system only.
        system_id: Option<String>,
    },
    /// Withdraws one session.
    SessionEnd {
        /// Which.
        session_id: String,
    },
    /// Withdraws every session of a holder.
    SessionEndAll {
        /// Whose.
        holder_id: String,
    },

    /// Lists what waits for a second operator, and what was decided lately.
    ProposalList {},
    /// One proposal with all that it would change.
    ProposalShow {
        /// Which.
        proposal_id: String,
    },
    /// Lets a proposal happen; never one's own.
    ProposalApprove {
        /// Which.
        proposal_id: String,
    },
    /// Ends a proposal; also one's own.
    ProposalReject {
        /// Which.
        proposal_id: String,
    },

    /// The newest checkpoint of the audit log.
    AuditHead {},
    /// Finds audit records.
    AuditSearch(AuditQuery),
    /// Audit records as they are, in order.
    AuditExport {
        /// First sequence number.
        from: u64,
        /// Most records in the answer.
        limit: u64,
    },
    /// The evidence of one audit record; what is sealed there is opened for whom a second operator lets read it.
    AuditEvidence {
        /// Sequence number of the record.
        seq: u64,
    },
}

/// `POST /admin/v1/holders`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHolder {
    /// 本人ID: 1 to 64 characters of `[A-Za-z0-9._-]`, the first a letter or digit.
    #[schemars(regex(pattern = check::ID))]
    pub holder_id: String,
    /// What people call them; shown on pages, never used to find anybody.
    #[schemars(length(min = 1, max = check::MAX_NAME_CHARS))]
    pub display_name: String,
    /// Whom to call at their certification authority.
    #[serde(default)]
    #[schemars(length(min = 1, max = check::MAX_TEXT_CHARS))]
    pub ca_contact: Option<String>,
}

/// Why something is withdrawn. The body may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// For whoever asks later: kept with the holder and in the audit log.
    #[serde(default)]
    #[schemars(length(min = 1, max = check::MAX_TEXT_CHARS))]
    pub reason: Option<String>,
}

/// `POST /admin/v1/cards`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCard {
    /// Whose card.
    #[schemars(regex(pattern = check::ID))]
    pub holder_id: String,
    /// The card's authentication certificate, PEM.
    #[schemars(length(max = check::MAX_CERTIFICATE_PEM_BYTES), regex(pattern = check::PEM))]
    pub certificate_pem: String,
}

/// `POST /admin/v1/operators`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOperator {
    /// 1 to 64 characters of `[A-Za-z0-9._-]`.
    #[schemars(regex(pattern = check::ID))]
    pub operator_id: String,
    /// The one role.
    pub role: RoleName,
    /// The operator's client certificate, PEM.
    #[schemars(length(max = check::MAX_CERTIFICATE_PEM_BYTES), regex(pattern = check::PEM))]
    pub certificate_pem: String,
}

/// `POST /admin/v1/anchors`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAnchor {
    /// What for.
    pub purpose: AnchorPurposeName,
    /// A self-signed CA certificate, PEM.
    #[schemars(length(max = check::MAX_CERTIFICATE_PEM_BYTES), regex(pattern = check::PEM))]
    pub certificate_pem: String,
}

/// `POST /admin/v1/module`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewModule {
    /// SHA-256 of the module file, 64 hexadecimal digits.
    #[schemars(with = "String", regex(pattern = check::FINGERPRINT))]
    pub module: Fingerprint,
}

/// `POST /admin/v1/test-mode`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestMode {
    /// Whether published test cards may sign in.
    pub on: bool,
}

/// `GET /admin/v1/audit/records`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuditQuery {
    /// Records about this holder.
    pub holder_id: Option<String>,
    /// Records of this signing system.
    pub system_id: Option<String>,
    /// Records of this key.
    pub credential_id: Option<String>,
    /// Records of this operator.
    pub operator_id: Option<String>,
    /// Records of this kind: `signature`, `session_ended` ...
    pub event: Option<String>,
    /// Records of this request.
    pub request_id: Option<String>,
    /// Not before this time, Unix seconds.
    pub since: Option<u64>,
    /// Before this time, Unix seconds.
    pub until: Option<u64>,
    /// First sequence number looked at.
    pub from: Option<u64>,
    /// Most records in the answer.
    pub limit: Option<u64>,
}

impl AdminCommand {
    /// The stable name of the command: `holder_add`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status {} => "status",
            Self::Doctor {} => "doctor",
            Self::HolderAdd(_) => "holder_add",
            Self::HolderList {} => "holder_list",
            Self::HolderShow { .. } => "holder_show",
            Self::HolderUpdate { .. } => "holder_update",
            Self::HolderDisable { .. } => "holder_disable",
            Self::HolderRetire { .. } => "holder_retire",
            Self::HolderEnable { .. } => "holder_enable",
            Self::CardLink(_) => "card_link",
            Self::CardUnlink { .. } => "card_unlink",
            Self::CardList { .. } => "card_list",
            Self::DeviceList { .. } => "device_list",
            Self::DeviceRemove { .. } => "device_remove",
            Self::JpkiList { .. } => "jpki_list",
            Self::JpkiUnlink { .. } => "jpki_unlink",
            Self::LetterIssue(_) => "letter_issue",
            Self::LetterList {} => "letter_list",
            Self::LetterSheet { .. } => "letter_sheet",
            Self::LetterWithdraw { .. } => "letter_withdraw",
            Self::KeyCreate(_) => "key_create",
            Self::KeyRequest { .. } => "key_request",
            Self::KeyInstall(_) => "key_install",
            Self::KeyRenew(_) => "key_renew",
            Self::KeyDestroy { .. } => "key_destroy",
            Self::KeyList { .. } => "key_list",
            Self::KeyRevoke { .. } => "key_revoke",
            Self::KeyRelease { .. } => "key_release",
            Self::SystemAdd(_) => "system_add",
            Self::SystemUpdate { .. } => "system_update",
            Self::SystemRemove { .. } => "system_remove",
            Self::SystemList {} => "system_list",
            Self::OperatorAdd(_) => "operator_add",
            Self::OperatorRemove { .. } => "operator_remove",
            Self::OperatorList {} => "operator_list",
            Self::AnchorAdd(_) => "anchor_add",
            Self::AnchorRemove { .. } => "anchor_remove",
            Self::AnchorList {} => "anchor_list",
            Self::TestModeOn {} => "test_mode_on",
            Self::TestModeOff {} => "test_mode_off",
            Self::ModuleApprove(_) => "module_approve",
            Self::SessionList { .. } => "session_list",
            Self::SessionEnd { .. } => "session_end",
            Self::SessionEndAll { .. } => "session_end_all",
            Self::ProposalList {} => "proposal_list",
            Self::ProposalShow { .. } => "proposal_show",
            Self::ProposalApprove { .. } => "proposal_approve",
            Self::ProposalReject { .. } => "proposal_reject",
            Self::AuditHead {} => "audit_head",
            Self::AuditSearch(_) => "audit_search",
            Self::AuditExport { .. } => "audit_export",
            Self::AuditEvidence { .. } => "audit_evidence",
        }
    }
}
