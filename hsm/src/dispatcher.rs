//! The bounded queue between callers and workers, with what a plain channel cannot do: pause all workers for an act of
//! administration, retire one generation of them, and put a job back in front.
//!
//! Everything happens under one short lock that a queue needs anyway, so that pausing costs signing nothing.

use crate::error::HsmError;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

/// A queue of `J`, served by workers of one generation at a time.
pub(crate) struct Dispatcher<J> {
    state: Mutex<State<J>>,
    /// A worker became idle or left.
    idle: Condvar,
    capacity: usize,
}

struct State<J> {
    jobs: VecDeque<J>,
    /// The bells of workers that wait for a job, newest last: it is woken first, for its caches are warm.
    waiting: Vec<Arc<Condvar>>,
    /// Workers that have taken a job and not come back.
    active: usize,
    /// No worker begins a job before this, unless the pause ends sooner.
    paused_until: Option<Instant>,
    /// Workers of an older generation leave.
    generation: u64,
    refusing: Option<Refusal>,
}

impl<J> State<J> {
    /// How long a pause may still last, if there is one.
    fn pause_left(&self) -> Option<Duration> {
        let left = self.paused_until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    fn wake_all(&mut self) {
        self.waiting.drain(..).for_each(|bell| bell.notify_one());
    }
}

/// Why no job is taken.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// The token is not reachable.
    Down(String),
    /// Shut down for good.
    ShutDown,
}

impl Refusal {
    pub(crate) fn error(&self) -> HsmError {
        match self {
            Self::Down(reason) => HsmError::Down { reason: reason.clone() },
            Self::ShutDown => HsmError::ShutDown,
        }
    }
}

impl<J> Dispatcher<J> {
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State {
            jobs: VecDeque::with_capacity(capacity),
            waiting: Vec::new(),
            active: 0,
            paused_until: None,
            generation: 0,
            refusing: None,
        };
        Self { state: Mutex::new(state), idle: Condvar::new(), capacity }
    }

    /// Queues a job.
    ///
    /// # Errors
    /// [`HsmError::Busy`] when the queue is full; what [`Self::refuse`] said.
    pub(crate) fn push(&self, job: J) -> Result<(), HsmError> {
        let mut state = self.lock();
        if let Some(refusal) = &state.refusing {
            return Err(refusal.error());
        }
        if state.jobs.len() >= self.capacity {
            return Err(HsmError::Busy);
        }
        state.jobs.push_back(job);
        self.wake_one(state);
        Ok(())
    }

    /// The next job for a worker of `generation`, `None` when it is to leave. Waits while there is nothing to do.
    pub(crate) fn next(&self, seat: &mut Seat<'_, J>) -> Option<J> {
        let mut state = self.lock();
        seat.rise(&mut state);
        loop {
            if seat.generation != state.generation {
                return None;
            }
            let paused = state.pause_left();
            if paused.is_none()
                && let Some(job) = state.jobs.pop_front()
            {
                state.active += 1;
                seat.active = true;
                return Some(job);
            }
            state.waiting.push(Arc::clone(&seat.bell));
            state = match paused {
                None => seat.bell.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    let waited = seat.bell.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            // Who rang has taken the bell off the list; a wait that ended by itself has not.
            state.waiting.retain(|bell| !Arc::ptr_eq(bell, &seat.bell));
        }
    }

    /// Puts a job back in front of all others: it has waited already. The queue may be one longer than its capacity for
    /// each worker then.
    ///
    /// # Errors
    /// The job, when nothing is taken any more.
    pub(crate) fn put_back(&self, job: J) -> Result<(), J> {
        let mut state = self.lock();
        if state.refusing.is_some() {
            return Err(job);
        }
        state.jobs.push_front(job);
        self.wake_one(state);
        Ok(())
    }

    /// A worker's place; workers of `generation` are served until [`Self::retire`].
    pub(crate) fn seat(&self, generation: u64) -> Seat<'_, J> {
        Seat { dispatcher: self, generation, bell: Arc::default(), active: false }
    }

    /// Waits until no worker is inside the module, and keeps them out until the guard is dropped; `at_most` so long, for
    /// what the pause is made for may hang in the module. One pause at a time.
    ///
    /// # Errors
    /// [`HsmError::Hung`] when a worker does not come back within `patience`.
    pub(crate) fn pause(
        &self,
        patience: Duration,
        at_most: Duration,
    ) -> Result<Pause<'_, J>, HsmError> {
        self.lock().paused_until = Some(Instant::now() + at_most);
        let pause = Pause { dispatcher: self };
        match self.wait_idle(patience) {
            true => Ok(pause),
            false => Err(HsmError::Hung),
        }
    }

    /// Lets the present workers leave and begins a new generation; its number.
    pub(crate) fn retire(&self) -> u64 {
        let generation = self.generation();
        self.retire_from(generation);
        self.generation()
    }

    /// Lets the workers of `generation` leave, unless they have been told already.
    pub(crate) fn retire_from(&self, generation: u64) {
        let mut state = self.lock();
        if state.generation == generation {
            state.generation += 1;
            state.wake_all();
        }
    }

    /// The generation that is served.
    pub(crate) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Refuses all jobs from now on, those that wait included: they are given back.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Vec<J> {
        let mut state = self.lock();
        if !matches!(state.refusing, Some(Refusal::ShutDown)) {
            state.refusing = Some(refusal);
        }
        state.jobs.drain(..).collect()
    }

    /// Refuses new jobs for good; those that wait are still served.
    pub(crate) fn close(&self) {
        self.lock().refusing = Some(Refusal::ShutDown);
    }

    /// Takes jobs again after [`Refusal::Down`].
    pub(crate) fn accept(&self) {
        let mut state = self.lock();
        if matches!(state.refusing, Some(Refusal::Down(_))) {
            state.refusing = None;
        }
    }

    /// Waits until the queue is empty and no worker is inside the module.
    pub(crate) fn drain(&self, patience: Duration) -> bool {
        self.wait(patience, |state| state.active == 0 && state.jobs.is_empty())
    }

    /// Jobs that wait.
    pub(crate) fn depth(&self) -> usize {
        self.lock().jobs.len()
    }

    /// Why no job is taken, if none is.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.lock().refusing.clone()
    }

    fn wake_one(&self, mut state: MutexGuard<'_, State<J>>) {
        let bell = state.waiting.pop();
        drop(state);
        if let Some(bell) = bell {
            bell.notify_one();
        }
    }

    fn wait_idle(&self, patience: Duration) -> bool {
        self.wait(patience, |state| state.active == 0)
    }

    fn wait(&self, patience: Duration, done: impl Fn(&State<J>) -> bool) -> bool {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        while !done(&state) {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return false };
            let (after, _) =
                self.idle.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            state = after;
        }
        true
    }

    // Nothing that can panic runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker's place at the queue; knows whether the worker is inside the module, also when it panics there.
pub(crate) struct Seat<'a, J> {
    dispatcher: &'a Dispatcher<J>,
    generation: u64,
    bell: Arc<Condvar>,
    active: bool,
}

impl<J> Seat<'_, J> {
    fn rise(&mut self, state: &mut State<J>) {
        if self.active {
            self.active = false;
            state.active -= 1;
            if state.active == 0 {
                self.dispatcher.idle.notify_all();
            }
        }
    }
}

impl<J> Drop for Seat<'_, J> {
    fn drop(&mut self) {
        let dispatcher = self.dispatcher;
        self.rise(&mut dispatcher.lock());
    }
}

/// While it lives no worker begins a job.
pub(crate) struct Pause<'a, J> {
    dispatcher: &'a Dispatcher<J>,
}

impl<J> Drop for Pause<'_, J> {
    fn drop(&mut self) {
        let mut state = self.dispatcher.lock();
        state.paused_until = None;
        state.wake_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn queue_holds_at_its_capacity_and_not_past_it() {
        let dispatcher = Dispatcher::new(2);
        dispatcher.push(1).unwrap();
        dispatcher.push(2).unwrap();
        assert!(matches!(dispatcher.push(3), Err(HsmError::Busy)));
        let mut seat = dispatcher.seat(0);
        assert_eq!(dispatcher.next(&mut seat), Some(1));
        dispatcher.push(3).unwrap();
        dispatcher.put_back(1).unwrap();
        assert_eq!(dispatcher.next(&mut seat), Some(1));
    }

    #[test]
    fn worker_that_has_waited_shortest_is_woken_first() {
        let dispatcher = Dispatcher::new(10);
        let served = Mutex::new(Vec::new());
        let until = |done: &dyn Fn() -> bool| {
            let begun = Instant::now();
            while !done() && begun.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(done());
        };
        std::thread::scope(|scope| {
            for worker in 0..3 {
                let (dispatcher, served) = (&dispatcher, &served);
                scope.spawn(move || {
                    let mut seat = dispatcher.seat(0);
                    while let Some(job) = dispatcher.next(&mut seat) {
                        served.lock().unwrap().push((worker, job));
                    }
                });
                until(&|| dispatcher.lock().waiting.len() == worker + 1);
            }
            for job in 0..5 {
                dispatcher.push(job).unwrap();
                until(&|| served.lock().unwrap().len() == job + 1);
                until(&|| dispatcher.lock().waiting.len() == 3);
            }
            dispatcher.retire();
        });
        let expected: Vec<_> = (0..5).map(|job| (2, job)).collect();
        assert_eq!(*served.lock().unwrap(), expected);
    }

    #[test]
    fn pause_waits_for_the_worker_inside_and_keeps_others_out() {
        let dispatcher = Dispatcher::new(100);
        let inside = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut seat = dispatcher.seat(0);
                    while let Some(()) = dispatcher.next(&mut seat) {
                        inside.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(1));
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
            for _ in 0..20 {
                for _ in 0..5 {
                    dispatcher.push(()).unwrap();
                }
                let pause = dispatcher.pause(PATIENCE, PATIENCE).unwrap();
                for _ in 0..5 {
                    assert_eq!(inside.load(Ordering::SeqCst), 0);
                    std::thread::sleep(Duration::from_micros(200));
                }
                drop(pause);
            }
            assert!(dispatcher.drain(PATIENCE));
            dispatcher.retire();
        });
    }

    #[test]
    fn pause_gives_up_on_a_worker_that_does_not_come_back() {
        let dispatcher = Dispatcher::new(1);
        dispatcher.push(()).unwrap();
        let mut seat = dispatcher.seat(0);
        dispatcher.next(&mut seat).unwrap();
        let pause = dispatcher.pause(Duration::from_millis(20), PATIENCE);
        assert!(matches!(pause, Err(HsmError::Hung)));
        drop(seat);
        dispatcher.push(()).unwrap();
        let mut seat = dispatcher.seat(0);
        assert!(dispatcher.next(&mut seat).is_some(), "the failed pause left the door closed");
    }

    #[test]
    fn pause_that_nobody_ends_ends_by_itself() {
        let dispatcher = Dispatcher::new(1);
        let at_most = Duration::from_millis(200);
        let begun = Instant::now();
        std::mem::forget(dispatcher.pause(PATIENCE, at_most).unwrap());
        dispatcher.push(1).unwrap();
        assert_eq!(dispatcher.next(&mut dispatcher.seat(0)), Some(1));
        assert!(begun.elapsed() >= at_most);
    }

    #[test]
    fn retired_worker_leaves_its_jobs_to_the_next_generation() {
        let dispatcher = Dispatcher::new(1);
        let generation = dispatcher.retire();
        dispatcher.push(7).unwrap();
        assert_eq!(dispatcher.next(&mut dispatcher.seat(generation - 1)), None);
        assert_eq!(dispatcher.next(&mut dispatcher.seat(generation)), Some(7));
    }

    #[test]
    fn refusal_gives_waiting_jobs_back_and_shutdown_is_final() {
        let dispatcher = Dispatcher::new(2);
        dispatcher.push(1).unwrap();
        assert_eq!(dispatcher.refuse(Refusal::Down("x".into())), vec![1]);
        assert!(matches!(dispatcher.push(2), Err(HsmError::Down { .. })));
        assert_eq!(dispatcher.put_back(2), Err(2));
        dispatcher.accept();
        dispatcher.push(2).unwrap();
        dispatcher.refuse(Refusal::ShutDown);
        dispatcher.refuse(Refusal::Down("x".into()));
        dispatcher.accept();
        assert!(matches!(dispatcher.push(3), Err(HsmError::ShutDown)));
    }
}
