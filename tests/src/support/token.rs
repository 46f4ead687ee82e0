//! A SoftHSM token of its own for each world.

use super::pki::write_private;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// Where Debian puts the module.
pub const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// A token in a folder.
#[derive(Debug)]
pub struct Token {
    pub label: String,
    pub pin: String,
    /// For `$SOFTHSM2_CONF`.
    pub conf: PathBuf,
    /// For `$CREDENTIALS_DIRECTORY`: holds `hsm-pin`.
    pub credentials: PathBuf,
    pub objects: PathBuf,
}

/// The module to test with: SoftHSM, or `$TEST_PKCS11_MODULE`.
pub fn module() -> PathBuf {
    std::env::var_os("TEST_PKCS11_MODULE").map_or_else(|| PathBuf::from(SOFTHSM), PathBuf::from)
}

impl Token {
    /// Makes one in `folder`.
    pub fn new(folder: &Path, label: &str) -> Self {
        let (objects, credentials) = (folder.join("tokens"), folder.join("credentials"));
        for folder in [&objects, &credentials] {
            std::fs::create_dir_all(folder).expect("a folder of the token");
        }
        let conf = folder.join("softhsm2.conf");
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n",
            objects.display()
        );
        std::fs::write(&conf, text).expect("softhsm2.conf");
        let token = Self {
            label: label.to_owned(),
            pin: "canary-pin-84620".to_owned(),
            conf,
            credentials,
            objects,
        };
        token.set_pin_file(&token.pin);
        let mut command = Command::new("softhsm2-util");
        command.args(["--init-token", "--free", "--label", label, "--so-pin", "canary-so-pin-1"]);
        command.args(["--pin", &token.pin]).env("SOFTHSM2_CONF", &token.conf);
        let output = command.output().expect("softhsm2-util (Debian package softhsm2)");
        assert!(output.status.success(), "no token: {}", String::from_utf8_lossy(&output.stderr));
        token
    }

    /// What the daemon reads at its next start.
    pub fn set_pin_file(&self, pin: &str) {
        write_private(&self.credentials.join("hsm-pin"), pin.as_bytes());
    }
}
