//! A wildcard host name against excluded host names, which certval compares as if it were one host.
//!
//! `*.example.com` stands for `bar.example.com` as well, so it is refused where that is excluded (CVE-2025-61727 was this
//! mistake elsewhere).

use super::Certificate;
use super::PathError;
use super::Place;
use const_oid::db::rfc5912;
use der::Decode;
use std::sync::Arc;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Checks the leaf's wildcards against what any CA above it excludes.
pub(super) fn check(
    anchor: &Certificate,
    certificates: &[Arc<Certificate>],
) -> Result<(), PathError> {
    let [issuers @ .., leaf] = certificates else { return Ok(()) };
    let wildcards = wildcards(leaf);
    if wildcards.is_empty() {
        return Ok(());
    }
    let issuers = issuers.iter().map(AsRef::as_ref).chain([anchor]);
    let excluded: Vec<String> = issuers.flat_map(excluded_hosts).collect();
    let stands_for = |parent: &String| {
        excluded.iter().any(|host| {
            host.strip_suffix(parent.as_str()).is_some_and(|label| label.ends_with('.'))
        })
    };
    match wildcards.iter().any(stands_for) {
        true => Err(PathError::NameConstraints(Place::Leaf)),
        false => Ok(()),
    }
}

/// What follows `*.` in each wildcard of the subject alternative names, lower case.
fn wildcards(leaf: &Certificate) -> Vec<String> {
    let names = leaf
        .extension(&rfc5912::ID_CE_SUBJECT_ALT_NAME)
        .and_then(|(_, value)| SubjectAltName::from_der(value).ok())
        .map(|names| names.0)
        .unwrap_or_default();
    let wildcard = |name: &GeneralName| match name {
        GeneralName::DnsName(host) => host.as_str().strip_prefix("*.").map(str::to_ascii_lowercase),
        _ => None,
    };
    names.iter().filter_map(wildcard).collect()
}

fn excluded_hosts(issuer: &Certificate) -> Vec<String> {
    let subtrees = issuer.name_constraints().and_then(|all| all.excluded_subtrees);
    let host = |name: &GeneralName| match name {
        GeneralName::DnsName(host) => Some(host.as_str().to_ascii_lowercase()),
        _ => None,
    };
    subtrees.unwrap_or_default().iter().filter_map(|subtree| host(&subtree.base)).collect()
}
