//! A SoftHSM token that exists for one measurement.

use hsm::Hsm;
use hsm::HsmConfig;
use hsm::TokenSelector;
use secrecy::SecretString;
use std::path::PathBuf;
use std::process::Command;

pub const LABEL: &str = "inkan-bench";
pub const PIN: &str = "bench-4711";

/// Runs `body` in a child that has a fresh token: SoftHSM reads its environment.
pub fn in_child(body: impl FnOnce()) {
    if std::env::var_os("SOFTHSM2_CONF").is_some() {
        return body();
    }
    let dir = tempfile::tempdir().unwrap();
    let (conf, tokens) = (dir.path().join("softhsm2.conf"), dir.path().join("tokens"));
    std::fs::create_dir(&tokens).unwrap();
    let text = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
    std::fs::write(&conf, text).unwrap();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", LABEL, "--so-pin", PIN, "--pin", PIN])
        .env("SOFTHSM2_CONF", &conf)
        .output()
        .unwrap();
    assert!(made.status.success());
    let child = Command::new(std::env::current_exe().unwrap())
        .args(std::env::args_os().skip(1))
        .env("SOFTHSM2_CONF", &conf)
        .status()
        .unwrap();
    assert!(child.success());
}

pub fn module() -> PathBuf {
    std::env::var_os("TEST_PKCS11_MODULE")
        .unwrap_or_else(|| "/usr/lib/softhsm/libsofthsm2.so".into())
        .into()
}

pub fn open() -> Hsm {
    let mut config = HsmConfig::new(module(), TokenSelector::Label(LABEL.into()));
    config.deadline_ms = 60_000;
    Hsm::open(config, SecretString::from(PIN)).unwrap()
}
