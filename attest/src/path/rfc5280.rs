//! RFC 5280 §6.1 by certval, with every setting fixed here and every signature verified by aws-lc-rs.
//!
//! certval is used for what it does well: validity, name chaining and constraints, policies (RFC 9618 graph), key usage,
//! critical extensions. Its revocation code, its stores and its network are not used: what it would say of a missing, stale
//! or foreign list is one word, and it would parse and verify each list again for each certificate.

use super::Certificate;
use super::MAX_PATH_CERTIFICATES;
use super::PathError;
use super::PathRequest;
use super::PathValidator;
use super::Place;
use super::Revocation;
use super::ValidPath;
use super::profile;
use super::search::Chain;
use super::search::search;
use super::signature;
use super::signature::SignatureFault;
use super::wildcard;
use crate::clock::UnixSeconds;
use crate::revocation;
use certval::CertificationPath;
use certval::CertificationPathResults;
use certval::CertificationPathSettings;
use certval::PDVTrustAnchorChoice;
use certval::PathValidationStatus;
use certval::PkiEnvironment;
use certval::TimeOfInterest;
use const_oid::db::rfc5912;
use der::asn1::BitString;
use spki::AlgorithmIdentifierOwned;
use spki::SubjectPublicKeyInfoOwned;
use std::sync::Arc;

/// The validator of the appliance.
pub struct CertvalValidator {
    environment: PkiEnvironment,
}

impl CertvalValidator {
    /// A validator with one callback, our signature verification, and no source of anything.
    pub fn new() -> Self {
        let mut environment = PkiEnvironment::new();
        environment.clear_all_callbacks();
        environment.add_validate_path_callback(certval::validate_path_rfc5280);
        environment.add_verify_signature_message_callback(verify_signature);
        Self { environment }
    }

    fn judge(&self, request: &PathRequest<'_>, chain: Chain<'_>) -> Result<ValidPath, PathError> {
        let anchor = chain.anchor.certificate();
        // The leaf first: what is wrong with it says most to the person before the screen.
        for (index, certificate) in chain.certificates.iter().enumerate().rev() {
            let place = place_of(&chain.certificates, index);
            check_alone(certificate, &place, request.at)?;
        }
        check_alone(anchor, &Place::Anchor, request.at)?;
        wildcard::check(anchor, &chain.certificates)?;
        self.validate_rfc5280(request, &chain)?;
        let lists_until = match request.revocation {
            Revocation::DangerUnchecked => UnixSeconds(u64::MAX),
            Revocation::OfLeafByProvider if chain.certificates.len() > 1 => {
                return Err(PathError::Limit("a provider speaks of the leaf only"));
            }
            Revocation::OfLeafByProvider => UnixSeconds(u64::MAX),
            Revocation::Lists(lists) => check_revocation(lists, &chain, request.at)?,
        };
        let good_until = chain
            .certificates
            .iter()
            .map(|certificate| certificate.not_after())
            .fold(lists_until.min(anchor.not_after()), UnixSeconds::min);
        Ok(ValidPath { anchor: chain.anchor.clone(), certificates: chain.certificates, good_until })
    }

    fn validate_rfc5280(
        &self,
        request: &PathRequest<'_>,
        chain: &Chain<'_>,
    ) -> Result<(), PathError> {
        let [intermediates @ .., target] = chain.certificates.as_slice() else {
            return Err(PathError::Limit("an empty chain"));
        };
        let anchor = PDVTrustAnchorChoice::create(chain.anchor.certificate().as_der(), "anchor")
            .map_err(|error| PathError::Validator(error.to_string()))?;
        let settings = certval::enforce_trust_anchor_constraints(&settings(request)?, &anchor)
            .map_err(|error| anchor_error(&error))?;
        let intermediates = intermediates.iter().map(|one| one.pdv().clone()).collect();
        let path = CertificationPath::new(anchor, intermediates, target.pdv().clone());
        let mut results = CertificationPathResults::new();
        // The distribution points are processed, by our own revocation check.
        results.set_processed_extensions(
            [rfc5912::ID_CE_CRL_DISTRIBUTION_POINTS, rfc5912::ID_CE_FRESHEST_CRL].into(),
        );
        match self.environment.validate_path(&self.environment, &settings, &path, &mut results) {
            Ok(()) if results.get_validation_status() == Some(PathValidationStatus::Valid) => {
                Ok(())
            }
            Ok(()) => Err(PathError::Validator("no verdict".to_owned())),
            Err(error) => {
                let index = results.get_failure_index().unwrap_or_default();
                Err(path_error(&error, index, &chain.certificates))
            }
        }
    }
}

impl Default for CertvalValidator {
    fn default() -> Self {
        Self::new()
    }
}

impl PathValidator for CertvalValidator {
    fn validate(&self, request: &PathRequest<'_>) -> Result<ValidPath, PathError> {
        search(request, |chain| self.judge(request, chain))
    }
}

/// Every setting that certval knows and that matters without a network, said out loud.
fn settings(request: &PathRequest<'_>) -> Result<CertificationPathSettings, PathError> {
    let at = TimeOfInterest::from_unix_secs(request.at.0)
        .ok()
        .filter(|at| !at.is_disabled())
        .ok_or(PathError::Limit("the time is out of range"))?;
    let policies = request.policies;
    let mut settings = CertificationPathSettings::new();
    settings.set_time_of_interest(at);
    settings.set_initial_explicit_policy_indicator(policies.explicit);
    settings.set_initial_policy_mapping_inhibit_indicator(policies.inhibit_mapping);
    settings.set_initial_inhibit_any_policy_indicator(policies.inhibit_any);
    settings.set_initial_policy_set_from_oid_set(policies.initial_set.iter().copied().collect());
    settings.set_enforce_trust_anchor_constraints(true);
    settings.set_enforce_trust_anchor_validity(true);
    settings.set_min_rsa_modulus_bits(2048);
    settings.set_initial_path_length_constraint(MAX_PATH_CERTIFICATES as u8);
    settings.set_extended_key_usage_path(false);
    settings.set_forbid_self_signed_ee(false);
    // certval's own lists of anchors and its revocation code are not used: see the module.
    settings.set_require_ta_store(false);
    settings.set_check_revocation_status(false);
    settings.set_check_crls(false);
    settings.set_check_crldp_http(false);
    settings.set_check_ocsp_from_aia(false);
    settings.set_retrieve_from_aia_sia_http(false);
    Ok(settings)
}

/// What can be said of a certificate by itself.
fn check_alone(certificate: &Certificate, place: &Place, at: UnixSeconds) -> Result<(), PathError> {
    check_validity(certificate, place, at)?;
    profile::check(certificate, place)?;
    signature::check_key(certificate.public_key()).map_err(|_| PathError::Key(place.clone()))
}

fn check_validity(
    certificate: &Certificate,
    place: &Place,
    at: UnixSeconds,
) -> Result<(), PathError> {
    let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
    if at < not_before {
        return Err(PathError::NotYetValid { place: place.clone(), not_before });
    }
    if at > not_after {
        return Err(PathError::Expired { place: place.clone(), not_after });
    }
    Ok(())
}

/// Every certificate below the anchor against the lists of its issuer; the leaf first, for its reason says most.
fn check_revocation(
    lists: &revocation::CrlStore,
    chain: &Chain<'_>,
    at: UnixSeconds,
) -> Result<UnixSeconds, PathError> {
    let mut until = UnixSeconds(u64::MAX);
    // The issuers of each certificate stand before it: the anchor, then the certificates above it.
    let mut issuers: Vec<&Certificate> = vec![chain.anchor.certificate()];
    issuers.extend(chain.certificates.iter().map(AsRef::as_ref));
    issuers.pop();
    for (index, certificate) in chain.certificates.iter().enumerate().rev() {
        let place = place_of(&chain.certificates, index);
        match revocation::check(lists, certificate, &issuers, at) {
            Ok(good_until) => until = until.min(good_until),
            Err(revocation::NotGood::Revoked { reason, at }) => {
                return Err(PathError::Revoked { place, reason, at });
            }
            Err(revocation::NotGood::Unknown(fault)) => {
                return Err(PathError::RevocationUnknown { place, fault });
            }
        }
        issuers.pop();
    }
    Ok(until)
}

fn place_of(certificates: &[Arc<Certificate>], index: usize) -> Place {
    match certificates.get(index) {
        Some(ca) if index + 1 < certificates.len() => Place::Ca(ca.subject_text()),
        _ => Place::Leaf,
    }
}

fn verify_signature(
    _: &PkiEnvironment,
    message: &[u8],
    value: &BitString,
    algorithm: &AlgorithmIdentifierOwned,
    key: &SubjectPublicKeyInfoOwned,
) -> certval::Result<()> {
    let verified = value
        .as_bytes()
        .ok_or(SignatureFault::Mismatch)
        .and_then(|value| signature::verify(signature::scheme_of(algorithm)?, key, message, value));
    verified.map_err(|_| {
        certval::Error::PathValidation(PathValidationStatus::SignatureVerificationFailure)
    })
}

fn anchor_error(error: &certval::Error) -> PathError {
    match error {
        certval::Error::PathValidation(PathValidationStatus::InvalidKeyUsage) => {
            PathError::KeyUsage(Place::Anchor)
        }
        certval::Error::PathValidation(PathValidationStatus::EncodingError) => {
            PathError::MalformedExtension(Place::Anchor)
        }
        certval::Error::Unrecognized => PathError::CriticalExtension(Place::Anchor),
        other => PathError::Validator(other.to_string()),
    }
}

/// `index`: 0 is the anchor, then from the anchor towards the leaf.
fn path_error(error: &certval::Error, index: u32, certificates: &[Arc<Certificate>]) -> PathError {
    use PathValidationStatus as Status;
    let certval::Error::PathValidation(status) = error else {
        return PathError::Validator(error.to_string());
    };
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    let place = match index.checked_sub(1) {
        Some(index) => place_of(certificates, index),
        None => Place::Anchor,
    };
    match status {
        Status::MissingBasicConstraints | Status::InvalidBasicConstraints => {
            PathError::NotACa(place)
        }
        Status::InvalidPathLength => PathError::PathTooLong,
        Status::InvalidKeyUsage => PathError::KeyUsage(place),
        Status::NameConstraintsViolation => PathError::NameConstraints(place),
        Status::NullPolicySet | Status::InvalidPolicyMapping => {
            PathError::Policy { asserted: asserted(certificates) }
        }
        Status::UnprocessedCriticalExtension => PathError::CriticalExtension(place),
        Status::EncodingError => PathError::MalformedExtension(place),
        Status::SignatureVerificationFailure => {
            PathError::Signature { place, fault: SignatureFault::Mismatch }
        }
        Status::InsufficientKeySize => PathError::Signature { place, fault: SignatureFault::Key },
        Status::ProcessingLimitExceeded => PathError::Limit("policy processing"),
        other => PathError::Validator(other.to_string()),
    }
}

fn asserted(certificates: &[Arc<Certificate>]) -> String {
    let policies = certificates.last().map(|leaf| leaf.policies()).unwrap_or_default();
    match policies.is_empty() {
        true => "none".to_owned(),
        false => policies.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}
