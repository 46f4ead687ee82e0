//! The `[hsm]` table of the configuration.

use crate::error::HsmError;
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How the module is reached and how hard it is used.
///
/// ```toml
/// [hsm]
/// module = "/usr/lib/softhsm/libsofthsm2.so"
/// token = { label = "inkan" }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HsmConfig {
    /// Path of the PKCS#11 module (a shared library), absolute.
    pub module: PathBuf,
    /// Which token. Never a slot number: the module may renumber slots at each start.
    pub token: TokenSelector,
    /// A private file with the PIN. Left out: the systemd credential `hsm-pin`, which is the better place, since it
    /// can be sealed to the machine's TPM. The PIN itself never stands in the configuration.
    #[serde(default)]
    pub pin_file: Option<PathBuf>,
    /// Sessions that sign side by side, 1 to [`HsmConfig::MAX_SESSIONS`]. Default 4: two per core of a small machine,
    /// so that one can wait for a network HSM while another computes.
    #[serde(default = "default_sessions")]
    pub sessions: usize,
    /// Signatures that may wait, 1 to [`HsmConfig::MAX_QUEUE`]. Default 256: what four RSA-3072 sessions do in a
    /// second; beyond that the caller had better ask again later.
    #[serde(default = "default_queue")]
    pub queue: usize,
    /// Milliseconds that one signature may take, waiting included, 100 to 60,000. Default 5,000.
    #[serde(default = "default_deadline_ms")]
    pub deadline_ms: u64,
    /// Milliseconds that one administrative act may take, 1,000 to 600,000. Default 120,000: a cheap smart card
    /// takes a minute for an RSA-4096 pair.
    #[serde(default = "default_admin_deadline_ms")]
    pub admin_deadline_ms: u64,
    /// Tries to reach module and token at start, the pause doubling from 200 ms, 1 to 20. Default 6 (about 6 s): a
    /// network HSM and its client daemon may come up later than the appliance. A wrong PIN is tried once.
    #[serde(default = "default_start_attempts")]
    pub start_attempts: u32,
    /// Whether signing pauses while keys are made or destroyed. Default `auto`: only with SoftHSM, whose 2.6.1
    /// crashes when objects are created beside other calls.
    #[serde(default)]
    pub pause_for_admin: PauseForAdmin,
}

/// Names one token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenSelector {
    /// CK_TOKEN_INFO.label without its padding.
    Label(String),
    /// CK_TOKEN_INFO.serialNumber without its padding.
    Serial(String),
}

/// Whether administration and signing exclude each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PauseForAdmin {
    /// Where the module is known to need it.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// Never.
    Never,
}

impl HsmConfig {
    /// Most sessions.
    pub const MAX_SESSIONS: usize = 64;
    /// Most signatures waiting.
    pub const MAX_QUEUE: usize = 65_536;

    /// A configuration with every default.
    pub fn new(module: impl Into<PathBuf>, token: TokenSelector) -> Self {
        Self {
            module: module.into(),
            token,
            pin_file: None,
            sessions: default_sessions(),
            queue: default_queue(),
            deadline_ms: default_deadline_ms(),
            admin_deadline_ms: default_admin_deadline_ms(),
            start_attempts: default_start_attempts(),
            pause_for_admin: PauseForAdmin::default(),
        }
    }

    /// Whether every number is in its range and the selector says something.
    ///
    /// # Errors
    /// [`HsmError::Config`] with the field and its range.
    pub fn check(&self) -> Result<(), HsmError> {
        within("sessions", self.sessions as u64, 1, Self::MAX_SESSIONS as u64)?;
        within("queue", self.queue as u64, 1, Self::MAX_QUEUE as u64)?;
        within("deadline_ms", self.deadline_ms, 100, 60_000)?;
        within("admin_deadline_ms", self.admin_deadline_ms, 1_000, 600_000)?;
        within("start_attempts", self.start_attempts.into(), 1, 20)?;
        if !self.module.is_absolute() {
            let reason = format!("{} is not an absolute path", self.module.display());
            return Err(HsmError::Config { field: "module", reason });
        }
        let (TokenSelector::Label(name) | TokenSelector::Serial(name)) = &self.token;
        match name.trim().is_empty() {
            true => Err(HsmError::Config {
                field: "token",
                reason: "empty: write { label = \"...\" } or { serial = \"...\" }".into(),
            }),
            false => Ok(()),
        }
    }

    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    pub(crate) fn admin_deadline(&self) -> Duration {
        Duration::from_millis(self.admin_deadline_ms)
    }
}

impl fmt::Display for TokenSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(label) => write!(f, "with label \"{label}\""),
            Self::Serial(serial) => write!(f, "with serial number \"{serial}\""),
        }
    }
}

fn within(field: &'static str, value: u64, low: u64, high: u64) -> Result<(), HsmError> {
    match (low..=high).contains(&value) {
        true => Ok(()),
        false => {
            let reason = format!("{value} is out of range: write {low} to {high}");
            Err(HsmError::Config { field, reason })
        }
    }
}

fn default_sessions() -> usize {
    4
}
fn default_queue() -> usize {
    256
}
fn default_deadline_ms() -> u64 {
    5_000
}
fn default_admin_deadline_ms() -> u64 {
    120_000
}
fn default_start_attempts() -> u32 {
    6
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "module = '/lib/m.so'\ntoken = { label = 'inkan' }\n";

    fn parse(text: &str) -> Result<HsmConfig, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn minimal_table_has_the_documented_defaults() {
        let config = parse(MINIMAL).unwrap();
        assert_eq!(config, HsmConfig::new("/lib/m.so", TokenSelector::Label("inkan".into())));
        config.check().unwrap();
    }

    #[test]
    fn unknown_field_is_refused() {
        assert!(parse(&format!("{MINIMAL}slot = 0\n")).is_err());
        assert!(parse("module = '/m'\ntoken = { slot = 0 }").is_err());
        assert!(parse("module = '/m'\ntoken = { label = 'a', serial = 'b' }").is_err());
    }

    #[test]
    fn each_limit_holds_at_it_and_not_past_it() {
        let limits = [
            ("sessions", 1, 64),
            ("queue", 1, 65_536),
            ("deadline_ms", 100, 60_000),
            ("admin_deadline_ms", 1_000, 600_000),
            ("start_attempts", 1, 20),
        ];
        for (field, low, high) in limits {
            for (value, good) in [(low, true), (high, true), (low - 1, false), (high + 1, false)] {
                let config = parse(&format!("{MINIMAL}{field} = {value}\n")).unwrap();
                assert_eq!(config.check().is_ok(), good, "{field} = {value}");
            }
        }
    }

    #[test]
    fn relative_module_and_empty_label_are_refused() {
        assert!(parse("module = 'm.so'\ntoken = { label = 'a' }").unwrap().check().is_err());
        assert!(parse("module = '/m.so'\ntoken = { serial = ' ' }").unwrap().check().is_err());
    }
}
