//! The one thread that appends: it takes everything that waits, checks what can still be withdrawn, writes once, syncs
//! once, and only then answers.
//!
//! Withdrawals are applied at their place in the same order, so that behind the record of a logout no signature under
//! that session is recorded as one that left.

use crate::audit::AuditError;
use crate::audit::Receipt;
use crate::audit::entry::Place;
use crate::audit::entry::Prepared;
use crate::audit::frame::FRAME_HEADER_BYTES;
use crate::audit::frame::put_frame;
use crate::audit::hash::leaf_hash;
use crate::audit::label::Label;
use crate::audit::label::LabelFile;
use crate::audit::retry::Location;
use crate::audit::retry::RetryKey;
use crate::audit::segment;
use crate::audit::segment::Segment;
use crate::audit::shared::Shared;
use crate::audit::shared::lock;
use crate::audit::slot::Held;
use crate::queue::Taken;
use attest::session::Withdrawal;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use tokio::sync::oneshot;

/// The result of one entry.
pub(super) type Recorded = Result<Receipt, AuditError>;

/// Entries on their way to the thread; they keep their order and are written together.
pub(super) struct Job {
    pub(super) entries: Vec<Prepared>,
    pub(super) answer: oneshot::Sender<Vec<Recorded>>,
    /// The places in the queue that they hold.
    pub(super) held: Held,
}

/// The thread's own side.
pub(super) struct Committer {
    shared: Arc<Shared>,
    segment: Segment,
    labels: Option<(u64, LabelFile)>,
    next_seq: u64,
    last_time_ms: u64,
    /// Frames not written yet, and their records.
    frames: Vec<u8>,
    staged: Vec<Staged>,
    record: Vec<u8>,
    /// Records written whose leaves are not in the tree yet.
    leaves: Vec<crate::audit::hash::Hash>,
}

/// One record in `frames`.
struct Staged {
    octets: Range<usize>,
    seq: u64,
    time_ms: u64,
    retry: Option<RetryKey>,
    label: Option<Label>,
}

impl Committer {
    pub(super) fn new(
        shared: Arc<Shared>,
        segment: Segment,
        next_seq: u64,
        last_time_ms: u64,
    ) -> Self {
        Self {
            shared,
            segment,
            labels: None,
            next_seq,
            last_time_ms,
            frames: Vec::new(),
            staged: Vec::new(),
            record: Vec::new(),
            leaves: Vec::new(),
        }
    }

    /// Works until the queue is closed or a write fails.
    pub(super) fn run(mut self) {
        let ending = Ending(Arc::clone(&self.shared));
        let shared = Arc::clone(&self.shared);
        loop {
            match shared.queue.take(IDLE, || shared.enough(), shared.config.gather_at_most) {
                Taken::Batch(jobs) => self.commit(jobs),
                Taken::Idle => {}
                Taken::Closed => break,
            }
        }
        if let Some((_, labels)) = &self.labels {
            let _ = labels.sync();
        }
        drop(ending);
    }

    fn commit(&mut self, jobs: VecDeque<Job>) {
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            let recorded: Vec<_> = job.entries.into_iter().map(|entry| self.stage(entry)).collect();
            answers.push((job.answer, recorded, job.held));
        }
        self.flush();
        let stopped = self.shared.working().err();
        for (answer, recorded, held) in answers {
            drop(held);
            let _ = answer.send(match &stopped {
                None => recorded,
                Some(error) => recorded.iter().map(|_| Err(error.clone())).collect(),
            });
        }
        // Hashing waits until the answers are out: the checkpoint is a second away.
        self.grow_tree();
    }

    /// Decides what is recorded for `entry` and puts it into `frames`.
    fn stage(&mut self, entry: Prepared) -> Recorded {
        let withdrawn = entry.lease.as_ref().and_then(|lease| lease.check().err());
        entry.withdraws.iter().for_each(Withdrawal::apply);
        let Some(withdrawn) = withdrawn else {
            return self.put(entry);
        };
        if let Some(withheld) = entry.withhold(withdrawn.into()) {
            self.put(withheld)?;
            self.shared.metrics.withheld.inc();
        }
        Err(AuditError::Withdrawn(withdrawn))
    }

    fn put(&mut self, entry: Prepared) -> Recorded {
        self.shared.working()?;
        let place = self.place(entry.floor_ms);
        self.record.clear();
        place.write(&entry.body, &mut self.record);
        let bytes = u64::try_from(self.frames.len() + FRAME_HEADER_BYTES + self.record.len())
            .unwrap_or(u64::MAX);
        if !self.segment.has_room(bytes) {
            self.flush();
            self.shared.working()?;
            self.next_segment()?;
        }
        let start = self.frames.len() + FRAME_HEADER_BYTES;
        put_frame(&mut self.frames, &self.record);
        self.staged.push(Staged {
            octets: start..self.frames.len(),
            seq: place.seq,
            time_ms: place.time_ms,
            retry: entry.retry,
            label: entry.label,
        });
        self.next_seq += 1;
        self.last_time_ms = place.time_ms;
        Ok(Receipt { seq: place.seq, time_ms: place.time_ms })
    }

    fn place(&self, floor_ms: Option<u64>) -> Place {
        let time_ms = match floor_ms {
            Some(lowered) => lowered,
            None => self.shared.wall.unix_ms().max(self.last_time_ms),
        };
        Place { seq: self.next_seq, time_ms, synced: self.shared.durable.load(Ordering::Acquire) }
    }

    /// Writes what is staged and makes it durable; any failure stops the log.
    fn flush(&mut self) {
        if self.staged.is_empty() {
            return;
        }
        let offset = self.segment.end();
        self.keep_labels();
        let started = Instant::now();
        if let Err(error) = self.segment.append(&self.frames) {
            self.shared.stop(format!("a record could not be made durable: {error}"));
            self.staged.clear();
            self.frames.clear();
            return;
        }
        let metrics = &self.shared.metrics;
        metrics.sync_seconds.observe(started.elapsed().as_secs_f64());
        metrics.syncs.inc();
        metrics.size_bytes.add(i64::try_from(self.frames.len()).unwrap_or(0));
        metrics.records.set(i64::try_from(self.next_seq).unwrap_or(i64::MAX));
        self.shared.durable.store(self.next_seq, Ordering::Release);
        self.shared.floor.set(self.last_time_ms);
        self.index_retries(offset);
        let octets = self.staged.iter().filter_map(|staged| self.frames.get(staged.octets.clone()));
        self.leaves.extend(octets.map(leaf_hash));
        self.staged.clear();
        self.frames.clear();
    }

    fn index_retries(&self, offset: u64) {
        if self.staged.iter().all(|staged| staged.retry.is_none()) {
            return;
        }
        let mut retries = lock(&self.shared.retries);
        for staged in &self.staged {
            let in_frames = staged.octets.start.saturating_sub(FRAME_HEADER_BYTES);
            let at = offset.saturating_add(u64::try_from(in_frames).unwrap_or(u64::MAX));
            if let (Some(key), Ok(offset)) = (staged.retry, u32::try_from(at)) {
                let location = Location { seq: staged.seq, segment: self.segment.first, offset };
                retries.insert(key, location, staged.time_ms);
            }
        }
    }

    /// Labels are not worth stopping for: what cannot be kept is counted.
    fn keep_labels(&mut self) {
        for staged in &mut self.staged {
            let Some(label) = staged.label.take() else {
                continue;
            };
            let first = self.segment.first;
            if self.labels.as_ref().is_none_or(|(of, _)| *of != first) {
                if let Some((_, full)) = self.labels.take() {
                    let _ = full.sync();
                }
                self.labels = LabelFile::open(&self.shared.layout.labels(first))
                    .ok()
                    .map(|file| (first, file));
            }
            let kept = self.labels.as_mut().map(|(_, file)| file.append(staged.seq, &label));
            if !matches!(kept, Some(Ok(()))) {
                self.labels = None;
                self.shared.metrics.labels_lost.inc();
            }
        }
    }

    fn grow_tree(&mut self) {
        if self.leaves.is_empty() {
            return;
        }
        let mut growing = lock(&self.shared.tree);
        for leaf in self.leaves.drain(..) {
            let full = growing.tree.push(leaf);
            growing.tiles.extend(full);
        }
    }

    /// Goes on in the next segment, which is made on the spot when the caretaker has not.
    fn next_segment(&mut self) -> Result<(), AuditError> {
        let shared = Arc::clone(&self.shared);
        let mut ready = lock(&shared.next);
        if !*ready {
            segment::prepare(&shared.layout, shared.config.segment_bytes)
                .map_err(|error| self.no_segment(&error))?;
        }
        segment::claim(&shared.layout, self.next_seq).map_err(|error| self.no_segment(&error))?;
        *ready = false;
        let next = match Segment::begin(&shared.layout, self.next_seq) {
            Ok(next) => next,
            Err(error) => {
                shared.stop(format!("the next segment could not be begun: {error}"));
                return shared.working();
            }
        };
        drop(ready);
        // Only blocks that hold zeros are given back; if it fails, the file is longer than it need be.
        let _ = self.segment.finish();
        shared.segments.write().unwrap_or_else(PoisonError::into_inner).push(next.first);
        self.segment = next;
        shared.bell.ring(|_| {});
        Ok(())
    }

    /// A full disk refuses this record, because nothing of it was written: there is no next segment, or it is still under
    /// its old name (the longer one may need a block more). Any other failure stops the log.
    fn no_segment(&self, error: &io::Error) -> AuditError {
        if is_full(error) {
            self.shared.low_space.store(true, Ordering::Release);
            return AuditError::NoSpace;
        }
        let reason = format!("the next segment could not be begun: {error}");
        self.shared.stop(reason.clone());
        AuditError::Stopped(reason)
    }
}

/// Whether the file system has no room, which may pass; everything else may not.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// However the thread ends, nobody waits for it and the caretaker does its last round.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop("its committer panicked".to_owned());
        }
        self.0.queue.close();
        self.0.bell.ring(|rung| rung.end = true);
    }
}

/// The thread sleeps until it is woken; this only bounds one wait.
const IDLE: Duration = Duration::from_secs(3600);
