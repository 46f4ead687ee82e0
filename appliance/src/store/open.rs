//! Opening: with a time limit, with everything read and added up, and never repaired in silence.

use crate::store::SledStore;
use crate::store::engine::Engine;
use crate::store::engine::RECORDS_UNCOUNTED;
use crate::store::engine::StoreState;
use crate::store::engine::count_pages;
use crate::store::engine::guarded;
use crate::store::envelope::Envelope;
use crate::store::floor::Floor;
use crate::store::layout;
use crate::store::metrics::StoreMetrics;
use crate::store::writer::Shared;
use crate::store::writer::Writer;
use attest::clock::Clock;
use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;
use tokio::sync::RwLock;
use tokio::sync::watch;

/// Numbers of one store.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Longest time opening may take: sled has been seen to hang on a damaged log.
    pub open_timeout: Duration,
    /// Longest time a commit may take, its wait in the queue included; then the store stops: sled has been seen to wait
    /// for ever after one of its own threads failed to write.
    pub commit_timeout: Duration,
    /// Octets sled may keep in memory.
    pub cache_bytes: u64,
    /// Transactions that may wait; one more is answered [`Busy`](attest::store::StoreError::Busy).
    pub queue_limit: usize,
}

impl Default for StoreConfig {
    /// 60 s (opening 1 GB took 0.5 s), 30 s (a slow disk's worst sync takes seconds), 32 MiB (every live record of 10,000 holders), 4,096 (half a second of commits).
    fn default() -> Self {
        Self {
            open_timeout: Duration::from_secs(60),
            commit_timeout: Duration::from_secs(30),
            cache_bytes: 32 * 1024 * 1024,
            queue_limit: 4096,
        }
    }
}

/// Why the store did not open. Nothing was changed; an operator restores a backup.
#[derive(Debug, thiserror::Error)]
pub enum StoreOpenError {
    /// A file operation failed.
    #[error("cannot open the store: {path}: {source}")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Opening took too long; the thread that tried is left behind.
    #[error("the store did not open within {0:?}: the database is damaged or the disk hangs")]
    TimedOut(Duration),
    /// The engine did not accept its own files, or panicked on them.
    #[error("the store cannot be read, its database is damaged: {0}")]
    Engine(String),
    /// A record is not what was written.
    #[error("the store holds a damaged record under {key}: {reason}")]
    Record {
        /// The key, printable.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The records do not add up to what the newest commit left.
    #[error(
        "the store does not add up: {found} records where its newest commit left {expected}, or some of them are stale"
    )]
    Sum {
        /// Records found.
        found: u64,
        /// Records expected.
        expected: u64,
    },
    /// The database is older than what was durable: pages were lost, or an old copy was put in place.
    #[error("the store went back: it is at revision {found}, but revision {floor} was durable")]
    WentBack {
        /// Revision found.
        found: u64,
        /// Revision that was durable.
        floor: u64,
    },
}

impl SledStore {
    /// Opens the store in `directory`, made if missing (mode 0700), and starts its writer thread.
    ///
    /// # Errors
    /// [`StoreOpenError`]; a damaged store is named and left as it is.
    /// # Blocking
    /// Reads every record once. Call from a thread that may block.
    pub fn open(
        directory: &Path,
        config: &StoreConfig,
        clock: Arc<dyn Clock>,
        metrics: StoreMetrics,
    ) -> Result<Self, StoreOpenError> {
        let (engine, state, floor) = open_in_time(directory, config)?;
        let shared = Arc::new(Shared {
            engine,
            queue: crate::queue::Queue::new(config.queue_limit),
            clock,
            visible: AtomicU64::new(state.rev),
            durable: watch::Sender::new(state.rev),
            applying: RwLock::new(()),
            stopped: OnceLock::new(),
            metrics,
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            directory: directory.to_owned(),
            state,
            next_rev: state.rev.saturating_add(1),
            floor,
            // Whatever expired while the appliance was off goes at once.
            swept_at: Instant::now()
                .checked_sub(Duration::from_secs(3600))
                .unwrap_or_else(Instant::now),
        };
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| StoreOpenError::Io { path: directory.to_owned(), source })?;
        Ok(Self::new(shared, thread, config.commit_timeout))
    }
}

type Opened = (Engine, StoreState, Floor);

fn open_in_time(directory: &Path, config: &StoreConfig) -> Result<Opened, StoreOpenError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let (path, cache_bytes) = (directory.to_owned(), config.cache_bytes);
    std::thread::Builder::new()
        .name("store-open".to_owned())
        .spawn(move || {
            let opened = guarded(|| open(&path, cache_bytes));
            let _ = sender.send(opened.unwrap_or_else(|panic| Err(StoreOpenError::Engine(panic))));
        })
        .map_err(|source| StoreOpenError::Io { path: directory.to_owned(), source })?;
    receiver
        .recv_timeout(config.open_timeout)
        .unwrap_or(Err(StoreOpenError::TimedOut(config.open_timeout)))
}

fn open(directory: &Path, cache_bytes: u64) -> Result<Opened, StoreOpenError> {
    make_directory(directory)?;
    let engine_directory = directory.join("sled");
    make_directory(&engine_directory)?;
    let db = sled::Config::new()
        .path(&engine_directory)
        .cache_capacity(cache_bytes)
        // Collects garbage and writes snapshots; durability is the writer's business.
        .flush_every_ms(Some(200))
        .open()
        .map_err(|error| StoreOpenError::Engine(error.to_string()))?;
    let file = at(&engine_directory.join("db"), |path| {
        let file = File::options().read(true).write(true).open(path)?;
        file.sync_all()?;
        Ok(file)
    })?;
    let state = add_up(&db)?;
    // The file is there before the first commit: whoever lost it lost what says how far the store had come.
    let (floor, floor_rev) =
        at(&directory.join("floor"), |path| Floor::open(path, state.rev == 0))?;
    for path in [engine_directory.as_path(), directory] {
        at(path, |path| File::open(path)?.sync_all())?;
    }
    if let Some(parent) = directory.parent() {
        at(parent, |path| File::open(path)?.sync_all())?;
    }
    match state.rev < floor_rev {
        true => Err(StoreOpenError::WentBack { found: state.rev, floor: floor_rev }),
        false => Ok((Engine { db, file, gets: AtomicUsize::new(0) }, state, floor)),
    }
}

/// Reads every record and checks the sum that the newest commit left.
fn add_up(db: &sled::Db) -> Result<StoreState, StoreOpenError> {
    let mut found = StoreState::default();
    let mut expected = None;
    let engine = |error: sled::Error| StoreOpenError::Engine(error.to_string());
    for (index, entry) in db.iter().enumerate() {
        let (key, octets) = entry.map_err(engine)?;
        if index.is_multiple_of(RECORDS_UNCOUNTED) {
            count_pages(db, &key).map_err(engine)?;
        }
        if key == layout::STATE_KEY {
            expected = Some(StoreState::decode(&octets).ok_or_else(|| {
                record_error(&key, "the store's state record does not fit its check sum".to_owned())
            })?);
            continue;
        }
        let envelope =
            Envelope::open(&key, &octets).map_err(|error| record_error(&key, error.to_string()))?;
        found.add(&key, &octets);
        found.rev = found.rev.max(envelope.rev.0);
    }
    let expected = match expected {
        Some(expected) => expected,
        None if found.records == 0 => StoreState::default(),
        None => return Err(StoreOpenError::Sum { found: found.records, expected: 0 }),
    };
    let fits = found.records == expected.records && found.sum == expected.sum;
    match fits && found.rev <= expected.rev {
        true => Ok(expected),
        false => Err(StoreOpenError::Sum { found: found.records, expected: expected.records }),
    }
}

fn record_error(key: &[u8], reason: String) -> StoreOpenError {
    StoreOpenError::Record { key: layout::printable(key), reason }
}

fn make_directory(path: &Path) -> Result<(), StoreOpenError> {
    at(path, |path| match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    })
}

fn at<T>(path: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, StoreOpenError> {
    act(path).map_err(|source| StoreOpenError::Io { path: path.to_owned(), source })
}
