//! What a record says of one use of a holder's key.

use attest::activation::Requested;
use attest::algorithm::ContentDigest;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::Dtbsr;
use attest::clock::UnixSeconds;
use attest::permit::LeaseWithdrawn;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::session::EndReason;
use serde::Deserialize;
use serde::Serialize;

/// One use of a holder's key: what is needed to account for it, and to answer a retry without the HSM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureFacts {
    /// Whose key.
    pub holder_id: String,
    /// Signing system that asked.
    pub system_id: String,
    /// The session, hashed.
    pub session: Fingerprint,
    /// How presence was proved.
    pub method: Method,
    /// SHA-256 of the evidence.
    pub evidence: Fingerprint,
    /// Which key.
    pub credential_id: String,
    /// SHA-256 of its certificate.
    pub certificate: Fingerprint,
    /// Digest of the content.
    pub content_digest: DigestValue,
    /// Digest that the key signed; absent for Ed25519, which signs the octets themselves.
    pub dtbsr: Option<DigestValue>,
    /// Name of the signature scheme.
    pub algorithm: String,
    /// Salt length, for RSASSA-PSS.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub salt_len: Option<u8>,
    /// What was asked for: `detached`, `attached`, `cms`, `raw`.
    pub packaging: String,
    /// CAdES level: `B-B`; empty for raw signatures.
    pub level: String,
    /// The signing-time attribute.
    pub signing_time: UnixSeconds,
    /// The signature value, base64; empty when withheld.
    pub signature: String,
    /// Commitment to the document label.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub label: Option<Fingerprint>,
    /// What a retry is recognised by.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub idempotency: Option<Idempotency>,
}

/// What a retry of a request is recognised by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idempotency {
    /// SHA-256 over signing system, session and key: made by [`scope`](Self::scope).
    pub scope: Fingerprint,
    /// SHA-256 over all parameters of the request and the content digest.
    pub request: Fingerprint,
}

impl Idempotency {
    /// The scope of `key`, sent by `system_id` under `session`, for item `item` of the request (0 where there is one).
    pub fn scope(system_id: &str, session: &Fingerprint, key: &str, item: u32) -> Fingerprint {
        let mut octets = Vec::new();
        for part in [system_id, &session.0, key] {
            octets.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            octets.extend_from_slice(part.as_bytes());
        }
        octets.extend_from_slice(&item.to_be_bytes());
        Fingerprint::of(&octets)
    }
}

/// Why a signature was withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withheld {
    /// The session ended in between.
    Session(EndReason),
    /// The credential was revoked or quarantined in between.
    Credential,
}

impl From<LeaseWithdrawn> for Withheld {
    fn from(withdrawn: LeaseWithdrawn) -> Self {
        match withdrawn {
            LeaseWithdrawn::Session(reason) => Self::Session(reason),
            LeaseWithdrawn::Credential => Self::Credential,
        }
    }
}

/// A digest with its algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DigestValue {
    /// Algorithm.
    pub alg: DigestAlgorithm,
    /// The digest, hexadecimal.
    #[serde(with = "hex::serde")]
    pub value: Vec<u8>,
}

impl From<&ContentDigest> for DigestValue {
    fn from(digest: &ContentDigest) -> Self {
        Self { alg: digest.algorithm(), value: digest.as_bytes().to_vec() }
    }
}

impl From<&Requested> for DigestValue {
    fn from(requested: &Requested) -> Self {
        Self { alg: requested.algorithm(), value: requested.as_bytes().to_vec() }
    }
}

impl From<&Dtbsr> for DigestValue {
    fn from(digest: &Dtbsr) -> Self {
        Self { alg: digest.algorithm(), value: digest.as_bytes().to_vec() }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::audit::record::session_hash;

    pub(crate) fn facts() -> SignatureFacts {
        SignatureFacts {
            holder_id: "u-17".to_owned(),
            system_id: "ehr".to_owned(),
            session: session_hash("session"),
            method: Method::Hpki,
            evidence: Fingerprint::of(b"evidence"),
            credential_id: "rsa2048".to_owned(),
            certificate: Fingerprint::of(b"certificate"),
            content_digest: (&ContentDigest::of(DigestAlgorithm::Sha256, b"content")).into(),
            dtbsr: Some((&Dtbsr::of(DigestAlgorithm::Sha256, b"dtbs")).into()),
            algorithm: "rsa-pkcs1-sha-256".to_owned(),
            salt_len: None,
            packaging: "detached".to_owned(),
            level: "B-B".to_owned(),
            signing_time: UnixSeconds(1_795_411_200),
            signature: "c2lnbmF0dXJl".to_owned(),
            label: None,
            idempotency: Some(Idempotency {
                scope: Idempotency::scope("ehr", &session_hash("session"), "key", 0),
                request: Fingerprint::of(b"request"),
            }),
        }
    }

    #[test]
    fn scope_keeps_its_parts_apart() {
        let session = session_hash("s");
        let scope = Idempotency::scope("ehr", &session, "key", 0);
        assert_ne!(scope, Idempotency::scope("eh", &session, "rkey", 0));
        assert_ne!(scope, Idempotency::scope("ehr", &session_hash("t"), "key", 0));
        assert_ne!(scope, Idempotency::scope("ehr", &session, "key", 1));
        assert_eq!(scope, Idempotency::scope("ehr", &session, "key", 0));
    }
}
