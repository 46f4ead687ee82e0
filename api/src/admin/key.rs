//! What the commands about keys carry.

use crate::admin::check;
use attest::algorithm::KeyType;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// `POST /admin/v1/keys`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Name on the wire: 1 to 64 characters of `[A-Za-z0-9._-]`, unique on the appliance.
    #[schemars(regex(pattern = check::ID))]
    pub credential_id: String,
    /// Whose.
    #[schemars(regex(pattern = check::ID))]
    pub holder_id: String,
    /// `rsa-2048`, `rsa-3072`, `rsa-4096`, `p-256`, `p-384`, `p-521` or `ed25519`.
    #[schemars(with = "String", extend("enum" = KEY_TYPES))]
    pub key_type: KeyType,
    /// Subject of the certification request, RFC 4514 text; `CN=<display name>` when absent.
    #[serde(default)]
    #[schemars(length(min = 1, max = check::MAX_TEXT_CHARS))]
    pub subject: Option<String>,
}

/// Another pair for a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRenewal {
    /// Which credential.
    pub credential_id: String,
    /// Subject of the certification request, RFC 4514 text; that of the present certificate when absent.
    pub subject: Option<String>,
}

/// `POST /admin/v1/keys/{credential_id}/renew`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSubject {
    /// Subject of the certification request, RFC 4514 text; that of the present certificate when absent.
    #[serde(default)]
    #[schemars(length(min = 1, max = check::MAX_TEXT_CHARS))]
    pub subject: Option<String>,
}

/// The certificate of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCertificate {
    /// Which key.
    pub credential_id: String,
    /// Certificate, then its issuers (the root may be left out), PEM.
    pub chain_pem: String,
}

/// `POST /admin/v1/keys/{credential_id}/certificate`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChain {
    /// Certificate, then its issuers (the root may be left out), PEM.
    #[schemars(length(max = check::MAX_CHAIN_PEM_BYTES), regex(pattern = check::PEM))]
    pub chain_pem: String,
}

/// The names of [`KeyType`], for the document.
const KEY_TYPES: [&str; 7] =
    ["rsa-2048", "rsa-3072", "rsa-4096", "p-256", "p-384", "p-521", "ed25519"];
