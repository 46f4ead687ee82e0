//! The programs under test, built with the profile of the test that asks.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Where the built programs are.
#[derive(Debug)]
pub struct Programs {
    /// The daemon.
    pub inkand: PathBuf,
    /// The operators' command line.
    pub inkan: PathBuf,
    /// The fault-injecting PKCS#11 module.
    pub shim: PathBuf,
}

/// Builds what is not up to date, once per process. `INKAN_BIN_DIR` names ready ones instead.
pub fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let folder = match std::env::var_os("INKAN_BIN_DIR") {
            Some(folder) => PathBuf::from(folder),
            None => build(),
        };
        let programs = Programs {
            inkand: folder.join("inkand"),
            inkan: folder.join("inkan"),
            shim: folder.join("libpkcs11_shim.so"),
        };
        assert!(programs.inkand.is_file(), "{} is not there", programs.inkand.display());
        programs
    })
}

/// `target/` of this workspace.
pub fn target_dir() -> PathBuf {
    profile_dir().parent().expect("a target folder").to_owned()
}

/// This process is `target/<profile>/deps/<test>` or `target/<profile>/<program>`.
fn profile_dir() -> PathBuf {
    let this = std::env::current_exe().expect("the path of this test");
    let folder = this.parent().expect("its folder");
    match folder.ends_with("deps") {
        true => folder.parent().expect("the profile's folder").to_owned(),
        false => folder.to_owned(),
    }
}

fn build() -> PathBuf {
    let folder = profile_dir();
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--locked", "--profile", profile]);
    command.args(["-p", "appliance", "-p", "pkcs11-shim", "-p", "tests", "--lib", "--bins"]);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let status = command.status().expect("cargo");
    assert!(status.success(), "the programs under test do not build");
    folder
}
