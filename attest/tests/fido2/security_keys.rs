//! Security keys: enrolled beside the phone, counted, told from what is built in and from phones, asked at a PC alone.

use crate::steps::interleave;
use crate::world::World;
use crate::world::binding;
use crate::world::by_card;
use crate::world::handshake;
use crate::world::phone;
use attest::authenticator::Authenticator;
use attest::authenticator::AuthenticatorKind;
use attest::authenticator::KeyRing;
use attest::authenticator::MAX_SECURITY_KEYS;
use attest::danger_testing::SoftPhone;
use attest::danger_testing::holder;
use attest::evidence::Binding;
use attest::evidence::Fido2Error;
use attest::evidence::NewPasskey;
use attest::evidence::Surface;
use attest::qr_link::PageSecret;
use attest::records::Fingerprint;
use attest::store::Outcome;
use attest::ticket::Enrolled;
use attest::ticket::Enrols;
use attest::ticket::Ticket;
use serde_json::Value;
use serde_json::json;
use std::pin::Pin;
use std::sync::Arc;

fn key() -> SoftPhone {
    phone().security_key()
}

/// A ticket of `holder_id` for a security key, with the number that its own page knows.
async fn opened(world: &World, holder_id: &str) -> Ticket {
    let (page, by) = (PageSecret::random().unwrap(), by_card(holder_id));
    let enrols = Enrols::SecurityKey;
    let issued = world.tickets.issue(holder_id, by, enrols, "PC", &page, Some(&handshake())).await;
    let ticket = issued.unwrap().unwrap();
    let link = page.link_secret();
    world.tickets.open(&ticket.ticket_id, &link, &page.number()).await.unwrap();
    ticket
}

async fn enrol(world: &World, key: &mut SoftPhone) -> Authenticator {
    let ticket = opened(world, "u-1").await;
    let new = world.register(&ticket, key, &[]).unwrap();
    match world.finish(&ticket, &new).await.unwrap() {
        Enrolled::Done { authenticator, replaced: None } => *authenticator,
        other => panic!("not enrolled: {other:?}"),
    }
}

async fn ring(world: &World) -> Vec<Fingerprint> {
    let ring = world.trust.find::<KeyRing>("u-1").await.unwrap();
    ring.map(|ring| ring.authenticator_ids).unwrap_or_default()
}

#[tokio::test]
async fn keys_stand_beside_the_phone_and_replace_nothing() {
    let world = World::new().await;
    let held = world.enrol("u-1", &mut phone(), None).await;
    let (first, second) = (enrol(&world, &mut key()).await, enrol(&world, &mut key()).await);
    assert_eq!(first.kind, AuthenticatorKind::SecurityKey);
    assert_eq!(ring(&world).await, [first.authenticator_id, second.authenticator_id.clone()]);
    assert_eq!(world.authenticators.phone_of("u-1").await.unwrap(), Some(held.clone()));
    // And a new phone leaves the keys where they are.
    world.enrol("u-1", &mut phone(), Some(held.authenticator_id)).await;
    assert_eq!(ring(&world).await.len(), 2);
}

#[tokio::test]
async fn as_many_keys_as_allowed_and_not_one_more_until_one_is_removed() {
    let world = World::new().await;
    let mut held = Vec::new();
    for _ in 0..MAX_SECURITY_KEYS {
        held.push(enrol(&world, &mut key()).await.authenticator_id);
    }
    let ticket = opened(&world, "u-1").await;
    let new = world.register(&ticket, &mut key(), &[]).unwrap();
    assert!(matches!(world.finish(&ticket, &new).await.unwrap(), Enrolled::KeysFull));
    assert_eq!(ring(&world).await, held);
    world.authenticators.remove(&held[0]).await.unwrap().unwrap();
    assert_eq!(ring(&world).await, held[1..]);
    enrol(&world, &mut key()).await;
    assert_eq!(ring(&world).await.len(), MAX_SECURITY_KEYS);
}

/// One place is free and two are confirmed at once: one of them has it, in every order that was drawn.
#[tokio::test]
async fn last_place_is_given_once_whoever_comes_first() {
    let world = World::new().await;
    let ticket = opened(&world, "u-1").await;
    let new: [NewPasskey; 3] =
        std::array::from_fn(|_| world.register(&ticket, &mut key(), &[]).unwrap());
    for seed in 0..200_u32 {
        let world = world.again().await;
        let ticket = opened(&world, "u-1").await;
        assert!(matches!(world.finish(&ticket, &new[0]).await.unwrap(), Enrolled::Done { .. }));
        let (one, other) = (opened(&world, "u-1").await, opened(&world, "u-1").await);
        world.prove(&one, &new[1]).await;
        world.prove(&other, &new[2]).await;
        let confirm = async |ticket: &Ticket| match world.confirm(ticket).await.unwrap() {
            Enrolled::Done { .. } => true,
            Enrolled::KeysFull => false,
            lost => panic!("{lost:?}"),
        };
        let tasks: Vec<Pin<Box<dyn Future<Output = bool> + '_>>> =
            vec![Box::pin(confirm(&one)), Box::pin(confirm(&other))];
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let done = interleave(tasks, |count| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as usize % count
        });
        assert_eq!(done.iter().filter(|done| **done).count(), 1, "seed {seed}");
        assert_eq!(ring(&world).await.len(), MAX_SECURITY_KEYS);
        let all = world.trust.load_all::<Authenticator>().await.unwrap();
        assert_eq!(all.len(), MAX_SECURITY_KEYS);
    }
}

#[tokio::test]
async fn keys_go_together_and_not_past_one_that_was_registered_meanwhile() {
    let world = World::new().await;
    let removal = async || world.authenticators.removal_of_keys("u-1").await.unwrap();
    let (found, of_none) = removal().await;
    assert!(found.is_empty());
    let first = enrol(&world, &mut key()).await;
    assert_eq!(world.trust.store().commit(of_none).await.unwrap(), Outcome::Conflict);
    let (found, of_one) = removal().await;
    assert_eq!(found, [first]);
    enrol(&world, &mut key()).await;
    assert_eq!(world.trust.store().commit(of_one).await.unwrap(), Outcome::Conflict);
    let (found, of_both) = removal().await;
    assert_eq!(found.len(), 2);
    assert_eq!(world.trust.store().commit(of_both).await.unwrap(), Outcome::Committed);
    assert!(ring(&world).await.is_empty());
    assert!(world.trust.load_all::<Authenticator>().await.unwrap().is_empty());
}

/// What becomes of a registration that is right but for one thing.
async fn register_with(change: impl FnOnce(&mut SoftPhone)) -> Result<NewPasskey, Fido2Error> {
    let world = World::new().await;
    let ticket = opened(&world, "u-1").await;
    let mut key = key();
    change(&mut key);
    world.register(&ticket, &mut key, &[])
}

#[tokio::test]
async fn only_what_says_that_it_is_a_key_is_registered_as_one() {
    for way in ["usb", "nfc", "ble", "smart-card"] {
        register_with(|key| key.transports = vec![way]).await.unwrap();
    }
    for attachment in [Some("platform"), None] {
        let refused = register_with(|key| key.attachment = attachment).await;
        assert!(matches!(refused, Err(Fido2Error::BuiltIn)), "{attachment:?}");
    }
    for ways in [vec!["internal"], vec!["hybrid"], vec!["usb", "hybrid"], vec![], vec!["USB"]] {
        let refused = register_with(|key| key.transports = ways.clone()).await;
        assert!(matches!(refused, Err(Fido2Error::NotSecurityKey)), "{ways:?}");
    }
    // A key that its maker may copy is a phone's or a browser's.
    let refused = register_with(|key| key.flags |= 0x08).await;
    assert!(matches!(refused, Err(Fido2Error::NotSecurityKey)));
    let refused = register_with(|key| key.flags = 0x01).await;
    assert!(matches!(refused, Err(Fido2Error::UserNotVerified)));
}

#[tokio::test]
async fn question_for_a_new_key_leaves_out_what_is_built_in_and_what_is_known() {
    let world = World::new().await;
    let held = Arc::new(world.enrol("u-1", &mut phone(), None).await);
    let ask = |kind| {
        let started = world.fido2.start_registration(
            "ticket",
            kind,
            &holder("u-1"),
            std::slice::from_ref(&held),
        );
        serde_json::from_str::<Value>(&started.unwrap().options_json).unwrap()
    };
    let options = ask(AuthenticatorKind::SecurityKey);
    let asked = &options["publicKey"];
    assert_eq!(asked["authenticatorSelection"]["authenticatorAttachment"], "cross-platform");
    assert_eq!(asked["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(asked["hints"], json!(["security-key"]));
    assert_eq!(asked["excludeCredentials"].as_array().unwrap().len(), 1);
    let options = ask(AuthenticatorKind::Phone);
    assert_ne!(
        options["publicKey"]["authenticatorSelection"]["authenticatorAttachment"],
        "cross-platform"
    );
}

#[tokio::test]
async fn what_was_asked_as_a_key_is_no_phone_and_the_reverse() {
    let world = World::new().await;
    let for_key = opened(&world, "u-1").await;
    let (for_phone, _) = world.opened("u-1", None).await;
    let as_key = world.register(&for_key, &mut key(), &[]).unwrap();
    let as_phone = world.register(&for_phone, &mut phone(), &[]).unwrap();
    for (ticket, new) in [(&for_phone, &as_key), (&for_key, &as_phone)] {
        let refused = world.tickets.finish(&ticket.ticket_id, new).await.unwrap();
        assert!(matches!(refused, Enrolled::Over), "{refused:?}");
    }
}

/// What one learns from a question: how many are asked, and by which ways.
fn shape(options_json: &str) -> Vec<Value> {
    let options: Value = serde_json::from_str(options_json).unwrap();
    let asked = options["publicKey"]["allowCredentials"].as_array().unwrap();
    asked.iter().map(|asked| asked["transports"].clone()).collect()
}

#[tokio::test]
async fn question_at_a_pc_has_a_place_for_each_whatever_the_holder_has() {
    let world = World::new().await;
    let held = Arc::new(world.enrol("u-1", &mut phone(), None).await);
    let keys = [enrol(&world, &mut key()).await, enrol(&world, &mut key()).await].map(Arc::new);
    let both = [&[held.clone()][..], &keys].concat();
    let record = world.sign_in_wanting(None, None).await;
    let mut ids_of_nobody = Vec::new();
    for (who, known) in [
        ("nobody", &[][..]),
        ("nobody", &[]),
        ("u-1", &[held][..]),
        ("u-1", &keys[..1]),
        ("u-1", &both),
    ] {
        let (handoff, _) = world.handoff(&record, who).await;
        let asked = Binding { surface: Surface::Pc, ..binding(&handoff) };
        let started = world.fido2.start_assertion(asked, known).unwrap();
        assert_eq!(shape(&started.options_json), shape_of_three(), "{who} {}", known.len());
        let started = world.fido2.start_assertion(binding(&handoff), known).unwrap();
        assert_eq!(shape(&started.options_json), [Value::Null], "on a phone: one");
        if who == "nobody" {
            ids_of_nobody.push(started.options_json);
        }
    }
    let ids = |json: &str| {
        serde_json::from_str::<Value>(json).unwrap()["publicKey"]["allowCredentials"].clone()
    };
    assert_eq!(ids(&ids_of_nobody[0]), ids(&ids_of_nobody[1]), "the same at every question");
}

fn shape_of_three() -> Vec<Value> {
    vec![json!(["usb", "nfc", "ble", "smart-card", "hybrid"]); 1 + MAX_SECURITY_KEYS]
}

#[tokio::test]
async fn key_signs_in_at_a_pc_and_answers_for_no_phone() {
    let world = World::new().await;
    let mut own = key();
    let known = [Arc::new(enrol(&world, &mut own).await)];
    let record = world.sign_in().await;
    let (handoff, _) = world.handoff(&record, "u-1").await;
    let on_phone = world.fido2.start_assertion(binding(&handoff), &known).unwrap();
    let refused = world.answer(&on_phone, &handoff, &mut own);
    assert!(matches!(refused, Err(Fido2Error::NotAsked)), "{refused:?}");
    let asked = Binding { surface: Surface::Pc, ..binding(&handoff) };
    let at_pc = world.fido2.start_assertion(asked, &known).unwrap();
    let proof = world.answer(&at_pc, &handoff, &mut own).unwrap();
    assert_eq!(*proof.authenticator_id(), known[0].authenticator_id);
}

/// Which of two keys was used last is not told by the order in which they are asked.
#[tokio::test]
async fn keys_are_asked_in_one_order_whatever_order_they_are_held_in() {
    let world = World::new().await;
    let one = Arc::new(enrol(&world, &mut key()).await);
    let other = Arc::new(enrol(&world, &mut key()).await);
    let record = world.sign_in().await;
    let (handoff, _) = world.handoff(&record, "u-1").await;
    let asked = |known: &[Arc<Authenticator>]| {
        let asked = Binding { surface: Surface::Pc, ..binding(&handoff) };
        let started = world.fido2.start_assertion(asked, known).unwrap();
        let options: Value = serde_json::from_str(&started.options_json).unwrap();
        options["publicKey"]["allowCredentials"].clone()
    };
    assert_eq!(asked(&[one.clone(), other.clone()]), asked(&[other, one]));
}
