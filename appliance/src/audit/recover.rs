//! What is on the disk when the log is opened, and whether it may be gone on from.
//!
//! Only the end of the log is read: the segments from the newest checkpoint on, and one before. The tree up to the
//! checkpoint comes from the tiles and must have the root that was signed. Behind the checkpoint a frame that is not whole
//! ends the log, *unless a later record says it was durable*; everything behind it is cut. In front of the checkpoint, or
//! where it was durable, it is damage: the log does not open.

use crate::audit::frame::frame_at;
use crate::audit::frame::next_frame_after;
use crate::audit::hash::Hash;
use crate::audit::hash::leaf_hash;
use crate::audit::head::Head;
use crate::audit::history;
use crate::audit::layout::Layout;
use crate::audit::note::NoteError;
use crate::audit::note::SignedCheckpoint;
use crate::audit::segment;
use crate::audit::tree::TILE_WIDTH;
use crate::audit::tree::Tile;
use crate::audit::tree::Tree;
use crate::audit::tree::partial_width;
use crate::audit::tree::perfect_root;
use std::io;
use std::path::Path;
use std::path::PathBuf;

/// Why the log does not open. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AuditOpenError {
    /// A file operation failed.
    #[error("cannot open the audit log: {path}: {source}")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A record that was durable is damaged.
    #[error(
        "audit log damaged or tampered with: {path} at octet {offset}, record {seq}: {reason}; run `inkan audit verify`"
    )]
    Damaged {
        /// Segment.
        path: PathBuf,
        /// Offset of the frame.
        offset: usize,
        /// Number the record there should have.
        seq: u64,
        /// What is wrong.
        reason: String,
    },
    /// Records that a checkpoint was signed over are missing.
    #[error(
        "audit log cut off or put back: it has {records} records, but a checkpoint over {checkpoint} was signed"
    )]
    Short {
        /// Records found.
        records: u64,
        /// Records that the checkpoint covers.
        checkpoint: u64,
    },
    /// The tree is not the one that was signed.
    #[error(
        "audit log tampered with: the records do not give the root of the checkpoint over {size} records; run `inkan audit verify`"
    )]
    OtherRoot {
        /// Records that the checkpoint covers.
        size: u64,
    },
    /// A file between others is missing.
    #[error("audit log tampered with: no segment begins with record {seq}")]
    SegmentMissing {
        /// First record of the missing segment.
        seq: u64,
    },
    /// A tile is missing or damaged.
    #[error(
        "the audit log's tile {path} is missing or damaged: run `inkan audit verify`, then rebuild the tiles from the records"
    )]
    Tile {
        /// Which.
        path: PathBuf,
    },
    /// The newest checkpoint is missing although one was signed.
    #[error(
        "audit log tampered with: {path} is missing although there are records or older checkpoints"
    )]
    CheckpointMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The newest checkpoint is not good.
    #[error("audit log tampered with: {path}: {source}")]
    Checkpoint {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: NoteError,
    },
    /// The newest checkpoint is older than one in the history.
    #[error(
        "audit log put back: the checkpoint covers {size} records, an older one covers {older}"
    )]
    CheckpointBack {
        /// Records that the newest covers.
        size: u64,
        /// Records that one in the history covers.
        older: u64,
    },
    /// The log belongs to another appliance.
    #[error("the audit log is named {found}, the configuration says {expected}")]
    OtherOrigin {
        /// Name in the checkpoint.
        found: String,
        /// Name configured.
        expected: String,
    },
}

/// What was found.
pub(super) struct Found {
    pub(super) tree: Tree,
    /// Tiles behind the checkpoint: written again.
    pub(super) tiles: Vec<Tile>,
    /// First numbers of all segments.
    pub(super) segments: Vec<u64>,
    /// Where the next frame goes in the last segment.
    pub(super) end: u64,
    /// Octets of an unfinished write behind it.
    pub(super) cut_bytes: u64,
    pub(super) last_time_ms: u64,
    pub(super) checkpoint: Option<SignedCheckpoint>,
}

/// Reads the end of the log in `layout`.
pub(super) fn find(layout: &Layout, origin: &str) -> Result<Found, AuditOpenError> {
    let checkpoint = read_checkpoint(layout, origin)?;
    let segments = at(&layout.directory, |_| layout.segments())?;
    let signed = checkpoint.as_ref().map_or(0, |signed| signed.checkpoint.size);
    match segments.first() {
        None if signed > 0 => return Err(AuditOpenError::Short { records: 0, checkpoint: signed }),
        Some(first) if *first > 0 => return Err(AuditOpenError::SegmentMissing { seq: 0 }),
        _ => {}
    }
    let mut scan = Scan::begin(layout, &segments, checkpoint.as_ref())?;
    let from = scan.first_segment(&segments);
    for (position, first) in segments.iter().enumerate().skip(from) {
        let next = segments.get(position + 1).copied();
        scan.segment(&layout.segment(*first), *first, next)?;
    }
    scan.finish(segments, checkpoint)
}

struct Scan {
    tree: Tree,
    tiles: Vec<Tile>,
    /// First record that the tree does not hold yet: the first of the checkpoint's partial tile of level 0.
    partial_from: u64,
    signed: u64,
    /// Root to be met at the checkpoint; `None` once it was.
    signed_root: Option<Hash>,
    seq: u64,
    end: usize,
    cut_bytes: u64,
    last_time_ms: u64,
}

impl Scan {
    fn begin(
        layout: &Layout,
        segments: &[u64],
        checkpoint: Option<&SignedCheckpoint>,
    ) -> Result<Self, AuditOpenError> {
        let signed = checkpoint.map_or(0, |signed| signed.checkpoint.size);
        let levels = upper_levels(layout, signed)?;
        let partial_from = signed - partial_width(signed, 0);
        // Level 0 is filled while scanning; until then the tree is that of the full tiles.
        let tree = Tree::from_levels(partial_from, levels)
            .ok_or(AuditOpenError::OtherRoot { size: signed })?;
        let mut scan = Self {
            tree,
            tiles: Vec::new(),
            partial_from,
            signed,
            signed_root: checkpoint.map(|signed| signed.checkpoint.root),
            seq: segments.first().copied().unwrap_or(0),
            end: 0,
            cut_bytes: 0,
            last_time_ms: 0,
        };
        scan.meet_root();
        Ok(scan)
    }

    /// Position of the first segment to read: that of the partial tile, or the last but one if that is earlier.
    fn first_segment(&mut self, segments: &[u64]) -> usize {
        let of_partial = segments.partition_point(|first| *first <= self.partial_from);
        let position = of_partial.saturating_sub(1).min(segments.len().saturating_sub(2));
        self.seq = segments.get(position).copied().unwrap_or(0);
        position
    }

    fn segment(
        &mut self,
        path: &Path,
        first: u64,
        next: Option<u64>,
    ) -> Result<(), AuditOpenError> {
        if first != self.seq {
            return Err(AuditOpenError::SegmentMissing { seq: self.seq });
        }
        let file = at(path, segment::read)?;
        let mut offset = 0;
        let ended = loop {
            match frame_at(&file, offset) {
                Ok(Some(frame)) => match Head::parse(frame.record) {
                    Some(head) if head.seq == self.seq => {
                        self.record(head, leaf_hash(frame.record));
                        offset = frame.end();
                    }
                    _ => break Some("its number or form is wrong".to_owned()),
                },
                Ok(None) => break None,
                Err(bad) => break Some(bad.to_string()),
            }
        };
        self.end = offset;
        let rest = file.get(offset..).unwrap_or_default();
        let unfinished = rest.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
        let reason = match ended {
            Some(reason) => reason,
            None if unfinished > 0 => "there is something behind the last record".to_owned(),
            None => return self.ends_well(next),
        };
        let damaged = |seq| AuditOpenError::Damaged { path: path.to_owned(), offset, seq, reason };
        if self.seq < self.signed || next.is_some() || was_durable(&file, offset, self.seq) {
            return Err(damaged(self.seq));
        }
        self.cut_bytes = u64::try_from(unfinished).unwrap_or(u64::MAX);
        Ok(())
    }

    fn ends_well(&self, next: Option<u64>) -> Result<(), AuditOpenError> {
        match next {
            Some(next) if next != self.seq => Err(AuditOpenError::SegmentMissing { seq: self.seq }),
            _ => Ok(()),
        }
    }

    fn record(&mut self, head: Head, leaf: Hash) {
        if self.seq >= self.partial_from {
            self.tiles.extend(self.tree.push(leaf));
            self.meet_root();
        }
        self.seq += 1;
        self.last_time_ms = head.time_ms;
    }

    fn meet_root(&mut self) {
        if self.tree.size() == self.signed && self.signed_root == Some(self.tree.root()) {
            self.signed_root = None;
        }
    }

    fn finish(
        self,
        segments: Vec<u64>,
        checkpoint: Option<SignedCheckpoint>,
    ) -> Result<Found, AuditOpenError> {
        if self.seq < self.signed {
            return Err(AuditOpenError::Short { records: self.seq, checkpoint: self.signed });
        }
        if self.signed_root.is_some() {
            return Err(AuditOpenError::OtherRoot { size: self.signed });
        }
        Ok(Found {
            tree: self.tree,
            tiles: self.tiles,
            segments,
            end: u64::try_from(self.end).unwrap_or(u64::MAX),
            cut_bytes: self.cut_bytes,
            last_time_ms: self.last_time_ms,
            checkpoint,
        })
    }
}

/// Whether a later record in the file says that record `seq` was durable.
fn was_durable(file: &[u8], offset: usize, seq: u64) -> bool {
    let mut at = offset;
    while let Some(frame) = next_frame_after(file, at) {
        if Head::parse(frame.record).is_some_and(|head| head.seq > seq && head.synced > seq) {
            return true;
        }
        at = frame.offset;
    }
    false
}

/// The partial tiles above level 0 in a tree of `size` leaves, from the full tiles below them; level 0 is left empty.
pub(super) fn upper_levels(layout: &Layout, size: u64) -> Result<Vec<Vec<Hash>>, AuditOpenError> {
    let mut levels = vec![Vec::new()];
    for level in 1..8_u8 {
        let width = partial_width(size, usize::from(level));
        if size >> (8 * u32::from(level)) == 0 {
            break;
        }
        let full = size >> (8 * u32::from(level));
        let hashes = (full - width..full)
            .map(|index| read_tile(layout, level - 1, index).map(|tile| perfect_root(&tile.hashes)))
            .collect::<Result<Vec<_>, _>>()?;
        levels.push(hashes);
    }
    Ok(levels)
}

/// A full tile from its file.
pub(super) fn read_tile(layout: &Layout, level: u8, index: u64) -> Result<Tile, AuditOpenError> {
    let path = layout.tile(level, index);
    let octets = std::fs::read(&path).ok();
    octets
        .and_then(|octets| Tile::decode(level, index, &octets))
        .filter(|tile| tile.hashes.len() == TILE_WIDTH)
        .ok_or(AuditOpenError::Tile { path })
}

fn read_checkpoint(
    layout: &Layout,
    origin: &str,
) -> Result<Option<SignedCheckpoint>, AuditOpenError> {
    let path = layout.checkpoint();
    let older = at(&layout.history(), |_| history::newest(layout))?;
    let note = match std::fs::read_to_string(&path) {
        Ok(note) => note,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match older {
                Some(_) => Err(AuditOpenError::CheckpointMissing { path }),
                None => Ok(None),
            };
        }
        Err(source) => return Err(AuditOpenError::Io { path, source }),
    };
    let bad = |source| AuditOpenError::Checkpoint { path: path.clone(), source };
    let signed: SignedCheckpoint = note.parse().map_err(bad)?;
    if signed.checkpoint.origin != origin {
        let found = signed.checkpoint.origin;
        return Err(AuditOpenError::OtherOrigin { found, expected: origin.to_owned() });
    }
    let size = signed.checkpoint.size;
    match older.map(|older| older.checkpoint.size) {
        Some(older) if older > size => Err(AuditOpenError::CheckpointBack { size, older }),
        _ => Ok(Some(signed)),
    }
}

pub(super) fn at<T>(
    path: &Path,
    act: impl FnOnce(&Path) -> io::Result<T>,
) -> Result<T, AuditOpenError> {
    act(path).map_err(|source| AuditOpenError::Io { path: path.to_owned(), source })
}
