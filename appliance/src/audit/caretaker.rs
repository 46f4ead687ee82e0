//! The log's second thread: everything that must be done, but not while a signature waits.
//!
//! It makes the next segment ready, watches the free space, writes full tiles and has the checkpoint signed: every second
//! while the log grows, every minute in any case, and once at the end.

use crate::audit::committer::is_full;
use crate::audit::history;
use crate::audit::layout::Layout;
use crate::audit::layout::make_directory;
use crate::audit::layout::sync_directory;
use crate::audit::note::Checkpoint;
use crate::audit::note::SignedCheckpoint;
use crate::audit::of_holder::make_missing;
use crate::audit::segment;
use crate::audit::shared::Shared;
use crate::audit::shared::Signer;
use crate::audit::shared::lock;
use crate::audit::tree::Tile;
use std::collections::BTreeSet;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

pub(super) struct Caretaker {
    pub(super) shared: Arc<Shared>,
    /// Records under the newest checkpoint and when it was made.
    pub(super) signed: Option<(u64, Instant)>,
    /// Records under the newest checkpoint in the history and when it was put there.
    pub(super) kept: Option<(u64, Instant)>,
    /// Segments there were when none of the finished ones lacked an index of holders.
    pub(super) indexed: usize,
}

impl Caretaker {
    /// Works until the committer has ended.
    pub(super) fn run(mut self) {
        loop {
            let rung = self.shared.bell.wait(self.shared.config.checkpoint_every);
            self.make_ready();
            self.shared.summarise_denials();
            self.write_tiles_and_checkpoint(rung.checkpoint || rung.end, rung.end);
            self.index_holders();
            if rung.end {
                let _ = std::fs::remove_file(self.shared.layout.next_segment());
                break;
            }
        }
    }

    /// Makes one index of holders that is missing. Without it a holder's page is slower, and nothing else is.
    fn index_holders(&mut self) {
        let segments = self.shared.segments.read().unwrap_or_else(PoisonError::into_inner).len();
        if self.indexed == segments {
            return;
        }
        match make_missing(&self.shared) {
            Ok(true) => {}
            Ok(false) => self.indexed = segments,
            Err(error) => {
                tracing::warn!(%error, "an index of the audit log could not be made");
                self.indexed = segments;
            }
        }
    }

    /// Watches the free space and makes the next segment ready.
    fn make_ready(&self) {
        let shared = &self.shared;
        if shared.stopped.get().is_some() {
            return;
        }
        let (free, enough) = space(&shared.layout.directory, shared.config.min_free_bytes);
        shared.metrics.free_bytes.set(i64::try_from(free).unwrap_or(i64::MAX));
        let mut low = free < enough;
        let mut ready = lock(&shared.next);
        if !*ready && !low {
            match segment::prepare(&shared.layout, shared.config.segment_bytes) {
                Ok(()) => *ready = true,
                Err(error) if is_full(&error) => low = true,
                Err(error) => {
                    shared.stop(format!("the next segment could not be made ready: {error}"));
                }
            }
        }
        shared.low_space.store(low, Ordering::Release);
    }

    fn write_tiles_and_checkpoint(&mut self, wanted: bool, end: bool) {
        let shared = Arc::clone(&self.shared);
        if shared.stopped.get().is_some() {
            return;
        }
        let (tree, tiles) = {
            let mut growing = lock(&shared.tree);
            (growing.tree.clone(), std::mem::take(&mut growing.tiles))
        };
        if let Err(error) = write_tiles(&shared.layout, &tiles) {
            lock(&shared.tree).tiles.splice(..0, tiles);
            return self.fail("a tile", &error);
        }
        let due = match self.signed {
            None => true,
            Some((size, at)) => {
                size != tree.size() || at.elapsed() >= shared.config.checkpoint_at_least
            }
        };
        let Some(signer) = lock(&shared.signer).clone().filter(|_| due || wanted) else {
            return;
        };
        let checkpoint = Checkpoint {
            origin: shared.config.origin.clone(),
            size: tree.size(),
            root: tree.root(),
        };
        match sign(&shared, &signer, checkpoint) {
            Ok(signed) => self.publish(signed, end),
            Err(error) => {
                shared.metrics.checkpoint_failures.inc();
                tracing::warn!(%error, "no checkpoint of the audit log could be signed");
            }
        }
    }

    fn publish(&mut self, signed: SignedCheckpoint, end: bool) {
        let shared = Arc::clone(&self.shared);
        let size = signed.checkpoint.size;
        if let Err(error) = replace(&shared.layout.checkpoint(), signed.text.as_bytes()) {
            return self.fail("the checkpoint", &error);
        }
        self.signed = Some((size, Instant::now()));
        let keep = match self.kept {
            None => true,
            Some((kept, at)) => {
                kept != size && (end || at.elapsed() >= shared.config.history_every)
            }
        };
        let time_ms = shared.wall.unix_ms().max(shared.floor.unix_ms());
        if keep {
            if let Err(error) = history::append(&shared.layout, &signed, time_ms) {
                return self.fail("the history of checkpoints", &error);
            }
            self.kept = Some((size, Instant::now()));
        }
        shared.metrics.checkpoint_records.set(i64::try_from(size).unwrap_or(i64::MAX));
        shared.metrics.checkpoint_time.set(i64::try_from(time_ms / 1000).unwrap_or(i64::MAX));
        shared.checkpoint.send_replace(Some(Arc::new(signed)));
    }

    /// A full disk may pass; any other failed write or sync stops the log for good.
    fn fail(&self, what: &str, error: &io::Error) {
        self.shared.metrics.checkpoint_failures.inc();
        match is_full(error) {
            true => self.shared.low_space.store(true, Ordering::Release),
            false => self.shared.stop(format!("{what} could not be written: {error}")),
        }
    }
}

/// Has `checkpoint` signed and checks the signature before anybody relies on it.
fn sign(
    shared: &Shared,
    signer: &Signer,
    checkpoint: Checkpoint,
) -> Result<SignedCheckpoint, String> {
    let text = checkpoint.text();
    let signature = signer.runtime.block_on(async {
        tokio::time::timeout(shared.config.signer_timeout, signer.signer.sign(text.as_bytes()))
            .await
            .map_err(|_| "the key did not answer in time".to_owned())?
    })?;
    signer.key.verify(text.as_bytes(), &signature).map_err(|error| error.to_string())?;
    Ok(SignedCheckpoint::new(checkpoint, &signer.key, signature))
}

/// Writes full tiles to their files, durably.
pub(super) fn write_tiles(layout: &Layout, tiles: &[Tile]) -> io::Result<()> {
    let mut directories = BTreeSet::new();
    for tile in tiles {
        let path = layout.tile(tile.level, tile.index);
        make_parents(&path, &layout.directory, &mut directories)?;
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(&tile.encode())?;
        file.sync_data()?;
    }
    directories.iter().try_for_each(|directory| sync_directory(directory))
}

fn make_parents(path: &Path, top: &Path, directories: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    let Some(parent) = path.parent().filter(|parent| parent.starts_with(top)) else {
        return Ok(());
    };
    if directories.contains(parent) {
        return Ok(());
    }
    if !parent.is_dir() {
        make_parents(parent, top, directories)?;
        make_directory(parent)?;
    }
    directories.insert(parent.to_owned());
    Ok(())
}

/// Replaces a small file as a whole, durably.
pub(super) fn replace(path: &Path, octets: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file: File = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(octets)?;
    file.sync_data()?;
    std::fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Free octets on the file system, and how many there should be: `wanted`, on a small one a twentieth of it.
pub(super) fn space(path: &Path, wanted: u64) -> (u64, u64) {
    let Ok(found) = nix::sys::statvfs::statvfs(path) else {
        return (0, wanted);
    };
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    let all = found.blocks().saturating_mul(found.fragment_size());
    (free, wanted.min(all / 20))
}
