//! Rules of RFC 5280 §4 that bind issuers and that path validation (§6) does not look at.
//!
//! A CA that breaks them is not the CA it should be, or the certificate was made by somebody who only hoped to be one.
//! Each rule is named in the refusal, so that an operator can take it to the CA.

use super::Certificate;
use super::PathError;
use super::Place;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use der::Decode;
use x509_cert::certificate::Version;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::constraints::name::GeneralSubtrees;
use x509_cert::ext::pkix::name::GeneralName;

/// Content octets of a serial number: 20, and one more where the sign needs it.
pub(super) const MAX_SERIAL_BYTES: usize = 21;

/// Checks one certificate of a path.
///
/// # Errors
/// [`PathError::Profile`] with the rule, or [`PathError::MalformedExtension`].
pub(super) fn check(certificate: &Certificate, place: &Place) -> Result<(), PathError> {
    match broken_rule(certificate, place) {
        None => Ok(()),
        Some(Broken::Rule(rule)) => Err(PathError::Profile { place: place.clone(), rule }),
        Some(Broken::Unreadable) => Err(PathError::MalformedExtension(place.clone())),
    }
}

enum Broken {
    Rule(&'static str),
    Unreadable,
}

fn broken_rule(certificate: &Certificate, place: &Place) -> Option<Broken> {
    let rules = [
        envelope(certificate, place),
        key_identifiers(certificate, place),
        ca_marks(certificate, place),
        criticality(certificate),
    ];
    if let Some(rule) = rules.into_iter().flatten().next() {
        return Some(Broken::Rule(rule));
    }
    alternative_names(certificate)
}

/// §4.1.2: version, serial number, names. Anchors are spared the rules for serial numbers: old roots have 0.
fn envelope(certificate: &Certificate, place: &Place) -> Option<&'static str> {
    let serial = certificate.serial();
    let negative = serial.first().is_some_and(|first| first & 0x80 != 0);
    let zero = serial.iter().all(|octet| *octet == 0);
    if certificate.tbs().version() != Version::V3 {
        return Some("the version must be 3 (§4.1.2.1)");
    }
    if *place != Place::Anchor {
        if negative || zero {
            return Some("the serial number must be positive (§4.1.2.2)");
        }
        let sign = serial.len() == MAX_SERIAL_BYTES && serial.first() == Some(&0);
        if serial.len() >= MAX_SERIAL_BYTES && !sign {
            return Some("the serial number must not be longer than 20 octets (§4.1.2.2)");
        }
    }
    if certificate.issuer().is_empty() {
        return Some("the issuer must be named (§4.1.2.4)");
    }
    (certificate.is_ca() && certificate.subject().is_empty())
        .then_some("the subject of a CA must be named (§4.1.2.6)")
}

/// §4.2.1.1, §4.2.1.2.
fn key_identifiers(certificate: &Certificate, place: &Place) -> Option<&'static str> {
    if *place != Place::Anchor && certificate.authority_key_id().is_none() {
        return Some("the authority key identifier must be present (§4.2.1.1)");
    }
    (certificate.is_ca() && certificate.subject_key_id().is_none())
        .then_some("a CA must have a subject key identifier (§4.2.1.2)")
}

/// §4.2.1.3, §4.2.1.9, §4.2.1.10, §4.2.1.12.
fn ca_marks(certificate: &Certificate, place: &Place) -> Option<&'static str> {
    let is_ca = certificate.is_ca();
    let signs_certificates = certificate.key_usage().is_some_and(|usage| usage.key_cert_sign());
    if signs_certificates && !is_ca {
        return Some("keyCertSign is for CAs only (§4.2.1.3)");
    }
    if let Some(constraints) = certificate.name_constraints() {
        if !is_ca {
            return Some("name constraints are for CAs only (§4.2.1.10)");
        }
        let none = |subtrees: &Option<GeneralSubtrees>| subtrees.as_ref().is_none_or(Vec::is_empty);
        if none(&constraints.permitted_subtrees) && none(&constraints.excluded_subtrees) {
            return Some("name constraints must not be empty (§4.2.1.10)");
        }
    }
    let path_len = certificate
        .extension(&rfc5912::ID_CE_BASIC_CONSTRAINTS)
        .and_then(|(_, value)| BasicConstraints::from_der(value).ok())
        .and_then(|constraints| constraints.path_len_constraint);
    if path_len.is_some() && !is_ca {
        return Some("pathLenConstraint is for CAs only (§4.2.1.9)");
    }
    if certificate.extended_key_usage().is_some_and(|usages| usages.is_empty()) {
        return Some("extendedKeyUsage must not be empty (§4.2.1.12)");
    }
    // In intermediates it is read either way, as CAs of RFC 3280's time and PKITS 4.6.4 have it.
    let uncritical = certificate
        .extension(&rfc5912::ID_CE_BASIC_CONSTRAINTS)
        .is_some_and(|(critical, _)| !critical);
    (*place == Place::Anchor && uncritical)
        .then_some("basicConstraints of a trust anchor must be critical (§4.2.1.9)")
}

/// Criticality that §4.2 prescribes.
fn criticality(certificate: &Certificate) -> Option<&'static str> {
    const NEVER: [(ObjectIdentifier, &str); 3] = [
        (
            rfc5912::ID_CE_AUTHORITY_KEY_IDENTIFIER,
            "the authority key identifier must not be critical (§4.2.1.1)",
        ),
        (
            rfc5912::ID_CE_SUBJECT_KEY_IDENTIFIER,
            "the subject key identifier must not be critical (§4.2.1.2)",
        ),
        (
            rfc5912::ID_PE_AUTHORITY_INFO_ACCESS,
            "authority information access must not be critical (§4.2.2.1)",
        ),
    ];
    const ALWAYS: [(ObjectIdentifier, &str); 2] = [
        (rfc5912::ID_CE_NAME_CONSTRAINTS, "name constraints must be critical (§4.2.1.10)"),
        (rfc5912::ID_CE_INHIBIT_ANY_POLICY, "inhibitAnyPolicy must be critical (§4.2.1.14)"),
    ];
    let is = |oid: &ObjectIdentifier, wanted: bool| {
        certificate.extension(oid).is_some_and(|(critical, _)| critical == wanted)
    };
    // RFC 3280 left it open, and PKITS 4.8 to 4.12 has it so in CAs that name policies. Where no policy is named, a reader
    // who passes over the constraint and one who does not come to different ends.
    if is(&rfc5912::ID_CE_POLICY_CONSTRAINTS, false) && certificate.policies().is_empty() {
        return Some("policy constraints must be critical (§4.2.1.11)");
    }
    let never = NEVER.iter().find(|(oid, _)| is(oid, true));
    never.or_else(|| ALWAYS.iter().find(|(oid, _)| is(oid, false))).map(|(_, rule)| *rule)
}

/// §4.2.1.6: a name somewhere, and host names in the preferred syntax.
fn alternative_names(certificate: &Certificate) -> Option<Broken> {
    let Some((critical, value)) = certificate.extension(&rfc5912::ID_CE_SUBJECT_ALT_NAME) else {
        return certificate
            .subject()
            .is_empty()
            .then_some(Broken::Rule("a certificate must name its subject (§4.1.2.6)"));
    };
    let Ok(names) = SubjectAltName::from_der(value) else {
        return Some(Broken::Unreadable);
    };
    if certificate.subject().is_empty() && !critical {
        return Some(Broken::Rule(
            "subjectAltName must be critical where the subject is empty (§4.2.1.6)",
        ));
    }
    let strange = |name: &GeneralName| match name {
        GeneralName::DnsName(host) => !is_host_name(host.as_str()),
        _ => false,
    };
    names
        .0
        .iter()
        .any(strange)
        .then_some(Broken::Rule("a dNSName must be a host name in the preferred syntax (§4.2.1.6)"))
}

/// RFC 1034 §3.5 as RFC 1123 §2.1 changed it, with a leading wildcard label; no IPv4 address.
fn is_host_name(host: &str) -> bool {
    let host = host.strip_prefix("*.").unwrap_or(host);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last_is_number = host
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|octet| octet.is_ascii_digit()));
    host.len() <= 253 && host.split('.').all(label) && !last_is_number
}
