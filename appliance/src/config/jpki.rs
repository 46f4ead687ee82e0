//! My Number cards at sign-in: who says whether a card's certificate is valid.

use crate::config::CrlSource;
use crate::config::Fault;
use crate::config::http_uri;
use crate::config::named_files::Named;
use crate::config::named_files::Purpose;
use attest::judge::JpkiProfile;
use attest::validity::CertIdHash;
use attest::validity::MAX_CACHE_SECONDS;
use http::Uri;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// My Number cards at sign-in.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jpki {
    /// What links to its listener begin with; made of the listener's first host name and port when left out.
    pub origin: Option<String>,
    /// What a card's certificate must look like: published in part only, therefore told.
    pub profile: JpkiProfile,
    /// Who says whether a card's certificate is valid. Without it every My Number card is refused.
    pub validity: Option<Validity>,
}

/// Who says whether a card's certificate is valid. The tables of the kinds that are not chosen may stay: they are not read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validity {
    /// Which of them is asked.
    pub kind: ValidityKind,
    /// Seconds for which an answer of a responder or service is remembered at most.
    #[serde(default = "ten_minutes")]
    pub cache_seconds: u64,
    /// Milliseconds for one answer of a responder or service, waiting and a second try included.
    #[serde(default = "three_seconds")]
    pub timeout_ms: u64,
    /// For `crl`: revocation lists of every generation and place, by target id.
    #[serde(default)]
    pub crls: BTreeMap<String, CrlSource>,
    /// For `ocsp`: the responder.
    #[serde(default)]
    pub ocsp: Option<OcspResponder>,
    /// For `http`: the service of a platform operator.
    #[serde(default)]
    pub http: Option<HttpService>,
}

/// Which kind of provider is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValidityKind {
    /// Revocation lists.
    Crl,
    /// An OCSP responder.
    Ocsp,
    /// The service of a platform operator, by the contract of `JPKI-PROVIDER.md`.
    Http,
}

/// An OCSP responder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OcspResponder {
    /// An `http` URL. Answers are signed, so the transport need not be trusted.
    #[serde(deserialize_with = "http_uri")]
    pub url: Uri,
    /// What certificates are named with.
    #[serde(default)]
    pub certificate_id_hash: CertIdHash,
    /// Whether each answer must be made for the question.
    #[serde(default = "yes")]
    pub nonce: bool,
}

/// The service of a platform operator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpService {
    /// An `https` URL.
    #[serde(deserialize_with = "https_uri")]
    pub url: Uri,
    /// The only authorities that the service's certificate may come from, PEM.
    pub ca: PathBuf,
    /// The appliance's certificate for the service, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// The provider that was chosen, with what it needs.
pub enum ValidityProvider<'c> {
    /// Revocation lists.
    Crl(&'c BTreeMap<String, CrlSource>),
    /// An OCSP responder.
    Ocsp(&'c OcspResponder),
    /// The service of a platform operator.
    Http(&'c HttpService),
}

impl Validity {
    /// The one that was chosen; none where its table is missing, which `check` says.
    pub fn provider(&self) -> Option<ValidityProvider<'_>> {
        match self.kind {
            ValidityKind::Crl => Some(ValidityProvider::Crl(&self.crls)),
            ValidityKind::Ocsp => self.ocsp.as_ref().map(ValidityProvider::Ocsp),
            ValidityKind::Http => self.http.as_ref().map(ValidityProvider::Http),
        }
    }

    /// Time for one answer.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl Jpki {
    fn provider(&self) -> Option<ValidityProvider<'_>> {
        self.validity.as_ref().and_then(Validity::provider)
    }

    /// The revocation lists that are asked, if it is lists.
    pub fn crls(&self) -> Option<&BTreeMap<String, CrlSource>> {
        match self.provider() {
            Some(ValidityProvider::Crl(crls)) => Some(crls),
            Some(ValidityProvider::Ocsp(_) | ValidityProvider::Http(_)) | None => None,
        }
    }

    /// The service that is asked, if it is one.
    pub fn http_service(&self) -> Option<&HttpService> {
        match self.provider() {
            Some(ValidityProvider::Http(service)) => Some(service),
            Some(ValidityProvider::Crl(_) | ValidityProvider::Ocsp(_)) | None => None,
        }
    }
}

/// The files of the service that is asked.
pub fn named_files(jpki: &Jpki) -> Vec<Named<'_>> {
    let Some(service) = jpki.http_service() else {
        return Vec::new();
    };
    let files = [
        ("ca", service.ca.as_path(), Purpose::CaBundle),
        ("certificate", &service.certificate, Purpose::Certificate),
        ("key", &service.key, Purpose::Key),
    ];
    let named = |(name, path, purpose)| Named { key: format!("{HTTP}.{name}"), path, purpose };
    files.map(named).into()
}

/// Every fault between its values.
pub fn check(jpki: &Jpki, faults: &mut Vec<Fault>) {
    let Some(validity) = &jpki.validity else {
        return;
    };
    if validity.provider().is_none() {
        let table = match validity.kind {
            ValidityKind::Crl => "crls",
            ValidityKind::Ocsp => "ocsp",
            ValidityKind::Http => "http",
        };
        faults.push(Fault::error(
            "jpki.validity.kind",
            format!("the table [jpki.validity.{table}] is missing, so nobody could be asked"),
            "write it; `inkan check-config --example` has one",
        ));
    }
    let ranges = [
        ("jpki.validity.cache_seconds", validity.cache_seconds, 0, MAX_CACHE_SECONDS),
        ("jpki.validity.timeout_ms", validity.timeout_ms, 100, MAX_TIMEOUT_MS),
    ];
    for (key, value, least, most) in ranges {
        faults.extend(Fault::out_of_range(key, value, least, most));
    }
}

/// Key path of the service's table.
pub const HTTP: &str = "jpki.validity.http";
/// A person waits for it.
const MAX_TIMEOUT_MS: u64 = 10_000;

fn https_uri<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Uri, D::Error> {
    use serde::de::Error;
    let text = String::deserialize(deserializer)?;
    let uri: Option<Uri> = text.parse().ok();
    uri.filter(|uri| uri.scheme_str() == Some("https") && uri.host().is_some()).ok_or_else(|| {
        D::Error::custom(
            "only https:// URLs are asked: the answers are not signed, TLS stands for them",
        )
    })
}

fn ten_minutes() -> u64 {
    600
}

fn three_seconds() -> u64 {
    3_000
}

fn yes() -> bool {
    true
}
