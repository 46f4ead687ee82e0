//! The daemon's life: from an empty process to an open door, and back in good order.

mod error;
mod opening;

pub use crate::daemon::error::StartError;
pub use crate::daemon::opening::AUDIT_DIRECTORY;
pub use crate::daemon::opening::AUDIT_ORIGIN;
pub use crate::daemon::opening::STORE_DIRECTORY;
pub use crate::daemon::opening::check_store_is_there;
pub(crate) use crate::daemon::opening::open_audit;
pub(crate) use crate::daemon::opening::open_hsm;
pub(crate) use crate::daemon::opening::open_store;
pub(crate) use crate::daemon::opening::sign_checkpoints;

use crate::admin::AdminDesk;
use crate::audit::AuditLog;
use crate::config::Config;
use crate::daemon::opening::check_module;
use crate::daemon::opening::configured_material;
use crate::daemon::opening::load_keys;
use crate::daemon::opening::load_registry;
use crate::disk::DataDir;
use crate::disk::DiskFault;
use crate::doorway::Doorway;
use crate::doorway::Inside;
use crate::fetch::Fetcher;
use crate::jpki_validity;
use crate::jpki_validity::ValidityMetrics;
use crate::keeper::CertificateWatch;
use crate::keeper::JpkiListener;
use crate::keeper::Keeper;
use crate::keeper::KeeperSettings;
use crate::keeper::ListenerCertificate;
use crate::keeper::Parts;
use crate::keeper::decoy_key;
use crate::keeper::entries;
use crate::keeper::material;
use crate::keeper::material::ConfiguredMaterial;
use crate::keeper::portal_index;
use crate::keeper::vault;
use crate::metrics::Metrics;
use crate::state::State;
use crate::store::SledStore;
use crate::time::DurableClock;
use crate::time::SystemWallClock;
use api::server::Front;
use api::server::Sockets;
use attest::clock::Clock;
use attest::judge::Judge;
use attest::records::Fingerprint;
use attest::records::Mode;
use attest::registry::Registry;
use attest::sessions::Sessions;
use attest::trust::TrustStore;
use attest::validity::JpkiValidity;
use attest::vault::Vault;
use hsm::Hsm;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;

/// How long requests in flight may take after the order to stop.
const GRACE: Duration = Duration::from_secs(8);
/// Looks at a ceremony under way before giving up: two minutes.
const CEREMONY_LOOKS: usize = 120;
/// How often the clock is looked at for jumps.
const CLOCK_LOOK: Duration = Duration::from_secs(5);
/// How often an unprovisioned appliance looks whether the ceremony has been held.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

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
    store: Arc<SledStore>,
    hsm: Arc<Hsm>,
    audit: Arc<AuditLog>,
    judge: Arc<Judge>,
    jpki_validity: Arc<dyn JpkiValidity>,
    clock: Arc<dyn Clock>,
    material: ConfiguredMaterial,
    vault: Vault,
    decoy_key: [u8; 32],
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
    pub fn listen(
        config: Config,
        configuration: Fingerprint,
        sockets: Sockets,
    ) -> Result<Self, StartError> {
        let registry = prometheus::Registry::new();
        let metrics = Arc::new(Metrics::new(&registry)?);
        let index = portal_index(&config.hpki_origin(), config.jpki_origin().as_deref(), false);
        let doorway = Doorway::new(first_state(&config), metrics.clone(), index);
        let doorway = Arc::new(doorway);
        let sockets = sockets.bind(&config.listeners)?;
        let front = Front::start(&config.listeners, sockets, doorway.clone(), &registry)?;
        Ok(Self { config, configuration, registry, metrics, doorway, front, running: None })
    }

    /// Waits for the ceremony where there was none, opens everything, and opens the door.
    ///
    /// # Errors
    /// [`StartError`]; the state is `Failed` then, health and status go on answering.
    pub async fn open(&mut self) -> Result<(), StartError> {
        let opened = self.try_open().await;
        if let Err(error) = &opened {
            self.doorway.set(State::Failed { reason: error.to_string() });
        }
        opened
    }

    async fn try_open(&mut self) -> Result<(), StartError> {
        check_store_is_there(&self.config)?;
        while !is_provisioned(&self.config) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        if matches!(*self.doorway.state(), State::Unprovisioned) {
            wait_for_the_end_of_the_ceremony(&self.config).await;
        }
        self.doorway.set(State::Locked { waits_for: "the HSM".to_owned() });
        self.unlock().await
    }

    async fn unlock(&mut self) -> Result<(), StartError> {
        let config = &self.config;
        // Step 1: the data directory is ours alone and on a file system that keeps its promises.
        let data_dir = DataDir::open(&config.data_dir, config.danger_allow_unsafe_file_system)?;
        // Step 2: the audit log and, from its newest record, the floor of time.
        let (audit, found) = open_audit(&data_dir, &self.registry).await?;
        let clock = Arc::new(DurableClock::new(
            Arc::new(SystemWallClock),
            audit.time_floor(),
            DurableClock::DEFAULT_GRACE,
        ));
        // Step 3: the store, and the HSM with the PIN from its credential file. Another module than the approved one is
        // neither loaded nor given the PIN; a wrong PIN is never tried twice.
        let store = open_store(&data_dir, clock.clone(), &self.registry).await?;
        let module = hsm::module_fingerprint(&config.hsm.module)?;
        let module = Fingerprint(hex::encode(module));
        let peeked = TrustStore::danger_peek_unsealed::<Mode>(&*store, "mode").await?;
        check_module(peeked, &module)?;
        let hsm = open_hsm(config.hsm.clone()).await?;
        // Step 4: under the HSM's key, the trust records; a broken seal stops here.
        let trust = TrustStore::new(store.clone(), &*hsm.sealing_key().await?);
        check_module(trust.load::<Mode>("mode").await?.map(|(mode, _)| mode), &module)?;
        sign_checkpoints(&audit, &hsm)?;
        // Step 5: everybody the appliance knows, and the keys in the token.
        let registry = Arc::new(load_registry(&trust).await?);
        load_keys(&hsm, &registry).await?;
        let material = configured_material(config)?;
        let judge = Arc::new(material::judge(&material, &trust, config.crl_limits()).await?);
        let sessions = Arc::new(Sessions::new(trust.clone(), clock.clone()));
        sessions.load().await?;
        let fetcher = Fetcher::new(config.crl_targets());
        let fetcher = Arc::new(jpki_validity::with_service(fetcher, config)?);
        let validity_metrics = ValidityMetrics::new(&self.registry)?;
        let jpki_validity = jpki_validity::provider(config, &fetcher, &judge, &validity_metrics);
        // Step 6: the keeper, its certificates judged, a signature made for a test.
        let (hsm, audit) = (hsm.clone(), audit.clone());
        let vault = vault(&hsm).await?;
        let decoy_key = decoy_key(&hsm).await?;
        let opened = Opened {
            registry,
            sessions,
            trust,
            store,
            hsm: hsm.clone(),
            audit: audit.clone(),
            judge,
            jpki_validity,
            clock: clock.clone(),
            material,
            vault,
            decoy_key,
        };
        let keeper = Arc::new(Keeper::new(self.keeper_parts(opened))?);
        let watch = CertificateWatch::new(keeper.clone(), fetcher);
        watch.once().await;
        hsm.self_test().await?;
        keeper.check_key_set().await?;
        audit.append(entries::started(&self.configuration, &found)).await?;
        // Step 7: the door.
        if keeper.parts().judge.is_test_mode() {
            tracing::warn!("DANGER: test mode is on; published test cards may sign in");
        }
        let desk = Arc::new(AdminDesk::new(keeper.clone(), config.sessions.clone()));
        let owed = desk.take_up_what_was_left().await?;
        if owed > 0 {
            tracing::warn!(owed, "changes of trust that a crash left unrecorded are recorded now");
        }
        self.doorway.open(Inside { keeper: keeper.clone(), desk: desk.clone() });
        // After the door, which they shut when they die.
        let refresh = Duration::from_secs(config.revocation.refresh_seconds);
        let watches = [
            supervise("certificates", watch.run(refresh), self.doorway.clone()),
            supervise("keys", desk.watch_keys(), self.doorway.clone()),
            supervise("the clock", watch_clock(clock, audit.clone()), self.doorway.clone()),
        ];
        let tasks = watches.into_iter().collect();
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
                once_seconds: config.sessions.once_seconds,
                entries: config.limits.entries,
                entry_label_characters: config.limits.entry_label_characters,
                portal_origin: config.portal_origin(),
                jpki: jpki_listener(config),
                sign_ins_per_minute: config.limits.sign_ins_per_minute,
                factor_rules: config.factors.rules(),
                change_by_phone: config.factors.change_by_phone,
                saved_sign_ins: config.sessions.saved_sign_ins,
                phone_networks: config.factors.phone_networks.clone(),
                phone_session_seconds: config.factors.phone_session_seconds,
                show_added_seconds: config.factors.show_seconds,
                phones_per_minute: config.limits.phones_per_minute,
                phones_per_minute_of_address: config.limits.phones_per_minute_of_address,
                without_link_per_minute_of_address: config
                    .limits
                    .without_link_per_minute_of_address,
                destroy_after_seconds: config.keys.destroy_after_seconds,
                notification_card_days: config.limits.notification_card_days,
                handshake_seconds: config.hpki.handshake_seconds,
            },
            registry: opened.registry,
            sessions: opened.sessions,
            trust: opened.trust,
            store: opened.store,
            hsm: opened.hsm,
            audit: opened.audit,
            jpki_validity: opened.jpki_validity,
            judge: opened.judge,
            clock: opened.clock,
            vault: opened.vault,
            decoy_key: opened.decoy_key,
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

fn jpki_listener(config: &Config) -> Option<JpkiListener> {
    let listener = config.listeners.jpki.as_ref()?;
    Some(JpkiListener {
        origin: config.jpki_origin()?,
        host: listener.host_names.first().cloned().unwrap_or_default(),
        certificate: listener.certificate.clone(),
        has_provider: config.jpki.validity.is_some(),
    })
}

fn first_state(config: &Config) -> State {
    match is_provisioned(config) {
        true => State::Locked { waits_for: "the HSM".to_owned() },
        false => State::Unprovisioned,
    }
}

/// Runs what must never end. When it does, by a panic, certificates or a wrong clock would be believed for ever: the door
/// closes.
fn supervise(
    over: &'static str,
    work: impl Future<Output = ()> + Send + 'static,
    doorway: Arc<Doorway>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        // A set, so that the work ends with whoever watches it.
        let mut set = JoinSet::new();
        set.spawn(work);
        let died = set.join_next().await.and_then(Result::err);
        let reason = died.map_or_else(|| "it ended".to_owned(), |error| error.to_string());
        tracing::error!(reason, "ALARM: the watch over {over} died");
        doorway.set(State::Failed { reason: format!("the watch over {over} died: {reason}") });
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn doorway() -> Arc<Doorway> {
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let index = portal_index("https://localhost", None, false);
        Arc::new(Doorway::new(State::Operational, Arc::new(metrics), index))
    }

    #[tokio::test]
    async fn watch_that_dies_shuts_the_door_and_names_itself() {
        let doorway = doorway();
        let work = async { panic!("no more") };
        supervise("the clock", work, doorway.clone()).await.unwrap();
        let state = doorway.state();
        let State::Failed { reason } = &*state else { panic!("{state:?}") };
        assert!(reason.contains("the watch over the clock died"), "{reason}");
    }

    #[tokio::test]
    async fn watch_ends_with_its_supervisor_and_shuts_no_door() {
        let doorway = doorway();
        let (alive, ended) = tokio::sync::oneshot::channel::<()>();
        let work = async move {
            let _alive = alive;
            std::future::pending().await
        };
        let supervisor = supervise("certificates", work, doorway.clone());
        tokio::task::yield_now().await;
        supervisor.abort();
        assert!(tokio::time::timeout(Duration::from_secs(5), ended).await.is_ok());
        assert_eq!(*doorway.state(), State::Operational);
    }
}
