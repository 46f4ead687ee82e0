//! One pass over every record.

use crate::audit::event::Event;
use crate::audit::frame::frame_at;
use crate::audit::frame::next_frame_after;
use crate::audit::hash::Hash;
use crate::audit::hash::leaf_hash;
use crate::audit::head::Head;
use crate::audit::label::Label;
use crate::audit::label::read_labels;
use crate::audit::layout::Layout;
use crate::audit::record::Record;
use crate::audit::segment;
use crate::audit::tree::Tile;
use crate::audit::tree::Tree;
use crate::audit::verify::Report;
use crate::audit::verify::checkpoints::Checkpoints;
use crate::audit::verify::checkpoints::Due;
use crate::audit::verify::checkpoints::Of;
use crate::audit::verify::finding::Fault;
use crate::audit::verify::finding::Finding;
use crate::audit::verify::finding::Place;
use attest::records::Fingerprint;
use std::collections::HashMap;
use std::path::Path;
use std::path::PathBuf;

pub(super) struct Scan {
    layout: Layout,
    segments: Vec<u64>,
    checkpoints: Checkpoints,
    /// Records under the newest checkpoint: full tiles in front of it must be there.
    signed: u64,
    seq: u64,
    time_ms: u64,
    /// Over the records as they are.
    records: Tree,
    /// Over the leaf hashes in the tiles, and the records where there is no tile.
    tiles: Tree,
    /// The tile of level 0 that holds leaf `seq`.
    tile: Option<Tile>,
    /// Labels kept beside the segment that is read.
    labels: HashMap<u64, Label>,
    /// Records that differ from their tile, not yet decided by a checkpoint.
    differing: Vec<(Place, Place)>,
    /// Records under the newest good checkpoint.
    good: u64,
    /// Set once records and tiles both missed a root: what follows cannot be told any more.
    lost: bool,
    report: Report,
}

impl Scan {
    pub(super) fn new(layout: Layout, segments: Vec<u64>, checkpoints: Checkpoints) -> Self {
        let signed = checkpoints.signed();
        let report = Report {
            records: 0,
            checkpoints: 0,
            newest: None,
            unsigned: 0,
            keys: Vec::new(),
            findings: Vec::new(),
            more_findings: 0,
            notices: Vec::new(),
        };
        Self {
            layout,
            segments,
            checkpoints,
            signed,
            seq: 0,
            time_ms: 0,
            records: Tree::default(),
            tiles: Tree::default(),
            tile: None,
            labels: HashMap::new(),
            differing: Vec::new(),
            good: 0,
            lost: false,
            report,
        }
    }

    pub(super) fn run(mut self) -> Report {
        self.meet_checkpoints();
        for position in 0..self.segments.len() {
            self.segment(position);
        }
        while let Some(due) = self.checkpoints.rest() {
            self.beyond_the_end(due);
        }
        for (place, _) in std::mem::take(&mut self.differing) {
            self.find(place, Fault::Differ);
        }
        for finding in std::mem::take(&mut self.checkpoints.findings) {
            self.find(finding.place, finding.fault);
        }
        self.report.unsigned = self.seq.saturating_sub(self.good);
        self.report.keys = self.checkpoints.key_names();
        self.report
    }

    fn segment(&mut self, position: usize) {
        let Some(first) = self.segments.get(position).copied() else {
            return;
        };
        let path = self.layout.segment(first);
        let file = match segment::read(&path) {
            Ok(file) => file,
            Err(error) => {
                return self.find(whole(&path), Fault::Unreadable(error.to_string()));
            }
        };
        self.catch_up(first, &path, 0);
        self.labels = read_labels(&self.layout.labels(first));
        let last = position + 1 == self.segments.len();
        let mut offset = 0;
        loop {
            match frame_at(&file, offset) {
                Ok(Some(frame)) => {
                    self.frame(&path, offset, frame.record);
                    offset = frame.end();
                }
                Ok(None) => break self.end_of(&path, &file, offset),
                Err(bad) => match next_frame_after(&file, offset) {
                    Some(next) => {
                        let number = Head::parse(next.record).map(|head| head.seq);
                        let reason = bad.to_string();
                        let number = number.map_or("?".to_owned(), |seq| seq.to_string());
                        let next_at = format!("number {number} at octet {}", next.offset);
                        let fault = Fault::Damaged { reason, next: next_at };
                        self.find(self.place(&path, offset), fault);
                        offset = next.offset;
                    }
                    None if last && self.seq >= self.signed => {
                        let place = self.place(&path, offset);
                        break self.report.notices.push(format!("{place}: an unfinished write"));
                    }
                    None => {
                        let next = "in no place of this segment".to_owned();
                        let fault = Fault::Damaged { reason: bad.to_string(), next };
                        break self.find(self.place(&path, offset), fault);
                    }
                },
            }
        }
    }

    /// Behind the last record of a segment there is nothing but zeros.
    fn end_of(&mut self, path: &Path, file: &[u8], offset: usize) {
        let rest = file.get(offset..).unwrap_or_default();
        if let Some(at) = rest.iter().position(|octet| *octet != 0) {
            self.find(self.place(path, offset + at), Fault::Behind);
        }
    }

    fn frame(&mut self, path: &Path, offset: usize, octets: &[u8]) {
        let Some(head) = Head::parse(octets) else {
            let fault = Fault::NotARecord("it does not begin as records do".to_owned());
            return self.find(self.place(path, offset), fault);
        };
        if head.seq < self.seq {
            return self.find(self.place(path, offset), Fault::Misplaced(head.seq));
        }
        // A number far ahead is no gap but a foreign record.
        if head.seq > self.seq && head.seq - self.seq > MAX_GAP {
            return self.find(self.place(path, offset), Fault::Misplaced(head.seq));
        }
        self.catch_up(head.seq, path, offset);
        let place = self.place(path, offset);
        let record = match serde_json::from_slice::<Record>(octets) {
            Ok(record) => record,
            Err(error) => {
                self.find(place.clone(), Fault::NotARecord(error.to_string()));
                return self.leaf(place, leaf_hash(octets));
            }
        };
        self.content(&record, &place);
        self.report.records += 1;
        self.leaf(place, leaf_hash(octets));
    }

    /// What a record says, beside what it hashes to.
    fn content(&mut self, record: &Record, place: &Place) {
        let lowered = match &record.event {
            Event::TimeStep { approved_by, .. } => !approved_by.is_empty(),
            _ => false,
        };
        if record.time_ms < self.time_ms && !lowered {
            self.find(place.clone(), Fault::TimeBack);
        }
        self.time_ms = record.time_ms;
        match &record.event {
            Event::SignInApproved(sign_in)
                if Fingerprint::of(sign_in.evidence_json.as_bytes()) != sign_in.evidence =>
            {
                self.find(place.clone(), Fault::Evidence);
            }
            Event::CheckpointKeyChanged { new, .. } => self.checkpoints.announce(record.seq, new),
            Event::Signature(facts) => {
                if let Some(commitment) = &facts.label {
                    self.label(record.seq, commitment, place);
                }
            }
            _ => {}
        }
    }

    fn label(&mut self, seq: u64, commitment: &Fingerprint, place: &Place) {
        if self.labels.get(&seq).is_some_and(|label| label.commitment() != *commitment) {
            self.find(place.clone(), Fault::Label);
        }
    }

    /// Puts what the tiles know in the place of records that are missing in front of `seq`.
    fn catch_up(&mut self, seq: u64, path: &Path, offset: usize) {
        if seq <= self.seq {
            return;
        }
        self.find(self.place(path, offset), Fault::Missing(seq - self.seq));
        if seq - self.seq > MAX_GAP {
            self.lost = true;
            self.seq = seq;
            return;
        }
        while self.seq < seq {
            let missing = self.tile_leaf().map_or(Hash([0; 32]), |(leaf, _)| leaf);
            self.grow(missing, missing);
        }
    }

    fn leaf(&mut self, place: Place, leaf: Hash) {
        let (of_tile, tile_place) = match self.tile_leaf() {
            Some(found) => found,
            None => return self.grow(leaf, leaf),
        };
        if of_tile != leaf && self.differing.len() < MAX_DIFFERING {
            self.differing.push((place, tile_place));
        }
        self.grow(leaf, of_tile);
    }

    /// What the tile of level 0 says of leaf `seq`, and where.
    fn tile_leaf(&mut self) -> Option<(Hash, Place)> {
        let (index, within) = (self.seq / 256, self.seq % 256);
        if (index + 1) * 256 > self.signed {
            return None;
        }
        let path = self.layout.tile(0, index);
        if self.tile.as_ref().is_none_or(|tile| tile.index != index) {
            self.tile =
                std::fs::read(&path).ok().and_then(|octets| Tile::decode(0, index, &octets));
            if self.tile.is_none() && within == 0 {
                self.find(whole(&path), Fault::TileMissing);
            }
        }
        let leaf = *self.tile.as_ref()?.hashes.get(usize::try_from(within).ok()?)?;
        let place = Place { path, offset: Some(within * 32), seq: Some(self.seq) };
        Some((leaf, place))
    }

    /// One leaf more in both trees.
    fn grow(&mut self, record: Hash, of_tile: Hash) {
        let full = self.records.push(record);
        self.tiles.push(of_tile);
        self.seq += 1;
        for tile in full {
            self.upper_tile(&tile);
        }
        self.meet_checkpoints();
    }

    /// A full tile above level 0 must be in its file.
    fn upper_tile(&mut self, tile: &Tile) {
        let end = (tile.index + 1).checked_shl(8 * (u32::from(tile.level) + 1));
        if tile.level == 0 || self.lost || end.is_none_or(|end| end > self.signed) {
            return;
        }
        let path = self.layout.tile(tile.level, tile.index);
        match std::fs::read(&path) {
            Err(_) => self.find(whole(&path), Fault::TileMissing),
            Ok(octets) => {
                let expected = tile.encode();
                let differs = expected.iter().zip(&octets).position(|(one, other)| one != other);
                let differs = differs.or((expected.len() != octets.len()).then_some(0));
                // While a record is in doubt, so is everything above it.
                if let Some(at) = differs
                    && self.differing.is_empty()
                {
                    let offset = u64::try_from(at).ok();
                    self.find(Place { path, offset, seq: None }, Fault::TileEdited);
                }
            }
        }
    }

    fn meet_checkpoints(&mut self) {
        while let Some(due) = self.checkpoints.due(self.seq) {
            self.meet(due);
        }
    }

    fn meet(&mut self, due: Due) {
        let Due { of, place, signed } = due;
        let size = signed.checkpoint.size;
        if let Err(reason) = self.checkpoints.check(&signed) {
            return self.find(place, Fault::BadCheckpoint { size, reason });
        }
        if size != self.seq || self.lost {
            // The place it belongs to was skipped with missing records, or cannot be told any more.
            if of == Of::Outside {
                self.find(place, Fault::OtherHistory { size });
            }
            return;
        }
        self.report.checkpoints += 1;
        let root = signed.checkpoint.root;
        if self.records.root() == root {
            for (_, tile_place) in std::mem::take(&mut self.differing) {
                self.find(tile_place, Fault::TileEdited);
            }
            self.tiles = self.records.clone();
        } else if self.tiles.root() == root {
            for (record_place, _) in std::mem::take(&mut self.differing) {
                self.find(record_place, Fault::Edited(size));
            }
            self.records = self.tiles.clone();
        } else {
            return self.miss(of, place, size);
        }
        self.good = size;
        self.checkpoints.covered(size);
        if of != Of::Outside {
            self.report.newest = Some(signed.checkpoint);
        }
    }

    fn miss(&mut self, of: Of, place: Place, size: u64) {
        match of {
            Of::Outside => self.find(place, Fault::OtherHistory { size }),
            Of::History | Of::Newest => {
                let from = self.good;
                self.find(place, Fault::OtherRoot { size, from });
                self.lost = true;
            }
        }
    }

    fn beyond_the_end(&mut self, due: Due) {
        let size = due.signed.checkpoint.size;
        let fault = match self.checkpoints.check(&due.signed) {
            Ok(()) => Fault::CutOff { size, records: self.seq },
            Err(reason) => Fault::BadCheckpoint { size, reason },
        };
        self.find(due.place, fault);
    }

    fn place(&self, path: &Path, offset: usize) -> Place {
        let offset = u64::try_from(offset).ok();
        Place { path: path.to_owned(), offset, seq: Some(self.seq) }
    }

    fn find(&mut self, place: Place, fault: Fault) {
        match self.report.findings.len() < Report::MAX_FINDINGS {
            true => self.report.findings.push(Finding { place, fault }),
            false => self.report.more_findings += 1,
        }
    }
}

fn whole(path: &Path) -> Place {
    Place { path: PathBuf::from(path), offset: None, seq: None }
}

/// Missing records that are bridged from tiles; a larger hole is reported and what follows is not judged.
const MAX_GAP: u64 = 1_000_000;
/// Records that differ from their tile and are named one by one between two checkpoints.
const MAX_DIFFERING: usize = 1_000;
