//! What PCs, phones, officers and the clock do: each alone, or in the order in which people do it.

use proptest::collection::vec;
use proptest::prelude::BoxedStrategy;
use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prop_oneof;

pub const HOLDERS: [&str; 2] = ["u-1", "u-2"];

/// One act. A number picks among what there is, 0 the newest; `right` is false for a guess, a stranger's card or another key;
/// `again` shows a handshake that was shown before.
#[derive(Clone, Debug)]
pub enum Act {
    // PCs
    BeginByCard { who: usize, gives_up: bool, again: bool },
    BeginByMyNumber { who: usize, again: bool },
    Confirm { ticket: usize, right: bool, again: bool },
    BeginLink { who: usize, gives_up: bool, again: bool },
    ProveLink { link: usize, card: u8, again: bool },
    ConfirmLink { link: usize, right: bool, again: bool },
    DenyLink { link: usize },
    BeginChange { who: usize },
    Agree { change: usize, yes: bool },
    HandOff { who: usize },
    Activate { handoff: usize, right: bool },
    // phones
    Open { ticket: usize, right: bool },
    Register { ticket: usize },
    Deny { ticket: usize },
    ProveChange { change: usize, may: bool },
    TypeSecond { ticket: usize, right: bool },
    ConfirmByPhone { ticket: usize, right: bool },
    Approve { handoff: usize },
    DenyHandOff { handoff: usize },
    Replay { proof: usize },
    Look,
    TypePassword { letter: usize, right: bool },
    RegisterByLetter { registration: usize },
    // officers
    IssueLetter { who: usize },
    WithdrawLetter { letter: usize },
    RemovePhone { who: usize },
    Unlink { who: usize },
    UnlinkCard { who: usize },
    LinkCard { who: usize },
    Suspend { who: usize },
    Resume { who: usize },
    Retire { who: usize },
    // the clock
    Wait { seconds: u64 },
}

impl Act {
    /// Whether it is a guess, another's card or another key, which nobody takes.
    pub fn is_wrong(&self) -> bool {
        matches!(
            self,
            Self::Confirm { right: false, .. }
                | Self::ConfirmLink { right: false, .. }
                | Self::Activate { right: false, .. }
                | Self::Open { right: false, .. }
                | Self::TypeSecond { right: false, .. }
                | Self::ConfirmByPhone { right: false, .. }
                | Self::TypePassword { right: false, .. }
        )
    }

    /// Whose ways in an officer may take by it.
    pub fn takes_from(&self) -> Option<usize> {
        match self {
            Self::RemovePhone { who }
            | Self::Unlink { who }
            | Self::UnlinkCard { who }
            | Self::Suspend { who }
            | Self::Retire { who }
            | Self::IssueLetter { who } => Some(*who),
            _ => None,
        }
    }
}

/// Acts in any order: lives of several people and devices, mixed, with whatever else happens among them. With them, how many
/// of them happen at once.
pub fn acts() -> impl Strategy<Value = Vec<(Act, bool)>> {
    let lives = vec(prop_oneof![5 => life(), 2 => vec(noise(), 1..4)], 3..=7);
    (lives, vec(any::<proptest::sample::Index>(), 80), vec(any::<bool>(), 80)).prop_map(mixed)
}

/// Each life keeps its own order; now and then another one goes on.
fn mixed(
    (lives, picks, at_once): (Vec<Vec<Act>>, Vec<proptest::sample::Index>, Vec<bool>),
) -> Vec<(Act, bool)> {
    let mut lives: Vec<_> = lives.into_iter().map(Vec::into_iter).collect();
    let (mut acts, mut current) = (Vec::new(), 0);
    for (pick, at_once) in picks.into_iter().zip(at_once) {
        lives.retain(|life| life.len() > 0);
        let Some(len) = Some(lives.len()).filter(|len| *len > 0) else { break };
        // One pick in five is a change.
        let pick = pick.index(5 * len);
        current = if pick < len { pick } else { current % len };
        let Some(act) = lives[current].next() else { break };
        // Now and then somebody presses twice.
        if pick % 8 == 0 {
            acts.push((act.clone(), true));
        }
        acts.push((act, at_once && pick % 2 == 0));
    }
    acts
}

/// A way that people go to its end; the numbers pick the newest of everything.
fn life() -> BoxedStrategy<Vec<Act>> {
    let card = (who(), any::<bool>()).prop_map(|(who, gives_up)| by_card(who, gives_up));
    let errs = who().prop_map(|who| {
        let wrong = vec![
            Act::Confirm { ticket: 0, right: false, again: false },
            Act::Confirm { ticket: 0, right: true, again: true },
            confirm(),
            Act::Deny { ticket: 0 },
        ];
        let begin = Act::BeginByCard { who, gives_up: true, again: false };
        [vec![begin, Act::Open { ticket: 0, right: false }], enrol(), wrong].concat()
    });
    let link = (who(), 0..3_u8, any::<bool>()).prop_map(|(who, card, errs)| {
        let mut acts = link_card(who, card);
        if errs {
            let end = acts.pop();
            acts.push(Act::ConfirmLink { link: 0, right: false, again: false });
            acts.push(Act::ConfirmLink { link: 0, right: true, again: true });
            acts.extend(end);
            acts.push(Act::DenyLink { link: 0 });
        }
        acts
    });
    let my_number = who().prop_map(|who| {
        let begin = vec![A_DAY, Act::BeginByMyNumber { who, again: false }];
        [link_card(who, 0), begin, enrol(), vec![confirm()]].concat()
    });
    let change = (who(), any::<bool>()).prop_map(|(who, errs)| {
        let begin = vec![
            A_DAY,
            Act::BeginChange { who },
            Act::ProveChange { change: 0, may: true },
            Act::Agree { change: 0, yes: true },
        ];
        let mut end = vec![
            Act::TypeSecond { ticket: 0, right: false },
            Act::ConfirmByPhone { ticket: 0, right: false },
            Act::TypeSecond { ticket: 0, right: true },
            Act::ConfirmByPhone { ticket: 0, right: true },
            Act::Replay { proof: 0 },
        ];
        end.drain(..if errs { 0 } else { 2 });
        [by_card(who, true), begin, enrol(), end].concat()
    });
    let letter = who().prop_map(|who| {
        vec![
            Act::IssueLetter { who },
            Act::TypePassword { letter: 0, right: true },
            Act::RegisterByLetter { registration: 0 },
        ]
    });
    let sign_in = who().prop_map(|who| {
        let sign_in = vec![
            Act::HandOff { who },
            Act::Approve { handoff: 0 },
            Act::Activate { handoff: 0, right: true },
            Act::Replay { proof: 0 },
        ];
        [by_card(who, true), sign_in].concat()
    });
    prop_oneof![
        3 => card, 2 => errs, 2 => link, 1 => my_number, 3 => change, 2 => letter, 3 => sign_in
    ]
    .boxed()
}

/// A phone by card, in place of the one there is where that is given up.
fn by_card(who: usize, gives_up: bool) -> Vec<Act> {
    let begin = Act::BeginByCard { who, gives_up, again: false };
    [vec![begin], enrol(), vec![confirm()]].concat()
}

fn link_card(who: usize, card: u8) -> Vec<Act> {
    vec![
        Act::BeginLink { who, gives_up: true, again: false },
        Act::ProveLink { link: 0, card, again: false },
        Act::ConfirmLink { link: 0, right: true, again: false },
    ]
}

const A_DAY: Act = Act::Wait { seconds: 86_400 };

fn enrol() -> Vec<Act> {
    vec![Act::Open { ticket: 0, right: true }, Act::Register { ticket: 0 }]
}

fn confirm() -> Act {
    Act::Confirm { ticket: 0, right: true, again: false }
}

/// Mostly one person.
fn who() -> impl Strategy<Value = usize> {
    prop_oneof![4 => Just(0_usize), 1 => Just(1_usize)]
}

/// Anything, at any moment.
fn noise() -> BoxedStrategy<Act> {
    let right = || any::<bool>();
    // One handshake in eight was shown before.
    let again = || (0..8_u8).prop_map(|n| n == 0);
    let at = || 0..4_usize;
    let pcs = prop_oneof![
        (who(), right(), again()).prop_map(|(who, gives_up, again)| Act::BeginByCard {
            who,
            gives_up,
            again
        }),
        (who(), again()).prop_map(|(who, again)| Act::BeginByMyNumber { who, again }),
        (at(), right(), again()).prop_map(|(ticket, right, again)| Act::Confirm {
            ticket,
            right,
            again
        }),
        (at(), 0..3_u8, again()).prop_map(|(link, card, again)| Act::ProveLink {
            link,
            card,
            again
        }),
        (at(), right(), again()).prop_map(|(link, right, again)| Act::ConfirmLink {
            link,
            right,
            again
        }),
        at().prop_map(|link| Act::DenyLink { link }),
        (at(), right()).prop_map(|(change, yes)| Act::Agree { change, yes }),
        (at(), right()).prop_map(|(handoff, right)| Act::Activate { handoff, right }),
    ];
    let phones = prop_oneof![
        (at(), right()).prop_map(|(ticket, right)| Act::Open { ticket, right }),
        at().prop_map(|ticket| Act::Register { ticket }),
        at().prop_map(|ticket| Act::Deny { ticket }),
        (at(), right()).prop_map(|(change, may)| Act::ProveChange { change, may }),
        (at(), right()).prop_map(|(ticket, right)| Act::TypeSecond { ticket, right }),
        (at(), right()).prop_map(|(ticket, right)| Act::ConfirmByPhone { ticket, right }),
        at().prop_map(|handoff| Act::Approve { handoff }),
        at().prop_map(|handoff| Act::DenyHandOff { handoff }),
        at().prop_map(|proof| Act::Replay { proof }),
        Just(Act::Look),
        (at(), right()).prop_map(|(letter, right)| Act::TypePassword { letter, right }),
        at().prop_map(|registration| Act::RegisterByLetter { registration }),
    ];
    let officers = prop_oneof![
        at().prop_map(|letter| Act::WithdrawLetter { letter }),
        who().prop_map(|who| Act::RemovePhone { who }),
        who().prop_map(|who| Act::Unlink { who }),
        who().prop_map(|who| Act::UnlinkCard { who }),
        who().prop_map(|who| Act::LinkCard { who }),
        who().prop_map(|who| Act::Suspend { who }),
        who().prop_map(|who| Act::Resume { who }),
        Just(Act::Retire { who: 1 }),
    ];
    let clock = prop_oneof![
        2 => (1..60_u64).prop_map(|seconds| Act::Wait { seconds }),
        1 => (170..310_u64).prop_map(|seconds| Act::Wait { seconds }),
        1 => (86_300..86_500_u64).prop_map(|seconds| Act::Wait { seconds }),
    ];
    prop_oneof![4 => pcs, 6 => phones, 3 => officers, 2 => clock].boxed()
}
