//! Keys as operators read them: the pair that signs, those before and after it.

use crate::admin::desk::AdminDesk;
use crate::admin::keys::status_name;
use crate::x509::rfc3339;
use api::admin::answer::KeyView;
use api::admin::answer::PairView;
use api::problem::Problem;
use attest::clock::UnixSeconds;
use attest::key_life::EarlierPair;
use attest::key_life::NextPair;
use attest::records::CredentialStatus;
use attest::records::Fingerprint;
use attest::registry::LiveCredential;
use attest::registry::Standing;
use std::time::Duration;

impl AdminDesk {
    pub(super) fn key_views(&self, holder_id: Option<&str>) -> Result<Vec<KeyView>, Problem> {
        let (now, grace) = (self.now()?, self.grace());
        let registry = &self.parts().registry;
        let credentials = match holder_id {
            Some(of) => registry.credentials_of(of),
            None => registry.credentials(),
        };
        Ok(credentials.iter().map(|live| key(live, grace, now)).collect())
    }
}

fn key(live: &LiveCredential, grace: Duration, now: UnixSeconds) -> KeyView {
    let record = &live.record;
    let is_certified = !record.chain.is_empty();
    let certified = |text: String| is_certified.then_some(text);
    let (next, revoked) = (record.life.next.as_ref(), record.life.revoked.as_ref());
    let status = match (record.status, next) {
        (CredentialStatus::Active, Some(_)) => "renewing",
        (status, _) => status_name(status),
    };
    KeyView {
        credential_id: record.credential_id.clone(),
        holder_id: record.holder_id.clone(),
        key_type: record.key_type.name().to_owned(),
        status: status.to_owned(),
        spki_sha256: Fingerprint::of(&record.spki_der).0,
        subject: certified(record.subject.clone()),
        not_before: certified(rfc3339(record.not_before.0)),
        not_after: certified(rfc3339(record.not_after.0)),
        days_left: is_certified.then(|| now.seconds_until(record.not_after) / 86_400),
        certificate_good: is_certified.then(|| live.standing() == Standing::Good),
        hc_roles: record.hc_roles.clone(),
        created_at: rfc3339(record.created_at.0),
        next: next.map(next_pair),
        earlier: record.life.earlier.iter().map(|pair| earlier(pair, grace)).collect(),
        revoked_at: revoked.map(|end| rfc3339(end.at.0)),
        revoked_because: revoked.and_then(|end| end.reason.clone()),
    }
}

fn next_pair(pair: &NextPair) -> PairView {
    PairView {
        spki_sha256: Fingerprint::of(&pair.spki_der).0,
        since: rfc3339(pair.created_at.0),
        may_be_destroyed_from: rfc3339(pair.created_at.0),
        destroyed_at: None,
    }
}

fn earlier(pair: &EarlierPair, grace: Duration) -> PairView {
    PairView {
        spki_sha256: Fingerprint::of(&pair.spki_der).0,
        since: rfc3339(pair.superseded_at.0),
        may_be_destroyed_from: rfc3339(pair.superseded_at.plus(grace).0),
        destroyed_at: pair.destroyed_at.map(|at| rfc3339(at.0)),
    }
}
