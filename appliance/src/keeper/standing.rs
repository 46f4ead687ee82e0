//! What a certificate's refusal means: for the gate a standing, for the person at the card reader a reason.

use api::operations::SignInRefusal;
use attest::judge::CertificateRefusal;
use attest::path::PathError;
use attest::path::Place;
use attest::registry::Standing;

/// The standing that a judgement leaves a certificate with.
pub fn standing<T>(judged: &Result<T, CertificateRefusal>) -> Standing {
    match judged {
        Ok(_) => Standing::Good,
        Err(CertificateRefusal::Path(PathError::Revoked { .. })) => Standing::Revoked,
        Err(CertificateRefusal::Path(PathError::RevocationUnknown { .. })) => Standing::Unknown,
        Err(_) => Standing::Refused,
    }
}

/// What the person is told whose card was refused.
pub fn for_person(refusal: &CertificateRefusal) -> SignInRefusal {
    match refusal {
        CertificateRefusal::Path(PathError::Expired { place: Place::Leaf, .. }) => {
            SignInRefusal::CardExpired
        }
        CertificateRefusal::Path(PathError::NotYetValid { place: Place::Leaf, .. }) => {
            SignInRefusal::CardNotYetValid
        }
        CertificateRefusal::Path(PathError::Revoked { .. }) => SignInRefusal::CardRevoked,
        CertificateRefusal::Path(PathError::RevocationUnknown { .. }) => {
            SignInRefusal::RevocationUnknown
        }
        CertificateRefusal::TestCard => SignInRefusal::TestCard,
        CertificateRefusal::RoleMissing { .. } => SignInRefusal::RoleMissing,
        CertificateRefusal::Path(_)
        | CertificateRefusal::KeyUsage
        | CertificateRefusal::ExtendedKeyUsage
        | CertificateRefusal::HcRole(_)
        | CertificateRefusal::IsCa
        | CertificateRefusal::OtherKey
        | CertificateRefusal::JpkiSignature
        | CertificateRefusal::OtherKind
        | CertificateRefusal::NoCertificate => SignInRefusal::WrongCertificate,
    }
}
