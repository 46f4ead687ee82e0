//! The daemon's life: from an empty process to an open door, and back in good order.

use crate::admin::AdminDesk;
use crate::admin::OwedError;
use crate::audit;
use crate::audit::AuditConfig;
use crate::audit::AuditError;
use crate::audit::AuditLog;
use crate::audit::AuditMetrics;
use crate::audit::AuditOpenError;
use crate::audit::note::NoteError;
use crate::checkpoint::HsmCheckpointSigner;
use crate::config::Config;
use crate::disk::DataDir;
use crate::disk::DiskFault;
use crate::doorway::Doorway;
use crate::doorway::Inside;
use crate::fetch::Fetcher;
use crate::keeper::CertificateWatch;
use crate::keeper::Keeper;
use crate::keeper::KeeperSettings;
use crate::keeper::KeySetError;
use crate::keeper::ListenerCertificate;
use crate::keeper::Parts;
use crate::keeper::entries;
use crate::keeper::material;
use crate::keeper::material::ConfiguredMaterial;
use crate::keeper::material::MaterialFault;
use crate::metrics::Metrics;
use crate::state::State;
use crate::store::SledStore;
use crate::store::StoreConfig;
use crate::store::StoreMetrics;
use crate::store::StoreOpenError;
use crate::systemd::SocketError;
use crate::time::DurableClock;
use crate::time::SystemWallClock;
use api::error::FrontError;
use api::server::Front;
use api::server::Sockets;
use attest::clock::Clock;
use attest::clock::ClockBehindFloor;
use attest::judge::Judge;
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
use attest::sessions::SessionError;
use attest::sessions::Sessions;
use attest::sign_in::RandomFailed;
use attest::store::Store;
use attest::trust::TrustError;
use attest::trust::TrustStore;
use hsm::Hsm;
use hsm::HsmConfig;
use hsm::HsmError;
use hsm::pin::PinError;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long requests in flight may take after the order to stop.
const GRACE: Duration = Duration::from_secs(8);
/// Looks at a ceremony under way before giving up: two minutes.
const CEREMONY_LOOKS: usize = 120;
/// How often the clock is looked at for jumps.
const CLOCK_LOOK: Duration = Duration::from_secs(5);
/// Where the audit log lies in the data directory.
pub const AUDIT_DIRECTORY: &str = "audit";
/// Where the store lies in the data directory; the ceremony makes it.
pub const STORE_DIRECTORY: &str = "store";
/// Name of the log in its checkpoints.
pub const AUDIT_ORIGIN: &str = "inkan.invalid/audit";
/// How often an unprovisioned appliance looks whether the ceremony has been held.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why the daemon does not come up; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    Disk(#[from] DiskFault),
    /// Listeners and their certificates.
    #[error(transparent)]
    Front(#[from] FrontError),
    /// Sockets of the service manager.
    #[error(transparent)]
    Sockets(#[from] SocketError),
    /// Metric names.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
    /// The PIN file.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The token.
    #[error(transparent)]
    Hsm(#[from] HsmError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreOpenError),
    /// A trust record.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A session record.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The audit log as it was found.
    #[error(transparent)]
    AuditOpen(#[from] AuditOpenError),
    /// The key of its checkpoints.
    #[error(transparent)]
    CheckpointKey(#[from] NoteError),
    /// The first record.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The clock.
    #[error(transparent)]
    Clock(ClockBehindFloor),
    /// Records that a crash left owing.
    #[error(transparent)]
    Owed(#[from] OwedError),
    /// The token's keys.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    /// The random source.
    #[error(transparent)]
    Random(#[from] RandomFailed),
    /// Anchors, intermediates or profiles.
    #[error(transparent)]
    Material(#[from] MaterialFault),
    /// A file of intermediates.
    #[error("{path}: {reason}")]
    Intermediates {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Another PKCS#11 module than the one two operators approved.
    #[error(
        "the PKCS#11 module has SHA-256 {found}, approved is {approved}: it was not loaded. If the new one is right, put \
         the approved one back, start, have two operators run inkan module approve {found}, and change it again"
    )]
    ModuleChanged {
        /// What lies there.
        found: String,
        /// What was approved.
        approved: String,
    },
    /// The mode record is missing although the store is there.
    #[error("the appliance is not provisioned; run: inkan init")]
    NotProvisioned,
}

/// The parts that a stop has to end.
struct Running {
    keeper: Arc<Keeper>,
    hsm: Arc<Hsm>,
    audit: Arc<AuditLog>,
    tasks: Vec<JoinHandle<()>>,
    _data_dir: DataDir,
}

/// What was opened for the keeper.
struct Opened {
    registry: Arc<Registry>,
    sessions: Arc<Sessions>,
    trust: TrustStore,
    hsm: Arc<Hsm>,
    audit: Arc<AuditLog>,
    judge: Arc<Judge>,
    clock: Arc<dyn Clock>,
    material: ConfiguredMaterial,
}

/// The daemon: listeners first, then everything behind them.
pub struct Daemon {
    config: Config,
    /// SHA-256 of the configuration file.
    configuration: Fingerprint,
    registry: prometheus::Registry,
    metrics: Arc<Metrics>,
    doorway: Arc<Doorway>,
    front: Front,
    running: Option<Running>,
}

impl Daemon {
    /// Opens the listeners; nothing is signed yet.
    ///
    /// # Errors
    /// [`StartError::Front`] with the listener and file at fault.
    pub fn listen(path: &Path, config: Config, sockets: Sockets) -> Result<Self, StartError> {
        let registry = prometheus::Registry::new();
        let configuration = Fingerprint::of(&std::fs::read(path).unwrap_or_default());
        let metrics = Arc::new(Metrics::new(&registry)?);
        let doorway = Arc::new(Doorway::new(first_state(&config), metrics.clone()));
        let sockets = sockets.bind(&config.listeners)?;
        let front = Front::start(&config.listeners, sockets, doorway.clone(), &registry)?;
        Ok(Self { config, configuration, registry, metrics, doorway, front, running: None })
    }

    /// Waits for the ceremony where there was none, opens everything, and opens the door.
    ///
    /// # Errors
    /// [`StartError`]; the state is `Failed` then, health and status go on answering.
    pub async fn open(&mut self) -> Result<(), StartError> {
        while !is_provisioned(&self.config) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        if matches!(*self.doorway.state(), State::Unprovisioned) {
            wait_for_the_end_of_the_ceremony(&self.config).await;
        }
        self.doorway.set(State::Locked { waits_for: "the HSM".to_owned() });
        match self.unlock().await {
            Ok(()) => Ok(()),
            Err(error) => {
                self.doorway.set(State::Failed { reason: error.to_string() });
                Err(error)
            }
        }
    }

    async fn unlock(&mut self) -> Result<(), StartError> {
        let config = &self.config;
        // Step 1: the data directory is ours alone and on a file system that keeps its promises.
        let data_dir = DataDir::open(&config.data_dir, config.danger_allow_unsafe_file_system)?;
        // Step 2: the audit log and, from its newest record, the floor of time.
        let (audit, found) = open_audit(&data_dir, &self.registry)?;
        let clock = Arc::new(DurableClock::new(
            Arc::new(SystemWallClock),
            audit.time_floor(),
            DurableClock::DEFAULT_GRACE,
        ));
        // Step 3: the store, and the HSM with the PIN from its credential file. Another module than the approved one is
        // neither loaded nor given the PIN; a wrong PIN is never tried twice.
        let store = open_store(&data_dir, clock.clone(), &self.registry)?;
        let module = hsm::module_fingerprint(&config.hsm.module)?;
        let module = Fingerprint(hex::encode(module));
        let peeked = TrustStore::danger_peek_unsealed::<Mode>(&*store, "mode").await?;
        check_module(peeked, &module)?;
        let hsm = open_hsm(config.hsm.clone()).await?;
        // Step 4: under the HSM's key, the trust records; a broken seal stops here.
        let trust = TrustStore::new(store, &*hsm.sealing_key().await?);
        check_module(trust.load::<Mode>("mode").await?.map(|(mode, _)| mode), &module)?;
        audit.set_signer(Arc::new(HsmCheckpointSigner::new(hsm.clone())?))?;
        // Step 5: everybody the appliance knows, and the keys in the token.
        let registry = Arc::new(load_registry(&trust).await?);
        load_keys(&hsm, &registry).await?;
        let material = configured_material(config)?;
        let judge = Arc::new(material::judge(&material, &trust, config.crl_limits()).await?);
        let sessions = Arc::new(Sessions::new(trust.clone(), clock.clone()));
        sessions.load().await?;
        // Step 6: the keeper, its certificates judged, a signature made for a test.
        let (hsm, audit) = (hsm.clone(), audit.clone());
        let opened = Opened {
            registry,
            sessions,
            trust,
            hsm: hsm.clone(),
            audit: audit.clone(),
            judge,
            clock: clock.clone(),
            material,
        };
        let keeper = Arc::new(Keeper::new(self.keeper_parts(opened))?);
        let watch = CertificateWatch::new(keeper.clone(), Fetcher::new(config.crl_targets()));
        watch.once().await;
        hsm.self_test().await?;
        keeper.check_key_set().await?;
        audit.append(entries::started(&self.configuration, &found)).await?;
        // Step 7: the door.
        if keeper.parts().judge.is_test_mode() {
            tracing::warn!("DANGER: test mode is on; published test cards may sign in");
        }
        let tasks = vec![
            tokio::spawn(supervise(
                watch.run(Duration::from_secs(config.revocation.refresh_seconds)),
                self.doorway.clone(),
            )),
            tokio::spawn(watch_clock(clock, audit.clone())),
        ];
        let desk = Arc::new(AdminDesk::new(keeper.clone(), config.sessions.clone()));
        let owed = desk.record_what_is_owed().await?;
        if owed > 0 {
            tracing::warn!(owed, "changes of trust that a crash left unrecorded are recorded now");
        }
        self.doorway.open(Inside { keeper: keeper.clone(), desk });
        self.running = Some(Running { keeper, hsm, audit, tasks, _data_dir: data_dir });
        Ok(())
    }

    fn keeper_parts(&self, opened: Opened) -> Parts {
        let config = &self.config;
        let card = config.listeners.hpki.as_ref();
        let signing = config.listeners.signing.as_ref();
        let documents = signing.map(|listener| listener.documents.clone()).unwrap_or_default();
        Parts {
            settings: KeeperSettings {
                hpki_origin: config.hpki_origin(),
                hpki_host: card
                    .and_then(|listener| listener.host_names.first().cloned())
                    .unwrap_or_default(),
                material: opened.material,
                detached_bytes: documents.detached_bytes,
                attached_bytes: documents.attached_bytes,
                digest_items: config.limits.digest_items,
                sign_ins_per_minute: config.limits.sign_ins_per_minute,
                handshake_seconds: config.hpki.handshake_seconds,
            },
            registry: opened.registry,
            sessions: opened.sessions,
            trust: opened.trust,
            hsm: opened.hsm,
            audit: opened.audit,
            judge: opened.judge,
            clock: opened.clock,
            metrics: self.metrics.clone(),
            listener_certificate: ListenerCertificate::new(
                card.map(|listener| listener.certificate.clone()).unwrap_or_default(),
            ),
        }
    }

    /// Reads the listeners' certificate files again.
    pub fn reload(&self) {
        for error in self.front.reload_certificates() {
            tracing::error!(%error, "a listener keeps its old certificate");
        }
    }

    /// Where the appliance stands.
    pub fn state(&self) -> Arc<State> {
        self.doorway.state()
    }

    /// Finishes what is in flight, gives back what was reserved, writes the last checkpoint.
    pub async fn stop(self, reason: &str) {
        self.front.shutdown(GRACE).await;
        let Some(Running { keeper, hsm, audit, tasks, _data_dir }) = self.running else {
            return;
        };
        self.doorway.set(State::Locked { waits_for: "the end".to_owned() });
        tasks.iter().for_each(JoinHandle::abort);
        if let Err(error) = keeper.parts().sessions.give_back().await {
            tracing::warn!(%error, "unused signatures were not given back; they count as used");
        }
        if let Err(error) = audit.append(entries::stopped(reason)).await {
            tracing::error!(%error, "the stop could not be recorded");
        }
        // The last checkpoint needs the HSM, so the log closes first.
        if tokio::task::spawn_blocking(move || audit.close()).await.is_err() {
            tracing::error!("the audit log did not close in good order");
        }
        hsm.shutdown().await;
    }
}

fn first_state(config: &Config) -> State {
    match is_provisioned(config) {
        true => State::Locked { waits_for: "the HSM".to_owned() },
        false => State::Unprovisioned,
    }
}

pub(crate) fn open_audit(
    data_dir: &DataDir,
    metrics: &prometheus::Registry,
) -> Result<(Arc<AuditLog>, audit::Opened), StartError> {
    let audit_metrics = AuditMetrics::new()?;
    audit_metrics.register(metrics)?;
    let config = AuditConfig::new(AUDIT_ORIGIN);
    let directory = data_dir.path().join(AUDIT_DIRECTORY);
    let (log, found) =
        AuditLog::open(&directory, config, Arc::new(SystemWallClock), audit_metrics)?;
    Ok((Arc::new(log), found))
}

pub(crate) async fn open_hsm(config: HsmConfig) -> Result<Arc<Hsm>, StartError> {
    let pin = hsm::pin::read_pin(config.pin_file.as_deref())?;
    let opening = tokio::task::spawn_blocking(move || Hsm::open(config, pin));
    let opened = opening.await.map_err(|_| HsmError::Unreachable("the opening thread died"))?;
    Ok(Arc::new(opened?))
}

pub(crate) fn open_store(
    data_dir: &DataDir,
    clock: Arc<dyn Clock>,
    metrics: &prometheus::Registry,
) -> Result<Arc<dyn Store>, StartError> {
    let store_metrics = StoreMetrics::new()?;
    store_metrics.register(metrics)?;
    let directory = data_dir.path().join(STORE_DIRECTORY);
    Ok(Arc::new(SledStore::open(&directory, &StoreConfig::default(), clock, store_metrics)?))
}

fn check_module(mode: Option<Mode>, found: &Fingerprint) -> Result<(), StartError> {
    let approved = mode.ok_or(StartError::NotProvisioned)?.module;
    match approved == *found {
        true => Ok(()),
        false => Err(StartError::ModuleChanged { found: found.0.clone(), approved: approved.0 }),
    }
}

/// Runs what must never end. When it does, by a panic, certificates would be believed for ever: the door closes.
async fn supervise(work: impl Future<Output = ()> + Send + 'static, doorway: Arc<Doorway>) {
    let died = tokio::spawn(work).await;
    let reason = died.err().map_or_else(|| "it ended".to_owned(), |error| error.to_string());
    tracing::error!(reason, "ALARM: the watch over certificates died");
    doorway.set(State::Failed { reason: format!("the watch over certificates died: {reason}") });
}

/// Records every jump of the clock, for good.
async fn watch_clock(clock: Arc<DurableClock>, audit: Arc<AuditLog>) {
    let mut look = tokio::time::interval(CLOCK_LOOK);
    loop {
        look.tick().await;
        if let Some(step) = clock.jumped() {
            tracing::error!(from_ms = step.from_ms, to_ms = step.to_ms, "ALARM: the clock jumped");
            if let Err(error) = audit.append(entries::time_step(step)).await {
                tracing::error!(%error, "a jump of the clock could not be recorded");
            }
        }
    }
}

/// Every record, into memory.
async fn load_registry(trust: &TrustStore) -> Result<Registry, TrustError> {
    let registry = Registry::default();
    trust.load_all::<Holder>().await?.into_iter().for_each(|holder| registry.put_holder(holder));
    trust.load_all::<CardLink>().await?.into_iter().for_each(|link| registry.put_card(link));
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
async fn load_keys(hsm: &Hsm, registry: &Registry) -> Result<(), HsmError> {
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
fn configured_material(config: &Config) -> Result<ConfiguredMaterial, StartError> {
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

/// The ceremony holds the data directory while it goes on.
async fn wait_for_the_end_of_the_ceremony(config: &Config) {
    for _ in 0..CEREMONY_LOOKS {
        let held = DataDir::open(&config.data_dir, config.danger_allow_unsafe_file_system);
        match held {
            Err(DiskFault::Locked { .. }) => tokio::time::sleep(LOOK_AGAIN).await,
            Ok(_) | Err(_) => return,
        }
    }
}

/// Whether the ceremony has been held: it makes the store.
fn is_provisioned(config: &Config) -> bool {
    config.data_dir.join(STORE_DIRECTORY).is_dir()
}
