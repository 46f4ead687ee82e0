//! What went wrong at the command line, in plain words, with the next command to type.

use crate::config::ConfigFaults;
use crate::daemon::StartError;
use crate::provision::ProvisionError;
use crate::x509::X509Error;
use hsm::HsmError;
use std::path::Path;
use std::path::PathBuf;

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A setting that every request needs.
    #[error("{what} is not given")]
    NotGiven {
        /// What.
        what: &'static str,
        /// Flag and environment variable.
        how: &'static str,
    },
    /// A value that cannot be meant.
    #[error("{0}")]
    Wrong(String),
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate file.
    #[error("{path}: {source}")]
    Certificate {
        /// Which.
        path: PathBuf,
        /// Why.
        source: X509Error,
    },
    /// Client certificate or key that TLS cannot use.
    #[error("the operator certificate cannot be used: {0}")]
    Identity(String),
    /// Nobody answers.
    #[error("{url} does not answer: {reason}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
    /// The answer broke off or is none of ours.
    #[error("the answer of {url} cannot be understood: {reason}")]
    Answer {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
    /// The appliance said no.
    #[error("{}", .0.sentence())]
    Refused(Refusal),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigFaults),
    /// The ceremony.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// Standard output or a file of results.
    #[error("the result could not be written: {0}")]
    Output(#[from] std::io::Error),
    /// Something was checked and found bad; all of it was printed.
    #[error("{0}")]
    Found(String),
}

/// `application/problem+json` as far as people need it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub struct Refusal {
    /// Stable code.
    pub code: String,
    /// Public sentence, English.
    #[serde(default)]
    pub title: String,
    /// The same in every language.
    #[serde(default)]
    pub text: Sentences,
    /// What exactly was wrong.
    #[serde(default)]
    pub detail: Option<String>,
    /// Leads to the log.
    #[serde(default)]
    pub request_id: String,
}

/// A public sentence by language.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub struct Sentences {
    /// Japanese.
    #[serde(default)]
    pub ja: String,
}

impl Refusal {
    fn sentence(&self) -> String {
        let title = match speaks_japanese() && !self.text.ja.is_empty() {
            true => &self.text.ja,
            false => &self.title,
        };
        let detail = self.detail.as_deref().map(|detail| format!(" {detail}")).unwrap_or_default();
        format!("{title}{detail} ({}, request {})", self.code, self.request_id)
    }
}

impl CliError {
    /// What to type or do next.
    pub fn next(&self) -> Option<String> {
        let next = match self {
            Self::NotGiven { how, .. } => return Some((*how).to_owned()),
            Self::Unreachable { reason, .. } => return Some(unreachable(reason).to_owned()),
            Self::Refused(refusal) => return after_refusal(&refusal.code).map(str::to_owned),
            Self::File { path, source } => return Some(after_file(path, source)),
            Self::Identity(_) => {
                "openssl x509 -in FILE -noout -subject -enddate   (is it the right file?)"
            }
            Self::Answer { .. } => "inkan doctor   (is this the address of the admin listener?)",
            Self::Provision(ProvisionError::AlreadyProvisioned) => "inkan operator list",
            Self::Provision(ProvisionError::TooFewOfficers) => {
                "inkan init ... --operator ID:security_officer:FILE   (once for each of them)"
            }
            Self::Provision(ProvisionError::Start(StartError::Hsm(error))) => after_token(error),
            Self::Provision(ProvisionError::Start(StartError::StoreLost(_))) => {
                "put the store back from the backup, then: systemctl restart inkan"
            }
            Self::Provision(_) => "inkan check-config FILE   (and correct what it names)",
            Self::Config(_) => "inkan check-config FILE   (says more, warnings included)",
            Self::Certificate { .. } => {
                "openssl x509 -in FILE -noout -subject   (is it a certificate?)"
            }
            Self::Wrong(_) | Self::Output(_) | Self::Found(_) => return None,
        };
        Some(next.to_owned())
    }
}

fn after_file(path: &Path, source: &std::io::Error) -> String {
    match source.kind() {
        std::io::ErrorKind::PermissionDenied => {
            format!("ls -l {}   (may you use it?)", path.display())
        }
        _ => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            format!("ls -l {}   (is it there, under this name?)", folder.display())
        }
    }
}

fn after_token(error: &HsmError) -> &'static str {
    match error {
        HsmError::PinRefused(_) => {
            "put the right PIN into hsm.pin_file or the credential hsm-pin, then the same command again; it is tried once"
        }
        _ => "pkcs11-tool --module MODULE --list-slots   (is the token of hsm.token there?)",
    }
}

fn unreachable(reason: &str) -> &'static str {
    match reason {
        _ if reason.contains("refused") => {
            "systemctl status inkan   (is it running, and is this its admin port?)"
        }
        _ if reason.contains("UnknownIssuer") => {
            "inkan --server-ca FILE ...   (the CA that issued the appliance's own certificate)"
        }
        _ if reason.contains("NotValidForName") => {
            "inkan --admin-url https://NAME:PORT ...   (a name that is in the appliance's certificate)"
        }
        _ if reason.contains("alert") || reason.contains("Alert") => {
            "inkan --cert FILE --key FILE ...   (an operator's certificate that its listener accepts)"
        }
        _ => "inkan doctor",
    }
}

fn after_refusal(code: &str) -> Option<&'static str> {
    match code {
        "client_unknown" => Some(
            "inkan operator list   (as another operator: is your certificate's SHA-256 among them?)",
        ),
        "not_operational" => Some("inkan doctor"),
        "misdirected_request" => Some(
            "inkan --admin-url https://NAME:PORT ...   (a name of listeners.admin.host_names, and its port)",
        ),
        "holder_disabled" => Some("inkan holder list"),
        "proposal_unknown" => Some("inkan proposals"),
        "holder_unknown" => Some("inkan holder list"),
        "credential_unknown" => Some("inkan key list"),
        "session_unknown" => Some("inkan session list"),
        "revocation_unavailable" => Some("inkan doctor   (which revocation list is missing?)"),
        "hsm_unavailable" | "audit_unavailable" => Some("inkan status"),
        _ => None,
    }
}

/// Whether the person's terminal is set to Japanese.
pub fn speaks_japanese() -> bool {
    let set = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(std::env::var_os);
    set.is_some_and(|locale| locale.to_string_lossy().starts_with("ja"))
}
