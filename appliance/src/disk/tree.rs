//! What may lie in the data directory, whose it is and who may write it.
//!
//! Names are checked where an intruder's file would matter and their number is bounded: not every tile and label file of
//! ten years is looked at on every start.

use crate::disk::DiskFault;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The directory itself: real, ours, closed to everybody else.
pub(super) fn check_directory(path: &Path, owner: u32) -> Result<(), DiskFault> {
    let found = look(path)?;
    if !found.is_dir() {
        return Err(DiskFault::Kind { path: path.to_owned(), expected: "directory" });
    }
    check_owner(path, &found, owner)?;
    match found.mode() & 0o7777 {
        0o700 => Ok(()),
        mode => Err(DiskFault::Mode { path: path.to_owned(), mode, expected: "0700" }),
    }
}

/// Everything in it that a start reads.
pub(super) fn check_content(path: &Path, owner: u32) -> Result<(), DiskFault> {
    each(path, |name, inner| match name {
        "lock" => check_file(inner, owner),
        "store" => check_folder(inner, owner).and_then(|()| check_store(inner, owner)),
        "audit" => check_folder(inner, owner).and_then(|()| check_audit(inner, owner)),
        // Where the directory is a file system of its own.
        "lost+found" => Ok(()),
        _ => Err(DiskFault::Stranger { path: inner.to_owned() }),
    })
}

fn check_store(path: &Path, owner: u32) -> Result<(), DiskFault> {
    each(path, |name, inner| match name {
        "floor" => check_file(inner, owner),
        "sled" => check_folder(inner, owner).and_then(|()| check_sled(inner, owner)),
        _ => Err(DiskFault::Stranger { path: inner.to_owned() }),
    })
}

fn check_sled(path: &Path, owner: u32) -> Result<(), DiskFault> {
    each(path, |name, inner| match name {
        "db" | "conf" | "conf.tmp" => check_file(inner, owner),
        "blobs" => check_folder(inner, owner),
        name if name.starts_with("snap.") => check_file(inner, owner),
        _ => Err(DiskFault::Stranger { path: inner.to_owned() }),
    })
}

fn check_audit(path: &Path, owner: u32) -> Result<(), DiskFault> {
    each(path, |name, inner| match name {
        "labels" | "holders" | "tile" | "checkpoints" => check_folder(inner, owner),
        "checkpoint" | "checkpoint.new" | "next" => check_file(inner, owner),
        name if is_segment(name) => check_file(inner, owner),
        _ => Err(DiskFault::Stranger { path: inner.to_owned() }),
    })
}

fn is_segment(name: &str) -> bool {
    name.strip_prefix("seg-")
        .and_then(|name| name.strip_suffix(".log"))
        .is_some_and(|digits| digits.len() == 20 && digits.bytes().all(|d| d.is_ascii_digit()))
}

fn each(
    path: &Path,
    check: impl Fn(&str, &Path) -> Result<(), DiskFault>,
) -> Result<(), DiskFault> {
    let io_fault = |source: io::Error| DiskFault::Io { path: path.to_owned(), source };
    for entry in std::fs::read_dir(path).map_err(io_fault)? {
        let entry = entry.map_err(io_fault)?;
        match entry.file_name().to_str() {
            Some(name) => check(name, &entry.path())?,
            None => return Err(DiskFault::Stranger { path: entry.path() }),
        }
    }
    Ok(())
}

fn check_file(path: &Path, owner: u32) -> Result<(), DiskFault> {
    let found = look(path)?;
    match found.is_file() {
        true => check_ours(path, &found, owner),
        false => Err(DiskFault::Kind { path: path.to_owned(), expected: "file" }),
    }
}

fn check_folder(path: &Path, owner: u32) -> Result<(), DiskFault> {
    let found = look(path)?;
    match found.is_dir() {
        true => check_ours(path, &found, owner),
        false => Err(DiskFault::Kind { path: path.to_owned(), expected: "directory" }),
    }
}

/// Inside, where nobody else can get, it is enough that nobody else could write.
fn check_ours(path: &Path, found: &Metadata, owner: u32) -> Result<(), DiskFault> {
    check_owner(path, found, owner)?;
    let mode = found.mode() & 0o7777;
    match mode & 0o022 {
        0 => Ok(()),
        _ => Err(DiskFault::Mode { path: path.to_owned(), mode, expected: "go-w" }),
    }
}

fn check_owner(path: &Path, found: &Metadata, expected: u32) -> Result<(), DiskFault> {
    match found.uid() == expected {
        true => Ok(()),
        false => Err(DiskFault::Owner { path: path.to_owned(), owner: found.uid(), expected }),
    }
}

fn look(path: &Path) -> Result<Metadata, DiskFault> {
    let found = path
        .symlink_metadata()
        .map_err(|source| DiskFault::Io { path: path.to_owned(), source })?;
    match found.is_symlink() {
        true => Err(DiskFault::Link { path: path.to_owned() }),
        false => Ok(found),
    }
}
