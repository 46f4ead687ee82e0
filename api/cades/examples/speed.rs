//! What a signature costs beside the token: `cargo run --release -p cades --example speed`.
//!
//! Prints, for each kind of key, microseconds a call (median over rounds) for `prepare`, for the verification with the
//! public key, which nobody can save, for `assemble`, and for `attach` with 100 kB (mostly SHA-2).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    dead_code,
    reason = "a measurement"
)]

#[path = "../tests/it/pki.rs"]
mod pki;

use attest::algorithm::ContentDigest;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::KeyType;
use attest::algorithm::SignatureScheme;
use attest::clock::UnixSeconds;
use pki::Pki;
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 21;

fn main() {
    println!("{:<28}{:>10}{:>10}{:>10}{:>10}", "us", "prepare", "verify", "assemble", "attach");
    let pss = SignatureScheme::RsaPss { digest: DigestAlgorithm::Sha256, salt_len: 32 };
    let usual = KeyType::ALL.map(|key_type| (key_type, key_type.default_scheme()));
    for (key_type, scheme) in usual.into_iter().chain([(KeyType::Rsa2048, pss)]) {
        measure(key_type, scheme);
    }
}

fn measure(key_type: KeyType, scheme: SignatureScheme) {
    let signer = Pki::get().signer(key_type);
    let certificate = signer.certificate();
    let content = vec![7; 100_000];
    let digest = ContentDigest::of(cades::content_digest_algorithm(scheme), &content);
    let time = UnixSeconds(1_795_437_296);
    let prepared = cades::prepare(&certificate, scheme, &digest, time).unwrap();
    let value = signer.sign(scheme, prepared.signed_attrs_der());
    let verified = prepared.verify(&value).unwrap();
    let detached = verified.assemble();

    let prepare = us(|| drop(black_box(cades::prepare(&certificate, scheme, &digest, time))));
    let verify = us(|| drop(black_box(prepared.verify(&value))));
    let assemble = us(|| drop(black_box(verified.assemble())));
    let attach = us(|| drop(black_box(cades::attach(&detached, &content))));
    let name = format!("{} {}", key_type.name(), scheme.name());
    println!("{name:<28}{prepare:>10.2}{verify:>10.2}{assemble:>10.2}{attach:>10.2}");
}

/// Median over the rounds, microseconds a call.
fn us(mut operation: impl FnMut()) -> f64 {
    const CALLS: u32 = 300;
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..CALLS).for_each(|_| operation());
            start.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}
