//! What is refused before, while and after a signature is made, one rule each.

use crate::SIGNING_TIME;
use crate::digest_of;
use crate::pki::Pki;
use crate::pki::schemes;
use crate::prepare;
use crate::sign;
use crate::tree::Node;
use attest::algorithm::ContentDigest;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::KeyType;
use attest::algorithm::SignatureScheme;
use attest::clock::UnixSeconds;
use cades::CERTIFICATE_MAX_BYTES;
use cades::CHAIN_MAX;
use cades::CertificateFault;
use cades::CmsError;
use cades::PublicKey;
use cades::SigningCertificate;
use der::Decode;
use der::Encode;
use x509_cert::Certificate;

#[test]
fn content_digest_of_another_algorithm_is_refused() {
    for key_type in KeyType::ALL {
        let certificate = Pki::get().signer(key_type).certificate();
        for scheme in schemes(key_type) {
            let expected = cades::content_digest_algorithm(scheme);
            for actual in
                [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512]
            {
                let digest = ContentDigest::of(actual, b"content");
                let prepared = cades::prepare(&certificate, scheme, &digest, SIGNING_TIME);
                match actual == expected {
                    true => assert!(prepared.is_ok()),
                    false => assert_eq!(
                        prepared.unwrap_err(),
                        CmsError::DigestAlgorithm { expected, actual }
                    ),
                }
            }
        }
    }
}

#[test]
fn scheme_of_another_kind_of_key_is_refused() {
    for key_type in KeyType::ALL {
        let certificate = Pki::get().signer(key_type).certificate();
        for scheme in KeyType::ALL.into_iter().flat_map(schemes) {
            let digest = digest_of(scheme, b"content");
            let prepared = cades::prepare(&certificate, scheme, &digest, SIGNING_TIME);
            match cades::can_sign(key_type, scheme) {
                true => assert!(prepared.is_ok()),
                false => {
                    assert_eq!(prepared.unwrap_err(), CmsError::Scheme { key_type, scheme });
                    let public_key = certificate.public_key();
                    let verified = public_key.verify(scheme, b"message", &[0; 64]);
                    assert_eq!(verified, Err(CmsError::Scheme { key_type, scheme }));
                }
            }
        }
    }
}

#[test]
fn time_after_the_year_9999_is_refused() {
    let certificate = Pki::get().signer(KeyType::P256).certificate();
    let scheme = KeyType::P256.default_scheme();
    let at = |time| {
        cades::prepare(&certificate, scheme, &digest_of(scheme, b""), UnixSeconds(time)).map(|_| ())
    };
    assert_eq!(at(253_402_300_799), Ok(()));
    assert_eq!(at(253_402_300_800), Err(CmsError::SigningTime(253_402_300_800)));
}

/// S8: a token that flips one bit, or signs something else, is found out.
#[test]
fn damaged_value_is_not_assembled() {
    for key_type in KeyType::ALL {
        let signer = Pki::get().signer(key_type);
        for scheme in schemes(key_type) {
            let prepared = prepare(signer, scheme, b"content");
            let value = signer.sign(scheme, prepared.signed_attrs_der());
            assert!(prepared.verify(&value).is_ok());
            for at in [0, value.len() / 2, value.len() - 1] {
                let mut damaged = value.clone();
                damaged[at] ^= 1;
                let refused = prepared.verify(&damaged).map(|_| ());
                assert_eq!(refused, Err(CmsError::SignatureInvalid), "{scheme:?} {at}");
            }
            let other = signer.sign(scheme, b"something else");
            for wrong in [&other[..], &value[1..], &[], &[value.as_slice(), &[0]].concat()] {
                assert_eq!(prepared.verify(wrong).unwrap_err(), CmsError::SignatureInvalid);
            }
        }
    }
}

/// A token that took another salt length than the parameters will say is found out, too.
#[test]
fn pss_salt_of_another_length_is_refused() {
    let signer = Pki::get().signer(KeyType::Rsa2048);
    let pss = |salt_len| SignatureScheme::RsaPss { digest: DigestAlgorithm::Sha256, salt_len };
    let value = signer.sign(pss(32), b"message");
    let certificate = signer.certificate();
    let verify = |salt_len| certificate.public_key().verify(pss(salt_len), b"message", &value);
    assert_eq!(verify(32), Ok(()));
    for salt_len in [0, 20, 31, 33, 48, 64, 222] {
        assert_eq!(verify(salt_len), Err(CmsError::SignatureInvalid), "{salt_len}");
    }
}

#[test]
fn attaching_other_content_is_refused() {
    let signer = Pki::get().signer(KeyType::P256);
    let detached = sign(signer, KeyType::P256.default_scheme(), b"content");
    assert_eq!(cades::attach(&detached, b"Content"), Err(CmsError::OtherContent));
    let attached = cades::attach(&detached, b"content").unwrap();
    assert_eq!(cades::attach(&attached, b"content"), Err(CmsError::AlreadyAttached));
    assert!(matches!(cades::attach(&detached[1..], b"content"), Err(CmsError::Malformed(_))));
}

#[test]
fn chain_past_its_limits_is_refused() {
    let leaf = Pki::get().signer(KeyType::P256).chain[0].clone();
    assert!(SigningCertificate::new(&vec![leaf.clone(); CHAIN_MAX]).is_ok());
    let too_many = SigningCertificate::new(&vec![leaf.clone(); CHAIN_MAX + 1]).unwrap_err();
    let (what, limit, actual) = ("certificate chain", CHAIN_MAX, CHAIN_MAX + 1);
    assert_eq!(too_many, CmsError::TooLong { what, limit, actual });

    let padded_to = |len: usize| {
        let mut certificate = Node::parse(&leaf);
        let signature_value = certificate.children().len() - 1;
        let spare = len - certificate.encode().len();
        certificate.children()[signature_value].value().extend(vec![0; spare]);
        let over = certificate.encode().len() - len;
        let value = certificate.children()[signature_value].value();
        value.truncate(value.len() - over);
        certificate.encode()
    };
    let longest = padded_to(CERTIFICATE_MAX_BYTES);
    assert_eq!(longest.len(), CERTIFICATE_MAX_BYTES);
    assert!(SigningCertificate::new(&[longest]).is_ok());
    let refused = SigningCertificate::new(&[padded_to(CERTIFICATE_MAX_BYTES + 1)]).unwrap_err();
    let (what, limit, actual) = ("certificate", CERTIFICATE_MAX_BYTES, CERTIFICATE_MAX_BYTES + 1);
    assert_eq!(refused, CmsError::TooLong { what, limit, actual });
}

#[test]
fn something_else_than_a_certificate_is_refused() {
    let chain = &Pki::get().signer(KeyType::P256).chain;
    let fault = |chain: &[Vec<u8>]| match SigningCertificate::new(chain).unwrap_err() {
        CmsError::Certificate { index, fault } => (index, fault),
        other => panic!("{other:?}"),
    };
    assert_eq!(fault(&[]), (0, CertificateFault::Missing));
    let malformed = |chain: &[Vec<u8>], expected: usize| {
        let (index, fault) = fault(chain);
        assert!(matches!(fault, CertificateFault::Malformed(_)), "{fault:?}");
        assert_eq!(index, expected);
    };
    malformed(&[Vec::new()], 0);
    malformed(&[chain[0].clone(), chain[0][1..].to_vec()], 1);
    malformed(&[[chain[0].as_slice(), &[0]].concat()], 0);
    malformed(&[chain[0][..chain[0].len() - 1].to_vec()], 0);
    let edited = |change: fn(&mut Node)| {
        let mut certificate = Node::parse(&chain[0]);
        change(&mut certificate);
        vec![certificate.encode()]
    };
    malformed(&edited(|node| node.children().truncate(2)), 0);
    malformed(&edited(|node| node.at(&[0, 1]).value().splice(0..0, [0, 0]).for_each(drop)), 0);
    malformed(&edited(|node| node.at(&[0]).children().truncate(6)), 0);
}

/// Keys that no verifier of ours could use are found when the certificate is installed, not at the first signature.
#[test]
fn unknown_key_is_refused() {
    let spki = |key_type| {
        let certificate = Pki::get().signer(key_type).certificate();
        Node::parse(certificate.public_key().spki_der())
    };
    let fault = |node: &Node| PublicKey::from_spki_der(&node.encode()).map(|_| ()).unwrap_err();
    let curve = |hex: &str| {
        let mut node = spki(KeyType::P256);
        *node.at(&[0, 1]) = crate::tree::oid(hex);
        node
    };
    assert_eq!(fault(&curve("2b8104000a")), CertificateFault::UnknownKey, "secp256k1");
    assert!(matches!(fault(&curve("2b81040022")), CertificateFault::Malformed(_)), "other curve");

    let mut off_curve = spki(KeyType::P256);
    *off_curve.at(&[1]).value().last_mut().unwrap() ^= 1;
    assert!(matches!(fault(&off_curve), CertificateFault::Malformed(_)));
    let mut unused_bits = spki(KeyType::P256);
    unused_bits.at(&[1]).value()[0] = 1;
    assert!(matches!(fault(&unused_bits), CertificateFault::Malformed(_)));

    let modulus_of = |len: usize| {
        let mut node = spki(KeyType::Rsa2048);
        let mut key = Node::parse(&node.at(&[1]).value()[1..]);
        key.at(&[0]).value().truncate(1 + len);
        *node.at(&[1]).value() = [&[0][..], &key.encode()].concat();
        node
    };
    assert_eq!(fault(&modulus_of(128)), CertificateFault::UnknownKey, "1024 bits");
    assert_eq!(fault(&modulus_of(255)), CertificateFault::UnknownKey, "2040 bits");
    assert!(PublicKey::from_spki_der(&spki(KeyType::Rsa2048).encode()).is_ok());
}

#[test]
fn public_key_is_the_one_of_the_certificate() {
    for key_type in KeyType::ALL {
        let signer = Pki::get().signer(key_type);
        let certificate = signer.certificate();
        assert_eq!(certificate.public_key().key_type(), key_type);
        let expected = Certificate::from_der(&signer.chain[0]).unwrap();
        let expected = expected.tbs_certificate().subject_public_key_info().to_der().unwrap();
        assert_eq!(certificate.public_key().spki_der(), expected);
    }
}
