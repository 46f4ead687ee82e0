//! A card, its CA, and whoever answers for it.

use crate::pki::Ca;
use crate::pki::DAY;
use crate::pki::Draft;
use crate::pki::Leaf;
use crate::pki::NOW;
use crate::pki::earlier;
use crate::pki::extension;
use crate::pki::later;
use attest::clock::UnixSeconds;
use attest::path::Certificate;
use attest::revocation::NotGood;
use attest::validity::CertIdHash;
use attest::validity::OcspFault;
use attest::validity::OcspQuestion;
use attest::validity::OcspRules;
use attest::validity::Validity;
use certval::ocsp::BasicOcspResponse;
use certval::ocsp::CertStatus;
use certval::ocsp::OcspGeneralizedTime;
use certval::ocsp::OcspRequest;
use certval::ocsp::OcspResponse;
use certval::ocsp::ResponderId;
use certval::ocsp::ResponseData;
use certval::ocsp::SingleResponse;
use certval::ocsp::Version;
use const_oid::ObjectIdentifier;
use der::Decode;
use der::Encode;
use der::asn1::BitString;
use der::asn1::GeneralizedTime;
use der::asn1::OctetString;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::KeyPair;
use rcgen::SigningKey;
use spki::AlgorithmIdentifierOwned;
use std::time::Duration;
use x509_cert::ext::Extension;
use x509_cert::name::Name;

pub const RULES: OcspRules =
    OcspRules { hash: CertIdHash::Sha256, nonce: true, max_age_seconds: 10 * DAY };

/// A CA, a card of it, and how a responder answers about the card.
pub struct World {
    pub ca: Ca,
    pub card: Leaf,
    pub rules: OcspRules,
}

/// What a responder writes; change a field to break one rule.
pub struct Answer {
    pub data: ResponseData,
    pub certificates: Vec<Vec<u8>>,
}

impl World {
    pub fn new() -> Self {
        let ca = Ca::root("JPKI for user authentication");
        let card = ca.card();
        Self { ca, card, rules: RULES }
    }

    /// Asks, has `change` change a good answer by the issuer itself, and reads it.
    pub fn changed(&self, change: impl FnOnce(&mut Answer)) -> Result<Validity, OcspFault> {
        self.signed_by(self.ca.key(), change)
    }

    pub fn signed_by(
        &self,
        key: &KeyPair,
        change: impl FnOnce(&mut Answer),
    ) -> Result<Validity, OcspFault> {
        self.read(|request| {
            let mut answer = Answer::to(request, &name_of(&self.ca.der));
            change(&mut answer);
            answer.sign(key)
        })
    }

    pub fn read(&self, respond: impl FnOnce(&[u8]) -> Vec<u8>) -> Result<Validity, OcspFault> {
        self.read_by(respond, |_| panic!("a responder's certificate was looked up"))
    }

    pub fn read_by(
        &self,
        respond: impl FnOnce(&[u8]) -> Vec<u8>,
        lists: impl Fn(&Certificate) -> Result<UnixSeconds, NotGood> + Send + Sync,
    ) -> Result<Validity, OcspFault> {
        let (card, issuer) = (parse(&self.card.der), parse(&self.ca.der));
        let question = OcspQuestion::new(&card, &issuer, self.rules).unwrap();
        let response = respond(&question.to_der().unwrap());
        question.read(&response, NOW, &lists)
    }

    /// Asks a responder that `by` certified.
    pub fn delegated(&self, by: &Ca, draft: Draft) -> Result<Validity, OcspFault> {
        let responder = by.issue(draft);
        self.signed_by(&responder.key, |answer| {
            answer.data.responder_id = ResponderId::ByName(name_of(&responder.der));
            answer.certificates = vec![responder.der.clone()];
        })
    }
}

impl Answer {
    /// Good from an hour ago until tomorrow.
    pub fn to(request: &[u8], responder: &Name) -> Self {
        let request = OcspRequest::from_der(request).unwrap().tbs_request;
        let [asked] = request.request_list.as_slice() else { panic!("one certificate a question") };
        let single = SingleResponse {
            cert_id: asked.req_cert.clone(),
            cert_status: CertStatus::good(),
            this_update: time(earlier(3600)),
            next_update: Some(time(later(DAY))),
            single_extensions: None,
        };
        let data = ResponseData {
            version: Version::V1,
            responder_id: ResponderId::ByName(responder.clone()),
            produced_at: time(NOW),
            responses: vec![single],
            response_extensions: request.request_extensions,
        };
        Self { data, certificates: Vec::new() }
    }

    pub fn single(&mut self) -> &mut SingleResponse {
        &mut self.data.responses[0]
    }

    pub fn sign(&self, key: &KeyPair) -> Vec<u8> {
        let certificates = self.certificates.iter();
        let certificates: Vec<_> =
            certificates.map(|der| x509_cert::Certificate::from_der(der).unwrap()).collect();
        let basic = BasicOcspResponse {
            tbs_response_data: self.data.clone(),
            signature_algorithm: AlgorithmIdentifierOwned {
                oid: ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"),
                parameters: None,
            },
            signature: BitString::from_bytes(&key.sign(&self.data.to_der().unwrap()).unwrap())
                .unwrap(),
            certs: (!certificates.is_empty()).then_some(certificates),
        };
        OcspResponse::successful(basic).unwrap().to_der().unwrap()
    }
}

/// A certificate for signing answers, that need not be checked itself.
pub fn responder() -> Draft {
    let mut draft = Draft::card("OCSP responder");
    draft.params.custom_extensions = vec![extension(NO_CHECK, vec![5, 0], false)];
    draft.with_extended(&[ExtendedKeyUsagePurpose::OcspSigning])
}

/// The same without id-pkix-ocsp-nocheck.
pub fn responder_to_check() -> Draft {
    let mut draft = responder();
    draft.params.custom_extensions.clear();
    draft
}

pub fn parse(der: &[u8]) -> Certificate {
    Certificate::from_der(der).unwrap()
}

pub fn name_of(der: &[u8]) -> Name {
    parse(der).subject().clone()
}

pub fn time(at: UnixSeconds) -> OcspGeneralizedTime {
    GeneralizedTime::from_unix_duration(Duration::from_secs(at.0)).unwrap().into()
}

pub fn key_hash(der: &[u8]) -> OctetString {
    let certificate = parse(der);
    let key = certificate.public_key().subject_public_key.raw_bytes();
    let algorithm = &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
    OctetString::new(aws_lc_rs::digest::digest(algorithm, key).as_ref()).unwrap()
}

pub fn unknown_extension(critical: bool) -> Extension {
    let extn_value = OctetString::new([5, 0]).unwrap();
    Extension { extn_id: ObjectIdentifier::new_unwrap("1.2.3.4"), critical, extn_value }
}

pub fn good(until: UnixSeconds) -> Result<Validity, OcspFault> {
    Ok(Validity::Good { until, predecessor: None })
}

pub fn after(at: UnixSeconds, seconds: u64) -> UnixSeconds {
    UnixSeconds(at.0 + seconds)
}

/// id-pkix-ocsp-nocheck.
const NO_CHECK: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 1, 5];
