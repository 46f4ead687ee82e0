//! The test bench: a child process, a SoftHSM token and the fault-injecting module.

use crate::Hsm;
use crate::HsmConfig;
use crate::HsmError;
use crate::TokenSelector;
use attest::algorithm::KeyType;
use attest::permit::HolderKey;
use cryptoki::context::CInitializeArgs;
use cryptoki::context::CInitializeFlags;
use cryptoki::context::Pkcs11;
use cryptoki::session::Session;
use cryptoki::session::UserType;
use secrecy::SecretString;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use tokio::runtime::Runtime;

pub(crate) const LABEL: &str = "inkan-test";
pub(crate) const PIN: &str = "4711-test";
const SO_PIN: &str = "0815-test";
const CHILD: &str = "INKAN_HSM_TEST_DIR";
/// Longest time of one test: a machine shared by many makes RSA keys slowly.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Runs `body` in a child process that has a fresh token. The child is this very test, started again.
pub(crate) fn alone<F: FnOnce(Bench)>(body: F) {
    if let Some(dir) = std::env::var_os(CHILD) {
        return body(Bench::new(PathBuf::from(dir)));
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("tokens")).unwrap();
    let conf = format!(
        "directories.tokendir = {}\nlog.level = ERROR\n",
        dir.path().join("tokens").display()
    );
    std::fs::write(dir.path().join("softhsm2.conf"), conf).unwrap();
    init_token(dir.path(), LABEL);

    let output = File::create(dir.path().join("output")).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args([&test_name::<F>(), "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, dir.path())
        .env("SOFTHSM2_CONF", dir.path().join("softhsm2.conf"))
        .env("SHIM_MODULE", real_module())
        .env("SHIM_CONTROL", dir.path().join("control"))
        .env("SHIM_LOG", dir.path().join("log"))
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let ended = wait(child);
    let output = std::fs::read_to_string(dir.path().join("output")).unwrap();
    assert!(ended.is_ok(), "the child does not end:\n{output}");
    // The verdict is the child's line, not its status: behind it SoftHSM's exit handlers may still crash, over a thread that
    // sleeps in the module.
    assert!(output.contains("test result: ok. 1 passed"), "in the child process:\n{output}");
}

/// `hsm::tests::signing::fact::{{closure}}` -> `tests::signing::fact`.
fn test_name<F>() -> String {
    let name = std::any::type_name::<F>();
    let name = name.strip_suffix("::{{closure}}").expect("the body is a closure of the test");
    name.split_once("::").expect("a path").1.to_owned()
}

fn wait(mut child: Child) -> Result<(), &'static str> {
    let until = Instant::now() + TIMEOUT;
    while Instant::now() < until {
        if child.try_wait().unwrap().is_some() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    Err("killed after its time")
}

/// Makes another token in the same directory.
pub(crate) fn init_token(dir: &Path, label: &str) {
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", PIN])
        .env("SOFTHSM2_CONF", dir.join("softhsm2.conf"))
        .output()
        .expect("softhsm2-util is needed: apt install softhsm2");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// `$TEST_PKCS11_MODULE`, else SoftHSM where Debian has it.
fn real_module() -> PathBuf {
    let module = std::env::var_os("TEST_PKCS11_MODULE")
        .unwrap_or_else(|| "/usr/lib/softhsm/libsofthsm2.so".into());
    let module = PathBuf::from(module);
    assert!(module.exists(), "{} is missing: apt install softhsm2", module.display());
    module
}

/// What a test works on.
pub(crate) struct Bench {
    pub(crate) dir: PathBuf,
    runtime: Runtime,
}

impl Bench {
    fn new(dir: PathBuf) -> Self {
        Self { dir, runtime: Runtime::new().unwrap() }
    }

    /// SoftHSM itself; few sessions, one try at start, short deadlines are set by the test.
    pub(crate) fn config(&self) -> HsmConfig {
        let mut config = HsmConfig::new(real_module(), TokenSelector::Label(LABEL.into()));
        config.start_attempts = 1;
        // Debug builds on a busy machine; tests of deadlines say their own.
        config.deadline_ms = 30_000;
        config
    }

    /// SoftHSM behind the fault-injecting module.
    pub(crate) fn faulty_config(&self) -> HsmConfig {
        let shim = std::env::current_exe().unwrap().with_file_name("libpkcs11_shim.so");
        assert!(shim.exists(), "{} was not built", shim.display());
        HsmConfig { module: shim, ..self.config() }
    }

    pub(crate) fn open(&self) -> Hsm {
        Hsm::open(self.config(), pin()).unwrap()
    }

    pub(crate) fn open_faulty(&self) -> Hsm {
        Hsm::open(self.faulty_config(), pin()).unwrap()
    }

    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Replaces the faults of the shim.
    pub(crate) fn faults(&self, text: &str) {
        let new = self.dir.join("control.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.dir.join("control")).unwrap();
    }

    /// The calls logged by the shim from now on, by `forget_calls`.
    pub(crate) fn calls(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Calls of one function.
    pub(crate) fn count(&self, function: &str) -> usize {
        let is_it = |line: &&String| line.split(' ').next() == Some(function);
        self.calls().iter().filter(is_it).count()
    }

    pub(crate) fn forget_calls(&self) {
        File::options().write(true).truncate(true).open(self.dir.join("log")).unwrap();
    }

    /// A key made, loaded and ready to sign.
    pub(crate) fn key(&self, hsm: &Hsm, key_type: KeyType) -> Arc<HolderKey> {
        let key = Arc::new(HolderKey::from(self.block_on(hsm.generate(key_type)).unwrap()));
        self.block_on(hsm.load(&key)).unwrap();
        key
    }

    /// Does something to the token on a session of its own while the pool (behind the shim) is open.
    pub(crate) fn meddle<T>(&self, act: impl FnOnce(&Session) -> T) -> T {
        let pkcs11 = Pkcs11::new(self.faulty_config().module).unwrap();
        let slot = crate::token::find(&pkcs11, &self.config().token).unwrap();
        act(&pkcs11.open_rw_session(slot).unwrap())
    }

    /// Does something to the token behind the appliance's back, with the user's PIN and without the pool.
    pub(crate) fn tamper<T>(&self, act: impl FnOnce(&Session) -> T) -> T {
        let pkcs11 = Pkcs11::new(real_module()).unwrap();
        pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
        let slot = crate::token::find(&pkcs11, &self.config().token).unwrap();
        let session = pkcs11.open_rw_session(slot).unwrap();
        session.login(UserType::User, Some(&pin())).unwrap();
        let result = act(&session);
        drop(session);
        pkcs11.finalize().unwrap();
        result
    }
}

pub(crate) fn pin() -> SecretString {
    SecretString::from(PIN)
}

/// Waits, but not for ever, until something holds.
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < until, "did not happen within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The error of something that must not succeed.
pub(crate) fn refused<T>(result: Result<T, HsmError>) -> HsmError {
    match result {
        Ok(_) => panic!("it succeeded"),
        Err(error) => error,
    }
}
