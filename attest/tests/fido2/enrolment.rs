//! Tickets: each way not to get a phone registered, and the one way to.

use crate::world::ORIGIN;
use crate::world::World;
use crate::world::by_card;
use crate::world::handshake;
use crate::world::phone;
use attest::authenticator::Authenticator;
use attest::authenticator::EnrolledBy;
use attest::authenticator::Enroller;
use attest::clock::UnixSeconds;
use attest::danger_testing::START;
use attest::danger_testing::card;
use attest::danger_testing::holder;
use attest::evidence::Fido2Error;
use attest::evidence::RelyingParty;
use attest::factor_rules::FactorRules;
use attest::jpki::JpkiLink;
use attest::qr_link::PageSecret;
use attest::records::CardLink;
use attest::records::Fingerprint;
use attest::records::Holder;
use attest::records::Method;
use attest::sign_in::DenyReason;
use attest::ticket::CONFIRM_SECONDS;
use attest::ticket::Enrolled;
use attest::ticket::Enrols;
use attest::ticket::TICKET_SECONDS;
use attest::ticket::Ticket;
use attest::ticket::TicketOpened;
use attest::ticket::TicketState;
use attest::vault::Sealed;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

const DAY: u64 = 86_400;

#[tokio::test]
async fn card_enrols_a_phone_and_the_page_sees_it() {
    let world = World::new().await;
    let mut phone = phone();
    let (ticket, page) = world.opened("u-1", None).await;
    let new = world.register(&ticket, &mut phone, &[]).unwrap();
    world.prove(&ticket, &new).await;
    let changed = world.tickets.changed(&ticket.ticket_id);
    let next = changed.next();
    let enrolled = world.confirm(&ticket).await.unwrap();
    let Enrolled::Done { authenticator, replaced: None } = enrolled else { panic!("{enrolled:?}") };
    tokio::time::timeout(Duration::from_secs(5), next).await.unwrap();
    let seen = world.tickets.by_page(&ticket.ticket_id, &page).await.unwrap().unwrap();
    let authenticator_id = authenticator.authenticator_id.clone();
    assert_eq!(seen.state, TicketState::Done { authenticator_id });
    let stored = world.authenticators.phone_of("u-1").await.unwrap().unwrap();
    assert_eq!(stored.authenticator_id, Fingerprint::of(&phone.credential_id));
    assert_eq!(stored.enrolled_by, EnrolledBy::Factor(by_card("u-1")));
    assert_eq!((stored.terminal.as_str(), stored.enrolled_at.0), ("PC", START));
    assert_eq!(stored.aaguid, hex::encode(phone.aaguid));
    assert_eq!((stored.counter, stored.is_backup_eligible), (1, false));
}

#[tokio::test]
async fn proved_phone_is_registered_nowhere_until_the_card_is_shown_again() {
    let world = World::new().await;
    let old = world.enrol("u-1", &mut phone(), None).await;
    let (ticket, _) = world.opened("u-1", Some(old.authenticator_id.clone())).await;
    let new = world.register(&ticket, &mut phone(), &[]).unwrap();
    world.prove(&ticket, &new).await;
    assert_eq!(world.trust.load_all::<Authenticator>().await.unwrap(), slice::from_ref(&old));
    assert_eq!(world.authenticators.phone_of("u-1").await.unwrap(), Some(old.clone()));
    // Another phone comes too late, also one that was asked before.
    let other = world.register(&ticket, &mut phone(), &[]).unwrap();
    let refused = world.tickets.finish(&ticket.ticket_id, &other).await.unwrap();
    assert!(matches!(refused, Enrolled::Over));
    world.clock.set(START + 7);
    let done = world.confirm(&ticket).await.unwrap();
    let Enrolled::Done { authenticator, replaced } = done else { panic!("{done:?}") };
    assert_eq!((replaced.as_deref(), authenticator.enrolled_at.0), (Some(&old), START + 7));
    assert_eq!(authenticator.authenticator_id, *new.authenticator_id());
    assert!(matches!(world.confirm(&ticket).await.unwrap(), Enrolled::Over), "once");
}

#[tokio::test]
async fn other_factor_than_the_one_that_began_confirms_nothing() {
    let world = World::new().await;
    let (ticket, _) = world.opened("u-1", None).await;
    let new = world.register(&ticket, &mut phone(), &[]).unwrap();
    let early = world.confirm(&ticket).await.unwrap();
    assert!(matches!(early, Enrolled::Over), "no phone is proved yet");
    world.prove(&ticket, &new).await;
    let same_card_as_phone = Enroller { method: Method::Fido2, ..by_card("u-1") };
    for shown in [by_card("u-2"), same_card_as_phone] {
        let refused = world.tickets.confirm(&ticket.ticket_id, &shown, &handshake()).await.unwrap();
        assert!(matches!(refused, Enrolled::Over));
    }
    assert!(world.trust.load_all::<Authenticator>().await.unwrap().is_empty());
    assert!(matches!(world.confirm(&ticket).await.unwrap(), Enrolled::Done { .. }));
}

#[tokio::test]
async fn card_is_waited_for_three_minutes_to_the_second() {
    for (late, done) in [(CONFIRM_SECONDS - 1, true), (CONFIRM_SECONDS, false)] {
        let world = World::new().await;
        let (ticket, page) = world.opened("u-1", None).await;
        let new = world.register(&ticket, &mut phone(), &[]).unwrap();
        world.clock.set(START + TICKET_SECONDS - 1);
        world.prove(&ticket, &new).await;
        world.clock.set(START + TICKET_SECONDS - 1 + late);
        let seen = world.tickets.by_page(&ticket.ticket_id, &page).await.unwrap().unwrap();
        let now = UnixSeconds(START + TICKET_SECONDS - 1 + late);
        assert_eq!(seen.proved(now).is_some(), done);
        let outcome = world.confirm(&ticket).await.unwrap();
        assert_eq!(matches!(outcome, Enrolled::Done { .. }), done, "{outcome:?}");
    }
}

#[tokio::test]
async fn phone_denied_at_the_pc_is_not_registered() {
    let world = World::new().await;
    let (ticket, _) = world.opened("u-1", None).await;
    let new = world.register(&ticket, &mut phone(), &[]).unwrap();
    world.prove(&ticket, &new).await;
    assert!(world.tickets.deny(&ticket.ticket_id, DenyReason::ByHolder).await.unwrap());
    assert!(matches!(world.confirm(&ticket).await.unwrap(), Enrolled::Over));
    assert!(world.trust.load_all::<Authenticator>().await.unwrap().is_empty());
}

#[tokio::test]
async fn key_that_may_be_copied_is_noted_as_such() {
    let world = World::new().await;
    let mut phone = phone();
    phone.flags |= 0x18;
    assert!(world.enrol("u-1", &mut phone, None).await.is_backup_eligible);
}

#[tokio::test]
async fn following_the_link_changes_nothing() {
    let world = World::new().await;
    let (ticket, page) = world.ticket("u-1", None).await;
    for _ in 0..3 {
        let found = world.tickets.by_link(&ticket.ticket_id, &page.link_secret()).await.unwrap();
        assert_eq!(found.unwrap(), ticket);
    }
    assert!(world.tickets.by_link(&ticket.ticket_id, page.text()).await.unwrap().is_none());
    let other = PageSecret::random().unwrap();
    assert!(world.tickets.by_page(&ticket.ticket_id, &other).await.unwrap().is_none());
}

#[tokio::test]
async fn stored_ticket_holds_no_secret() {
    let world = World::new().await;
    let (ticket, page) = world.ticket("u-1", None).await;
    let json = serde_json::to_string(&ticket).unwrap();
    for secret in [page.text(), &page.link_secret(), &page.code(), &page.number()] {
        assert!(!json.contains(secret));
    }
}

#[tokio::test]
async fn ticket_that_nobody_opened_enrols_nothing() {
    let world = World::new().await;
    let (ticket, _) = world.ticket("u-1", None).await;
    let new = world.register(&ticket, &mut phone(), &[]).unwrap();
    let refused = world.finish(&ticket, &new).await.unwrap();
    assert!(matches!(refused, Enrolled::Over));
}

#[tokio::test]
async fn ticket_enrols_once() {
    let world = World::new().await;
    let (ticket, page) = world.opened("u-1", None).await;
    let first = world.register(&ticket, &mut phone(), &[]).unwrap();
    let second = world.register(&ticket, &mut phone(), &[]).unwrap();
    let done = world.finish(&ticket, &first).await.unwrap();
    assert!(matches!(done, Enrolled::Done { .. }));
    let refused = world.finish(&ticket, &second).await.unwrap();
    assert!(matches!(refused, Enrolled::Over));
    let link = page.link_secret();
    let opened = world.tickets.open(&ticket.ticket_id, &link, &page.number()).await.unwrap();
    assert!(matches!(opened, TicketOpened::Over), "a used QR code is dead");
}

#[tokio::test]
async fn cancel_and_retry_keep_the_ticket_alive() {
    let world = World::new().await;
    let (ticket, page) = world.opened("u-1", None).await;
    let mut hesitant = phone();
    hesitant.flags = 0x01;
    world.register(&ticket, &mut hesitant, &[]).unwrap_err();
    let link = page.link_secret();
    let again = world.tickets.open(&ticket.ticket_id, &link, &page.number()).await.unwrap();
    assert!(matches!(again, TicketOpened::Opened(_)));
    let new = world.register(&ticket, &mut phone(), &[]).unwrap();
    let done = world.finish(&ticket, &new).await.unwrap();
    assert!(matches!(done, Enrolled::Done { .. }));
}

#[tokio::test]
async fn wrong_number_five_times_denies_the_ticket() {
    let world = World::new().await;
    let (ticket, page) = world.ticket("u-1", None).await;
    let link = page.link_secret();
    for attempt in 1..=5 {
        let outcome = world.tickets.open(&ticket.ticket_id, &link, "guess").await.unwrap();
        assert!(
            matches!(outcome, TicketOpened::WrongNumber { denied } if denied == (attempt == 5))
        );
    }
    let outcome = world.tickets.open(&ticket.ticket_id, &link, &page.number()).await.unwrap();
    assert!(matches!(outcome, TicketOpened::Over));
    let state = world.tickets.by_page(&ticket.ticket_id, &page).await.unwrap().unwrap().state;
    assert_eq!(state, TicketState::Denied { reason: DenyReason::WrongNumber });
}

#[tokio::test]
async fn wrong_secret_is_over_and_counts_nothing() {
    let world = World::new().await;
    let (ticket, page) = world.ticket("u-1", None).await;
    for _ in 0..9 {
        let other = PageSecret::random().unwrap().link_secret();
        let outcome = world.tickets.open(&ticket.ticket_id, &other, "guess").await.unwrap();
        assert!(matches!(outcome, TicketOpened::Over));
    }
    let link = page.link_secret();
    let outcome = world.tickets.open(&ticket.ticket_id, &link, &page.number()).await.unwrap();
    assert!(matches!(outcome, TicketOpened::Opened(_)));
}

#[tokio::test]
async fn ticket_is_over_after_five_minutes_to_the_second() {
    let world = World::new().await;
    let (ticket, page) = world.opened("u-1", None).await;
    let new = world.register(&ticket, &mut phone(), &[]).unwrap();
    world.clock.set(START + TICKET_SECONDS);
    let refused = world.finish(&ticket, &new).await.unwrap();
    assert!(matches!(refused, Enrolled::Over));
    let link = page.link_secret();
    let opened = world.tickets.open(&ticket.ticket_id, &link, &page.number()).await.unwrap();
    assert!(matches!(opened, TicketOpened::Over));
    world.clock.set(START + TICKET_SECONDS - 1);
    let done = world.finish(&ticket, &new).await.unwrap();
    assert!(matches!(done, Enrolled::Done { .. }));
}

#[tokio::test]
async fn ticket_said_to_be_somebody_elses_is_over() {
    let world = World::new().await;
    let (ticket, _) = world.opened("u-1", None).await;
    let new = world.register(&ticket, &mut phone(), &[]).unwrap();
    assert!(world.tickets.deny(&ticket.ticket_id, DenyReason::ByHolder).await.unwrap());
    assert!(!world.tickets.deny(&ticket.ticket_id, DenyReason::ByHolder).await.unwrap());
    let refused = world.finish(&ticket, &new).await.unwrap();
    assert!(matches!(refused, Enrolled::Over));
}

#[tokio::test]
async fn authenticator_of_anybody_is_registered_once() {
    let world = World::new().await;
    let mut phone = phone();
    world.enrol("u-2", &mut phone, None).await;
    let (ticket, _) = world.opened("u-1", None).await;
    let new = world.register(&ticket, &mut phone, &[]).unwrap();
    let refused = world.finish(&ticket, &new).await.unwrap();
    assert!(matches!(refused, Enrolled::Known));
    assert!(world.authenticators.phone_of("u-1").await.unwrap().is_none());
}

#[tokio::test]
async fn phone_in_use_is_never_overwritten_without_leave() {
    let world = World::new().await;
    let mut old = phone();
    let first = world.enrol("u-1", &mut old, None).await;
    for replaces in [None, Some(Fingerprint::of(b"another"))] {
        let (ticket, _) = world.opened("u-1", replaces).await;
        let new = world.register(&ticket, &mut phone(), &[]).unwrap();
        let refused = world.finish(&ticket, &new).await.unwrap();
        assert!(matches!(refused, Enrolled::OtherPhone));
        assert_eq!(world.authenticators.phone_of("u-1").await.unwrap().unwrap(), first);
        world.proof(&first, &mut old).await;
    }
}

#[tokio::test]
async fn new_phone_takes_the_place_of_the_old_one() {
    let world = World::new().await;
    let first = world.enrol("u-1", &mut phone(), None).await;
    let (ticket, _) = world.opened("u-1", Some(first.authenticator_id.clone())).await;
    let new = world.register(&ticket, &mut phone(), &[]).unwrap();
    let done = world.finish(&ticket, &new).await.unwrap();
    let Enrolled::Done { authenticator, replaced: Some(replaced) } = done else {
        panic!("{done:?}")
    };
    assert_eq!(*replaced, first);
    let all = world.trust.load_all::<Authenticator>().await.unwrap();
    assert_eq!(all, vec![*authenticator]);
}

/// A card that two operators linked waits for nothing.
#[tokio::test]
async fn card_linked_a_moment_ago_enrols_and_replaces_at_once() {
    let world = World::new().await;
    let first = world.enrol("u-1", &mut phone(), None).await;
    world.enrol("u-1", &mut phone(), Some(first.authenticator_id)).await;
}

/// W12, W14: each rule broken alone.
#[tokio::test]
async fn w12_w14_passkeys_that_the_rules_do_not_take_are_refused() {
    let model = *b"soft phone model";
    let rules = |accepts_synced, models: &[[u8; 16]]| FactorRules {
        accepts_synced,
        models: models.to_vec(),
        ..FactorRules::default()
    };
    for (rules, synced, accepted) in [
        (FactorRules::default(), true, true),
        (rules(false, &[]), true, false),
        (rules(false, &[]), false, true),
        (rules(true, &[[7; 16], model]), false, true),
        (rules(true, &[[7; 16]]), false, false),
    ] {
        let mut world = World::new().await;
        let relying_party = RelyingParty::new(ORIGIN, "Inkan").unwrap();
        world.fido2 = Arc::new(World::fido2(relying_party, rules, &world.clock));
        let mut phone = phone();
        phone.flags |= if synced { 0x18 } else { 0 };
        let (ticket, _) = world.opened("u-1", None).await;
        match world.register(&ticket, &mut phone, &[]) {
            Ok(new) => assert!(accepted, "{new:?}"),
            Err(error) => assert!(matches!(error, Fido2Error::NotAccepted) && !accepted),
        }
    }
}

#[tokio::test]
async fn phone_removed_by_the_officer_in_between_does_not_stop_its_replacement_by_card() {
    let world = World::new().await;
    let first = world.enrol("u-1", &mut phone(), None).await;
    let (ticket, _) = world.opened("u-1", Some(first.authenticator_id.clone())).await;
    let new = world.register(&ticket, &mut phone(), &[]).unwrap();
    let removed = world.authenticators.remove(&first.authenticator_id).await.unwrap().unwrap();
    assert_eq!(removed, first);
    let done = world.finish(&ticket, &new).await.unwrap();
    assert!(matches!(done, Enrolled::Done { replaced: None, .. }));
}

async fn refused_after(change: impl AsyncFnOnce(&World, &Ticket)) {
    let world = World::new().await;
    let (ticket, _) = world.opened("u-1", None).await;
    let new = world.register(&ticket, &mut phone(), &[]).unwrap();
    change(&world, &ticket).await;
    let refused = world.finish(&ticket, &new).await.unwrap();
    assert!(matches!(refused, Enrolled::NotEntitled), "{refused:?}");
    assert!(world.trust.load_all::<Authenticator>().await.unwrap().is_empty());
}

#[tokio::test]
async fn card_unlinked_in_between_enrols_nothing() {
    refused_after(async |world, _| {
        world.trust.remove::<CardLink>(&card("u-1").card.0).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn card_linked_to_somebody_else_in_between_enrols_nothing() {
    refused_after(async |world, _| {
        let (mut link, rev) =
            world.trust.load::<CardLink>(&card("u-1").card.0).await.unwrap().unwrap();
        link.holder_id = "u-2".into();
        world.trust.replace(&link, rev).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn holder_disabled_in_between_enrols_nothing() {
    refused_after(async |world, _| {
        let (_, rev) = world.trust.load::<Holder>("u-1").await.unwrap().unwrap();
        let disabled = Holder { enabled: false, ..holder("u-1") };
        world.trust.replace(&disabled, rev).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn phone_removed_is_gone_and_can_be_registered_anew() {
    let world = World::new().await;
    let mut phone = phone();
    let first = world.enrol("u-1", &mut phone, None).await;
    world.authenticators.remove(&first.authenticator_id).await.unwrap().unwrap();
    assert!(world.authenticators.remove(&first.authenticator_id).await.unwrap().is_none());
    assert!(world.authenticators.phone_of("u-1").await.unwrap().is_none());
    world.enrol("u-1", &mut phone, None).await;
}

#[tokio::test]
async fn handshake_that_was_used_before_issues_and_confirms_nothing() {
    let world = World::new().await;
    let page = PageSecret::random().unwrap();
    let issue = async |once_key: &Fingerprint| {
        let by = by_card("u-1");
        let enrols = Enrols::Phone { replaces: None };
        world.tickets.issue("u-1", by, enrols, "PC", &page, Some(once_key)).await.unwrap()
    };
    let (first, second) = (handshake(), handshake());
    let ticket = issue(&first).await.unwrap();
    assert!(issue(&first).await.is_none());
    world.tickets.open(&ticket.ticket_id, &page.link_secret(), &page.number()).await.unwrap();
    let new = world.register(&ticket, &mut phone(), &[]).unwrap();
    world.prove(&ticket, &new).await;
    // One that signed in is remembered in the same place.
    let confirm = async |once_key: &Fingerprint| {
        let by = &ticket.enrolled_by;
        world.tickets.confirm(&ticket.ticket_id, by, once_key).await.unwrap()
    };
    assert!(matches!(confirm(&first).await, Enrolled::EvidenceUsed));
    assert!(world.trust.load_all::<Authenticator>().await.unwrap().is_empty());
    assert!(matches!(confirm(&second).await, Enrolled::Done { .. }));
    assert!(issue(&second).await.is_none(), "what confirmed begins nothing");
}

#[tokio::test]
async fn my_number_card_younger_than_the_wait_enrols_no_phone() {
    let world = World::new().await;
    let by = Enroller { method: Method::Jpki, factor: Fingerprint::of(b"a My Number card") };
    let link = JpkiLink {
        card: by.factor.clone(),
        holder_id: "u-1".to_owned(),
        enrolled_by: by_card("u-1"),
        linked_at: UnixSeconds(START),
        terminal: "PC".to_owned(),
        certificate: Sealed("sealed".to_owned()),
        renewed_at: None,
        renewed_from: None,
    };
    world.trust.create(&link).await.unwrap();
    for (now, done) in [(START + DAY - 1, false), (START + DAY, true)] {
        world.clock.set(now);
        let page = PageSecret::random().unwrap();
        let (by, enrols) = (by.clone(), Enrols::Phone { replaces: None });
        let issued = world.tickets.issue("u-1", by, enrols, "PC", &page, Some(&handshake())).await;
        let ticket = issued.unwrap().unwrap();
        world.tickets.open(&ticket.ticket_id, &page.link_secret(), &page.number()).await.unwrap();
        let new = world.register(&ticket, &mut phone(), &[]).unwrap();
        world.prove(&ticket, &new).await;
        let outcome = world.confirm(&ticket).await.unwrap();
        assert_eq!(matches!(outcome, Enrolled::Done { .. }), done, "{outcome:?}");
        assert_eq!(matches!(outcome, Enrolled::TooNew { .. }), !done, "{outcome:?}");
    }
}
