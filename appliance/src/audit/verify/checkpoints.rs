//! The checkpoints of a log in the order of their size: history, the newest, and one from outside.

use crate::audit::history;
use crate::audit::layout::Layout;
use crate::audit::note::NoteError;
use crate::audit::note::SignedCheckpoint;
use crate::audit::note::VerifierKey;
use crate::audit::verify::finding::Fault;
use crate::audit::verify::finding::Finding;
use crate::audit::verify::finding::Place;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

/// Whose a checkpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    History,
    Newest,
    Outside,
}

/// One checkpoint to be met.
pub(super) struct Due {
    pub(super) of: Of,
    pub(super) place: Place,
    pub(super) signed: SignedCheckpoint,
}

/// All of them; a day of the history in memory at a time.
pub(super) struct Checkpoints {
    origin: String,
    keys: Vec<VerifierKey>,
    /// Keys named in records that no trusted key has signed over yet, with the number of the record.
    announced: Vec<(u64, VerifierKey)>,
    /// Days not read yet, each with its length when the check began.
    files: VecDeque<(PathBuf, u64)>,
    day: VecDeque<Due>,
    last_size: u64,
    ends: VecDeque<Due>,
    pub(super) findings: Vec<Finding>,
}

impl Checkpoints {
    pub(super) fn new(
        layout: &Layout,
        origin: String,
        keys: Vec<VerifierKey>,
        newest: Option<Result<SignedCheckpoint, NoteError>>,
        outside: Option<SignedCheckpoint>,
    ) -> io::Result<Self> {
        let place = |path| Place { path, offset: None, seq: None };
        let (mut ends, mut findings) = (Vec::new(), Vec::new());
        match newest {
            Some(Ok(signed)) => {
                ends.push(Due { of: Of::Newest, place: place(layout.checkpoint()), signed });
            }
            Some(Err(error)) => findings.push(Finding {
                place: place(layout.checkpoint()),
                fault: Fault::BadCheckpoint { size: 0, reason: error.to_string() },
            }),
            None => findings
                .push(Finding { place: place(layout.checkpoint()), fault: Fault::NoCheckpoint }),
        }
        if let Some(signed) = outside {
            let path = PathBuf::from("the checkpoint from outside");
            ends.push(Due { of: Of::Outside, place: place(path), signed });
        }
        ends.sort_by_key(|due| due.signed.checkpoint.size);
        let with_length = |path: PathBuf| path.metadata().map(|found| (path, found.len()));
        let files = layout.history_files()?.into_iter().map(with_length);
        let files = files.collect::<io::Result<_>>()?;
        let (announced, day) = (Vec::new(), VecDeque::new());
        let ends = ends.into();
        Ok(Self { origin, keys, announced, files, day, last_size: 0, ends, findings })
    }

    /// Records under the newest checkpoint.
    pub(super) fn signed(&self) -> u64 {
        let newest = self.ends.iter().find(|due| due.of == Of::Newest);
        newest.map_or(0, |due| due.signed.checkpoint.size)
    }

    /// The next one over exactly `size` records, or over fewer, which then comes too late.
    pub(super) fn due(&mut self, size: u64) -> Option<Due> {
        self.fill_day();
        let of_day = self.day.front().map(|due| due.signed.checkpoint.size);
        let of_end = self.ends.front().map(|due| due.signed.checkpoint.size);
        let from_day = match (of_day, of_end) {
            (Some(day), Some(end)) => day <= end,
            (day, _) => day.is_some(),
        };
        let next = if from_day { of_day } else { of_end };
        if next? > size {
            return None;
        }
        if from_day { self.day.pop_front() } else { self.ends.pop_front() }
    }

    /// Everything that is left: over more records than there are.
    pub(super) fn rest(&mut self) -> Option<Due> {
        self.due(u64::MAX)
    }

    /// Whether a trusted key signed it in the log's name.
    pub(super) fn check(&self, signed: &SignedCheckpoint) -> Result<(), String> {
        if signed.checkpoint.origin != self.origin {
            return Err(format!("it is of the log {}", signed.checkpoint.origin));
        }
        signed.verify(&self.keys).map_err(|error| error.to_string())
    }

    /// Record `seq` says that `key` signs from there on.
    pub(super) fn announce(&mut self, seq: u64, key: &str) {
        if let Ok(key) = key.parse() {
            self.announced.push((seq, key));
        }
    }

    /// A good checkpoint covers `size` records: keys announced in them are trusted now.
    pub(super) fn covered(&mut self, size: u64) {
        let (covered, ahead) =
            std::mem::take(&mut self.announced).into_iter().partition(|(seq, _)| *seq < size);
        self.announced = ahead;
        let covered: Vec<(u64, VerifierKey)> = covered;
        self.keys.extend(covered.into_iter().map(|(_, key)| key));
    }

    /// Keys trusted by now.
    pub(super) fn key_names(&self) -> Vec<String> {
        self.keys.iter().map(VerifierKey::to_string).collect()
    }

    fn fill_day(&mut self) {
        while self.day.is_empty() {
            let Some((path, length)) = self.files.pop_front() else {
                return;
            };
            let place = |offset: Option<usize>| Place {
                path: path.clone(),
                offset: offset.and_then(|offset| u64::try_from(offset).ok()),
                seq: None,
            };
            let day = match history::read(&path, length) {
                Ok(day) => day,
                Err(error) => {
                    let fault = Fault::Unreadable(error.to_string());
                    self.findings.push(Finding { place: place(None), fault });
                    continue;
                }
            };
            for (offset, signed) in day.notes {
                let size = signed.checkpoint.size;
                if size < self.last_size {
                    let fault = Fault::CheckpointOrder { size, before: self.last_size };
                    self.findings.push(Finding { place: place(Some(offset)), fault });
                    continue;
                }
                self.last_size = size;
                self.day.push_back(Due { of: Of::History, place: place(Some(offset)), signed });
            }
            if let Some((offset, reason)) = day.damaged_at {
                let fault = Fault::Unreadable(reason);
                self.findings.push(Finding { place: place(Some(offset)), fault });
            }
        }
    }
}
