//! Names of roles and anchors on the wire.

use attest::authenticator::AuthenticatorKind;
use attest::records::AnchorPurpose;
use attest::records::Method;
use attest::records::Role;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// A role on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleName {
    /// Operators, anchors, test mode, module, quarantine; second operator of everything.
    SecurityOfficer,
    /// Signing systems.
    Administrator,
    /// Holders, cards, keys.
    RegistrationOfficer,
    /// Reads everything, changes nothing.
    Auditor,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::SecurityOfficer => Self::SecurityOfficer,
            RoleName::Administrator => Self::Administrator,
            RoleName::RegistrationOfficer => Self::RegistrationOfficer,
            RoleName::Auditor => Self::Auditor,
        }
    }
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        match role {
            Role::SecurityOfficer => Self::SecurityOfficer,
            Role::Administrator => Self::Administrator,
            Role::RegistrationOfficer => Self::RegistrationOfficer,
            Role::Auditor => Self::Auditor,
        }
    }
}

/// What enrolled a device, on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EnrollerName {
    /// An HPKI card.
    Hpki,
    /// A My Number card.
    Jpki,
    /// Another device.
    Fido2,
    /// A notification card.
    NotificationCard,
}

impl From<Method> for EnrollerName {
    fn from(method: Method) -> Self {
        match method {
            Method::Hpki => Self::Hpki,
            Method::Jpki => Self::Jpki,
            Method::Fido2 => Self::Fido2,
        }
    }
}

/// What a device is, on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKindName {
    /// A phone.
    Phone,
    /// A security key.
    SecurityKey,
}

impl From<AuthenticatorKind> for DeviceKindName {
    fn from(kind: AuthenticatorKind) -> Self {
        match kind {
            AuthenticatorKind::Phone => Self::Phone,
            AuthenticatorKind::SecurityKey => Self::SecurityKey,
        }
    }
}

/// What an anchor is for, on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnchorPurposeName {
    /// Card certificates at sign-in.
    HpkiCard,
    /// Holders' second certificates.
    SecondCertificate,
    /// My Number cards' certificates at sign-in.
    JpkiCard,
}

impl AnchorPurposeName {
    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Self::HpkiCard => "hpki_card",
            Self::SecondCertificate => "second_certificate",
            Self::JpkiCard => "jpki_card",
        }
    }
}

impl From<AnchorPurposeName> for AnchorPurpose {
    fn from(name: AnchorPurposeName) -> Self {
        match name {
            AnchorPurposeName::HpkiCard => Self::HpkiCard,
            AnchorPurposeName::SecondCertificate => Self::SecondCertificate,
            AnchorPurposeName::JpkiCard => Self::JpkiCard,
        }
    }
}

impl From<AnchorPurpose> for AnchorPurposeName {
    fn from(purpose: AnchorPurpose) -> Self {
        match purpose {
            AnchorPurpose::HpkiCard => Self::HpkiCard,
            AnchorPurpose::SecondCertificate => Self::SecondCertificate,
            AnchorPurpose::JpkiCard => Self::JpkiCard,
        }
    }
}
