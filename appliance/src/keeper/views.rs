//! What signing systems are shown of credentials and sessions.

use super::Keeper;
use api::wire;
use attest::algorithm::KeyType;
use attest::clock::UnixSeconds;
use attest::records::Credential;
use attest::records::CredentialStatus;
use attest::registry::LiveCredential;
use attest::registry::Standing;
use attest::session::LiveSession;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// RFC 3339, UTC.
pub fn rfc3339(at: UnixSeconds) -> String {
    i64::try_from(at.0)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| at.0.to_string())
}

/// One credential on the wire.
pub fn credential(credential: &LiveCredential, now: UnixSeconds) -> wire::CredentialView {
    let record = &credential.record;
    wire::CredentialView {
        id: record.credential_id.clone(),
        holder: record.holder_id.clone(),
        subject: record.subject.clone(),
        chain: record.chain.iter().map(|der| STANDARD.encode(der)).collect(),
        algorithms: algorithms(record.key_type),
        hc_roles: record.hc_roles.clone(),
        not_before: rfc3339(record.not_before),
        not_after: rfc3339(record.not_after),
        status: status(record, credential, now).to_owned(),
    }
}

fn algorithms(key_type: KeyType) -> Vec<String> {
    vec![key_type.default_scheme().name().to_owned()]
}

fn status(record: &Credential, credential: &LiveCredential, now: UnixSeconds) -> &'static str {
    match (record.status, credential.standing()) {
        (CredentialStatus::Quarantined, _) => "quarantined",
        (CredentialStatus::Revoked, _) | (_, Standing::Revoked) => "revoked",
        _ if credential.is_stopped() => "quarantined",
        _ if now < record.not_before || now > record.not_after => "expired",
        (_, Standing::Good) => "active",
        (_, Standing::Unknown) => "unknown",
        (_, Standing::Refused) => "refused",
    }
}

impl Keeper {
    /// Ids of the credentials that this session may name now.
    pub(super) fn usable_credentials(
        &self,
        session: &LiveSession,
        now: UnixSeconds,
    ) -> Vec<String> {
        let all = self.parts.registry.credentials_of(&session.holder_id);
        let usable = |credential: &&Arc<LiveCredential>| {
            status(&credential.record, credential, now) == "active"
        };
        all.iter()
            .filter(usable)
            .map(|credential| credential.record.credential_id.clone())
            .collect()
    }
}
