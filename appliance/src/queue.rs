//! A bounded queue from many tasks to one OS thread that takes everything at once.
//!
//! Group commit lives on it: while the thread is inside `fdatasync`, the next batch forms here. Putting never blocks, so
//! an asynchronous task may do it; the thread is woken once when something arrives and once when enough is there.

use std::collections::VecDeque;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

/// The queue; shared by reference (`Arc`) between tasks and the thread.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// Set while the thread sleeps; putters wake it only then.
    asleep: Asleep,
    closed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asleep {
    No,
    /// Until anything arrives.
    ForAny,
    /// Until so many are there.
    For(usize),
}

/// Why something could not be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PutError {
    /// As many are waiting as may.
    Full,
    /// The thread has ended.
    Closed,
}

/// What the thread got.
pub(crate) enum Taken<T> {
    /// Everything that waited, oldest first; at least one.
    Batch(VecDeque<T>),
    /// Nothing came in time.
    Idle,
    /// The queue is closed and empty.
    Closed,
}

impl<T> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State { waiting: VecDeque::new(), asleep: Asleep::No, closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), capacity }
    }

    /// Puts `item` behind the others, or gives it back as refused.
    pub(crate) fn put(&self, item: T) -> Result<(), PutError> {
        let mut state = self.lock();
        if state.closed {
            return Err(PutError::Closed);
        }
        if state.waiting.len() >= self.capacity {
            return Err(PutError::Full);
        }
        state.waiting.push_back(item);
        let wake = match state.asleep {
            Asleep::No => false,
            Asleep::ForAny => true,
            Asleep::For(enough) => state.waiting.len() >= enough,
        };
        if wake {
            state.asleep = Asleep::No;
            drop(state);
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Lets nobody put any more; what waits is still taken.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.asleep = Asleep::No;
        drop(state);
        self.changed.notify_one();
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Waits up to `idle` for something, then takes all of it.
    ///
    /// `enough` says, when the first is there, how many are worth one commit; more are awaited up to `at_most`.
    pub(crate) fn take(
        &self,
        idle: Duration,
        enough: impl Fn() -> usize,
        at_most: Duration,
    ) -> Taken<T> {
        let mut state =
            self.sleep(self.lock(), Asleep::ForAny, idle, |state| !state.waiting.is_empty());
        if !state.waiting.is_empty() {
            let enough = enough().min(self.capacity);
            state = self
                .sleep(state, Asleep::For(enough), at_most, |state| state.waiting.len() >= enough);
        }
        match (std::mem::take(&mut state.waiting), state.closed) {
            (batch, _) if !batch.is_empty() => Taken::Batch(batch),
            (_, true) => Taken::Closed,
            (_, false) => Taken::Idle,
        }
    }

    fn sleep<'a>(
        &self,
        mut state: MutexGuard<'a, State<T>>,
        until: Asleep,
        at_most: Duration,
        awake: impl Fn(&State<T>) -> bool,
    ) -> MutexGuard<'a, State<T>> {
        let started = Instant::now();
        while !awake(&state) && !state.closed {
            let Some(left) = at_most.checked_sub(started.elapsed()).filter(|left| !left.is_zero())
            else {
                break;
            };
            state.asleep = until;
            state = self
                .changed
                .wait_timeout(state, left)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
        }
        state.asleep = Asleep::No;
        state
    }

    // Every change under the lock is one push, take or flag: a panic leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const LONG: Duration = Duration::from_secs(5);

    fn batch(queue: &Queue<u32>, enough: usize, at_most: Duration) -> Vec<u32> {
        match queue.take(LONG, || enough, at_most) {
            Taken::Batch(batch) => batch.into(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn everything_waiting_is_taken_in_order() {
        let queue = Queue::new(8);
        for item in 0..5 {
            queue.put(item).unwrap();
        }
        assert_eq!(batch(&queue, 1, Duration::ZERO), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn one_past_the_capacity_is_refused() {
        let queue = Queue::new(2);
        queue.put(1).unwrap();
        queue.put(2).unwrap();
        assert_eq!(queue.put(3), Err(PutError::Full));
        assert_eq!(batch(&queue, 1, Duration::ZERO), [1, 2]);
        queue.put(3).unwrap();
    }

    #[test]
    fn closed_queue_gives_what_waits_and_then_ends() {
        let queue = Queue::new(2);
        queue.put(1).unwrap();
        queue.close();
        assert_eq!(queue.put(2), Err(PutError::Closed));
        assert_eq!(batch(&queue, 1, Duration::ZERO), [1]);
        assert!(matches!(queue.take(LONG, || 1, LONG), Taken::Closed));
    }

    #[test]
    fn nothing_in_time_is_idle() {
        let queue = Queue::<u32>::new(2);
        assert!(matches!(queue.take(Duration::from_millis(5), || 1, LONG), Taken::Idle));
    }

    #[test]
    fn batch_waits_for_enough_but_not_for_ever() {
        let queue = Arc::new(Queue::new(64));
        let putter = Arc::clone(&queue);
        let thread = std::thread::spawn(move || {
            for item in 0..8 {
                putter.put(item).unwrap();
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        assert_eq!(batch(&queue, 8, LONG), [0, 1, 2, 3, 4, 5, 6, 7]);
        thread.join().unwrap();
        queue.put(9).unwrap();
        assert_eq!(batch(&queue, 8, Duration::from_millis(5)), [9]);
    }
}
