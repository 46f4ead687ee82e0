//! Document labels: kept beside the log, because they may name patients, and erasable without breaking it.
//!
//! The record holds `SHA-256(salt || label)`. Salt and label lie in `labels/`, one file for each segment, as frames of
//! `seq u64 | salt | label`; erasing overwrites both with zeros, after which nobody can tell what was committed to.
//! Label files are synced with the checkpoints, so a power cut may cost the labels of the last second, never a record.

use crate::audit::frame::frame_at;
use crate::audit::frame::put_frame;
use crate::audit::hash::sha256;
use attest::activation::LABEL_SALT_BYTES;
use attest::records::Fingerprint;
use std::collections::HashMap;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Longest label, octets of UTF-8.
pub const MAX_LABEL_BYTES: usize = 1024;

/// A label and the salt that hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Label {
    salt: [u8; SALT_BYTES],
    text: String,
}

/// Why a label cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Longer than [`MAX_LABEL_BYTES`].
    #[error("a label has at most {MAX_LABEL_BYTES} octets")]
    TooLong,
    /// No random numbers.
    #[error("no random numbers for the salt of a label")]
    Random,
}

impl Label {
    /// Salts `text`.
    ///
    /// # Errors
    /// [`LabelError`].
    pub fn new(text: &str) -> Result<Self, LabelError> {
        let mut salt = [0; SALT_BYTES];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| LabelError::Random)?;
        Self::salted(salt, text)
    }

    /// `text` with the salt it has elsewhere, so that both commitments are one.
    ///
    /// # Errors
    /// [`LabelError::TooLong`].
    pub fn salted(salt: [u8; SALT_BYTES], text: &str) -> Result<Self, LabelError> {
        match text.len() <= MAX_LABEL_BYTES {
            true => Ok(Self { salt, text: text.to_owned() }),
            false => Err(LabelError::TooLong),
        }
    }

    /// What the record says of it.
    pub fn commitment(&self) -> Fingerprint {
        Fingerprint(sha256(&[&self.salt, self.text.as_bytes()]).to_string())
    }

    /// The label.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What is known of a record's label.
#[derive(Clone, PartialEq, Eq)]
pub enum LabelFound {
    /// It is there.
    Kept(Label),
    /// It was erased.
    Erased,
    /// Nothing is kept for that record.
    None,
}

/// The label file of one segment.
pub(super) struct LabelFile {
    file: File,
    end: u64,
}

impl LabelFile {
    /// Opens it behind its last whole frame; a torn frame at the end is written over.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path)?;
        let octets = read_all(&file)?;
        let mut end = 0;
        while let Ok(Some(frame)) = frame_at(&octets, end) {
            end = frame.end();
        }
        let end = u64::try_from(end).map_err(io::Error::other)?;
        file.set_len(end)?;
        Ok(Self { file, end })
    }

    /// Appends the label of record `seq`; durable after [`Self::sync`].
    pub(super) fn append(&mut self, seq: u64, label: &Label) -> io::Result<()> {
        let payload = [seq.to_be_bytes().as_slice(), &label.salt, label.text.as_bytes()].concat();
        let mut frame = Vec::new();
        put_frame(&mut frame, &payload);
        self.file.write_all_at(&frame, self.end)?;
        self.end += u64::try_from(frame.len()).map_err(io::Error::other)?;
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// The label of record `seq` in the file at `path`.
pub(super) fn find(path: &Path, seq: u64) -> io::Result<LabelFound> {
    let octets = read_file(path)?;
    Ok(locate(&octets, seq).map_or(LabelFound::None, |(_, payload)| parse(payload)))
}

/// The labels kept in the file at `path`, by record; erased ones are left out. A file that cannot be read holds none.
pub(super) fn read_labels(path: &Path) -> HashMap<u64, Label> {
    let octets = read_file(path).unwrap_or_default();
    let (mut labels, mut at) = (HashMap::new(), 0);
    while let Ok(Some(frame)) = frame_at(&octets, at) {
        if let (Some(seq), LabelFound::Kept(label)) =
            (frame.record.first_chunk(), parse(frame.record))
        {
            labels.insert(u64::from_be_bytes(*seq), label);
        }
        at = frame.end();
    }
    labels
}

fn parse(payload: &[u8]) -> LabelFound {
    let Some((salt, text)) = payload.get(8..).and_then(|rest| rest.split_first_chunk()) else {
        return LabelFound::None;
    };
    match (*salt == [0; SALT_BYTES], std::str::from_utf8(text)) {
        (true, _) => LabelFound::Erased,
        (false, Ok(text)) => LabelFound::Kept(Label { salt: *salt, text: text.to_owned() }),
        (false, Err(_)) => LabelFound::None,
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

/// Overwrites salt and label of record `seq` with zeros, durably; whether there was one.
pub(super) fn erase(path: &Path, seq: u64) -> io::Result<bool> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let octets = read_all(&file)?;
    let Some((offset, payload)) = locate(&octets, seq) else {
        return Ok(false);
    };
    let mut blank = vec![0; payload.len()];
    if let Some(number) = blank.first_chunk_mut() {
        *number = seq.to_be_bytes();
    }
    let mut frame = Vec::new();
    put_frame(&mut frame, &blank);
    file.write_all_at(&frame, u64::try_from(offset).map_err(io::Error::other)?)?;
    file.sync_data()?;
    Ok(true)
}

fn locate(octets: &[u8], seq: u64) -> Option<(usize, &[u8])> {
    let mut at = 0;
    loop {
        let frame = frame_at(octets, at).ok()??;
        if frame.record.first_chunk() == Some(&seq.to_be_bytes()) {
            return Some((frame.offset, frame.record));
        }
        at = frame.end();
    }
}

fn read_all(file: &File) -> io::Result<Vec<u8>> {
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let mut octets = vec![0; length];
    file.read_exact_at(&mut octets, 0)?;
    Ok(octets)
}

/// Octets of a salt.
const SALT_BYTES: usize = LABEL_SALT_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(found: LabelFound) -> Option<String> {
        match found {
            LabelFound::Kept(label) => Some(label.text),
            LabelFound::Erased | LabelFound::None => None,
        }
    }

    #[test]
    fn label_is_found_until_it_is_erased_and_leaves_no_octet() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("labels");
        let mut file = LabelFile::open(&path).unwrap();
        for seq in 0..3 {
            file.append(seq, &Label::new(&format!("document {seq}")).unwrap()).unwrap();
        }
        assert_eq!(kept(find(&path, 1).unwrap()).as_deref(), Some("document 1"));
        assert!(erase(&path, 1).unwrap());
        assert!(find(&path, 1).unwrap() == LabelFound::Erased);
        let octets = std::fs::read(&path).unwrap();
        assert!(!octets.windows(10).any(|window| window == b"document 1"));
        assert_eq!(kept(find(&path, 2).unwrap()).as_deref(), Some("document 2"));
        assert!(!erase(&path, 9).unwrap());
    }

    #[test]
    fn commitment_binds_salt_and_text() {
        let (one, other) = (Label::new("same").unwrap(), Label::new("same").unwrap());
        assert_ne!(one.commitment(), other.commitment());
        assert_eq!(one.commitment(), one.clone().commitment());
    }

    #[test]
    fn torn_frame_at_the_end_is_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("labels");
        LabelFile::open(&path).unwrap().append(0, &Label::new("first").unwrap()).unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        let mut file = LabelFile::open(&path).unwrap();
        file.append(1, &Label::new("torn").unwrap()).unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length + 9).unwrap();
        let mut file = LabelFile::open(&path).unwrap();
        file.append(2, &Label::new("second").unwrap()).unwrap();
        assert_eq!(kept(find(&path, 2).unwrap()).as_deref(), Some("second"));
        assert!(find(&path, 1).unwrap() == LabelFound::None);
    }

    #[test]
    fn longest_label_is_kept_and_one_octet_more_is_refused() {
        assert!(Label::new(&"x".repeat(MAX_LABEL_BYTES)).is_ok());
        assert!(Label::new(&"x".repeat(MAX_LABEL_BYTES + 1)).err() == Some(LabelError::TooLong));
    }
}
