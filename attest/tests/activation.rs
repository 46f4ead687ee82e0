//! Activations at the gate: for each of their rules one test where it holds, one where only that rule is broken; and that each
//! entry serves once, whatever overlaps and whenever the appliance is killed.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing helper is a failing test"
)]

use attest::activation::Entries;
use attest::activation::EntryKind;
use attest::activation::NewEntry;
use attest::activation::Requested;
use attest::algorithm::ContentDigest;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::Dtbsr;
use attest::algorithm::KeyType;
use attest::danger_testing::OpenGate;
use attest::danger_testing::START;
use attest::danger_testing::credential;
use attest::danger_testing::no_key;
use attest::danger_testing::system;
use attest::gate::Gate;
use attest::gate::GateError;
use attest::gate::Presented;
use attest::permit::BindError;
use attest::records::Method;
use attest::records::SessionLimits;
use attest::registry::LiveCredential;
use attest::registry::Standing;
use attest::session::EndReason;
use attest::session::LiveSession;
use attest::sessions::Sessions;
use attest::sessions::Wanted;
use attest::sign_in::DenyReason;
use attest::trust::TrustStore;
use proptest::prelude::Just;
use proptest::prelude::ProptestConfig;
use proptest::prelude::Strategy;
use proptest::prop_oneof;
use proptest::proptest;
use std::sync::Arc;

const LIMITS: SessionLimits = SessionLimits { seconds: 300, idle_seconds: 300, signatures: 20 };
const SHA256: DigestAlgorithm = DigestAlgorithm::Sha256;

fn entry(kind: EntryKind, octets: &[u8]) -> NewEntry {
    NewEntry {
        kind,
        algorithm: SHA256,
        value: ContentDigest::of(SHA256, octets).as_bytes().to_vec(),
        credential_id: "key".into(),
        label: String::from_utf8_lossy(octets).into_owned(),
    }
}

fn content(octets: &[u8]) -> Requested {
    ContentDigest::of(SHA256, octets).into()
}

fn octets(octets: &[u8]) -> Requested {
    Requested::Octets(Dtbsr::of(SHA256, octets))
}

fn bare(octets: &[u8]) -> Requested {
    Requested::BareDigest(Dtbsr::of(SHA256, octets))
}

/// Activated for the contents "a" and "b" and for the octets "c".
async fn activated() -> OpenGate {
    let mut world = OpenGate::new(no_key(KeyType::P256), LIMITS).await.unwrap();
    let entries = vec![
        entry(EntryKind::Content, b"a"),
        entry(EntryKind::Content, b"b"),
        entry(EntryKind::Dtbsr, b"c"),
    ];
    world.activate(Entries::new(entries).unwrap()).await.unwrap();
    world
}

async fn permit_all(world: &OpenGate, requested: Vec<Requested>) -> Result<usize, GateError> {
    let admission = world.gate.admit(world.presented())?;
    let scheme = KeyType::P256.default_scheme();
    world.gate.permit_all(admission, scheme, requested).await.map(|permits| permits.len())
}

#[tokio::test]
async fn rules_15_and_16_hold_for_each_entry_once() {
    let world = activated().await;
    for (left, requested) in
        [content(b"a"), content(b"b"), octets(b"c")].into_iter().rev().enumerate()
    {
        assert!(world.permit(requested).await.is_ok(), "{left}");
        assert_eq!(world.session.remaining(), 2 - left as u64);
    }
    let refused = world.permit(content(b"a")).await;
    assert!(matches!(refused, Err(GateError::SessionOver(EndReason::Exhausted))));
}

#[tokio::test]
async fn rule_15_other_value_is_refused() {
    let world = activated().await;
    for other in [content(b"x"), octets(b"x"), bare(b"x")] {
        assert!(matches!(world.permit(other).await, Err(GateError::NoEntry)));
    }
    assert_eq!(world.session.used(), 0);
}

#[tokio::test]
async fn rule_15_kinds_never_serve_each_other() {
    let world = activated().await;
    for other in [octets(b"a"), bare(b"b"), content(b"c")] {
        assert!(matches!(world.permit(other).await, Err(GateError::NoEntry)));
    }
    assert_eq!(world.session.used(), 0);
}

#[tokio::test]
async fn rule_15_entry_of_another_credential_is_refused() {
    let world = activated().await;
    let second = LiveCredential::new(credential("second", "u-1", no_key(KeyType::P256)));
    world.registry.put_credential(second).judge(Standing::Good);
    let shown = Presented { credential_id: Some("second"), ..world.presented() };
    let admission = world.gate.admit(shown).unwrap();
    assert!(matches!(admission.expects(None), Err(GateError::NoEntry)));
    let scheme = KeyType::P256.default_scheme();
    let refused = world.gate.permit(admission, scheme, content(b"a")).await;
    assert!(matches!(refused, Err(GateError::NoEntry)));
    assert!(world.permit(content(b"a")).await.is_ok());
}

/// Octets of the right value under another algorithm cannot be made, but an entry can say so.
#[tokio::test]
async fn rule_15_entry_of_another_algorithm_serves_nothing() {
    let mut world = OpenGate::new(no_key(KeyType::P256), LIMITS).await.unwrap();
    let sha512 = DigestAlgorithm::Sha512;
    let value = ContentDigest::of(sha512, b"a").as_bytes().to_vec();
    let of_sha512 = NewEntry { algorithm: sha512, value, ..entry(EntryKind::Content, b"a") };
    world.activate(Entries::new(vec![of_sha512]).unwrap()).await.unwrap();
    assert!(matches!(world.permit(content(b"a")).await, Err(GateError::NoEntry)));
    let refused = world.permit(ContentDigest::of(sha512, b"a")).await;
    assert!(matches!(refused, Err(GateError::DigestAlgorithm { .. })));
}

#[tokio::test]
async fn rule_16_entry_used_before_is_refused() {
    let world = activated().await;
    world.permit(content(b"a")).await.unwrap();
    assert!(matches!(world.permit(content(b"a")).await, Err(GateError::EntryUsed)));
    assert!(world.permit(content(b"b")).await.is_ok());
}

#[tokio::test]
async fn rule_16_entry_twice_in_one_batch_or_with_one_that_is_none_takes_nothing() {
    let world = activated().await;
    let twice = permit_all(&world, vec![content(b"a"), content(b"a")]).await;
    assert!(matches!(twice, Err(GateError::EntryUsed)));
    let with_another = permit_all(&world, vec![content(b"a"), content(b"x")]).await;
    assert!(matches!(with_another, Err(GateError::NoEntry)));
    assert_eq!(world.session.used(), 0);
    let all = permit_all(&world, vec![content(b"b"), octets(b"c"), content(b"a")]).await;
    assert_eq!(all.unwrap(), 3);
}

#[tokio::test]
async fn rule_17_bare_digest_is_signed_under_an_activation_where_the_registration_opens_it() {
    let world = activated().await;
    let (permit, _) = world.permit(bare(b"c")).await.unwrap();
    assert!(permit.bind_bare_digest().is_ok());
}

#[tokio::test]
async fn rule_17_bare_digest_is_refused_where_the_registration_does_not_open_it() {
    let world = activated().await;
    let mut closed = system("ehr", world.certificate.clone(), LIMITS);
    closed.bare_digests_allowed = false;
    world.registry.put_system(closed);
    assert!(matches!(world.permit(bare(b"c")).await, Err(GateError::BareDigest)));
    assert!(world.permit(octets(b"c")).await.is_ok(), "the octets themselves are no bare digest");
}

#[tokio::test]
async fn rule_17_bare_digest_is_refused_in_a_day_session() {
    let world = OpenGate::new(no_key(KeyType::P256), LIMITS).await.unwrap();
    assert!(matches!(world.permit(bare(b"c")).await, Err(GateError::BareDigest)));
    assert!(world.permit(octets(b"c")).await.is_ok());
}

#[tokio::test]
async fn day_session_expects_any_content_and_an_activation_what_is_left_of_its_own() {
    let day = OpenGate::new(no_key(KeyType::P256), LIMITS).await.unwrap();
    let digest = |octets: &[u8]| ContentDigest::of(SHA256, octets);
    assert!(day.gate.admit(day.presented()).unwrap().expects(Some(&digest(b"x"))).is_ok());
    let world = activated().await;
    let expects = |octets: Option<&[u8]>| {
        let admission = world.gate.admit(world.presented()).unwrap();
        admission.expects(octets.map(digest).as_ref())
    };
    assert!(expects(None).is_ok() && expects(Some(b"a")).is_ok());
    assert!(matches!(expects(Some(b"x")), Err(GateError::NoEntry)));
    assert!(matches!(expects(Some(b"c")), Err(GateError::NoEntry)), "the octets are no content");
    world.permit(content(b"a")).await.unwrap();
    assert!(matches!(expects(Some(b"a")), Err(GateError::EntryUsed)));
    assert!(expects(None).is_ok());
    world.permit(content(b"b")).await.unwrap();
    assert!(matches!(expects(None), Err(GateError::EntryUsed)));
}

/// The other rules are those of every session.
#[tokio::test]
async fn rule_4_activation_is_over_at_its_second_however_often_it_is_used() {
    let world = activated().await;
    world.clock.set(START + 299);
    world.permit(content(b"a")).await.unwrap();
    world.clock.set(START + 300);
    let refused = world.permit(content(b"b")).await;
    assert!(matches!(refused, Err(GateError::SessionOver(EndReason::Expired))));
}

#[tokio::test]
async fn activation_is_over_when_the_last_of_its_signatures_has_left_and_not_before() {
    let world = activated().await;
    let all = vec![content(b"a"), content(b"b"), octets(b"c")];
    permit_all(&world, all).await.unwrap();
    let now = attest::clock::UnixSeconds(START);
    world.session.settle(2);
    assert_eq!(world.session.over(now), None, "one may still be on its way");
    world.session.settle(1);
    assert_eq!(world.session.over(now), Some(EndReason::Exhausted));
}

#[tokio::test]
async fn signatures_of_an_activation_are_never_more_than_the_systems_limit() {
    let mut world = OpenGate::new(no_key(KeyType::P256), LIMITS).await.unwrap();
    let one = SessionLimits { signatures: 1, ..LIMITS };
    world.registry.put_system(system("ehr", world.certificate.clone(), one));
    let entries = vec![entry(EntryKind::Content, b"a"), entry(EntryKind::Content, b"b")];
    world.activate(Entries::new(entries).unwrap()).await.unwrap();
    let both = permit_all(&world, vec![content(b"a"), content(b"b")]).await;
    assert!(matches!(both, Err(GateError::SessionOver(EndReason::Exhausted))));
    assert!(world.permit(content(b"a")).await.is_ok());
    let refused = world.permit(content(b"b")).await;
    assert!(matches!(refused, Err(GateError::SessionOver(EndReason::Exhausted))));
}

#[tokio::test]
async fn permit_of_one_kind_binds_to_nothing_of_another() {
    let world = activated().await;
    let (permit, _) = world.permit(content(b"a")).await.unwrap();
    assert_eq!(permit.bind_octets(b"a").err(), Some(BindError::OtherKind));
    let (permit, _) = world.permit(content(b"b")).await.unwrap();
    assert_eq!(permit.bind_bare_digest().err(), Some(BindError::OtherKind));
    let (permit, _) = world.permit(octets(b"c")).await.unwrap();
    assert_eq!(permit.bind_signed_attrs(b"c").err(), Some(BindError::OtherKind));
}

#[tokio::test]
async fn rule_17_key_that_signs_messages_signs_no_bare_digest_and_uses_nothing_up_for_it() {
    let mut world = OpenGate::new(no_key(KeyType::Ed25519), LIMITS).await.unwrap();
    let dtbsr = Dtbsr::of(DigestAlgorithm::Sha512, b"c");
    let value = dtbsr.as_bytes().to_vec();
    let algorithm = DigestAlgorithm::Sha512;
    let one = NewEntry { algorithm, value, ..entry(EntryKind::Dtbsr, b"c") };
    world.activate(Entries::new(vec![one]).unwrap()).await.unwrap();
    let bare = world.permit(Requested::BareDigest(dtbsr.clone())).await;
    assert!(matches!(bare, Err(GateError::BareDigest)));
    let (permit, _) = world.permit(Requested::Octets(dtbsr)).await.unwrap();
    assert!(permit.bind_octets(b"c").is_ok());
}

/// Labels may name patients: they stay in the store as long as somebody needs them.
#[tokio::test]
async fn entries_go_from_the_store_when_the_session_ends_and_when_the_sign_in_is_denied() {
    let world = activated().await;
    let id = world.session.session_id.clone();
    let record = async |id: &str| world.sessions.record(id).await.unwrap().unwrap().0;
    assert!(record(&id).await.entries.is_some());
    assert!(world.sessions.end(&id, EndReason::Logout).await.unwrap());
    let wanted = Wanted {
        methods: vec![Method::Hpki],
        return_url: Some("https://ehr.example/return".into()),
        entries: Some(Entries::new(vec![entry(EntryKind::Content, b"a")]).unwrap()),
        ..Wanted::default()
    };
    let system = world.registry.system("ehr").unwrap();
    let denied = world.sessions.create(&system, wanted).await.unwrap().record.session_id;
    assert!(world.sessions.deny(&denied, DenyReason::ByHolder).await.unwrap());
    for id in [id, denied] {
        let over = record(&id).await;
        assert!(over.entries.is_none() && over.is_activation(), "{over:?}");
    }
}

#[tokio::test]
async fn fifty_requests_at_once_for_one_entry_get_one_permit() {
    let world = Arc::new(activated().await);
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.permit(content(b"a")).await.is_ok() })
        })
        .collect();
    let mut permitted = 0;
    for task in tasks {
        permitted += usize::from(task.await.unwrap());
    }
    assert_eq!(permitted, 1);
}

/// What happens to an activation of eight entries.
#[derive(Clone, Debug)]
enum Step {
    /// These entries are asked for at once, each by somebody else.
    Together(Vec<u8>),
    /// These are asked for in one batch.
    Batch(Vec<u8>),
    /// The appliance is killed and starts again.
    Kill,
    /// It is stopped in good order, and starts again.
    Stop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Two more than there are: those are never approved.
    let some = || proptest::collection::vec(0_u8..10, 1..6);
    let step = prop_oneof![
        4 => some().prop_map(Step::Together),
        2 => some().prop_map(Step::Batch),
        1 => Just(Step::Kill),
        1 => Just(Step::Stop),
    ];
    proptest::collection::vec(step, 1..24)
}

/// The gate of an appliance that has just started with this store.
async fn started(world: &OpenGate) -> (Arc<Gate>, Arc<Sessions>) {
    let trust = TrustStore::new(world.store.clone(), &[1; 32]);
    let sessions = Arc::new(Sessions::new(trust, world.clock.clone()));
    sessions.load().await.unwrap();
    for session in sessions.all() {
        session.judge_evidence(Standing::Good);
    }
    let gate = Gate::new(world.registry.clone(), sessions.clone(), world.clock.clone());
    (Arc::new(gate), sessions)
}

async fn ask(gate: &Gate, world: &OpenGate, entries: &[u8]) -> bool {
    let Ok(admission) = gate.admit(world.presented()) else { return false };
    let requested = entries.iter().map(|entry| content(&[*entry])).collect();
    gate.permit_all(admission, KeyType::P256.default_scheme(), requested).await.is_ok()
}

async fn each_entry_serves_once(steps: Vec<Step>) {
    let mut world = OpenGate::new(no_key(KeyType::P256), LIMITS).await.unwrap();
    let entries = (0..8).map(|n| entry(EntryKind::Content, &[n])).collect();
    world.activate(Entries::new(entries).unwrap()).await.unwrap();
    let world = Arc::new(world);
    let (mut gate, mut sessions) = started(&world).await;
    let mut served = [0_u32; 10];
    for step in steps {
        match step {
            Step::Together(entries) => {
                let tasks: Vec<_> = entries
                    .into_iter()
                    .map(|entry| {
                        let (gate, world) = (gate.clone(), world.clone());
                        tokio::spawn(async move { (entry, ask(&gate, &world, &[entry]).await) })
                    })
                    .collect();
                for task in tasks {
                    let (entry, is_served) = task.await.unwrap();
                    served[usize::from(entry)] += u32::from(is_served);
                }
            }
            Step::Batch(entries) => {
                if ask(&gate, &world, &entries).await {
                    entries.iter().for_each(|entry| served[usize::from(*entry)] += 1);
                }
            }
            Step::Kill => (gate, sessions) = started(&world).await,
            Step::Stop => {
                sessions.give_back().await.unwrap();
                (gate, sessions) = started(&world).await;
            }
        }
    }
    // Whatever is left can still be had, in any order, and nothing else.
    for entry in (0..10).rev() {
        served[usize::from(entry)] += u32::from(ask(&gate, &world, &[entry]).await);
    }
    assert_eq!(served, [1, 1, 1, 1, 1, 1, 1, 1, 0, 0]);
    let is_used_up =
        |session: &Arc<LiveSession>| session.entries().is_none() || session.remaining() == 0;
    let over = sessions.all().iter().all(is_used_up);
    assert!(over, "entries are left that nobody can use");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn each_entry_serves_once_whatever_overlaps_and_over_restarts(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
        runtime.block_on(each_entry_serves_once(steps));
    }
}
