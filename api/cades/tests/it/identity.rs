//! Our octets against those of the `cms` crate, which encodes the same structures from the types of RFC 5652.

use crate::SIGNING_TIME;
use crate::digest_of;
use crate::pki::Pki;
use crate::pki::Signer;
use crate::pki::schemes;
use crate::prepare;
use attest::algorithm::ContentDigest;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::KeyType;
use attest::algorithm::SignatureScheme;
use attest::clock::UnixSeconds;
use cms::cert::CertificateChoices;
use cms::cert::IssuerAndSerialNumber;
use cms::content_info::CmsVersion;
use cms::content_info::ContentInfo;
use cms::signed_data::CertificateSet;
use cms::signed_data::EncapsulatedContentInfo;
use cms::signed_data::SignedData;
use cms::signed_data::SignerIdentifier;
use cms::signed_data::SignerInfo;
use cms::signed_data::SignerInfos;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5911;
use const_oid::db::rfc5912;
use der::Any;
use der::DateTime;
use der::Decode;
use der::Encode;
use der::Sequence;
use der::asn1::GeneralizedTime;
use der::asn1::Null;
use der::asn1::OctetString;
use der::asn1::SetOfVec;
use der::asn1::UtcTime;
use spki::AlgorithmIdentifierOwned;
use std::time::Duration;
use x509_cert::Certificate;
use x509_cert::attr::Attribute;
use x509_cert::attr::Attributes;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::serial_number::SerialNumber;

#[test]
fn signature_is_byte_for_byte_what_the_cms_crate_encodes() {
    for key_type in KeyType::ALL {
        let signer = Pki::get().signer(key_type);
        for scheme in schemes(key_type) {
            compare(signer, scheme, SIGNING_TIME, b"content");
        }
    }
}

#[test]
fn lengths_and_times_change_form_where_the_cms_crate_changes_them() {
    let signer = Pki::get().signer(KeyType::P256);
    let scheme = KeyType::P256.default_scheme();
    for year_2050 in [2_524_607_999, 2_524_608_000] {
        compare(signer, scheme, UnixSeconds(year_2050), b"content");
    }
    for len in [0, 127, 128, 255, 256, 65_535, 65_536] {
        compare(signer, scheme, SIGNING_TIME, &vec![7; len]);
    }
}

fn compare(signer: &Signer, scheme: SignatureScheme, time: UnixSeconds, content: &[u8]) {
    let digest = digest_of(scheme, content);
    let prepared = cades::prepare(&signer.certificate(), scheme, &digest, time).unwrap();
    let attributes = attributes(signer, &digest, time);
    let what = format!("{} {scheme:?} {time:?} {}", signer.key_type.name(), content.len());
    assert_eq!(prepared.signed_attrs_der(), attributes.to_der().unwrap(), "{what}");

    let value = signer.sign(scheme, prepared.signed_attrs_der());
    let detached = prepared.verify(&value).unwrap().assemble();
    let expected = |content| encode(signer, scheme, &attributes, &value, content);
    assert_eq!(hex::encode(&detached), hex::encode(expected(None)), "{what}");
    let attached = cades::attach(&detached, content).unwrap();
    assert_eq!(hex::encode(&attached), hex::encode(expected(Some(content))), "{what}");
}

/// The order in which a chain is configured, and a certificate configured twice, do not show in the signature.
#[test]
fn certificates_stand_in_set_order_without_duplicates() {
    let signer = Pki::get().signer(KeyType::P256);
    let leaf_only = cades::SigningCertificate::new(&signer.chain[..1]).unwrap();
    let [leaf, sub_ca] = [signer.chain[0].clone(), signer.chain[1].clone()];
    let twice = [leaf.clone(), sub_ca.clone(), sub_ca, leaf];
    let scheme = signer.key_type.default_scheme();
    let reference = prepare(signer, scheme, b"content");
    let value = signer.sign(scheme, reference.signed_attrs_der());
    let assemble = |certificate: &cades::SigningCertificate| {
        let digest = digest_of(scheme, b"content");
        let prepared = cades::prepare(certificate, scheme, &digest, SIGNING_TIME).unwrap();
        prepared.verify(&value).unwrap().assemble()
    };
    let twice = cades::SigningCertificate::new(&twice).unwrap();
    assert_eq!(assemble(&twice), reference.verify(&value).unwrap().assemble());
    let alone = assemble(&leaf_only);
    assert_eq!(cades::SignedDataView::parse(&alone).unwrap().certificates().len(), 1);
}

fn attributes(signer: &Signer, digest: &ContentDigest, time: UnixSeconds) -> Attributes {
    let leaf = Certificate::from_der(&signer.chain[0]).unwrap();
    let algorithm = digest.algorithm();
    let cert_hash = aws_lc_rs::digest::digest(algorithm.implementation(), &signer.chain[0]);
    let is_default = algorithm == DigestAlgorithm::Sha256;
    let signing_certificate = SigningCertificateV2 {
        certs: vec![EssCertIdV2 {
            hash_algorithm: (!is_default).then(|| digest_algorithm(algorithm)),
            cert_hash: OctetString::new(cert_hash.as_ref()).unwrap(),
            issuer_serial: Some(IssuerSerial {
                issuer: vec![GeneralName::DirectoryName(leaf.tbs_certificate().issuer().clone())],
                serial_number: leaf.tbs_certificate().serial_number().clone(),
            }),
        }],
    };
    let date_time = DateTime::from_unix_duration(Duration::from_secs(time.0)).unwrap();
    let time = match date_time.year() {
        ..2050 => Any::encode_from(&UtcTime::from_date_time(date_time).unwrap()).unwrap(),
        _ => Any::encode_from(&GeneralizedTime::from_date_time(date_time)).unwrap(),
    };
    let message_digest = OctetString::new(digest.as_bytes()).unwrap();
    SetOfVec::try_from(vec![
        attribute(rfc5911::ID_SIGNING_TIME, time),
        attribute(ID_AA_SIGNING_CERTIFICATE_V2, Any::encode_from(&signing_certificate).unwrap()),
        attribute(rfc5911::ID_CONTENT_TYPE, Any::encode_from(&rfc5911::ID_DATA).unwrap()),
        attribute(rfc5911::ID_MESSAGE_DIGEST, Any::encode_from(&message_digest).unwrap()),
    ])
    .unwrap()
}

fn encode(
    signer: &Signer,
    scheme: SignatureScheme,
    attributes: &Attributes,
    value: &[u8],
    content: Option<&[u8]>,
) -> Vec<u8> {
    let leaf = Certificate::from_der(&signer.chain[0]).unwrap();
    let digest_alg = digest_algorithm(cades::content_digest_algorithm(scheme));
    let signer_info = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: leaf.tbs_certificate().issuer().clone(),
            serial_number: leaf.tbs_certificate().serial_number().clone(),
        }),
        digest_alg: digest_alg.clone(),
        signed_attrs: Some(attributes.clone()),
        signature_algorithm: signature_algorithm(scheme),
        signature: OctetString::new(value).unwrap(),
        unsigned_attrs: None,
    };
    let certificates = signer.chain.iter().map(|certificate| {
        CertificateChoices::Certificate(Certificate::from_der(certificate).unwrap())
    });
    let econtent = content.map(|content| OctetString::new(content).unwrap());
    let signed_data = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::try_from(vec![digest_alg]).unwrap(),
        encap_content_info: EncapsulatedContentInfo {
            econtent_type: rfc5911::ID_DATA,
            econtent: econtent.map(|content| Any::encode_from(&content).unwrap()),
        },
        certificates: Some(CertificateSet::try_from(certificates.collect::<Vec<_>>()).unwrap()),
        crls: None,
        signer_infos: SignerInfos::try_from(vec![signer_info]).unwrap(),
    };
    let content = Any::encode_from(&signed_data).unwrap();
    ContentInfo { content_type: rfc5911::ID_SIGNED_DATA, content }.to_der().unwrap()
}

fn digest_algorithm(digest: DigestAlgorithm) -> AlgorithmIdentifierOwned {
    let oid = match digest {
        DigestAlgorithm::Sha256 => rfc5912::ID_SHA_256,
        DigestAlgorithm::Sha384 => rfc5912::ID_SHA_384,
        DigestAlgorithm::Sha512 => rfc5912::ID_SHA_512,
    };
    AlgorithmIdentifierOwned { oid, parameters: None }
}

fn signature_algorithm(scheme: SignatureScheme) -> AlgorithmIdentifierOwned {
    use DigestAlgorithm::*;
    let with_null =
        |oid| AlgorithmIdentifierOwned { oid, parameters: Some(Any::encode_from(&Null).unwrap()) };
    let without = |oid| AlgorithmIdentifierOwned { oid, parameters: None };
    match scheme {
        SignatureScheme::RsaPkcs1 { digest: Sha256 } => {
            with_null(rfc5912::SHA_256_WITH_RSA_ENCRYPTION)
        }
        SignatureScheme::RsaPkcs1 { digest: Sha384 } => {
            with_null(rfc5912::SHA_384_WITH_RSA_ENCRYPTION)
        }
        SignatureScheme::RsaPkcs1 { digest: Sha512 } => {
            with_null(rfc5912::SHA_512_WITH_RSA_ENCRYPTION)
        }
        SignatureScheme::Ecdsa { digest: Sha256 } => without(rfc5912::ECDSA_WITH_SHA_256),
        SignatureScheme::Ecdsa { digest: Sha384 } => without(rfc5912::ECDSA_WITH_SHA_384),
        SignatureScheme::Ecdsa { digest: Sha512 } => without(rfc5912::ECDSA_WITH_SHA_512),
        SignatureScheme::Ed25519 => without(const_oid::db::rfc8410::ID_ED_25519),
        SignatureScheme::RsaPss { digest, salt_len } => {
            let hash = with_null(digest_algorithm(digest).oid);
            let mask_gen = AlgorithmIdentifierOwned {
                oid: rfc5912::ID_MGF_1,
                parameters: Some(Any::encode_from(&hash).unwrap()),
            };
            let salt_len = (salt_len != 20).then_some(salt_len);
            let params = RsaPssParams { hash, mask_gen, salt_len };
            AlgorithmIdentifierOwned {
                oid: rfc5912::ID_RSASSA_PSS,
                parameters: Some(Any::encode_from(&params).unwrap()),
            }
        }
    }
}

fn attribute(oid: ObjectIdentifier, value: Any) -> Attribute {
    Attribute { oid, values: SetOfVec::try_from(vec![value]).unwrap() }
}

const ID_AA_SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

#[derive(Sequence)]
struct SigningCertificateV2 {
    certs: Vec<EssCertIdV2>,
}

#[derive(Sequence)]
struct EssCertIdV2 {
    #[asn1(optional = "true")]
    hash_algorithm: Option<AlgorithmIdentifierOwned>,
    cert_hash: OctetString,
    #[asn1(optional = "true")]
    issuer_serial: Option<IssuerSerial>,
}

#[derive(Sequence)]
struct IssuerSerial {
    issuer: Vec<GeneralName>,
    serial_number: SerialNumber,
}

#[derive(Sequence)]
struct RsaPssParams {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    hash: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT")]
    mask_gen: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    salt_len: Option<u8>,
}
