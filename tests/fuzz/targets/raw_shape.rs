//! Octets for raw signatures. None is of both shapes; signed attributes that pass are DER in another decoder's eyes, too.
#![no_main]

use cades::RawShape;
use der::Decode;
use der::Encode;
use der::asn1::SetOfVec;
use libfuzzer_sys::fuzz_target;
use x509_cert::attr::Attribute;

fuzz_target!(|octets: &[u8]| {
    let is_signed_info = RawShape::SignedInfo.check(octets).is_ok();
    let is_signed_attrs = RawShape::SignedAttrs.check(octets).is_ok();
    assert!(!(is_signed_info && is_signed_attrs));
    if is_signed_info {
        assert!(octets.starts_with(b"<") && octets.ends_with(b">"));
    }
    // The other decoder knows no object identifier from 2.40 on, and none longer than 39 octets.
    if let (true, Ok(attributes)) = (is_signed_attrs, SetOfVec::<Attribute>::from_der(octets)) {
        assert_eq!(attributes.to_der().ok().as_deref(), Some(octets), "it is DER");
    }
});
