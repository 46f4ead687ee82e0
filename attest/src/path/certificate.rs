//! One certificate, parsed once: what path building, revocation and the login profile ask about it.

use super::name;
use super::signature;
use super::signature::SignatureFault;
use crate::clock::UnixSeconds;
use crate::records::Fingerprint;
use certval::PDVCertificate;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use der::Decode;
use der::Encode;
use der::Reader;
use der::SliceReader;
use spki::AlgorithmIdentifierOwned;
use spki::SubjectPublicKeyInfoOwned;
use std::fmt;
use x509_cert::certificate::Raw;
use x509_cert::certificate::TbsCertificateInner;
use x509_cert::ext::pkix::AuthorityKeyIdentifier;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::ext::pkix::CertificatePolicies;
use x509_cert::ext::pkix::ExtendedKeyUsage;
use x509_cert::ext::pkix::KeyUsage;
use x509_cert::ext::pkix::NameConstraints;
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_cert::name::Name;
use x509_cert::time::Time;

/// Longest certificate: real ones have 1 to 2 kB; the limit bounds names and constraints with it.
pub const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;
/// Most extensions: RFC 5280 defines 17.
pub const MAX_EXTENSIONS: usize = 64;

/// Why octets are no certificate that can be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// Longer than [`MAX_CERTIFICATE_BYTES`].
    #[error("a certificate of {0} octets is too long")]
    TooLarge(usize),
    /// Not DER, or not an X.509 version 3 certificate.
    #[error("the certificate is not well formed: {0}")]
    Encoding(String),
    /// The algorithm inside and outside the signed part differ (RFC 5280 §4.1.1.2).
    #[error("the certificate names two different signature algorithms")]
    SignatureAlgorithms,
    /// An extension occurs twice, or there are too many (RFC 5280 §4.2).
    #[error("the certificate has repeated or too many extensions")]
    Extensions,
    /// A trust anchor must be a self-signed CA certificate.
    #[error("a trust anchor must be a self-signed CA certificate: {0}")]
    NotAnAnchor(&'static str),
}

/// A certificate, parsed, with the octets it came in.
pub struct Certificate {
    pdv: PDVCertificate,
    tbs_der: Vec<u8>,
    subject_der: Vec<u8>,
    issuer_der: Vec<u8>,
    subject_coarse: Vec<u8>,
    issuer_coarse: Vec<u8>,
    spki_der: Vec<u8>,
    fingerprint: Fingerprint,
}

impl Certificate {
    /// Parses one DER certificate.
    ///
    /// # Errors
    /// [`CertificateFault`]; never panics, whatever the octets.
    /// # Source
    /// RFC 5280 §4.1.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateFault> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateFault::TooLarge(der.len()));
        }
        let (tbs_der, outer_algorithm) = split(der).map_err(encoding)?;
        let pdv = PDVCertificate::try_from(der).map_err(encoding)?;
        let tbs = pdv.decoded().tbs_certificate();
        if *tbs.signature() != outer_algorithm {
            return Err(CertificateFault::SignatureAlgorithms);
        }
        check_extensions(tbs)?;
        let subject_der = tbs.subject().to_der().map_err(encoding)?;
        let issuer_der = tbs.issuer().to_der().map_err(encoding)?;
        let spki_der = tbs.subject_public_key_info().to_der().map_err(encoding)?;
        let (subject_coarse, issuer_coarse) =
            (name::coarse(tbs.subject()), name::coarse(tbs.issuer()));
        let fingerprint = Fingerprint::of(der);
        Ok(Self {
            pdv,
            tbs_der,
            subject_der,
            issuer_der,
            subject_coarse,
            issuer_coarse,
            spki_der,
            fingerprint,
        })
    }

    /// The octets it was parsed from.
    pub fn as_der(&self) -> &[u8] {
        self.pdv.as_bytes()
    }

    /// SHA-256 of the octets.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The subject's name.
    pub fn subject(&self) -> &Name {
        self.tbs().subject()
    }

    /// The issuer's name.
    pub fn issuer(&self) -> &Name {
        self.tbs().issuer()
    }

    /// The subject's name, DER.
    pub fn subject_der(&self) -> &[u8] {
        &self.subject_der
    }

    /// The issuer's name, DER.
    pub fn issuer_der(&self) -> &[u8] {
        &self.issuer_der
    }

    /// The subject as RFC 4514 text that is safe to print (see [`name::printable`]).
    pub fn subject_text(&self) -> String {
        name::printable(self.subject())
    }

    /// The issuer as RFC 4514 text that is safe to print.
    pub fn issuer_text(&self) -> String {
        name::printable(self.issuer())
    }

    /// The serial number: content octets of its INTEGER, as encoded.
    pub fn serial(&self) -> &[u8] {
        self.tbs().serial_number().as_bytes()
    }

    /// The serial number, DER.
    pub fn serial_der(&self) -> Vec<u8> {
        self.tbs().serial_number().to_der().unwrap_or_default()
    }

    /// The SubjectPublicKeyInfo, DER.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The SubjectPublicKeyInfo.
    pub fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        self.tbs().subject_public_key_info()
    }

    /// First second of validity.
    pub fn not_before(&self) -> UnixSeconds {
        seconds(self.tbs().validity().not_before)
    }

    /// Last second of validity; both ends are inclusive (RFC 5280 §4.1.2.5).
    pub fn not_after(&self) -> UnixSeconds {
        seconds(self.tbs().validity().not_after)
    }

    /// Whether the issuer's name has the organization `organization`.
    pub fn is_issued_by_organization(&self, organization: &str) -> bool {
        name::has_organization(self.issuer(), organization)
    }

    /// Whether subject and issuer are the same name.
    pub fn is_self_issued(&self) -> bool {
        certval::compare_names(self.subject(), self.issuer())
    }

    /// Whether the subject of `ca` is the issuer of this certificate, by name alone (RFC 5280 §7.1).
    pub(super) fn names_as_issuer(&self, ca: &Self) -> bool {
        self.issuer_coarse == ca.subject_coarse
            && certval::compare_names(ca.subject(), self.issuer())
    }

    /// Whether basicConstraints says that this is a CA.
    pub fn is_ca(&self) -> bool {
        self.decode::<BasicConstraints>(&rfc5912::ID_CE_BASIC_CONSTRAINTS)
            .is_some_and(|constraints| constraints.ca)
    }

    /// The key usage, if present and readable.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.decode(&rfc5912::ID_CE_KEY_USAGE)
    }

    /// The extended key usages, if present and readable.
    pub fn extended_key_usage(&self) -> Option<Vec<ObjectIdentifier>> {
        self.decode::<ExtendedKeyUsage>(&rfc5912::ID_CE_EXT_KEY_USAGE).map(|usage| usage.0)
    }

    /// The certificate policies; empty when absent or unreadable.
    pub fn policies(&self) -> Vec<ObjectIdentifier> {
        self.decode::<CertificatePolicies>(&rfc5912::ID_CE_CERTIFICATE_POLICIES)
            .map(|policies| policies.0.iter().map(|policy| policy.policy_identifier).collect())
            .unwrap_or_default()
    }

    /// The name constraints, if present and readable.
    pub(super) fn name_constraints(&self) -> Option<NameConstraints> {
        self.decode(&rfc5912::ID_CE_NAME_CONSTRAINTS)
    }

    /// The subject key identifier.
    pub fn subject_key_id(&self) -> Option<Vec<u8>> {
        self.decode::<SubjectKeyIdentifier>(&rfc5912::ID_CE_SUBJECT_KEY_IDENTIFIER)
            .map(|id| id.0.as_bytes().to_vec())
    }

    /// The key identifier inside the authority key identifier.
    pub fn authority_key_id(&self) -> Option<Vec<u8>> {
        self.decode::<AuthorityKeyIdentifier>(&rfc5912::ID_CE_AUTHORITY_KEY_IDENTIFIER)
            .and_then(|id| id.key_identifier)
            .map(|id| id.as_bytes().to_vec())
    }

    /// Criticality and value octets of an extension.
    pub fn extension(&self, oid: &ObjectIdentifier) -> Option<(bool, &[u8])> {
        self.tbs()
            .extensions()?
            .iter()
            .find(|extension| extension.extn_id == *oid)
            .map(|extension| (extension.critical, extension.extn_value.as_bytes()))
    }

    /// The extensions that must be understood.
    pub(crate) fn critical_extensions(&self) -> impl Iterator<Item = ObjectIdentifier> {
        let all = self.tbs().extensions().into_iter().flatten();
        all.filter(|extension| extension.critical).map(|extension| extension.extn_id)
    }

    /// Whether the key of `issuer` made the signature of this certificate.
    ///
    /// # Errors
    /// [`SignatureFault`].
    pub fn verify_signed_by(&self, issuer: &Self) -> Result<(), SignatureFault> {
        let certificate = self.pdv.decoded();
        let scheme = signature::scheme_of(certificate.signature_algorithm())?;
        let value = certificate.signature().as_bytes().ok_or(SignatureFault::Mismatch)?;
        signature::verify(scheme, issuer.public_key(), &self.tbs_der, value)
    }

    /// The form that certval works on.
    pub(super) fn pdv(&self) -> &PDVCertificate {
        &self.pdv
    }

    pub(super) fn tbs(&self) -> &TbsCertificateInner<Raw> {
        self.pdv.decoded().tbs_certificate()
    }

    fn decode<'a, T: Decode<'a>>(&'a self, oid: &ObjectIdentifier) -> Option<T> {
        self.extension(oid).and_then(|(_, value)| T::from_der(value).ok())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {})", self.subject_text(), self.fingerprint.0)
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.as_der() == other.as_der()
    }
}

impl Eq for Certificate {}

/// Unix seconds of a certificate's time.
pub(crate) fn seconds(time: Time) -> UnixSeconds {
    UnixSeconds(time.to_unix_duration().as_secs())
}

/// The signed octets as they came, and the algorithm outside of them.
fn split(der: &[u8]) -> der::Result<(Vec<u8>, AlgorithmIdentifierOwned)> {
    let mut reader = SliceReader::new(der)?;
    let parts = reader.sequence(|inner| {
        let tbs = inner.tlv_bytes()?.to_vec();
        let algorithm = AlgorithmIdentifierOwned::decode(inner)?;
        inner.tlv_bytes()?;
        Ok::<_, der::Error>((tbs, algorithm))
    })?;
    reader.finish()?;
    Ok(parts)
}

fn check_extensions(tbs: &TbsCertificateInner<Raw>) -> Result<(), CertificateFault> {
    let extensions = tbs.extensions().map(Vec::as_slice).unwrap_or_default();
    let mut oids: Vec<_> = extensions.iter().map(|extension| extension.extn_id).collect();
    let count = oids.len();
    oids.sort();
    oids.dedup();
    match count <= MAX_EXTENSIONS && oids.len() == count {
        true => Ok(()),
        false => Err(CertificateFault::Extensions),
    }
}

fn encoding(error: der::Error) -> CertificateFault {
    CertificateFault::Encoding(error.to_string())
}
