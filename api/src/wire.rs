//! What crosses the wire of the native door: JSON bodies and answers, one type each. The OpenAPI file is made from these.

use attest::activation;
use attest::algorithm::DigestAlgorithm;
use attest::records::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::problem::Code;

/// Signature level of EN 319 122-1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Level {
    /// Basic signature: signed attributes only.
    #[default]
    #[serde(rename = "B-B")]
    BaselineB,
}

/// Where the content goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Packaging {
    /// The content stays outside.
    #[default]
    Detached,
    /// The content is inside (`eContent`).
    Attached,
}

/// What a session is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Signatures of the rest of the shift.
    #[default]
    Day,
    /// The signatures that are listed, each once.
    Once,
}

/// What the value of an entry is the digest of; kinds never serve each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// Content, for `/v1/sign` and for `output: cms`.
    Content,
    /// The octets that the key signs over, for `output: raw`.
    Dtbsr,
}

impl From<EntryKind> for activation::EntryKind {
    fn from(kind: EntryKind) -> Self {
        match kind {
            EntryKind::Content => Self::Content,
            EntryKind::Dtbsr => Self::Dtbsr,
        }
    }
}

/// One signature that the holder is asked to approve, for `purpose: once`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEntry {
    /// What `value` is the digest of.
    pub kind: EntryKind,
    /// Algorithm of `value`: the one that the key signs with.
    pub alg: DigestName,
    /// base64 digest; no two entries have the same.
    pub value: String,
    /// Which key is to sign; one of the holder's.
    pub credential: String,
    /// What the document is called; shown to the holder as what the signing system says. `/v1/info` says how long at most.
    #[schemars(length(min = 1))]
    pub label: String,
}

/// A method on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MethodName {
    /// HPKI card.
    Hpki,
    /// My Number card.
    Jpki,
    /// FIDO2 authenticator.
    Fido2,
}

impl From<MethodName> for Method {
    fn from(name: MethodName) -> Self {
        match name {
            MethodName::Hpki => Self::Hpki,
            MethodName::Jpki => Self::Jpki,
            MethodName::Fido2 => Self::Fido2,
        }
    }
}

impl From<Method> for MethodName {
    fn from(method: Method) -> Self {
        match method {
            Method::Hpki => Self::Hpki,
            Method::Jpki => Self::Jpki,
            Method::Fido2 => Self::Fido2,
        }
    }
}

/// `POST /v1/sessions`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// 本人ID who has to sign in; anybody who may, when absent.
    #[serde(default)]
    pub holder: Option<String>,
    /// Methods wanted; all that the registration allows, when absent.
    #[serde(default)]
    pub methods: Option<Vec<MethodName>>,
    /// Registered URL to which the holder's browser brings the code. Without it a number is typed instead.
    #[serde(default)]
    pub return_url: Option<String>,
    /// What for. With `once` a holder is named and entries are given.
    #[serde(default)]
    pub purpose: Purpose,
    /// With `once`: what alone is to be signed, each once. `/v1/info` says how many at most.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub entries: Option<Vec<NewEntry>>,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// Waits for the holder.
    Pending,
    /// The holder confirmed; waits for the code.
    Approved,
    /// Signatures may be asked for.
    Active,
    /// The holder or a rule said no.
    Denied,
    /// Nobody confirmed in time.
    Expired,
    /// Over.
    Ended,
}

/// Answer of `POST /v1/sessions`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionCreated {
    /// Names the session from now on; comes back as `state` in the return URL.
    pub session_id: String,
    /// Where the holder's browser has to go; good once, until `expires_at`.
    pub login_url: String,
    /// RFC 3339, UTC.
    pub expires_at: String,
    /// `pending`
    pub state: SessionState,
    /// Without `return_url`: show this on the asking screen; the holder types it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
}

/// Answer of `GET /v1/sessions/{session_id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionView {
    /// The session.
    pub session_id: String,
    /// Where it stands.
    pub state: SessionState,
    /// What for.
    pub purpose: Purpose,
    /// How the holder signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<MethodName>,
    /// Who signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// Seconds until it is over: until the link expires while pending, until the clock limit while active.
    pub remaining_seconds: u64,
    /// Signatures left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_signatures: Option<u64>,
    /// With `once`: entries left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_entries: Option<u64>,
    /// Credential ids that may be named.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub credentials: Vec<String>,
    /// Why it was denied or ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/sessions/{session_id}/activate`
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Activate {
    /// The code that the holder's browser brought, or the number that the holder typed.
    pub code: String,
}

/// Answer of `POST /v1/sessions/{session_id}/activate`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Activated {
    /// For the `Signing-Session` header; 256 random bits, good only with a client certificate of the same registration.
    pub signing_token: String,
    /// What for.
    pub purpose: Purpose,
    /// Who signed in.
    pub holder: String,
    /// How.
    pub method: MethodName,
    /// RFC 3339, UTC: first second at which the session is over.
    pub expires_at: String,
    /// Signatures left.
    pub remaining_signatures: u64,
    /// With `once`: entries left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_entries: Option<u64>,
    /// Credential ids that may be named.
    pub credentials: Vec<String>,
}

/// One entry of `GET /v1/credentials`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CredentialView {
    /// Its id.
    pub id: String,
    /// Whose.
    pub holder: String,
    /// Subject of the certificate, RFC 4514 text.
    pub subject: String,
    /// Certificate, then its issuers without the root: base64 DER.
    pub chain: Vec<String>,
    /// Signature algorithms it can be used with; the first is the default.
    pub algorithms: Vec<String>,
    /// hcRole texts.
    pub hc_roles: Vec<String>,
    /// RFC 3339, UTC.
    pub not_before: String,
    /// RFC 3339, UTC.
    pub not_after: String,
    /// `active`, `expired`, `revoked`, `quarantined` or `unknown` (its revocation status cannot be determined).
    pub status: String,
}

/// What `/v1/sign/digest` gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// A detached CAdES signature of each digest.
    Cms,
    /// A bare signature of the octets sent; off unless the registration allows it.
    Raw,
}

/// Form of a raw ECDSA signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SignatureFormat {
    /// DER `Ecdsa-Sig-Value`.
    #[default]
    Der,
    /// r‖s, fixed length (IEEE P1363).
    P1363,
}

/// What raw octets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawShape {
    /// Canonical XML of a `ds:SignedInfo` element.
    SignedInfo,
    /// DER of CMS signed attributes.
    SignedAttrs,
}

/// One item of `POST /v1/sign/digest`: a digest (for `cms`), or octets with their shape (for `raw`). In a session of purpose
/// `once`, and where the registration opens it, `raw` takes a digest without its octets, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DigestItem {
    /// Caller's name for it, unique in the request, 1 to 64 characters.
    #[schemars(length(min = 1, max = 64))]
    pub id: String,
    /// Algorithm of `digest`.
    #[serde(default)]
    pub alg: Option<DigestName>,
    /// For `cms`: base64 digest of the content. For `raw`: of the octets to sign over, instead of these.
    #[serde(default)]
    pub digest: Option<String>,
    /// For `raw`: base64 octets.
    #[serde(default)]
    pub octets: Option<String>,
    /// For `raw`: what the octets are.
    #[serde(default)]
    pub shape: Option<RawShape>,
    /// What the document is called; may name a patient, therefore kept apart.
    #[serde(default)]
    pub label: Option<String>,
}

/// A digest algorithm on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DigestName {
    /// SHA-256
    #[serde(rename = "sha-256")]
    Sha256,
    /// SHA-384
    #[serde(rename = "sha-384")]
    Sha384,
    /// SHA-512
    #[serde(rename = "sha-512")]
    Sha512,
}

impl From<DigestName> for DigestAlgorithm {
    fn from(name: DigestName) -> Self {
        match name {
            DigestName::Sha256 => Self::Sha256,
            DigestName::Sha384 => Self::Sha384,
            DigestName::Sha512 => Self::Sha512,
        }
    }
}

/// `POST /v1/sign/digest`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignDigests {
    /// Which key; may be left out when the holder has exactly one usable.
    #[serde(default)]
    pub credential: Option<String>,
    /// What comes back.
    pub output: Output,
    /// Level of CMS signatures. Text, so that a level that is not offered is told from a body that is not well formed.
    #[serde(default)]
    #[schemars(with = "Option<Level>")]
    pub level: Option<String>,
    /// Form of raw ECDSA signatures.
    #[serde(default)]
    pub signature_format: Option<SignatureFormat>,
    /// What to sign: authorised all or nothing, signed one by one. `/v1/info` says how many at most.
    #[schemars(length(min = 1))]
    pub items: Vec<DigestItem>,
}

/// Outcome of one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ItemOutcome {
    /// Signed and recorded.
    Signed {
        /// The caller's name for it.
        id: String,
        /// base64: CMS DER, or the raw signature.
        signature: String,
        /// Names its audit record.
        receipt: String,
    },
    /// Not signed.
    Refused {
        /// The caller's name for it.
        id: String,
        /// Why.
        problem: Code,
    },
}

/// Answer of `POST /v1/sign/digest`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedDigests {
    /// In the order of the request.
    pub items: Vec<ItemOutcome>,
}

/// Answer of `GET /v1/info`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Info {
    /// `Inkan`
    pub name: String,
    /// Version of the daemon.
    pub version: String,
    /// `v1`
    pub api_versions: Vec<String>,
    /// Signature algorithms of the token.
    pub algorithms: Vec<String>,
    /// Levels offered.
    pub levels: Vec<Level>,
    /// Packagings offered.
    pub packagings: Vec<Packaging>,
    /// What this signing system may ask for.
    pub limits: InfoLimits,
    /// How long evidence is cached.
    pub session: InfoSession,
    /// Where signing times come from: `system-clock` (not a trusted time stamp).
    pub time_source: String,
    /// True while published test cards may sign in: never for real documents.
    pub danger_test_mode: bool,
}

/// Limits on requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InfoLimits {
    /// Octets of an attached document.
    pub attached_bytes: u64,
    /// Octets of a detached document.
    pub detached_bytes: u64,
    /// Items in one `/v1/sign/digest`.
    pub digest_items: u64,
    /// Entries in one sign-in of purpose `once`.
    pub entries: u64,
    /// Characters of an entry's label.
    pub entry_label_characters: u64,
    /// Whether `output: raw` is open to this signing system.
    pub raw_allowed: bool,
    /// Whether `output: raw` takes digests without their octets, in a session of purpose `once`.
    pub bare_digests_allowed: bool,
    /// Requests a second.
    pub requests_per_second: u32,
}

/// Limits of sessions made for this signing system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InfoSession {
    /// Seconds from the evidence.
    pub seconds: u64,
    /// Seconds without a signature.
    pub idle_seconds: u64,
    /// Signatures.
    pub signatures: u64,
    /// Seconds from the evidence of a session of purpose `once`.
    pub once_seconds: u64,
    /// Methods accepted.
    pub methods: Vec<MethodName>,
}
