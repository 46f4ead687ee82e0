//! Which file systems keep what they acknowledged.

use crate::disk::DiskFault;
use nix::sys::statfs::statfs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What is mounted where a directory lies.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    kind: String,
    options: String,
}

/// Refuses what is not known to be safe: a list of good ones, because the bad ones are many and new ones come.
pub(super) fn judge(path: &Path) -> Result<(), DiskFault> {
    let refuse = |kind: &str, reason| {
        Err(DiskFault::FileSystem { path: path.to_owned(), kind: kind.to_owned(), reason })
    };
    let mount = mount_of(path)?;
    if let Some(reason) = unsafe_reason(&mount.kind) {
        return refuse(&mount.kind, reason);
    }
    match mount.options.split(',').any(|option| NO_BARRIER.contains(&option)) {
        true => refuse(&mount.kind, "it is mounted without write barriers"),
        false => Ok(()),
    }
}

fn unsafe_reason(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "ext4" | "ext3" | "xfs" => return None,
        "ext2" => "it has no journal",
        "btrfs" | "bcachefs" | "zfs" | "nilfs2" => {
            "a copy-on-write file system was seen to break the store, and it may run out of space while overwriting"
        }
        "tmpfs" | "ramfs" => "it is memory, lost with the power",
        "overlay" | "aufs" | "unionfs" => {
            "a container's layer is thrown away and does not pass syncs on"
        }
        "nfs" | "nfs4" | "cifs" | "smb3" | "smbfs" | "9p" | "virtiofs" | "ceph" | "glusterfs"
        | "afs" => "locks and syncs over a network are not what they are on a disk",
        "vfat" | "exfat" | "msdos" | "ntfs" | "ntfs3" => "it has no modes and no journal",
        kind if kind.starts_with("fuse") => "a program stands between the appliance and its disk",
        _ => "it was never tested here",
    })
}

/// The mount that a path lies on: by device number, and by the longest mount point where that is not known.
fn mount_of(path: &Path) -> Result<Mount, DiskFault> {
    let io_fault = |source| DiskFault::Io { path: path.to_owned(), source };
    let real = path.canonicalize().map_err(io_fault)?;
    let device = real.metadata().map_err(io_fault)?.dev();
    let table = std::fs::read_to_string("/proc/self/mountinfo").map_err(io_fault)?;
    if let Some(mount) = find(&table, device, &real) {
        return Ok(mount);
    }
    // Without a mount table only the kernel's own number is left.
    let magic = statfs(&real).map_err(|errno| io_fault(io::Error::from(errno)))?.filesystem_type();
    let kind = match magic {
        nix::sys::statfs::EXT4_SUPER_MAGIC => "ext4",
        nix::sys::statfs::XFS_SUPER_MAGIC => "xfs",
        _ => "an unknown file system",
    };
    Ok(Mount { kind: kind.to_owned(), options: String::new() })
}

/// # Source
/// proc_pid_mountinfo(5): `id parent major:minor root mount-point options optional... - type source super-options`.
fn find(table: &str, device: u64, path: &Path) -> Option<Mount> {
    let number = format!("{}:{}", nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let mut best: Option<(usize, bool, Mount)> = None;
    for line in table.lines() {
        let (Some((left, right)), true) = (line.split_once(" - "), !line.is_empty()) else {
            continue;
        };
        let left: Vec<&str> = left.split(' ').collect();
        let (Some(of), Some(point), Some(options)) = (left.get(2), left.get(4), left.get(5)) else {
            continue;
        };
        let point = unescape(point);
        if !path.starts_with(&point) {
            continue;
        }
        let mut right = right.split(' ');
        let (Some(kind), _, super_options) = (right.next(), right.next(), right.next()) else {
            continue;
        };
        let mount = Mount {
            kind: kind.to_owned(),
            options: format!("{options},{}", super_options.unwrap_or_default()),
        };
        // The device decides; a later line at the same point covers an earlier one.
        let rank = (*of == number, point.len());
        if best.as_ref().is_none_or(|(length, same, _)| rank >= (*same, *length)) {
            best = Some((point.len(), rank.0, mount));
        }
    }
    best.map(|(_, _, mount)| mount)
}

/// Spaces and such stand in the table as three octal digits behind a backslash.
fn unescape(point: &str) -> String {
    let mut text = String::new();
    let mut rest = point;
    while let Some((before, behind)) = rest.split_once('\\') {
        text.push_str(before);
        let octal = behind.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (octal, behind.get(3..)) {
            (Some(octet), Some(behind)) => {
                text.push(char::from(octet));
                rest = behind;
            }
            _ => {
                text.push('\\');
                rest = behind;
            }
        }
    }
    text.push_str(rest);
    text
}

/// ext4 and xfs: the drive's cache is not flushed.
const NO_BARRIER: [&str; 2] = ["nobarrier", "barrier=0"];

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 22 0:27 / /run rw,nosuid - tmpfs tmpfs rw,size=1024k
41 22 7:0 / /var/lib/inkan rw,noatime - ext4 /dev/loop0 rw,nobarrier
42 22 0:44 /sub /srv/with\\040space rw - btrfs /dev/vdb rw,space_cache=v2
";

    fn kind(major: u64, minor: u64, path: &str) -> String {
        let device = nix::sys::stat::makedev(major, minor);
        find(TABLE, device, Path::new(path)).unwrap().kind
    }

    #[test]
    fn mount_is_found_by_device_and_path() {
        assert_eq!(kind(254, 0, "/home/data"), "ext4");
        assert_eq!(kind(0, 27, "/run/inkan"), "tmpfs");
        assert_eq!(kind(0, 99, "/srv/with space/data"), "btrfs");
        let mount = find(TABLE, nix::sys::stat::makedev(7, 0), Path::new("/var/lib/inkan/data"));
        assert!(mount.unwrap().options.contains("nobarrier"));
    }

    #[test]
    fn only_tested_journalling_file_systems_are_safe() {
        for safe in ["ext4", "ext3", "xfs"] {
            assert_eq!(unsafe_reason(safe), None);
        }
        for other in ["ext2", "btrfs", "overlay", "tmpfs", "nfs4", "fuse.sshfs", "fuseblk", "new"] {
            assert!(unsafe_reason(other).is_some(), "{other}");
        }
    }

    #[test]
    fn memory_file_system_is_refused_by_name() {
        let Ok(directory) = tempfile::tempdir_in("/dev/shm") else {
            println!("skipped: no /dev/shm here");
            return;
        };
        let fault = judge(directory.path()).unwrap_err().to_string();
        assert!(
            fault.contains("tmpfs") && fault.contains("danger_allow_unsafe_file_system"),
            "{fault}"
        );
    }
}
