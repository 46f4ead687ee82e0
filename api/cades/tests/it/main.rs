//! Signatures made with software keys, judged by other people's verifiers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test that is how it fails"
)]

mod golden;
mod identity;
mod interop;
mod mutants;
mod mutation;
mod openssl_made;
mod pki;
mod refusals;
mod shape;
mod tree;
#[path = "../../../../tests/src/verify.rs"]
mod verify;

use attest::algorithm::ContentDigest;
use attest::algorithm::SignatureScheme;
use attest::clock::UnixSeconds;
use cades::Prepared;
use pki::Signer;

/// 2026-11-23T12:34:56Z
const SIGNING_TIME: UnixSeconds = UnixSeconds(1_795_437_296);

fn digest_of(scheme: SignatureScheme, content: &[u8]) -> ContentDigest {
    ContentDigest::of(cades::content_digest_algorithm(scheme), content)
}

fn prepare(signer: &Signer, scheme: SignatureScheme, content: &[u8]) -> Prepared {
    let digest = digest_of(scheme, content);
    cades::prepare(&signer.certificate(), scheme, &digest, SIGNING_TIME).unwrap()
}

/// A detached signature.
fn sign(signer: &Signer, scheme: SignatureScheme, content: &[u8]) -> Vec<u8> {
    let prepared = prepare(signer, scheme, content);
    let value = signer.sign(scheme, prepared.signed_attrs_der());
    prepared.verify(&value).unwrap().assemble()
}
