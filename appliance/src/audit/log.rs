//! The log as the daemon holds it.

use crate::audit::AuditError;
use crate::audit::Receipt;
use crate::audit::archive::Archive;
use crate::audit::caretaker::Caretaker;
use crate::audit::caretaker::space;
use crate::audit::committer::Committer;
use crate::audit::committer::Recorded;
use crate::audit::config::AuditConfig;
use crate::audit::denials::Denials;
use crate::audit::entry::Entry;
use crate::audit::event::Event;
use crate::audit::frame::FRAME_HEADER_BYTES;
use crate::audit::frame::MAX_RECORD_BYTES;
use crate::audit::frame::frame_at;
use crate::audit::label;
use crate::audit::label::LabelFound;
use crate::audit::layout::Layout;
use crate::audit::metrics::AuditMetrics;
use crate::audit::note::CheckpointSigner;
use crate::audit::note::NoteError;
use crate::audit::note::SignedCheckpoint;
use crate::audit::note::VerifierKey;
use crate::audit::record::Principal;
use crate::audit::record::Record;
use crate::audit::recover;
use crate::audit::recover::AuditOpenError;
use crate::audit::recover::Found;
use crate::audit::recover::at;
use crate::audit::retry::Location;
use crate::audit::retry::RetryIndex;
use crate::audit::retry::RetryKey;
use crate::audit::retry_scan::read_retries;
use crate::audit::segment;
use crate::audit::segment::Segment;
use crate::audit::shared::Bell;
use crate::audit::shared::Growing;
use crate::audit::shared::Shared;
use crate::audit::shared::Signer;
use crate::audit::shared::lock;
use crate::audit::signature::Idempotency;
use crate::audit::slot::Slot;
use crate::queue::Queue;
use crate::time::TimeFloor;
use crate::time::WallClock;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;
use tokio::sync::watch;

/// The audit log. Dropping it writes what waits, signs a last checkpoint and ends its threads.
pub struct AuditLog {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What was found at opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Records in the log.
    pub records: u64,
    /// Octets of an unfinished write that were cut off: never acknowledged.
    pub cut_bytes: u64,
    /// The newest checkpoint, if one was ever signed.
    pub checkpoint: Option<SignedCheckpoint>,
}

impl AuditLog {
    /// Opens the log in `directory`, made if missing, and starts its threads.
    ///
    /// # Errors
    /// [`AuditOpenError`]: damage and tampering are named and left as they are.
    /// # Blocking
    /// Reads the last segments and those of the last day. Call from a thread that may block.
    pub fn open(
        directory: &Path,
        config: AuditConfig,
        wall: Arc<dyn WallClock>,
        metrics: AuditMetrics,
    ) -> Result<(Self, Opened), AuditOpenError> {
        let layout = Layout::new(directory);
        at(directory, |_| layout.make())?;
        let mut found = recover::find(&layout, &config.origin)?;
        let records = found.tree.size();
        let segment = begin_or_resume(&layout, &mut found, config.segment_bytes)?;
        let now_ms = wall.unix_ms().max(found.last_time_ms);
        let retries = read_retries(&layout, &found.segments, &config, now_ms)?;
        let opened =
            Opened { records, cut_bytes: found.cut_bytes, checkpoint: found.checkpoint.clone() };
        let last_time_ms = found.last_time_ms;
        let size_bytes = at(directory, |_| size_of(&layout, &found))?;
        metrics.size_bytes.set(i64::try_from(size_bytes).unwrap_or(i64::MAX));
        let shared = Arc::new(share(layout, config, wall, metrics, found, retries));
        shared.floor.set(last_time_ms);
        let committer = Committer::new(Arc::clone(&shared), segment, records, last_time_ms);
        let caretaker =
            Caretaker { shared: Arc::clone(&shared), signed: None, kept: None, indexed: 0 };
        let log = Self { shared, threads: Mutex::new(Vec::new()) };
        at(directory, |_| {
            log.spawn("audit-caretaker", move || caretaker.run())?;
            log.spawn("audit", move || committer.run())
        })?;
        log.shared.bell.ring(|_| {});
        Ok((log, opened))
    }

    /// Whether the log, as it was found, is the one that `key` signs: until then only its form was checked, and what the
    /// key signs next would vouch for all of it. Call before [`Self::set_signer`].
    ///
    /// # Errors
    /// [`AuditOpenError::Checkpoint`] when the newest checkpoint is not signed by it, and
    /// [`AuditOpenError::CheckpointMissing`] when there are records and none.
    pub fn check_signed_by(&self, key: &VerifierKey) -> Result<(), AuditOpenError> {
        let path = self.shared.layout.checkpoint();
        match self.checkpoint() {
            _ if self.records() == 0 => Ok(()),
            None => Err(AuditOpenError::CheckpointMissing { path }),
            Some(signed) => signed
                .verify(std::slice::from_ref(key))
                .map_err(|source| AuditOpenError::Checkpoint { path, source }),
        }
    }

    /// Gives the log the key that signs its checkpoints from now on. Call inside the runtime that the key's futures need.
    ///
    /// # Errors
    /// [`NoteError::Key`] when it is no ECDSA key on P-256 or the origin is no key name.
    pub fn set_signer(&self, signer: Arc<dyn CheckpointSigner>) -> Result<VerifierKey, NoteError> {
        let key = VerifierKey::new(&self.shared.config.origin, signer.spki_der())?;
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| NoteError::Key("its signer was given outside a runtime"))?;
        *lock(&self.shared.signer) = Some(Signer { signer, key: key.clone(), runtime });
        Ok(key)
    }

    /// Changes the key that signs checkpoints: records it, has the old key sign over that record, then goes on with the
    /// new one. Who trusts the old key can follow to the new one.
    ///
    /// # Errors
    /// [`AuditError`] when the record or the old key's checkpoint is not made; then the old key stays. Without an old
    /// key only the record is made.
    pub async fn change_signer(
        &self,
        request_id: &str,
        principal: Principal,
        approved_by: Vec<String>,
        signer: Arc<dyn CheckpointSigner>,
    ) -> Result<VerifierKey, AuditError> {
        let malformed = |error: NoteError| AuditError::Malformed(error.to_string());
        let new = VerifierKey::new(&self.shared.config.origin, signer.spki_der());
        let new = new.map_err(malformed)?;
        let old = lock(&self.shared.signer).as_ref().map(|signer| signer.key.clone());
        let event = Event::CheckpointKeyChanged {
            old: old.as_ref().map(VerifierKey::to_string),
            new: new.to_string(),
            approved_by,
        };
        let receipt = self.append(Entry::new(request_id, principal, event)).await?;
        if old.is_some() {
            self.checkpoint_over(receipt.seq + 1).await?;
        }
        self.set_signer(signer).map_err(malformed)
    }

    /// Waits for a checkpoint over at least `records` records, asking for one at once.
    ///
    /// # Errors
    /// [`AuditError::Stopped`], or [`AuditError::Busy`] when the key does not sign in time.
    pub async fn checkpoint_over(&self, records: u64) -> Result<Arc<SignedCheckpoint>, AuditError> {
        let mut newest = self.shared.checkpoint.subscribe();
        self.shared.bell.ring(|rung| rung.checkpoint = true);
        let covers = |newest: &Option<Arc<SignedCheckpoint>>| {
            self.shared.stopped.get().is_some()
                || newest.as_ref().is_some_and(|signed| signed.checkpoint.size >= records)
        };
        let wait = self.shared.config.signer_timeout + CHECKPOINT_PATIENCE;
        let reached = tokio::time::timeout(wait, newest.wait_for(covers)).await;
        self.shared.working()?;
        match reached {
            Ok(Ok(signed)) => signed.clone().ok_or(AuditError::Busy),
            Ok(Err(_)) | Err(_) => Err(AuditError::Busy),
        }
    }

    /// Takes a place for `records` records before a key is used for them.
    ///
    /// # Errors
    /// [`AuditError::Stopped`], [`AuditError::NoSpace`] (the disk is nearly full), [`AuditError::Busy`].
    pub fn reserve(&self, records: usize) -> Result<Slot, AuditError> {
        self.shared.working()?;
        if self.shared.low_space.load(Ordering::Acquire) {
            return Err(AuditError::NoSpace);
        }
        Slot::take(&self.shared, records, self.shared.config.queue_limit)
    }

    /// Records `entry`; `Ok` when it is durable. For everything but signatures: it does not ask for free space, so that
    /// a logout is still recorded when signing has stopped for want of it.
    ///
    /// # Errors
    /// As [`Slot::append`].
    pub async fn append(&self, entry: Entry) -> Result<Receipt, AuditError> {
        self.shared.working()?;
        let limit = self.shared.config.queue_limit.saturating_mul(2);
        Slot::take(&self.shared, 1, limit)?.append(entry).await
    }

    /// Records a refusal of somebody in `crowd` (a signing system, an operator, everybody at the sign-in), or only counts
    /// it in a flood (then `None`); the count is recorded within seconds.
    ///
    /// # Errors
    /// As [`Slot::append`].
    pub async fn append_denial(
        &self,
        crowd: &str,
        mut entry: Entry,
    ) -> Result<Option<Receipt>, AuditError> {
        let now = Instant::now();
        let admitted = lock(&self.shared.denials).admit(crowd, entry.event_mut(), now);
        match admitted {
            true => self.append(entry).await.map(Some),
            false => Ok(None),
        }
    }

    /// Records all `entries` together; one result for each.
    ///
    /// # Errors
    /// As [`Slot::append_all`].
    pub async fn append_all(&self, entries: Vec<Entry>) -> Result<Vec<Recorded>, AuditError> {
        self.shared.working()?;
        let limit = self.shared.config.queue_limit.saturating_mul(2);
        Slot::take(&self.shared, entries.len(), limit)?.append_all(entries).await
    }

    /// The record of the signature that answered a request with this idempotency scope, over restarts, for a day.
    ///
    /// # Errors
    /// [`AuditError::Unreadable`] when the record is damaged.
    pub fn find_retry(&self, idempotency: &Idempotency) -> Result<Option<Record>, AuditError> {
        let Some(key) = RetryKey::of(idempotency) else {
            return Ok(None);
        };
        let Some(location) = lock(&self.shared.retries).get(key) else {
            return Ok(None);
        };
        let record = read_at(&self.shared.layout, location)?;
        let same = match &record.event {
            Event::Signature(facts) => {
                facts.idempotency.as_ref().is_some_and(|found| found.scope == idempotency.scope)
            }
            _ => false,
        };
        Ok(same.then_some(record))
    }

    /// Record `seq`, if it is durable.
    ///
    /// # Errors
    /// [`AuditError::Unreadable`] when it is damaged.
    pub fn record(&self, seq: u64) -> Result<Option<Record>, AuditError> {
        if seq >= self.records() {
            return Ok(None);
        }
        let unreadable = |reason: String| AuditError::Unreadable { seq, reason };
        let Some(first) = self.shared.segment_of(seq) else {
            return Ok(None);
        };
        let file = segment::read(&self.shared.layout.segment(first))
            .map_err(|error| unreadable(error.to_string()))?;
        let mut offset = 0;
        for _ in first..seq {
            match frame_at(&file, offset) {
                Ok(Some(frame)) => offset = frame.end(),
                Ok(None) => return Err(unreadable("its segment ends before it".to_owned())),
                Err(bad) => return Err(unreadable(bad.to_string())),
            }
        }
        let offset = u32::try_from(offset).map_err(|error| unreadable(error.to_string()))?;
        read_at(&self.shared.layout, Location { seq, segment: first, offset }).map(Some)
    }

    /// The log for reading, as far as it is durable now.
    pub fn archive(&self) -> Archive {
        let segments = self.shared.segments.read().unwrap_or_else(PoisonError::into_inner);
        let layout = self.shared.layout.clone();
        Archive::live(layout, segments.clone(), self.records())
    }

    /// The label kept for record `seq`.
    ///
    /// # Errors
    /// [`AuditError::Unreadable`] when the label file cannot be read.
    pub fn label(&self, seq: u64) -> Result<LabelFound, AuditError> {
        match self.shared.segment_of(seq) {
            None => Ok(LabelFound::None),
            Some(first) => label::find(&self.shared.layout.labels(first), seq)
                .map_err(|error| AuditError::Unreadable { seq, reason: error.to_string() }),
        }
    }

    /// Erases the label kept for record `seq`, after recording that; whether there was one.
    ///
    /// # Errors
    /// [`AuditError`] of the record; [`AuditError::Unreadable`] when the file cannot be written.
    pub async fn erase_label(
        &self,
        seq: u64,
        request_id: &str,
        principal: Principal,
        reason: &str,
    ) -> Result<bool, AuditError> {
        let Some(first) = self.shared.segment_of(seq) else {
            return Ok(false);
        };
        let event = Event::LabelErased { of: seq, reason: reason.to_owned() };
        self.append(Entry::new(request_id, principal, event)).await?;
        label::erase(&self.shared.layout.labels(first), seq)
            .map_err(|error| AuditError::Unreadable { seq, reason: error.to_string() })
    }

    /// Durable records.
    pub fn records(&self) -> u64 {
        self.shared.durable.load(Ordering::Acquire)
    }

    /// The newest checkpoint.
    pub fn checkpoint(&self) -> Option<Arc<SignedCheckpoint>> {
        self.shared.checkpoint.borrow().clone()
    }

    /// Time of the newest durable record; the daemon's clock obeys it.
    pub fn time_floor(&self) -> TimeFloor {
        self.shared.floor.clone()
    }

    /// Why it stopped, once it has.
    pub fn stopped(&self) -> Option<&str> {
        self.shared.stopped.get().map(String::as_str)
    }

    /// Whether something could be signed and recorded now.
    ///
    /// # Errors
    /// As [`Self::reserve`].
    pub fn ready(&self) -> Result<(), AuditError> {
        self.reserve(1).map(drop)
    }

    /// What operators see of it.
    pub fn metrics(&self) -> &AuditMetrics {
        &self.shared.metrics
    }

    /// Where it lies.
    pub fn directory(&self) -> &Path {
        &self.shared.layout.directory
    }

    /// Writes what waits, signs a last checkpoint and ends the threads. Later calls are answered
    /// [`AuditError::Stopped`].
    ///
    /// # Blocking
    /// For one commit and one signature of the HSM. Call from a thread that may block.
    pub fn close(&self) {
        self.shared.summarise_denials();
        self.shared.queue.close();
        let threads = std::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            let _ = thread.join();
        }
        let _ = self.shared.stopped.set("it was closed".to_owned());
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        lock(&self.threads).push(thread);
        Ok(())
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.close();
    }
}

fn share(
    layout: Layout,
    config: AuditConfig,
    wall: Arc<dyn WallClock>,
    metrics: AuditMetrics,
    found: Found,
    retries: RetryIndex,
) -> Shared {
    let records = found.tree.size();
    let (free, enough) = space(&layout.directory, config.min_free_bytes);
    let is_low = free < enough;
    metrics.records.set(i64::try_from(records).unwrap_or(i64::MAX));
    Shared {
        queue: Queue::new(config.queue_limit.saturating_mul(2)),
        denials: Mutex::new(Denials::new(config.denials_per_second, config.denials_burst)),
        config,
        layout,
        wall,
        floor: TimeFloor::default(),
        metrics,
        requests: AtomicUsize::new(0),
        reserved: AtomicUsize::new(0),
        durable: AtomicU64::new(records),
        next: Mutex::new(false),
        low_space: AtomicBool::new(is_low),
        tree: Mutex::new(Growing { tree: found.tree, tiles: found.tiles }),
        segments: RwLock::new(found.segments),
        retries: Mutex::new(retries),
        signer: Mutex::new(None),
        checkpoint: watch::Sender::new(found.checkpoint.map(Arc::new)),
        bell: Bell::default(),
        stopped: OnceLock::new(),
    }
}

/// Octets of the records: finished segments end at their last one.
fn size_of(layout: &Layout, found: &Found) -> io::Result<u64> {
    let finished = found.segments.split_last().map_or(&[][..], |(_, finished)| finished);
    finished.iter().try_fold(found.end, |sum, first| {
        Ok(sum.saturating_add(layout.segment(*first).metadata()?.len()))
    })
}

/// The segment to go on in; a log without any begins with one.
fn begin_or_resume(
    layout: &Layout,
    found: &mut Found,
    segment_bytes: u64,
) -> Result<Segment, AuditOpenError> {
    let Some(last) = found.segments.last().copied() else {
        found.segments.push(0);
        return at(&layout.next_segment(), |_| {
            segment::prepare(layout, segment_bytes)?;
            segment::claim(layout, 0)?;
            Segment::begin(layout, 0)
        });
    };
    at(&layout.segment(last), |_| Segment::resume(layout, last, found.end, segment_bytes))
}

fn read_at(layout: &Layout, location: Location) -> Result<Record, AuditError> {
    let record = read_there(layout, location)?;
    match record.seq == location.seq {
        true => Ok(record),
        false => {
            let reason = "another record is in its place".to_owned();
            Err(AuditError::Unreadable { seq: location.seq, reason })
        }
    }
}

/// Whichever record lies there.
pub(super) fn read_there(layout: &Layout, location: Location) -> Result<Record, AuditError> {
    let unreadable = |reason: String| AuditError::Unreadable { seq: location.seq, reason };
    let octets = read_frame(&layout.segment(location.segment), location.offset)
        .map_err(|error| unreadable(error.to_string()))?;
    let frame = frame_at(&octets, 0).map_err(|bad| unreadable(bad.to_string()))?;
    let frame = frame.ok_or_else(|| unreadable("there is none".to_owned()))?;
    serde_json::from_slice(frame.record).map_err(|error| unreadable(error.to_string()))
}

fn read_frame(path: &Path, offset: u32) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut header = [0; FRAME_HEADER_BYTES];
    file.read_exact_at(&mut header, u64::from(offset))?;
    let length = header.first_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length));
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(MAX_RECORD_BYTES);
    let mut octets = vec![0; FRAME_HEADER_BYTES + length];
    file.read_exact_at(&mut octets, u64::from(offset))?;
    Ok(octets)
}

/// What a checkpoint may take beside the HSM's own time.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(5);
