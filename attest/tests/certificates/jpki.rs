//! My Number cards: which certificate of which authority is one to sign in with, but for its revocation.

use crate::pki::Ca;
use crate::pki::DAY;
use crate::pki::Draft;
use crate::pki::Leaf;
use crate::pki::NOW;
use crate::pki::ca_params;
use crate::pki::extension;
use crate::pki::later;
use crate::pki::policies;
use crate::pki::tlv;
use crate::tls::HOST;
use crate::tls::Handshake;
use crate::tls::Server;
use attest::clock::UnixSeconds;
use attest::evidence::CardEvidence;
use attest::evidence::CardKind;
use attest::evidence::Expectations;
use attest::evidence::VerifiedCard;
use attest::judge::CertificateRefusal;
use attest::judge::HPKI_AUTHENTICATION_POLICY;
use attest::judge::JPKI_TEST_ORGANIZATION;
use attest::judge::JPKI_USER_AUTHENTICATION_POLICY;
use attest::judge::Judge;
use attest::judge::Material;
use attest::judge::Profiles;
use attest::records::Anchor;
use attest::records::AnchorPurpose;
use attest::records::Fingerprint;
use attest::revocation::CrlLimits;
use const_oid::ObjectIdentifier;
use rcgen::CustomExtension;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use std::time::Duration;

/// 1.2.392.200149.8.5.1.1.20, the policy of signature certificates.
const SIGNATURE_POLICY: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.392.200149.8.5.1.1.20");

/// An authority of the organization `organization`.
fn authority(organization: &str, key: KeyPair) -> Ca {
    // A self-signed certificate of our own name: the root's parameters are taken from one that has it.
    let mut params = ca_params("for user authentication");
    params.distinguished_name.push(DnType::OrganizationName, organization);
    let root = Ca::root("maker");
    let mut made = root.sub_with(params.clone(), key);
    made.der = params.self_signed(made.key()).unwrap().der().to_vec();
    made
}

fn jpki() -> Ca {
    authority("JPKI", KeyPair::generate().unwrap())
}

/// A user-authentication certificate: a random text for a name.
fn card() -> Draft {
    let mut draft = Draft::card("997794E9AGCIEG13221003A");
    draft.params.custom_extensions = vec![policies(&[JPKI_USER_AUTHENTICATION_POLICY])];
    draft
}

/// subjectAltName with one otherName under JPKI's arc for signature certificates: `number` is the attribute.
fn signature_attribute(number: u8) -> CustomExtension {
    // 1.2.392.200149.8.5.5.<number>
    let oid = tlv(6, &[0x2a, 0x83, 0x08, 0x8c, 0x9b, 0x55, 8, 5, 5, number]);
    let value = tlv(0xa0, &tlv(0x0c, "山田 花子".as_bytes()));
    let other_name = tlv(0xa0, &[oid, value].concat());
    extension(&[2, 5, 29, 17], tlv(0x30, &other_name), false)
}

fn judge(anchors: &[(&Ca, AnchorPurpose)], profiles: Profiles, danger_test_mode: bool) -> Judge {
    let anchor = |(ca, purpose): &(&Ca, AnchorPurpose)| Anchor {
        fingerprint: Fingerprint::of(&ca.der),
        purpose: *purpose,
        certificate_der: ca.der.clone(),
        added_at: NOW,
    };
    let anchors = anchors.iter().map(anchor).collect();
    let material = Material { anchors, intermediates: Vec::new(), profiles, danger_test_mode };
    Judge::new(material, CrlLimits::default(), &[]).unwrap()
}

fn judge_of(ca: &Ca) -> Judge {
    judge(&[(ca, AnchorPurpose::JpkiCard)], Profiles::default(), false)
}

fn code_at(judge: &Judge, leaf: &Leaf, now: UnixSeconds) -> &'static str {
    judge.judge_jpki_leaf(&leaf.der, now).map_or_else(|refusal| refusal.code(), |_| "good")
}

fn code(judge: &Judge, leaf: &Leaf) -> &'static str {
    code_at(judge, leaf, NOW)
}

#[test]
fn user_authentication_certificate_is_good_without_any_list() {
    let ca = jpki();
    let leaf = ca.issue(card());
    let identity = judge_of(&ca).judge_jpki_leaf(&leaf.der, NOW).unwrap();
    assert_eq!(identity.leaf.as_der(), leaf.der);
    assert_eq!(identity.issuer.as_der(), ca.der);
    assert!(!identity.is_test_card);
}

#[test]
fn generations_of_one_name_are_told_apart_by_their_signature() {
    let generations: Vec<Ca> = (0..3).map(|_| jpki()).collect();
    let anchors: Vec<_> = generations.iter().map(|ca| (ca, AnchorPurpose::JpkiCard)).collect();
    let judge = judge(&anchors, Profiles::default(), false);
    for ca in &generations {
        let leaf = ca.issue(card());
        let identity = judge.judge_jpki_leaf(&leaf.der, NOW).unwrap();
        assert_eq!(identity.issuer.as_der(), ca.der);
    }
    let fourth = jpki().issue(card());
    assert_ne!(code(&judge, &fourth), "good", "a name alone is no authority");
}

#[test]
fn next_cards_keys_are_accepted() {
    let p384 = || KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let ca = authority("JPKI", p384());
    let leaf = ca.issue_for(card(), p384());
    assert_eq!(code(&judge_of(&ca), &leaf), "good");
}

#[test]
fn signature_certificate_is_the_wrong_one() {
    let ca = jpki();
    let judge = judge_of(&ca);
    for number in 1..=6 {
        let mut draft = card();
        draft.params.custom_extensions.push(signature_attribute(number));
        assert_eq!(code(&judge, &ca.issue(draft)), "jpki_signature_certificate", "{number}");
    }
    let mut unreadable = card();
    unreadable.params.custom_extensions.push(extension(&[2, 5, 29, 17], vec![0x30, 9], false));
    assert_eq!(code(&judge, &ca.issue(unreadable)), "jpki_signature_certificate");
    // By its policy alone, too.
    let mut by_policy = card();
    by_policy.params.custom_extensions = vec![policies(&[SIGNATURE_POLICY])];
    assert_eq!(code(&judge, &ca.issue(by_policy)), "policy");
}

#[test]
fn other_usages_and_policies_are_refused() {
    let ca = jpki();
    let judge = judge_of(&ca);
    let usage = card().with_key_usages(&[KeyUsagePurpose::ContentCommitment]);
    assert_eq!(code(&judge, &ca.issue(usage)), "key_usage");
    let extended = card().with_extended(&[ExtendedKeyUsagePurpose::ServerAuth]);
    assert_eq!(code(&judge, &ca.issue(extended)), "extended_key_usage");
    let mut hpki = card();
    hpki.params.custom_extensions = vec![policies(&[HPKI_AUTHENTICATION_POLICY])];
    assert_eq!(code(&judge, &ca.issue(hpki)), "policy");
    let mut none = card();
    none.params.custom_extensions.clear();
    assert_eq!(code(&judge, &ca.issue(none)), "policy");
}

#[test]
fn certificate_is_good_to_its_last_second() {
    let ca = jpki();
    let leaf = ca.issue(card().valid(NOW, later(DAY)));
    let judge = judge_of(&ca);
    assert_eq!(code_at(&judge, &leaf, UnixSeconds(NOW.0 - 1)), "certificate_not_yet_valid");
    assert_eq!(code_at(&judge, &leaf, NOW), "good");
    assert_eq!(code_at(&judge, &leaf, later(DAY)), "good");
    assert_eq!(code_at(&judge, &leaf, later(DAY + 1)), "certificate_expired");
}

#[test]
fn test_hierarchy_is_accepted_in_test_mode_only() {
    for name in [JPKI_TEST_ORGANIZATION, "jpki-test", " JPKI-TEST "] {
        let ca = authority(name, KeyPair::generate().unwrap());
        let leaf = ca.issue(card());
        assert_eq!(code(&judge_of(&ca), &leaf), "test_card", "{name:?}");
        let testing = judge(&[(&ca, AnchorPurpose::JpkiCard)], Profiles::default(), true);
        assert!(testing.judge_jpki_leaf(&leaf.der, NOW).unwrap().is_test_card);
    }
}

#[test]
fn anchors_serve_their_own_purpose_only() {
    let ca = jpki();
    let leaf = ca.issue(card());
    for purpose in [AnchorPurpose::HpkiCard, AnchorPurpose::SecondCertificate] {
        let judge = judge(&[(&ca, purpose)], Profiles::default(), false);
        assert_ne!(code(&judge, &leaf), "good", "{purpose:?}");
    }
    let refused = judge_of(&ca).judge_leaf(&leaf.der, NOW);
    assert!(refused.is_err(), "a My Number card is no HPKI card: {refused:?}");
}

#[test]
fn certificate_under_another_authority_is_refused() {
    let ca = jpki();
    let mut params = ca_params("sub");
    params.custom_extensions.push(policies(&[JPKI_USER_AUTHENTICATION_POLICY]));
    let sub = ca.sub_with(params, KeyPair::generate().unwrap());
    assert_ne!(code(&judge_of(&ca), &sub.issue(card())), "good");
}

#[test]
fn evidence_of_one_kind_is_judged_as_no_other() {
    let ca = jpki();
    let leaf = ca.issue(card());
    let judge = judge_of(&ca);
    let server = Server::new();
    let shown = Handshake::new(&server, vec![leaf.der.clone()], leaf.key.serialize_der()).run();
    let verified = |kind| -> VerifiedCard {
        let server_certificates = &[Fingerprint::of(&server.der)];
        let (not_before, now, max_age) = (NOW, NOW, Duration::from_secs(60));
        let host = HOST;
        let evidence = CardEvidence { kind, ..shown.clone() };
        let expected = Expectations { kind, host, server_certificates, not_before, now, max_age };
        evidence.verify(&expected).unwrap()
    };
    assert!(judge.judge_jpki(&verified(CardKind::Jpki), NOW).is_ok());
    let refused = judge.judge_jpki(&verified(CardKind::Hpki), NOW).unwrap_err();
    assert_eq!(refused, CertificateRefusal::OtherKind);
    let refused = judge.judge_card(&verified(CardKind::Jpki), NOW).unwrap_err();
    assert_eq!(refused, CertificateRefusal::OtherKind);
}
