//! The signer's certificate and its issuers, made ready once a credential.

use crate::error::CertificateFault;
use crate::error::CmsError;
use crate::public_key::PublicKey;
use crate::read::Fault;
use crate::read::Reader;
use crate::read::is_integer;
use crate::read::single;
use crate::signed_attrs;
use crate::write::CONTEXT_0;
use crate::write::INTEGER;
use crate::write::SEQUENCE;
use crate::write::element;
use crate::write::sort_set_of;
use attest::algorithm::DigestAlgorithm;
use std::sync::Arc;

/// Most certificates in one chain. A hierarchy of HPKI has two below the root.
pub const CHAIN_MAX: usize = 8;

/// Most octets of one certificate. Those of HPKI and JPKI have below 2 kB.
pub const CERTIFICATE_MAX_BYTES: usize = 64 * 1024;

/// A certificate that signatures are made under, with every part of them that does not change. Cheap to clone.
///
/// ```
/// # fn f(chain: Vec<Vec<u8>>, content: &[u8], hsm: impl Fn(&[u8]) -> Vec<u8>) -> Result<Vec<u8>, cades::CmsError> {
/// use attest::algorithm::ContentDigest;
/// use attest::clock::UnixSeconds;
///
/// let certificate = cades::SigningCertificate::new(&chain)?; // once
/// let scheme = certificate.public_key().key_type().default_scheme();
/// let digest = ContentDigest::of(cades::content_digest_algorithm(scheme), content);
/// let prepared = cades::prepare(&certificate, scheme, &digest, UnixSeconds(1_800_000_000))?;
/// let signature = hsm(prepared.signed_attrs_der());
/// Ok(prepared.verify(&signature)?.assemble())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SigningCertificate(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    sid: Vec<u8>,
    /// By digest: SHA-256, SHA-384, SHA-512.
    signing_certificate_v2: [Vec<u8>; 3],
    certificates: Vec<u8>,
    public_key: PublicKey,
}

impl SigningCertificate {
    /// Takes a chain: the signer's certificate first, then its issuers, in DER as received. The root may be left out.
    ///
    /// # Errors
    /// [`CmsError::Certificate`] when one is no certificate in DER or the first has a key of a kind that is not supported;
    /// [`CmsError::TooLong`] past [`CHAIN_MAX`] or [`CERTIFICATE_MAX_BYTES`].
    pub fn new(chain_der: &[Vec<u8>]) -> Result<Self, CmsError> {
        let chain: Vec<&[u8]> = chain_der.iter().map(Vec::as_slice).collect();
        check_limits(&chain)?;
        let of_chain = |index| move |fault| CmsError::Certificate { index, fault };
        let malformed = |fault| CertificateFault::Malformed(fault);
        let (signer, issuers) =
            chain.split_first().ok_or(CertificateFault::Missing).map_err(of_chain(0))?;
        let names = CertificateNames::read(signer).map_err(malformed).map_err(of_chain(0))?;
        for (index, issuer) in (1..).zip(issuers) {
            CertificateNames::read(issuer).map_err(malformed).map_err(of_chain(index))?;
        }
        Ok(Self(Arc::new(Parts {
            public_key: PublicKey::from_spki_der(names.spki_der).map_err(of_chain(0))?,
            sid: names.sid(),
            signing_certificate_v2: [
                DigestAlgorithm::Sha256,
                DigestAlgorithm::Sha384,
                DigestAlgorithm::Sha512,
            ]
            .map(|digest| names.signing_certificate_v2(digest, signer)),
            certificates: certificate_set(&chain),
        })))
    }

    /// The public key that every signature must verify with.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public_key
    }

    /// `IssuerAndSerialNumber`, DER.
    pub(crate) fn sid(&self) -> &[u8] {
        &self.0.sid
    }

    /// The signing-certificate-v2 attribute with this hash, DER.
    pub(crate) fn signing_certificate_v2(&self, digest: DigestAlgorithm) -> &[u8] {
        let [sha256, sha384, sha512] = &self.0.signing_certificate_v2;
        match digest {
            DigestAlgorithm::Sha256 => sha256,
            DigestAlgorithm::Sha384 => sha384,
            DigestAlgorithm::Sha512 => sha512,
        }
    }

    /// `[0] IMPLICIT CertificateSet`, DER.
    pub(crate) fn certificates(&self) -> &[u8] {
        &self.0.certificates
    }
}

/// The parts of a certificate that a signature needs, as they stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CertificateNames<'a> {
    /// `Name` of the issuer.
    pub issuer_der: &'a [u8],
    /// `CertificateSerialNumber`.
    pub serial_der: &'a [u8],
    /// `SubjectPublicKeyInfo`.
    pub spki_der: &'a [u8],
}

impl<'a> CertificateNames<'a> {
    /// Reads the outer layers of a certificate; what is inside of names and extensions is for the path validator.
    ///
    /// # Source
    /// RFC 5280 §4.1: version `[0]`, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, ...
    pub fn read(certificate_der: &'a [u8]) -> Result<Self, Fault> {
        const VERSION: u8 = CONTEXT_0;
        let mut certificate = Reader::new(single(certificate_der, SEQUENCE)?.value);
        let mut tbs_certificate = certificate.enter(SEQUENCE)?;
        certificate.expect(SEQUENCE)?;
        certificate.expect(crate::write::BIT_STRING)?;
        certificate.finish()?;
        tbs_certificate.optional(VERSION)?;
        let serial = tbs_certificate.expect(INTEGER)?;
        if !is_integer(serial.value) {
            return Err("its serial number is not in its DER form");
        }
        tbs_certificate.expect(SEQUENCE)?;
        let issuer_der = tbs_certificate.expect(SEQUENCE)?.der;
        tbs_certificate.expect(SEQUENCE)?;
        tbs_certificate.expect(SEQUENCE)?;
        let spki_der = tbs_certificate.expect(SEQUENCE)?.der;
        Ok(Self { issuer_der, serial_der: serial.der, spki_der })
    }

    /// `IssuerAndSerialNumber`, DER.
    pub fn sid(&self) -> Vec<u8> {
        element(SEQUENCE, &[self.issuer_der, self.serial_der])
    }

    /// The signing-certificate-v2 attribute, DER: the hash is that of the certificate as received.
    pub fn signing_certificate_v2(
        &self,
        digest: DigestAlgorithm,
        certificate_der: &[u8],
    ) -> Vec<u8> {
        let cert_hash = aws_lc_rs::digest::digest(digest.implementation(), certificate_der);
        signed_attrs::signing_certificate_v2(
            digest,
            cert_hash.as_ref(),
            self.issuer_der,
            self.serial_der,
        )
    }
}

/// `[0] IMPLICIT CertificateSet`, DER: in the order of a `SET OF`, none twice.
fn certificate_set(chain: &[&[u8]]) -> Vec<u8> {
    let mut certificates = chain.to_vec();
    sort_set_of(&mut certificates);
    certificates.dedup();
    element(CONTEXT_0, &certificates)
}

fn check_limits(chain: &[&[u8]]) -> Result<(), CmsError> {
    let too_long = |what, limit, actual| Err(CmsError::TooLong { what, limit, actual });
    if chain.len() > CHAIN_MAX {
        return too_long("certificate chain", CHAIN_MAX, chain.len());
    }
    match chain.iter().map(|certificate| certificate.len()).max() {
        Some(longest) if longest > CERTIFICATE_MAX_BYTES => {
            too_long("certificate", CERTIFICATE_MAX_BYTES, longest)
        }
        _ => Ok(()),
    }
}
