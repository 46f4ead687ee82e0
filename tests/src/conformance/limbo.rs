//! C2SP x509-limbo, as `run_limbo.py` sends it.
//!
//! Names of servers, depth limits and extended key usages are no matter of [`attest::path`]; the suite asks for them, so
//! they are checked here beside the path.

use super::Refusal;
use super::Verdict;
use super::pkits::unix_seconds;
use attest::clock::UnixSeconds;
use attest::path::Certificate;
use attest::path::CertvalValidator;
use attest::path::PathRequest;
use attest::path::PathValidator;
use attest::path::PolicySettings;
use attest::path::Revocation;
use attest::path::TrustAnchor;
use attest::path::ValidPath;
use attest::revocation::CrlLimits;
use attest::revocation::CrlStore;
use der::Decode;
use der::asn1::ObjectIdentifier;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// One case. Fields that are not read here are left out.
#[derive(Clone, Debug, Deserialize)]
pub struct LimboCase {
    /// `rfc5280::nc::permitted-dns-match`
    pub id: String,
    /// What the suite says about it.
    #[serde(default)]
    pub description: String,
    validation_kind: String,
    trusted_certs: Vec<String>,
    untrusted_intermediates: Vec<String>,
    peer_certificate: String,
    validation_time: Option<String>,
    #[serde(default)]
    key_usage: Vec<String>,
    expected_peer_name: Option<PeerName>,
    max_chain_depth: Option<usize>,
    #[serde(default)]
    crls: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct PeerName {
    kind: String,
    value: String,
}

impl LimboCase {
    /// Validates the peer's certificate. Anchors and intermediates that are refused are not there.
    pub fn run(&self, validator: &CertvalValidator) -> Verdict {
        let at = match &self.validation_time {
            Some(time) => unix_seconds(time)?,
            None => UnixSeconds::from(SystemTime::now()),
        };
        let anchors: Vec<_> = self
            .trusted_certs
            .iter()
            .filter_map(|pem| TrustAnchor::from_der(&certificate(pem).ok()?).ok())
            .collect();
        let intermediates: Vec<_> = self
            .untrusted_intermediates
            .iter()
            .filter_map(|pem| Certificate::from_der(&certificate(pem).ok()?).ok().map(Arc::new))
            .collect();
        let target = Arc::new(Certificate::from_der(&certificate(&self.peer_certificate)?)?);
        let lists = self.lists(&anchors, &intermediates, at)?;
        let any = ObjectIdentifier::new_unwrap("2.5.29.32.0");
        let policies = PolicySettings {
            initial_set: vec![any],
            explicit: false,
            inhibit_mapping: false,
            inhibit_any: false,
        };
        let request = PathRequest {
            anchors: &anchors,
            intermediates: &intermediates,
            target: &target,
            at,
            policies: &policies,
            revocation: lists.as_ref().map_or(Revocation::DangerUnchecked, Revocation::Lists),
        };
        let path = validator.validate(&request)?;
        self.check_depth(&path)?;
        self.check_usages(&target)?;
        self.check_name(&target)
    }

    fn lists(
        &self,
        anchors: &[TrustAnchor],
        intermediates: &[Arc<Certificate>],
        at: UnixSeconds,
    ) -> Result<Option<CrlStore>, Refusal> {
        if self.crls.is_empty() {
            return Ok(None);
        }
        let limits = CrlLimits { max_age_seconds: u64::MAX, ..CrlLimits::default() };
        let mut lists = CrlStore::new(limits, &[]).ok_or_else(|| Refusal::new("case", "floors"))?;
        for pem in &self.crls {
            let crl = CertificateRevocationListDer::from_pem_slice(pem.as_bytes())
                .map_err(|error| Refusal::new("case", error))?;
            let anchors = anchors.iter().map(|anchor| anchor.certificate().as_ref());
            let _ = lists.accept(&crl, anchors.chain(intermediates.iter().map(AsRef::as_ref)), at);
        }
        Ok(Some(lists))
    }

    /// Intermediates that are not self-issued, as RFC 5280 counts them.
    fn check_depth(&self, path: &ValidPath) -> Verdict {
        let Some(depth) = self.max_chain_depth else { return Ok(()) };
        let issuers = path.certificates.len().saturating_sub(1);
        let counted =
            path.certificates.iter().take(issuers).filter(|one| !one.is_self_issued()).count();
        match counted <= depth {
            true => Ok(()),
            false => Err(Refusal::new("depth", counted)),
        }
    }

    fn check_usages(&self, target: &Certificate) -> Verdict {
        let wanted = match self.validation_kind.as_str() {
            "CLIENT" => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2"),
            _ => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"),
        };
        if target.extended_key_usage().is_some_and(|usages| !usages.contains(&wanted)) {
            return Err(Refusal::new("extended_key_usage", "other usages"));
        }
        let wants_signature = self.key_usage.iter().any(|usage| usage == "digitalSignature");
        let has_signature = target.key_usage().is_none_or(|usage| usage.digital_signature());
        match wants_signature && !has_signature {
            true => Err(Refusal::new("key_usage", "no digitalSignature")),
            false => Ok(()),
        }
    }

    fn check_name(&self, target: &Certificate) -> Verdict {
        let Some(peer) = &self.expected_peer_name else { return Ok(()) };
        let oid = ObjectIdentifier::new_unwrap("2.5.29.17");
        let names = target
            .extension(&oid)
            .and_then(|(_, value)| SubjectAltName::from_der(value).ok())
            .map(|names| names.0)
            .unwrap_or_default();
        let matches = |name: &GeneralName| match (peer.kind.as_str(), name) {
            ("DNS", GeneralName::DnsName(pattern)) => host_matches(pattern.as_str(), &peer.value),
            ("IP", GeneralName::IpAddress(octets)) => {
                let wanted = peer.value.parse::<IpAddr>().ok();
                wanted.is_some_and(|wanted| match wanted {
                    IpAddr::V4(wanted) => wanted.octets() == octets.as_bytes(),
                    IpAddr::V6(wanted) => wanted.octets() == octets.as_bytes(),
                })
            }
            _ => false,
        };
        match names.iter().any(matches) {
            true => Ok(()),
            false => Err(Refusal::new("peer_name", &peer.value)),
        }
    }
}

/// RFC 9525 §6.3: the whole leftmost label may be a wildcard.
fn host_matches(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.to_ascii_lowercase(), host.to_ascii_lowercase());
    match pattern.strip_prefix("*.") {
        Some(parent) => {
            parent.contains('.') && host.split_once('.').is_some_and(|(_, rest)| rest == parent)
        }
        None => pattern == host,
    }
}

/// Every case of the suite with its expected result.
pub fn load(file: &Path) -> Result<Vec<(LimboCase, bool)>, String> {
    let json = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let suite: Suite = serde_json::from_str(&json).map_err(|error| error.to_string())?;
    Ok(suite.testcases.into_iter().map(|c| (c.case, c.expected_result == "SUCCESS")).collect())
}

#[derive(Deserialize)]
struct Suite {
    testcases: Vec<SuiteCase>,
}

#[derive(Deserialize)]
struct SuiteCase {
    #[serde(flatten)]
    case: LimboCase,
    expected_result: String,
}

fn certificate(pem: &str) -> Result<Vec<u8>, Refusal> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map(|der| der.to_vec())
        .map_err(|error| Refusal::new("case", error))
}
