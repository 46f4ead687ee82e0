//! Who may answer for an issuer: itself, or a responder that its key certified for that (RFC 6960 §4.2.2.2).

use super::ocsp::Basic;
use super::ocsp::OcspFault;
use crate::clock::UnixSeconds;
use crate::path::Certificate;
use crate::revocation::NotGood;
use aws_lc_rs::digest;
use certval::ocsp::ResponderId;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use const_oid::db::rfc6960;

/// Says whether a responder's own certificate is revoked.
pub type RevocationOfResponder<'a> =
    dyn Fn(&Certificate) -> Result<UnixSeconds, NotGood> + Send + Sync + 'a;

/// Extensions that may be critical in a responder's certificate: those looked at here, and those that mean nothing for one
/// that only signs answers.
const KNOWN: [ObjectIdentifier; 6] = [
    rfc5912::ID_CE_KEY_USAGE,
    rfc5912::ID_CE_EXT_KEY_USAGE,
    rfc5912::ID_CE_BASIC_CONSTRAINTS,
    rfc5912::ID_CE_CERTIFICATE_POLICIES,
    rfc5912::ID_CE_SUBJECT_ALT_NAME,
    rfc6960::ID_PKIX_OCSP_NOCHECK,
];

/// Checks that the one who says to have signed `basic` did, and may answer for `issuer`.
///
/// # Errors
/// [`OcspFault`]
pub(super) fn check(
    basic: &Basic<'_>,
    id: &ResponderId,
    issuer: &Certificate,
    now: UnixSeconds,
    revocation: &RevocationOfResponder<'_>,
) -> Result<(), OcspFault> {
    let mut fault = OcspFault::NoResponder;
    if is(issuer, id) {
        match basic.verify(issuer) {
            Ok(()) => return Ok(()),
            // Another one may go by the same name.
            Err(other) => fault = OcspFault::Signature(other),
        }
    }
    for candidate in basic.certificates.iter().filter(|candidate| is(candidate, id)) {
        match basic.verify(candidate) {
            Ok(()) => return authorised(candidate, issuer, now, revocation),
            Err(other) => fault = OcspFault::Signature(other),
        }
    }
    Err(fault)
}

/// Whether `certificate` goes by the name, or has the key, that the response names.
fn is(certificate: &Certificate, id: &ResponderId) -> bool {
    match id {
        ResponderId::ByName(name) => certval::compare_names(certificate.subject(), name),
        // §4.2.1: the SHA-1 of the key finds it; the signature proves it.
        ResponderId::ByKey(hash) => {
            let key = certificate.public_key().subject_public_key.raw_bytes();
            digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, key).as_ref() == hash.as_bytes()
        }
    }
}

/// §4.2.2.2 for a responder whose signature verified.
fn authorised(
    responder: &Certificate,
    issuer: &Certificate,
    now: UnixSeconds,
    revocation: &RevocationOfResponder<'_>,
) -> Result<(), OcspFault> {
    let refused = |why| Err(OcspFault::NotAuthorised(why));
    if !certval::compare_names(responder.issuer(), issuer.subject())
        || responder.verify_signed_by(issuer).is_err()
    {
        return refused("the issuer's key did not sign its certificate");
    }
    let usages = responder.extended_key_usage().unwrap_or_default();
    if !usages.contains(&rfc5912::ID_KP_OCSP_SIGNING) {
        return refused("its certificate is not one for signing answers (id-kp-OCSPSigning)");
    }
    let signs = |usage: x509_cert::ext::pkix::KeyUsage| {
        usage.digital_signature() || usage.non_repudiation()
    };
    if !responder.key_usage().is_none_or(signs) {
        return refused("the key usage of its certificate does not allow it to sign");
    }
    if responder.critical_extensions().any(|oid| !KNOWN.contains(&oid)) {
        return refused("its certificate has a critical extension that is not understood");
    }
    if now < responder.not_before() || now > responder.not_after() {
        return refused("its certificate is not valid now");
    }
    // §4.2.2.2.1: a responder that the issuer says need not be checked, or one that is not revoked.
    if responder.extension(&rfc6960::ID_PKIX_OCSP_NOCHECK).is_some() {
        return Ok(());
    }
    match revocation(responder) {
        Ok(_) => Ok(()),
        Err(NotGood::Revoked { .. }) => Err(OcspFault::ResponderRevoked),
        Err(NotGood::Unknown(fault)) => Err(OcspFault::ResponderUnknown(fault)),
    }
}
