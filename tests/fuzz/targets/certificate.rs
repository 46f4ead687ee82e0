//! Everything that reads a certificate: the path validator's type with hcRole, and the signer's parts in CMS.
#![no_main]

use attest::path::Certificate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    if let Ok(certificate) = Certificate::from_der(octets) {
        let _ = attest::hc_role::roles_of(&certificate);
        let _ = (certificate.subject_text(), certificate.issuer_text(), certificate.serial_der());
        let _ = (certificate.key_usage(), certificate.extended_key_usage(), certificate.policies());
        let _ = (certificate.subject_key_id(), certificate.authority_key_id());
        let _ = certificate.verify_signed_by(&certificate);
        let _ = cades::PublicKey::from_spki_der(certificate.spki_der());
    }
    if let Ok(certificate) = cades::SigningCertificate::new(&[octets.to_vec()]) {
        let spki_der = certificate.public_key().spki_der();
        assert!(octets.windows(spki_der.len()).any(|window| window == spki_der));
    }
});
