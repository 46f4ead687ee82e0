//! Why a card or a second certificate is refused.

use crate::hc_role::HcRoleError;
use crate::path::CertificateFault;
use crate::path::PathError;
use crate::records::Fingerprint;

/// Why a certificate is refused. The path's own reasons are in [`PathError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateRefusal {
    /// No valid path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A published test card, or one of a test hierarchy, outside test mode.
    #[error("the certificate is that of a test card, and test mode is off")]
    TestCard,
    /// keyUsage is not that of the profile.
    #[error("the certificate does not have the key usage that the profile asks for")]
    KeyUsage,
    /// extendedKeyUsage is not that of the profile.
    #[error("the certificate does not have the extended key usage that the profile asks for")]
    ExtendedKeyUsage,
    /// The role extension cannot be read.
    #[error(transparent)]
    HcRole(#[from] HcRoleError),
    /// No qualification of the profile.
    #[error("the certificate has no qualification that is accepted here: {found}")]
    RoleMissing {
        /// Roles found, or `none`.
        found: String,
    },
    /// It is the certificate of a CA.
    #[error("the certificate is one of a CA")]
    IsCa,
    /// It certifies another key than the one generated.
    #[error("the certificate is for another key than the one generated")]
    OtherKey,
    /// It is a My Number card's certificate for signing contents, which names its holder.
    #[error("the certificate is the My Number card's signature certificate")]
    JpkiSignature,
    /// Evidence of the other kind of card.
    #[error("the evidence is that of another kind of card")]
    OtherKind,
    /// The chain is empty.
    #[error("there is no certificate")]
    NoCertificate,
}

impl CertificateRefusal {
    /// Stable word for logs, audit records and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Path(error) => error.code(),
            Self::TestCard => "test_card",
            Self::KeyUsage => "key_usage",
            Self::ExtendedKeyUsage => "extended_key_usage",
            Self::HcRole(_) => "hc_role_malformed",
            Self::RoleMissing { .. } => "hc_role_missing",
            Self::IsCa => "certificate_is_ca",
            Self::OtherKey => "other_key",
            Self::JpkiSignature => "jpki_signature_certificate",
            Self::OtherKind => "other_kind_of_card",
            Self::NoCertificate => "no_certificate",
        }
    }
}

impl From<CertificateFault> for CertificateRefusal {
    fn from(fault: CertificateFault) -> Self {
        Self::Path(PathError::Malformed(fault))
    }
}

/// Why configured certificates are no material to judge by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaterialError {
    /// An anchor is none.
    #[error("the anchor {fingerprint}: {fault}", fingerprint = .fingerprint.0)]
    Anchor {
        /// SHA-256 of its octets.
        fingerprint: Fingerprint,
        /// What is wrong.
        fault: CertificateFault,
    },
    /// An intermediate is none.
    #[error("the intermediate {fingerprint}: {fault}", fingerprint = .fingerprint.0)]
    Intermediate {
        /// SHA-256 of its octets.
        fingerprint: Fingerprint,
        /// What is wrong.
        fault: CertificateFault,
    },
    /// An intermediate is no CA certificate.
    #[error("the intermediate {subject} is no CA certificate")]
    NotACa {
        /// Printable name.
        subject: String,
    },
    /// More intermediates than the search for paths takes.
    #[error("there are more than {0} intermediates")]
    TooMany(usize),
    /// The floors kept for lists are damaged.
    #[error("the stored numbers of revocation lists are damaged")]
    Floors,
}
