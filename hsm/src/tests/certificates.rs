//! Certification requests and certificates of keys, against a soft token.

use crate::HsmError;
use crate::tests::Bench;
use crate::tests::alone;
use crate::tests::bench::refused;
use crate::tests::signing;
use attest::algorithm::KeyType;
use attest::permit::HolderKey;
use std::process::Command;
use std::sync::Arc;

const SUBJECT: &str = "CN=Taro Yamada,O=Sakura Hospital,C=JP";

fn openssl_req(bench: &Bench, request_der: &[u8]) -> String {
    let path = bench.dir.join("request.der");
    std::fs::write(&path, request_der).unwrap();
    let output = Command::new("openssl")
        .args(["req", "-verify", "-noout", "-text", "-inform", "DER", "-in"])
        .arg(&path)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("verify OK"), "{text}");
    text
}

#[test]
fn certification_request_of_each_key_type_is_accepted_by_openssl() {
    alone(|bench| {
        let hsm = bench.open();
        for key_type in KeyType::ALL {
            let key = HolderKey::from(bench.block_on(hsm.generate(key_type)).unwrap());
            let request = bench.block_on(hsm.certification_request(&key, SUBJECT)).unwrap();
            let text = openssl_req(&bench, &request);
            assert!(text.contains("C = JP, O = Sakura Hospital, CN = Taro Yamada"), "{text}");
        }
    });
}

#[test]
fn certification_request_is_refused_in_service() {
    alone(|bench| {
        let hsm = bench.open();
        let key = bench.key(&hsm, KeyType::P256);
        let error = refused(bench.block_on(hsm.certification_request(&key, SUBJECT)));
        assert!(matches!(error, HsmError::AlreadyCertified { .. }), "{error}");
    });
}

#[test]
fn certification_request_with_a_wrong_signature_does_not_leave() {
    alone(|bench| {
        let hsm = bench.open_faulty();
        let key = HolderKey::from(bench.block_on(hsm.generate(KeyType::P256)).unwrap());
        bench.faults("C_Sign flip 1");
        let error = refused(bench.block_on(hsm.certification_request(&key, SUBJECT)));
        assert!(matches!(error, HsmError::SignatureWrong(_)), "{error}");
        openssl_req(&bench, &bench.block_on(hsm.certification_request(&key, SUBJECT)).unwrap());
    });
}

/// A certificate for `spki_der` from a CA of this test.
pub fn certify(spki_der: &[u8]) -> Vec<u8> {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::new(rcgen::CertificateParams::new(vec![]).unwrap(), ca_key);
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Taro Yamada");
    let public_key = rcgen::SubjectPublicKeyInfo::from_der(spki_der).unwrap();
    params.signed_by(&public_key, &issuer).unwrap().der().to_vec()
}

#[test]
fn installed_certificate_ends_certification_requests_for_good() {
    alone(|bench| {
        let hsm = bench.open();
        let key = Arc::new(HolderKey::from(bench.block_on(hsm.generate(KeyType::P256)).unwrap()));
        bench.block_on(hsm.certification_request(&key, SUBJECT)).unwrap();
        let before = bench.block_on(hsm.key_set_digest()).unwrap();
        bench.block_on(hsm.install_certificate(&key, &certify(&key.spki_der))).unwrap();
        signing::sign(&bench, &hsm, &key, KeyType::P256.default_scheme()).unwrap();
        let after = bench.block_on(hsm.key_set_digest()).unwrap();
        assert_ne!(before, after);
        bench.block_on(hsm.shutdown());

        // Another process, which has not put the key into service: the token remembers.
        let hsm = bench.open();
        assert_eq!(bench.block_on(hsm.key_set_digest()).unwrap(), after);
        let error = refused(bench.block_on(hsm.certification_request(&key, SUBJECT)));
        assert!(matches!(error, HsmError::AlreadyCertified { .. }), "{error}");
        bench.block_on(hsm.load(&key)).unwrap();
    });
}

#[test]
fn certificate_for_another_key_is_not_installed() {
    alone(|bench| {
        let hsm = bench.open();
        let key = Arc::new(HolderKey::from(bench.block_on(hsm.generate(KeyType::P256)).unwrap()));
        let other = bench.block_on(hsm.generate(KeyType::P256)).unwrap();
        for certificate in [certify(&other.spki_der), b"no certificate".to_vec()] {
            let error = refused(bench.block_on(hsm.install_certificate(&key, &certificate)));
            assert!(matches!(error, HsmError::Certificate(_)), "{error}");
        }
        bench.block_on(hsm.certification_request(&key, SUBJECT)).unwrap();
    });
}
