//! The data directory: ours alone, on a file system that keeps its promises, and used by one daemon.
//!
//! Everything is checked before anything is read. A wrong owner, mode, link or file is refused with the command that
//! repairs it; only an unsafe file system can be allowed, loudly, for trials in containers.

mod file_system;
mod tree;

use crate::disk::file_system::judge;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

/// The data directory, checked and locked. Dropping it gives the lock back.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Why the data directory is refused, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum DiskFault {
    /// A file operation failed.
    #[error("the data directory cannot be used: {path}: {source}")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Something is a symbolic link.
    #[error(
        "{path} is a symbolic link; the data directory and all in it must be real: name its target in data_dir"
    )]
    Link {
        /// Which.
        path: PathBuf,
    },
    /// Something is neither file nor directory, or one where the other belongs.
    #[error("{path} should be a {expected}")]
    Kind {
        /// Which.
        path: PathBuf,
        /// `file` or `directory`.
        expected: &'static str,
    },
    /// Something belongs to another user.
    #[error(
        "{path} belongs to user {owner}, the daemon runs as {expected}: chown -R {expected} {path}"
    )]
    Owner {
        /// Which.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Whom it should belong to.
        expected: u32,
    },
    /// Other users may get at it.
    #[error("{path} has mode {mode:04o}, it must be {expected}: chmod {expected} {path}")]
    Mode {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What it should be: `0700`, or `go-w` for what lies inside.
        expected: &'static str,
    },
    /// Something that no daemon puts there.
    #[error("{path} does not belong into the data directory: look at it and move it away")]
    Stranger {
        /// Which.
        path: PathBuf,
    },
    /// The file system may lose what it acknowledged.
    #[error(
        "{path} lies on {kind}: {reason}; put data_dir on ext4 or xfs (for trials only: danger_allow_unsafe_file_system = true)"
    )]
    FileSystem {
        /// The data directory.
        path: PathBuf,
        /// The file system's type.
        kind: String,
        /// Why it is unsafe.
        reason: &'static str,
    },
    /// Another daemon has it.
    #[error("another daemon uses {path}{}: stop it first", .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// Its process, as it wrote down itself.
        pid: Option<u32>,
    },
}

impl DataDir {
    /// Makes the directory if it is missing (mode 0700), checks it and takes its lock.
    ///
    /// # Errors
    /// [`DiskFault`], naming the first thing that is wrong.
    pub fn open(path: &Path, danger_allow_unsafe_file_system: bool) -> Result<Self, DiskFault> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(DiskFault::Io { path: path.to_owned(), source });
            }
            _ => {}
        }
        let owner = nix::unistd::geteuid().as_raw();
        tree::check_directory(path, owner)?;
        match judge(path) {
            Err(fault @ DiskFault::FileSystem { .. }) if danger_allow_unsafe_file_system => {
                tracing::warn!("DANGER: {fault}; allowed by danger_allow_unsafe_file_system");
            }
            judged => judged?,
        }
        let lock = lock(path)?;
        tree::check_content(path, owner)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether `path` lies on a file system that keeps what it acknowledged; for `inkan doctor` and `check-config`.
///
/// # Errors
/// [`DiskFault::FileSystem`], or [`DiskFault::Io`] when that cannot be found out.
pub fn check_file_system(path: &Path) -> Result<(), DiskFault> {
    judge(path)
}

/// Whether everything in the data directory belongs to its owner, is closed to others and belongs there; for
/// `inkan doctor`, which may be run by somebody else and beside a daemon.
///
/// # Errors
/// [`DiskFault`], naming the first thing that is wrong.
pub fn check_tree(path: &Path) -> Result<(), DiskFault> {
    use std::os::unix::fs::MetadataExt;
    let io_fault = |source| DiskFault::Io { path: path.to_owned(), source };
    let owner = path.symlink_metadata().map_err(io_fault)?.uid();
    tree::check_directory(path, owner).and_then(|()| tree::check_content(path, owner))
}

/// Takes the lock of the directory; the kernel gives it back however this process ends.
fn lock(directory: &Path) -> Result<File, DiskFault> {
    let path = directory.join(LOCK_FILE);
    let io_fault = |source| DiskFault::Io { path: path.clone(), source };
    if path.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
        return Err(DiskFault::Link { path });
    }
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(io_fault)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = [0; 16];
            let read = file.read_at(&mut text, 0).unwrap_or(0);
            let pid = std::str::from_utf8(text.get(..read).unwrap_or_default()).ok();
            let pid = pid.and_then(|pid| pid.trim().parse().ok());
            return Err(DiskFault::Locked { path: directory.to_owned(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(io_fault(source)),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(io_fault)?;
    Ok(file)
}

/// The lock's file, in the data directory.
const LOCK_FILE: &str = "lock";

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::fs::symlink;

    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        set_mode(directory.path(), 0o700);
        directory
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Whatever the tests run on is not what they are about.
    fn open(path: &Path) -> Result<DataDir, DiskFault> {
        DataDir::open(path, true)
    }

    #[test]
    fn d8_missing_directory_is_made_private() {
        let outer = directory();
        let path = outer.path().join("data");
        open(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
    }

    #[test]
    fn d8_mode_of_the_directory_is_named_with_the_command() {
        let data = directory();
        for mode in [0o755, 0o750, 0o701, 0o770] {
            set_mode(data.path(), mode);
            let fault = open(data.path()).unwrap_err().to_string();
            assert!(
                fault.contains(&format!("{mode:04o}")) && fault.contains("chmod 0700"),
                "{fault}"
            );
        }
        set_mode(data.path(), 0o700);
        assert!(open(data.path()).is_ok());
    }

    #[test]
    fn d8_symbolic_links_are_refused_at_every_depth() {
        let (outer, data) = (directory(), directory());
        let link = outer.path().join("link");
        symlink(data.path(), &link).unwrap();
        assert!(matches!(open(&link), Err(DiskFault::Link { .. })));
        for name in ["lock", "store", "audit"] {
            let path = data.path().join(name);
            symlink("/nonexistent", &path).unwrap();
            assert!(
                matches!(open(data.path()), Err(DiskFault::Link { path: named }) if named == path)
            );
            std::fs::remove_file(path).unwrap();
        }
        std::fs::create_dir(data.path().join("audit")).unwrap();
        symlink("/etc/passwd", data.path().join("audit/checkpoint")).unwrap();
        assert!(matches!(open(data.path()), Err(DiskFault::Link { .. })));
    }

    #[test]
    fn d8_strangers_are_named() {
        let data = directory();
        let stranger = data.path().join("audit.bak");
        std::fs::write(&stranger, b"").unwrap();
        let fault = open(data.path()).unwrap_err();
        assert!(matches!(&fault, DiskFault::Stranger { path } if *path == stranger), "{fault}");
        std::fs::remove_file(stranger).unwrap();
        std::fs::create_dir(data.path().join("audit")).unwrap();
        let stranger = data.path().join("audit/seg-00000000000000000000.log.orig");
        std::fs::write(&stranger, b"").unwrap();
        let fault = open(data.path()).unwrap_err();
        assert!(matches!(&fault, DiskFault::Stranger { path } if *path == stranger), "{fault}");
    }

    #[test]
    fn d8_files_that_others_may_write_are_refused() {
        let data = directory();
        std::fs::create_dir(data.path().join("audit")).unwrap();
        let file = data.path().join("audit/checkpoint");
        std::fs::write(&file, b"").unwrap();
        set_mode(&file, 0o666);
        let fault = open(data.path()).unwrap_err();
        assert!(matches!(&fault, DiskFault::Mode { path, .. } if *path == file), "{fault}");
        set_mode(&file, 0o644);
        assert!(open(data.path()).is_ok());
    }

    #[test]
    fn d8_file_in_the_place_of_a_directory_is_refused() {
        let outer = directory();
        let path = outer.path().join("data");
        std::fs::write(&path, b"").unwrap();
        assert!(matches!(open(&path), Err(DiskFault::Kind { expected: "directory", .. })));
    }

    #[test]
    fn d8_foreign_owner_is_refused() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: only root can give files away");
            return;
        }
        let data = directory();
        std::fs::create_dir(data.path().join("store")).unwrap();
        std::os::unix::fs::chown(data.path().join("store"), Some(12_345), None).unwrap();
        assert!(matches!(open(data.path()), Err(DiskFault::Owner { owner: 12_345, .. })));
    }

    #[test]
    fn d10_second_daemon_is_refused_until_the_first_has_ended() {
        let data = directory();
        let first = open(data.path()).unwrap();
        let fault = open(data.path()).unwrap_err();
        let pid = std::process::id();
        assert!(matches!(&fault, DiskFault::Locked { pid: Some(named), .. } if *named == pid));
        assert!(fault.to_string().contains("another daemon"), "{fault}");
        drop(first);
        assert!(open(data.path()).is_ok());
    }
}
