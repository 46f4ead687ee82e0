//! Steps that overlap: a store that can be held between the question and the commit shows every order.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failing helper is a failing test")]

use async_trait::async_trait;
use attest::danger_testing::HandClock;
use attest::danger_testing::START;
use attest::danger_testing::approval;
use attest::danger_testing::system;
use attest::records::Fingerprint;
use attest::records::Method;
use attest::records::SessionLimits;
use attest::session::EndReason;
use attest::sessions::Activation;
use attest::sessions::Approved;
use attest::sessions::Sessions;
use attest::sessions::Wanted;
use attest::store::Key;
use attest::store::Outcome;
use attest::store::Store;
use attest::store::StoreError;
use attest::store::Txn;
use attest::store::Versioned;
use attest::store::memory::MemoryStore;
use attest::trust::TrustStore;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use tokio::sync::Semaphore;

const LIMITS: SessionLimits = SessionLimits { seconds: 3_600, idle_seconds: 600, signatures: 20 };

/// Holds the next commit, once told to, until it is let go.
struct HeldStore {
    inner: MemoryStore,
    hold_next: AtomicBool,
    arrived: Semaphore,
    go: Semaphore,
}

impl HeldStore {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryStore::default(),
            hold_next: AtomicBool::new(false),
            arrived: Semaphore::new(0),
            go: Semaphore::new(0),
        })
    }

    fn hold_next_commit(&self) {
        self.hold_next.store(true, Ordering::SeqCst);
    }

    async fn until_held(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    fn let_go(&self) {
        self.go.add_permits(1);
    }
}

#[async_trait]
impl Store for HeldStore {
    async fn get(&self, key: &[u8]) -> Result<Option<Versioned>, StoreError> {
        self.inner.get(key).await
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        self.inner.scan(prefix, after, limit).await
    }

    async fn commit(&self, txn: Txn) -> Result<Outcome, StoreError> {
        if self.hold_next.swap(false, Ordering::SeqCst) {
            self.arrived.add_permits(1);
            self.go.acquire().await.unwrap().forget();
        }
        self.inner.commit(txn).await
    }
}

struct World {
    store: Arc<HeldStore>,
    sessions: Arc<Sessions>,
}

impl World {
    fn new() -> Self {
        let store = HeldStore::new();
        let sessions = Arc::new(open(&store));
        Self { store, sessions }
    }

    /// A sign-in that waits for its code, and the code.
    async fn approved(&self) -> (String, String) {
        let ehr = system("ehr", Fingerprint::of(b"client"), LIMITS);
        let wanted = Wanted {
            holder_id: None,
            methods: vec![Method::Hpki],
            return_url: Some("https://ehr.example/return".into()),
            entries: None,
        };
        let id = self.sessions.create(&ehr, wanted).await.unwrap().record.session_id;
        let once_key = Fingerprint::of(id.as_bytes());
        let approved = self.sessions.approve(&id, approval("u-1", &id), &once_key, None).await;
        let Ok(Approved::Code(Some(code))) = approved else { panic!("no code") };
        (id, code)
    }
}

fn open(store: &Arc<HeldStore>) -> Sessions {
    let clock = Arc::new(HandClock::default());
    clock.set(START);
    Sessions::new(TrustStore::new(store.clone(), &[1; 32]), clock)
}

/// Two exchanges of one code overlap. Whichever wins: its session lives, under its name, so that a logout reaches it.
#[tokio::test]
async fn session_of_a_code_exchanged_twice_at_once_is_reached_by_a_logout() {
    let world = World::new();
    let (id, code) = world.approved().await;
    world.store.hold_next_commit();
    let first = tokio::spawn({
        let (sessions, id, code) = (world.sessions.clone(), id.clone(), code.clone());
        async move { sessions.activate(&id, &code, LIMITS).await }
    });
    world.store.until_held().await;
    let second = world.sessions.activate(&id, &code, LIMITS).await;
    world.store.let_go();
    let mut tokens = Vec::new();
    for outcome in [first.await.unwrap(), second] {
        if let Ok(Activation::Active { signing_token, .. }) = outcome {
            tokens.push(signing_token);
        }
    }
    assert_eq!(tokens.len(), 1, "a code works once");
    assert!(world.sessions.by_token(&tokens[0]).is_some(), "the winner's session is not there");
    assert_eq!(world.sessions.all().len(), 1);

    world.sessions.end(&id, EndReason::Logout).await.unwrap();
    for live in world.sessions.all() {
        live.end(EndReason::Logout);
        world.sessions.forget(&live);
    }
    assert!(world.sessions.by_token(&tokens[0]).is_none(), "a session survived its logout");
}

/// Who exchanged the code hung up: what nobody was told of does not stay in memory, nor in the way of another try.
#[tokio::test]
async fn exchange_that_is_given_up_leaves_nothing_behind() {
    let world = World::new();
    let (id, code) = world.approved().await;
    world.store.hold_next_commit();
    let given_up = tokio::spawn({
        let (sessions, id, code) = (world.sessions.clone(), id.clone(), code.clone());
        async move { sessions.activate(&id, &code, LIMITS).await.is_ok() }
    });
    world.store.until_held().await;
    given_up.abort();
    assert!(given_up.await.unwrap_err().is_cancelled());
    assert!(world.sessions.all().is_empty());
    let again = world.sessions.activate(&id, &code, LIMITS).await.unwrap();
    assert!(matches!(again, Activation::Active { .. }));
}

/// A clean stop gives back what was not used; what is signed beside it is counted all the same.
#[tokio::test]
async fn count_given_back_while_somebody_signs_is_not_exceeded_after_the_restart() {
    let world = World::new();
    let (id, code) = world.approved().await;
    let Ok(Activation::Active { session, signing_token }) =
        world.sessions.activate(&id, &code, LIMITS).await
    else {
        panic!("no session")
    };
    world.sessions.take(&session, 1).await.unwrap().unwrap();
    world.store.hold_next_commit();
    let stop = tokio::spawn({
        let sessions = world.sessions.clone();
        async move { sessions.give_back().await }
    });
    world.store.until_held().await;
    let beside = tokio::spawn({
        let (sessions, session) = (world.sessions.clone(), session.clone());
        async move { sessions.take(&session, 1).await.unwrap() }
    });
    tokio::task::yield_now().await;
    world.store.let_go();
    stop.await.unwrap().unwrap();
    let taken = 1 + u64::from(beside.await.unwrap().is_ok());

    let restarted = open(&world.store);
    restarted.load().await.unwrap();
    let session = restarted.by_token(&signing_token).unwrap();
    assert!(session.used() >= taken, "{} of {taken} signatures are counted", session.used());
}
