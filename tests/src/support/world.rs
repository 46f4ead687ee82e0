//! One hospital: PKI, token, configuration, a provisioned and running daemon, two doctors, two signing systems.

use super::admin;
use super::build::programs;
use super::build::target_dir;
use super::config::Ports;
use super::config::Settings;
use super::daemon::Daemon;
use super::daemon::Launch;
use super::daemon::Reaper;
use super::daemon::probe;
use super::ehr::Ehr;
use super::pki::Pki;
use super::pki::Validity;
use super::portal::Portal;
use super::token::Token;
use super::token::module;
use serde_json::json;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use tokio::sync::OnceCell;

/// Registered for both signing systems. Nobody listens there.
pub const RETURN_URL: &str = "https://ehr.example:8443/back";
/// The first doctor: every card but the second doctor's, and every key but `other`.
pub const DOCTOR: &str = "u-17";
/// The second doctor: `card2` and the key `other`.
pub const DOCTOR2: &str = "u-18";

/// Credential id and key type.
pub type Key = (&'static str, &'static str);

/// Every algorithm that SoftHSM has.
pub const ALL_KEYS: &[Key] = &[
    ("rsa2048", "rsa-2048"),
    ("rsa3072", "rsa-3072"),
    ("rsa4096", "rsa-4096"),
    ("p256", "p-256"),
    ("p384", "p-384"),
    ("p521", "p-521"),
    ("ed25519", "ed25519"),
];
/// The quickest key.
pub const ONE_KEY: &[Key] = &[("p256", "p-256")];

/// How a world differs from the usual.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Keys of the first doctor.
    pub keys: &'static [Key],
    /// Whether the fault-injecting module stands before the token.
    pub shim: bool,
    /// Signatures in a session of the first signing system.
    pub session_signatures: u64,
    /// Seconds of a session of the first signing system.
    pub session_seconds: u64,
    /// Tunes the configuration before the first start.
    pub tune: fn(&mut Settings),
    /// Where the data directory is, when not in the world's folder.
    pub data_dir: Option<PathBuf>,
    /// More variables of the daemon's environment.
    pub environment: Vec<(String, String)>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            keys: ONE_KEY,
            shim: false,
            session_signatures: 1_000_000,
            session_seconds: 43_200,
            tune: |_| {},
            data_dir: None,
            environment: Vec::new(),
        }
    }
}

/// See the module. Everything is gone when it is dropped.
pub struct World {
    pub daemon: Daemon,
    pub pki: Pki,
    pub token: Token,
    pub ports: Ports,
    pub settings: Settings,
    pub launch: Launch,
    pub data_dir: PathBuf,
    /// Holds everything above.
    pub folder: PathBuf,
    _reaper: Reaper,
}

impl World {
    /// The world that all tests of a process share; they must leave it as they found it.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<World> = OnceCell::const_new();
        SHARED.get_or_init(|| Self::new(Plan { keys: ALL_KEYS, ..Plan::default() })).await
    }

    /// A world of one's own.
    pub async fn new(plan: Plan) -> Self {
        let mut world = Self::provisioned(&plan);
        world.daemon = Daemon::start(&world.launch);
        world.enrol(&plan).await;
        world
    }

    /// Initialised, but nobody is enrolled and the daemon is a process that has ended.
    pub fn provisioned(plan: &Plan) -> Self {
        let folder = new_folder();
        let pki = Pki::new(&folder.join("pki"));
        let token = Token::new(&folder.join("hsm"), "inkan-e2e");
        let ports = Ports::free();
        let mut settings = Settings::new(module(), &token);
        let mut environment = Launch::environment_of(&token);
        if plan.shim {
            settings.module = programs().shim.clone();
            let text = |name: &str| folder.join(name).to_str().expect("a UTF-8 path").to_owned();
            std::fs::write(folder.join("shim-control"), "").expect("the control file");
            environment
                .push(("SHIM_MODULE".to_owned(), module().to_str().expect("UTF-8").to_owned()));
            environment.push(("SHIM_CONTROL".to_owned(), text("shim-control")));
            environment.push(("SHIM_LOG".to_owned(), text("shim-log")));
        }
        environment.extend(plan.environment.iter().cloned());
        (plan.tune)(&mut settings);
        let data_dir = plan.data_dir.clone().unwrap_or_else(|| folder.join("data"));
        make_private(&data_dir);
        let launch = Launch {
            config: folder.join("inkan.toml"),
            log: folder.join("inkand.log"),
            pid_file: folder.join("inkand.pid"),
            environment,
            metrics: ports.metrics,
        };
        std::fs::write(&launch.config, settings.toml(&data_dir, ports, &pki))
            .expect("the configuration");
        let reaper = Reaper::watch(&launch.pid_file, &folder);
        let initialised = init(&launch, &pki);
        let words = format!("{}{}", text(&initialised.stdout), text(&initialised.stderr));
        assert!(initialised.status.success(), "inkan init: {words}");
        // A process that ends at once stands where the daemon will be.
        let daemon = Daemon::spawn_ended(&launch);
        Self { daemon, pki, token, ports, settings, launch, data_dir, folder, _reaper: reaper }
    }

    /// Starts the daemon again, ready.
    pub fn restart(&mut self) {
        self.daemon = Daemon::start(&self.launch);
    }

    /// Writes the configuration anew from the present settings; read at the next start.
    pub fn write_config(&self) {
        let toml = self.settings.toml(&self.data_dir, self.ports, &self.pki);
        std::fs::write(&self.launch.config, toml).expect("the configuration");
    }

    /// The card listener, for browsers.
    pub fn portal(&self) -> Portal {
        Portal { address: self.ports.hpki, server_ca: self.pki.servers.pem.clone() }
    }

    /// The My Number card's listener, for browsers.
    pub fn jpki_portal(&self) -> Portal {
        Portal { address: self.ports.jpki, ..self.portal() }
    }

    /// The first signing system.
    pub fn ehr(&self) -> Ehr {
        Ehr::new(self, &self.pki.ehr)
    }

    /// The second signing system.
    pub fn ehr2(&self) -> Ehr {
        Ehr::new(self, &self.pki.ehr2)
    }

    /// What the shim does from now on; see `tests/pkcs11-shim`.
    pub fn shim(&self, lines: &str) {
        let (control, new) =
            (self.folder.join("shim-control"), self.folder.join("shim-control.new"));
        std::fs::write(&new, lines)
            .and_then(|()| std::fs::rename(&new, &control))
            .expect("the control file");
    }

    /// The operators' command line, as the auditor unless told otherwise.
    pub fn inkan(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&programs().inkan);
        command.args(arguments).envs(self.launch.environment.iter().cloned());
        command.env("INKAN_ADMIN_URL", format!("https://localhost:{}", self.ports.admin.port()));
        command.env("INKAN_ADMIN_CERT", &self.pki.auditor.certificate);
        command.env("INKAN_ADMIN_KEY", &self.pki.auditor.key);
        command.env("INKAN_SERVER_CA", &self.pki.servers.pem);
        command.output().expect("inkan")
    }

    /// The metrics page.
    pub fn metrics(&self) -> String {
        let (status, body) = probe(self.ports.metrics, "/metrics").expect("the metrics listener");
        assert_eq!(status, 200, "{body}");
        body
    }

    /// The sum of all samples of a metric whose line contains every one of `labels`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let page = self.metrics();
        let samples = page.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '))
                && labels.iter().all(|label| line.contains(label))
        });
        samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// Log lines that carry `request_id`, once there is one: lines are written after their answer.
    pub async fn log_of(&self, request_id: &str) -> String {
        assert!(!request_id.is_empty(), "an answer without request id");
        for _ in 0..100 {
            let log = self.daemon.log();
            let lines: Vec<&str> = log.lines().filter(|line| line.contains(request_id)).collect();
            if !lines.is_empty() {
                return lines.join("\n");
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("no log line of request {request_id}");
    }

    async fn enrol(&self, plan: &Plan) {
        let pki = &self.pki;
        for (holder, name) in [(DOCTOR, "医師 太郎"), (DOCTOR2, "医師 花子")] {
            let body = json!({ "holder_id": holder, "display_name": name });
            admin::grant(self, "POST /holders", Some(&body)).await;
        }
        for (holder, card) in [(DOCTOR, &pki.card), (DOCTOR2, &pki.card2)] {
            let body = json!({ "holder_id": holder, "certificate_pem": card.pem() });
            admin::grant(self, "POST /cards", Some(&body)).await;
        }
        for (credential_id, key_type) in plan.keys {
            self.enrol_key(credential_id, DOCTOR, key_type, Validity::CURRENT).await;
        }
        self.enrol_key("other", DOCTOR2, "p-256", Validity::CURRENT).await;
        let limits =
            json!({ "signatures": plan.session_signatures, "seconds": plan.session_seconds });
        let system = json!({
            "system_id": "ehr", "display_name": "電子カルテ", "certificates_pem": [pki.ehr.pem()],
            "return_urls": [RETURN_URL], "all_holders": true, "methods": ["hpki"], "raw_allowed": true,
            "bare_digests_allowed": true,
            "limits": limits, "requests_per_second": 100_000,
        });
        admin::grant(self, "POST /systems", Some(&system)).await;
        let system2 = json!({
            "system_id": "ehr2", "display_name": "Pharmacy", "certificates_pem": [pki.ehr2.pem()],
            "return_urls": [RETURN_URL], "holders": [DOCTOR], "methods": ["hpki"],
            "requests_per_second": 10_000,
        });
        admin::grant(self, "POST /systems", Some(&system2)).await;
    }

    /// Makes a key, has it certified for `validity`, and installs the certificate. Gives the serial number.
    pub async fn enrol_key(
        &self,
        id: &str,
        holder: &str,
        key_type: &str,
        validity: Validity,
    ) -> u64 {
        let body = json!({ "credential_id": id, "holder_id": holder, "key_type": key_type });
        let made =
            admin::ask(self, &self.pki.registrar, "POST /keys", Some(&body)).await.expect(201);
        let csr_pem = made.json()["csr_pem"].as_str().expect("a request").to_owned();
        let (pem, serial) = self.pki.hpki_sign.second_certificate(&csr_pem, holder, validity);
        let chain = json!({ "chain_pem": format!("{pem}{}", self.pki.hpki_sign.pem_text()) });
        admin::grant(self, &format!("POST /keys/{id}/certificate"), Some(&chain)).await;
        serial
    }
}

/// The ceremony: five operators, the root for both purposes.
fn init(launch: &Launch, pki: &Pki) -> Output {
    let mut command = Command::new(&programs().inkan);
    command.arg("init").arg("--config").arg(&launch.config);
    for (id, role, pair) in [
        ("officer", "security_officer", &pki.officer),
        ("officer2", "security_officer", &pki.officer2),
        ("administrator", "administrator", &pki.administrator),
        ("registrar", "registration_officer", &pki.registrar),
        ("auditor", "auditor", &pki.auditor),
    ] {
        command.arg("--operator").arg(format!("{id}:{role}:{}", pair.certificate.display()));
    }
    for purpose in ["hpki_card", "second_certificate"] {
        command.arg("--anchor").arg(format!("{purpose}:{}", pki.hpki_root.pem.display()));
    }
    command.arg("--anchor").arg(format!("jpki_card:{}", pki.jpki.pem.display()));
    command.envs(launch.environment.iter().cloned()).output().expect("inkan")
}

/// `target/e2e/<pid>-<n>`, not in `/tmp`: that is often a tmpfs, which keeps nothing over a power cut.
fn new_folder() -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = target_dir().join("e2e").join(name);
    std::fs::create_dir_all(&folder).expect("a folder under target/");
    folder
}

fn make_private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(folder).expect("a folder");
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(folder, mode).expect("mode 0700");
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
