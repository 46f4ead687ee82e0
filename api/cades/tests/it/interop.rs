//! Every algorithm, detached and attached, from no octet to 64 MB: OpenSSL, GnuTLS and a verifier of our own in Python
//! on asn1crypto must take it, and refuse it for other content.

use crate::pki::Pki;
use crate::pki::Signer;
use crate::pki::schemes;
use crate::sign;
use crate::verify::Refused;
use crate::verify::Signed;
use crate::verify::gnutls_verify;
use crate::verify::openssl_cms_verify;
use crate::verify::second_verify;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::KeyType;
use attest::algorithm::SignatureScheme;
use std::path::PathBuf;
use tempfile::TempDir;

const SMALL_SIZES: [usize; 3] = [0, 1, 100_000];
const LARGE_SIZE: usize = 64 * 1024 * 1024;

#[test]
fn rsa_2048_signatures_are_verified_by_others() {
    judge(KeyType::Rsa2048);
}

#[test]
fn rsa_3072_signatures_are_verified_by_others() {
    judge(KeyType::Rsa3072);
}

#[test]
fn rsa_4096_signatures_are_verified_by_others() {
    judge(KeyType::Rsa4096);
}

#[test]
fn p256_signatures_are_verified_by_others() {
    judge(KeyType::P256);
}

#[test]
fn p384_signatures_are_verified_by_others() {
    judge(KeyType::P384);
}

#[test]
fn p521_signatures_are_verified_by_others() {
    judge(KeyType::P521);
}

#[test]
fn ed25519_signatures_are_verified_by_others() {
    judge(KeyType::Ed25519);
}

#[test]
fn every_signature_has_two_verifiers() {
    for scheme in KeyType::ALL.into_iter().flat_map(schemes) {
        assert!(verifiers(scheme, 1).len() >= 2, "{scheme:?}");
    }
}

fn judge(key_type: KeyType) {
    let signer = Pki::get().signer(key_type);
    let folder = Folder::new();
    for scheme in schemes(key_type) {
        for size in SMALL_SIZES {
            folder.judge(signer, scheme, size);
        }
    }
    folder.judge(signer, key_type.default_scheme(), LARGE_SIZE);
}

struct Folder {
    folder: TempDir,
    anchor: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let anchor = folder.path().join("anchor.pem");
        std::fs::write(&anchor, &Pki::get().anchor_pem).unwrap();
        Self { folder, anchor }
    }

    fn judge(&self, signer: &Signer, scheme: SignatureScheme, size: usize) {
        let content: Vec<u8> = (0..size).map(|at| (at * 31 % 251) as u8).collect();
        let detached = sign(signer, scheme, &content);
        let attached = cades::attach(&detached, &content).unwrap();
        let document = self.write("document", &content);
        let other = self.write("other", &[&content[..], b"."].concat());
        for (signature, detached) in [(detached, true), (attached, false)] {
            let signature = self.write("signature", &signature);
            let what = format!("{} {scheme:?} {size} detached={detached}", signer.key_type.name());
            let signed =
                |content| Signed { signature: &signature, content, detached, anchor: &self.anchor };
            for (name, verify) in verifiers(scheme, size) {
                verify(signed(&document)).unwrap_or_else(|why| panic!("{name}: {what}: {}", why.0));
                // GnuTLS takes an attached content for what it is; there is nothing to compare it with.
                if detached || name != "gnutls" {
                    assert!(verify(signed(&other)).is_err(), "{name}: {what}: other content");
                }
            }
        }
    }

    fn write(&self, name: &str, octets: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, octets).unwrap();
        path
    }
}

type Verifier = (&'static str, fn(Signed<'_>) -> Result<(), Refused>);

/// At least two for every signature; a verifier is left out where it is known not to know the algorithm.
fn verifiers(scheme: SignatureScheme, size: usize) -> Vec<Verifier> {
    let mut verifiers: Vec<Verifier> = vec![("python", |signed| second_verify(signed).map(|_| ()))];
    if openssl_knows(scheme) {
        verifiers.push(("openssl", openssl_cms_verify));
    }
    // GnuTLS 3.7 takes a detached content of no octets for no content at all.
    if gnutls_knows(scheme) && size > 0 {
        verifiers.push(("gnutls", gnutls_verify));
    }
    verifiers
}

/// OpenSSL 3.0 has no RFC 8419: `eddsa_digest_signverify_init:invalid digest`.
fn openssl_knows(scheme: SignatureScheme) -> bool {
    scheme != SignatureScheme::Ed25519
}

/// GnuTLS 3.7 reads any RSASSA-PSS in a PKCS #7 as one with SHA-256 and a salt of 32 octets.
fn gnutls_knows(scheme: SignatureScheme) -> bool {
    let usual_pss = SignatureScheme::RsaPss { digest: DigestAlgorithm::Sha256, salt_len: 32 };
    !matches!(scheme, SignatureScheme::RsaPss { .. }) || scheme == usual_pss
}
