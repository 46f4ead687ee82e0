//! My Number cards (JPKI): the user-authentication certificate, judged but for its revocation, which only a provider knows.
//!
//! Three generations of one authority share a name, so the issuer is the anchor whose key made the signature. There is
//! nothing between anchor and card: revocation of the card's certificate is all that is left to ask, and whoever judges a
//! card here asks a validity provider next.

use super::CertificateRefusal;
use super::ExtendedKeyUsageRule;
use super::Judge;
use super::LoginKeyUsage;
use super::PolicyOid;
use super::Purpose;
use crate::clock::UnixSeconds;
use crate::evidence::CardKind;
use crate::evidence::VerifiedCard;
use crate::path::Certificate;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::ID_CE_SUBJECT_ALT_NAME;
use der::Decode;
use serde::Deserialize;
use serde::Serialize;
use std::sync::Arc;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Policy of user-authentication certificates (class 30).
pub const JPKI_USER_AUTHENTICATION_POLICY: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.392.200149.8.5.1.3.30");
/// Organization of the test hierarchy, whose cards anybody may have.
pub const JPKI_TEST_ORGANIZATION: &str = "JPKI-TEST";
/// Under it lie the names, addresses and dates of birth that only signature certificates carry.
const SIGNATURE_ATTRIBUTES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.392.200149.8.5.5");

/// What a My Number card's certificate must look like at sign-in. The profile is published in part only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JpkiProfile {
    /// The path must be valid for one of these policies.
    pub policy_oids: Vec<PolicyOid>,
    /// keyUsage.
    pub key_usage: LoginKeyUsage,
    /// extendedKeyUsage.
    pub extended_key_usage: ExtendedKeyUsageRule,
}

impl Default for JpkiProfile {
    /// The policy of user-authentication certificates, and what RFC 5246 §7.4.6 asks of a certificate that authenticates.
    fn default() -> Self {
        Self {
            policy_oids: vec![PolicyOid(JPKI_USER_AUTHENTICATION_POLICY)],
            key_usage: LoginKeyUsage::DigitalSignature,
            extended_key_usage: ExtendedKeyUsageRule::ClientAuthIfPresent,
        }
    }
}

/// A My Number card that is good, but for revocation. Its certificate names nobody: the subject is a random text.
#[derive(Clone, Debug)]
pub struct JpkiIdentity {
    /// The user-authentication certificate.
    pub leaf: Arc<Certificate>,
    /// The authority whose key signed it.
    pub issuer: Arc<Certificate>,
    /// Last second of the certificate.
    pub not_after: UnixSeconds,
    /// Of the test hierarchy, accepted in test mode.
    pub is_test_card: bool,
}

impl Judge {
    /// Judges the card of verified evidence, but for revocation.
    ///
    /// # Errors
    /// [`CertificateRefusal`] with the one reason to tell the person.
    pub fn judge_jpki(
        &self,
        evidence: &VerifiedCard,
        now: UnixSeconds,
    ) -> Result<JpkiIdentity, CertificateRefusal> {
        match evidence.kind() {
            CardKind::Jpki => self.judge_jpki_leaf(evidence.leaf_der(), now),
            CardKind::Hpki => Err(CertificateRefusal::OtherKind),
        }
    }

    /// Judges a My Number card's certificate by itself, but for revocation: again, while sessions rest on it.
    ///
    /// # Errors
    /// [`CertificateRefusal`].
    pub fn judge_jpki_leaf(
        &self,
        leaf_der: &[u8],
        now: UnixSeconds,
    ) -> Result<JpkiIdentity, CertificateRefusal> {
        let snapshot = self.snapshot.load();
        let profile = &snapshot.trust.profiles.jpki;
        let leaf = Arc::new(Certificate::from_der(leaf_der)?);
        // Step 1: before anything is asked about it or kept of it, that it is not the one for signing contents.
        if is_for_signing(&leaf) {
            return Err(CertificateRefusal::JpkiSignature);
        }
        // Step 2: one of the authority's keys signed it, for signing in, and it is within its time.
        let path = self.find_path(&snapshot, Purpose::Jpki, &leaf, &[], now)?;
        if !profile.key_usage.is_kept(&leaf) {
            return Err(CertificateRefusal::KeyUsage);
        }
        if !profile.extended_key_usage.is_kept(&leaf) {
            return Err(CertificateRefusal::ExtendedKeyUsage);
        }
        Ok(JpkiIdentity {
            issuer: Arc::clone(path.anchor.certificate()),
            not_after: leaf.not_after(),
            is_test_card: is_of_test_hierarchy(&leaf),
            leaf,
        })
    }
}

/// Whether the test hierarchy issued it, by the organization of its issuer.
pub(super) fn is_of_test_hierarchy(leaf: &Certificate) -> bool {
    leaf.is_issued_by_organization(JPKI_TEST_ORGANIZATION)
}

/// Names that cannot be read are taken for those that must not be there.
fn is_for_signing(leaf: &Certificate) -> bool {
    let Some((_, value)) = leaf.extension(&ID_CE_SUBJECT_ALT_NAME) else {
        return false;
    };
    let Ok(names) = SubjectAltName::from_der(value) else {
        return true;
    };
    names.0.iter().any(|name| match name {
        GeneralName::OtherName(other) => other.type_id.starts_with(SIGNATURE_ATTRIBUTES),
        _ => false,
    })
}
