//! The login profile and the one for second certificates: each rule kept, and each broken alone.

use crate::pki::DAY;
use crate::pki::Draft;
use crate::pki::NOW;
use crate::pki::World;
use crate::pki::doctor;
use crate::pki::role;
use attest::judge::CertificateRefusal;
use attest::judge::ExtendedKeyUsageRule;
use attest::judge::HPKI_AUTHENTICATION_POLICY;
use attest::judge::HPKI_SIGNATURE_POLICY;
use attest::judge::HPKI_TEST_POLICY;
use attest::judge::HcRoleRule;
use attest::judge::HcRoleSource;
use attest::judge::HpkiLoginProfile;
use attest::judge::LoginKeyUsage;
use attest::judge::PolicyOid;
use attest::judge::Profiles;
use attest::path::Certificate;
use const_oid::ObjectIdentifier;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::KeyUsagePurpose;

fn code(world: &World, draft: Draft) -> &'static str {
    let leaf = world.ca.issue(draft);
    world.judge.judge_leaf(&leaf.der, NOW).map_or_else(|refusal| refusal.code(), |_| "good")
}

fn card() -> Draft {
    Draft::card("Sanjushi Kagurazaka")
}

fn with_card(change: impl FnOnce(&mut HpkiLoginProfile)) -> World {
    let mut profiles = Profiles::default();
    change(&mut profiles.card);
    World::with(profiles, false)
}

#[test]
fn card_of_the_default_profile_is_good() {
    let world = World::new();
    let leaf = world.ca.card();
    let identity = world.judge.judge_leaf(&leaf.der, NOW).unwrap();
    assert_eq!(identity.subject, "CN=Sanjushi Kagurazaka,C=JP");
    assert!(identity.roles.iter().any(|role| role.is("Medical Doctor")));
    assert_eq!(identity.not_after.0, NOW.0 + 365 * DAY);
    assert_eq!(identity.good_until.0, NOW.0 + 4 * DAY, "the lists end first");
    assert!(!identity.is_test_card);
}

#[test]
fn c5_other_policy_is_refused_and_named() {
    let world = World::new();
    let other = ObjectIdentifier::new_unwrap("1.2.392.100495.1.5.1.2.3.2");
    for policies in [&[HPKI_SIGNATURE_POLICY][..], &[other], &[]] {
        let draft = card().with_policies(policies);
        let leaf = world.ca.issue(draft);
        let refusal = world.judge.judge_leaf(&leaf.der, NOW).unwrap_err();
        assert!(["policy", "extension_malformed"].contains(&refusal.code()), "{refusal}");
        if let Some(policy) = policies.first() {
            assert!(refusal.to_string().contains(&policy.to_string()), "{refusal}");
        }
    }
    assert_eq!(code(&world, card().with_policies(&[other, HPKI_AUTHENTICATION_POLICY])), "good");
}

#[test]
fn any_policy_in_a_card_is_no_policy() {
    let any = ObjectIdentifier::new_unwrap("2.5.29.32.0");
    assert_eq!(code(&World::new(), card().with_policies(&[any])), "policy");
}

#[test]
fn test_policy_is_refused_by_name_even_beside_the_real_one() {
    let world = World::new();
    let both = || card().with_policies(&[HPKI_AUTHENTICATION_POLICY, HPKI_TEST_POLICY]);
    assert_eq!(code(&world, both()), "test_card");
    assert_eq!(code(&world, card().with_policies(&[HPKI_TEST_POLICY])), "test_card");
    let trial = World::with(Profiles::default(), true);
    assert_eq!(code(&trial, both()), "good");
    assert_eq!(code(&trial, card().with_policies(&[HPKI_TEST_POLICY])), "good");
}

#[test]
fn test_mode_relaxes_nothing_but_the_policy_tree() {
    let world = World::with(Profiles::default(), true);
    let test_card = || card().with_policies(&[HPKI_TEST_POLICY]);
    let usage = test_card().with_key_usages(&[KeyUsagePurpose::ContentCommitment]);
    assert_eq!(code(&world, usage), "key_usage");
    let expired = test_card().valid(crate::pki::earlier(2 * DAY), crate::pki::earlier(DAY));
    assert_eq!(code(&world, expired), "certificate_expired");
    let revoked = world.ca.issue(test_card());
    world.judge.load_crl(&world.ca.crl_revoking(2, &[revoked.serial]), NOW).unwrap();
    let refusal = world.judge.judge_leaf(&revoked.der, NOW).unwrap_err();
    assert_eq!(refusal.code(), "certificate_revoked");
    let signature = ObjectIdentifier::new_unwrap("1.2.392.100495.1.5.1.1.3.1");
    assert_eq!(code(&world, card().with_policies(&[signature])), "policy");
}

#[test]
fn key_usage_is_by_profile() {
    use KeyUsagePurpose::ContentCommitment;
    use KeyUsagePurpose::DigitalSignature;
    use KeyUsagePurpose::KeyEncipherment;
    let worlds = [
        (LoginKeyUsage::DigitalSignature, ["good", "key_usage", "good", "key_usage", "key_usage"]),
        (LoginKeyUsage::NonRepudiation, ["key_usage", "good", "good", "key_usage", "key_usage"]),
        (LoginKeyUsage::Either, ["good", "good", "good", "key_usage", "key_usage"]),
    ];
    let usages: [&[KeyUsagePurpose]; 5] = [
        &[DigitalSignature],
        &[ContentCommitment],
        &[DigitalSignature, ContentCommitment],
        &[KeyEncipherment],
        &[],
    ];
    for (rule, expected) in worlds {
        let world = with_card(|profile| profile.key_usage = rule);
        let found = usages.map(|usages| code(&world, card().with_key_usages(usages)));
        assert_eq!(found, expected, "{rule:?}");
    }
}

#[test]
fn c6_extended_key_usage_is_by_profile() {
    use ExtendedKeyUsagePurpose::Any;
    use ExtendedKeyUsagePurpose::ClientAuth;
    use ExtendedKeyUsagePurpose::EmailProtection;
    const NO: &str = "extended_key_usage";
    let rules = [
        (ExtendedKeyUsageRule::ClientAuthIfPresent, ["good", "good", NO, NO]),
        (ExtendedKeyUsageRule::ClientAuth, [NO, "good", NO, NO]),
        (ExtendedKeyUsageRule::Ignored, ["good", "good", "good", "good"]),
    ];
    let usages: [&[ExtendedKeyUsagePurpose]; 4] =
        [&[], &[EmailProtection, ClientAuth], &[EmailProtection], &[Any]];
    for (rule, expected) in rules {
        let world = with_card(|profile| profile.extended_key_usage = rule);
        let found = usages.map(|usages| code(&world, card().with_extended(usages)));
        assert_eq!(found, expected, "{rule:?}");
    }
}

#[test]
fn role_in_the_card_is_asked_for_where_the_profile_says_card() {
    let world = with_card(|profile| profile.hc_role.source = HcRoleSource::Card);
    assert_eq!(code(&world, card()), "good");
    assert_eq!(code(&world, card().with_roles(vec![])), "hc_role_missing");
    assert_eq!(code(&world, card().with_roles(vec![role("medical doctor")])), "hc_role_missing");
    assert_eq!(code(&world, card().with_roles(vec![role("Janitor")])), "hc_role_missing");
    let world = with_card(|profile| {
        profile.hc_role.source = HcRoleSource::Card;
        profile.hc_role.allowed = vec!["Pharmacist".to_owned()];
    });
    assert_eq!(code(&world, card()), "hc_role_missing");
    assert_eq!(code(&world, card().with_roles(vec![role("Pharmacist")])), "good");
}

#[test]
fn unreadable_role_is_refused_whatever_the_profile_says() {
    for source in [HcRoleSource::None, HcRoleSource::Either, HcRoleSource::Card] {
        let world = with_card(|profile| profile.hc_role.source = source);
        let damaged = crate::pki::extension(&[2, 5, 29, 9], vec![0x30, 0x03, 0x02, 0x01], false);
        assert_eq!(code(&world, card().with_roles(vec![damaged])), "hc_role_malformed");
    }
}

#[test]
fn rule_for_roles_looks_where_it_says() {
    let world = World::new();
    let roles = |text: &str| {
        let leaf = world.ca.issue(card().with_roles(vec![role(text)]));
        attest::hc_role::roles_of(&Certificate::from_der(&leaf.der).unwrap()).unwrap()
    };
    let (doctor, none) = (roles("Medical Doctor"), Vec::new());
    let kept = |source| {
        let rule = HcRoleRule { source, ..HcRoleRule::default() };
        [
            rule.is_kept(&doctor, &none),
            rule.is_kept(&none, &doctor),
            rule.is_kept(&none, &none),
            rule.is_kept(&roles("Janitor"), &none),
        ]
    };
    assert_eq!(kept(HcRoleSource::Card), [true, false, false, false]);
    assert_eq!(kept(HcRoleSource::SecondCertificate), [false, true, false, false]);
    assert_eq!(kept(HcRoleSource::Either), [true, true, false, false]);
    assert_eq!(kept(HcRoleSource::None), [true, true, true, true]);
}

#[test]
fn second_certificate_is_judged_by_its_own_profile() {
    let mut profiles = Profiles::default();
    profiles.second_certificate.policy_oids = vec![PolicyOid(HPKI_AUTHENTICATION_POLICY)];
    let world = World::with(profiles, false);
    let second = || card().with_key_usages(&[KeyUsagePurpose::ContentCommitment]);
    let judge = |draft: Draft, spki: Option<Vec<u8>>| {
        let leaf = world.ca.issue(draft);
        let own = Certificate::from_der(&leaf.der).unwrap().spki_der().to_vec();
        let chain = [leaf.der, world.ca.der.clone()];
        world.judge.judge_second_certificate(&chain, &spki.unwrap_or(own), NOW)
    };
    let good = judge(second(), None).unwrap();
    assert_eq!(good.chain.len(), 2, "the certificate and its CA, not the anchor");
    assert_eq!(good.role_texts(), ["Medical Doctor"]);
    let other_key = Certificate::from_der(&world.ca.card().der).unwrap().spki_der().to_vec();
    assert_eq!(judge(second(), Some(other_key)).unwrap_err(), CertificateRefusal::OtherKey);
    assert_eq!(judge(card(), None).unwrap_err(), CertificateRefusal::KeyUsage);
    let policy = judge(second().with_policies(&[HPKI_SIGNATURE_POLICY]), None).unwrap_err();
    assert_eq!(policy.code(), "policy");
    let nothing = world.judge.judge_second_certificate(&[], &[], NOW).unwrap_err();
    assert_eq!(nothing, CertificateRefusal::NoCertificate);
}

#[test]
fn role_in_the_second_certificate_is_asked_for_where_the_profile_says_so() {
    let mut profiles = Profiles::default();
    profiles.second_certificate.policy_oids = vec![PolicyOid(HPKI_AUTHENTICATION_POLICY)];
    profiles.card.hc_role.source = HcRoleSource::SecondCertificate;
    let world = World::with(profiles, false);
    let judge = |draft: Draft| {
        let leaf = world.ca.issue(draft.with_key_usages(&[KeyUsagePurpose::ContentCommitment]));
        let spki = Certificate::from_der(&leaf.der).unwrap().spki_der().to_vec();
        world.judge.judge_second_certificate(&[leaf.der], &spki, NOW)
    };
    assert!(judge(card()).is_ok());
    assert_eq!(judge(card().with_roles(vec![])).unwrap_err().code(), "hc_role_missing");
    assert_eq!(code(&world, card().with_roles(vec![])), "good", "the card needs none");
}

#[test]
fn card_of_a_ca_is_refused() {
    let world = World::new();
    let refusal = world.judge.judge_leaf(&world.ca.der, NOW).unwrap_err();
    assert_eq!(refusal, CertificateRefusal::IsCa);
}

#[test]
fn profiles_refuse_unknown_words() {
    let default = serde_json::to_value(Profiles::default()).unwrap();
    assert_eq!(serde_json::from_value::<Profiles>(default.clone()).unwrap(), Profiles::default());
    assert_eq!(serde_json::from_str::<Profiles>("{}").unwrap(), Profiles::default());
    for wrong in [
        r#"{"crad": {}}"#,
        r#"{"card": {"policy_oid": []}}"#,
        r#"{"card": {"policy_oids": ["1.2.392.x"]}}"#,
        r#"{"card": {"key_usage": "any"}}"#,
        r#"{"card": {"hc_role": {"source": "either", "roles": []}}}"#,
    ] {
        assert!(serde_json::from_str::<Profiles>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn doctor_is_the_confirmed_name() {
    assert!(doctor().content().ends_with(b"Medical Doctor"));
}
