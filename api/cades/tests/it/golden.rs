//! R1: signatures of today, kept. An update that changes one octet of the layout fails here; and since everything but the
//! private key is kept, this is also what a retry after a restart does: the same octets from the same inputs.
//!
//! Made with `cargo test -p cades --test it -- --ignored golden::write_golden_files` (new keys each time; the layout may
//! only change with a note in the CHANGELOG). Look into one with `sed -n '/^detached/,/^$/p' p-256.txt | sed 1d | xxd -r -p |
//! openssl asn1parse -inform DER -i`.

use crate::SIGNING_TIME;
use crate::digest_of;
use crate::pki::Pki;
use crate::pki::Signer;
use crate::sign;
use crate::verify::Signed;
use crate::verify::openssl_cms_verify;
use crate::verify::second_verify;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::KeyType;
use attest::algorithm::SignatureScheme;
use attest::clock::UnixSeconds;
use cades::SignedDataView;
use cades::SigningCertificate;
use std::path::PathBuf;

const CONTENT: &[u8] = "処方箋\n".as_bytes();

const KEPT: [(&str, KeyType, SignatureScheme); 7] = [
    ("rsa-2048", KeyType::Rsa2048, SignatureScheme::RsaPkcs1 { digest: DigestAlgorithm::Sha256 }),
    (
        "rsa-2048-sha-512",
        KeyType::Rsa2048,
        SignatureScheme::RsaPkcs1 { digest: DigestAlgorithm::Sha512 },
    ),
    (
        "rsa-2048-pss",
        KeyType::Rsa2048,
        SignatureScheme::RsaPss { digest: DigestAlgorithm::Sha256, salt_len: 32 },
    ),
    ("p-256", KeyType::P256, SignatureScheme::Ecdsa { digest: DigestAlgorithm::Sha256 }),
    ("p-384", KeyType::P384, SignatureScheme::Ecdsa { digest: DigestAlgorithm::Sha384 }),
    ("p-521", KeyType::P521, SignatureScheme::Ecdsa { digest: DigestAlgorithm::Sha512 }),
    ("ed25519", KeyType::Ed25519, SignatureScheme::Ed25519),
];

#[test]
fn signatures_of_earlier_versions_are_made_again_octet_for_octet() {
    for (name, key_type, scheme) in KEPT {
        let golden = Golden::read(name);
        let chain = [golden.part("certificate"), golden.part("issuer")];
        let certificate = SigningCertificate::new(&chain).unwrap();
        assert_eq!(certificate.public_key().key_type(), key_type);
        let content = golden.part("content");
        let time = UnixSeconds(String::from_utf8(golden.part("time")).unwrap().parse().unwrap());
        let digest = digest_of(scheme, &content);
        let prepared = cades::prepare(&certificate, scheme, &digest, time).unwrap();
        assert_eq!(
            hex::encode(prepared.signed_attrs_der()),
            hex::encode(golden.part("signed_attrs"))
        );
        let value = golden.part("value");
        let detached = prepared.verify(&value).unwrap().assemble();
        assert_eq!(hex::encode(&detached), hex::encode(golden.part("detached")), "{name}");
        let attached = cades::attach(&detached, &content).unwrap();
        assert_eq!(hex::encode(&attached), hex::encode(golden.part("attached")), "{name}");
    }
}

#[test]
fn signatures_of_earlier_versions_say_what_they_said() {
    for (name, _, scheme) in KEPT {
        let golden = Golden::read(name);
        let (detached, attached) = (golden.part("detached"), golden.part("attached"));
        let view = SignedDataView::parse(&attached).unwrap();
        assert_eq!(view.content(), Some(CONTENT));
        assert_eq!(view.verify(), Ok(()));
        let view = SignedDataView::parse(&detached).unwrap();
        assert_eq!(view.content(), None);
        assert_eq!((view.scheme(), view.signing_time()), (scheme, SIGNING_TIME));
        assert_eq!(*view.content_digest(), digest_of(scheme, CONTENT));
        assert_eq!(view.signature(), golden.part("value"));
        assert_eq!(view.signed_attrs_der(), golden.part("signed_attrs"));
        assert_eq!(view.signer_certificate_der(), golden.part("certificate"));
        assert_eq!(view.certificates().len(), 2);
        assert_eq!(view.verify(), Ok(()));
    }
}

#[test]
fn signatures_of_earlier_versions_are_verified_by_others() {
    let folder = tempfile::TempDir::new().unwrap();
    let write = |name: &str, octets: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, octets).unwrap();
        path
    };
    for (name, _, scheme) in KEPT {
        let golden = Golden::read(name);
        let content = write("content", CONTENT);
        let anchor = write("anchor", &golden.part("anchor"));
        for (packaging, detached) in [("detached", true), ("attached", false)] {
            let signature = write(packaging, &golden.part(packaging));
            let signed =
                Signed { signature: &signature, content: &content, detached, anchor: &anchor };
            second_verify(signed).unwrap();
            if scheme != SignatureScheme::Ed25519 {
                openssl_cms_verify(signed).unwrap();
            }
        }
    }
}

#[test]
#[ignore = "makes the golden files anew; only when the layout is meant to change"]
fn write_golden_files() {
    for (name, key_type, scheme) in KEPT {
        let signer: &Signer = Pki::get().signer(key_type);
        let detached = sign(signer, scheme, CONTENT);
        let view = SignedDataView::parse(&detached).unwrap();
        let attached = cades::attach(&detached, CONTENT).unwrap();
        let time = SIGNING_TIME.0.to_string();
        let parts: [(&str, &[u8]); 9] = [
            ("time", time.as_bytes()),
            ("content", CONTENT),
            ("certificate", &signer.chain[0]),
            ("issuer", &signer.chain[1]),
            ("anchor", Pki::get().anchor_pem.as_bytes()),
            ("signed_attrs", view.signed_attrs_der()),
            ("value", view.signature()),
            ("detached", &detached),
            ("attached", &attached),
        ];
        let text =
            parts.map(|(part, octets)| format!("{part}\n{}\n", folded(&hex::encode(octets))));
        std::fs::write(path(name), text.concat()).unwrap();
    }
}

/// A file of parts: a line with its name, lines of hexadecimal, an empty line.
struct Golden {
    text: String,
}

impl Golden {
    fn read(name: &str) -> Self {
        Self { text: std::fs::read_to_string(path(name)).unwrap() }
    }

    fn part(&self, name: &str) -> Vec<u8> {
        let lines = self.text.lines().skip_while(|line| *line != name).skip(1);
        hex::decode(lines.take_while(|line| !line.is_empty()).collect::<String>()).unwrap()
    }
}

fn folded(hex: &str) -> String {
    let lines =
        hex.as_bytes().chunks(96).map(|line| format!("{}\n", String::from_utf8_lossy(line)));
    lines.collect()
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"))
}
