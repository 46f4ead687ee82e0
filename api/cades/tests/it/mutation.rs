//! How a good signature is made wrong in one thing.

use crate::digest_of;
use crate::pki::Pki;
use crate::pki::Signer;
use crate::sign;
use crate::tree::Node;
use crate::tree::null;
use crate::tree::oid;
use crate::tree::sequence;
use crate::tree::set;
use attest::algorithm::SignatureScheme;
use cades::CmsError;

/// What is signed.
pub const CONTENT: &[u8] = b"Rp) 1. ...";

/// ContentInfo, content, SignedData.
const SIGNED_DATA: [usize; 2] = [1, 0];
const SIGNER_INFO: [usize; 4] = [1, 0, 4, 0];
const SIGNED_ATTRS: [usize; 5] = [1, 0, 4, 0, 3];
/// Their places in DER order, for a digest of 32 octets.
const CONTENT_TYPE: usize = 0;
const SIGNING_TIME: usize = 1;
const MESSAGE_DIGEST: usize = 2;
const SIGNING_CERTIFICATE: usize = 3;

/// A signature that is wrong in one thing.
pub struct Mutant {
    pub name: &'static str,
    pub der: Vec<u8>,
    pub detached: bool,
    /// Whether another verifier is right to take it.
    pub good_elsewhere: bool,
}

/// All of them, and what they were made of.
pub struct Mutants<'a> {
    signer: &'a Signer,
    scheme: SignatureScheme,
    pub detached: Node,
    pub attached: Node,
    pub made: Vec<Mutant>,
}

impl<'a> Mutants<'a> {
    pub fn of(signer: &'a Signer) -> Self {
        let scheme = signer.key_type.default_scheme();
        let detached = sign(signer, scheme, CONTENT);
        let attached = cades::attach(&detached, CONTENT).unwrap();
        let mut mutants = Self {
            signer,
            scheme,
            detached: Node::parse(&detached),
            attached: Node::parse(&attached),
            made: Vec::new(),
        };
        mutants.of_the_encoding(&detached);
        mutants.of_the_outer_layers();
        mutants.of_the_content();
        mutants.of_the_certificates();
        mutants.of_the_signer_info();
        mutants.of_the_attributes();
        mutants.of_the_times();
        mutants.of_the_signing_certificate();
        mutants.of_the_value();
        mutants
    }

    /// Octets as they are.
    fn raw(&mut self, name: &'static str, der: Vec<u8>) {
        self.made.push(Mutant { name, der, detached: true, good_elsewhere: false });
    }

    /// A change that leaves the signature value as it is.
    fn edit(&mut self, name: &'static str, change: impl FnOnce(&mut Node)) {
        let mut node = self.detached.clone();
        change(&mut node);
        self.raw(name, node.encode());
    }

    /// A change of the attached form.
    fn edit_attached(&mut self, name: &'static str, change: impl FnOnce(&mut Node)) {
        let mut node = self.attached.clone();
        change(&mut node);
        let der = node.encode();
        self.made.push(Mutant { name, der, detached: false, good_elsewhere: false });
    }

    /// A change of the signed attributes that the signer signs anew: only the attribute is wrong.
    fn edit_signed(&mut self, name: &'static str, change: impl FnOnce(&mut Vec<Node>)) {
        let mut node = self.detached.clone();
        change(node.at(&SIGNED_ATTRS).children());
        self.resign(&mut node);
        self.raw(name, node.encode());
    }

    fn good_elsewhere(&mut self) {
        self.made.last_mut().unwrap().good_elsewhere = true;
    }

    /// Puts the attributes into DER order and signs them.
    pub fn resign(&self, node: &mut Node) {
        node.at(&SIGNED_ATTRS).children().sort_by_key(Node::encode);
        self.resign_as_it_stands(node);
    }

    fn resign_as_it_stands(&self, node: &mut Node) {
        let mut to_sign = node.at(&SIGNED_ATTRS).clone();
        to_sign.set_tag(0x31);
        let value = self.signer.sign(self.scheme, &to_sign.encode());
        *node.at(&SIGNER_INFO).children()[5].value() = value;
    }

    fn of_the_encoding(&mut self, der: &[u8]) {
        self.raw("empty", Vec::new());
        self.raw("octet after the end", [der, &[0]].concat());
        self.raw("octet before the beginning", [&[0], der].concat());
        self.raw("last octet missing", der[..der.len() - 1].to_vec());
        self.raw("itself twice", [der, der].concat());
        let indefinite = [&[0x30, 0x80], &der[4..], &[0, 0]].concat();
        self.raw("indefinite outer length", indefinite);
        self.raw("outer length with a leading zero", [&[0x30, 0x83, 0], &der[2..]].concat());
        self.raw("outer tag of a set", [&[0x31], &der[1..]].concat());
        self.raw("hexadecimal text", hex::encode(der).into_bytes());
        self.edit("version in two octets", |node| {
            *node.at(&SIGNED_DATA).children()[0].value() = vec![0, 1];
        });
        self.edit("object identifier with a padded arc", |node| {
            node.at(&[0]).value().splice(1..1, [0x80]);
        });
        self.edit("set of signers with an octet behind", |node| {
            node.at(&SIGNED_DATA).children()[4].children().push(Node::Raw(vec![0]));
        });
        self.edit_attached("content in pieces", |node| {
            let pieces = [&CONTENT[..3], &CONTENT[3..]].map(|p| Node::Primitive(4, p.to_vec()));
            *node.at(&[1, 0, 2, 1, 0]) = Node::Constructed(0x24, pieces.to_vec());
        });
        self.edit("signature value in pieces", |node| {
            let value = node.at(&SIGNER_INFO).children()[5].clone();
            node.at(&SIGNER_INFO).children()[5] = Node::Constructed(0x24, vec![value]);
        });
    }

    fn of_the_outer_layers(&mut self) {
        self.edit("content type is data", |node| *node.at(&[0]) = oid("2a864886f70d010701"));
        self.edit("version 0", |node| *node.at(&SIGNED_DATA).children()[0].value() = vec![0]);
        self.edit("version 3", |node| *node.at(&SIGNED_DATA).children()[0].value() = vec![3]);
        self.edit("no digest algorithm", |node| node.at(&[1, 0, 1]).children().clear());
        self.edit("two digest algorithms", |node| {
            node.at(&[1, 0, 1]).children().push(sequence(vec![oid(SHA384)]));
        });
        self.edit("digest algorithm SHA-384 outside only", |node| {
            *node.at(&[1, 0, 1, 0, 0]) = oid(SHA384);
        });
        self.edit("digest algorithm with NULL outside", |node| {
            node.at(&[1, 0, 1, 0]).children().push(null());
        });
        self.edit("digest algorithm SHA-1", |node| {
            *node.at(&[1, 0, 1, 0, 0]) = oid("2b0e03021a");
            *node.at(&[1, 0, 4, 0, 2, 0]) = oid("2b0e03021a");
        });
        self.edit("explicit tag 1", |node| node.at(&[1]).set_tag(0xa1));
        self.edit("two SignedData", |node| {
            let twin = node.at(&SIGNED_DATA).clone();
            node.at(&[1]).children().push(twin);
        });
        self.edit("no signer", |node| node.at(&[1, 0, 4]).children().clear());
        self.edit("two signers", |node| {
            let mut twin = node.at(&SIGNER_INFO).clone();
            *twin.children()[5].value() = vec![0; 80];
            node.at(&[1, 0, 4]).children().push(twin);
        });
        self.edit("revocation lists", |node| {
            node.at(&SIGNED_DATA).children().insert(4, Node::Constructed(0xa1, vec![]));
        });
    }

    fn of_the_content(&mut self) {
        self.edit("eContentType is TSTInfo", |node| {
            *node.at(&[1, 0, 2, 0]) = oid("2a864886f70d0109100104");
        });
        self.edit_attached("content changed", |node| node.at(&[1, 0, 2, 1, 0]).value()[0] ^= 1);
        self.edit_attached("content emptied", |node| node.at(&[1, 0, 2, 1, 0]).value().clear());
        self.edit_attached("content longer", |node| node.at(&[1, 0, 2, 1, 0]).value().push(0));
        self.edit_attached("content twice", |node| {
            let content = node.at(&[1, 0, 2, 1, 0]).clone();
            node.at(&[1, 0, 2, 1]).children().push(content);
        });
        self.edit_attached("content is no octet string", |node| {
            node.at(&[1, 0, 2, 1, 0]).set_tag(0x0c);
        });
        let other = sign(self.signer, self.scheme, b"other content");
        self.raw("signature over other content", other);
    }

    fn of_the_certificates(&mut self) {
        self.edit("no certificates", |node| drop(node.at(&SIGNED_DATA).children().remove(3)));
        self.edit("empty set of certificates", |node| node.at(&[1, 0, 3]).children().clear());
        let [leaf, sub_ca] = [0, 1].map(|place| Node::parse(&self.signer.chain[place]));
        self.edit("signer's certificate missing", |node| {
            *node.at(&[1, 0, 3]).children() = vec![sub_ca];
        });
        self.edit("certificates out of order", |node| node.at(&[1, 0, 3]).children().reverse());
        self.edit("certificate twice", |node| {
            let certificates = node.at(&[1, 0, 3]).children();
            certificates.insert(0, certificates[0].clone());
        });
        self.edit("something else among the certificates", |node| {
            node.at(&[1, 0, 3]).children().insert(0, null());
        });
        // Same issuer, same serial number, another key: only signing-certificate-v2 tells them apart.
        let imposter = Pki::get().make_signer(self.signer.key_type);
        let exchanged = vec![Node::parse(&imposter.chain[0]), Node::parse(&imposter.chain[1])];
        self.edit("signer's certificate exchanged", |node| {
            *node.at(&[1, 0, 3]).children() = exchanged;
            node.at(&[1, 0, 3]).children().sort_by_key(Node::encode);
        });
        let mut exchanged = Node::parse(&self.made.last().unwrap().der);
        let mut to_sign = exchanged.at(&SIGNED_ATTRS).clone();
        to_sign.set_tag(0x31);
        let value = imposter.sign(self.scheme, &to_sign.encode());
        *exchanged.at(&SIGNER_INFO).children()[5].value() = value;
        self.raw("signer's certificate and signature exchanged", exchanged.encode());
        self.edit("more certificates than a chain has", |node| {
            for number in 1..=8 {
                let mut other = leaf.clone();
                *other.at(&[0, 1]).value() = vec![number];
                node.at(&[1, 0, 3]).children().push(other);
            }
            node.at(&[1, 0, 3]).children().sort_by_key(Node::encode);
        });
        self.good_elsewhere();
    }

    fn of_the_signer_info(&mut self) {
        let field = |place: usize| [1, 0, 4, 0, place];
        self.edit("signer version 3", |node| *node.at(&field(0)).value() = vec![3]);
        self.edit("signer named with another number", |node| {
            *node.at(&[1, 0, 4, 0, 1, 1]).value() = vec![1];
        });
        self.edit("signer named with another issuer", |node| {
            node.at(&[1, 0, 4, 0, 1, 0]).children().clear();
        });
        self.edit("signer named by key identifier", |node| {
            *node.at(&field(1)) = Node::Primitive(0x80, vec![7; 20]);
        });
        self.edit("signer's digest SHA-384", |node| *node.at(&[1, 0, 4, 0, 2, 0]) = oid(SHA384));
        self.edit("signer's digest with NULL", |node| node.at(&field(2)).children().push(null()));
        self.edit("both digests SHA-384", |node| {
            *node.at(&[1, 0, 1, 0, 0]) = oid(SHA384);
            *node.at(&[1, 0, 4, 0, 2, 0]) = oid(SHA384);
        });
        self.edit("ECDSA with SHA-384", |node| {
            *node.at(&[1, 0, 4, 0, 4, 0]) = oid("2a8648ce3d040303");
        });
        self.edit("ECDSA with parameters", |node| node.at(&field(4)).children().push(null()));
        self.edit("RSA with an elliptic key", |node| {
            *node.at(&field(4)) = sequence(vec![oid("2a864886f70d01010b"), null()]);
        });
        self.edit("Ed25519 with an elliptic key", |node| {
            *node.at(&field(4)) = sequence(vec![oid("2b6570")]);
        });
        self.edit("unsigned attributes", |node| {
            let time = node.at(&SIGNED_ATTRS).children()[SIGNING_TIME].clone();
            node.at(&SIGNER_INFO).children().push(Node::Constructed(0xa1, vec![time]));
        });
        // The content signed without attributes: RFC 5652 allows it, CAdES does not.
        let value = self.signer.sign(self.scheme, CONTENT);
        self.edit("no signed attributes", |node| {
            node.at(&SIGNER_INFO).children().remove(3);
            *node.at(&field(4)).value() = value;
        });
    }

    fn of_the_attributes(&mut self) {
        self.edit_signed("signed attributes empty", Vec::clear);
        self.edit_signed("no content-type", |a| drop(a.remove(CONTENT_TYPE)));
        self.edit_signed("no message-digest", |a| drop(a.remove(MESSAGE_DIGEST)));
        self.edit_signed("no signing-time", |a| drop(a.remove(SIGNING_TIME)));
        self.edit_signed("no signing-certificate-v2", |a| drop(a.remove(SIGNING_CERTIFICATE)));
        self.edit_signed("content-type is TSTInfo", |a| {
            *a[CONTENT_TYPE].at(&[1, 0]) = oid("2a864886f70d0109100104");
        });
        self.edit_signed("message-digest twice", |a| {
            let mut twin = a[MESSAGE_DIGEST].clone();
            twin.at(&[1, 0]).value()[0] ^= 1;
            a.push(twin);
        });
        self.edit_signed("message-digest with two values", |a| {
            let mut twin = a[MESSAGE_DIGEST].at(&[1, 0]).clone();
            twin.value()[0] = twin.value()[0].saturating_add(1);
            a[MESSAGE_DIGEST].at(&[1]).children().push(twin);
        });
        self.edit_signed("message-digest without a value", |a| {
            a[MESSAGE_DIGEST].at(&[1]).children().clear();
        });
        self.edit_signed("message-digest cut off", |a| {
            a[MESSAGE_DIGEST].at(&[1, 0]).value().truncate(20);
        });
        self.edit_signed("message-digest changed", |a| {
            a[MESSAGE_DIGEST].at(&[1, 0]).value()[31] ^= 0x80;
        });
        self.edit_signed("message-digest as a bit string", |a| {
            a[MESSAGE_DIGEST].at(&[1, 0]).set_tag(0x03);
        });
        self.edit_signed("one more attribute", |a| {
            let value = Node::Primitive(0x0c, b"text/plain".to_vec());
            a.push(sequence(vec![oid("0400f6ee0101"), set(vec![value])]));
        });
        self.good_elsewhere();
        let mut unsorted = self.detached.clone();
        unsorted.at(&SIGNED_ATTRS).children().reverse();
        let mut resigned = unsorted.clone();
        self.resign_as_it_stands(&mut resigned);
        self.raw("attributes out of order", unsorted.encode());
        self.raw("attributes out of order and signed so", resigned.encode());
    }

    fn of_the_times(&mut self) {
        let time = |tag, text: &'static [u8]| {
            move |a: &mut Vec<Node>| {
                *a[SIGNING_TIME].at(&[1, 0]) = Node::Primitive(tag, text.to_vec());
            }
        };
        self.edit_signed("GeneralizedTime before 2050", time(0x18, b"20261123123456Z"));
        self.edit_signed("time with fractions", time(0x18, b"20261123123456.5Z"));
        self.edit_signed("time without seconds", time(0x17, b"2611231234Z"));
        self.edit_signed("time with an offset", time(0x17, b"261123213456+0900"));
        self.edit_signed("time without Z", time(0x17, b"261123123456"));
        self.edit_signed("time in month 13", time(0x17, b"261323123456Z"));
        self.edit_signed("time as text", time(0x0c, b"261123123456Z"));
        self.edit("time changed, not signed", |node| {
            node.at(&[1, 0, 4, 0, 3, SIGNING_TIME, 1, 0]).value()[5] ^= 1;
        });
    }

    fn of_the_signing_certificate(&mut self) {
        // SigningCertificateV2, certs, the first ESSCertIDv2.
        const REFERENCE: [usize; 4] = [1, 0, 0, 0];
        self.edit_signed("reference to another certificate", |a| {
            a[SIGNING_CERTIFICATE].at(&REFERENCE).children()[0].value()[0] ^= 1;
        });
        self.edit_signed("reference with another number", |a| {
            *a[SIGNING_CERTIFICATE].at(&REFERENCE).at(&[1, 1]).value() = vec![1];
        });
        self.edit_signed("reference with another issuer", |a| {
            a[SIGNING_CERTIFICATE].at(&REFERENCE).at(&[1, 0, 0, 0]).children().clear();
        });
        self.edit_signed("reference without issuer and number", |a| {
            a[SIGNING_CERTIFICATE].at(&REFERENCE).children().pop();
        });
        self.good_elsewhere();
        self.edit_signed("no reference", |a| {
            a[SIGNING_CERTIFICATE].at(&[1, 0, 0]).children().clear();
        });
        self.edit_signed("reference of the first generation", |a| {
            *a[SIGNING_CERTIFICATE].at(&[0]) = oid("2a864886f70d010910020c");
        });
        self.edit_signed("reference says its default", |a| {
            let reference = a[SIGNING_CERTIFICATE].at(&REFERENCE).children();
            reference.insert(0, sequence(vec![oid("608648016503040201")]));
        });
        self.good_elsewhere();
        self.edit_signed("reference by SHA-1", |a| {
            let reference = a[SIGNING_CERTIFICATE].at(&REFERENCE).children();
            *reference[0].value() = vec![0; 20];
            reference.insert(0, sequence(vec![oid("2b0e03021a")]));
        });
    }

    fn of_the_value(&mut self) {
        let field = [1, 0, 4, 0, 5];
        self.edit("value empty", |node| node.at(&field).value().clear());
        self.edit("value changed", |node| *node.at(&field).value().last_mut().unwrap() ^= 1);
        self.edit("value longer", |node| node.at(&field).value().push(0));
        self.edit("value with r = s = 0", |node| {
            *node.at(&field).value() = hex::decode("3006020100020100").unwrap();
        });
        self.edit("value as r||s", |node| {
            let mut parts = Node::parse(node.at(&field).value());
            let whole = |part: &mut Vec<u8>| {
                let significant = part.iter().position(|octet| *octet != 0).unwrap();
                let significant = &part[significant..];
                [vec![0; 32 - significant.len()], significant.to_vec()].concat()
            };
            let [r, s] = [0, 1].map(|place| whole(parts.at(&[place]).value()));
            *node.at(&field).value() = [r, s].concat();
        });
        self.edit("value with a padded integer", |node| {
            let mut parts = Node::parse(node.at(&field).value());
            parts.at(&[0]).value().insert(0, 0);
            *node.at(&field).value() = parts.encode();
        });
        let other = self.signer.sign(self.scheme, b"something else");
        self.edit("value over something else", |node| *node.at(&field).value() = other);
        let stranger = Pki::get().make_signer(self.signer.key_type);
        let digest = digest_of(self.scheme, CONTENT);
        let time = crate::SIGNING_TIME;
        let prepared =
            cades::prepare(&self.signer.certificate(), self.scheme, &digest, time).unwrap();
        let value = stranger.sign(self.scheme, prepared.signed_attrs_der());
        assert_eq!(prepared.verify(&value).unwrap_err(), CmsError::SignatureInvalid);
        self.edit("value by another key", |node| *node.at(&field).value() = value);
    }
}

const SHA384: &str = "608648016503040202";
