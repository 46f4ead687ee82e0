//! Words of the command line that stand for a few things only.

use clap::ValueEnum;

/// on or off
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// on
    On,
    /// off
    Off,
}

/// A way to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// HPKI card
    Hpki,
    /// My Number card
    Jpki,
    /// FIDO2 authenticator
    Fido2,
}

/// A role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Role {
    /// Operators, anchors, test mode, module, quarantine
    SecurityOfficer,
    /// Signing systems
    Administrator,
    /// Holders, cards, keys
    RegistrationOfficer,
    /// Reads everything, changes nothing
    Auditor,
}

/// What an anchor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Purpose {
    /// Card certificates at sign-in
    HpkiCard,
    /// Holders' second certificates
    SecondCertificate,
    /// My Number cards' certificates at sign-in
    JpkiCard,
}
