//! Public conformance suites against our path validator: NIST PKITS and C2SP x509-limbo.
//!
//! Each runs in process over `../shared/vectors` (or `$INKAN_VECTORS`), and case by case through the `path-adapter` binary,
//! which speaks the protocol of the suites' own runners.

mod limbo;
mod pkits;

pub use limbo::LimboCase;
pub use limbo::load as load_limbo;
pub use pkits::PkitsCase;
pub use pkits::load as load_pkits;

use attest::path::CertvalValidator;
use std::path::PathBuf;

/// One case as a runner sends it.
pub enum Case {
    /// PKITS.
    Pkits(Box<PkitsCase>),
    /// x509-limbo.
    Limbo(Box<LimboCase>),
}

impl Case {
    /// Reads the JSON object of either suite; they are told apart by their fields.
    pub fn from_json(json: &str) -> Result<Self, String> {
        let value: serde_json::Value =
            serde_json::from_str(json).map_err(|error| error.to_string())?;
        let case = if value.get("trust_anchor").is_some() {
            serde_json::from_value(value).map(|case| Self::Pkits(Box::new(case)))
        } else {
            serde_json::from_value(value).map(|case| Self::Limbo(Box::new(case)))
        };
        case.map_err(|error| error.to_string())
    }

    /// Runs it.
    pub fn run(&self, validator: &CertvalValidator) -> Verdict {
        match self {
            Self::Pkits(case) => case.run(validator),
            Self::Limbo(case) => case.run(validator),
        }
    }
}

/// What our validator says: accepted, or a code word and a sentence.
pub type Verdict = Result<(), Refusal>;

/// Why a case was refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Stable word.
    pub code: String,
    /// Sentence.
    pub text: String,
}

impl Refusal {
    fn new(code: &str, text: impl ToString) -> Self {
        Self { code: code.to_owned(), text: text.to_string() }
    }
}

impl From<attest::path::PathError> for Refusal {
    fn from(error: attest::path::PathError) -> Self {
        Self::new(error.code(), &error)
    }
}

impl From<attest::path::CertificateFault> for Refusal {
    fn from(fault: attest::path::CertificateFault) -> Self {
        attest::path::PathError::Malformed(fault).into()
    }
}

/// A file or folder of the vectors, if they are on this machine.
pub fn vectors(name: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("INKAN_VECTORS") {
        Some(root) => PathBuf::from(root),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
    };
    let path = root.join(name);
    path.exists().then_some(path)
}
