//! One question to an OCSP responder and what its answer is worth: RFC 6960, with the nonces of RFC 8954 and RFC 9654.
//!
//! ```text
//! question ──> request ──> (fetched by the caller) ──> response: size, form, status
//!     ─> responder: the issuer itself, or delegated by the issuer's key, and its signature over the answer
//!     ─> the same nonce ─> the one answer about the same certificate ─> its times ─> good / revoked / unknown
//! ```
//! Nothing of an answer is believed before its signature verified. Nothing is fetched here.

use super::Validity;
use super::ValidityError;
use super::period::PeriodFault;
use super::period::believed_until;
use super::period::not_from_the_future;
use super::responder;
use super::responder::RevocationOfResponder;
use crate::clock::UnixSeconds;
use crate::path::Certificate;
use crate::path::signature;
use crate::path::signature::SignatureFault;
use crate::revocation::CrlFault;
use crate::revocation::RevocationReason;
use aws_lc_rs::digest;
use aws_lc_rs::rand;
use certval::ocsp::CertId;
use certval::ocsp::CertStatus;
use certval::ocsp::OcspGeneralizedTime;
use certval::ocsp::OcspRequest;
use certval::ocsp::OcspResponse;
use certval::ocsp::OcspResponseStatus;
use certval::ocsp::Request;
use certval::ocsp::ResponseData;
use certval::ocsp::SingleResponse;
use certval::ocsp::TbsRequest;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912;
use const_oid::db::rfc6960;
use der::Any;
use der::Decode;
use der::Encode;
use der::Reader;
use der::SliceReader;
use der::TagNumber;
use der::asn1::AnyRef;
use der::asn1::BitStringRef;
use der::asn1::ContextSpecific;
use der::asn1::OctetString;
use serde::Deserialize;
use spki::AlgorithmIdentifierOwned;
use x509_cert::ext::Extension;
use x509_cert::ext::Extensions;
use x509_cert::serial_number::SerialNumber;

/// Longest response: real ones have 1 to 3 kB, mostly certificates.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024;
/// Most certificates in a response: a responder's own, and its issuers.
pub const MAX_CERTIFICATES: usize = 8;
/// Most answers in a response: one was asked for; responders that prepare theirs may add some.
pub const MAX_ANSWERS: usize = 64;
/// Seconds for which an answer without nextUpdate is believed: such a responder always has a newer one.
pub const UNDATED_SECONDS: u64 = 300;
/// Octets of a nonce (RFC 9654 §2.1).
const NONCE_BYTES: usize = 32;

/// How a responder is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OcspRules {
    /// What name and key of the issuer are hashed with.
    pub hash: CertIdHash,
    /// Whether a nonce is sent, and then must come back. Responders that prepare their answers know none.
    pub nonce: bool,
    /// Seconds after thisUpdate at which an answer is too old, whatever its nextUpdate says.
    pub max_age_seconds: u64,
}

/// What name and key of the issuer are hashed with: it finds a certificate and proves nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum CertIdHash {
    /// SHA-256.
    #[default]
    #[serde(rename = "sha-256")]
    Sha256,
    /// SHA-1, for responders that understand nothing else (RFC 5019 §2.1.1).
    #[serde(rename = "sha-1")]
    Sha1,
}

impl CertIdHash {
    fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Sha256 => rfc5912::ID_SHA_256,
            Self::Sha1 => rfc5912::ID_SHA_1,
        }
    }

    fn of(self, octets: &[u8]) -> der::Result<OctetString> {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        };
        OctetString::new(digest::digest(algorithm, octets).as_ref())
    }
}

/// Why no answer can be had from a response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OcspFault {
    /// The responder does not know the certificate.
    #[error("the responder does not know the certificate")]
    Unknown,
    /// The responder cannot answer now.
    #[error("the responder says {0}")]
    Busy(&'static str),
    /// The responder does not answer such a question, or not to us.
    #[error("the responder says {0}")]
    Refused(&'static str),
    /// The question cannot be made.
    #[error("the question cannot be made: {0}")]
    Question(String),
    /// Longer than [`MAX_RESPONSE_BYTES`].
    #[error("a response of {0} octets is too long")]
    TooLarge(usize),
    /// Not DER, or no OCSP response.
    #[error("the response is not well formed: {0}")]
    Encoding(String),
    /// Another type of response than id-pkix-ocsp-basic.
    #[error("the response is of the type {0}, which is not known")]
    Type(String),
    /// More certificates or answers than allowed.
    #[error("the response holds too many {0}")]
    TooMany(&'static str),
    /// A critical extension is not understood.
    #[error("the response has a critical extension that is not understood: {0}")]
    CriticalExtension(String),
    /// Neither the issuer nor a certificate in the response is who the response says to have signed it.
    #[error("no certificate of the responder is in the response")]
    NoResponder,
    /// The responder's signature.
    #[error("the response is not signed by its responder: {0}")]
    Signature(SignatureFault),
    /// The issuer did not entrust the responder with its answers, or no longer does.
    #[error("the responder may not answer for the issuer: {0}")]
    NotAuthorised(&'static str),
    /// The responder's certificate is revoked.
    #[error("the certificate of the responder is revoked")]
    ResponderRevoked,
    /// Whether the responder's certificate is revoked is not known.
    #[error("the certificate of the responder may be revoked: {0}")]
    ResponderUnknown(CrlFault),
    /// The nonce that was sent did not come back.
    #[error("the nonce that was sent is not in the response")]
    Nonce,
    /// No answer about the certificate asked for.
    #[error("the response is about another certificate")]
    OtherCertificate,
    /// Two answers about one certificate.
    #[error("the response answers twice")]
    Twice,
    /// It may not be believed now.
    #[error(transparent)]
    Period(#[from] PeriodFault),
}

impl From<der::Error> for OcspFault {
    fn from(error: der::Error) -> Self {
        Self::Encoding(error.to_string())
    }
}

impl From<OcspFault> for ValidityError {
    fn from(fault: OcspFault) -> Self {
        let reason = fault.to_string();
        match fault {
            OcspFault::Unknown => Self::Unknown,
            OcspFault::Busy(_) | OcspFault::Question(_) => Self::Unavailable { reason },
            OcspFault::Refused(_)
            | OcspFault::TooLarge(_)
            | OcspFault::Encoding(_)
            | OcspFault::Type(_)
            | OcspFault::TooMany(_)
            | OcspFault::CriticalExtension(_)
            | OcspFault::NoResponder
            | OcspFault::Signature(_)
            | OcspFault::NotAuthorised(_)
            | OcspFault::ResponderRevoked
            | OcspFault::ResponderUnknown(_)
            | OcspFault::Nonce
            | OcspFault::OtherCertificate
            | OcspFault::Twice
            | OcspFault::Period(_) => Self::Unusable { reason },
        }
    }
}

/// One question about one certificate. Its nonce is its own, so it is asked once.
pub struct OcspQuestion<'a> {
    issuer: &'a Certificate,
    rules: OcspRules,
    id: CertId,
    nonce: Option<OctetString>,
}

impl<'a> OcspQuestion<'a> {
    /// Asks about `certificate`, which the key of `issuer` signed.
    ///
    /// # Errors
    /// [`OcspFault::Question`] when the random source fails.
    /// # Source
    /// RFC 6960 §4.1.1 for the certificate's id; RFC 9654 §2.1 for the nonce.
    pub fn new(
        certificate: &Certificate,
        issuer: &'a Certificate,
        rules: OcspRules,
    ) -> Result<Self, OcspFault> {
        let failed = |reason: &dyn std::fmt::Display| OcspFault::Question(reason.to_string());
        let nonce = || {
            let mut nonce = [0; NONCE_BYTES];
            rand::fill(&mut nonce).map_err(|_| failed(&"the random source failed"))?;
            OctetString::new(nonce).map_err(|error| failed(&error))
        };
        let id = cert_id(certificate, issuer, rules.hash).map_err(|error| failed(&error))?;
        let nonce = rules.nonce.then(nonce).transpose()?;
        Ok(Self { issuer, rules, id, nonce })
    }

    /// The request, DER.
    ///
    /// # Errors
    /// [`OcspFault::Question`]; it does not happen to what [`OcspQuestion::new`] made.
    pub fn to_der(&self) -> Result<Vec<u8>, OcspFault> {
        let der = self.request().and_then(|request| request.to_der());
        der.map_err(|error| OcspFault::Question(error.to_string()))
    }

    fn request(&self) -> der::Result<OcspRequest> {
        let nonce = |nonce: &OctetString| -> der::Result<Extensions> {
            let extn_value = OctetString::new(nonce.to_der()?)?;
            let extn_id = rfc6960::ID_PKIX_OCSP_NONCE;
            Ok(vec![Extension { extn_id, critical: false, extn_value }])
        };
        let request_extensions = self.nonce.as_ref().map(nonce).transpose()?;
        let request_list =
            vec![Request { req_cert: self.id.clone(), single_request_extensions: None }];
        let tbs_request = TbsRequest { request_list, request_extensions, ..Default::default() };
        Ok(OcspRequest { tbs_request, optional_signature: None })
    }

    /// What `response`, DER, says of the certificate at `now`. `revocation` says whether a delegated responder's own
    /// certificate is revoked; it is asked unless that carries id-pkix-ocsp-nocheck.
    ///
    /// # Errors
    /// [`OcspFault`]; never panics, whatever the octets.
    /// # Source
    /// RFC 6960 §3.2 for the conditions, §4.2.2 for the responder.
    pub fn read(
        &self,
        response: &[u8],
        now: UnixSeconds,
        revocation: &RevocationOfResponder<'_>,
    ) -> Result<Validity, OcspFault> {
        let octets = basic_octets(response)?;
        let basic = Basic::parse(octets.as_bytes())?;
        let data = ResponseData::from_der(basic.tbs_der)?;
        // §3.2 (2), (3), (4): the signature is one of the responder's, and the responder may answer.
        responder::check(&basic, &data.responder_id, self.issuer, now, revocation)?;
        self.check_nonce(&extensions(data.response_extensions.as_ref())?)?;
        if data.responses.len() > MAX_ANSWERS {
            return Err(OcspFault::TooMany("answers"));
        }
        // §3.2 (1): it is about the certificate that was asked for.
        let mut about = data.responses.iter().filter(|answer| self.is_about(&answer.cert_id));
        let answer = about.next().ok_or(OcspFault::OtherCertificate)?;
        if about.next().is_some() {
            return Err(OcspFault::Twice);
        }
        extensions(answer.single_extensions.as_ref())?;
        not_from_the_future(seconds(data.produced_at), now)?;
        let until = self.until(answer, now)?;
        match answer.cert_status {
            CertStatus::Good(_) => Ok(Validity::Good { until, predecessor: None }),
            CertStatus::Unknown(_) => Err(OcspFault::Unknown),
            CertStatus::Revoked(info) => {
                let reason = info.revocation_reason.map(RevocationReason::from);
                let at = seconds(info.revocation_time);
                Ok(Validity::Revoked { at, reason: reason.unwrap_or_default() })
            }
        }
    }

    /// RFC 9654 §2.1: what was sent comes back, octet by octet.
    fn check_nonce(&self, extensions: &[&Extension]) -> Result<(), OcspFault> {
        let Some(sent) = &self.nonce else { return Ok(()) };
        let mut nonces = extensions.iter().filter(|one| one.extn_id == rfc6960::ID_PKIX_OCSP_NONCE);
        let came = nonces.next().ok_or(OcspFault::Nonce)?;
        let same =
            OctetString::from_der(came.extn_value.as_bytes()).is_ok_and(|came| came == *sent);
        if same && nonces.next().is_none() { Ok(()) } else { Err(OcspFault::Nonce) }
    }

    /// The same hashes and number. Parameters of the hash do not matter: some write NULL, some nothing.
    fn is_about(&self, id: &CertId) -> bool {
        id.hash_algorithm.oid == self.id.hash_algorithm.oid
            && id.issuer_name_hash == self.id.issuer_name_hash
            && id.issuer_key_hash == self.id.issuer_key_hash
            && id.serial_number == self.id.serial_number
    }

    /// §3.2 (5), (6).
    fn until(&self, answer: &SingleResponse, now: UnixSeconds) -> Result<UnixSeconds, PeriodFault> {
        let this_update = seconds(answer.this_update);
        let undated = UnixSeconds(this_update.0.saturating_add(UNDATED_SECONDS));
        let next_update = answer.next_update.map_or(undated, seconds);
        believed_until(this_update, next_update, self.rules.max_age_seconds, now)
    }
}

/// BasicOCSPResponse with the signed octets as they came.
pub(super) struct Basic<'a> {
    tbs_der: &'a [u8],
    algorithm: AlgorithmIdentifierOwned,
    signature: &'a [u8],
    pub(super) certificates: Vec<Certificate>,
}

impl<'a> Basic<'a> {
    fn parse(der: &'a [u8]) -> Result<Self, OcspFault> {
        let mut reader = SliceReader::new(der)?;
        let (tbs_der, algorithm, signature, chain) = reader.sequence(|inner| {
            let tbs_der = inner.tlv_bytes()?;
            let algorithm = AlgorithmIdentifierOwned::decode(inner)?;
            let signature = BitStringRef::decode(inner)?;
            let chain = ContextSpecific::<Vec<AnyRef<'a>>>::decode_explicit(inner, TagNumber(0))?;
            Ok::<_, der::Error>((tbs_der, algorithm, signature, chain))
        })?;
        reader.finish()?;
        let chain = chain.map(|chain| chain.value).unwrap_or_default();
        if chain.len() > MAX_CERTIFICATES {
            return Err(OcspFault::TooMany("certificates"));
        }
        let signature =
            signature.as_bytes().ok_or(OcspFault::Signature(SignatureFault::Mismatch))?;
        let mut certificates = Vec::new();
        for certificate in chain {
            let parsed = Certificate::from_der(&certificate.to_der()?);
            certificates.push(parsed.map_err(|fault| OcspFault::Encoding(fault.to_string()))?);
        }
        Ok(Self { tbs_der, algorithm, signature, certificates })
    }

    /// Whether the key of `signer` made the signature.
    pub(super) fn verify(&self, signer: &Certificate) -> Result<(), SignatureFault> {
        let scheme = signature::scheme_of(&self.algorithm)?;
        signature::verify(scheme, signer.public_key(), self.tbs_der, self.signature)
    }
}

/// §4.2.1: the basic response inside, if the responder gave one.
fn basic_octets(response: &[u8]) -> Result<OctetString, OcspFault> {
    if response.len() > MAX_RESPONSE_BYTES {
        return Err(OcspFault::TooLarge(response.len()));
    }
    let OcspResponse { response_status, response_bytes } = OcspResponse::from_der(response)?;
    let refused = |word| Err(OcspFault::Refused(word));
    match response_status {
        OcspResponseStatus::Successful => {}
        OcspResponseStatus::TryLater => return Err(OcspFault::Busy("tryLater")),
        OcspResponseStatus::InternalError => return Err(OcspFault::Busy("internalError")),
        OcspResponseStatus::MalformedRequest => return refused("malformedRequest"),
        OcspResponseStatus::SigRequired => return refused("sigRequired"),
        OcspResponseStatus::Unauthorized => return refused("unauthorized"),
    }
    let inside = response_bytes.ok_or_else(|| OcspFault::Encoding("it is empty".to_owned()))?;
    match inside.response_type {
        rfc6960::ID_PKIX_OCSP_BASIC => Ok(inside.response),
        other => Err(OcspFault::Type(other.to_string())),
    }
}

fn cert_id(
    certificate: &Certificate,
    issuer: &Certificate,
    hash: CertIdHash,
) -> der::Result<CertId> {
    Ok(CertId {
        hash_algorithm: AlgorithmIdentifierOwned { oid: hash.oid(), parameters: Some(Any::null()) },
        issuer_name_hash: hash.of(certificate.issuer_der())?,
        issuer_key_hash: hash.of(issuer.public_key().subject_public_key.raw_bytes())?,
        serial_number: SerialNumber::from_der(&certificate.serial_der())?,
    })
}

/// The extensions, none of them critical and unknown (RFC 6960 §4.4 has no critical one).
fn extensions(list: Option<&Extensions>) -> Result<Vec<&Extension>, OcspFault> {
    let list: Vec<_> = list.into_iter().flatten().collect();
    match list.iter().find(|one| one.critical && one.extn_id != rfc6960::ID_PKIX_OCSP_NONCE) {
        Some(unknown) => Err(OcspFault::CriticalExtension(unknown.extn_id.to_string())),
        None => Ok(list),
    }
}

fn seconds(time: OcspGeneralizedTime) -> UnixSeconds {
    UnixSeconds(time.0.to_unix_duration().as_secs())
}
