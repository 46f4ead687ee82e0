//! Client certificates of signing systems and operators: each belongs to exactly one of them.

use crate::admin::refusal;
use crate::x509;
use crate::x509::Facts;
use api::problem::Problem;
use attest::clock::UnixSeconds;
use attest::records::Fingerprint;
use attest::registry::Registry;

/// A client certificate as it is registered.
pub(super) struct ClientCertificate {
    /// SHA-256 of it.
    pub fingerprint: Fingerprint,
    /// Subject and end, for people.
    pub shown: String,
}

/// Reads a client certificate that nobody has registered yet.
pub(super) fn client_certificate(
    field: &str,
    pem: &str,
    registry: &Registry,
    now: UnixSeconds,
) -> Result<ClientCertificate, Problem> {
    let certificate = read(field, pem, now)?;
    match owner(registry, &certificate.fingerprint) {
        None => Ok(certificate),
        Some(owner) => {
            Err(refusal::conflict(format!("{field}: this certificate is registered for {owner}")))
        }
    }
}

/// Reads a client certificate.
pub(super) fn read(field: &str, pem: &str, now: UnixSeconds) -> Result<ClientCertificate, Problem> {
    let list = x509::certificates_of_pem(pem).map_err(|e| refusal::certificate_text(field, e))?;
    // Whoever sends a chain means its first; the rest is not registered.
    let der = list.first().ok_or_else(|| refusal::malformed(format!("{field}: no certificate")))?;
    let facts = Facts::of(der).map_err(|error| refusal::certificate_text(field, error))?;
    if facts.is_ca {
        let reason =
            "this is the certificate of an authority; everybody it certifies would come in";
        return Err(refusal::not_permitted(format!("{field}: {reason}")));
    }
    if now.0 > facts.not_after {
        let reason = format!("{field}: this certificate ended on {}", x509::date(facts.not_after));
        return Err(refusal::not_permitted(reason));
    }
    let fingerprint = Fingerprint::of(der);
    let until = x509::date(facts.not_after);
    let shown = format!("{} (until {until}, SHA-256 {})", facts.subject, fingerprint.0);
    Ok(ClientCertificate { fingerprint, shown })
}

/// Whose a client certificate is.
fn owner(registry: &Registry, fingerprint: &Fingerprint) -> Option<String> {
    let system =
        registry.system_of(fingerprint).map(|system| format!("system {}", system.system_id));
    let operator = || registry.operator_of(fingerprint);
    system.or_else(|| operator().map(|operator| format!("operator {}", operator.operator_id)))
}

/// Refuses an id that is there, or that differs from one only in case: people read them aloud (P3).
pub(super) fn new_id<'a>(
    what: &str,
    id: &str,
    there: impl IntoIterator<Item = &'a str>,
) -> Result<(), Problem> {
    match there.into_iter().find(|other| other.eq_ignore_ascii_case(id)) {
        None => Ok(()),
        Some(other) => Err(refusal::conflict(format!("there is a {what} {other} already"))),
    }
}
