//! The data directory.

use std::io;
use std::path::Path;
use std::path::PathBuf;

/// The data directory, ours alone.
pub struct DataDir {
    path: PathBuf,
}

/// Why the data directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum DiskFault {
    /// It cannot be opened.
    #[error("{path}: {source}")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DataDir {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// [`DiskFault`]
    pub fn open(path: &Path, _danger_allow_unsafe_file_system: bool) -> Result<Self, DiskFault> {
        match path.is_dir() {
            true => Ok(Self { path: path.to_owned() }),
            false => Err(DiskFault::Unusable {
                path: path.to_owned(),
                source: io::ErrorKind::NotFound.into(),
            }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
