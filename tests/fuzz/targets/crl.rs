//! Certificate revocation lists, as they come from a server.
#![no_main]

use attest::revocation::SignedCrl;
use libfuzzer_sys::fuzz_target;

const MAX_BYTES: usize = 64 * 1024;

fuzz_target!(|octets: &[u8]| {
    if let Ok(crl) = SignedCrl::parse(octets, MAX_BYTES) {
        assert!(octets.len() <= MAX_BYTES);
        let _ = crl.issuer();
    }
});
