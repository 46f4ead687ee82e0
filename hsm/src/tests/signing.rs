//! Every key type and scheme, verified outside the token.

use crate::Hsm;
use crate::HsmError;
use crate::SignatureValue;
use crate::spki;
use crate::tests::Bench;
use crate::tests::alone;
use attest::activation::Requested;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::Dtbsr;
use attest::algorithm::KeyType;
use attest::algorithm::SignatureScheme;
use attest::danger_testing::OpenGate;
use attest::permit::HolderKey;
use attest::permit::ToSign;
use attest::records::SessionLimits;
use aws_lc_rs::signature as lc;
use std::process::Command;
use std::sync::Arc;

const MESSAGE: &[u8] = b"a prescription";

pub(crate) fn to_sign(scheme: SignatureScheme, message: &[u8]) -> ToSign {
    match scheme.digest() {
        Some(digest) => ToSign::Dtbsr(Dtbsr::of(digest, message)),
        None => ToSign::Message(message.to_vec()),
    }
}

pub(crate) fn sign(
    bench: &Bench,
    hsm: &Hsm,
    key: &Arc<HolderKey>,
    scheme: SignatureScheme,
) -> Result<SignatureValue, HsmError> {
    bench.block_on(hsm.sign_for_holder(key, scheme, &to_sign(scheme, MESSAGE)))
}

/// Every scheme of `key_type` with every digest it takes.
fn schemes(key_type: KeyType) -> Vec<SignatureScheme> {
    let digests = [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512];
    let of_digest = |digest: DigestAlgorithm| {
        let salt_len = digest.digest_len() as u8;
        [
            SignatureScheme::RsaPkcs1 { digest },
            SignatureScheme::RsaPss { digest, salt_len },
            SignatureScheme::Ecdsa { digest },
        ]
    };
    let all = digests.into_iter().flat_map(of_digest).chain([SignatureScheme::Ed25519]);
    all.filter(|scheme| key_type.can_sign(*scheme)).collect()
}

fn algorithms(
    key_type: KeyType,
    scheme: SignatureScheme,
) -> (&'static dyn lc::VerificationAlgorithm, Option<&'static dyn lc::VerificationAlgorithm>) {
    use DigestAlgorithm::*;
    match (key_type, scheme) {
        (_, SignatureScheme::RsaPkcs1 { digest: Sha256 }) => {
            (&lc::RSA_PKCS1_2048_8192_SHA256, None)
        }
        (_, SignatureScheme::RsaPkcs1 { digest: Sha384 }) => {
            (&lc::RSA_PKCS1_2048_8192_SHA384, None)
        }
        (_, SignatureScheme::RsaPkcs1 { digest: Sha512 }) => {
            (&lc::RSA_PKCS1_2048_8192_SHA512, None)
        }
        (_, SignatureScheme::RsaPss { digest: Sha256, .. }) => {
            (&lc::RSA_PSS_2048_8192_SHA256, None)
        }
        (_, SignatureScheme::RsaPss { digest: Sha384, .. }) => {
            (&lc::RSA_PSS_2048_8192_SHA384, None)
        }
        (_, SignatureScheme::RsaPss { digest: Sha512, .. }) => {
            (&lc::RSA_PSS_2048_8192_SHA512, None)
        }
        (KeyType::P256, _) => (&lc::ECDSA_P256_SHA256_ASN1, Some(&lc::ECDSA_P256_SHA256_FIXED)),
        (KeyType::P384, SignatureScheme::Ecdsa { digest: Sha256 }) => {
            (&lc::ECDSA_P384_SHA256_ASN1, None)
        }
        (KeyType::P384, _) => (&lc::ECDSA_P384_SHA384_ASN1, Some(&lc::ECDSA_P384_SHA384_FIXED)),
        (KeyType::P521, SignatureScheme::Ecdsa { digest: Sha256 }) => {
            (&lc::ECDSA_P521_SHA256_ASN1, Some(&lc::ECDSA_P521_SHA256_FIXED))
        }
        (KeyType::P521, SignatureScheme::Ecdsa { digest: Sha384 }) => {
            (&lc::ECDSA_P521_SHA384_ASN1, Some(&lc::ECDSA_P521_SHA384_FIXED))
        }
        (KeyType::P521, _) => (&lc::ECDSA_P521_SHA512_ASN1, Some(&lc::ECDSA_P521_SHA512_FIXED)),
        (KeyType::Ed25519, SignatureScheme::Ed25519) => (&lc::ED25519, None),
        other => panic!("no verifier for {other:?}"),
    }
}

fn verify(key: &HolderKey, scheme: SignatureScheme, signature: &SignatureValue) {
    let public_key = spki::subject_public_key(&key.spki_der).unwrap();
    let (cms, p1363) = algorithms(key.key_type, scheme);
    let verified = lc::UnparsedPublicKey::new(cms, public_key).verify(MESSAGE, signature.cms());
    assert!(verified.is_ok(), "{} {}", key.key_type.name(), scheme.name());
    if let Some(p1363) = p1363 {
        let key = lc::UnparsedPublicKey::new(p1363, public_key);
        assert!(key.verify(MESSAGE, signature.p1363()).is_ok(), "{}: r and s", scheme.name());
        assert!(key.verify(b"another", signature.p1363()).is_err());
    }
}

fn every_scheme_verifies(bench: &Bench, key_type: KeyType) {
    let hsm = bench.open();
    let key = bench.key(&hsm, key_type);
    for scheme in schemes(key_type) {
        let signature = sign(bench, &hsm, &key, scheme).unwrap();
        verify(&key, scheme, &signature);
        openssl_verifies(bench, &key, scheme, &signature);
    }
    bench.block_on(hsm.shutdown());
}

/// The second implementation.
fn openssl_verifies(
    bench: &Bench,
    key: &HolderKey,
    scheme: SignatureScheme,
    signature: &SignatureValue,
) {
    let path = |name: &str| bench.dir.join(name).display().to_string();
    let input = match scheme.digest() {
        Some(digest) => {
            aws_lc_rs::digest::digest(digest.implementation(), MESSAGE).as_ref().to_vec()
        }
        None => MESSAGE.to_vec(),
    };
    std::fs::write(path("spki"), &key.spki_der).unwrap();
    std::fs::write(path("input"), input).unwrap();
    std::fs::write(path("signature"), signature.cms()).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", &path("spki")]);
    openssl.args(["-in", &path("input"), "-sigfile", &path("signature")]);
    let digest = |digest: DigestAlgorithm| format!("digest:{}", digest.name().replace('-', ""));
    match scheme {
        SignatureScheme::RsaPkcs1 { digest: d } | SignatureScheme::Ecdsa { digest: d } => {
            openssl.args(["-pkeyopt", &digest(d)]);
        }
        SignatureScheme::RsaPss { digest: d, salt_len } => {
            openssl.args(["-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", &digest(d)]);
            openssl.args(["-pkeyopt", &format!("rsa_pss_saltlen:{salt_len}")]);
        }
        SignatureScheme::Ed25519 => {
            openssl.arg("-rawin");
        }
    }
    let output = openssl.output().unwrap();
    assert!(
        output.status.success(),
        "openssl on {} {}: {}",
        key.key_type.name(),
        scheme.name(),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn permit_of_the_gate_makes_one_signature_over_what_was_permitted() {
    alone(|bench| {
        let hsm = bench.open();
        for key_type in [KeyType::Rsa2048, KeyType::P256, KeyType::Ed25519] {
            let made = HolderKey::from(bench.block_on(hsm.generate(key_type)).unwrap());
            bench.block_on(async {
                let world = OpenGate::new(made, SessionLimits::default()).await.unwrap();
                let key = Arc::clone(&world.registry.credential("key").unwrap().key);
                hsm.load(&key).await.unwrap();
                let dtbsr = Dtbsr::of(key_type.digest(), MESSAGE);
                let (permit, _lease) = world.permit(Requested::Octets(dtbsr)).await.unwrap();
                let signature = hsm.sign(permit.bind_octets(MESSAGE).unwrap()).await.unwrap();
                verify(&key, key_type.default_scheme(), &signature);
            });
        }
    });
}

#[test]
fn rsa_2048_signatures_verify() {
    alone(|bench| every_scheme_verifies(&bench, KeyType::Rsa2048));
}

#[test]
fn rsa_3072_signatures_verify() {
    alone(|bench| every_scheme_verifies(&bench, KeyType::Rsa3072));
}

#[test]
fn rsa_4096_signatures_verify() {
    alone(|bench| every_scheme_verifies(&bench, KeyType::Rsa4096));
}

#[test]
fn p256_signatures_verify() {
    alone(|bench| every_scheme_verifies(&bench, KeyType::P256));
}

#[test]
fn p384_signatures_verify() {
    alone(|bench| every_scheme_verifies(&bench, KeyType::P384));
}

#[test]
fn p521_signatures_verify() {
    alone(|bench| every_scheme_verifies(&bench, KeyType::P521));
}

#[test]
fn ed25519_signatures_verify() {
    alone(|bench| every_scheme_verifies(&bench, KeyType::Ed25519));
}
