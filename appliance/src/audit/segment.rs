//! Segments: files of fixed size, filled with zeros before use, so that an append meets neither a full disk nor the
//! file system's journal.

use crate::audit::layout::Layout;
use crate::audit::layout::sync_directory;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The segment that is written to.
pub(super) struct Segment {
    file: File,
    /// Number of its first record.
    pub(super) first: u64,
    /// Where the next frame goes.
    end: u64,
    capacity: u64,
}

impl Segment {
    /// The segment that begins with record `first`, just claimed; its name is durable.
    pub(super) fn begin(layout: &Layout, first: u64) -> io::Result<Self> {
        sync_directory(&layout.directory)?;
        let file = OpenOptions::new().read(true).write(true).open(layout.segment(first))?;
        let capacity = file.metadata()?.len();
        Ok(Self { file, first, end: 0, capacity })
    }

    /// Goes on behind `end` in the segment that begins with record `first`; everything behind `end` becomes zeros.
    pub(super) fn resume(layout: &Layout, first: u64, end: u64, capacity: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(layout.segment(first))?;
        let capacity = capacity.max(end);
        fill(&file, end, capacity)?;
        file.set_len(capacity)?;
        file.sync_all()?;
        Ok(Self { file, first, end, capacity })
    }

    /// Whether `bytes` more fit, with four octets to spare for the zero length that ends the file.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.capacity.saturating_sub(self.end).saturating_sub(4) >= bytes
    }

    /// Where the next frame goes.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Writes `frames` in one call and makes them durable. After any error nothing may be written any more.
    pub(super) fn append(&mut self, frames: &[u8]) -> io::Result<()> {
        let written = self.file.write_at(frames, self.end)?;
        if written != frames.len() {
            return Err(io::Error::new(
                io::ErrorKind::WriteZero,
                format!("only {written} of {} octets were written", frames.len()),
            ));
        }
        self.file.sync_data()?;
        self.end += u64::try_from(frames.len()).map_err(io::Error::other)?;
        Ok(())
    }

    /// Gives the unused rest back to the file system. Losing this at a power cut is harmless.
    pub(super) fn finish(&self) -> io::Result<()> {
        self.file.set_len(self.end)
    }
}

/// Makes a file of `capacity` zeros ready at `next`; it and its blocks are durable.
///
/// Zeros are written, not reserved: blocks that were only reserved still cost a journal commit at their first write.
pub(super) fn prepare(layout: &Layout, capacity: u64) -> io::Result<()> {
    let path = layout.next_segment();
    let made = (|| {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        fill(&file, 0, capacity)?;
        file.sync_all()?;
        sync_directory(&layout.directory)
    })();
    if made.is_err() {
        let _ = std::fs::remove_file(&path);
    }
    made
}

/// Gives the file made ready at `next` the name of the segment that begins with record `first`. After an error it is
/// still at `next`.
pub(super) fn claim(layout: &Layout, first: u64) -> io::Result<()> {
    std::fs::rename(layout.next_segment(), layout.segment(first))
}

/// The whole file of a segment.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}

fn fill(file: &File, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; 256 * 1024];
    let mut writer = Zeros { file, at: from };
    while writer.at < to {
        let step = usize::try_from(to - writer.at).unwrap_or(usize::MAX).min(zeros.len());
        writer.write_all(zeros.get(..step).unwrap_or(&zeros))?;
    }
    Ok(())
}

struct Zeros<'a> {
    file: &'a File,
    at: u64,
}

impl Write for Zeros<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = self.file.write_at(octets, self.at)?;
        self.at += u64::try_from(written).map_err(io::Error::other)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
