//! Answers of a platform operator's service about My Number cards.
#![no_main]

use appliance::jpki_validity::contract::read;
use attest::clock::UnixSeconds;
use attest::records::Fingerprint;
use attest::validity::CertificateId;
use attest::validity::Validity;
use libfuzzer_sys::fuzz_target;

/// 2027-01-15T08:00:00Z.
const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const MAX_AGE_SECONDS: u64 = 864_000;

fuzz_target!(|octets: &[u8]| {
    let asked = CertificateId { issuer_key: Fingerprint::of(b"key"), serial: vec![7] };
    let said = read(octets, &asked, &Fingerprint::of(b"card"), MAX_AGE_SECONDS, NOW);
    if let Ok(Validity::Good { until, predecessor }) = said {
        assert!(until >= NOW && until.0 <= NOW.0 + MAX_AGE_SECONDS + 60);
        assert!(predecessor.is_none_or(|named| named != asked && !named.serial.is_empty()));
    }
});
