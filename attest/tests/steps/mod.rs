//! Tasks that run one step at a time, in an order that the test chooses.

use async_trait::async_trait;
use attest::store::Key;
use attest::store::Outcome;
use attest::store::Store;
use attest::store::StoreError;
use attest::store::Txn;
use attest::store::Versioned;
use attest::store::memory::MemoryStore;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;

/// A store that stops once before each question and each commit: whoever polls decides who goes on.
#[derive(Default)]
pub struct StepStore(pub Arc<MemoryStore>);

pub async fn step() {
    let mut has_stopped = false;
    std::future::poll_fn(|context| match std::mem::replace(&mut has_stopped, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

#[async_trait]
impl Store for StepStore {
    async fn get(&self, key: &[u8]) -> Result<Option<Versioned>, StoreError> {
        step().await;
        self.0.get(key).await
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Versioned)>, StoreError> {
        step().await;
        self.0.scan(prefix, after, limit).await
    }

    async fn commit(&self, txn: Txn) -> Result<Outcome, StoreError> {
        step().await;
        self.0.commit(txn).await
    }
}

/// Whether a task can go on, or waits for another one.
struct Ready(AtomicBool);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs `tasks` to their ends, one step at a time; `choose` picks among the `n` that can go on.
pub fn interleave<T>(
    tasks: Vec<Pin<Box<dyn Future<Output = T> + '_>>>,
    mut choose: impl FnMut(usize) -> usize,
) -> Vec<T> {
    let new = || Arc::new(Ready(AtomicBool::new(true)));
    let mut running: Vec<_> =
        tasks.into_iter().enumerate().map(|(index, task)| (index, task, new())).collect();
    let mut done: Vec<Option<T>> = running.iter().map(|_| None).collect();
    while !running.is_empty() {
        let can_go_on: Vec<usize> =
            (0..running.len()).filter(|at| running[*at].2.0.load(Ordering::SeqCst)).collect();
        assert!(!can_go_on.is_empty(), "each waits for another one");
        let chosen = can_go_on[choose(can_go_on.len())];
        let (index, task, ready) = &mut running[chosen];
        ready.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(ready.clone());
        if let Poll::Ready(output) = task.as_mut().poll(&mut Context::from_waker(&waker)) {
            done[*index] = Some(output);
            drop(running.remove(chosen));
        }
    }
    done.into_iter().map(Option::unwrap).collect()
}
