//! Every order in which two may overlap, one by one: the store stops before each question and each commit.

use crate::steps::interleave;
use crate::world::World;
use crate::world::entitled;
use crate::world::phone;
use attest::authenticator::Authenticator;
use attest::danger_testing::approval;
use attest::handoff::HandoffApproved;
use attest::records::Fingerprint;
use attest::sessions::Approved;
use attest::sign_in::DenyReason;
use attest::ticket::Enrolled;
use std::future::Future;
use std::pin::Pin;

type Task<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Counts through all orders: each one is the list of choices made at its forks.
#[derive(Default)]
struct Orders {
    forks: Vec<(usize, usize)>,
    at: usize,
    seen: usize,
}

impl Orders {
    fn choose(&mut self, of: usize) -> usize {
        if self.at == self.forks.len() {
            self.forks.push((0, of));
        }
        self.at += 1;
        self.forks[self.at - 1].0
    }

    /// Whether there is another order.
    fn next(&mut self) -> bool {
        (self.at, self.seen) = (0, self.seen + 1);
        while let Some((chosen, of)) = self.forks.pop() {
            if chosen + 1 < of {
                self.forks.push((chosen + 1, of));
                return true;
            }
        }
        false
    }
}

async fn phones(world: &World) -> Vec<Fingerprint> {
    let all = world.trust.load_all::<Authenticator>().await.unwrap();
    all.into_iter().map(|phone| phone.authenticator_id).collect()
}

/// Two new phones, each under a ticket of its own that gives up the same old one.
#[tokio::test]
async fn two_replacements_leave_exactly_one_phone_in_every_order() {
    let mut orders = Orders::default();
    let portal = World::new().await;
    let [old, news @ ..] = portal.proved::<3>().await;
    loop {
        let world = portal.again().await;
        let old = world.enrol_proved("u-1", &old, None).await.authenticator_id;
        let (first, _) = world.opened("u-1", Some(old.clone())).await;
        let (second, _) = world.opened("u-1", Some(old)).await;
        world.prove(&first, &news[0]).await;
        world.prove(&second, &news[1]).await;
        let tasks: Vec<Task<'_, _>> =
            vec![Box::pin(world.confirm(&first)), Box::pin(world.confirm(&second))];
        let outcomes = interleave(tasks, |of| orders.choose(of));
        let mut winners = Vec::new();
        for (outcome, new) in outcomes.into_iter().zip(&news) {
            match outcome.unwrap() {
                Enrolled::Done { replaced, .. } => {
                    assert!(replaced.is_some());
                    winners.push(new.authenticator_id().clone());
                }
                Enrolled::OtherPhone => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(phones(&world).await, winners);
        if !orders.next() {
            break;
        }
    }
    assert!(orders.seen > 1_000, "only {} orders were seen", orders.seen);
}

/// Two phones under one ticket, when the holder has none yet.
#[tokio::test]
async fn two_phones_under_one_ticket_leave_exactly_one_in_every_order() {
    let mut orders = Orders::default();
    let portal = World::new().await;
    let news = portal.proved::<2>().await;
    loop {
        let world = portal.again().await;
        let (ticket, _) = world.opened("u-1", None).await;
        let finish = |index: usize| world.finish(&ticket, &news[index]);
        let tasks: Vec<Task<'_, _>> = vec![Box::pin(finish(0)), Box::pin(finish(1))];
        let outcomes = interleave(tasks, |of| orders.choose(of));
        let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
        let done = |outcome: &&Enrolled| matches!(outcome, Enrolled::Done { .. });
        assert_eq!(outcomes.iter().filter(done).count(), 1, "{outcomes:?}");
        assert_eq!(phones(&world).await.len(), 1);
        if !orders.next() {
            break;
        }
    }
    assert!(orders.seen > 100, "only {} orders were seen", orders.seen);
}

/// Two first phones, each under a ticket of its own.
#[tokio::test]
async fn two_first_phones_leave_exactly_one_in_every_order() {
    let mut orders = Orders::default();
    let portal = World::new().await;
    let news = portal.proved::<2>().await;
    loop {
        let world = portal.again().await;
        let (first, _) = world.opened("u-1", None).await;
        let (second, _) = world.opened("u-1", None).await;
        world.prove(&first, &news[0]).await;
        world.prove(&second, &news[1]).await;
        let tasks: Vec<Task<'_, _>> =
            vec![Box::pin(world.confirm(&first)), Box::pin(world.confirm(&second))];
        let outcomes = interleave(tasks, |of| orders.choose(of));
        let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
        let done = |outcome: &&Enrolled| matches!(outcome, Enrolled::Done { .. });
        let other = |outcome: &&Enrolled| matches!(outcome, Enrolled::OtherPhone);
        assert_eq!(outcomes.iter().filter(done).count(), 1, "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(other).count(), 1, "{outcomes:?}");
        assert_eq!(phones(&world).await.len(), 1);
        if !orders.next() {
            break;
        }
    }
    assert!(orders.seen > 100, "only {} orders were seen", orders.seen);
}

/// "This is not mine" beside a phone that is done: one of the two is told that it came too late.
#[tokio::test]
async fn denial_beside_a_phone_is_before_or_after_it_in_every_order() {
    let mut orders = Orders::default();
    let portal = World::new().await;
    let mut phone = phone();
    let [new] = portal.proved().await;
    let authenticator = portal.enrol("u-2", &mut phone, None).await;
    loop {
        let world = portal.again().await;
        let (ticket, _) = world.opened("u-1", None).await;
        world.prove(&ticket, &new).await;
        let tasks: Vec<Task<'_, bool>> = vec![
            Box::pin(async {
                let enrolled = world.confirm(&ticket).await.unwrap();
                matches!(enrolled, Enrolled::Done { .. })
            }),
            Box::pin(async {
                world.tickets.deny(&ticket.ticket_id, DenyReason::ByHolder).await.unwrap()
            }),
        ];
        let won = interleave(tasks, |of| orders.choose(of));
        assert_ne!(won[0], won[1]);
        assert_eq!(phones(&world).await.len(), usize::from(won[0]));
        if !orders.next() {
            break;
        }
    }
    assert!(orders.seen > 10, "only {} orders were seen", orders.seen);
    let mut orders = Orders::default();
    loop {
        phone.counter = 2;
        let world = portal.again().await;
        world.trust.create(&authenticator).await.unwrap();
        let (proof, handoff, _) = world.proof(&authenticator, &mut phone).await;
        let entitlement = entitled();
        let tasks: Vec<Task<'_, bool>> = vec![
            Box::pin(async {
                let outcome = world.handoffs.approve(&proof, &entitlement).await.unwrap();
                matches!(outcome, HandoffApproved::Done(_))
            }),
            Box::pin(async {
                world.handoffs.deny(&handoff.handoff_id, DenyReason::ByHolder).await.unwrap()
            }),
        ];
        let won = interleave(tasks, |of| orders.choose(of));
        assert_ne!(won[0], won[1]);
        if !orders.next() {
            break;
        }
    }
    assert!(orders.seen > 10, "only {} orders were seen", orders.seen);
}

/// Two holders enrol one and the same authenticator, neither of them having a phone.
#[tokio::test]
async fn authenticator_enrolled_by_two_holders_at_once_is_one_holders_in_every_order() {
    let mut orders = Orders::default();
    let portal = World::new().await;
    let [new] = portal.proved().await;
    loop {
        let world = portal.again().await;
        let (mine, _) = world.opened("u-1", None).await;
        let (hers, _) = world.opened("u-2", None).await;
        world.prove(&mine, &new).await;
        world.prove(&hers, &new).await;
        let tasks: Vec<Task<'_, _>> =
            vec![Box::pin(world.confirm(&mine)), Box::pin(world.confirm(&hers))];
        let outcomes = interleave(tasks, |of| orders.choose(of));
        let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
        let done = |outcome: &&Enrolled| matches!(outcome, Enrolled::Done { .. });
        let known = |outcome: &&Enrolled| matches!(outcome, Enrolled::Known);
        assert_eq!(outcomes.iter().filter(done).count(), 1, "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(known).count(), 1, "{outcomes:?}");
        if !orders.next() {
            break;
        }
    }
    assert!(orders.seen > 100, "only {} orders were seen", orders.seen);
}

/// The officer removes the old phone while the new one is being proved by card: the new one is there in any case.
#[tokio::test]
async fn removal_beside_a_replacement_leaves_the_new_phone_in_every_order() {
    let mut orders = Orders::default();
    let portal = World::new().await;
    let [old, new] = portal.proved().await;
    loop {
        let world = portal.again().await;
        let old = world.enrol_proved("u-1", &old, None).await.authenticator_id;
        let (ticket, _) = world.opened("u-1", Some(old.clone())).await;
        world.prove(&ticket, &new).await;
        let tasks: Vec<Task<'_, ()>> = vec![
            Box::pin(async {
                let enrolled = world.confirm(&ticket).await.unwrap();
                assert!(matches!(enrolled, Enrolled::Done { .. }));
            }),
            Box::pin(async { drop(world.authenticators.remove(&old).await.unwrap()) }),
        ];
        interleave(tasks, |of| orders.choose(of));
        assert_eq!(phones(&world).await, vec![new.authenticator_id().clone()]);
        let slot = world.authenticators.phone_of("u-1").await.unwrap().unwrap();
        assert_eq!(slot.authenticator_id, *new.authenticator_id());
        if !orders.next() {
            break;
        }
    }
    assert!(orders.seen > 10, "only {} orders were seen", orders.seen);
}

/// Two pages' phones and a card race for one sign-in.
#[tokio::test]
async fn phone_and_card_racing_for_one_sign_in_get_one_approval_in_every_order() {
    let mut orders = Orders::default();
    loop {
        let world = World::new().await;
        let mut phone = phone();
        let authenticator = world.enrol("u-1", &mut phone, None).await;
        let (proof, handoff, _) = world.proof(&authenticator, &mut phone).await;
        let once_key = Fingerprint::of(b"card");
        let entitlement = entitled();
        let id = &handoff.session_id;
        let tasks: Vec<Task<'_, bool>> = vec![
            Box::pin(async {
                let outcome = world.handoffs.approve(&proof, &entitlement).await.unwrap();
                matches!(outcome, HandoffApproved::Done(_))
            }),
            Box::pin(async {
                let by_card = approval("u-1", "card");
                let outcome = world.sessions.approve(id, by_card, &once_key, None).await.unwrap();
                matches!(outcome, Approved::Code(Some(_)))
            }),
        ];
        let won = interleave(tasks, |of| orders.choose(of));
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        if !orders.next() {
            break;
        }
    }
    assert!(orders.seen > 10, "only {} orders were seen", orders.seen);
}

/// A phone is removed while it approves: approved before, or not at all.
#[tokio::test]
async fn removal_beside_an_approval_is_before_or_after_it_in_every_order() {
    let mut orders = Orders::default();
    let (mut approved, mut gone) = (0, 0);
    loop {
        let world = World::new().await;
        let mut phone = phone();
        let authenticator = world.enrol("u-1", &mut phone, None).await;
        let (proof, ..) = world.proof(&authenticator, &mut phone).await;
        let entitlement = entitled();
        let tasks: Vec<Task<'_, Option<HandoffApproved>>> = vec![
            Box::pin(async { Some(world.handoffs.approve(&proof, &entitlement).await.unwrap()) }),
            Box::pin(async {
                let removed = world.authenticators.remove(&authenticator.authenticator_id).await;
                assert!(removed.unwrap().is_some());
                None
            }),
        ];
        match interleave(tasks, |of| orders.choose(of)).remove(0) {
            Some(HandoffApproved::Done(_)) => approved += 1,
            Some(HandoffApproved::FactorGone) => gone += 1,
            other => panic!("{other:?}"),
        }
        assert!(phones(&world).await.is_empty(), "an approval brought a removed phone back");
        if !orders.next() {
            break;
        }
    }
    assert!(approved > 0 && gone > 0);
}
