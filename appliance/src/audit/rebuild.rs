//! Making the tiles again from the records: they are derived, and a lost one must not keep a hospital from signing.

use crate::audit::archive::Archive;
use crate::audit::archive::ArchiveError;
use crate::audit::caretaker::write_tiles;
use crate::audit::hash::leaf_hash;
use crate::audit::layout::Layout;
use crate::audit::tree::Tree;
use std::path::Path;

/// Why tiles were not made again.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The records cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The records are not those that were signed over: the tiles are not the fault.
    #[error(
        "the records do not have the root of the checkpoint over {0} records: run `inkan audit verify`; nothing was changed"
    )]
    OtherRoot(u64),
    /// The tiles cannot be written.
    #[error("the tiles cannot be written: {0}")]
    Io(#[from] std::io::Error),
}

/// Writes every full tile of the log in `directory` again, if its records have the root of its newest checkpoint. The
/// daemon must not be running. Returns how many tiles were written.
///
/// # Errors
/// [`RebuildError`].
pub fn rebuild_tiles(directory: &Path) -> Result<u64, RebuildError> {
    let archive = Archive::open(directory)?;
    let checkpoint = archive.checkpoint()?.checkpoint;
    // First pass: are these the records?
    let mut tree = Tree::default();
    if !each_leaf(&archive, checkpoint.size, |leaf| drop(tree.push(leaf)))?
        || tree.root() != checkpoint.root
    {
        return Err(RebuildError::OtherRoot(checkpoint.size));
    }
    // Second pass: write, a thousand tiles at a time.
    let (layout, mut tree) = (Layout::new(directory), Tree::default());
    let (mut tiles, mut count, mut failed) = (Vec::new(), 0, None);
    each_leaf(&archive, checkpoint.size, |leaf| {
        tiles.extend(tree.push(leaf));
        if tiles.len() >= TILES_AT_ONCE && failed.is_none() {
            count += tiles.len();
            failed = write_tiles(&layout, &tiles).err();
            tiles.clear();
        }
    })?;
    if let Some(failed) = failed {
        return Err(failed.into());
    }
    count += tiles.len();
    write_tiles(&layout, &tiles)?;
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}

/// Hashes the first `size` records; whether there were so many.
fn each_leaf(
    archive: &Archive,
    size: u64,
    mut each: impl FnMut(crate::audit::hash::Hash),
) -> Result<bool, ArchiveError> {
    let mut count = 0;
    for record in archive.records(0) {
        if count >= size {
            break;
        }
        each(leaf_hash(record?.json.as_bytes()));
        count += 1;
    }
    Ok(count == size)
}

/// 8 MiB of tiles in memory.
const TILES_AT_ONCE: usize = 1_000;
