//! A signature that OpenSSL made is what we would have made: read by us, made again from what was read, octet for octet.

use crate::digest_of;
use cades::SignedDataView;
use cades::SigningCertificate;
use std::path::Path;
use std::process::Command;

/// ECDSA, because OpenSSL names RSA signatures by rsaEncryption alone, and Ed25519 it has none.
#[test]
fn ecdsa_signature_of_openssl_is_made_again_octet_for_octet() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("content"), b"content").unwrap();
    for (curve, digest) in [("P-256", "sha256"), ("P-384", "sha384"), ("P-521", "sha512")] {
        openssl(&["ecparam", "-name", curve, "-genkey", "-noout", "-out", &path("key")]);
        openssl(&[
            "req",
            "-x509",
            "-new",
            "-key",
            &path("key"),
            "-out",
            &path("certificate"),
            "-subj",
            "/CN=openssl",
            "-days",
            "30",
        ]);
        openssl(&[
            "x509",
            "-in",
            &path("certificate"),
            "-outform",
            "DER",
            "-out",
            &path("certificate.der"),
        ]);
        openssl(&[
            "cms",
            "-sign",
            "-cades",
            "-binary",
            "-nosmimecap",
            "-md",
            digest,
            "-in",
            &path("content"),
            "-signer",
            &path("certificate"),
            "-inkey",
            &path("key"),
            "-outform",
            "DER",
            "-out",
            &path("signature"),
        ]);
        compare(folder.path());
    }
}

fn compare(folder: &Path) {
    let made = std::fs::read(folder.join("signature")).unwrap();
    let view = SignedDataView::parse(&made).unwrap();
    view.verify().unwrap();
    let chain = [std::fs::read(folder.join("certificate.der")).unwrap()];
    let certificate = SigningCertificate::new(&chain).unwrap();
    let digest = digest_of(view.scheme(), b"content");
    let prepared =
        cades::prepare(&certificate, view.scheme(), &digest, view.signing_time()).unwrap();
    let again = prepared.verify(view.signature()).unwrap().assemble();
    assert_eq!(hex::encode(again), hex::encode(&made));
}

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
