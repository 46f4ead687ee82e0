//! The workers: one thread and one session each, and what all parts of the pool share.

use crate::config::HsmConfig;
use crate::connection::Connection;
use crate::connection::OpenSession;
use crate::dispatcher::Dispatcher;
use crate::error::HsmError;
use crate::error::Recovery;
use crate::keys::Index;
use crate::keys::KeyEntry;
use crate::located::House;
use crate::login::Login;
use crate::mechanism::SignMechanism;
use crate::status::Counters;
use crate::supervisor::Command;
use crate::token::TokenFacts;
use std::sync::Arc;
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;
use tokio::sync::oneshot;

/// What callers, workers and the supervisor share.
pub(crate) struct Shared {
    pub(crate) config: HsmConfig,
    pub(crate) dispatcher: Dispatcher<Job>,
    pub(crate) index: Index,
    pub(crate) house: RwLock<Option<Arc<House>>>,
    pub(crate) facts: RwLock<TokenFacts>,
    pub(crate) counters: Counters,
    pub(crate) login: Arc<Login>,
    pub(crate) sessions_live: AtomicUsize,
    pub(crate) sessions_hung: AtomicUsize,
    started: Instant,
}

impl Shared {
    pub(crate) fn new(config: HsmConfig, login: Arc<Login>) -> Arc<Self> {
        Arc::new(Self {
            dispatcher: Dispatcher::new(config.queue),
            config,
            index: Index::default(),
            house: RwLock::default(),
            facts: RwLock::default(),
            counters: Counters::default(),
            login,
            sessions_live: AtomicUsize::new(0),
            sessions_hung: AtomicUsize::new(0),
            started: Instant::now(),
        })
    }

    /// Milliseconds since the pool was made, never 0.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

/// One use of one key.
pub(crate) struct Job {
    pub(crate) key: Arc<KeyEntry>,
    pub(crate) mechanism: SignMechanism,
    /// What C_Sign is given.
    pub(crate) input: Vec<u8>,
    /// Octets that C_Sign returns.
    pub(crate) signature_len: usize,
    /// Whether it was put back once because the module had to be initialised again.
    pub(crate) is_second_try: bool,
    pub(crate) reply: oneshot::Sender<Result<Vec<u8>, HsmError>>,
}

impl Job {
    /// Answers; nobody may be listening any more.
    pub(crate) fn answer(self, result: Result<Vec<u8>, HsmError>) {
        let _ = self.reply.send(result);
    }
}

/// What the supervisor sees of a worker.
#[derive(Default)]
pub(crate) struct Post {
    /// Since when it is inside the module, in milliseconds of the pool's life; 0 when it is not.
    busy_since_ms: AtomicU64,
    given_up: AtomicBool,
}

impl Post {
    /// Whether the worker has been inside the module for longer than `limit`.
    pub(crate) fn is_overdue(&self, shared: &Shared, limit: Duration) -> bool {
        match self.busy_since_ms.load(Ordering::Relaxed) {
            0 => false,
            since => Duration::from_millis(shared.now_ms().saturating_sub(since)) > limit,
        }
    }

    /// Tells the worker to leave should it ever come back: it has been replaced.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }
}

/// A worker that was started.
pub(crate) struct Hired {
    pub(crate) thread: JoinHandle<()>,
    pub(crate) post: Arc<Post>,
    pub(crate) is_hung: bool,
}

/// Starts a worker on its own session.
///
/// # Errors
/// [`HsmError::Token`] when no session opens; [`HsmError::Thread`].
pub(crate) fn hire(
    shared: &Arc<Shared>,
    connection: &Arc<Connection>,
    generation: u64,
    number: u64,
    commands: mpsc::Sender<Command>,
) -> Result<Hired, HsmError> {
    let post = Arc::new(Post::default());
    let worker = Worker {
        session: Some(connection.read_only()?),
        connection: Arc::clone(connection),
        shared: Arc::clone(shared),
        post: Arc::clone(&post),
        generation,
        commands,
    };
    let thread = thread::Builder::new()
        .name(format!("hsm-{number}"))
        .spawn(move || worker.run())
        .map_err(HsmError::Thread)?;
    Ok(Hired { thread, post, is_hung: false })
}

struct Worker {
    session: Option<OpenSession>,
    connection: Arc<Connection>,
    shared: Arc<Shared>,
    post: Arc<Post>,
    generation: u64,
    commands: mpsc::Sender<Command>,
}

enum Next {
    Stay,
    Leave,
}

impl Worker {
    fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut seat = shared.dispatcher.seat(self.generation);
        while let Some(job) = shared.dispatcher.next(&mut seat) {
            // The last moment at which giving up costs nothing.
            if job.reply.is_closed() {
                shared.counters.abandoned.add();
                continue;
            }
            self.post.busy_since_ms.store(shared.now_ms(), Ordering::Relaxed);
            let next = self.serve(job);
            self.post.busy_since_ms.store(0, Ordering::Relaxed);
            if matches!(next, Next::Leave) || self.post.given_up.load(Ordering::Acquire) {
                break;
            }
        }
        // Closed before the seat says that nobody is inside the module.
        drop(self);
    }

    fn serve(&mut self, job: Job) -> Next {
        let mut outcome = self.attempt(&job);
        if recovery(&outcome) == Recovery::NewSession {
            self.shared.counters.session_retries.add();
            job.key.forget();
            outcome = self.attempt(&job);
        }
        match &outcome {
            Ok(_) => self.shared.counters.operations.add(),
            Err(error) => {
                self.shared.counters.failures.add();
                self.shared.counters.note_error(error);
            }
        }
        match recovery(&outcome) {
            Recovery::Refuse => {
                job.answer(outcome);
                Next::Stay
            }
            Recovery::NewSession | Recovery::Reinitialise => self.raise_alarm(job, outcome),
            Recovery::PinRefused => {
                self.shared.dispatcher.retire_from(self.generation);
                job.answer(outcome);
                self.report();
                Next::Leave
            }
        }
    }

    /// One try. The session is dropped after any error of the module: an operation may be left active in it.
    fn attempt(&mut self, job: &Job) -> Result<Vec<u8>, HsmError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.connection.read_only()?,
        };
        if !self.connection.offers(job.mechanism) {
            self.session = Some(session);
            return Err(HsmError::MechanismMissing(job.mechanism.name()));
        }
        let key = match job.key.handle(&session) {
            Ok(key) => key,
            Err(error) => {
                if error.call().is_none() {
                    self.session = Some(session);
                }
                return Err(error);
            }
        };
        let functions = self.connection.functions;
        let signature =
            functions.sign(&session, key.handle(), job.mechanism, &job.input, job.signature_len)?;
        self.session = Some(session);
        Ok(signature)
    }

    /// The module itself is in trouble: nobody goes on with it, the job waits for a new one (once), the supervisor acts.
    fn raise_alarm(&mut self, mut job: Job, outcome: Result<Vec<u8>, HsmError>) -> Next {
        self.shared.dispatcher.retire_from(self.generation);
        if job.is_second_try {
            job.answer(outcome);
        } else {
            job.is_second_try = true;
            if let Err(job) = self.shared.dispatcher.put_back(job) {
                job.answer(outcome);
            }
        }
        self.report();
        Next::Leave
    }

    fn report(&self) {
        // The supervisor outlives its workers; if it is gone there is nobody left to tell.
        let _ = self.commands.send(Command::Trouble);
    }
}

fn recovery(outcome: &Result<Vec<u8>, HsmError>) -> Recovery {
    outcome.as_ref().err().map_or(Recovery::Refuse, crate::error::recovery)
}
