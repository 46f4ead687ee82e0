//! Raw limits that need no other process: digest and verification, by the same library as the daemon's.

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature;
use aws_lc_rs::signature::KeyPair;
use nix::sys::resource::UsageWho;
use nix::sys::resource::getrusage;
use std::time::Duration;
use std::time::Instant;

/// CPU time of this thread for each turn of `work`, over `length`.
pub fn cpu_per_turn(length: Duration, mut work: impl FnMut()) -> Duration {
    let cpu = || {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("getrusage");
        let (user, system) = (usage.user_time(), usage.system_time());
        let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
        Duration::from_micros((micros(user) + micros(system)).cast_unsigned())
    };
    let (begun, before, mut turns) = (Instant::now(), cpu(), 0_u32);
    while begun.elapsed() < length {
        work();
        turns += 1;
    }
    (cpu() - before) / turns
}

/// The digest `algorithm` of `content`.
pub fn digest(algorithm: &'static digest::Algorithm, content: &[u8], length: Duration) -> Duration {
    cpu_per_turn(length, || {
        std::hint::black_box(digest::digest(algorithm, std::hint::black_box(content)));
    })
}

/// One public-key verification of the kind that `credential` needs, the key parsed once as the daemon does.
pub fn verification(credential: &str, length: Duration) -> Duration {
    let message = [7; 100];
    let (algorithm, public, signed): (&'static dyn signature::VerificationAlgorithm, _, _) =
        match credential {
            "rsa2048" => rsa(KeySize::Rsa2048, &message),
            "rsa3072" => rsa(KeySize::Rsa3072, &message),
            "p256" => {
                let (public, signed) = ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, &message);
                (&signature::ECDSA_P256_SHA256_ASN1, public, signed)
            }
            _ => {
                let (public, signed) = ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING, &message);
                (&signature::ECDSA_P384_SHA384_ASN1, public, signed)
            }
        };
    let public = signature::ParsedPublicKey::new(algorithm, &public).expect("a public key");
    cpu_per_turn(length, || public.verify_sig(&message, &signed).expect("a good signature"))
}

type Signed = (&'static dyn signature::VerificationAlgorithm, Vec<u8>, Vec<u8>);

fn rsa(size: KeySize, message: &[u8]) -> Signed {
    let key = signature::RsaKeyPair::generate(size).expect("an RSA key");
    let mut signed = vec![0; key.public_modulus_len()];
    let random = SystemRandom::new();
    key.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut signed).expect("a signature");
    (&signature::RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref().to_vec(), signed)
}

fn ecdsa(
    algorithm: &'static signature::EcdsaSigningAlgorithm,
    message: &[u8],
) -> (Vec<u8>, Vec<u8>) {
    let key = signature::EcdsaKeyPair::generate(algorithm).expect("a key");
    let signed = key.sign(&SystemRandom::new(), message).expect("a signature");
    (key.public_key().as_ref().to_vec(), signed.as_ref().to_vec())
}
