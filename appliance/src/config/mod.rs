//! The configuration file: typed TOML, plumbing only. Whom the appliance trusts is in sealed records, never here.
//!
//! [`Config::load`] is what the daemon does; [`examine`] says everything that can be said about a file, for
//! `inkan check-config` and `inkan doctor`. A complete file with every key and its reason is [`EXAMPLE`].

mod document;
mod factors;
mod fault;
mod files;
mod jpki;
mod listeners;
mod named_files;
mod rules;

pub use factors::Factors;
pub use fault::ConfigFaults;
pub use fault::Fault;
pub use fault::Severity;
pub use fault::nearest;
pub use jpki::HttpService;
pub use jpki::Jpki;
pub use jpki::OcspResponder;
pub use jpki::Validity;
pub use jpki::ValidityKind;
pub use jpki::ValidityProvider;
pub use listeners::addresses_of;

use api::config::CardListener;
use api::config::FrontConfig;
use attest::judge::HpkiLoginProfile;
use attest::judge::Profiles;
use attest::judge::SecondCertificateProfile;
use attest::records::Fingerprint;
use attest::records::SessionLimits;
use attest::revocation::CrlLimits;
use hsm::config::HsmConfig;
use http::Uri;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

/// A complete configuration, every key with its reason.
pub const EXAMPLE: &str = include_str!("example.toml");

/// Largest configuration file read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where store, audit log and lock file are kept.
    pub data_dir: PathBuf,
    /// Lets the daemon run on a file system that may lose acknowledged writes: trials in containers only.
    #[serde(default)]
    pub danger_allow_unsafe_file_system: bool,
    /// Module, token, pool.
    pub hsm: HsmConfig,
    /// Addresses, names, certificates and limits of what is listened on.
    pub listeners: FrontConfig,
    /// Cards at sign-in.
    pub hpki: Hpki,
    /// My Number cards at sign-in.
    #[serde(default)]
    pub jpki: Jpki,
    /// Holders' certificates.
    pub second_certificates: SecondCertificates,
    /// How revocation lists are kept fresh.
    #[serde(default)]
    pub revocation: Revocation,
    /// Holders' keys.
    #[serde(default)]
    pub keys: Keys,
    /// Ceilings of sessions.
    #[serde(default)]
    pub sessions: Sessions,
    /// Ceilings of requests.
    #[serde(default)]
    pub limits: Limits,
    /// Phones and other factors that holders add themselves.
    #[serde(default)]
    pub factors: Factors,
    /// The log.
    #[serde(default)]
    pub log: Log,
}

/// HPKI cards at sign-in.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hpki {
    /// What login links begin with; made of the card listener's first host name and port when left out.
    #[serde(default)]
    pub origin: Option<String>,
    /// CA certificates between anchor and card, PEM: cards send only their own.
    #[serde(default)]
    pub intermediates: Vec<PathBuf>,
    /// Seconds within which the proof must lie before the confirmation.
    #[serde(default = "two_minutes")]
    pub handshake_seconds: u64,
    /// What a card's certificate must look like: not published, therefore told.
    #[serde(default)]
    pub profile: HpkiLoginProfile,
    /// Revocation lists of everything between anchor and card, by target id.
    pub crls: BTreeMap<String, CrlSource>,
}

/// Holders' second certificates.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondCertificates {
    /// CA certificates between anchor and certificate, PEM, for what a chain left out.
    #[serde(default)]
    pub intermediates: Vec<PathBuf>,
    /// What a second certificate must look like.
    #[serde(default)]
    pub profile: SecondCertificateProfile,
    /// Revocation lists of everything between anchor and certificate, by target id.
    pub crls: BTreeMap<String, CrlSource>,
}

/// Where a revocation list comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CrlSource {
    /// A file put there by the operator or a timer, DER or PEM.
    File(PathBuf),
    /// An `http` URL. Lists are signed, so the transport need not be trusted.
    #[serde(deserialize_with = "http_uri")]
    Http(Uri),
}

/// How revocation lists are kept fresh.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Revocation {
    /// Seconds between two looks at every list.
    pub refresh_seconds: u64,
    /// Hours before a list ends at which the alarm begins.
    pub alarm_hours: u64,
    /// Hours after which a list, or a provider's answer, is too old, whatever it says of its own end.
    pub max_age_hours: u64,
}

impl Default for Revocation {
    /// 30 min: HPKI lists come out daily and serve four days, so a revocation is known half an hour after its list.
    /// 36 h: one failed day is noticed, and a working day is left to mend it. 10 days: no HPKI list serves longer than four.
    fn default() -> Self {
        Self { refresh_seconds: 1_800, alarm_hours: 36, max_age_hours: 240 }
    }
}

/// Holders' keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// Seconds from the end of a pair's use to the first moment at which two operators may destroy it.
    pub destroy_after_seconds: u64,
}

impl Default for Keys {
    /// A week: every shift has seen by then whether something still misses the key.
    fn default() -> Self {
        Self { destroy_after_seconds: 7 * 86_400 }
    }
}

/// Ceilings: what no registration of a signing system goes beyond.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// Seconds from the evidence.
    pub max_seconds: u64,
    /// Signatures.
    pub max_signatures: u64,
    /// Seconds from the evidence in which entries that were approved one by one are signed (`purpose: once`).
    pub once_seconds: u64,
    /// Whether a browser keeps a sign-in until its end, to go on with by one click.
    pub saved_sign_ins: bool,
}

impl Default for Sessions {
    /// A day, and four times what the heaviest day seen needed. Five minutes: the documents are there already.
    fn default() -> Self {
        Self {
            max_seconds: SessionLimits::CEILING_SECONDS,
            max_signatures: 1_000,
            once_seconds: 300,
            // PCs of a ward are shared, and a forgotten logout would be the next person's to find.
            saved_sign_ins: false,
        }
    }
}

/// Ceilings of requests that the keeper keeps; those of the wire stand with each listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Items in one digest batch.
    pub digest_items: usize,
    /// Entries that one approval may be asked for (`purpose: once`).
    pub entries: usize,
    /// Characters of an entry's label.
    pub entry_label_characters: usize,
    /// Sign-ins a minute that one signing system may open for one holder, and pages a minute over one My Number card.
    pub sign_ins_per_minute: u32,
    /// Questions to a phone a minute for one holder id, whether anybody has it or not.
    pub phones_per_minute: u32,
    /// Questions to a phone a minute from one address.
    pub phones_per_minute_of_address: u32,
    /// Changes of phone and sign-ins for the holder's own page a minute from one address.
    pub without_link_per_minute_of_address: u32,
    /// Days for which a notification card can be used.
    pub notification_card_days: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A day's documents of one ward, signed within a few seconds.
            digest_items: 500,
            // What a person reads before allowing it, on a phone too.
            entries: 20,
            // Two lines of a phone.
            entry_label_characters: 60,
            // A locked-out colleague needs two or three.
            sign_ins_per_minute: 20,
            // A QR code that ran out, a number mistyped: a person needs two or three; each is one picture and one answer.
            phones_per_minute: 20,
            // The change of shift of a hospital behind one address.
            phones_per_minute_of_address: 600,
            // Anybody may begin these, and each question is a record for ever; at the change of shift nobody needs them.
            without_link_per_minute_of_address: 20,
            // Two letters by post, a holiday, and another try.
            notification_card_days: 30,
        }
    }
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// What is logged, as `tracing` filters say it.
    pub filter: String,
    /// How it looks.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Text }
    }
}

/// How the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A file looked at from every side.
pub struct Examined {
    /// The configuration, where it can be used.
    pub config: Option<Config>,
    /// Everything found, errors first, in the order of the file.
    pub faults: Vec<Fault>,
}

impl Config {
    /// Reads a file as the daemon does: shape, values and places, but not what the files it names hold. With it comes the
    /// SHA-256 of exactly what was read.
    ///
    /// # Errors
    /// [`ConfigFaults`] with every error, each with its line and what to write instead.
    pub fn load(path: &Path) -> Result<(Self, Fingerprint), ConfigFaults> {
        let text = match read_file(path) {
            Ok(text) => text,
            Err(fault) => return Err(ConfigFaults { file: path.to_owned(), faults: vec![fault] }),
        };
        let (config, mut faults, _) = read(&text);
        faults.extend(files::of_the_file_itself(path));
        faults.retain(|fault| fault.severity == Severity::Error);
        match config {
            Some(config) if faults.is_empty() => Ok((config, Fingerprint::of(text.as_bytes()))),
            _ => Err(ConfigFaults { file: path.to_owned(), faults }),
        }
    }

    /// Every revocation list, by target id.
    pub fn crl_targets(&self) -> BTreeMap<String, CrlSource> {
        let all = self.crl_tables().into_iter().flat_map(|(_, crls)| crls);
        all.map(|(id, source)| (id.clone(), source.clone())).collect()
    }

    /// Every table of revocation lists, with its key path.
    fn crl_tables(&self) -> Vec<(&'static str, &BTreeMap<String, CrlSource>)> {
        let mut tables = vec![
            ("hpki.crls", &self.hpki.crls),
            ("second_certificates.crls", &self.second_certificates.crls),
        ];
        tables.extend(self.jpki.crls().map(|crls| ("jpki.validity.crls", crls)));
        tables
    }

    /// What certificates must look like.
    pub fn profiles(&self) -> Profiles {
        Profiles {
            card: self.hpki.profile.clone(),
            second_certificate: self.second_certificates.profile.clone(),
            jpki: self.jpki.profile.clone(),
        }
    }

    /// Limits on revocation lists.
    pub fn crl_limits(&self) -> CrlLimits {
        CrlLimits {
            max_age_seconds: self.revocation.max_age_hours.saturating_mul(3_600),
            alarm_before_seconds: self.revocation.alarm_hours.saturating_mul(3_600),
            ..CrlLimits::default()
        }
    }

    /// What login links begin with: `https://host[:port]`.
    pub fn hpki_origin(&self) -> String {
        let listener = self.listeners.hpki.as_ref();
        listener
            .map_or_else(|| "https://localhost".to_owned(), |it| card_origin(&self.hpki.origin, it))
    }

    /// What links to the My Number card's listener begin with, if there is one.
    pub fn jpki_origin(&self) -> Option<String> {
        let listener = self.listeners.jpki.as_ref();
        listener.map(|listener| card_origin(&self.jpki.origin, listener))
    }

    /// `https://host[:port]` of the portal, as browsers write it, if there is one.
    pub fn portal_origin(&self) -> Option<String> {
        let portal = self.listeners.portal.as_ref();
        portal.map(|portal| origin(&portal.host_name, portal.address.port()))
    }
}

/// As told, or by the listener's first name.
fn card_origin(told: &Option<String>, listener: &CardListener) -> String {
    let host = || listener.host_names.first().map_or("localhost", String::as_str);
    told.clone().unwrap_or_else(|| origin(host(), listener.address.port()))
}

/// As browsers write it: the usual port is left out.
fn origin(host: &str, port: u16) -> String {
    match port {
        443 => format!("https://{host}"),
        port => format!("https://{host}:{port}"),
    }
}

/// Everything that can be said about a configuration file, the files it names included.
pub fn examine(path: &Path) -> Examined {
    let text = match read_file(path) {
        Ok(text) => text,
        Err(fault) => return Examined { config: None, faults: vec![fault] },
    };
    let (config, mut faults, lines) = read(&text);
    faults.extend(files::of_the_file_itself(path));
    if let Some(config) = &config {
        faults.extend(files::check(config));
    }
    place(&mut faults, &lines);
    faults.sort_by_key(|fault| (std::cmp::Reverse(fault.severity), fault.line));
    Examined { config, faults }
}

fn read(text: &str) -> (Option<Config>, Vec<Fault>, BTreeMap<String, usize>) {
    let document::Reading { value, mut faults, lines } = document::read::<Config>(text, EXAMPLE);
    if let Some(config) = &value {
        faults.extend(rules::check(config));
    }
    place(&mut faults, &lines);
    (value, faults, lines)
}

/// Gives each fault the line of its key, or of the nearest table around it.
fn place(faults: &mut [Fault], lines: &BTreeMap<String, usize>) {
    for fault in faults.iter_mut().filter(|fault| fault.line.is_none()) {
        let mut key = fault.key.as_str();
        while !key.is_empty() && fault.line.is_none() {
            fault.line = lines.get(key).copied();
            key = key.rsplit_once('.').map_or("", |(table, _)| table);
        }
    }
}

fn read_file(path: &Path) -> Result<String, Fault> {
    let failed = |error: std::io::Error| {
        let instead = match error.kind() {
            std::io::ErrorKind::NotFound => "write one: inkan check-config --example > FILE",
            std::io::ErrorKind::PermissionDenied => "run as the daemon's user, or make it readable",
            _ => "look at the file",
        };
        Fault::error("", format!("{}: {error}", path.display()), instead)
    };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > MAX_FILE_BYTES {
        let wrong = format!("{} has {length} octets", path.display());
        return Err(Fault::error("", wrong, "this is no configuration of Inkan"));
    }
    std::fs::read_to_string(path).map_err(failed)
}

fn http_uri<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Uri, D::Error> {
    use serde::de::Error;
    let text = String::deserialize(deserializer)?;
    let uri: Option<Uri> = text.parse().ok();
    uri.filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some()).ok_or_else(|| {
        D::Error::custom(
            "only http:// URLs are fetched: lists are signed, the transport need not be trusted",
        )
    })
}

fn two_minutes() -> u64 {
    120
}

#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod tests;
