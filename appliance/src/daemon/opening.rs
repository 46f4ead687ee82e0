//! Opening each part of the appliance, in the order in which a start needs them.

use crate::audit;
use crate::audit::Archive;
use crate::audit::AuditConfig;
use crate::audit::AuditLog;
use crate::audit::AuditMetrics;
use crate::audit::CheckpointSigner;
use crate::audit::VerifierKey;
use crate::checkpoint::HsmCheckpointSigner;
use crate::config::Config;
use crate::daemon::error::StartError;
use crate::disk::DataDir;
use crate::keeper::material::ConfiguredMaterial;
use crate::store::SledStore;
use crate::store::StoreConfig;
use crate::store::StoreMetrics;
use crate::time::SystemWallClock;
use attest::authenticator::Authenticator;
use attest::clock::Clock;
use attest::jpki::JpkiLink;
use attest::records::CardLink;
use attest::records::Credential;
use attest::records::CredentialStatus;
use attest::records::Fingerprint;
use attest::records::Holder;
use attest::records::Mode;
use attest::records::Operator;
use attest::records::SigningSystem;
use attest::registry::LiveCredential;
use attest::registry::Registry;
use attest::trust::TrustError;
use attest::trust::TrustStore;
use hsm::Hsm;
use hsm::HsmConfig;
use hsm::HsmError;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::sync::Arc;

/// Where the audit log lies in the data directory.
pub const AUDIT_DIRECTORY: &str = "audit";
/// Where the store lies in the data directory; the ceremony makes it.
pub const STORE_DIRECTORY: &str = "store";
/// Name of the log in its checkpoints.
pub const AUDIT_ORIGIN: &str = "inkan.invalid/audit";

/// Reads the end of the log on a thread that may block: health answers meanwhile.
pub(crate) async fn open_audit(
    data_dir: &DataDir,
    metrics: &prometheus::Registry,
) -> Result<(Arc<AuditLog>, audit::Opened), StartError> {
    let audit_metrics = AuditMetrics::new()?;
    audit_metrics.register(metrics)?;
    let config = AuditConfig::new(AUDIT_ORIGIN);
    let directory = data_dir.path().join(AUDIT_DIRECTORY);
    let open = move || AuditLog::open(&directory, config, Arc::new(SystemWallClock), audit_metrics);
    let (log, found) = tokio::task::spawn_blocking(open).await??;
    Ok((Arc::new(log), found))
}

/// Refuses a data directory that has records of an appliance whose store is gone.
///
/// # Errors
/// [`StartError::StoreLost`]
pub fn check_store_is_there(config: &Config) -> Result<(), StartError> {
    let has_records = Archive::open(&config.data_dir.join(AUDIT_DIRECTORY))
        .is_ok_and(|archive| archive.records(0).next().is_some());
    // Looked for after the records: a ceremony under way makes the store before it writes any.
    match has_records && !config.data_dir.join(STORE_DIRECTORY).is_dir() {
        true => Err(StartError::StoreLost(config.data_dir.clone())),
        false => Ok(()),
    }
}

/// Has the token's audit key sign the log from now on, if it was the one that did until now.
pub(crate) fn sign_checkpoints(audit: &AuditLog, hsm: &Arc<Hsm>) -> Result<(), StartError> {
    let signer = HsmCheckpointSigner::new(hsm.clone())?;
    audit.check_signed_by(&VerifierKey::new(AUDIT_ORIGIN, signer.spki_der())?)?;
    audit.set_signer(Arc::new(signer))?;
    Ok(())
}

pub(crate) async fn open_hsm(config: HsmConfig) -> Result<Arc<Hsm>, StartError> {
    let pin = hsm::pin::read_pin(config.pin_file.as_deref())?;
    let opened = tokio::task::spawn_blocking(move || Hsm::open(config, pin)).await?;
    Ok(Arc::new(opened?))
}

/// Reads every record on a thread that may block.
pub(crate) async fn open_store(
    data_dir: &DataDir,
    clock: Arc<dyn Clock>,
    metrics: &prometheus::Registry,
) -> Result<Arc<SledStore>, StartError> {
    let store_metrics = StoreMetrics::new()?;
    store_metrics.register(metrics)?;
    let directory = data_dir.path().join(STORE_DIRECTORY);
    let open = move || SledStore::open(&directory, &StoreConfig::default(), clock, store_metrics);
    Ok(Arc::new(tokio::task::spawn_blocking(open).await??))
}

pub(super) fn check_module(mode: Option<Mode>, found: &Fingerprint) -> Result<(), StartError> {
    let approved = mode.ok_or(StartError::NotProvisioned)?.module;
    match approved == *found {
        true => Ok(()),
        false => Err(StartError::ModuleChanged { found: found.0.clone(), approved: approved.0 }),
    }
}

/// Every record, into memory.
pub(super) async fn load_registry(trust: &TrustStore) -> Result<Registry, TrustError> {
    let registry = Registry::default();
    trust.load_all::<Holder>().await?.into_iter().for_each(|holder| registry.put_holder(holder));
    trust.load_all::<CardLink>().await?.into_iter().for_each(|link| registry.put_card(link));
    trust.load_all::<JpkiLink>().await?.into_iter().for_each(|link| registry.put_jpki(link));
    let authenticators = trust.load_all::<Authenticator>().await?;
    authenticators.into_iter().for_each(|found| registry.put_authenticator(found));
    trust
        .load_all::<SigningSystem>()
        .await?
        .into_iter()
        .for_each(|system| registry.put_system(system));
    trust
        .load_all::<Operator>()
        .await?
        .into_iter()
        .for_each(|operator| registry.put_operator(operator));
    for credential in trust.load_all::<Credential>().await? {
        registry.put_credential(LiveCredential::new(credential));
    }
    Ok(registry)
}

/// Every certified key, into service; a key that fails its audit stays out and is named.
pub(super) async fn load_keys(hsm: &Hsm, registry: &Registry) -> Result<(), HsmError> {
    let certified =
        |status| status == CredentialStatus::Active || status == CredentialStatus::Quarantined;
    let credentials = registry.credentials();
    let keys = credentials.iter().filter(|credential| certified(credential.record.status));
    let loaded = hsm.load_all(keys.map(|credential| credential.key.clone()).collect()).await?;
    for error in &loaded.refused {
        tracing::error!(%error, "ALARM: a key is refused and signs nothing");
        if let HsmError::KeyRefused { cka_id_hex, .. } = error {
            let of_key = |credential: &&Arc<LiveCredential>| {
                hex::encode(&credential.record.cka_id) == *cka_id_hex
            };
            credentials.iter().filter(of_key).for_each(|credential| credential.stop());
        }
    }
    tracing::info!(keys = loaded.in_service, refused = loaded.refused.len(), "keys loaded");
    Ok(())
}

/// Intermediates and profiles.
pub(super) fn configured_material(config: &Config) -> Result<ConfiguredMaterial, StartError> {
    let mut material =
        ConfiguredMaterial { intermediates: Vec::new(), profiles: config.profiles() };
    for path in config.hpki.intermediates.iter().chain(&config.second_certificates.intermediates) {
        let failed = |error: rustls_pki_types::pem::Error| StartError::Intermediates {
            path: path.clone(),
            reason: error.to_string(),
        };
        for certificate in CertificateDer::pem_file_iter(path).map_err(failed)? {
            material.intermediates.push(certificate.map_err(failed)?.to_vec());
        }
    }
    Ok(material)
}
