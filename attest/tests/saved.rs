//! Sign-ins that a browser keeps: what a click goes on with, what it never widens, and what ends it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing helper is a failing test"
)]

mod steps;

use attest::activation::Entries;
use attest::activation::EntryKind;
use attest::activation::NewEntry;
use attest::algorithm::DigestAlgorithm;
use attest::algorithm::KeyType;
use attest::clock::UnixSeconds;
use attest::danger_testing::OpenGate;
use attest::danger_testing::START;
use attest::danger_testing::approval;
use attest::danger_testing::no_key;
use attest::handoff::Entitlement;
use attest::own_page::PORTAL;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::records::SessionLimits;
use attest::saved::MAX_OF_HOLDER;
use attest::saved::SavedSignIn;
use attest::session::EndReason;
use attest::session::LiveSession;
use attest::sessions::Activation;
use attest::sessions::Approved;
use attest::sessions::Kept;
use attest::sessions::Sessions;
use attest::sessions::Wanted;
use attest::sessions::WentOn;
use attest::sign_in::Approval;
use attest::sign_in::DenyReason;
use attest::sign_in::Phase;
use attest::trust::TrustStore;
use std::sync::Arc;
use steps::StepStore;
use steps::interleave;

const LIMITS: SessionLimits = SessionLimits { seconds: 3_600, idle_seconds: 600, signatures: 20 };

struct World(OpenGate);

/// A sign-in by fresh evidence, kept in a browser.
struct Fresh {
    session: Arc<LiveSession>,
    cookie: String,
}

impl World {
    async fn open() -> Self {
        Self(OpenGate::new(no_key(KeyType::P256), LIMITS).await.unwrap())
    }

    /// A sign-in that is asked for; its name.
    async fn asked(&self, system_id: &str, wanted: Wanted) -> String {
        let asking = attest::danger_testing::system(system_id, Fingerprint::of(b"none"), LIMITS);
        self.0.sessions.create(&asking, wanted).await.unwrap().record.session_id
    }

    async fn link(&self, system_id: &str) -> String {
        self.asked(system_id, wanted("u-1")).await
    }

    /// Evidence of now approves it; its code.
    async fn approve(&self, id: &str, holder_id: &str) -> String {
        let fresh = Approval {
            limits: LIMITS,
            authenticated_at: self.now(),
            second_certificates: vec![Fingerprint::of(b"second")],
            ..approval(holder_id, id)
        };
        let once_key = Fingerprint::of(id.as_bytes());
        match self.0.sessions.approve(id, fresh, &once_key, None).await.unwrap() {
            Approved::Code(Some(code)) => code,
            _ => panic!("not approved"),
        }
    }

    async fn keep(&self, id: &str, code: &str, cookie: Option<&str>) -> Option<Kept> {
        let found = self.0.sessions.approved_by_code(id, code).await.unwrap().unwrap();
        self.0.sessions.keep(found, cookie, LIMITS).await.unwrap()
    }

    async fn activate(&self, id: &str, code: &str) -> Activation {
        self.0.sessions.activate(id, code, LIMITS).await.unwrap()
    }

    async fn activated(&self, id: &str, code: &str) -> Arc<LiveSession> {
        match self.activate(id, code).await {
            Activation::Active { session, .. } => session,
            _ => panic!("not active"),
        }
    }

    async fn fresh(&self, system_id: &str, holder_id: &str, cookie: Option<&str>) -> Fresh {
        let id = self.asked(system_id, wanted(holder_id)).await;
        let code = self.approve(&id, holder_id).await;
        let cookie = self.keep(&id, &code, cookie).await.unwrap().cookie;
        Fresh { session: self.activated(&id, &code).await, cookie }
    }

    async fn saved(&self, cookie: &str, system_id: &str) -> Option<SavedSignIn> {
        self.0.sessions.saved(cookie, system_id).await.unwrap()
    }

    async fn click(&self, id: &str, saved: &SavedSignIn) -> WentOn {
        self.0.sessions.go_on(id, saved, &entitlement(), "PC 7").await.unwrap()
    }

    /// As the keeper does it: the session before ends, then the click.
    async fn go_on(&self, cookie: &str) -> (String, WentOn) {
        let saved = self.saved(cookie, "ehr").await.unwrap();
        self.0.sessions.end(&saved.session_id, EndReason::Continued).await.unwrap();
        if let Some(live) = self.0.sessions.by_id(&saved.session_id) {
            live.end(EndReason::Continued);
            self.0.sessions.forget(&live);
        }
        let id = self.link("ehr").await;
        let went_on = self.click(&id, &saved).await;
        (id, went_on)
    }

    /// The same sign-ins, over a store that stops before each step.
    fn by_steps(&self) -> Sessions {
        let store = Arc::new(StepStore(self.0.store.clone()));
        Sessions::new(TrustStore::new(store, &[1; 32]), self.0.clock.clone())
    }

    fn now(&self) -> UnixSeconds {
        use attest::clock::Clock;
        self.0.clock.now().unwrap()
    }
}

/// An order of steps.
fn order(seed: u32) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    move |of| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(state >> 16).unwrap() % of
    }
}

fn wanted(holder_id: &str) -> Wanted {
    Wanted {
        holder_id: Some(holder_id.to_owned()),
        methods: vec![Method::Hpki],
        return_url: Some("https://ehr.example/return".into()),
        entries: None,
    }
}

fn entitlement() -> Entitlement {
    let not_after = UnixSeconds(START + 86_400);
    Entitlement { certificates: vec![Fingerprint::of(b"second")], not_after }
}

fn code_of(went_on: WentOn) -> String {
    match went_on {
        WentOn::Code(code) => code,
        WentOn::LinkOver | WentOn::SavedOver => panic!("not gone on"),
    }
}

#[tokio::test]
async fn click_opens_a_session_on_the_evidence_of_before_until_the_same_second() {
    let world = World::open().await;
    let first = world.fresh("ehr", "u-1", None).await;
    world.0.clock.set(START + 900);
    let (id, went_on) = world.go_on(&first.cookie).await;
    let next = world.activated(&id, &code_of(went_on)).await;
    assert_eq!(next.evidence(), first.session.evidence());
    assert_eq!(next.authenticated_at, UnixSeconds(START));
    assert_eq!(next.expires_at, first.session.expires_at);
    assert_eq!(next.terminal.as_deref(), Some("PC 7"));
    let (record, _) = world.0.sessions.record(&id).await.unwrap().unwrap();
    let Phase::Active { approval, .. } = record.phase else { panic!("not active") };
    let continued = approval.continued.unwrap();
    assert_eq!(continued.clicked_at, UnixSeconds(START + 900));
    assert!(continued.saved_id.ends_with("/ehr") && !continued.saved_id.contains("u-1"));
}

#[tokio::test]
async fn what_is_kept_is_over_in_the_second_in_which_the_first_session_is() {
    let world = World::open().await;
    let first = world.fresh("ehr", "u-1", None).await;
    world.0.clock.set(first.session.expires_at.0 - 1);
    assert!(world.saved(&first.cookie, "ehr").await.is_some());
    let id = world.link("ehr").await;
    let saved = world.saved(&first.cookie, "ehr").await.unwrap();
    world.0.clock.set(first.session.expires_at.0);
    assert!(world.saved(&first.cookie, "ehr").await.is_none());
    assert!(matches!(world.click(&id, &saved).await, WentOn::SavedOver));
}

#[tokio::test]
async fn signatures_of_all_sessions_on_one_evidence_count_together() {
    let world = World::open().await;
    let first = world.fresh("ehr", "u-1", None).await;
    world.0.sessions.take(&first.session, 13).await.unwrap().unwrap();
    let saved = world.saved(&first.cookie, "ehr").await.unwrap();
    assert_eq!(world.0.sessions.left_of(&saved).await.unwrap(), 7);
    let (id, went_on) = world.go_on(&first.cookie).await;
    let second = world.activated(&id, &code_of(went_on)).await;
    assert_eq!(second.remaining(), 7);
    // What is gone on from signs no more: nothing is counted behind its end.
    assert!(world.0.sessions.take(&first.session, 1).await.unwrap().is_err());
    world.0.sessions.take(&second, 6).await.unwrap().unwrap();
    let (id, went_on) = world.go_on(&first.cookie).await;
    let third = world.activated(&id, &code_of(went_on)).await;
    assert_eq!(third.remaining(), 1);
    world.0.sessions.take(&third, 1).await.unwrap().unwrap();
    let (_, went_on) = world.go_on(&first.cookie).await;
    assert!(matches!(went_on, WentOn::SavedOver), "nothing is left");
}

#[tokio::test]
async fn click_while_the_session_before_lives_opens_nothing() {
    let world = World::open().await;
    let first = world.fresh("ehr", "u-1", None).await;
    let saved = world.saved(&first.cookie, "ehr").await.unwrap();
    let id = world.link("ehr").await;
    assert!(matches!(world.click(&id, &saved).await, WentOn::SavedOver));
    assert!(first.session.ended().is_none());
}

#[tokio::test]
async fn code_of_the_click_before_is_worth_nothing_after_the_next_click() {
    let world = World::open().await;
    let first = world.fresh("ehr", "u-1", None).await;
    let (one, went_on) = world.go_on(&first.cookie).await;
    let code = code_of(went_on);
    let (two, went_on) = world.go_on(&first.cookie).await;
    assert!(matches!(world.activate(&one, &code).await, Activation::Denied(_)));
    assert_eq!(world.activated(&two, &code_of(went_on)).await.remaining(), LIMITS.signatures);
}

#[tokio::test]
async fn of_two_clicks_at_once_one_wins_on_one_link_and_on_two_in_every_order() {
    let world = World::open().await;
    let sessions = world.by_steps();
    for seed in 0..200 {
        let first = world.fresh("ehr", "u-1", None).await;
        world.0.sessions.end(&first.session.session_id, EndReason::Continued).await.unwrap();
        world.0.sessions.forget(&first.session);
        let saved = &world.saved(&first.cookie, "ehr").await.unwrap();
        let one = world.link("ehr").await;
        let two = if seed % 2 == 0 { one.clone() } else { world.link("ehr").await };
        let click =
            async |id: String| sessions.go_on(&id, saved, &entitlement(), "PC 7").await.unwrap();
        let both = interleave(vec![Box::pin(click(one)), Box::pin(click(two))], order(seed));
        let won = both.iter().filter(|went_on| matches!(went_on, WentOn::Code(_)));
        assert_eq!(won.count(), 1, "seed {seed}");
    }
}

#[tokio::test]
async fn click_is_for_its_system_its_holder_and_a_day_session_only() {
    let world = World::open().await;
    let first = world.fresh("ehr", "u-1", None).await;
    world.0.sessions.end(&first.session.session_id, EndReason::Continued).await.unwrap();
    world.0.sessions.forget(&first.session);
    let saved = world.saved(&first.cookie, "ehr").await.unwrap();
    assert!(world.saved(&first.cookie, "other").await.is_none());
    let entry = NewEntry {
        kind: EntryKind::Content,
        algorithm: DigestAlgorithm::Sha256,
        value: vec![1; 32],
        credential_id: "key".into(),
        label: "one".into(),
    };
    let entries = Some(Entries::new(vec![entry]).unwrap());
    for (system_id, wanted) in [
        ("other", wanted("u-1")),
        (PORTAL, wanted("u-1")),
        ("ehr", wanted("u-2")),
        ("ehr", Wanted { holder_id: None, ..wanted("u-1") }),
        ("ehr", Wanted { return_url: None, ..wanted("u-1") }),
        ("ehr", Wanted { methods: vec![Method::Fido2], ..wanted("u-1") }),
        ("ehr", Wanted { entries, ..wanted("u-1") }),
    ] {
        let id = world.asked(system_id, wanted).await;
        assert!(matches!(world.click(&id, &saved).await, WentOn::LinkOver), "{system_id}");
    }
    let id = world.link("ehr").await;
    code_of(world.click(&id, &saved).await);
}

#[tokio::test]
async fn cookie_with_another_secret_or_nonsense_opens_nothing() {
    let world = World::open().await;
    let first = world.fresh("ehr", "u-1", None).await;
    let (browser, secret) = first.cookie.split_once('.').unwrap();
    let guess = format!("{browser}.{}", "A".repeat(secret.len()));
    for bad in [&*guess, browser, "", "nonsense", "../../h/u-1"] {
        assert!(world.saved(bad, "ehr").await.is_none(), "{bad}");
        world.0.sessions.forget_browser(bad).await.unwrap();
    }
    assert!(world.saved(&first.cookie, "ehr").await.is_some());
}

#[tokio::test]
async fn nothing_is_kept_by_a_click_by_a_wrong_code_or_where_no_holder_is_named() {
    let world = World::open().await;
    let first = world.fresh("ehr", "u-1", None).await;
    let (id, went_on) = world.go_on(&first.cookie).await;
    assert!(world.keep(&id, &code_of(went_on), Some(&first.cookie)).await.is_none());
    let id = world.link("ehr").await;
    world.approve(&id, "u-1").await;
    assert!(world.0.sessions.approved_by_code(&id, "guess").await.unwrap().is_none());
    let id = world.asked("ehr", Wanted { holder_id: None, ..wanted("u-1") }).await;
    let code = world.approve(&id, "u-1").await;
    assert!(world.keep(&id, &code, None).await.is_none());
}

#[tokio::test]
async fn logout_ends_what_every_browser_keeps_of_the_system_and_nothing_else() {
    let world = World::open().await;
    let one = world.fresh("ehr", "u-1", None).await;
    let two = world.fresh("ehr", "u-1", None).await;
    let other_system = world.fresh("clinic", "u-1", Some(&one.cookie)).await;
    let other_holder = world.fresh("ehr", "u-2", None).await;
    assert_eq!(other_system.cookie, one.cookie, "one browser has one cookie");
    world.0.sessions.end(&one.session.session_id, EndReason::Logout).await.unwrap();
    assert!(world.saved(&one.cookie, "ehr").await.is_none());
    assert!(world.saved(&two.cookie, "ehr").await.is_none());
    assert!(world.saved(&one.cookie, "clinic").await.is_some());
    assert!(world.saved(&other_holder.cookie, "ehr").await.is_some());
}

#[tokio::test]
async fn each_reason_ends_what_is_kept_or_leaves_it() {
    let world = World::open().await;
    for (reason, stays) in [
        (EndReason::Logout, false),
        (EndReason::HolderDisabled, false),
        (EndReason::SystemRemoved, false),
        (EndReason::EvidenceRevoked, false),
        (EndReason::Operator, false),
        (EndReason::SecondCertificateRevoked, false),
        (EndReason::Expired, true),
        (EndReason::Idle, true),
        (EndReason::Exhausted, true),
        (EndReason::Continued, true),
    ] {
        let fresh = world.fresh("ehr", "u-1", None).await;
        world.0.sessions.end(&fresh.session.session_id, reason).await.unwrap();
        assert_eq!(world.saved(&fresh.cookie, "ehr").await.is_some(), stays, "{reason:?}");
    }
}

#[tokio::test]
async fn logout_between_click_and_exchange_wins() {
    let world = World::open().await;
    let first = world.fresh("ehr", "u-1", None).await;
    let (id, went_on) = world.go_on(&first.cookie).await;
    world.0.sessions.forget_saved("u-1", "ehr").await.unwrap();
    let activation = world.activate(&id, &code_of(went_on)).await;
    assert!(matches!(activation, Activation::Denied(DenyReason::Withdrawn)));
}

#[tokio::test]
async fn code_of_a_click_is_worth_nothing_behind_a_logout_and_newer_evidence() {
    let world = World::open().await;
    let first = world.fresh("ehr", "u-1", None).await;
    world.fresh("clinic", "u-1", Some(&first.cookie)).await;
    let (id, went_on) = world.go_on(&first.cookie).await;
    world.0.sessions.forget_saved("u-1", "ehr").await.unwrap();
    let again = world.fresh("ehr", "u-1", Some(&first.cookie)).await;
    assert_eq!(again.cookie, first.cookie, "the clinic's keeps the browser's name");
    let activation = world.activate(&id, &code_of(went_on)).await;
    assert!(matches!(activation, Activation::Denied(DenyReason::Withdrawn)));
}

#[tokio::test]
async fn approval_is_kept_once() {
    let world = World::open().await;
    let id = world.link("ehr").await;
    let code = world.approve(&id, "u-1").await;
    let cookie = world.keep(&id, &code, None).await.unwrap().cookie;
    for other in [None, Some(&*cookie)] {
        assert!(world.keep(&id, &code, other).await.is_none(), "{other:?}");
    }
    assert!(world.saved(&cookie, "ehr").await.is_some());
    world.activated(&id, &code).await;
}

#[tokio::test]
async fn nothing_stays_kept_beside_a_denial_in_any_order() {
    let world = World::open().await;
    let sessions = world.by_steps();
    let mut was_kept = [false; 2];
    for seed in 0..200 {
        let id = &world.link("ehr").await;
        let code = world.approve(id, "u-1").await;
        let found = world.0.sessions.approved_by_code(id, &code).await.unwrap().unwrap();
        let keep = async { sessions.keep(found, None, LIMITS).await.unwrap() };
        let deny = async {
            assert!(sessions.deny(id, DenyReason::Withdrawn).await.unwrap());
            None
        };
        let kept = interleave(vec![Box::pin(keep), Box::pin(deny)], order(seed)).remove(0);
        was_kept[usize::from(kept.is_some())] = true;
        if let Some(Kept { cookie, .. }) = kept {
            assert!(world.saved(&cookie, "ehr").await.is_none(), "seed {seed}");
        }
    }
    assert_eq!(was_kept, [true; 2], "either was first");
}

#[tokio::test]
async fn withdrawn_sign_in_that_was_approved_ends_what_its_browser_keeps() {
    let world = World::open().await;
    let id = world.link("ehr").await;
    let code = world.approve(&id, "u-1").await;
    let cookie = world.keep(&id, &code, None).await.unwrap().cookie;
    assert!(world.0.sessions.deny(&id, DenyReason::Withdrawn).await.unwrap());
    assert!(world.saved(&cookie, "ehr").await.is_none());
}

#[tokio::test]
async fn what_withdraws_sessions_removes_what_is_kept_without_one() {
    let world = World::open().await;
    let (one, two) = (world.fresh("ehr", "u-1", None).await, world.fresh("ehr", "u-2", None).await);
    world.0.sessions.deny_approved(&|session| session.holder_id == "u-1").await.unwrap();
    assert!(world.saved(&one.cookie, "ehr").await.is_none());
    assert!(world.saved(&two.cookie, "ehr").await.is_some());
}

#[tokio::test]
async fn browser_keeps_one_holder_and_forgets_all_at_once() {
    let world = World::open().await;
    let one = world.fresh("ehr", "u-1", None).await;
    let two = world.fresh("ehr", "u-2", Some(&one.cookie)).await;
    assert_ne!(one.cookie, two.cookie);
    assert!(world.saved(&one.cookie, "ehr").await.is_none(), "another holder signed in here");
    world.fresh("clinic", "u-2", Some(&two.cookie)).await;
    world.0.sessions.forget_browser(&two.cookie).await.unwrap();
    assert!(world.saved(&two.cookie, "ehr").await.is_none());
    assert!(world.saved(&two.cookie, "clinic").await.is_none());
}

#[tokio::test]
async fn one_browser_too_many_costs_the_oldest_evidence_of_its_holder() {
    let world = World::open().await;
    let other = world.fresh("ehr", "u-2", None).await;
    let mut cookies = Vec::new();
    for second in 0..=u64::try_from(MAX_OF_HOLDER).unwrap() {
        world.0.clock.set(START + second);
        cookies.push(world.fresh("ehr", "u-1", None).await.cookie);
    }
    let mut kept = Vec::new();
    for cookie in &cookies {
        kept.push(world.saved(cookie, "ehr").await.is_some());
    }
    assert_eq!(kept, [&[false][..], &[true; MAX_OF_HOLDER]].concat());
    assert!(world.saved(&other.cookie, "ehr").await.is_some());
}

#[tokio::test]
async fn count_of_a_session_that_ends_behind_a_restart_is_what_was_reserved() {
    let world = World::open().await;
    let first = world.fresh("ehr", "u-1", None).await;
    world.0.sessions.take(&first.session, 1).await.unwrap().unwrap();
    // As after a crash: the record alone knows, and what was reserved counts as used.
    let trust = TrustStore::new(world.0.store.clone(), &[1; 32]);
    let sessions = Sessions::new(trust, world.0.clock.clone());
    let saved = sessions.saved(&first.cookie, "ehr").await.unwrap().unwrap();
    sessions.end(&saved.session_id, EndReason::Idle).await.unwrap();
    let reserved = 1 + LIMITS.signatures / 8;
    assert_eq!(sessions.left_of(&saved).await.unwrap(), LIMITS.signatures - reserved);
}
