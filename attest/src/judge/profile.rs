//! What a card's certificate and a second certificate must look like: configuration, because it is not published.
//!
//! Known are the CAs, test cards and lists of September 2022 and the 2004 policy text. Not known is any production end
//! entity, so every rule here can be changed by the operator and every default says why it is what it is.

use super::jpki::JpkiProfile;
use crate::hc_role::CONFIRMED_ROLES;
use crate::hc_role::HcRole;
use crate::path::Certificate;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error;

/// HPKI authentication for persons, as the authentication CA carries it.
pub const HPKI_AUTHENTICATION_POLICY: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.392.100495.1.5.1.2.3.1");
/// HPKI signature, as the signature CAs carry it.
pub const HPKI_SIGNATURE_POLICY: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.392.100495.1.5.1.1.3.1");
/// Published test cards carry this one in place of their CA's.
pub const HPKI_TEST_POLICY: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.392.100495.1.5.1.1.0.1");

/// A certificate policy, dotted in configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyOid(pub ObjectIdentifier);

impl Serialize for PolicyOid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PolicyOid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        ObjectIdentifier::new(&text)
            .map(Self)
            .map_err(|_| D::Error::custom(format!("{text:?} is no dotted object identifier")))
    }
}

/// Which keyUsage a card's certificate must have. Without the extension it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginKeyUsage {
    /// digitalSignature.
    DigitalSignature,
    /// nonRepudiation.
    NonRepudiation,
    /// One of the two.
    Either,
}

/// What extendedKeyUsage must say at sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtendedKeyUsageRule {
    /// Absent, or with clientAuth. anyExtendedKeyUsage alone does not count: whoever lists usages lists this one.
    ClientAuthIfPresent,
    /// Present, with clientAuth.
    ClientAuth,
    /// Not looked at.
    Ignored,
}

/// Where the holder's qualification must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HcRoleSource {
    /// In the card's certificate.
    Card,
    /// In the second certificate.
    SecondCertificate,
    /// In one of the two.
    Either,
    /// Nowhere: not looked at.
    None,
}

/// The rule for qualifications.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HcRoleRule {
    /// Where it must be found.
    pub source: HcRoleSource,
    /// Role texts that count, compared exactly.
    pub allowed: Vec<String>,
}

impl Default for HcRoleRule {
    /// Either certificate: cards may come without a role (clerks' cards do), and whether second certificates carry one is
    /// not published. The five names are those that are confirmed.
    fn default() -> Self {
        let allowed = CONFIRMED_ROLES.iter().map(|(name, _)| (*name).to_owned()).collect();
        Self { source: HcRoleSource::Either, allowed }
    }
}

impl HcRoleRule {
    /// Whether one of `roles` counts.
    pub fn knows(&self, roles: &[HcRole]) -> bool {
        roles.iter().any(|role| self.allowed.iter().any(|name| role.is(name)))
    }

    /// Whether the rule is kept by the roles of the card and of the second certificate that is to sign.
    pub fn is_kept(&self, card: &[HcRole], second_certificate: &[HcRole]) -> bool {
        match self.source {
            HcRoleSource::Card => self.knows(card),
            HcRoleSource::SecondCertificate => self.knows(second_certificate),
            HcRoleSource::Either => self.knows(card) || self.knows(second_certificate),
            HcRoleSource::None => true,
        }
    }
}

/// What a card's certificate must look like at sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HpkiLoginProfile {
    /// The path must be valid for one of these policies (RFC 5280 §6.1, explicit, no mapping, no any-policy).
    pub policy_oids: Vec<PolicyOid>,
    /// keyUsage.
    pub key_usage: LoginKeyUsage,
    /// extendedKeyUsage.
    pub extended_key_usage: ExtendedKeyUsageRule,
    /// Qualification.
    pub hc_role: HcRoleRule,
}

impl Default for HpkiLoginProfile {
    /// The authentication policy of the known authentication CA, not the signature policy: a certificate for signing
    /// contents is not one for signing in. digitalSignature: what RFC 5246 §7.4.6 asks of a certificate that authenticates.
    /// No extendedKeyUsage is known on HPKI certificates.
    fn default() -> Self {
        Self {
            policy_oids: vec![PolicyOid(HPKI_AUTHENTICATION_POLICY)],
            key_usage: LoginKeyUsage::DigitalSignature,
            extended_key_usage: ExtendedKeyUsageRule::ClientAuthIfPresent,
            hc_role: HcRoleRule::default(),
        }
    }
}

/// What a second certificate must look like. nonRepudiation is no matter of configuration: HPKI signature certificates have
/// it, alone and critical, and verifiers ask for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecondCertificateProfile {
    /// The path must be valid for one of these policies.
    pub policy_oids: Vec<PolicyOid>,
}

impl Default for SecondCertificateProfile {
    /// The signature policy of the known signature CAs.
    fn default() -> Self {
        Self { policy_oids: vec![PolicyOid(HPKI_SIGNATURE_POLICY)] }
    }
}

/// Every profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profiles {
    /// Cards at sign-in.
    pub card: HpkiLoginProfile,
    /// Second certificates.
    pub second_certificate: SecondCertificateProfile,
    /// My Number cards at sign-in.
    pub jpki: JpkiProfile,
}

impl LoginKeyUsage {
    pub(super) fn is_kept(self, certificate: &Certificate) -> bool {
        let Some(usage) = certificate.key_usage() else { return false };
        match self {
            Self::DigitalSignature => usage.digital_signature(),
            Self::NonRepudiation => usage.non_repudiation(),
            Self::Either => usage.digital_signature() || usage.non_repudiation(),
        }
    }
}

impl ExtendedKeyUsageRule {
    pub(super) fn is_kept(self, certificate: &Certificate) -> bool {
        // Present but unreadable was refused by path validation.
        let usages = certificate.extended_key_usage();
        let client_auth =
            || usages.as_ref().is_some_and(|all| all.contains(&rfc5912::ID_KP_CLIENT_AUTH));
        match self {
            Self::ClientAuthIfPresent => usages.is_none() || client_auth(),
            Self::ClientAuth => client_auth(),
            Self::Ignored => true,
        }
    }
}
