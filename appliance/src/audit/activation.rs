//! What an activation is asked for, in the log's words.

use crate::audit::signature::DigestValue;
use attest::activation::Entry;
use attest::activation::EntryKind;
use attest::records::Fingerprint;
use serde::Deserialize;
use serde::Serialize;

/// The entries that an activation is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationAsked {
    /// The transaction, hashed.
    pub session: Fingerprint,
    /// Holder who is to approve them.
    pub holder_id: String,
    /// Signing system that asks.
    pub system_id: String,
    /// Names the whole list: SHA-256 over a line `kind/algorithm/value/credential/label` with a line feed for each entry.
    pub digest: Fingerprint,
    /// The list.
    pub entries: Vec<ListedEntry>,
}

/// One entry, without what may name a patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedEntry {
    /// What the value is the digest of.
    pub kind: EntryKind,
    /// Algorithm and value.
    pub digest: DigestValue,
    /// Which key is to sign.
    pub credential_id: String,
    /// Commitment to the label that the holder reads; the signature's record has the same.
    pub label: Fingerprint,
}

impl From<&Entry> for ListedEntry {
    fn from(entry: &Entry) -> Self {
        Self {
            kind: entry.kind,
            digest: DigestValue { alg: entry.algorithm, value: entry.value.clone() },
            credential_id: entry.credential_id.clone(),
            label: entry.label_commitment(),
        }
    }
}
