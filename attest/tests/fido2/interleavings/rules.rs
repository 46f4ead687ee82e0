//! What holds after every step, whatever was done in it.

use super::act::Act;
use super::act::HOLDERS;
use super::run::Came;
use super::run::House;
use attest::authenticator::Authenticator;
use attest::authenticator::PhoneSlot;
use attest::clock::UnixSeconds;
use attest::jpki::JpkiLink;
use attest::jpki::JpkiSlot;
use attest::notification_card::CardStanding;
use attest::notification_card::CardState;
use attest::notification_card::NotificationCard;
use attest::records::CardLink;
use attest::records::Fingerprint;
use attest::records::Holder;
use attest::sign_in::Phase;
use attest::sign_in::SessionRecord;
use attest::store::Rev;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;

/// The whole store.
pub struct Snapshot {
    records: BTreeMap<Vec<u8>, Rev>,
    phones: Vec<Authenticator>,
    links: Vec<JpkiLink>,
    letters: Vec<NotificationCard>,
    sessions: Vec<SessionRecord>,
    people: Vec<Person>,
}

/// By what a holder can prove themselves.
struct Person {
    is_enabled: bool,
    phone: Option<Fingerprint>,
    my_number: Option<Fingerprint>,
    has_card: bool,
}

impl Snapshot {
    pub async fn of(house: &House) -> Self {
        let trust = &house.cards.world.trust;
        let (mut records, mut after) = (BTreeMap::new(), None::<Vec<u8>>);
        loop {
            let page = trust.store().scan(b"", after.as_deref(), 1_000).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            records.extend(page.into_iter().map(|(key, found)| (key, found.rev)));
        }
        let cards = trust.load_all::<CardLink>().await.unwrap();
        let mut people = Vec::new();
        for who in HOLDERS {
            let phone = trust.find::<PhoneSlot>(who).await.unwrap();
            let my_number = trust.find::<JpkiSlot>(who).await.unwrap();
            people.push(Person {
                is_enabled: trust.find::<Holder>(who).await.unwrap().unwrap().enabled,
                phone: phone.map(|slot| slot.authenticator_id),
                my_number: my_number.map(|slot| slot.card),
                has_card: cards.iter().any(|card| card.holder_id == who),
            });
        }
        Self {
            records,
            phones: trust.load_all().await.unwrap(),
            links: trust.load_all().await.unwrap(),
            letters: trust.load_all().await.unwrap(),
            sessions: trust.load_all().await.unwrap(),
            people,
        }
    }

    /// First parts of the names of what differs from `before`.
    fn changed(&self, before: &Self) -> HashSet<String> {
        let differs = |key: &&Vec<u8>| self.records.get(*key) != before.records.get(*key);
        let changed = self.records.keys().chain(before.records.keys()).filter(differs);
        changed
            .map(|key| String::from_utf8_lossy(key).split('/').next().unwrap().to_owned())
            .collect()
    }
}

/// What happened so far, as the rules remember it.
#[derive(Default)]
pub struct Book {
    /// What has had its one use: tickets, hand-offs, letters, codes.
    used: HashSet<String>,
    /// Handshakes and answers that something came of.
    evidence: HashSet<Fingerprint>,
    /// Sign-ins that were approved, and by what evidence.
    approved: HashMap<String, String>,
    activated: HashSet<String>,
    /// How often each kind of act was done, or refused.
    pub counts: BTreeMap<String, usize>,
}

impl Book {
    /// Holds one step against the rules.
    pub fn judge(&mut self, acts: &[Act], came: &[Came], before: &Snapshot, after: &Snapshot) {
        let mut registered = HashSet::new();
        for (act, came) in acts.iter().zip(came) {
            let name = format!("{act:?}").split(' ').next().unwrap().to_owned();
            let outcome = if came.is_done { "done" } else { "refused" };
            *self.counts.entry(format!("{name} {outcome}")).or_default() += 1;
            assert!(!(act.is_wrong() && came.is_done), "{act:?} was taken");
            self.note(came);
            registered.extend(came.registered.clone());
        }
        if let ([act], [came]) = (acts, came)
            && !came.is_done
        {
            let changed = after.changed(before);
            let may = |kind: &String| came.may_touch.contains(&kind.as_str());
            assert!(changed.iter().all(may), "{act:?} was refused and changed {changed:?}");
        }
        one_of_each(after);
        for (index, who) in HOLDERS.iter().enumerate() {
            let taken = acts.iter().any(|act| act.takes_from() == Some(index));
            nobody_is_locked_out(who, taken, [&before.people[index], &after.people[index]]);
            let pair = [&before.people[index], &after.people[index]];
            nothing_comes_from_nowhere(pair, &registered, acts);
        }
        letters_end_for_a_reason(acts, before, after);
        self.sessions_have_evidence(after);
    }

    fn note(&mut self, came: &Came) {
        for once in &came.once {
            assert!(self.used.insert(once.clone()), "{once} was used twice");
        }
        for evidence in &came.evidence {
            assert!(self.evidence.insert(evidence.clone()), "evidence was used twice");
        }
        if let Some((session_id, evidence)) = &came.approved {
            let before = self.approved.insert(session_id.clone(), evidence.clone());
            assert_eq!(before, None, "a sign-in was approved twice");
        }
        if let Some(session_id) = &came.activated {
            assert!(self.activated.insert(session_id.clone()), "a code worked twice");
        }
    }

    fn sessions_have_evidence(&self, after: &Snapshot) {
        for record in &after.sessions {
            let approval = match &record.phase {
                Phase::Approved { approval, .. } => approval,
                Phase::Active { approval, .. } => {
                    assert!(self.activated.contains(&record.session_id), "no code came back");
                    approval
                }
                Phase::Pending { .. } | Phase::Denied { .. } | Phase::Ended { .. } => continue,
            };
            let evidence = self.approved.get(&record.session_id);
            assert_eq!(evidence, Some(&approval.evidence), "a session without evidence");
        }
    }
}

/// A holder has one phone and one My Number card at most, and the slots say which.
fn one_of_each(after: &Snapshot) {
    for (person, who) in after.people.iter().zip(HOLDERS) {
        let phones: Vec<_> = after.phones.iter().filter(|phone| phone.holder_id == who).collect();
        assert!(phones.len() <= 1, "{} phones of {who}", phones.len());
        let phone = phones.first().map(|phone| &phone.authenticator_id);
        assert_eq!(phone, person.phone.as_ref(), "slot and phone of {who} disagree");
        let links: Vec<_> = after.links.iter().filter(|link| link.holder_id == who).collect();
        assert!(links.len() <= 1, "{} My Number cards of {who}", links.len());
        let card = links.first().map(|link| &link.card);
        assert_eq!(card, person.my_number.as_ref(), "slot and card of {who} disagree");
    }
}

/// Each way in stays until an officer takes it; a phone or card may give its place to another.
fn nobody_is_locked_out(who: &str, taken: bool, [before, after]: [&Person; 2]) {
    let stays = |before: bool, after: bool| taken || !before || after;
    assert!(stays(before.phone.is_some(), after.phone.is_some()), "{who} lost the phone");
    assert!(stays(before.my_number.is_some(), after.my_number.is_some()), "{who} lost the card");
    assert!(stays(before.has_card, after.has_card), "{who} lost the HPKI card");
}

/// What is new was registered in this very step, for somebody who may sign; what it replaced went only with that.
fn nothing_comes_from_nowhere(
    [before, after]: [&Person; 2],
    registered: &HashSet<Fingerprint>,
    acts: &[Act],
) {
    let pairs = [(&before.phone, &after.phone), (&before.my_number, &after.my_number)];
    for (before_it, it) in pairs {
        let Some(new) = it.as_ref().filter(|new| Some(*new) != before_it.as_ref()) else {
            continue;
        };
        assert!(registered.contains(new), "a factor came from nowhere");
        let resumed = acts.iter().any(|act| matches!(act, Act::Resume { .. }));
        assert!(before.is_enabled || resumed, "a suspended holder got a factor");
    }
}

/// A letter that is no longer good was used, or found a phone, or an officer withdrew it, or its tries or time are over.
fn letters_end_for_a_reason(acts: &[Act], before: &Snapshot, after: &Snapshot) {
    let officer = |act: &Act| matches!(act, Act::IssueLetter { .. } | Act::WithdrawLetter { .. });
    for letter in &before.letters {
        let now = after.letters.iter().find(|found| found.card_id == letter.card_id).unwrap();
        let is_final =
            |letter: &NotificationCard| letter.standing(UnixSeconds(0)) == CardStanding::Over;
        if is_final(letter) {
            assert_eq!(now.state, letter.state, "a letter that was over moved");
            continue;
        }
        let person = HOLDERS.iter().position(|who| *who == letter.holder_id).unwrap();
        match &now.state {
            CardState::Withdrawn => assert!(acts.iter().any(officer), "a letter was withdrawn"),
            CardState::Done { .. } | CardState::AlreadyRegistered => {
                let taken = acts.iter().any(|act| act.takes_from() == Some(person));
                let has_phone = after.people[person].phone.is_some();
                assert!(has_phone || taken, "a letter ended for no phone");
            }
            CardState::Issued | CardState::Opened | CardState::Registering { .. } => {}
        }
    }
    let live = |who: &&str| {
        let own = after.letters.iter().filter(|letter| letter.holder_id == **who);
        own.filter(|letter| letter.standing(UnixSeconds(0)) == CardStanding::Live).count()
    };
    assert!(HOLDERS.iter().all(|who| live(who) <= 1), "two letters are good at once");
}
