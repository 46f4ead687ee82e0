//! The TLS 1.2 messages that a card signed, as they cross to the keeper.
#![no_main]

use attest::clock::UnixSeconds;
use attest::evidence::CardEvidence;
use attest::evidence::CardKind;
use attest::evidence::Expectations;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

fuzz_target!(|octets: &[u8]| {
    // Leaf and signature out of the same octets, so that they can be those in the messages.
    let (cut, transcript) = octets.split_at(octets.len().min(2));
    let cut = cut.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet));
    let leaf_der = transcript.get(cut..).unwrap_or_default().to_vec();
    let now = UnixSeconds(1_800_000_000);
    let kind = CardKind::Hpki;
    let evidence = CardEvidence {
        kind,
        leaf_der,
        transcript: transcript.to_vec(),
        signature_scheme: 0x0401,
        signature: vec![1; 256],
        handshake_at: now,
    };
    let max_age = Duration::from_secs(60);
    let (host, server_certificates) = ("hpki.example", &[]);
    let expected =
        Expectations { kind, host, server_certificates, not_before: now, now, max_age };
    assert!(evidence.verify(&expected).is_err(), "there is no certificate that it could match");
});
