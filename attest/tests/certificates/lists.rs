//! Revocation lists: what is accepted, what is believed, for how long.

use crate::pki::Ca;
use crate::pki::DAY;
use crate::pki::NOW;
use crate::pki::RawCrl;
use crate::pki::World;
use crate::pki::crl_params;
use crate::pki::date;
use crate::pki::earlier;
use crate::pki::later;
use crate::pki::material;
use crate::pki::raw_entry;
use crate::pki::raw_extension;
use attest::clock::UnixSeconds;
use attest::judge::Judge;
use attest::judge::Profiles;
use attest::revocation::CrlLimits;
use attest::revocation::SignedCrl;
use proptest::prelude::*;
use rcgen::CrlDistributionPoint;
use rcgen::CrlIssuingDistributionPoint;
use rcgen::CrlScope;

fn refused(world: &World, crl: &[u8]) -> &'static str {
    let before = world.judge.crl_status(NOW);
    let code = world.judge.load_crl(crl, NOW).map_or_else(|refusal| refusal.code(), |_| "accepted");
    if code != "accepted" {
        assert_eq!(world.judge.crl_status(NOW), before, "a refused list changes nothing");
    }
    code
}

#[test]
fn list_with_a_lower_number_is_refused() {
    let world = World::new();
    assert_eq!(refused(&world, &world.ca.crl(5)), "accepted");
    assert_eq!(refused(&world, &world.ca.crl(4)), "crl_went_back");
    assert_eq!(refused(&world, &world.ca.crl(255)), "accepted");
    assert_eq!(refused(&world, &world.ca.crl(256)), "accepted");
    assert_eq!(refused(&world, &world.ca.crl(255)), "crl_went_back");
}

#[test]
fn same_number_with_other_content_is_refused() {
    let world = World::new();
    let revoking = world.ca.crl_revoking(7, &[1]);
    assert_eq!(refused(&world, &revoking), "accepted");
    assert_eq!(refused(&world, &world.ca.crl_revoking(7, &[])), "crl_number_reused");
    assert!(!world.judge.load_crl(&revoking, NOW).unwrap().is_new);
}

#[test]
fn higher_number_with_an_earlier_time_is_refused() {
    let world = World::new();
    let mut params = crl_params(9);
    params.this_update = date(earlier(2 * DAY));
    assert_eq!(refused(&world, &world.ca.crl_with(params)), "crl_went_back");
}

#[test]
fn floors_hold_over_a_restart() {
    let world = World::new();
    let newest = world.ca.crl(9);
    world.judge.load_crl(&newest, NOW).unwrap();
    let kept = serde_json::to_string(&world.judge.crl_floors()).unwrap();
    let floors: Vec<_> = serde_json::from_str(&kept).unwrap();
    let material = material(&[&world.root], &[&world.ca], Profiles::default(), false);
    let judge = Judge::new(material, CrlLimits::default(), &floors).unwrap();
    assert_eq!(judge.load_crl(&world.ca.crl(8), NOW).unwrap_err().code(), "crl_went_back");
    assert!(judge.crl_status(NOW).is_empty(), "a floor is no list");
    assert!(judge.load_crl(&newest, NOW).unwrap().is_new);
    assert_eq!(judge.crl_floors(), floors);
}

#[test]
fn damaged_floors_are_no_floors() {
    let world = World::new();
    let mut floors = world.judge.crl_floors();
    floors[0].number = "zz".to_owned();
    let material = material(&[&world.root], &[&world.ca], Profiles::default(), false);
    assert!(Judge::new(material, CrlLimits::default(), &floors).is_err());
}

#[test]
fn list_from_the_future_is_refused_to_the_second() {
    let world = World::new();
    let at = |this_update, number| {
        let mut params = crl_params(number);
        params.this_update = date(this_update);
        world.ca.crl_with(params)
    };
    assert_eq!(refused(&world, &at(later(1), 2)), "crl_future");
    assert_eq!(refused(&world, &at(NOW, 3)), "accepted");
}

#[test]
fn list_that_ends_before_it_begins_is_refused() {
    let world = World::new();
    let raw = RawCrl { next_update: Some(earlier(3600)), ..RawCrl::of(&world.ca) };
    assert_eq!(refused(&world, &raw.sign(&world.ca)), "crl_period");
}

#[test]
fn list_that_breaks_the_profile_is_refused() {
    let world = World::new();
    let refused = |change: fn(&mut RawCrl)| {
        let mut raw = RawCrl::of(&world.ca);
        change(&mut raw);
        refused(&world, &raw.sign(&world.ca))
    };
    assert_eq!(refused(|raw| raw.next_update = None), "crl_malformed");
    assert_eq!(refused(|raw| raw.extensions.clear()), "crl_malformed");
    assert_eq!(refused(|raw| raw.version = vec![0x02, 0x01, 0x00]), "crl_malformed");
    assert_eq!(refused(|raw| raw.version = vec![]), "crl_malformed");
    assert_eq!(refused(|raw| raw.extensions.push(RawCrl::number(9))), "crl_malformed", "twice");
    assert_eq!(refused(|raw| raw.extensions = vec![RawCrl::critical_number()]), "crl_malformed");
    let with_unknown = |raw: &mut RawCrl| {
        raw.extensions.push(raw_extension(&[0x2a, 0x03, 0x04], true, &[0x05, 0x00]));
    };
    assert_eq!(refused(with_unknown), "crl_malformed", "critical and unknown");
    let entry = |raw: &mut RawCrl| {
        let unknown = raw_extension(&[0x2a, 0x03, 0x04], true, &[0x05, 0x00]);
        raw.entries.push(raw_entry(5, &[unknown]));
    };
    assert_eq!(refused(entry), "crl_malformed", "critical and unknown in an entry");
    assert_eq!(refused(|raw| raw.entries.push(raw_entry(5, &[]))), "accepted");
}

#[test]
fn c7_delta_list_alone_says_nothing_and_its_complete_list_is_needed() {
    let root = Ca::root("Root");
    let ca = root.sub("CA");
    let material = material(&[&root], &[&ca], Profiles::default(), false);
    let judge = Judge::new(material, CrlLimits::default(), &[]).unwrap();
    judge.load_crl(&root.crl(1), NOW).unwrap();
    let card = ca.card();
    let code =
        || judge.judge_leaf(&card.der, NOW).map_or_else(|refusal| refusal.code(), |_| "good");
    let delta = |number, entries: Vec<Vec<u8>>| {
        let mut raw = RawCrl { entries, ..RawCrl::of(&ca) };
        raw.extensions =
            vec![RawCrl::number(number), raw_extension(&[0x55, 0x1d, 27], true, &[2, 1, 1])];
        raw.sign(&ca)
    };
    judge.load_crl(&delta(2, vec![]), NOW).unwrap();
    assert_eq!(code(), "crl_out_of_scope");
    judge.load_crl(&ca.crl(1), NOW).unwrap();
    assert_eq!(code(), "good");
    judge.load_crl(&delta(3, vec![raw_entry(card.serial, &[])]), NOW).unwrap();
    assert_eq!(code(), "certificate_revoked", "only the delta list says so");
}

#[test]
fn list_that_points_to_deltas_is_not_enough_without_one() {
    let root = Ca::root("Root");
    let ca = root.sub("CA");
    let material = material(&[&root], &[&ca], Profiles::default(), false);
    let judge = Judge::new(material, CrlLimits::default(), &[]).unwrap();
    judge.load_crl(&root.crl(1), NOW).unwrap();
    let mut raw = RawCrl::of(&ca);
    raw.extensions.push(raw_extension(&[0x55, 0x1d, 46], false, &[0x30, 0x00]));
    judge.load_crl(&raw.sign(&ca), NOW).unwrap();
    assert_eq!(judge.judge_leaf(&ca.card().der, NOW).unwrap_err().code(), "crl_delta_missing");
}

#[test]
fn reason_remove_from_crl_in_a_complete_list_still_revokes() {
    let world = World::new();
    let card = world.ca.card();
    let remove = raw_extension(&[0x55, 0x1d, 21], false, &[0x0a, 1, 8]);
    let mut raw =
        RawCrl { entries: vec![raw_entry(card.serial, &[remove])], ..RawCrl::of(&world.ca) };
    raw.extensions = vec![RawCrl::number(2)];
    world.judge.load_crl(&raw.sign(&world.ca), NOW).unwrap();
    assert_eq!(world.judge.judge_leaf(&card.der, NOW).unwrap_err().code(), "certificate_revoked");
}

#[test]
fn size_limit_holds_to_the_octet() {
    let world = World::new();
    let crl = world.ca.crl(2);
    assert!(SignedCrl::parse(&crl, crl.len()).is_ok());
    assert!(SignedCrl::parse(&crl, crl.len() - 1).is_err());
}

#[test]
fn count_limit_holds() {
    let root = Ca::root("Root");
    let cas = [root.sub("CA 1"), root.sub("CA 2")];
    let limits = CrlLimits { max_lists: 2, ..CrlLimits::default() };
    let material = material(&[&root], &[&cas[0], &cas[1]], Profiles::default(), false);
    let judge = Judge::new(material, limits, &[]).unwrap();
    judge.load_crl(&root.crl(1), NOW).unwrap();
    judge.load_crl(&cas[0].crl(1), NOW).unwrap();
    assert_eq!(judge.load_crl(&cas[1].crl(1), NOW).unwrap_err().code(), "crl_too_many");
    assert!(judge.load_crl(&cas[0].crl(2), NOW).is_ok(), "a newer one of the same scope has room");
}

#[test]
fn list_too_old_is_stale_before_its_next_update() {
    let world = World::new();
    let limits = CrlLimits { max_age_seconds: 2 * DAY, ..CrlLimits::default() };
    let material = material(&[&world.root], &[&world.ca], Profiles::default(), false);
    let judge = Judge::new(material, limits, &[]).unwrap();
    judge.load_crl(&world.root.crl(1), NOW).unwrap();
    judge.load_crl(&world.ca.crl(1), NOW).unwrap();
    let card = world.ca.card().der;
    let last = later(2 * DAY - 3600);
    assert!(judge.judge_leaf(&card, last).is_ok());
    assert_eq!(judge.judge_leaf(&card, later(2 * DAY - 3599)).unwrap_err().code(), "crl_stale");
    assert!(judge.crl_status(later(2 * DAY - 3599)).iter().all(|list| list.is_stale));
}

#[test]
fn alarm_comes_before_a_list_is_stale() {
    let world = World::new();
    let alarm_at = later(4 * DAY - CrlLimits::default().alarm_before_seconds);
    let alarms =
        |at| world.judge.crl_status(at).iter().map(|list| list.is_alarm).collect::<Vec<_>>();
    assert_eq!(alarms(UnixSeconds(alarm_at.0 - 1)), [false, false]);
    assert_eq!(alarms(alarm_at), [true, true]);
    assert!(world.judge.crl_status(alarm_at).iter().all(|list| !list.is_stale));
    assert!(world.judge.judge_leaf(&world.ca.card().der, alarm_at).is_ok());
}

#[test]
fn list_for_cas_only_says_nothing_of_cards() {
    let partial = |scope| {
        let mut params = crl_params(2);
        let uri = "http://crl.example/ca.crl".to_owned();
        params.issuing_distribution_point = Some(CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint { uris: vec![uri] },
            scope,
        });
        params
    };
    let root = Ca::root("Root");
    let ca = root.sub("CA");
    let judge_with = |crl: &[u8]| {
        let material = material(&[&root], &[&ca], Profiles::default(), false);
        let judge = Judge::new(material, CrlLimits::default(), &[]).unwrap();
        judge.load_crl(&root.crl(1), NOW).unwrap();
        judge.load_crl(crl, NOW).unwrap();
        judge
    };
    let mut draft = crate::pki::Draft::card("A");
    draft.params.crl_distribution_points =
        vec![CrlDistributionPoint { uris: vec!["http://crl.example/ca.crl".to_owned()] }];
    let card = ca.issue(draft).der;
    let code = |judge: &Judge, card: &[u8]| {
        judge.judge_leaf(card, NOW).map_or_else(|refusal| refusal.code(), |_| "good")
    };
    let for_users = judge_with(&ca.crl_with(partial(Some(CrlScope::UserCertsOnly))));
    assert_eq!(code(&for_users, &card), "good");
    assert_eq!(code(&for_users, &ca.card().der), "crl_out_of_scope", "no distribution point");
    let for_cas = judge_with(&ca.crl_with(partial(Some(CrlScope::CaCertsOnly))));
    assert_eq!(code(&for_cas, &card), "crl_out_of_scope");
}

#[test]
fn list_is_named_with_what_operators_need() {
    let world = World::new();
    let status = world.judge.crl_status(NOW);
    let ca = status.iter().find(|list| list.issuer == "CN=CA,C=JP").unwrap();
    assert_eq!((ca.number.as_str(), ca.age_seconds, ca.remaining_seconds), ("01", 3600, 4 * DAY));
    assert!(!ca.is_partial && !ca.is_delta && !ca.is_stale && !ca.is_alarm);
    assert_eq!(ca.entries, 0);
}

proptest! {
    #[test]
    fn arbitrary_octets_as_a_list_do_not_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = SignedCrl::parse(&octets, 1 << 20);
    }
}

#[test]
fn damaged_list_is_never_believed() {
    let world = World::new();
    let whole = world.ca.crl_revoking(2, &[1, 2, 3]);
    for index in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[index] ^= 0x01;
        assert!(world.judge.load_crl(&damaged, NOW).is_err(), "octet {index}");
    }
    for end in 0..whole.len() {
        assert!(world.judge.load_crl(&whole[..end], NOW).is_err(), "{end} octets");
    }
    assert!(world.judge.load_crl(&whole, NOW).is_ok());
}
