//! Attack S10: signatures that are wrong in one thing each. Our reader must refuse all of them, and so must the verifier
//! in Python, but for those that are good CAdES, only not what this crate writes.

use crate::mutation::CONTENT;
use crate::mutation::Mutant;
use crate::mutation::Mutants;
use crate::pki::Pki;
use crate::sign;
use crate::verify::Signed;
use crate::verify::second_verify;
use attest::algorithm::KeyType;
use cades::CmsError;
use cades::SignedDataView;
use proptest::prelude::*;

#[test]
fn every_mutant_is_refused() {
    let signer = Pki::get().signer(KeyType::P256);
    let mutants = Mutants::of(signer).made;
    let names: std::collections::BTreeSet<_> = mutants.iter().map(|m| m.name).collect();
    assert_eq!(names.len(), mutants.len(), "each has a name of its own");
    assert!(mutants.len() >= 90, "{}", mutants.len());
    let folder = tempfile::TempDir::new().unwrap();
    for mutant in mutants {
        assert!(ours(&mutant.der, CONTENT).is_err(), "accepted by us: {}", mutant.name);
        let theirs = python(&folder, &mutant);
        assert_eq!(theirs.is_ok(), mutant.good_elsewhere, "python: {}: {theirs:?}", mutant.name);
    }
}

#[test]
fn the_originals_are_accepted() {
    let signer = Pki::get().signer(KeyType::P256);
    let mutants = Mutants::of(signer);
    for original in [&mutants.detached, &mutants.attached] {
        assert_eq!(ours(&original.clone().encode(), CONTENT), Ok(()));
    }
    let mut resigned = mutants.detached.clone();
    mutants.resign(&mut resigned);
    assert_eq!(ours(&resigned.encode(), CONTENT), Ok(()), "signing again spoils nothing");
}

/// No bit of a signature can be turned without our reader seeing it, but for those of the issuers' certificates: these
/// are not signed, and checking them is for the path validator.
#[test]
fn every_flipped_bit_is_refused() {
    let signer = Pki::get().signer(KeyType::Ed25519);
    let scheme = signer.key_type.default_scheme();
    let detached = sign(signer, scheme, CONTENT);
    let attached = cades::attach(&detached, CONTENT).unwrap();
    for original in [detached, attached] {
        let issuer = position(&original, &signer.chain[1]);
        for at in 0..original.len() {
            for bit in 0..8 {
                let mut flipped = original.clone();
                flipped[at] ^= 1 << bit;
                let refused = ours(&flipped, CONTENT).is_err();
                assert!(refused || issuer.contains(&at), "octet {at}, bit {bit}");
            }
        }
        for len in 0..original.len() {
            assert!(ours(&original[..len], CONTENT).is_err(), "cut off at {len}");
        }
    }
}

proptest! {
    #[test]
    fn reading_damaged_octets_never_panics(
        at in 0usize..1000, cut in 0usize..40, with in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let signer = Pki::get().signer(KeyType::P256);
        let mut octets = sign(signer, signer.key_type.default_scheme(), CONTENT);
        let at = at.min(octets.len());
        let end = (at + cut).min(octets.len());
        octets.splice(at..end, with);
        let _ = ours(&octets, CONTENT);
        let _ = cades::attach(&octets, CONTENT);
        let _ = cades::SigningCertificate::new(&[octets]);
    }

    #[test]
    fn reading_octets_never_panics(octets: Vec<u8>) {
        let _ = ours(&octets, CONTENT);
        let _ = cades::PublicKey::from_spki_der(&octets);
        let _ = cades::SigningCertificate::new(&[octets]);
    }
}

fn position(haystack: &[u8], needle: &[u8]) -> std::ops::Range<usize> {
    let start = haystack.windows(needle.len()).position(|window| window == needle).unwrap();
    start..start + needle.len()
}

/// What a careful caller does with a signature that came back.
fn ours(der: &[u8], content: &[u8]) -> Result<(), CmsError> {
    let view = SignedDataView::parse(der)?;
    view.check_content(content)?;
    view.verify()
}

fn python(folder: &tempfile::TempDir, mutant: &Mutant) -> Result<String, crate::verify::Refused> {
    let write = |name: &str, octets: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, octets).unwrap();
        path
    };
    let signature = write("signature", &mutant.der);
    let content = write("content", CONTENT);
    let anchor = write("anchor", Pki::get().anchor_pem.as_bytes());
    let detached = mutant.detached;
    second_verify(Signed { signature: &signature, content: &content, detached, anchor: &anchor })
}
