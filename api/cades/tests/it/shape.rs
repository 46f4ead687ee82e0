//! Raw signatures: other people's signed attributes pass, what only looks like them does not.

use crate::pki::Pki;
use crate::pki::schemes;
use crate::prepare;
use crate::tree::Node;
use crate::tree::oid;
use crate::tree::sequence;
use crate::tree::set;
use attest::algorithm::KeyType;
use cades::CmsError;
use cades::RawShape;

const SIGNED_INFO: &str = concat!(
    r#"<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">"#,
    r#"<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:CanonicalizationMethod>"#,
    r#"<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></ds:SignatureMethod>"#,
    r#"<ds:Reference URI=""><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod>"#,
    "<ds:DigestValue>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</ds:DigestValue></ds:Reference></ds:SignedInfo>",
);

/// What a CMS builder without a key of its own sends: here ours, with every digest.
fn signed_attrs() -> Node {
    let signer = Pki::get().signer(KeyType::P256);
    Node::parse(prepare(signer, KeyType::P256.default_scheme(), b"content").signed_attrs_der())
}

fn refused(shape: RawShape, octets: &[u8]) -> bool {
    matches!(shape.check(octets), Err(CmsError::Shape { .. }))
}

#[test]
fn signed_attributes_of_every_algorithm_pass() {
    for key_type in KeyType::ALL {
        let signer = Pki::get().signer(key_type);
        for scheme in schemes(key_type) {
            let prepared = prepare(signer, scheme, b"content");
            assert_eq!(RawShape::SignedAttrs.check(prepared.signed_attrs_der()), Ok(()));
        }
    }
}

#[test]
fn signed_attributes_of_another_builder_pass() {
    let check = |mut node: Node| {
        node.children().sort_by_key(Node::encode);
        RawShape::SignedAttrs.check(&node.encode())
    };
    // What CAdES wants beside content-type and message-digest is no matter of CMS: attributes come and go.
    let mut node = signed_attrs();
    node.children().remove(1);
    let text = Node::Primitive(0x0c, b"text/plain".to_vec());
    node.children().push(sequence(vec![oid("0400f6ee0101"), set(vec![text])]));
    assert_eq!(check(node), Ok(()));
    // id-ct-TSTInfo: other content is signed so, too, and says what it is.
    let mut node = signed_attrs();
    *node.at(&[0, 1, 0]) = oid("2a864886f70d0109100104");
    assert_eq!(check(node), Ok(()));
}

#[test]
fn shapes_do_not_serve_each_other() {
    let signed_attrs = signed_attrs().encode();
    assert_eq!(RawShape::SignedInfo.check(SIGNED_INFO.as_bytes()), Ok(()));
    assert!(refused(RawShape::SignedAttrs, SIGNED_INFO.as_bytes()));
    assert!(refused(RawShape::SignedInfo, &signed_attrs));
    for shape in [RawShape::SignedInfo, RawShape::SignedAttrs] {
        for other in [&b""[..], b"a document", &[0; 32], b"\x30\x00", b"\x31\x00"] {
            assert!(refused(shape, other), "{shape:?} {other:?}");
        }
    }
}

#[test]
fn octets_past_the_limit_are_refused() {
    let padded = |len: usize| {
        let padding = "x".repeat(len - SIGNED_INFO.len());
        SIGNED_INFO.replace("47DE", &format!("47DE{padding}"))
    };
    let limit = RawShape::MAX_BYTES;
    assert_eq!(RawShape::SignedInfo.check(padded(limit).as_bytes()), Ok(()));
    let what = "signed_info";
    let refused = RawShape::SignedInfo.check(padded(limit + 1).as_bytes());
    assert_eq!(refused, Err(CmsError::TooLong { what, limit, actual: limit + 1 }));
}

#[test]
fn signed_attributes_with_one_fault_are_refused() {
    const MESSAGE_DIGEST: usize = 2;
    type Change = fn(&mut Node);
    let cases: [(&str, Change); 14] = [
        ("no content-type", |node| drop(node.children().remove(0))),
        ("no message-digest", |node| drop(node.children().remove(MESSAGE_DIGEST))),
        ("implicit tag", |node| node.set_tag(0xa0)),
        ("out of order", |node| node.children().reverse()),
        ("attribute twice", |node| {
            let twin = node.children()[0].clone();
            node.children().insert(0, twin);
        }),
        ("two message-digests", |node| {
            let mut twin = node.children()[MESSAGE_DIGEST].clone();
            twin.at(&[1, 0]).value()[0] ^= 1;
            node.children().push(twin);
            node.children().sort_by_key(Node::encode);
        }),
        ("message-digest with two values", |node| {
            let values = node.at(&[MESSAGE_DIGEST, 1]).children();
            values.push(Node::Primitive(4, vec![0xff; 32]));
            values.sort_by_key(Node::encode);
            node.children().sort_by_key(Node::encode);
        }),
        ("message-digest of SHA-1", |node| {
            node.at(&[MESSAGE_DIGEST, 1, 0]).value().truncate(20);
            node.children().sort_by_key(Node::encode);
        }),
        ("message-digest as text", |node| node.at(&[MESSAGE_DIGEST, 1, 0]).set_tag(0x0c)),
        ("message-digest in pieces", |node| {
            let piece = node.at(&[MESSAGE_DIGEST, 1, 0]).clone();
            *node.at(&[MESSAGE_DIGEST, 1, 0]) = Node::Constructed(0x24, vec![piece]);
            node.children().sort_by_key(Node::encode);
        }),
        ("content-type as text", |node| node.at(&[0, 1, 0]).set_tag(0x0c)),
        ("attribute without a value", |node| {
            node.at(&[1, 1]).children().clear();
            node.children().sort_by_key(Node::encode);
        }),
        ("attribute with a third field", |node| {
            node.at(&[1]).children().push(crate::tree::null());
            node.children().sort_by_key(Node::encode);
        }),
        ("octet behind", |node| {
            *node = Node::Raw([node.encode(), vec![0]].concat());
        }),
    ];
    for (name, change) in cases {
        let mut node = signed_attrs();
        change(&mut node);
        assert!(refused(RawShape::SignedAttrs, &node.encode()), "{name}");
    }
}
