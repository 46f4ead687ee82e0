//! One signature in the making: signed attributes first, then the signature over them, then the whole.

use crate::algorithm;
use crate::certificate::SigningCertificate;
use crate::error::CmsError;
use crate::signed_attrs;
use crate::signed_data::SignedData;
use crate::signed_data::signer_info_der;
use attest::algorithm::ContentDigest;
use attest::algorithm::SignatureScheme;
use attest::clock::UnixSeconds;

/// Everything of a signature but its value. The same inputs always give the same octets.
#[derive(Clone, Debug)]
pub struct Prepared {
    certificate: SigningCertificate,
    scheme: SignatureScheme,
    signed_attrs_der: Vec<u8>,
}

/// Prepares a signature over the content with this digest.
///
/// # Shape
/// `content_digest`: made with [`content_digest_algorithm`](crate::content_digest_algorithm) of `scheme`.
/// `signing_time`: what the signer claims, no time stamp.
/// # Errors
/// [`CmsError::DigestAlgorithm`], [`CmsError::Scheme`], [`CmsError::SigningTime`].
/// # Source
/// EN 319 122-1 §6.3; RFC 5652 §5.3, §5.4.
pub fn prepare(
    certificate: &SigningCertificate,
    scheme: SignatureScheme,
    content_digest: &ContentDigest,
    signing_time: UnixSeconds,
) -> Result<Prepared, CmsError> {
    let key_type = certificate.public_key().key_type();
    if !algorithm::can_sign(key_type, scheme) {
        return Err(CmsError::Scheme { key_type, scheme });
    }
    let expected = algorithm::content_digest_algorithm(scheme);
    if content_digest.algorithm() != expected {
        return Err(CmsError::DigestAlgorithm { expected, actual: content_digest.algorithm() });
    }
    let signing_certificate_v2 = certificate.signing_certificate_v2(expected);
    let signed_attrs_der =
        signed_attrs::write(content_digest, signing_time, signing_certificate_v2)?;
    Ok(Prepared { certificate: certificate.clone(), scheme, signed_attrs_der })
}

impl Prepared {
    /// The octets to sign: the signed attributes as a `SET OF` (tag 0x31), DER.
    ///
    /// # Source
    /// RFC 5652 §5.4: an explicit `SET OF` tag is signed in place of the implicit `[0]`.
    pub fn signed_attrs_der(&self) -> &[u8] {
        &self.signed_attrs_der
    }

    /// How they are to be signed.
    pub fn scheme(&self) -> SignatureScheme {
        self.scheme
    }

    /// Verifies a signature over them with the public key of the certificate: one operation with that key.
    ///
    /// # Shape
    /// `signature`: RSA: big-endian, as long as the modulus. ECDSA: DER `Ecdsa-Sig-Value`. Ed25519: 64 octets.
    /// # Errors
    /// [`CmsError::SignatureInvalid`]: it must not leave, and the key that made it is not to be used again.
    pub fn verify<'a>(&'a self, signature: &'a [u8]) -> Result<Verified<'a>, CmsError> {
        let public_key = self.certificate.public_key();
        public_key.verify(self.scheme, &self.signed_attrs_der, signature)?;
        Ok(Verified { prepared: self, signature })
    }
}

/// A signature that the certificate's public key has verified; the only thing that can be put together and leave.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a> {
    prepared: &'a Prepared,
    signature: &'a [u8],
}

impl Verified<'_> {
    /// The detached signature: `ContentInfo` with `SignedData`, DER.
    pub fn assemble(&self) -> Vec<u8> {
        let Prepared { certificate, scheme, signed_attrs_der } = self.prepared;
        let digest_alg = algorithm::content_digest_algorithm(*scheme);
        let signer_info = signer_info_der(
            certificate.sid(),
            digest_alg,
            signed_attrs_der,
            &algorithm::signature_algorithm_der(*scheme),
            self.signature,
        );
        let certificates = certificate.certificates();
        SignedData { digest_alg, content: None, certificates, signer_info: &signer_info }.to_der()
    }

    /// The signature value, as it was verified.
    pub fn signature(&self) -> &[u8] {
        self.signature
    }
}
