//! Proofs: that a record is in the tree of a checkpoint, and that a later tree holds all of an earlier one.
//!
//! # Source
//! RFC 9162 §2.1.3 (inclusion), §2.1.4 (consistency); C2SP tlog-proof (the text form).

use crate::audit::hash::Hash;
use crate::audit::hash::node_hash;
use crate::audit::layout::Layout;
use crate::audit::note::SignedCheckpoint;
use crate::audit::recover::AuditOpenError;
use crate::audit::recover::read_tile;
use crate::audit::recover::upper_levels;
use crate::audit::tree::Tree;
use crate::audit::tree::perfect_root;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::fmt::Write;

/// Why a proof cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The tree has fewer records.
    #[error("the tree has {size} records, there is no record {seq} in it")]
    NotInTree {
        /// Record asked for.
        seq: u64,
        /// Records in the tree.
        size: u64,
    },
    /// The records in front of the end of the tree are missing.
    #[error("the log has fewer records than the tree of {0}")]
    TooShort(u64),
    /// The tiles and the records do not say the same.
    #[error("the proof of record {0} does not lead to the checkpoint: run `inkan audit verify`")]
    DoesNotLead(u64),
    /// A tile is missing or damaged.
    #[error(transparent)]
    Tile(#[from] Box<AuditOpenError>),
}

/// A proof that one record is in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The record.
    pub seq: u64,
    /// Records in the tree.
    pub size: u64,
    /// Hash of the record as a leaf.
    pub leaf: Hash,
    /// Siblings from the leaf up to below the root.
    pub hashes: Vec<Hash>,
}

impl InclusionProof {
    /// Whether it leads to `root`.
    ///
    /// # Source
    /// RFC 9162 §2.1.3.2.
    pub fn leads_to(&self, root: &Hash) -> bool {
        if self.seq >= self.size {
            return false;
        }
        let (mut index, mut last) = (self.seq, self.size - 1);
        let mut hash = self.leaf;
        for sibling in &self.hashes {
            if last == 0 {
                return false;
            }
            if index & 1 == 1 || index == last {
                hash = node_hash(sibling, &hash);
                while index & 1 == 0 && index != 0 {
                    index >>= 1;
                    last >>= 1;
                }
            } else {
                hash = node_hash(&hash, sibling);
            }
            index >>= 1;
            last >>= 1;
        }
        last == 0 && hash == *root
    }

    /// The text form, with the checkpoint that it leads to.
    ///
    /// # Source
    /// C2SP tlog-proof.
    pub fn text(&self, checkpoint: &SignedCheckpoint) -> String {
        let mut text = format!("c2sp.org/tlog-proof@v1\nindex {}\n", self.seq);
        for hash in &self.hashes {
            let _ = writeln!(text, "{}", STANDARD.encode(hash.0));
        }
        text.push('\n');
        text.push_str(&checkpoint.text);
        text
    }

    /// One line of an export, the record's octets as they are.
    pub(super) fn export_line(&self, record: &str) -> String {
        let proof: Vec<_> = self.hashes.iter().map(|hash| STANDARD.encode(hash.0)).collect();
        let leaf = STANDARD.encode(self.leaf.0);
        let proof = serde_json::json!(proof);
        format!("{{\"leaf_hash\":\"{leaf}\",\"proof\":{proof},\"record\":{record}}}\n")
    }
}

/// Whether `proof` shows that the tree of `old_size` with `old_root` is the beginning of the tree of `new_size`.
///
/// # Source
/// RFC 9162 §2.1.4.2.
pub fn is_consistent(
    (old_size, old_root): (u64, &Hash),
    (new_size, new_root): (u64, &Hash),
    proof: &[Hash],
) -> bool {
    if old_size == 0 || old_size > new_size {
        return old_size == 0 && proof.is_empty();
    }
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    let with_root: Vec<Hash>;
    let path = match old_size.is_power_of_two() {
        true => {
            with_root = [&[*old_root], proof].concat();
            &with_root
        }
        false => proof,
    };
    let Some((first, rest)) = path.split_first() else {
        return false;
    };
    let (mut index, mut last) = (old_size - 1, new_size - 1);
    while index & 1 == 1 {
        index >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (*first, *first);
    for hash in rest {
        if last == 0 {
            return false;
        }
        if index & 1 == 1 || index == last {
            old = node_hash(hash, &old);
            new = node_hash(hash, &new);
            while index & 1 == 0 && index != 0 {
                index >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, hash);
        }
        index >>= 1;
        last >>= 1;
    }
    last == 0 && old == *old_root && new == *new_root
}

/// The tree over the first `size` records, read from tiles as proofs need them.
pub struct TreeReader {
    layout: Layout,
    tree: Tree,
    /// Tiles read of late.
    tiles: HashMap<(u8, u64), Vec<Hash>>,
}

impl TreeReader {
    /// `leaves`: hashes of the records behind the last full tile.
    pub(super) fn new(layout: Layout, size: u64, leaves: Vec<Hash>) -> Result<Self, ProofError> {
        let mut levels = upper_levels(&layout, size).map_err(Box::new)?;
        if let Some(lowest) = levels.first_mut() {
            *lowest = leaves;
        }
        let tree = Tree::from_levels(size, levels).ok_or(ProofError::TooShort(size))?;
        Ok(Self { layout, tree, tiles: HashMap::new() })
    }

    /// Its root.
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Records in it.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The proof that record `seq` is in it.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn prove(&mut self, seq: u64) -> Result<InclusionProof, ProofError> {
        let size = self.tree.size();
        if seq >= size {
            return Err(ProofError::NotInTree { seq, size });
        }
        let leaf = self.range(seq, seq + 1)?;
        let mut hashes = Vec::new();
        let (mut low, mut high) = (0, size);
        while high - low > 1 {
            let middle = low + split(high - low);
            if seq < middle {
                hashes.push(self.range(middle, high)?);
                high = middle;
            } else {
                hashes.push(self.range(low, middle)?);
                low = middle;
            }
        }
        hashes.reverse();
        Ok(InclusionProof { seq, size, leaf, hashes })
    }

    /// The proof that the tree over the first `old_size` records is the beginning of this one.
    ///
    /// # Errors
    /// [`ProofError`].
    /// # Source
    /// RFC 9162 §2.1.4.1: `SUBPROOF(m, D_n, b)`.
    pub fn prove_consistency(&mut self, old_size: u64) -> Result<Vec<Hash>, ProofError> {
        let size = self.tree.size();
        if old_size > size {
            return Err(ProofError::NotInTree { seq: old_size - 1, size });
        }
        let mut hashes = Vec::new();
        if old_size == 0 || old_size == size {
            return Ok(hashes);
        }
        let (mut low, mut high, mut whole) = (0, size, true);
        while high > old_size {
            let middle = low + split(high - low);
            if old_size <= middle {
                hashes.push(self.range(middle, high)?);
                high = middle;
            } else {
                hashes.push(self.range(low, middle)?);
                low = middle;
                whole = false;
            }
        }
        if !whole {
            hashes.push(self.range(low, high)?);
        }
        hashes.reverse();
        Ok(hashes)
    }

    /// Root over records `low..high`, a range that the tree of RFC 9162 has as a node.
    fn range(&mut self, low: u64, high: u64) -> Result<Hash, ProofError> {
        let count = high - low;
        if count.is_power_of_two() {
            return self.node(count.trailing_zeros(), low / count);
        }
        let middle = low + split(count);
        let left = self.range(low, middle)?;
        Ok(node_hash(&left, &self.range(middle, high)?))
    }

    /// Node `index` of the perfect row `height` above the leaves.
    fn node(&mut self, height: u32, index: u64) -> Result<Hash, ProofError> {
        let level = u8::try_from(height / 8).unwrap_or(u8::MAX);
        let width = 1_u64 << (height % 8);
        let first = index.saturating_mul(width);
        let (tile, within) = (first / 256, first % 256);
        let size = self.tree.size();
        let hashes = self.tile(level, tile)?;
        let from = usize::try_from(within).unwrap_or(usize::MAX);
        let to = from.saturating_add(usize::try_from(width).unwrap_or(usize::MAX));
        match hashes.get(from..to) {
            Some(hashes) => Ok(perfect_root(hashes)),
            None => Err(ProofError::TooShort(size)),
        }
    }

    fn tile(&mut self, level: u8, index: u64) -> Result<&[Hash], ProofError> {
        let in_level = self.tree.size().checked_shr(8 * u32::from(level)).unwrap_or(0);
        if index >= in_level / 256 {
            return Ok(self.tree.partial(level));
        }
        if self.tiles.len() >= CACHED_TILES && !self.tiles.contains_key(&(level, index)) {
            self.tiles.clear();
        }
        match self.tiles.entry((level, index)) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(free) => {
                let tile = read_tile(&self.layout, level, index).map_err(Box::new)?;
                Ok(free.insert(tile.hashes))
            }
        }
    }
}

/// Largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// 64 tiles of 8 KiB: every level's newest, and a run of leaves.
const CACHED_TILES: usize = 64;
