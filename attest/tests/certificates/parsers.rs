//! Octets that are no certificates: nothing panics, nothing is believed.

use crate::pki::NOW;
use crate::pki::World;
use attest::path::Certificate;
use attest::path::MAX_CERTIFICATE_BYTES;
use attest::path::TrustAnchor;
use proptest::prelude::*;
use std::sync::OnceLock;

struct Good {
    world: World,
    card: Vec<u8>,
}

fn good() -> &'static Good {
    static GOOD: OnceLock<Good> = OnceLock::new();
    GOOD.get_or_init(|| {
        let world = World::new();
        let card = world.ca.card().der;
        Good { world, card }
    })
}

/// Everything that is ever asked of a certificate.
fn ask(der: &[u8]) {
    let _ = TrustAnchor::from_der(der);
    let Ok(certificate) = Certificate::from_der(der) else { return };
    let _ = (certificate.subject_text(), certificate.issuer_text(), certificate.is_ca());
    let _ = (certificate.key_usage(), certificate.extended_key_usage(), certificate.policies());
    let _ = attest::hc_role::roles_of(&certificate);
    let _ = attest::judge::card_fingerprint(&certificate);
    assert!(good().world.judge.judge_leaf(der, NOW).is_err());
}

#[test]
fn every_flipped_bit_of_a_card_is_refused() {
    let Good { world, card } = good();
    assert!(world.judge.judge_leaf(card, NOW).is_ok());
    for index in 0..card.len() {
        for bit in 0..8 {
            let mut damaged = card.clone();
            damaged[index] ^= 1 << bit;
            assert!(world.judge.judge_leaf(&damaged, NOW).is_err(), "octet {index}, bit {bit}");
        }
    }
}

#[test]
fn every_truncation_of_a_card_is_refused() {
    let Good { world, card } = good();
    for end in 0..card.len() {
        assert!(world.judge.judge_leaf(&card[..end], NOW).is_err(), "{end} octets");
    }
    let longer = [card.as_slice(), &[0]].concat();
    assert!(world.judge.judge_leaf(&longer, NOW).is_err());
}

#[test]
fn certificate_longer_than_the_limit_is_refused_unread() {
    for (octets, code) in [(MAX_CERTIFICATE_BYTES, false), (MAX_CERTIFICATE_BYTES + 1, true)] {
        let error = Certificate::from_der(&vec![0x30; octets]).unwrap_err();
        let is_too_large = error.to_string().contains("too long");
        assert_eq!(is_too_large, code, "{error}");
    }
}

proptest! {
    #[test]
    fn arbitrary_octets_do_not_panic(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        ask(&octets);
    }

    #[test]
    fn damaged_certificates_do_not_panic(index: prop::sample::Index, octets: [u8; 4]) {
        let mut der = good().card.clone();
        let place = index.index(der.len() - 4);
        let whole = der.clone();
        der[place..place + 4].copy_from_slice(&octets);
        if der != whole {
            ask(&der);
        }
    }
}
