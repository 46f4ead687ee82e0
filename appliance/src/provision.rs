//! The ceremony on a new appliance: house keys in the token, the first operators, the first anchors. Held once, beside the
//! appliance, by whoever holds its PIN; from then on granting trust takes two operators.

use crate::admin::LEAST_SECURITY_OFFICERS;
use crate::audit::AuditError;
use crate::audit::Entry;
use crate::audit::Event;
use crate::audit::Principal;
use crate::audit::record::TrustChange;
use crate::config::Config;
use crate::daemon;
use crate::daemon::StartError;
use crate::disk::DataDir;
use crate::time::DurableClock;
use crate::time::SystemWallClock;
use attest::clock::Clock;
use attest::judge::Judge;
use attest::judge::Material;
use attest::judge::MaterialError;
use attest::records::Anchor;
use attest::records::Fingerprint;
use attest::records::Mode;
use attest::records::Operator;
use attest::records::Role;
use attest::records::TrustRecord;
use attest::revocation::CrlLimits;
use attest::store::Guard;
use attest::store::Outcome;
use attest::store::Txn;
use attest::trust::TrustError;
use attest::trust::TrustStore;
use std::collections::HashSet;
use std::sync::Arc;

/// What the ceremony is told.
pub struct Founding {
    /// The first operators; `created_at` is set here.
    pub operators: Vec<Operator>,
    /// The first anchors; `added_at` is set here.
    pub anchors: Vec<Anchor>,
}

/// What the ceremony made.
pub struct Founded {
    /// House keys that the token lacked before.
    pub house_keys: Vec<&'static str>,
    /// SubjectPublicKeyInfo of the key that signs the audit log's checkpoints: auditors keep it outside.
    pub checkpoint_key_der: Vec<u8>,
    /// SHA-256 of the PKCS#11 module approved.
    pub module: Fingerprint,
}

/// Why there was no ceremony.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// It was held before.
    #[error("this appliance is provisioned already; operators are changed with inkan operator")]
    AlreadyProvisioned,
    /// Nobody could grant anything afterwards.
    #[error(
        "at least two security officers are needed: granting trust takes two operators, and one may fall ill"
    )]
    TooFewOfficers,
    /// Two operators of one name or one certificate.
    #[error("the operator {0} is named twice, or another one has the same certificate")]
    OperatorTwice(String),
    /// An anchor that is none.
    #[error(transparent)]
    Anchor(#[from] MaterialError),
    /// Data directory, HSM, store or audit log.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Sealed records.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Audit records.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// Holds the ceremony.
///
/// # Errors
/// [`ProvisionError`]; nothing is half provisioned: the records are one transaction, and before it the ceremony can be
/// held again.
pub async fn found(config: &Config, founding: Founding) -> Result<Founded, ProvisionError> {
    check(&founding)?;
    // Step 1: the places, and the HSM with its house keys.
    let data_dir = DataDir::open(&config.data_dir, config.danger_allow_unsafe_file_system)
        .map_err(StartError::from)?;
    daemon::check_store_is_there(config)?;
    let metrics = prometheus::Registry::new();
    let (audit, _) = daemon::open_audit(&data_dir, &metrics).await?;
    let clock = Arc::new(DurableClock::new(
        Arc::new(SystemWallClock),
        audit.time_floor(),
        DurableClock::DEFAULT_GRACE,
    ));
    let hsm = daemon::open_hsm(config.hsm.clone()).await?;
    let store = daemon::open_store(&data_dir, clock.clone(), &metrics).await?;
    let house_keys = hsm.ensure_house_keys().await.map_err(StartError::from)?;
    daemon::sign_checkpoints(&audit, &hsm)?;
    // From its first moment on a provisioned appliance has a checkpoint, so that a missing one means something.
    audit.checkpoint_over(audit.records()).await?;
    let sealing_key = hsm.sealing_key().await.map_err(StartError::from)?;
    let trust = TrustStore::new(store, &sealing_key);
    // Step 2: everything that is believed from now on, in one transaction.
    let now = clock.now().map_err(|error| ProvisionError::Start(StartError::Clock(error)))?;
    let module = hsm::module_fingerprint(&config.hsm.module).map_err(StartError::from)?;
    let module = Fingerprint(hex::encode(module));
    let mode = Mode { danger_test_mode: false, module: module.clone() };
    let mut txn =
        Txn { guards: vec![Guard::Absent(mode.key())], writes: vec![trust.sealed(&mode)?] };
    let mut records = vec![("mode", mode.id(), "module approved, test mode off".to_owned())];
    for mut operator in founding.operators {
        operator.created_at = now;
        txn.writes.push(trust.sealed(&operator)?);
        records.push(("operator", operator.id(), operator.role.name().to_owned()));
    }
    for mut anchor in founding.anchors {
        anchor.added_at = now;
        txn.writes.push(trust.sealed(&anchor)?);
        records.push(("anchor", anchor.id(), String::new()));
    }
    match trust.store().commit(txn).await.map_err(TrustError::from)? {
        Outcome::Committed => {}
        Outcome::Conflict => return Err(ProvisionError::AlreadyProvisioned),
    }
    // Step 3: the first records of the log.
    for (what, id, detail) in records {
        audit.append(granted(what, id, detail)).await?;
    }
    let checkpoint_key_der = hsm.checkpoint_public_key().map_err(StartError::from)?;
    // The last checkpoint needs the HSM, so the log closes first.
    let _ = tokio::task::spawn_blocking(move || audit.close()).await;
    hsm.shutdown().await;
    let house_keys = house_keys.into_iter().map(|key| key.name()).collect();
    Ok(Founded { house_keys, checkpoint_key_der, module })
}

fn check(founding: &Founding) -> Result<(), ProvisionError> {
    let officers =
        founding.operators.iter().filter(|operator| operator.role == Role::SecurityOfficer);
    if officers.count() < LEAST_SECURITY_OFFICERS {
        return Err(ProvisionError::TooFewOfficers);
    }
    let (mut ids, mut certificates) = (HashSet::new(), HashSet::new());
    for operator in &founding.operators {
        // People read ids aloud: one that differs in case only is the same.
        if !ids.insert(operator.operator_id.to_ascii_lowercase())
            || !certificates.insert(&operator.certificate)
        {
            return Err(ProvisionError::OperatorTwice(operator.operator_id.clone()));
        }
    }
    let material = Material { anchors: founding.anchors.clone(), ..Material::default() };
    Judge::new(material, CrlLimits::default(), &[])?;
    Ok(())
}

fn granted(what: &str, id: String, detail: String) -> Entry {
    let change = TrustChange {
        what: what.to_owned(),
        id,
        change: "granted".to_owned(),
        holder_id: None,
        proposal_id: None,
        proposed_by: "ceremony".to_owned(),
        approved_by: Vec::new(),
        record: None,
        detail,
    };
    Entry::new("init", Principal::Appliance, Event::TrustChanged(change))
}

#[cfg(test)]
mod tests {
    use super::*;
    use attest::clock::UnixSeconds;

    fn founding(ids: [&str; 2]) -> Founding {
        let operators = ids.map(|id| Operator {
            operator_id: id.to_owned(),
            role: Role::SecurityOfficer,
            certificate: Fingerprint::of(id.as_bytes()),
            created_at: UnixSeconds(0),
        });
        Founding { operators: operators.into(), anchors: Vec::new() }
    }

    #[test]
    fn p3_founders_whose_ids_differ_in_case_only_are_refused() {
        assert!(check(&founding(["sato", "suzuki"])).is_ok());
        let refused = check(&founding(["sato", "SATO"])).unwrap_err();
        assert!(matches!(refused, ProvisionError::OperatorTwice(id) if id == "SATO"));
    }
}
