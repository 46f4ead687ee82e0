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
        not_before: record.not_before.to_string(),
        not_after: record.not_after.to_string(),
        status: status(record, credential, now).to_owned(),
    }
}

/// What a session is for on the wire.
pub fn purpose(has_entries: bool) -> wire::Purpose {
    match has_entries {
        true => wire::Purpose::Once,
        false => wire::Purpose::Day,
    }
}

/// Entries left, of an activation.
pub fn remaining_entries(session: &LiveSession) -> Option<u64> {
    session.entries().map(|_| session.remaining())
}

fn algorithms(key_type: KeyType) -> Vec<String> {
    vec![key_type.default_scheme().name().to_owned()]
}

fn status(record: &Credential, credential: &LiveCredential, now: UnixSeconds) -> &'static str {
    match (record.status, credential.standing()) {
        (CredentialStatus::Quarantined, _) => "quarantined",
        (CredentialStatus::Revoked | CredentialStatus::Destroyed, _) | (_, Standing::Revoked) => {
            "revoked"
        }
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
