//! The newest revision that was durable, kept beside the engine: a store that comes back older is refused.
//!
//! The engine cuts its log at the first page it cannot read, so a damaged page can look like an older, whole store.
//! Two slots of 12 octets (revision, CRC-32) in one file are written in turn *after* each commit was durable; they are
//! synced once a minute and at the end, so the floor may lie a little low but never too high.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub(super) struct Floor {
    file: File,
    next_slot: u64,
}

impl Floor {
    /// Opens the file, made where `may_create` says that there is none yet; the revision it names, 0 when none.
    pub(super) fn open(path: &Path, may_create: bool) -> io::Result<(Self, u64)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(may_create).truncate(false).mode(0o600);
        let file = options.open(path)?;
        let rev = (0..SLOTS).filter_map(|slot| read(&file, slot)).max().unwrap_or(0);
        Ok((Self { file, next_slot: 0 }, rev))
    }

    /// Notes that `rev` is durable.
    pub(super) fn raise(&mut self, rev: u64) -> io::Result<()> {
        let mut octets = [0; SLOT_BYTES];
        let (value, crc) = octets.split_at_mut(8);
        value.copy_from_slice(&rev.to_be_bytes());
        crc.copy_from_slice(&crc32fast::hash(&rev.to_be_bytes()).to_be_bytes());
        self.next_slot = (self.next_slot + 1) % SLOTS;
        self.file.write_all_at(&octets, self.next_slot * SLOT_DISTANCE)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn read(file: &File, slot: u64) -> Option<u64> {
    let mut octets = [0; SLOT_BYTES];
    file.read_exact_at(&mut octets, slot * SLOT_DISTANCE).ok()?;
    let (value, crc) = octets.split_first_chunk::<8>()?;
    (crc32fast::hash(value).to_be_bytes() == crc).then_some(u64::from_be_bytes(*value))
}

const SLOTS: u64 = 2;
const SLOT_BYTES: usize = 12;
/// One disk sector each, so that a torn write spoils one slot only.
const SLOT_DISTANCE: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_survives_and_one_spoilt_slot_costs_one_step() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("floor");
        let (mut floor, rev) = Floor::open(&path, true).unwrap();
        assert_eq!(rev, 0);
        for rev in 1..=5 {
            floor.raise(rev).unwrap();
        }
        assert_eq!(Floor::open(&path, true).unwrap().1, 5);
        let newest = floor.next_slot * SLOT_DISTANCE;
        floor.file.write_all_at(b"torn", newest).unwrap();
        assert_eq!(Floor::open(&path, true).unwrap().1, 4);
    }
}
