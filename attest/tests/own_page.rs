//! Sign-ins for the portal itself: their code opens a page, once, and the gate never.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failing helper is a failing test")]

use attest::algorithm::KeyType;
use attest::clock::UnixSeconds;
use attest::danger_testing::OpenGate;
use attest::danger_testing::START;
use attest::danger_testing::approval;
use attest::danger_testing::no_key;
use attest::danger_testing::system;
use attest::gate::GateError;
use attest::gate::Presented;
use attest::own_page::PORTAL;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::records::SessionLimits;
use attest::sessions::Activation;
use attest::sessions::Approved;
use attest::sessions::Sessions;
use attest::sessions::Wanted;
use attest::sign_in::CODE_SECONDS;
use attest::sign_in::DenyReason;
use attest::sign_in::Phase;
use attest::sign_in::SessionRecord;
use attest::trust::TrustStore;

const LIMITS: SessionLimits = SessionLimits { seconds: 3_600, idle_seconds: 600, signatures: 20 };

async fn open() -> OpenGate {
    OpenGate::new(no_key(KeyType::P256), LIMITS).await.unwrap()
}

/// An approved sign-in of `u-1` for `system_id`, and its code.
async fn approved(world: &OpenGate, system_id: &str) -> (String, String) {
    let asking = system(system_id, Fingerprint::of(b"nobody's certificate"), LIMITS);
    let wanted = Wanted {
        holder_id: None,
        methods: vec![Method::Hpki],
        return_url: Some("https://portal.example/arrive".into()),
        entries: None,
    };
    let id = world.sessions.create(&asking, wanted).await.unwrap().record.session_id;
    let once_key = Fingerprint::of(id.as_bytes());
    let approval = approval("u-1", &id);
    let done = world.sessions.approve(&id, approval, &once_key, None).await.unwrap();
    let Approved::Code(Some(code)) = done else { panic!("no code") };
    (id, code)
}

#[tokio::test]
async fn code_of_the_portals_own_sign_in_opens_a_page_once() {
    let world = open().await;
    let (id, code) = approved(&world, PORTAL).await;
    let found = world.sessions.redeem(&id, &code).await.unwrap().unwrap();
    assert_eq!((found.holder_id.as_str(), found.evidence), ("u-1", id.clone()));
    assert!(world.sessions.redeem(&id, &code).await.unwrap().is_none());
    assert!(world.sessions.record(&id).await.unwrap().is_none());
}

#[tokio::test]
async fn page_is_opened_by_one_of_two_browsers_at_once() {
    let world = open().await;
    for _round in 0..20 {
        let (id, code) = approved(&world, PORTAL).await;
        let both =
            tokio::join!(world.sessions.redeem(&id, &code), world.sessions.redeem(&id, &code));
        let won = [both.0.unwrap(), both.1.unwrap()].iter().flatten().count();
        assert_eq!(won, 1);
    }
}

#[tokio::test]
async fn page_is_not_opened_by_a_wrong_code() {
    let world = open().await;
    let (id, _) = approved(&world, PORTAL).await;
    assert!(world.sessions.redeem(&id, "guess").await.unwrap().is_none());
}

#[tokio::test]
async fn page_is_not_opened_by_a_code_that_is_too_late() {
    let world = open().await;
    let (in_time, late) = (approved(&world, PORTAL).await, approved(&world, PORTAL).await);
    world.clock.set(START + CODE_SECONDS - 1);
    assert!(world.sessions.redeem(&in_time.0, &in_time.1).await.unwrap().is_some());
    world.clock.set(START + CODE_SECONDS);
    assert!(world.sessions.redeem(&late.0, &late.1).await.unwrap().is_none());
}

#[tokio::test]
async fn page_is_not_opened_by_the_code_of_a_signing_system() {
    let world = open().await;
    let (id, code) = approved(&world, "ehr").await;
    assert!(world.sessions.redeem(&id, &code).await.unwrap().is_none());
    let active = world.sessions.activate(&id, &code, LIMITS).await.unwrap();
    assert!(matches!(active, Activation::Active { .. }), "its own way stays open");
}

#[tokio::test]
async fn page_is_not_opened_after_its_sign_in_was_withdrawn() {
    let world = open().await;
    let (id, code) = approved(&world, PORTAL).await;
    let theirs = world.sessions.deny_approved(&|session| session.holder_id == "u-1").await;
    assert_eq!(theirs.unwrap(), 1);
    assert!(world.sessions.redeem(&id, &code).await.unwrap().is_none());
    assert!(!world.sessions.deny(&id, DenyReason::Withdrawn).await.unwrap());
}

#[tokio::test]
async fn code_of_the_portals_own_sign_in_gives_no_session() {
    let world = open().await;
    let (id, code) = approved(&world, PORTAL).await;
    let refused = world.sessions.activate(&id, &code, LIMITS).await.unwrap();
    assert!(matches!(refused, Activation::Expired));
    assert!(world.sessions.by_id(&id).is_none());
}

/// Even with a registration of that name and a record that says so: nobody but a fault of ours could write either.
#[tokio::test]
async fn gate_never_opens_under_the_portals_name() {
    for (system_id, opens) in [("ehr", true), (PORTAL, false)] {
        let world = open().await;
        world.registry.put_system(system(system_id, world.certificate.clone(), LIMITS));
        let trust = TrustStore::new(world.store.clone(), &[1; 32]);
        let (id, _) = approved(&world, system_id).await;
        let (record, rev) = trust.load::<SessionRecord>(&id).await.unwrap().unwrap();
        let phase = Phase::Active {
            approval: approval("u-1", "e"),
            token: Fingerprint::of(b"token"),
            expires_at: UnixSeconds(START + 600),
            limits: LIMITS,
            reserved: 0,
            last_used: UnixSeconds(START),
            used_entries: Vec::new(),
        };
        trust.replace(&SessionRecord { phase, ..record }, rev).await.unwrap();
        let sessions = std::sync::Arc::new(Sessions::new(trust, world.clock.clone()));
        sessions.load().await.unwrap();
        if let Some(session) = sessions.by_id(&id) {
            session.judge_evidence(attest::registry::Standing::Good);
        }
        let gate =
            attest::gate::Gate::new(world.registry.clone(), sessions.clone(), world.clock.clone());
        let presented = Presented { signing_token: "token", ..world.presented() };
        let refused = gate.admit(presented).err();
        assert_eq!(refused.is_none(), opens, "{system_id}: {refused:?}");
        assert!(opens || matches!(refused, Some(GateError::SessionUnknown)));
    }
}
