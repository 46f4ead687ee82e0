//! Whether a handshake was signed with the key of a certificate, whatever else the certificate says.
//!
//! rustls would check this through webpki, which cannot parse a certificate with critical certificatePolicies, and HPKI
//! certificates have them. Here the public key alone is read; the certificate is the keeper's to judge.

use aws_lc_rs::signature;
use aws_lc_rs::signature::UnparsedPublicKey;
use aws_lc_rs::signature::VerificationAlgorithm;
use rustls::CertificateError;
use rustls::Error;
use rustls::PeerMisbehaved;
use rustls::SignatureScheme;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::Encode;

/// Schemes that are offered: what today's cards can do first, then what later cards may.
pub(super) const SCHEMES: [SignatureScheme; 8] = [
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
];

/// Checks CertificateVerify (RFC 5246 §7.4.8).
///
/// # Errors
/// [`PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme`], [`CertificateError::BadEncoding`] or
/// [`CertificateError::BadSignature`].
pub(super) fn verify(
    message: &[u8],
    certificate: &[u8],
    scheme: SignatureScheme,
    signature: &[u8],
) -> Result<(), Error> {
    let spki = spki_der(certificate)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let algorithms =
        algorithms(scheme).ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    let verifies = |algorithm: &&'static dyn VerificationAlgorithm| {
        UnparsedPublicKey::new(*algorithm, &spki).verify(message, signature).is_ok()
    };
    match algorithms.iter().any(verifies) {
        true => Ok(()),
        false => Err(Error::InvalidCertificate(CertificateError::BadSignature)),
    }
}

fn spki_der(certificate: &[u8]) -> Result<Vec<u8>, x509_cert::der::Error> {
    Certificate::from_der(certificate)?.tbs_certificate().subject_public_key_info().to_der()
}

/// In TLS 1.2 an ECDSA scheme names the hash only, the curve is the key's (RFC 8422 §5.10).
fn algorithms(scheme: SignatureScheme) -> Option<&'static [&'static dyn VerificationAlgorithm]> {
    Some(match scheme {
        SignatureScheme::RSA_PKCS1_SHA256 => &[&signature::RSA_PKCS1_2048_8192_SHA256],
        SignatureScheme::RSA_PKCS1_SHA384 => &[&signature::RSA_PKCS1_2048_8192_SHA384],
        SignatureScheme::RSA_PKCS1_SHA512 => &[&signature::RSA_PKCS1_2048_8192_SHA512],
        SignatureScheme::ECDSA_NISTP256_SHA256 => {
            &[&signature::ECDSA_P256_SHA256_ASN1, &signature::ECDSA_P384_SHA256_ASN1]
        }
        SignatureScheme::ECDSA_NISTP384_SHA384 => {
            &[&signature::ECDSA_P384_SHA384_ASN1, &signature::ECDSA_P256_SHA384_ASN1]
        }
        SignatureScheme::RSA_PSS_SHA256 => &[&signature::RSA_PSS_2048_8192_SHA256],
        SignatureScheme::RSA_PSS_SHA384 => &[&signature::RSA_PSS_2048_8192_SHA384],
        SignatureScheme::RSA_PSS_SHA512 => &[&signature::RSA_PSS_2048_8192_SHA512],
        _ => return None,
    })
}

/// A folder of the test data from elsewhere; says so when it is not there.
#[cfg(test)]
pub(super) fn vectors(folder: &str) -> Option<std::path::PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors");
    let vectors = std::env::var_os("INKAN_VECTORS").unwrap_or_else(|| beside.into());
    let folder = std::path::PathBuf::from(vectors).join(folder);
    if !folder.is_dir() {
        println!("skipped: no {}", folder.display());
        return None;
    }
    Some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_that_is_offered_can_be_verified() {
        assert!(SCHEMES.iter().all(|scheme| algorithms(*scheme).is_some()));
        assert!(algorithms(SignatureScheme::RSA_PKCS1_SHA1).is_none());
        assert!(algorithms(SignatureScheme::ECDSA_SHA1_Legacy).is_none());
    }

    #[test]
    fn published_test_cards_have_a_key_that_can_be_read() {
        let Some(folder) = vectors("hpki") else { return };
        let files = std::fs::read_dir(folder).unwrap();
        let mut cards = 0;
        for file in files.map(|file| file.unwrap().path()) {
            if file.file_name().unwrap().to_string_lossy().starts_with("ee-test-") {
                let card = std::fs::read(&file).unwrap();
                let refused = verify(b"", &card, SignatureScheme::RSA_PKCS1_SHA256, &[0; 256]);
                // The key was read and used: it is the signature that is wrong, not the certificate.
                let wrong = Error::InvalidCertificate(CertificateError::BadSignature);
                assert_eq!(refused, Err(wrong), "{}", file.display());
                spki_der(&card).unwrap();
                cards += 1;
            }
        }
        assert_eq!(cards, 4);
    }
}
