//! NIST PKITS 1.0.1, as `run_pkits.py` sends it.

use super::Refusal;
use super::Verdict;
use attest::clock::UnixSeconds;
use attest::path::Certificate;
use attest::path::CertvalValidator;
use attest::path::PathRequest;
use attest::path::PathValidator;
use attest::path::PolicySettings;
use attest::path::Revocation;
use attest::path::TrustAnchor;
use attest::revocation::CrlLimits;
use attest::revocation::CrlStore;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::asn1::ObjectIdentifier;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// One run.
#[derive(Clone, Debug, Deserialize)]
pub struct PkitsCase {
    /// `4.1.1`
    pub id: String,
    /// Title of the test.
    pub title: String,
    time: String,
    trust_anchor: String,
    certs: Vec<String>,
    crls: Vec<String>,
    initial_policy_set: Vec<String>,
    initial_explicit_policy: bool,
    initial_policy_mapping_inhibit: bool,
    initial_inhibit_any_policy: bool,
}

impl PkitsCase {
    /// Validates the last certificate. Intermediates and lists are offered as they come; what is refused is not there.
    pub fn run(&self, validator: &CertvalValidator) -> Verdict {
        let at = unix_seconds(&self.time)?;
        let anchor = TrustAnchor::from_der(&decode(&self.trust_anchor)?)?;
        let [intermediates @ .., target] = self.certs.as_slice() else {
            return Err(Refusal::new("case", "no target"));
        };
        let target = Arc::new(Certificate::from_der(&decode(target)?)?);
        let intermediates: Vec<Arc<Certificate>> = intermediates
            .iter()
            .filter_map(|der| Certificate::from_der(&decode(der).ok()?).ok().map(Arc::new))
            .collect();
        let lists = self.lists(&anchor, &intermediates, at)?;
        let policies = self.policies()?;
        let request = PathRequest {
            anchors: &[anchor],
            intermediates: &intermediates,
            target: &target,
            at,
            policies: &policies,
            revocation: Revocation::Lists(&lists),
        };
        validator.validate(&request)?;
        Ok(())
    }

    fn lists(
        &self,
        anchor: &TrustAnchor,
        intermediates: &[Arc<Certificate>],
        at: UnixSeconds,
    ) -> Result<CrlStore, Refusal> {
        // The suite's lists run for 20 years.
        let limits = CrlLimits { max_age_seconds: u64::MAX, ..CrlLimits::default() };
        let mut lists = CrlStore::new(limits, &[]).ok_or_else(|| Refusal::new("case", "floors"))?;
        for crl in &self.crls {
            let cas = intermediates.iter().chain([anchor.certificate()]).map(AsRef::as_ref);
            // A refused list is a list that is not there; why is not this suite's question.
            let _ = lists.accept(&decode(crl)?, cas, at);
        }
        Ok(lists)
    }

    fn policies(&self) -> Result<PolicySettings, Refusal> {
        let oid = |text: &String| ObjectIdentifier::new(text).map_err(|e| Refusal::new("case", e));
        Ok(PolicySettings {
            initial_set: self.initial_policy_set.iter().map(oid).collect::<Result<_, _>>()?,
            explicit: self.initial_explicit_policy,
            inhibit_mapping: self.initial_policy_mapping_inhibit,
            inhibit_any: self.initial_inhibit_any_policy,
        })
    }
}

/// Every run of the suite with its expected result, from its folder.
pub fn load(folder: &Path) -> Result<Vec<(PkitsCase, bool)>, String> {
    let json = std::fs::read_to_string(folder.join("pkits.json")).map_err(|e| e.to_string())?;
    let suite: Suite = serde_json::from_str(&json).map_err(|e| e.to_string())?;
    suite.testcases.iter().map(|case| suite.case(folder, case)).collect()
}

#[derive(Deserialize)]
struct Suite {
    time: String,
    policy_oids: BTreeMap<String, String>,
    testcases: Vec<SuiteCase>,
}

#[derive(Deserialize)]
struct SuiteCase {
    id: String,
    title: String,
    certs: Vec<String>,
    crls: Vec<String>,
    initial_policy_set: Vec<String>,
    initial_explicit_policy: bool,
    initial_policy_mapping_inhibit: bool,
    initial_inhibit_any_policy: bool,
    should_validate: bool,
}

impl Suite {
    fn case(&self, folder: &Path, case: &SuiteCase) -> Result<(PkitsCase, bool), String> {
        let read = |name: String| std::fs::read(folder.join(name)).map(|der| STANDARD.encode(der));
        let file = |name: String| read(name.clone()).map_err(|error| format!("{name}: {error}"));
        let certs = case.certs.iter().map(|name| file(format!("certs/{name}.crt")));
        let mut certs = certs.collect::<Result<Vec<_>, _>>()?;
        let crls = case.crls.iter().map(|name| file(format!("crls/{name}.crl")));
        let oids = case.initial_policy_set.iter().map(|name| {
            self.policy_oids.get(name).cloned().ok_or_else(|| format!("unknown policy {name}"))
        });
        let whole = PkitsCase {
            id: case.id.clone(),
            title: case.title.clone(),
            time: self.time.clone(),
            trust_anchor: certs.remove(0),
            crls: crls.collect::<Result<_, _>>()?,
            certs,
            initial_policy_set: oids.collect::<Result<_, _>>()?,
            initial_explicit_policy: case.initial_explicit_policy,
            initial_policy_mapping_inhibit: case.initial_policy_mapping_inhibit,
            initial_inhibit_any_policy: case.initial_inhibit_any_policy,
        };
        Ok((whole, case.should_validate))
    }
}

/// Whole seconds of an RFC 3339 time; a fraction is cut off.
pub(super) fn unix_seconds(text: &str) -> Result<UnixSeconds, Refusal> {
    let time =
        OffsetDateTime::parse(text, &Rfc3339).map_err(|error| Refusal::new("case", error))?;
    u64::try_from(time.unix_timestamp())
        .map(UnixSeconds)
        .map_err(|error| Refusal::new("case", error))
}

fn decode(text: &str) -> Result<Vec<u8>, Refusal> {
    STANDARD.decode(text).map_err(|error| Refusal::new("case", error))
}
