//! The hcRole attribute (ISO 17090): the extension's value, and one actor.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let _ = attest::hc_role::parse_attributes(octets);
    let _ = attest::hc_role::parse_actor(octets);
});
