//! The one thread that owns the module: it connects, administers, watches the workers and reconnects.

use crate::backoff::backoff;
use crate::backoff::may_pass;
use crate::config::PauseForAdmin;
use crate::connection::Claim;
use crate::connection::Connection;
use crate::connection::OpenSession;
use crate::dispatcher::Refusal;
use crate::error::HsmError;
use crate::error::Recovery;
use crate::error::recovery;
use crate::house::HouseKey;
use crate::keyset::KeySet;
use crate::located::Fresh;
use crate::located::House;
use crate::located::house_pair;
use crate::located::house_secret;
use crate::objects;
use crate::objects::Holdings;
use crate::objects::Inventory;
use crate::pool;
use crate::pool::Hired;
use crate::pool::Shared;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// What the supervisor is told.
pub(crate) enum Command {
    /// An act of administration.
    Act(Box<dyn FnOnce(&mut Supervisor) + Send>),
    /// A worker saw the module in trouble and has retired its generation.
    Trouble,
    /// Stop; the sender is dropped when everything is closed.
    Shutdown(tokio::sync::oneshot::Sender<()>),
}

/// State of the supervising thread.
pub(crate) struct Supervisor {
    pub(crate) shared: Arc<Shared>,
    commands: mpsc::Receiver<Command>,
    to_self: mpsc::Sender<Command>,
    // Sessions before the connection: see `OpenSession`.
    admin: Option<OpenSession>,
    connection: Option<Arc<Connection>>,
    workers: Vec<Hired>,
    workers_hired: u64,
    /// The generation that this supervisor installed last.
    generation: u64,
    outage: Option<Outage>,
    /// Reconnections tried without a successful operation in between.
    relapses: u32,
    operations_at_connect: u64,
    operations_at_probe: u64,
    next_probe: Instant,
    /// Not before this another worker is hired, after the token had no session for one.
    next_hire: Instant,
    /// What the enumeration at start saw, until `load_all` has used it or something changed.
    inventory: Option<(u64, Inventory)>,
    key_set: KeySet,
    pub(crate) fresh: HashMap<Vec<u8>, Fresh>,
    claim: Option<Claim>,
}

struct Outage {
    /// `None`: never, a person has to act.
    next_attempt: Option<Instant>,
}

impl Supervisor {
    /// Connects, with the tries the configuration allows, and hires the workers.
    ///
    /// # Errors
    /// The error of the last try.
    pub(crate) fn open(
        shared: Arc<Shared>,
        commands: mpsc::Receiver<Command>,
        to_self: mpsc::Sender<Command>,
    ) -> Result<Self, HsmError> {
        let mut supervisor = Self {
            shared,
            commands,
            to_self,
            admin: None,
            connection: None,
            workers: Vec::new(),
            workers_hired: 0,
            generation: 0,
            outage: None,
            relapses: 0,
            operations_at_connect: 0,
            operations_at_probe: 0,
            next_probe: Instant::now() + PROBE_INTERVAL,
            next_hire: Instant::now(),
            inventory: None,
            key_set: KeySet::default(),
            fresh: HashMap::new(),
            claim: Some(Claim::take()?),
        };
        let mut attempt = 1;
        loop {
            match supervisor.connect() {
                Ok(()) => return Ok(supervisor),
                Err(error)
                    if attempt < supervisor.shared.config.start_attempts && may_pass(&error) =>
                {
                    tracing::warn!(%error, attempt, "the token is not ready, trying again");
                    supervisor.disconnect();
                    thread::sleep(backoff(attempt));
                    attempt += 1;
                }
                Err(error) => {
                    supervisor.disconnect();
                    return Err(error);
                }
            }
        }
    }

    /// Serves commands until [`Command::Shutdown`].
    pub(crate) fn run(mut self) {
        loop {
            match self.commands.recv_timeout(self.tick()) {
                Ok(Command::Act(act)) => act(&mut self),
                Ok(Command::Trouble) => self.meet_trouble(),
                Ok(Command::Shutdown(closed)) => {
                    self.shut_down();
                    // The claim on the module goes with `self`: only then is everything closed.
                    drop(self);
                    drop(closed);
                    return;
                }
                Err(mpsc::RecvTimeoutError::Timeout | mpsc::RecvTimeoutError::Disconnected) => {}
            }
            self.tend();
        }
    }

    /// Runs an act of administration on the read-write session, with signing paused where the module needs that; no longer
    /// than an act may take, so that one which hangs in the module does not end signing as well.
    ///
    /// # Errors
    /// [`HsmError::Down`], [`HsmError::Hung`], and what `work` returns.
    pub(crate) fn administer<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &OpenSession) -> Result<T, HsmError>,
    ) -> Result<T, HsmError> {
        let session = self.take_session()?;
        let shared = Arc::clone(&self.shared);
        let pause = match self.pauses_signing() {
            true => {
                let (patience, at_most) =
                    (shared.config.deadline(), shared.config.admin_deadline());
                shared.dispatcher.pause(patience, at_most).map(Some)
            }
            false => Ok(None),
        };
        let result = pause.and_then(|_pause| work(self, &session));
        match result.as_ref().map_err(recovery) {
            Ok(_) | Err(Recovery::Refuse) => self.admin = Some(session),
            Err(Recovery::NewSession | Recovery::PinRefused) => drop(session),
            Err(Recovery::Reinitialise) => {
                drop(session);
                self.raise_alarm();
            }
        }
        result.inspect_err(|error| self.shared.counters.note_error(error))
    }

    /// Everything the token holds: what was read at start if that is still so, else read now.
    pub(crate) fn take_inventory(&mut self, session: &OpenSession) -> Result<Inventory, HsmError> {
        match self.inventory.take() {
            Some((epoch, inventory)) if epoch == session.connection().epoch() => Ok(inventory),
            _ => objects::enumerate(session),
        }
    }

    /// Notes objects that were made under `cka_id`.
    pub(crate) fn note_made(&mut self, cka_id: &[u8], made: &Holdings) {
        self.inventory = None;
        self.key_set.add(cka_id, made);
    }

    /// Notes that of the objects `before` under `cka_id` only `left` are left.
    pub(crate) fn note_destroyed(&mut self, cka_id: &[u8], before: &Holdings, left: &Holdings) {
        self.inventory = None;
        self.key_set.remove(cka_id, before);
        self.key_set.add(cka_id, left);
    }

    /// See [`Hsm::key_set_digest`](crate::Hsm::key_set_digest).
    pub(crate) fn key_set_digest(&self) -> [u8; 32] {
        self.key_set.digest()
    }

    /// The house keys.
    pub(crate) fn set_house(&self, house: Option<House>) {
        *self.shared.house.write().unwrap_or_else(PoisonError::into_inner) = house.map(Arc::new);
    }

    /// The session of administration, opened anew when it was lost. A token that opens none is in trouble.
    fn take_session(&mut self) -> Result<OpenSession, HsmError> {
        let Some(connection) = &self.connection else {
            let reason = self.shared.counters.last_error().unwrap_or_default();
            return Err(HsmError::Down { reason });
        };
        if let Some(session) = self.admin.take()
            && crate::login::is_logged_in(&session).unwrap_or(false)
        {
            return Ok(session);
        }
        let opened = connection.read_write();
        if let Err(error) = &opened {
            self.shared.counters.note_error(error);
            if recovery(error) != Recovery::Refuse {
                self.raise_alarm();
            }
        }
        opened
    }

    /// Looks whether the token is still there while nobody uses it, so that its loss is known before the next signature.
    fn probe(&mut self) {
        let used = self.shared.counters.operations.value();
        let is_idle = std::mem::replace(&mut self.operations_at_probe, used) == used;
        self.next_probe = Instant::now() + PROBE_INTERVAL;
        if is_idle
            && self.outage.is_none()
            && let Ok(session) = self.take_session()
        {
            self.admin = Some(session);
        }
    }

    /// Stops the workers of a module in trouble and reconnects.
    fn raise_alarm(&mut self) {
        self.shared.dispatcher.retire_from(self.generation);
        self.meet_trouble();
    }

    fn pauses_signing(&self) -> bool {
        match self.shared.config.pause_for_admin {
            PauseForAdmin::Always => true,
            PauseForAdmin::Never => false,
            PauseForAdmin::Auto => {
                let connection = self.connection.as_ref();
                connection.is_none_or(|connection| connection.facts.needs_pause_for_admin())
            }
        }
    }

    fn connect(&mut self) -> Result<(), HsmError> {
        let connection = Connection::open(&self.shared.config, Arc::clone(&self.shared.login))?;
        let admin = connection.read_write()?;
        *self.shared.facts.write().unwrap_or_else(PoisonError::into_inner) =
            connection.facts.clone();
        self.connection = Some(Arc::clone(&connection));
        let inventory = objects::enumerate(&admin)?;
        let epoch = connection.epoch();
        self.admin = Some(admin);
        self.key_set = KeySet::of(&inventory);
        self.fresh.clear();
        self.set_house(self.locate_house(&inventory, epoch)?);
        self.locate_keys(&inventory, epoch);
        self.inventory = (self.shared.index.len() == 0).then_some((epoch, inventory));
        self.generation = self.shared.dispatcher.generation();
        self.operations_at_connect = self.shared.counters.operations.value();
        for _ in 0..self.shared.config.sessions {
            self.hire()?;
        }
        self.note_sessions();
        Ok(())
    }

    /// The house keys that the token holds; `None` before the ceremony or when it was not finished.
    fn locate_house(&self, inventory: &Inventory, epoch: u64) -> Result<Option<House>, HsmError> {
        let pair = |key: HouseKey| {
            let Some(holdings) = inventory.get(key.cka_id()) else { return Ok(None) };
            house_pair(key, holdings, epoch).map(Some)
        };
        let Some(hmac) = inventory.get(HouseKey::IndexHmac.cka_id()) else { return Ok(None) };
        let (Some(checkpoint), Some(self_test)) =
            (pair(HouseKey::Checkpoint)?, pair(HouseKey::SelfTest)?)
        else {
            return Ok(None);
        };
        Ok(Some(House { checkpoint, self_test, index_hmac: house_secret(hmac, epoch)? }))
    }

    /// Finds the keys in service again after a reconnection; one that is not as it was is refused when it is used.
    fn locate_keys(&self, inventory: &Inventory, epoch: u64) {
        let nothing = Holdings::default();
        for entry in self.shared.index.entries() {
            match entry.judge(inventory.get(entry.cka_id()).unwrap_or(&nothing)) {
                Ok(handle) => entry.locate(handle, epoch),
                Err(_) => {
                    entry.lose();
                    self.shared.counters.keys_refused.add();
                }
            }
        }
    }

    fn hire(&mut self) -> Result<(), HsmError> {
        let connection = self.connection.as_ref().ok_or(HsmError::Unreachable("no connection"))?;
        self.workers_hired += 1;
        let hired = pool::hire(
            &self.shared,
            connection,
            self.generation,
            self.workers_hired,
            self.to_self.clone(),
        )?;
        self.workers.push(hired);
        Ok(())
    }

    /// Lets every worker leave and closes the module.
    ///
    /// # Errors
    /// [`HsmError::Hung`]: a call has not come back, so that C_Finalize would pull the module from under it.
    fn dismiss(&mut self) -> Result<(), HsmError> {
        self.shared.dispatcher.retire();
        let until = Instant::now() + self.shared.config.deadline();
        while self.workers.iter().any(|worker| !worker.thread.is_finished()) {
            if Instant::now() >= until {
                self.note_sessions();
                return Err(HsmError::Hung);
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.disconnect();
        Ok(())
    }

    fn disconnect(&mut self) {
        self.shared.dispatcher.retire();
        for worker in self.workers.drain(..) {
            // Finished, or about to be: it has no job.
            let _ = worker.thread.join();
        }
        self.note_sessions();
        self.admin = None;
        self.connection = None;
    }

    fn meet_trouble(&mut self) {
        if self.outage.is_some() || self.generation == self.shared.dispatcher.generation() {
            return; // told by several workers, met already
        }
        let progressed = self.shared.counters.operations.value() > self.operations_at_connect;
        if progressed {
            self.relapses = 0;
        }
        let reason = self.shared.counters.last_error().unwrap_or_default();
        tracing::error!(%reason, relapses = self.relapses, "the module is in trouble, reconnecting");
        self.schedule(&reason);
        self.reconnect_if_due();
    }

    /// Notes when to try next. A wait is not imposed on callers: they are refused at once, and told so.
    fn schedule(&mut self, reason: &str) {
        let delay = backoff(self.relapses);
        self.relapses = self.relapses.saturating_add(1);
        if !delay.is_zero() {
            self.refuse_all(reason);
        }
        self.outage = Some(Outage { next_attempt: Some(Instant::now() + delay) });
    }

    fn refuse_all(&self, reason: &str) {
        let refusal = Refusal::Down(reason.to_owned());
        for job in self.shared.dispatcher.refuse(refusal.clone()) {
            job.answer(Err(refusal.error()));
        }
    }

    fn reconnect_if_due(&mut self) {
        let due = self.outage.as_ref().and_then(|outage| outage.next_attempt);
        if due.is_none_or(|due| due > Instant::now()) {
            return;
        }
        self.shared.counters.reinitialisations.add();
        match self.dismiss().and_then(|()| self.connect()) {
            Ok(()) => {
                tracing::info!("reconnected to the token");
                self.outage = None;
                self.shared.dispatcher.accept();
            }
            Err(error) => self.stay_down(&error),
        }
    }

    fn stay_down(&mut self, error: &HsmError) {
        self.shared.counters.note_error(error);
        self.refuse_all(&error.to_string());
        if recovery(error) != Recovery::PinRefused {
            tracing::error!(%error, relapses = self.relapses, "reconnection failed");
            self.schedule(&error.to_string());
        } else {
            tracing::error!(%error, "ALARM: reconnection is given up, a person has to act");
            self.outage = Some(Outage { next_attempt: None });
        }
    }

    /// Looks after workers: notices those that hang, replaces those and any that died.
    fn tend(&mut self) {
        self.reconnect_if_due();
        if Instant::now() >= self.next_probe {
            self.probe();
        }
        let limit = self.shared.config.deadline();
        for worker in self.workers.iter_mut().filter(|worker| !worker.is_hung) {
            if worker.post.is_overdue(&self.shared, limit) {
                worker.is_hung = true;
                worker.post.give_up();
                self.shared.counters.hangs.add();
                tracing::error!(
                    "ALARM: a call hangs in the PKCS#11 module; its session is given up"
                );
            }
        }
        self.workers.retain(|worker| !worker.thread.is_finished());
        if self.outage.is_none() && self.generation == self.shared.dispatcher.generation() {
            self.fill_up();
        }
        self.note_sessions();
    }

    /// Hires until enough workers serve; at most as many again as are configured, however many hang.
    fn fill_up(&mut self) {
        let sessions = self.shared.config.sessions;
        while self.serving() < sessions
            && self.workers.len() < 2 * sessions
            && Instant::now() >= self.next_hire
        {
            let Err(error) = self.hire() else { continue };
            self.shared.counters.note_error(&error);
            if recovery(&error) != Recovery::Refuse {
                return self.raise_alarm();
            }
            // No room for another session: those there are go on.
            tracing::warn!(%error, "no session in place of a lost one");
            self.next_hire = Instant::now() + PROBE_INTERVAL;
        }
    }

    fn serving(&self) -> usize {
        let serves = |worker: &&Hired| !worker.is_hung && !worker.thread.is_finished();
        self.workers.iter().filter(serves).count()
    }

    fn note_sessions(&self) {
        let hung = self.workers.iter().filter(|worker| worker.is_hung).count();
        self.shared.sessions_hung.store(hung, Ordering::Relaxed);
        self.shared.sessions_live.store(self.serving(), Ordering::Relaxed);
    }

    fn tick(&self) -> Duration {
        let due = self.outage.as_ref().and_then(|outage| outage.next_attempt);
        let until_due = due.map(|due| due.saturating_duration_since(Instant::now()));
        until_due.map_or(TICK, |until_due| until_due.min(TICK))
    }

    /// Serves what waits, then closes everything.
    fn shut_down(&mut self) {
        let dispatcher = &self.shared.dispatcher;
        dispatcher.close();
        if self.outage.is_none() {
            dispatcher.drain(self.shared.config.deadline());
        }
        for job in dispatcher.refuse(Refusal::ShutDown) {
            job.answer(Err(HsmError::ShutDown));
        }
        if self.dismiss().is_err() {
            tracing::error!(
                "a call hangs in the PKCS#11 module: it stays open until the process ends"
            );
            // C_CloseSession could hang as well; and nobody else may initialise the module beside the hung call.
            std::mem::forget(self.admin.take());
            std::mem::forget(self.claim.take());
        }
    }
}

/// How often workers are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How often an idle token is looked at.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
