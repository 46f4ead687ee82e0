//! My Number cards of holders: one card a holder, one holder a card, whoever is first.
use attest::authenticator::Enroller;
use attest::clock::UnixSeconds;
use attest::danger_testing::HandClock;
use attest::danger_testing::START;
use attest::danger_testing::card;
use attest::danger_testing::holder;
use attest::factor_rules::FactorRules;
use attest::jpki::JpkiLink;
use attest::jpki::JpkiLinks;
use attest::jpki::JpkiSlot;
use attest::jpki::LINK_TICKET_SECONDS;
use attest::jpki::LinkState;
use attest::jpki::LinkTicket;
use attest::jpki::Linked;
use attest::jpki::NewCard;
use attest::jpki::Renewed;
use attest::jpki::index_input;
use attest::records::CardLink;
use attest::records::Fingerprint;
use attest::records::Holder;
use attest::records::Method;
use attest::store::memory::MemoryStore;
use attest::ticket::CONFIRM_SECONDS;
use attest::trust::TrustStore;
use attest::validity::CertificateId;
use attest::vault::Sealed;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

struct World {
    trust: TrustStore,
    clock: Arc<HandClock>,
    links: JpkiLinks,
}

/// Where a renewed card is shown.
const OTHER: &str = "Edge, Windows";
const HOLDERS: [&str; 2] = ["u-1", "u-2"];

async fn world() -> World {
    let clock = Arc::new(HandClock::default());
    clock.set(START);
    let trust = TrustStore::new(Arc::new(MemoryStore::default()), &[7; 32]);
    for holder_id in HOLDERS {
        trust.create(&holder(holder_id)).await.unwrap();
        trust.create(&card(holder_id)).await.unwrap();
    }
    let links = JpkiLinks::new(trust.clone(), clock.clone(), FactorRules::default());
    World { trust, clock, links }
}

impl World {
    async fn issue(&self, holder_id: &str) -> LinkTicket {
        let replaces = self.card_of(holder_id).await;
        self.links
            .issue(holder_id, by_card(holder_id), replaces, "PC", &handshake())
            .await
            .unwrap()
            .unwrap()
            .0
    }

    async fn prove(&self, ticket: &LinkTicket, new: &NewCard) -> Linked {
        self.links.prove(&ticket.ticket_id, new).await.unwrap()
    }

    async fn confirm(&self, ticket: &LinkTicket) -> Linked {
        let by = &ticket.enrolled_by;
        self.links.confirm(&ticket.ticket_id, by, &handshake()).await.unwrap()
    }

    /// The card is proved, and the HPKI card shown again.
    async fn link(&self, ticket: &LinkTicket, new: &NewCard) -> Linked {
        match self.prove(ticket, new).await {
            Linked::AsksCard { .. } => self.confirm(ticket).await,
            other => other,
        }
    }

    async fn card_of(&self, holder_id: &str) -> Option<Fingerprint> {
        self.trust.load::<JpkiSlot>(holder_id).await.unwrap().map(|(slot, _)| slot.card)
    }

    async fn all(&self) -> BTreeMap<Fingerprint, String> {
        let all = self.trust.load_all::<JpkiLink>().await.unwrap();
        all.into_iter().map(|link| (link.card, link.holder_id)).collect()
    }

    async fn linked(&self, holder_id: &str, name: &str) {
        let ticket = self.issue(holder_id).await;
        let linked = self.link(&ticket, &new(name, name)).await;
        assert!(matches!(linked, Linked::Done { .. }), "{linked:?}");
    }
}

/// The HPKI card of this holder.
fn by_card(holder_id: &str) -> Enroller {
    Enroller { method: Method::Hpki, factor: Fingerprint::of(holder_id.as_bytes()) }
}

/// The card `name` in the handshake `handshake`.
fn new(name: &str, handshake: &str) -> NewCard {
    NewCard {
        card: Fingerprint::of(name.as_bytes()),
        certificate: Sealed(format!("sealed {name}")),
        once_key: Fingerprint::of(format!("handshake {handshake}").as_bytes()),
    }
}

/// What the HPKI card's handshake is remembered by as used: each is another.
fn handshake() -> Fingerprint {
    Fingerprint::of(attest::sign_in::random_id().unwrap().as_bytes())
}

#[tokio::test]
async fn proved_card_is_linked_with_its_history() {
    let world = world().await;
    let ticket = world.issue("u-1").await;
    let Linked::Done { link, replaced: None } = world.link(&ticket, &new("a", "1")).await else {
        panic!("not linked");
    };
    assert_eq!((link.holder_id.as_str(), link.terminal.as_str()), ("u-1", "PC"));
    assert_eq!((link.linked_at, link.renewed_at), (UnixSeconds(START), None));
    assert_eq!(link.enrolled_by.method, Method::Hpki);
    assert_eq!(world.card_of("u-1").await.as_ref(), Some(&link.card));
    assert_eq!(world.all().await.len(), 1);
}

#[tokio::test]
async fn nothing_is_linked_before_the_hpki_card_is_shown_again() {
    let world = world().await;
    let ticket = world.issue("u-1").await;
    assert!(matches!(world.confirm(&ticket).await, Linked::Over), "no card is proved yet");
    assert!(matches!(world.prove(&ticket, &new("a", "1")).await, Linked::AsksCard { .. }));
    assert!(world.all().await.is_empty() && world.card_of("u-1").await.is_none());
    assert!(matches!(world.prove(&ticket, &new("b", "2")).await, Linked::Over), "it is for a");
    let Linked::Done { link, .. } = world.confirm(&ticket).await else { panic!("not linked") };
    assert_eq!(link.card, new("a", "").card);
    assert!(matches!(world.confirm(&ticket).await, Linked::Over), "once");
}

#[tokio::test]
async fn card_waits_for_the_hpki_card_to_its_last_second() {
    for (late, linked) in [(CONFIRM_SECONDS - 1, true), (CONFIRM_SECONDS, false)] {
        let world = world().await;
        let ticket = world.issue("u-1").await;
        let last = START + LINK_TICKET_SECONDS - 1;
        world.clock.set(last);
        world.prove(&ticket, &new("a", "1")).await;
        world.clock.set(last + late);
        let outcome = world.confirm(&ticket).await;
        assert_eq!(matches!(outcome, Linked::Done { .. }), linked, "{late}: {outcome:?}");
        assert_eq!(world.all().await.len(), usize::from(linked));
    }
}

#[tokio::test]
async fn other_cards_and_used_handshakes_confirm_nothing_and_the_right_one_still_does() {
    let world = world().await;
    let first = handshake();
    let issued = world.links.issue("u-1", by_card("u-1"), None, "PC", &first).await;
    let (ticket, _) = issued.unwrap().unwrap();
    let card = new("a", "1");
    world.prove(&ticket, &card).await;
    let by = by_card("u-1");
    for (shown, once_key) in [(&by_card("u-2"), &handshake()), (&by, &first), (&by, &card.once_key)]
    {
        let outcome = world.links.confirm(&ticket.ticket_id, shown, once_key).await.unwrap();
        assert!(matches!(outcome, Linked::Over | Linked::EvidenceUsed), "{outcome:?}");
    }
    let same_number = Enroller { method: Method::Jpki, ..by_card("u-1") };
    let other_kind = world.links.confirm(&ticket.ticket_id, &same_number, &handshake()).await;
    assert!(matches!(other_kind.unwrap(), Linked::Over));
    assert!(world.all().await.is_empty());
    assert!(matches!(world.confirm(&ticket).await, Linked::Done { .. }));
}

#[tokio::test]
async fn holder_who_says_no_leaves_nothing_behind() {
    for is_proved in [false, true] {
        let world = world().await;
        let ticket = world.issue("u-1").await;
        if is_proved {
            world.prove(&ticket, &new("a", "1")).await;
        }
        assert!(world.links.deny(&ticket.ticket_id).await.unwrap());
        assert!(!world.links.deny(&ticket.ticket_id).await.unwrap());
        assert!(matches!(world.prove(&ticket, &new("a", "2")).await, Linked::Over));
        assert!(matches!(world.confirm(&ticket).await, Linked::Over));
        let stored = world.links.by_id(&ticket.ticket_id).await.unwrap().unwrap();
        assert_eq!(stored.state, LinkState::Denied, "the certificate is gone, too");
        assert!(world.all().await.is_empty());
    }
}

#[tokio::test]
async fn card_that_somebody_links_in_between_stays_theirs() {
    let world = world().await;
    let (one, other) = (world.issue("u-1").await, world.issue("u-2").await);
    world.prove(&one, &new("a", "1")).await;
    world.prove(&other, &new("a", "2")).await;
    assert!(matches!(world.confirm(&one).await, Linked::Done { .. }));
    assert!(matches!(world.confirm(&other).await, Linked::OthersCard));
    assert_eq!(world.card_of("u-2").await, None);
}

#[tokio::test]
async fn ticket_links_one_card() {
    let world = world().await;
    let ticket = world.issue("u-1").await;
    assert!(matches!(world.link(&ticket, &new("a", "1")).await, Linked::Done { .. }));
    assert!(matches!(world.link(&ticket, &new("b", "2")).await, Linked::Over));
}

#[tokio::test]
async fn ticket_is_good_to_its_last_second() {
    let world = world().await;
    let ticket = world.issue("u-1").await;
    world.clock.set(START + LINK_TICKET_SECONDS);
    assert!(matches!(world.link(&ticket, &new("a", "1")).await, Linked::Over));
    world.clock.set(START + LINK_TICKET_SECONDS - 1);
    assert!(matches!(world.link(&ticket, &new("a", "1")).await, Linked::Done { .. }));
}

#[tokio::test]
async fn ticket_is_found_by_its_secret_only() {
    let world = world().await;
    let issued = world.links.issue("u-1", by_card("u-1"), None, "PC", &handshake()).await;
    let (ticket, secret) = issued.unwrap().unwrap();
    let found = |secret: String| {
        let (links, ticket_id) = (&world.links, ticket.ticket_id.clone());
        async move { links.ticket(&ticket_id, &secret).await.unwrap().is_some() }
    };
    assert!(found(secret.clone()).await);
    assert!(!found(format!("{secret}x")).await);
    assert!(!found(String::new()).await);
}

#[tokio::test]
async fn card_of_somebody_else_is_not_linked() {
    let world = world().await;
    world.linked("u-2", "a").await;
    let ticket = world.issue("u-1").await;
    assert!(matches!(world.link(&ticket, &new("a", "2")).await, Linked::OthersCard));
    assert_eq!(world.card_of("u-1").await, None);
}

#[tokio::test]
async fn card_that_is_linked_already_stays_as_it_is() {
    let world = world().await;
    world.linked("u-1", "a").await;
    let ticket = world.issue("u-1").await;
    assert!(matches!(world.link(&ticket, &new("a", "2")).await, Linked::Known));
    assert_eq!(world.all().await.len(), 1);
}

#[tokio::test]
async fn old_card_goes_in_the_same_transaction_if_the_holder_agreed() {
    let world = world().await;
    let before = world.issue("u-1").await;
    world.linked("u-1", "a").await;
    // A ticket from before the first card was linked gives nothing up.
    assert!(matches!(world.link(&before, &new("b", "2")).await, Linked::OtherCard));
    let after = world.issue("u-1").await;
    let Linked::Done { replaced: Some(old), .. } = world.link(&after, &new("b", "3")).await else {
        panic!("not replaced");
    };
    assert_eq!(old.card, new("a", "").card);
    assert_eq!(world.all().await.into_keys().collect::<Vec<_>>(), [new("b", "").card]);
}

#[tokio::test]
async fn handshake_links_once() {
    let world = world().await;
    let first = world.issue("u-1").await;
    assert!(matches!(world.link(&first, &new("a", "1")).await, Linked::Done { .. }));
    let second = world.issue("u-1").await;
    assert!(matches!(world.link(&second, &new("b", "1")).await, Linked::EvidenceUsed));
}

#[tokio::test]
async fn handshake_of_the_hpki_card_gives_leave_once() {
    let world = world().await;
    let issue = async |once_key: &Fingerprint| {
        let issued = world.links.issue("u-1", by_card("u-1"), None, "PC", once_key).await;
        issued.unwrap().is_some()
    };
    let first = handshake();
    assert!(issue(&first).await);
    assert!(!issue(&first).await);
    assert!(issue(&handshake()).await);
    // What linked a card gives no leave, either.
    world.linked("u-1", "a").await;
    assert!(!issue(&new("a", "a").once_key).await);
}

#[tokio::test]
async fn holder_disabled_or_card_unlinked_in_between_links_nothing() {
    let world = world().await;
    let ticket = world.issue("u-1").await;
    world.prove(&ticket, &new("a", "1")).await;
    let (record, rev) = world.trust.load::<Holder>("u-1").await.unwrap().unwrap();
    world.trust.replace(&Holder { enabled: false, ..record.clone() }, rev).await.unwrap();
    assert!(matches!(world.confirm(&ticket).await, Linked::NotEntitled));
    let (_, rev) = world.trust.load::<Holder>("u-1").await.unwrap().unwrap();
    world.trust.replace(&record, rev).await.unwrap();
    world.trust.remove::<CardLink>(&Fingerprint::of(b"u-1").0).await.unwrap();
    assert!(matches!(world.confirm(&ticket).await, Linked::NotEntitled));
    assert!(world.all().await.is_empty());
}

#[tokio::test]
async fn renewal_takes_the_old_ones_place_and_keeps_its_history() {
    let world = world().await;
    world.linked("u-1", "a").await;
    world.clock.set(START + 9);
    let old = new("a", "").card;
    let Renewed::Done { link, replaced } =
        world.links.renew(&old, &new("b", ""), OTHER).await.unwrap()
    else {
        panic!("not renewed");
    };
    assert_eq!(replaced.card, old);
    assert_eq!(
        (link.linked_at, link.renewed_at),
        (UnixSeconds(START), Some(UnixSeconds(START + 9)))
    );
    assert_eq!((link.terminal.as_str(), link.renewed_from.as_deref()), ("PC", Some(OTHER)));
    assert_eq!(world.card_of("u-1").await, Some(new("b", "").card));
    assert_eq!(world.all().await.len(), 1);
    let again = world.links.renew(&old, &new("b", ""), OTHER).await.unwrap();
    assert!(matches!(again, Renewed::Known));
    let gone = world.links.renew(&old, &new("c", ""), OTHER).await.unwrap();
    assert!(matches!(gone, Renewed::Gone));
}

#[tokio::test]
async fn handshake_that_was_used_renews_nothing_and_a_renewal_leaves_its_own_unused() {
    let world = world().await;
    world.linked("u-1", "a").await;
    let old = new("a", "").card;
    // The handshake that linked the first card.
    let used = world.links.renew(&old, &new("b", "a"), OTHER).await.unwrap();
    assert!(matches!(used, Renewed::EvidenceUsed), "{used:?}");
    assert_eq!(world.card_of("u-1").await, Some(old.clone()));
    let renewed = world.links.renew(&old, &new("b", "1"), OTHER).await.unwrap();
    assert!(matches!(renewed, Renewed::Done { .. }), "{renewed:?}");
    let ticket = world.issue("u-2").await;
    assert!(matches!(world.link(&ticket, &new("c", "1")).await, Linked::Done { .. }));
}

#[tokio::test]
async fn renewal_of_a_disabled_holders_card_changes_nothing() {
    let world = world().await;
    world.linked("u-1", "a").await;
    let (record, rev) = world.trust.load::<Holder>("u-1").await.unwrap().unwrap();
    world.trust.replace(&Holder { enabled: false, ..record }, rev).await.unwrap();
    let renewed = world.links.renew(&new("a", "").card, &new("b", ""), OTHER).await.unwrap();
    assert!(matches!(renewed, Renewed::Gone));
    assert_eq!(world.card_of("u-1").await, Some(new("a", "").card));
}

#[test]
fn input_of_the_mac_tells_authorities_and_numbers_apart() {
    let id = |issuer: &[u8], serial: &[u8]| {
        index_input(&CertificateId { issuer_key: Fingerprint::of(issuer), serial: serial.to_vec() })
    };
    assert_ne!(id(b"ca 1", &[1]), id(b"ca 2", &[1]));
    assert_ne!(id(b"ca 1", &[1]), id(b"ca 1", &[1, 0]));
    assert_eq!(id(b"ca 1", &[0, 0x81]), id(b"ca 1", &[0x81]), "one number, one name");
}

#[derive(Clone, Debug)]
enum Act {
    Issue(usize),
    Prove { ticket: usize, card: u8, handshake: u8 },
    Confirm { ticket: usize },
    Deny { ticket: usize },
    Renew { old: u8, new: u8 },
    Unlink(u8),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..2usize).prop_map(Act::Issue),
        (any::<usize>(), 0..4u8, any::<u8>()).prop_map(|(ticket, card, handshake)| Act::Prove {
            ticket,
            card,
            handshake
        }),
        any::<usize>().prop_map(|ticket| Act::Confirm { ticket }),
        any::<usize>().prop_map(|ticket| Act::Deny { ticket }),
        (0..4u8, 0..4u8).prop_map(|(old, new)| Act::Renew { old, new }),
        (0..4u8).prop_map(Act::Unlink),
        (0..200u64).prop_map(Act::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_happens_each_holder_has_one_card_and_each_card_one_holder(
        acts in proptest::collection::vec(act(), 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = world().await;
            let (mut tickets, mut used, mut now) = (Vec::new(), Vec::new(), START);
            let mut proved = BTreeMap::new();
            for act in acts {
                match act {
                    Act::Issue(whose) => tickets.push(world.issue(HOLDERS[whose]).await),
                    Act::Prove { .. } | Act::Confirm { .. } | Act::Deny { .. }
                        if tickets.is_empty() => {}
                    Act::Prove { ticket, card, handshake } => {
                        let ticket = &tickets[ticket % tickets.len()];
                        let new = new(&card.to_string(), &handshake.to_string());
                        if let Linked::AsksCard { .. } = world.prove(ticket, &new).await {
                            assert!(ticket.is_open(UnixSeconds(now)));
                            let before = proved.insert(ticket.ticket_id.clone(), new.card);
                            assert_eq!(before, None, "one card is proved under a ticket");
                        }
                    }
                    Act::Confirm { ticket } => {
                        let ticket = &tickets[ticket % tickets.len()];
                        if let Linked::Done { link, replaced } = world.confirm(ticket).await {
                            assert!(!used.contains(&ticket.ticket_id), "a ticket links once");
                            used.push(ticket.ticket_id.clone());
                            assert_eq!(proved.get(&ticket.ticket_id), Some(&link.card));
                            let gone = replaced.map(|old| old.card);
                            assert!(gone.is_none() || gone == ticket.replaces);
                            assert_eq!(link.holder_id, ticket.holder_id);
                        }
                    }
                    Act::Deny { ticket } => {
                        let ticket_id = &tickets[ticket % tickets.len()].ticket_id;
                        if world.links.deny(ticket_id).await.unwrap() {
                            used.push(ticket_id.clone());
                        }
                    }
                    Act::Renew { old, new: renewed } => {
                        let (old, new) = (new(&old.to_string(), ""), new(&renewed.to_string(), ""));
                        let before = world.all().await;
                        if let Renewed::Done { link, .. } =
                            world.links.renew(&old.card, &new, OTHER).await.unwrap()
                        {
                            assert_eq!(before.get(&old.card), Some(&link.holder_id));
                        }
                    }
                    Act::Unlink(card) => {
                        let card = new(&card.to_string(), "").card;
                        let removal = world.links.removal(&card).await.unwrap();
                        if let Some((_, txn)) = removal {
                            world.trust.store().commit(txn).await.unwrap();
                        }
                    }
                    Act::Wait(seconds) => {
                        now += seconds;
                        world.clock.set(now);
                    }
                }
                let all = world.all().await;
                for holder_id in HOLDERS {
                    let own: Vec<_> = all.iter().filter(|(_, of)| *of == holder_id).collect();
                    assert!(own.len() <= 1, "{own:?}");
                    let slot = world.card_of(holder_id).await;
                    assert_eq!(own.first().map(|(card, _)| (*card).clone()), slot);
                }
            }
        });
    }
}
