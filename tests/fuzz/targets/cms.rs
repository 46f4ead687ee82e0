//! The reader of CMS signatures. What it takes, another decoder takes, too, and encodes to the same octets.
#![no_main]

use cades::SignedDataView;
use cms::content_info::ContentInfo;
use cms::signed_data::SignedData;
use der::Decode;
use der::Encode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Ok(view) = SignedDataView::parse(octets) else { return };
    let _ = view.verify();
    match view.content() {
        Some(content) => assert_eq!(view.check_content(content), Ok(()), "parse has compared it"),
        None => drop(cades::attach(octets, b"content")),
    }
    let info = ContentInfo::from_der(octets).expect("what is taken is a ContentInfo");
    // The certificates in it may be ones that x509-cert does not decode; everything else is.
    if let Ok(signed_data) = info.content.decode_as::<SignedData>() {
        let inner = info.content.to_der().expect("what was decoded can be encoded");
        assert_eq!(signed_data.to_der().ok(), Some(inner), "it is DER down to the leaves");
    }
});
