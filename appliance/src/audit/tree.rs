//! The Merkle tree over all records, kept as the partial tiles of C2SP tlog-tiles.
//!
//! What is in memory is at most 255 hashes a level; every full tile is handed out once, to be written to its file.

use crate::audit::hash::HASH_BYTES;
use crate::audit::hash::Hash;
use crate::audit::hash::empty_root;
use crate::audit::hash::node_hash;

/// Hashes in a full tile: 2^8.
pub const TILE_WIDTH: usize = 256;

/// A full tile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Level `L`: its hashes are roots of `256^L` leaves each.
    pub level: u8,
    /// Index `N` within the level.
    pub index: u64,
    /// 256 hashes.
    pub hashes: Vec<Hash>,
}

impl Tile {
    /// As it lies in its file: 8,192 octets.
    pub fn encode(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| hash.0).collect()
    }

    /// Reads a full tile's file.
    pub fn decode(level: u8, index: u64, octets: &[u8]) -> Option<Self> {
        if octets.len() != TILE_WIDTH * HASH_BYTES {
            return None;
        }
        let hashes = octets.chunks_exact(HASH_BYTES).filter_map(Hash::from_slice).collect();
        Some(Self { level, index, hashes })
    }
}

/// The tree at one size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// Hashes of the partial tile of each level, level 0 first.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// A tree as its partial tiles say: level 0 first, each shorter than a full tile.
    ///
    /// `None` when they do not belong to `size`.
    pub fn from_levels(size: u64, levels: Vec<Vec<Hash>>) -> Option<Self> {
        let fits = levels
            .iter()
            .enumerate()
            .all(|(level, hashes)| u64::try_from(hashes.len()) == Ok(partial_width(size, level)));
        let deep_enough = partial_levels(size) <= levels.len();
        (fits && deep_enough).then_some(Self { size, levels })
    }

    /// Puts one leaf behind the others; the tiles that became full, lowest level first.
    pub fn push(&mut self, leaf: Hash) -> Vec<Tile> {
        let mut full = Vec::new();
        let (mut hash, mut level) = (leaf, 0_u8);
        self.size += 1;
        loop {
            if self.levels.len() <= usize::from(level) {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(usize::from(level)) else {
                return full;
            };
            hashes.push(hash);
            if hashes.len() < TILE_WIDTH {
                return full;
            }
            let hashes = std::mem::take(hashes);
            hash = perfect_root(&hashes);
            let index = (self.size >> (8 * (u32::from(level) + 1))).saturating_sub(1);
            full.push(Tile { level, index, hashes });
            level += 1;
        }
    }

    /// Leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Hashes of the partial tile of `level`.
    pub fn partial(&self, level: u8) -> &[Hash] {
        self.levels.get(usize::from(level)).map(Vec::as_slice).unwrap_or_default()
    }

    /// The root hash.
    ///
    /// # Source
    /// RFC 9162 §2.1.1: splits at the largest power of two, so the root is the perfect subtrees joined from the right.
    pub fn root(&self) -> Hash {
        let mut root = None;
        for hashes in &self.levels {
            for subtree in perfect_subtrees(hashes).into_iter().rev() {
                root = Some(match root {
                    None => subtree,
                    Some(right) => node_hash(&subtree, &right),
                });
            }
        }
        root.unwrap_or_else(empty_root)
    }
}

/// Root of a perfect tree over `hashes`, whose number is a power of two.
pub fn perfect_root(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => node_hash(left, right),
                other => other.first().copied().unwrap_or_else(empty_root),
            })
            .collect();
    }
    row.first().copied().unwrap_or_else(empty_root)
}

/// Hashes that the partial tile of `level` has in a tree of `size` leaves.
///
/// # Source
/// C2SP tlog-tiles, partial tiles: `floor(s / 256**l) mod 256`.
pub fn partial_width(size: u64, level: usize) -> u64 {
    let shift = u32::try_from(level).unwrap_or(u32::MAX).saturating_mul(8);
    size.checked_shr(shift).unwrap_or(0) % 256
}

fn partial_levels(size: u64) -> usize {
    (0..8).filter(|level| partial_width(size, *level) > 0).map(|level| level + 1).max().unwrap_or(0)
}

fn perfect_subtrees(hashes: &[Hash]) -> Vec<Hash> {
    let mut rest = hashes;
    let mut roots = Vec::new();
    while !rest.is_empty() {
        let width = 1 << rest.len().ilog2();
        let (perfect, behind) = rest.split_at(width);
        roots.push(perfect_root(perfect));
        rest = behind;
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::hash::leaf_hash;

    /// RFC 9162 §2.1.1, word for word.
    fn mth(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let k = leaves.len().next_power_of_two() / 2;
                node_hash(&mth(&leaves[..k]), &mth(&leaves[k..]))
            }
        }
    }

    fn leaves(count: u32) -> Vec<Hash> {
        (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
    }

    #[test]
    fn root_is_that_of_the_definition_at_every_size() {
        let leaves = leaves(600);
        let mut tree = Tree::default();
        for size in 0..leaves.len() {
            assert_eq!(tree.root(), mth(&leaves[..size]), "size {size}");
            tree.push(leaves[size]);
        }
    }

    #[test]
    fn root_over_three_levels_is_that_of_the_definition() {
        let leaves = leaves(66_100);
        let mut tree = Tree::default();
        let tiles: Vec<_> = leaves.iter().flat_map(|leaf| tree.push(*leaf)).collect();
        assert_eq!(tree.root(), mth(&leaves));
        assert_eq!(tiles.iter().filter(|tile| tile.level == 0).count(), 258);
        let upper: Vec<_> = tiles.iter().filter(|tile| tile.level == 1).collect();
        assert_eq!((upper.len(), upper[0].index), (1, 0));
        assert_eq!(upper[0].hashes[1], mth(&leaves[256..512]));
        assert_eq!(tiles[1].index, 1);
        assert_eq!(tree.partial(0).len(), 66_100 % 256);
    }

    #[test]
    fn tree_made_from_partial_tiles_goes_on_as_the_one_before() {
        let leaves = leaves(700);
        let mut tree = Tree::default();
        for leaf in &leaves[..300] {
            tree.push(*leaf);
        }
        let mut again = Tree::from_levels(300, tree.levels.clone()).unwrap();
        for leaf in &leaves[300..] {
            assert_eq!(tree.push(*leaf), again.push(*leaf));
        }
        assert_eq!(again.root(), mth(&leaves));
        assert!(Tree::from_levels(301, tree.levels).is_none());
    }

    #[test]
    fn tile_file_has_8192_octets_and_reads_back() {
        let tile = Tile { level: 0, index: 7, hashes: leaves(256) };
        let encoded = tile.encode();
        assert_eq!(encoded.len(), 8192);
        assert_eq!(Tile::decode(0, 7, &encoded), Some(tile));
        assert_eq!(Tile::decode(0, 7, &encoded[1..]), None);
    }
}
