//! The real chains of HPKI at their own date: root, sub-CAs, published test cards and lists of September 2022.

use attest::clock::UnixSeconds;
use attest::judge::CertificateRefusal;
use attest::judge::HPKI_SIGNATURE_POLICY;
use attest::judge::HPKI_TEST_POLICY;
use attest::judge::Judge;
use attest::judge::LoginKeyUsage;
use attest::judge::Material;
use attest::judge::PolicyOid;
use attest::judge::Profiles;
use attest::path::Certificate;
use attest::path::CertvalValidator;
use attest::path::PathError;
use attest::path::PathRequest;
use attest::path::PathValidator;
use attest::path::Place;
use attest::path::PolicySettings;
use attest::path::Revocation;
use attest::path::TrustAnchor;
use attest::records::Anchor;
use attest::records::AnchorPurpose;
use attest::records::Fingerprint;
use attest::revocation::CrlFault;
use attest::revocation::CrlLimits;
use attest::revocation::CrlStore;
use std::path::PathBuf;
use std::sync::Arc;

/// 2022-09-30T12:00:00Z: every list of 28 and 29 September is current.
const AT: UnixSeconds = UnixSeconds(1_664_539_200);
const CARDS: [(&str, &[&str]); 4] = [
    ("ee-test-doctor-medis", &["Medical Doctor"]),
    ("ee-test-pharmacist-medis", &["Pharmacist"]),
    ("ee-test-jma", &["Medical Doctor"]),
    ("ee-test-jpa", &["Pharmacist"]),
];
const LISTS: [&str; 3] =
    ["sarl-root-2022-09-29", "crl-medis-sign-2022-09-28", "crl-jma-sign-2022-09-29"];

/// The folder, or nothing where the vectors are not on this machine.
fn folder() -> Option<PathBuf> {
    let root = match std::env::var_os("INKAN_VECTORS") {
        Some(root) => PathBuf::from(root),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
    };
    let folder = root.join("hpki");
    if !folder.is_dir() {
        println!("skipped: no HPKI certificates at {}", folder.display());
        return None;
    }
    Some(folder)
}

struct Hpki(PathBuf);

impl Hpki {
    fn new() -> Option<Self> {
        folder().map(Self)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn der(&self, name: &str) -> Vec<u8> {
        self.read(&format!("{name}.der"))
    }

    fn crl(&self, name: &str) -> Vec<u8> {
        self.read(&format!("{name}.crl"))
    }

    /// A judge with a profile for the test cards, which are signature cards: nonRepudiation, signature policy.
    fn judge(&self, danger_test_mode: bool, lists: &[&str]) -> Judge {
        let mut profiles = Profiles::default();
        profiles.card.policy_oids = vec![PolicyOid(HPKI_SIGNATURE_POLICY)];
        profiles.card.key_usage = LoginKeyUsage::NonRepudiation;
        let certificate_der = self.der("root-mhlw-hpki-v2");
        let anchor = |purpose| Anchor {
            fingerprint: Fingerprint::of(&certificate_der),
            purpose,
            certificate_der: certificate_der.clone(),
            added_at: AT,
        };
        let material = Material {
            anchors: vec![
                anchor(AnchorPurpose::HpkiCard),
                anchor(AnchorPurpose::SecondCertificate),
            ],
            intermediates: ["ca-medis-sign", "ca-jma-sign", "ca-medis-auth"]
                .map(|name| self.der(name))
                .to_vec(),
            profiles,
            danger_test_mode,
        };
        let judge = Judge::new(material, CrlLimits::default(), &[]).unwrap();
        for list in lists {
            judge.load_crl(&self.crl(list), AT).unwrap_or_else(|error| panic!("{list}: {error}"));
        }
        judge
    }
}

#[test]
fn real_test_cards_are_accepted_in_test_mode() {
    let Some(hpki) = Hpki::new() else { return };
    let judge = hpki.judge(true, &LISTS);
    for (card, roles) in CARDS {
        let identity =
            judge.judge_leaf(&hpki.der(card), AT).unwrap_or_else(|error| panic!("{card}: {error}"));
        assert!(identity.is_test_card);
        let found: Vec<_> = identity.roles.iter().map(|role| role.text.as_str()).collect();
        assert_eq!(found, roles, "{card}");
        assert!(identity.good_until > AT && identity.good_until.0 < AT.0 + 4 * 24 * 3600);
    }
}

#[test]
fn real_test_cards_are_refused_outside_test_mode() {
    let Some(hpki) = Hpki::new() else { return };
    let judge = hpki.judge(false, &LISTS);
    for (card, _) in CARDS {
        let refusal = judge.judge_leaf(&hpki.der(card), AT).unwrap_err();
        assert_eq!(refusal, CertificateRefusal::TestCard, "{card}");
        assert_eq!(refusal.code(), "test_card");
    }
}

#[test]
fn no_initial_policy_set_makes_a_test_card_valid() {
    // vectors/hpki/README.md: the CA carries ...1.1.3.1 and the card ...1.1.0.1, so the policy tree is empty.
    let Some(hpki) = Hpki::new() else { return };
    let parse = |name: &str| Arc::new(Certificate::from_der(&hpki.der(name)).unwrap());
    let anchors = [TrustAnchor::from_der(&hpki.der("root-mhlw-hpki-v2")).unwrap()];
    let intermediates = [parse("ca-medis-sign")];
    let mut lists = CrlStore::new(CrlLimits::default(), &[]).unwrap();
    for list in &LISTS[..2] {
        let cas = [anchors[0].certificate().as_ref(), intermediates[0].as_ref()];
        lists.accept(&hpki.crl(list), cas, AT).unwrap();
    }
    let validate = |policies: &PolicySettings| {
        CertvalValidator::new().validate(&PathRequest {
            anchors: &anchors,
            intermediates: &intermediates,
            target: &parse("ee-test-doctor-medis"),
            at: AT,
            policies,
            revocation: Revocation::Lists(&lists),
        })
    };
    for set in [
        &[HPKI_TEST_POLICY][..],
        &[HPKI_SIGNATURE_POLICY],
        &[HPKI_TEST_POLICY, HPKI_SIGNATURE_POLICY],
    ] {
        let error = validate(&PolicySettings::exactly(set)).unwrap_err();
        assert_eq!(error, PathError::Policy { asserted: HPKI_TEST_POLICY.to_string() });
    }
    // The same path without an explicit policy is valid: nothing else is wrong with it.
    let relaxed =
        PolicySettings { explicit: false, ..PolicySettings::exactly(&[HPKI_TEST_POLICY]) };
    assert!(validate(&relaxed).is_ok());
}

#[test]
fn test_mode_does_not_admit_a_ca_of_another_policy() {
    let Some(hpki) = Hpki::new() else { return };
    let judge = hpki.judge(true, &LISTS);
    let mut profiles = Profiles::default();
    profiles.card.key_usage = LoginKeyUsage::NonRepudiation;
    let certificate_der = hpki.der("root-mhlw-hpki-v2");
    judge
        .replace_material(Material {
            anchors: vec![Anchor {
                fingerprint: Fingerprint::of(&certificate_der),
                purpose: AnchorPurpose::HpkiCard,
                certificate_der,
                added_at: AT,
            }],
            intermediates: vec![hpki.der("ca-medis-sign")],
            profiles,
            danger_test_mode: true,
        })
        .unwrap();
    let refusal = judge.judge_leaf(&hpki.der("ee-test-doctor-medis"), AT).unwrap_err();
    assert_eq!(refusal.code(), "policy", "the card was issued by the signature CA: {refusal}");
}

#[test]
fn default_profile_refuses_signature_cards_even_in_test_mode() {
    let Some(hpki) = Hpki::new() else { return };
    let judge = hpki.judge(true, &LISTS);
    let mut profiles = Profiles::default();
    profiles.card.policy_oids = vec![PolicyOid(HPKI_SIGNATURE_POLICY)];
    let certificate_der = hpki.der("root-mhlw-hpki-v2");
    judge
        .replace_material(Material {
            anchors: vec![Anchor {
                fingerprint: Fingerprint::of(&certificate_der),
                purpose: AnchorPurpose::HpkiCard,
                certificate_der,
                added_at: AT,
            }],
            intermediates: vec![hpki.der("ca-medis-sign")],
            profiles,
            danger_test_mode: true,
        })
        .unwrap();
    let refusal = judge.judge_leaf(&hpki.der("ee-test-doctor-medis"), AT).unwrap_err();
    assert_eq!(refusal, CertificateRefusal::KeyUsage);
}

#[test]
fn without_the_roots_list_the_ca_is_unknown() {
    let Some(hpki) = Hpki::new() else { return };
    let judge = hpki.judge(true, &LISTS[1..]);
    let refusal = judge.judge_leaf(&hpki.der("ee-test-doctor-medis"), AT).unwrap_err();
    assert_eq!(refusal.code(), "crl_missing");
    match refusal {
        CertificateRefusal::Path(PathError::RevocationUnknown {
            place: Place::Ca(ca),
            fault: CrlFault::Missing { issuer },
        }) => {
            assert!(ca.contains("MedisSignCA2"), "{ca}");
            assert!(issuer.contains("MHLW HPKI Root CA V2"), "{issuer}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn without_the_cas_list_the_card_is_unknown() {
    let Some(hpki) = Hpki::new() else { return };
    let judge = hpki.judge(true, &[LISTS[0], LISTS[2]]);
    let refusal = judge.judge_leaf(&hpki.der("ee-test-doctor-medis"), AT).unwrap_err();
    assert!(matches!(
        refusal,
        CertificateRefusal::Path(PathError::RevocationUnknown {
            place: Place::Leaf,
            fault: CrlFault::Missing { .. }
        })
    ));
}

#[test]
fn stale_lists_are_refused_to_the_second() {
    let Some(hpki) = Hpki::new() else { return };
    let judge = hpki.judge(true, &LISTS);
    let card = hpki.der("ee-test-doctor-medis");
    let status = judge.crl_status(AT);
    let medis = status.iter().find(|list| list.issuer.contains("MedisSignCA2")).unwrap();
    assert_eq!(medis.good_until, judge.judge_leaf(&card, AT).unwrap().good_until);
    assert!(judge.judge_leaf(&card, medis.good_until).is_ok());
    let after = UnixSeconds(medis.good_until.0 + 1);
    assert_eq!(judge.judge_leaf(&card, after).unwrap_err().code(), "crl_stale");
}

#[test]
fn roots_partial_list_with_critical_distribution_point_is_used() {
    let Some(hpki) = Hpki::new() else { return };
    let judge = hpki.judge(true, &LISTS);
    let status = judge.crl_status(AT);
    let root = status.iter().find(|list| list.issuer.contains("Root CA V2")).unwrap();
    assert!(root.is_partial && !root.is_delta && !root.is_stale);
}

#[test]
fn lists_do_not_go_back() {
    let Some(hpki) = Hpki::new() else { return };
    let judge = hpki.judge(true, &LISTS);
    for (older, newer) in [
        ("crl-medis-sign-2022-09-06", "crl-medis-sign-2022-09-28"),
        ("crl-jma-sign-2022-09-05", "crl-jma-sign-2022-09-29"),
        ("sarl-root-2022-09-05", "sarl-root-2022-09-29"),
    ] {
        let refusal = judge.load_crl(&hpki.crl(older), AT).unwrap_err();
        assert_eq!(refusal.code(), "crl_went_back", "{older}: {refusal}");
        assert!(!judge.load_crl(&hpki.crl(newer), AT).unwrap().is_new, "{newer}");
    }
}

#[test]
fn older_list_is_replaced_by_the_newer() {
    let Some(hpki) = Hpki::new() else { return };
    let judge = hpki.judge(true, &[]);
    let at = UnixSeconds(1_662_638_400); // 2022-09-08T12:00:00Z
    let older = judge.load_crl(&hpki.crl("crl-medis-sign-2022-09-06"), at).unwrap();
    let newer = judge.load_crl(&hpki.crl("crl-medis-sign-2022-09-28"), AT).unwrap();
    // domain facts §1.6: CRLNumber 1470 and 1483.
    assert_eq!((older.status.number.as_str(), newer.status.number.as_str()), ("05be", "05cb"));
    assert_eq!(judge.crl_status(AT).len(), 1);
}

#[test]
fn real_lists_have_the_entries_that_openssl_counts() {
    let Some(hpki) = Hpki::new() else { return };
    let judge = hpki.judge(true, &LISTS);
    for (list, issuer) in LISTS.iter().zip(["Root CA V2", "MedisSignCA2", "HPKI_JV2"]) {
        let file = hpki.0.join(format!("{list}.crl"));
        let text = std::process::Command::new("openssl")
            .args(["crl", "-inform", "DER", "-noout", "-text", "-in"])
            .arg(file)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        let counted = text.matches("Serial Number:").count();
        let status = judge.crl_status(AT);
        let status = status.iter().find(|status| status.issuer.contains(issuer)).unwrap();
        assert_eq!(status.entries, counted, "{list}");
    }
}

#[test]
fn jpki_generations_of_one_name_are_three_anchors() {
    let Some(hpki) = Hpki::new() else { return };
    let names = ["jpki-sign-ca01", "jpki-sign-ca02", "jpki-sign-ca03"];
    let anchors: Vec<_> = names
        .iter()
        .map(|name| {
            let certificate_der = hpki.der(name);
            let fingerprint = Fingerprint::of(&certificate_der);
            let purpose = AnchorPurpose::HpkiCard;
            Anchor { fingerprint, purpose, certificate_der, added_at: AT }
        })
        .collect();
    let material = Material { anchors, ..Material::default() };
    assert!(Judge::new(material, CrlLimits::default(), &[]).is_ok());
}

#[test]
fn real_cas_are_no_anchors_and_the_root_is() {
    let Some(hpki) = Hpki::new() else { return };
    assert!(attest::path::TrustAnchor::from_der(&hpki.der("root-mhlw-hpki-v2")).is_ok());
    for name in ["ca-medis-sign", "ca-jma-sign", "ca-medis-auth", "ee-test-jma"] {
        assert!(attest::path::TrustAnchor::from_der(&hpki.der(name)).is_err(), "{name}");
    }
}

#[test]
fn subject_of_a_real_card_prints_as_openssl_prints_it() {
    let Some(hpki) = Hpki::new() else { return };
    let card = Certificate::from_der(&hpki.der("ee-test-doctor-medis")).unwrap();
    assert_eq!(
        card.subject_text(),
        "serialNumber=Test117120,CN=Sanjushi Kagurazaka,O=MEDIS UNIVERSITY HOSPITAL,C=JP"
    );
}
