//! Validity of My Number cards' certificates by lists: three generations of one name, lists partitioned by directory names.

use crate::pki::Ca;
use crate::pki::DAY;
use crate::pki::Draft;
use crate::pki::Leaf;
use crate::pki::NOW;
use crate::pki::RawCrl;
use crate::pki::earlier;
use crate::pki::extension;
use crate::pki::later;
use crate::pki::material;
use crate::pki::raw_entry;
use crate::pki::raw_extension;
use crate::pki::tlv;
use attest::clock::UnixSeconds;
use attest::judge::Judge;
use attest::judge::Profiles;
use attest::path::Certificate;
use attest::revocation::CrlLimits;
use attest::revocation::RevocationReason;
use attest::validity::CertificateId;
use attest::validity::CrlValidity;
use attest::validity::JpkiValidity;
use attest::validity::NoProvider;
use attest::validity::Validity;
use attest::validity::ValidityError;
use std::sync::Arc;

/// Generations of a CA under one name, and whoever answers by their lists.
struct Generations {
    cas: Vec<Ca>,
    judge: Arc<Judge>,
}

impl Generations {
    fn new() -> Self {
        let first = Ca::root("JPKI for user authentication");
        let cas = vec![first.impostor(), first.impostor(), first];
        let roots: Vec<&Ca> = cas.iter().collect();
        let material = material(&roots, &[], Profiles::default(), false);
        let judge = Arc::new(Judge::new(material, CrlLimits::default(), &[]).unwrap());
        Self { cas, judge }
    }

    async fn check(&self, leaf: &Leaf, issuer: &Ca, now: UnixSeconds) -> String {
        let answer = ask(&CrlValidity::new(self.judge.clone()), leaf, issuer, now).await;
        match answer {
            Ok(Validity::Good { until, predecessor: None }) => {
                format!("good for {} days", now.seconds_until(until) / DAY)
            }
            Ok(other) => format!("{other:?}"),
            Err(error) => error.code().to_owned(),
        }
    }
}

async fn ask(
    provider: &dyn JpkiValidity,
    leaf: &Leaf,
    issuer: &Ca,
    now: UnixSeconds,
) -> Result<Validity, ValidityError> {
    let parse = |der: &[u8]| Certificate::from_der(der).unwrap();
    provider.check(&parse(&leaf.der), &parse(&issuer.der), now).await
}

/// `CN=City-1 CRLDP`, as the only name of a distribution point.
fn point(city: &str) -> Vec<u8> {
    let value = tlv(0x0c, format!("{city} CRLDP").as_bytes());
    let attribute = tlv(0x30, &[vec![6, 3, 0x55, 4, 3], value].concat());
    let name = tlv(0x30, &tlv(0x31, &attribute));
    tlv(0xa0, &tlv(0xa0, &tlv(0xa4, &name)))
}

fn card_of(ca: &Ca, city: &str) -> Leaf {
    let mut draft = Draft::card("997794E9AGCIEG13221003A");
    let points = extension(&[2, 5, 29, 31], tlv(0x30, &tlv(0x30, &point(city))), false);
    draft.params.custom_extensions.push(points);
    ca.issue(draft)
}

fn list_of(ca: &Ca, city: &str, entries: Vec<Vec<u8>>) -> Vec<u8> {
    let mut raw = RawCrl { entries, ..RawCrl::of(ca) };
    raw.extensions.push(raw_extension(&[0x55, 0x1d, 28], true, &tlv(0x30, &point(city))));
    raw.sign(ca)
}

#[tokio::test]
async fn list_of_the_generation_that_signed_is_the_one_that_speaks() {
    let world = Generations::new();
    let [first, second, third] = [&world.cas[0], &world.cas[1], &world.cas[2]];
    let card = second.card();
    assert_eq!(world.check(&card, second, NOW).await, "validity_unavailable", "no list at all");
    world.judge.load_crl(&first.crl(1), NOW).unwrap();
    world.judge.load_crl(&third.crl_revoking(1, &[card.serial]), NOW).unwrap();
    assert_eq!(world.check(&card, second, NOW).await, "validity_unusable", "others' lists");
    world.judge.load_crl(&second.crl(1), NOW).unwrap();
    assert_eq!(world.check(&card, second, NOW).await, "good for 4 days");
    world.judge.load_crl(&second.crl_revoking(2, &[card.serial]), NOW).unwrap();
    let answer = ask(&CrlValidity::new(world.judge.clone()), &card, second, NOW).await;
    let (at, reason) = (earlier(7200), RevocationReason::KeyCompromise);
    assert_eq!(answer, Ok(Validity::Revoked { at, reason }));
}

#[tokio::test]
async fn list_past_its_end_makes_nothing_good() {
    let world = Generations::new();
    let card = world.cas[0].card();
    world.judge.load_crl(&world.cas[0].crl(1), NOW).unwrap();
    let end = later(4 * DAY);
    assert_eq!(world.check(&card, &world.cas[0], end).await, "good for 0 days");
    let after = UnixSeconds(end.0 + 1);
    assert_eq!(world.check(&card, &world.cas[0], after).await, "validity_unavailable");
}

#[tokio::test]
async fn list_of_another_city_says_nothing_of_a_card() {
    let world = Generations::new();
    let ca = &world.cas[0];
    let (card, neighbour) = (card_of(ca, "City-1"), card_of(ca, "City-2"));
    world.judge.load_crl(&list_of(ca, "City-2", vec![]), NOW).unwrap();
    assert_eq!(world.check(&card, ca, NOW).await, "validity_unusable");
    assert_eq!(world.check(&neighbour, ca, NOW).await, "good for 4 days");
    world.judge.load_crl(&list_of(ca, "City-1", vec![]), NOW).unwrap();
    assert_eq!(world.check(&card, ca, NOW).await, "good for 4 days");
}

#[tokio::test]
async fn card_in_the_list_of_its_city_is_revoked() {
    let world = Generations::new();
    let ca = &world.cas[0];
    let card = card_of(ca, "City-1");
    let list = list_of(ca, "City-1", vec![raw_entry(card.serial, &[])]);
    world.judge.load_crl(&list, NOW).unwrap();
    let said = world.check(&card, ca, NOW).await;
    assert!(said.starts_with("Revoked"), "{said}");
}

#[tokio::test]
async fn without_a_provider_no_card_is_good() {
    let world = Generations::new();
    let card = world.cas[0].card();
    let refused = ask(&NoProvider, &card, &world.cas[0], NOW).await;
    assert_eq!(refused, Err(ValidityError::NoProvider));
}

#[tokio::test]
async fn lists_are_there_for_a_generation_while_one_of_its_own_is_current() {
    let world = Generations::new();
    let [ca, other] = [&world.cas[0], &world.cas[1]];
    let provider = CrlValidity::new(world.judge.clone());
    let probe = async |now| provider.probe(&Certificate::from_der(&ca.der).unwrap(), now).await;
    world.judge.load_crl(&other.crl(1), NOW).unwrap();
    assert!(matches!(probe(NOW).await, Err(ValidityError::Unavailable { .. })));
    world.judge.load_crl(&list_of(ca, "City-1", vec![]), NOW).unwrap();
    assert_eq!(probe(NOW).await, Ok(()), "a part does");
    assert_eq!(probe(later(4 * DAY)).await, Ok(()));
    assert!(probe(later(4 * DAY + 1)).await.is_err());
}

#[test]
fn certificates_of_two_generations_with_one_number_are_told_apart() {
    let world = Generations::new();
    let id = |ca: &Ca| {
        let mut draft = Draft::card("one");
        draft.params.serial_number = Some(rcgen::SerialNumber::from(0x0133_C349_u64));
        let leaf = ca.issue(draft);
        let parse = |der: &[u8]| Certificate::from_der(der).unwrap();
        CertificateId::of(&parse(&leaf.der), &parse(&ca.der))
    };
    let (first, second) = (id(&world.cas[0]), id(&world.cas[1]));
    assert_eq!(first.serial, [0x01, 0x33, 0xC3, 0x49]);
    assert_eq!(first.serial, second.serial);
    assert_ne!(first, second);
}

#[test]
fn certificate_id_is_read_from_the_one_way_to_write_it() {
    let key = "0a".repeat(32);
    let read = |serial: &str| CertificateId::from_hex(&key, serial).map(|id| id.serial);
    assert_eq!(read("0133c349"), Some(vec![0x01, 0x33, 0xC3, 0x49]));
    assert_eq!(read("0080"), Some(vec![0, 0x80]), "the sign needs its octet");
    let longest = format!("7f{}", "ff".repeat(19));
    assert!(read(&longest).is_some() && read(&format!("00{}", "ff".repeat(20))).is_some());
    assert!(
        read(&format!("{longest}ff")).is_none()
            && read(&format!("00{}", "ff".repeat(21))).is_none()
    );
    for wrong in ["", "00", "0001", "80", "1", "0133C349", "0x01", "01 "] {
        assert_eq!(read(wrong), None, "{wrong:?}");
    }
    for wrong in ["", &key[2..], &"0A".repeat(32), &"0a".repeat(33)] {
        assert_eq!(CertificateId::from_hex(wrong, "01"), None, "{wrong:?}");
    }
}
