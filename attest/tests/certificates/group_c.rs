//! Group C of the attacks: the path of a client certificate. C1 and C2 are in the conformance tests, C5 and C6 in
//! [`crate::profiles`], C8 (OCSP) has no part here: no OCSP is asked.

use crate::pki::Ca;
use crate::pki::DAY;
use crate::pki::Draft;
use crate::pki::NOW;
use crate::pki::RawCrl;
use crate::pki::World;
use crate::pki::ca_params;
use crate::pki::crl_params;
use crate::pki::date;
use crate::pki::earlier;
use crate::pki::later;
use crate::pki::material;
use crate::pki::policies;
use attest::clock::UnixSeconds;
use attest::judge::HPKI_AUTHENTICATION_POLICY;
use attest::judge::Judge;
use attest::judge::Profiles;
use attest::judge::card_fingerprint;
use attest::path::Certificate;
use attest::revocation::CrlLimits;
use rcgen::CrlDistributionPoint;
use rcgen::DnType;
use rcgen::DnValue;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::SerialNumber;
use std::net::TcpListener;

fn code(judge: &Judge, der: &[u8], at: UnixSeconds) -> &'static str {
    judge.judge_leaf(der, at).map_or_else(|refusal| refusal.code(), |_| "good")
}

fn judge_of(roots: &[&Ca], cas: &[&Ca], lists: &[Vec<u8>]) -> Judge {
    let material = material(roots, cas, Profiles::default(), false);
    let judge = Judge::new(material, CrlLimits::default(), &[]).unwrap();
    for list in lists {
        judge.load_crl(list, NOW).unwrap();
    }
    judge
}

#[test]
fn c4_validity_is_inclusive_at_both_ends() {
    let world = World::new();
    let leaf = world.ca.issue(Draft::card("A").valid(earlier(3600), later(DAY)));
    let before = UnixSeconds(NOW.0 - 3601);
    assert_eq!(code(&world.judge, &leaf.der, before), "certificate_not_yet_valid");
    assert_eq!(code(&world.judge, &leaf.der, earlier(3600)), "good");
    assert_eq!(code(&world.judge, &leaf.der, later(DAY)), "good");
    assert_eq!(code(&world.judge, &leaf.der, later(DAY + 1)), "certificate_expired");
}

#[test]
fn c4_validity_of_a_ca_is_inclusive_at_both_ends() {
    let root = Ca::root("Root");
    let mut params = ca_params("CA");
    params.custom_extensions.push(policies(&[HPKI_AUTHENTICATION_POLICY]));
    (params.not_before, params.not_after) = (date(earlier(3600)), date(later(DAY)));
    let ca = root.sub_with(params, KeyPair::generate().unwrap());
    let judge = judge_of(&[&root], &[&ca], &[root.crl(1), ca.crl(1)]);
    let leaf = ca.card().der;
    assert_eq!(code(&judge, &leaf, UnixSeconds(NOW.0 - 3601)), "ca_not_yet_valid");
    assert_eq!(code(&judge, &leaf, earlier(3600)), "good");
    assert_eq!(code(&judge, &leaf, later(DAY)), "good");
    assert_eq!(code(&judge, &leaf, later(DAY + 1)), "ca_expired");
}

#[test]
fn c7_revoked_leaf_and_revoked_ca_are_refused_with_the_reason() {
    let world = World::new();
    let leaf = world.ca.card();
    world.judge.load_crl(&world.ca.crl_revoking(2, &[leaf.serial]), NOW).unwrap();
    let refusal = world.judge.judge_leaf(&leaf.der, NOW).unwrap_err();
    assert_eq!(refusal.code(), "certificate_revoked");
    assert!(refusal.to_string().contains("key compromise"), "{refusal}");

    let world = World::new();
    let serial = Certificate::from_der(&world.ca.der).unwrap().serial().to_vec();
    let serial = serial.iter().fold(0, |number, octet| number << 8 | u64::from(*octet));
    world.judge.load_crl(&world.root.crl_revoking(2, &[serial]), NOW).unwrap();
    assert_eq!(code(&world.judge, &world.ca.card().der, NOW), "ca_revoked");
}

#[test]
fn c7_missing_and_stale_lists_are_refused() {
    let root = Ca::root("Root");
    let ca = root.sub("CA");
    let card = ca.card().der;
    let with = |lists: &[Vec<u8>], at| code(&judge_of(&[&root], &[&ca], lists), &card, at);
    assert_eq!(with(&[], NOW), "crl_missing");
    assert_eq!(with(&[root.crl(1)], NOW), "crl_missing");
    assert_eq!(with(&[ca.crl(1)], NOW), "crl_missing");
    assert_eq!(with(&[root.crl(1), ca.crl(1)], NOW), "good");
    assert_eq!(with(&[root.crl(1), ca.crl(1)], later(4 * DAY)), "good");
    assert_eq!(with(&[root.crl(1), ca.crl(1)], later(4 * DAY + 1)), "crl_stale");
    assert_eq!(with(&[root.crl(1), ca.crl(1)], UnixSeconds(NOW.0 - 3601)), "crl_future");
}

#[test]
fn c7_list_signed_by_a_sibling_is_refused() {
    let root = Ca::root("Root");
    let (ca, sibling) = (root.sub("CA"), root.sub("Sibling"));
    let judge = judge_of(&[&root], &[&ca, &sibling], &[root.crl(1), sibling.crl(1)]);
    assert_eq!(code(&judge, &ca.card().der, NOW), "crl_missing");
    let forged = ca.impostor().crl(1);
    assert_eq!(judge.load_crl(&forged, NOW).unwrap_err().code(), "crl_signature_invalid");
    assert_eq!(code(&judge, &ca.card().der, NOW), "crl_missing");
}

#[test]
fn c7_list_of_another_generation_of_the_same_name_says_nothing() {
    let root = Ca::root("Root");
    let (old, new) = (root.sub("CA"), root.sub("CA"));
    let judge = judge_of(&[&root], &[&old, &new], &[root.crl(1), new.crl(1)]);
    assert_eq!(code(&judge, &new.card().der, NOW), "good");
    assert_eq!(code(&judge, &old.card().der, NOW), "crl_other_issuer");
    judge.load_crl(&old.crl(1), NOW).unwrap();
    assert_eq!(code(&judge, &old.card().der, NOW), "good");
    assert_eq!(judge.crl_status(NOW).len(), 3, "both lists stand beside each other");
}

#[test]
fn c7_list_of_a_ca_that_may_not_sign_lists_is_refused() {
    let root = Ca::root("Root");
    let mut params = ca_params("CA");
    params.custom_extensions.push(policies(&[HPKI_AUTHENTICATION_POLICY]));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca = root.sub_with(params.clone(), KeyPair::generate().unwrap());
    let judge = judge_of(&[&root], &[&ca], &[root.crl(1)]);
    let list = RawCrl::of(&ca).sign(&ca);
    assert_eq!(judge.load_crl(&list, NOW).unwrap_err().code(), "crl_key_usage");
    assert_eq!(code(&judge, &ca.card().der, NOW), "crl_key_usage");
}

#[test]
fn c7_second_distribution_point_alone_does_not_do() {
    // RUSTSEC-2026-0049: a list was taken for the wrong distribution point. Here each name is compared.
    let root = Ca::root("Root");
    let ca = root.sub("CA");
    let list = |uri: &str| {
        let mut params = crl_params(1);
        params.issuing_distribution_point = Some(rcgen::CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint { uris: vec![uri.to_owned()] },
            scope: None,
        });
        ca.crl_with(params)
    };
    let card = |uris: &[&str]| {
        let mut draft = Draft::card("A");
        draft.params.crl_distribution_points =
            uris.iter().map(|uri| CrlDistributionPoint { uris: vec![(*uri).to_owned()] }).collect();
        ca.issue(draft).der
    };
    let judge = judge_of(&[&root], &[&ca], &[root.crl(1), list("http://crl/2")]);
    assert_eq!(code(&judge, &card(&["http://crl/1"]), NOW), "crl_out_of_scope");
    assert_eq!(code(&judge, &card(&["http://crl/1", "http://crl/2"]), NOW), "good");
    assert_eq!(code(&judge, &card(&["http://crl/2/"]), NOW), "crl_out_of_scope");
}

#[test]
fn c9_list_lasts_until_next_update_then_sign_ins_stop_after_an_alarm() {
    let world = World::new();
    let card = world.ca.card().der;
    let day_later = later(DAY);
    assert_eq!(code(&world.judge, &card, day_later), "good", "a server down for a day");
    let alarm = |at| world.judge.crl_status(at).iter().any(|list| list.is_alarm);
    assert!(!alarm(day_later) && alarm(later(3 * DAY)));
    assert_eq!(code(&world.judge, &card, later(3 * DAY)), "good", "the alarm rings first");
    assert_eq!(code(&world.judge, &card, later(4 * DAY + 1)), "crl_stale");
}

#[test]
fn c10_garbage_of_50_mb_and_truncated_lists_leave_the_old_one() {
    let world = World::new();
    let card = world.ca.card().der;
    let status = world.judge.crl_status(NOW);
    let garbage = vec![0x30; 50 * 1024 * 1024];
    assert_eq!(world.judge.load_crl(&garbage, NOW).unwrap_err().code(), "crl_too_large");
    let below = vec![0x30; CrlLimits::default().max_bytes];
    assert_eq!(world.judge.load_crl(&below, NOW).unwrap_err().code(), "crl_malformed");
    let real = world.ca.crl(2);
    let half = &real[..real.len() / 2];
    assert_eq!(world.judge.load_crl(half, NOW).unwrap_err().code(), "crl_malformed");
    assert_eq!(world.judge.load_crl(b"", NOW).unwrap_err().code(), "crl_malformed");
    assert_eq!(world.judge.crl_status(NOW), status);
    assert_eq!(code(&world.judge, &card, NOW), "good");
}

#[test]
fn c11_same_subject_from_another_trusted_ca_is_another_person() {
    let roots = [Ca::root("Root 1"), Ca::root("Root 2")];
    let cas = [roots[0].sub("CA 1"), roots[1].sub("CA 2")];
    let lists = [roots[0].crl(1), roots[1].crl(1), cas[0].crl(1), cas[1].crl(1)];
    let judge = judge_of(&[&roots[0], &roots[1]], &[&cas[0], &cas[1]], &lists);
    let mut drafts = [Draft::card("Kagurazaka"), Draft::card("Kagurazaka")];
    for draft in &mut drafts {
        draft.params.serial_number = Some(SerialNumber::from(77));
    }
    let key = KeyPair::generate().unwrap();
    let copy = KeyPair::try_from(key.serialize_der()).unwrap();
    let [first, second] = drafts;
    let first = cas[0].issue_for(first, key).der;
    let second = cas[1].issue_for(second, copy).der;
    let identity = |der: &[u8]| judge.judge_leaf(der, NOW).unwrap();
    assert_eq!(identity(&first).subject, identity(&second).subject);
    assert_ne!(identity(&first).fingerprint, identity(&second).fingerprint);
}

#[test]
fn c12_names_that_look_alike_are_different_cards() {
    let world = World::new();
    let names: [DnValue; 5] = [
        DnValue::Utf8String("12345".to_owned()),
        DnValue::PrintableString("12345".try_into().unwrap()),
        DnValue::Utf8String("１２３４５".to_owned()),
        DnValue::Utf8String("123\u{202e}45".to_owned()),
        DnValue::Utf8String("12345\0".to_owned()),
    ];
    let cards: Vec<_> = names
        .into_iter()
        .map(|name| {
            let mut draft = Draft::card("x");
            draft.params.distinguished_name.push(DnType::CommonName, name);
            world.judge.judge_leaf(&world.ca.issue(draft).der, NOW).unwrap()
        })
        .collect();
    for (index, card) in cards.iter().enumerate() {
        for other in &cards[index + 1..] {
            assert_ne!(card.fingerprint, other.fingerprint);
        }
    }
    assert!(cards[3].subject.contains("123\\E2\\80\\AE45"), "{}", cards[3].subject);
    assert!(cards[4].subject.contains("12345\\00"), "{}", cards[4].subject);
}

#[test]
fn c13_renewed_card_is_another_card() {
    let world = World::new();
    let key = KeyPair::generate().unwrap();
    let same_key = KeyPair::try_from(key.serialize_der()).unwrap();
    let old = world.ca.issue_for(Draft::card("A"), key).der;
    let renewed = world.ca.issue_for(Draft::card("A"), same_key).der;
    let fingerprint = |der: &[u8]| card_fingerprint(&Certificate::from_der(der).unwrap());
    assert_ne!(fingerprint(&old), fingerprint(&renewed));
}

#[test]
fn c14_revocation_and_expiry_end_a_card_that_was_good() {
    let world = World::new();
    let leaf = world.ca.issue(Draft::card("A").valid(earlier(DAY), later(7200)));
    let identity = world.judge.judge_leaf(&leaf.der, NOW).unwrap();
    assert_eq!(identity.good_until, later(7200), "the certificate ends before the lists");
    assert_eq!(code(&world.judge, &leaf.der, later(7201)), "certificate_expired");

    let leaf = world.ca.card();
    assert_eq!(code(&world.judge, &leaf.der, NOW), "good");
    world.judge.load_crl(&world.ca.crl_revoking(2, &[leaf.serial]), later(60)).unwrap();
    assert_eq!(code(&world.judge, &leaf.der, later(60)), "certificate_revoked");
}

#[test]
fn c14_removed_anchor_ends_a_card_that_was_good() {
    let world = World::new();
    let card = world.ca.card().der;
    assert_eq!(code(&world.judge, &card, NOW), "good");
    let other = Ca::root("Other");
    let material = material(&[&other], &[&world.ca], Profiles::default(), false);
    world.judge.replace_material(material).unwrap();
    assert_eq!(code(&world.judge, &card, NOW), "issuer_unknown");
}

#[test]
fn c15_addresses_in_certificates_are_never_followed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/ca.crl", listener.local_addr().unwrap());
    let root = Ca::root("Root");
    let ca = root.sub("CA");
    let judge = judge_of(&[&root], &[&ca], &[root.crl(1)]);
    for uri in [url.as_str(), "http://169.254.169.254/", "file:///etc/passwd", "ldap://127.0.0.1/"]
    {
        let mut draft = Draft::card("A");
        draft.params.crl_distribution_points =
            vec![CrlDistributionPoint { uris: vec![uri.to_owned()] }];
        let issuers = crate::pki::tlv(0x86, uri.as_bytes());
        let id_ad_ca_issuers = [0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 0x30, 0x02];
        let access = crate::pki::tlv(0x30, &[id_ad_ca_issuers.to_vec(), issuers].concat());
        let access = crate::pki::tlv(0x30, &access);
        let oid = [1, 3, 6, 1, 5, 5, 7, 1, 1];
        draft.params.custom_extensions.push(crate::pki::extension(&oid, access, false));
        assert_eq!(code(&judge, &ca.issue(draft).der, NOW), "crl_missing", "{uri}");
    }
    let refused = listener.accept().unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::WouldBlock, "nobody came");
}

#[test]
fn anchors_key_in_a_card_is_refused() {
    // certval accepts a target whose key is an anchor's without policy and revocation checks.
    let root = Ca::root("Root");
    let key = KeyPair::generate().unwrap();
    let own_key = KeyPair::try_from(key.serialize_der()).unwrap();
    let second = {
        let params = ca_params("Second root");
        params.self_signed(&key).unwrap().der().to_vec()
    };
    let ca = root.sub("CA");
    let card = ca.issue_for(Draft::card("A"), own_key).der;
    let mut material = material(&[&root], &[&ca], Profiles::default(), false);
    let mut anchor = material.anchors[0].clone();
    anchor.certificate_der = second;
    material.anchors.push(anchor);
    let judge = Judge::new(material, CrlLimits::default(), &[]).unwrap();
    judge.load_crl(&root.crl(1), NOW).unwrap();
    judge.load_crl(&ca.crl(1), NOW).unwrap();
    assert_eq!(code(&judge, &card, NOW), "target_is_anchor");
}

#[test]
fn anchors_that_are_no_roots_are_refused() {
    let root = Ca::root("Root");
    let ca = root.sub("CA");
    let refused = |der: Vec<u8>| {
        let mut material = material(&[&root], &[], Profiles::default(), false);
        material.anchors[0].certificate_der = der;
        Judge::new(material, CrlLimits::default(), &[]).err().expect("a refusal").to_string()
    };
    assert!(refused(ca.der.clone()).contains("subject and issuer differ"));
    assert!(refused(ca.card().der).contains("does not say CA"));
    let mut damaged = root.der.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    assert!(refused(damaged).contains("not one of its own key"));
    assert!(refused(vec![0x30, 0x00]).contains("not well formed"));
}

#[test]
fn unknown_issuer_and_wrong_signature_are_told_apart() {
    let world = World::new();
    let stranger = Ca::root("Stranger");
    let card = stranger.issue(Draft::card("A")).der;
    assert_eq!(code(&world.judge, &card, NOW), "issuer_unknown");
    let mut damaged = world.ca.card().der;
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    assert_eq!(code(&world.judge, &damaged, NOW), "signature_invalid");
    let impostor = world.ca.impostor().card().der;
    assert_eq!(code(&world.judge, &impostor, NOW), "issuer_unknown");
}

#[test]
fn path_is_found_whatever_the_order_of_what_is_offered() {
    let root = Ca::root("Root");
    let a = root.sub("A");
    let b = a.sub("B");
    let c = b.sub("C");
    let card = c.card().der;
    let lists = [root.crl(1), a.crl(1), b.crl(1), c.crl(1)];
    let orders: [[&Ca; 3]; 6] =
        [[&a, &b, &c], [&a, &c, &b], [&b, &a, &c], [&b, &c, &a], [&c, &a, &b], [&c, &b, &a]];
    for order in orders {
        assert_eq!(code(&judge_of(&[&root], &order, &lists), &card, NOW), "good");
    }
}

#[test]
fn longest_path_is_accepted_and_one_more_is_refused() {
    let root = Ca::root("Root");
    let mut cas = vec![root.sub("CA 0")];
    for depth in 1..8 {
        let next = cas[depth - 1].sub(&format!("CA {depth}"));
        cas.push(next);
    }
    let all: Vec<&Ca> = cas.iter().collect();
    let lists: Vec<_> = all.iter().map(|ca| ca.crl(1)).chain([root.crl(1)]).collect();
    let judge = judge_of(&[&root], &all, &lists);
    assert_eq!(code(&judge, &cas[6].card().der, NOW), "good", "7 CAs and the card are 8");
    assert_eq!(code(&judge, &cas[7].card().der, NOW), "path_too_long");
}

#[test]
fn expired_cross_certificate_does_not_hide_the_good_one() {
    let root = Ca::root("Root");
    let key = KeyPair::generate().unwrap();
    let copy = KeyPair::try_from(key.serialize_der()).unwrap();
    let mut params = ca_params("CA");
    params.custom_extensions.push(policies(&[HPKI_AUTHENTICATION_POLICY]));
    let mut old = params.clone();
    (old.not_before, old.not_after) = (date(earlier(20 * DAY)), date(earlier(DAY)));
    let old = root.sub_with(old, key);
    let new = root.sub_with(params, copy);
    let lists = [root.crl(1), new.crl(1)];
    let card = new.card().der;
    assert_eq!(code(&judge_of(&[&root], &[&old, &new], &lists), &card, NOW), "good");
    assert_eq!(code(&judge_of(&[&root], &[&old], &lists), &card, NOW), "ca_expired");
}

#[test]
fn refusal_is_forgotten_when_a_list_comes() {
    let root = Ca::root("Root");
    let ca = root.sub("CA");
    let judge = judge_of(&[&root], &[&ca], &[root.crl(1)]);
    let card = ca.card().der;
    assert_eq!(code(&judge, &card, NOW), "crl_missing");
    assert_eq!(code(&judge, &card, NOW), "crl_missing");
    judge.load_crl(&ca.crl(1), NOW).unwrap();
    assert_eq!(code(&judge, &card, NOW), "good");
}

#[test]
fn refusal_that_time_heals_is_not_remembered() {
    let world = World::new();
    let leaf = world.ca.issue(Draft::card("A").valid(later(60), later(DAY))).der;
    assert_eq!(code(&world.judge, &leaf, NOW), "certificate_not_yet_valid");
    assert_eq!(code(&world.judge, &leaf, later(60)), "good");
    assert_eq!(code(&world.judge, &leaf, later(DAY + 1)), "certificate_expired");
    assert_eq!(
        code(&world.judge, &leaf, later(60)),
        "good",
        "what was found says nothing of before"
    );
}
