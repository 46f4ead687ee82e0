//! Older checkpoints: one file a day, each checkpoint a frame holding the note's text.

use crate::audit::frame::frame_at;
use crate::audit::frame::put_frame;
use crate::audit::layout::Layout;
use crate::audit::layout::sync_directory;
use crate::audit::note::SignedCheckpoint;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use time::OffsetDateTime;

/// Appends a checkpoint made at `time_ms`, durably.
pub(super) fn append(layout: &Layout, signed: &SignedCheckpoint, time_ms: u64) -> io::Result<()> {
    let seconds = i64::try_from(time_ms / 1000).unwrap_or(0);
    let day = OffsetDateTime::from_unix_timestamp(seconds).map_err(io::Error::other)?.date();
    let name = format!("{:04}-{:02}-{:02}.log", day.year(), u8::from(day.month()), day.day());
    let path = layout.history().join(name);
    let new = !path.exists();
    let mut frame = Vec::new();
    put_frame(&mut frame, signed.text.as_bytes());
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
    if !new {
        drop_torn_end(&path)?;
    }
    file.write_all(&frame)?;
    file.sync_data()?;
    match new {
        true => sync_directory(&layout.history()),
        false => Ok(()),
    }
}

/// The newest checkpoint in the history.
pub(super) fn newest(layout: &Layout) -> io::Result<Option<SignedCheckpoint>> {
    for path in layout.history_files()?.into_iter().rev() {
        if let Some(newest) = read(&path, u64::MAX)?.notes.pop() {
            return Ok(Some(newest.1));
        }
    }
    Ok(None)
}

/// One day's checkpoints.
pub(super) struct Day {
    /// Each with the offset of its frame.
    pub(super) notes: Vec<(usize, SignedCheckpoint)>,
    /// Where the file stops being readable, if not at its end.
    pub(super) damaged_at: Option<(usize, String)>,
}

/// Reads one day's file, at most its first `limit` octets.
pub(super) fn read(path: &Path, limit: u64) -> io::Result<Day> {
    let mut octets = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut octets)?;
    let mut day = Day { notes: Vec::new(), damaged_at: None };
    let mut offset = 0;
    loop {
        let frame = match frame_at(&octets, offset) {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(bad) => {
                day.damaged_at = Some((offset, bad.to_string()));
                break;
            }
        };
        let note = std::str::from_utf8(frame.record).ok().and_then(|text| text.parse().ok());
        match note {
            Some(note) => day.notes.push((offset, note)),
            None => {
                day.damaged_at = Some((offset, "it holds no signed checkpoint".to_owned()));
                break;
            }
        }
        offset = frame.end();
    }
    Ok(day)
}

/// Cuts off what a power cut left half written.
fn drop_torn_end(path: &Path) -> io::Result<()> {
    let octets = std::fs::read(path)?;
    let mut end = 0;
    while let Ok(Some(frame)) = frame_at(&octets, end) {
        end = frame.end();
    }
    match end < octets.len() {
        true => OpenOptions::new()
            .write(true)
            .open(path)?
            .set_len(u64::try_from(end).map_err(io::Error::other)?),
        false => Ok(()),
    }
}
