//! Signature algorithms of certificates and lists: those that are accepted, and those that are refused by name.

use crate::pki::Ca;
use crate::pki::Draft;
use crate::pki::NOW;
use crate::pki::ca_params;
use crate::pki::material;
use crate::pki::policies;
use attest::judge::HPKI_AUTHENTICATION_POLICY;
use attest::judge::Judge;
use attest::judge::Profiles;
use attest::path::Certificate;
use attest::path::TrustAnchor;
use attest::path::signature::SignatureFault;
use attest::path::signature::check_key;
use attest::revocation::CrlLimits;
use rcgen::KeyPair;
use rcgen::RsaKeySize;
use std::path::Path;
use std::process::Command;

#[test]
fn every_accepted_algorithm_signs_anchors_cas_cards_and_lists() {
    let rsa = |algorithm, size| KeyPair::generate_rsa_for(algorithm, size).unwrap();
    let other = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    let keys: Vec<Box<dyn Fn() -> KeyPair>> = vec![
        Box::new(|| rsa(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048)),
        Box::new(|| rsa(&rcgen::PKCS_RSA_SHA384, RsaKeySize::_3072)),
        Box::new(|| rsa(&rcgen::PKCS_RSA_SHA512, RsaKeySize::_2048)),
        Box::new(|| other(&rcgen::PKCS_ECDSA_P256_SHA256)),
        Box::new(|| other(&rcgen::PKCS_ECDSA_P384_SHA384)),
        Box::new(|| other(&rcgen::PKCS_ECDSA_P521_SHA512)),
        Box::new(|| other(&rcgen::PKCS_ED25519)),
    ];
    for (index, key) in keys.iter().enumerate() {
        let root = Ca::root_with("Root", key());
        let mut params = ca_params("CA");
        params.custom_extensions.push(policies(&[HPKI_AUTHENTICATION_POLICY]));
        let ca = root.sub_with(params, key());
        let material = material(&[&root], &[&ca], Profiles::default(), false);
        let judge = Judge::new(material, CrlLimits::default(), &[]).unwrap();
        judge.load_crl(&root.crl(1), NOW).unwrap();
        judge.load_crl(&ca.crl(1), NOW).unwrap();
        let card = ca.issue_for(Draft::card("A"), key()).der;
        judge.judge_leaf(&card, NOW).unwrap_or_else(|refusal| panic!("{index}: {refusal}"));
    }
}

/// A self-signed CA certificate made by OpenSSL, for what rcgen rightly does not make.
fn openssl_root(folder: &Path, arguments: &str) -> Vec<u8> {
    let all = format!(
        "req -x509 -newkey {arguments} -noenc -keyout k.pem -subj /CN=Root -days 30 -outform DER -out root.der \
         -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign,cRLSign"
    );
    let output = Command::new("openssl").args(all.split(' ')).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments}: {said}");
    std::fs::read(folder.join("root.der")).unwrap()
}

#[test]
fn pss_with_the_length_of_its_digest_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    for digest in ["sha256", "sha384", "sha512"] {
        let pss = format!(
            "rsa:2048 -{digest} -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"
        );
        let root = openssl_root(folder.path(), &pss);
        assert!(TrustAnchor::from_der(&root).is_ok(), "{digest}");
    }
}

#[test]
fn weak_and_odd_algorithms_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("rsa:2048 -sha1", "1.2.840.113549.1.1.5"),
        ("rsa:2048 -md5", "1.2.840.113549.1.1.4"),
        ("rsa:2048 -sha224", "1.2.840.113549.1.1.14"),
        ("ec -pkeyopt ec_paramgen_curve:P-256 -sha1", "1.2.840.10045.4.1"),
        ("rsa:2048 -sha1 -sigopt rsa_padding_mode:pss", "1.2.840.113549.1.1.10"),
        (
            "rsa:2048 -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20",
            "1.2.840.113549.1.1.10",
        ),
        (
            "rsa:2048 -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_mgf1_md:sha1",
            "1.2.840.113549.1.1.10",
        ),
        ("ed448", "1.3.101.113"),
    ];
    for (arguments, oid) in cases {
        let der = openssl_root(folder.path(), arguments);
        let root = Certificate::from_der(&der).unwrap();
        let fault = root.verify_signed_by(&root).unwrap_err();
        assert_eq!(fault, SignatureFault::Algorithm(oid.to_owned()), "{arguments}");
        assert!(TrustAnchor::from_der(&der).is_err(), "{arguments}");
    }
}

#[test]
fn short_keys_and_other_curves_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        "rsa:1024 -sha256",
        "rsa:2047 -sha256",
        "ec -pkeyopt ec_paramgen_curve:secp256k1 -sha256",
        "ec -pkeyopt ec_paramgen_curve:P-224 -sha256",
        "ec -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit -sha256",
    ] {
        let root = Certificate::from_der(&openssl_root(folder.path(), arguments)).unwrap();
        assert_eq!(check_key(root.public_key()), Err(SignatureFault::Key), "{arguments}");
        assert!(TrustAnchor::from_der(root.as_der()).is_err(), "{arguments}");
    }
    let good = Certificate::from_der(&openssl_root(folder.path(), "rsa:2048 -sha256")).unwrap();
    assert_eq!(check_key(good.public_key()), Ok(()));
}
