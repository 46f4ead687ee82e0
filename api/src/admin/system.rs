//! What the commands about signing systems carry.

use crate::admin::check;
use crate::wire::MethodName;
use attest::records::Fingerprint;
use attest::records::SessionLimits;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// `POST /admin/v1/systems`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSystem {
    /// 1 to 64 characters of `[A-Za-z0-9._-]`.
    #[schemars(regex(pattern = check::ID))]
    pub system_id: String,
    /// What holders read when it asks for a sign-in.
    #[schemars(length(min = 1, max = check::MAX_NAME_CHARS))]
    pub display_name: String,
    /// Its client certificates, PEM: one, or two while one is being replaced.
    #[schemars(length(min = 1, max = check::MAX_SYSTEM_CERTIFICATES), inner(regex(pattern = check::PEM)))]
    pub certificates_pem: Vec<String>,
    /// Exact return URLs allowed after a sign-in.
    #[serde(default)]
    #[schemars(length(max = check::MAX_RETURN_URLS))]
    pub return_urls: Vec<String>,
    /// Holders it may name.
    #[serde(default)]
    #[schemars(length(max = check::MAX_NAMED_HOLDERS), inner(regex(pattern = check::ID)))]
    pub holders: Vec<String>,
    /// Whether it may name every holder, also later ones; then `holders` is empty.
    #[serde(default)]
    pub all_holders: bool,
    /// Methods it accepts.
    #[schemars(length(min = 1))]
    pub methods: Vec<MethodName>,
    /// Whether `output: raw` of `/v1/sign/digest` is open to it.
    #[serde(default)]
    pub raw_allowed: bool,
    /// Whether raw signatures of bare digests, of octets that nobody here sees, are open to it, under an activation.
    #[serde(default)]
    pub bare_digests_allowed: bool,
    /// Limits of its sessions.
    #[serde(default)]
    pub limits: NewLimits,
    /// Requests a second, sustained; the default of the appliance when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = check::MAX_REQUESTS_PER_SECOND))]
    pub requests_per_second: Option<u32>,
}

/// `PATCH /admin/v1/systems/{system_id}`: only what is named changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SystemChange {
    /// What holders read.
    #[schemars(length(min = 1, max = check::MAX_NAME_CHARS))]
    pub display_name: Option<String>,
    /// A second client certificate, PEM.
    #[schemars(length(max = check::MAX_CERTIFICATE_PEM_BYTES), regex(pattern = check::PEM))]
    pub add_certificate_pem: Option<String>,
    /// SHA-256 of the client certificate that goes.
    #[schemars(with = "Option<String>", regex(pattern = check::FINGERPRINT))]
    pub remove_certificate: Option<Fingerprint>,
    /// All return URLs from now on.
    #[schemars(length(max = check::MAX_RETURN_URLS))]
    pub return_urls: Option<Vec<String>>,
    /// All holders it may name from now on.
    #[schemars(length(max = check::MAX_NAMED_HOLDERS), inner(regex(pattern = check::ID)))]
    pub holders: Option<Vec<String>>,
    /// Whether it may name every holder.
    pub all_holders: Option<bool>,
    /// All methods from now on.
    #[schemars(length(min = 1))]
    pub methods: Option<Vec<MethodName>>,
    /// Whether `output: raw` is open.
    pub raw_allowed: Option<bool>,
    /// Whether bare digests are open.
    pub bare_digests_allowed: Option<bool>,
    /// Limits of its sessions; those left out stay.
    pub limits: NewLimits,
    /// Requests a second.
    #[schemars(range(min = 1, max = check::MAX_REQUESTS_PER_SECOND))]
    pub requests_per_second: Option<u32>,
}

/// Limits of sessions, each the default of the appliance when absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLimits {
    /// Seconds from the evidence to the end.
    #[serde(default)]
    #[schemars(range(min = 60, max = SessionLimits::CEILING_SECONDS))]
    pub seconds: Option<u64>,
    /// Seconds without a signature after which the session ends.
    #[serde(default)]
    #[schemars(range(min = 60, max = SessionLimits::CEILING_SECONDS))]
    pub idle_seconds: Option<u64>,
    /// Signatures in one session.
    #[serde(default)]
    #[schemars(range(min = 1, max = check::MAX_SESSION_SIGNATURES))]
    pub signatures: Option<u64>,
}
