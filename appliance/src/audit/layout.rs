//! Where everything lies in the directory of the log.
//!
//! ```text
//! seg-<first seq, 20 digits>.log       the records: the truth
//! labels/lab-<first seq>.log           erasable labels of that segment's records
//! holders/hol-<first seq>.log          whose signatures that segment has; can be made again from the records
//! tile/<L>/<N>                         full tiles of the tree (C2SP tlog-tiles); can be rebuilt from the records
//! checkpoint                           the newest checkpoint, a signed note
//! checkpoints/<day>.log                older ones, framed; one a minute while the log grows
//! next                                 the segment made ready to be the next one
//! ```

use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;

/// The directory of one log.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) directory: PathBuf,
}

impl Layout {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Makes the directories that are missing, durably.
    pub(super) fn make(&self) -> io::Result<()> {
        make_directory(&self.directory)?;
        for name in ["labels", "holders", "tile", "checkpoints"] {
            make_directory(&self.directory.join(name))?;
        }
        Ok(())
    }

    pub(super) fn segment(&self, first: u64) -> PathBuf {
        self.directory.join(format!("seg-{first:020}.log"))
    }

    pub(super) fn labels(&self, first: u64) -> PathBuf {
        self.directory.join("labels").join(format!("lab-{first:020}.log"))
    }

    pub(super) fn holders(&self, first: u64) -> PathBuf {
        self.directory.join("holders").join(format!("hol-{first:020}.log"))
    }

    pub(super) fn next_segment(&self) -> PathBuf {
        self.directory.join("next")
    }

    pub(super) fn checkpoint(&self) -> PathBuf {
        self.directory.join("checkpoint")
    }

    pub(super) fn history(&self) -> PathBuf {
        self.directory.join("checkpoints")
    }

    /// # Source
    /// C2SP tlog-tiles: three digits an element, all but the last with an `x` in front.
    pub(super) fn tile(&self, level: u8, index: u64) -> PathBuf {
        let mut elements = vec![format!("{:03}", index % 1000)];
        let mut rest = index / 1000;
        while rest > 0 {
            elements.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        let mut path = self.directory.join("tile").join(level.to_string());
        path.extend(elements.into_iter().rev());
        path
    }

    /// First numbers of all segments, ascending.
    pub(super) fn segments(&self) -> io::Result<Vec<u64>> {
        let mut firsts = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let Some(number) = name
                .to_str()
                .and_then(|name| name.strip_prefix("seg-"))
                .and_then(|name| name.strip_suffix(".log"))
            else {
                continue;
            };
            if number.len() == 20
                && let Ok(first) = number.parse()
            {
                firsts.push(first);
            }
        }
        firsts.sort_unstable();
        Ok(firsts)
    }

    /// Files of the checkpoint history, oldest first.
    pub(super) fn history_files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let entries = match std::fs::read_dir(self.history()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
            other => other?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }
}

/// Makes a directory with mode 0700 and its parents' entries durable, unless it is there.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {
            sync_directory(path)?;
            path.parent().map_or(Ok(()), sync_directory)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the entries of a directory durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    // An empty path is how `Path::parent` names the working directory.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tile_paths_are_those_of_the_specification() {
        let layout = Layout::new(Path::new("/log"));
        assert_eq!(layout.tile(0, 0), Path::new("/log/tile/0/000"));
        assert_eq!(layout.tile(0, 1_234_067), Path::new("/log/tile/0/x001/x234/067"));
        assert_eq!(layout.tile(2, 1000), Path::new("/log/tile/2/x001/000"));
    }

    #[test]
    fn segments_are_listed_in_order_and_other_files_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path());
        layout.make().unwrap();
        for first in [300, 0, 20] {
            std::fs::write(layout.segment(first), b"").unwrap();
        }
        std::fs::write(directory.path().join("seg-1.log"), b"").unwrap();
        assert_eq!(layout.segments().unwrap(), [0, 20, 300]);
    }
}
