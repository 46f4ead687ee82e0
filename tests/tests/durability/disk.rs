//! A file system of its own on a loop device, whose power can be cut.

use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// An ext4 in a file, mounted while this lives.
pub struct Disk {
    folder: tempfile::TempDir,
    mounted: bool,
}

impl Disk {
    /// `None`, with the reason printed, where it cannot be had.
    pub fn new(megabytes: u64) -> Option<Self> {
        let mut disk = Self { folder: tempfile::tempdir().unwrap(), mounted: false };
        std::fs::create_dir(disk.mount_point()).unwrap();
        File::create(disk.image()).unwrap().set_len(megabytes << 20).unwrap();
        let image = disk.image();
        if !run("mkfs.ext4", &["-q", "-F", "-m", "0", text(&image)]) || !disk.mount() {
            println!("skipped: no loop device can be mounted here (root is needed)");
            return None;
        }
        Some(disk)
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    pub fn mount_point(&self) -> PathBuf {
        self.folder.path().join("mount")
    }

    pub fn mount(&mut self) -> bool {
        let (image, point) = (self.image(), self.mount_point());
        self.mounted = run("mount", &["-o", "loop", text(&image), text(&point)]);
        self.mounted
    }

    pub fn unmount(&mut self) {
        if !self.mounted {
            return;
        }
        let point = self.mount_point();
        for _try in 0..100 {
            if run("umount", &[text(&point)]) {
                self.mounted = false;
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        println!("{} stays mounted", point.display());
    }

    /// Cuts the power: from here on nothing reaches the disk, neither dirty pages nor the journal, and every write and sync
    /// fails. What the drive itself would lose in its cache is not simulated.
    ///
    /// `EXT4_IOC_SHUTDOWN` is `_IOR('X', 125, __u32)`; 2 is `EXT4_GOING_FLAGS_NOLOGFLUSH`.
    pub fn cut_power(&self) {
        let script = "import fcntl, os, struct, sys\n\
                      fd = os.open(sys.argv[1], os.O_RDONLY)\n\
                      fcntl.ioctl(fd, 0x8004587D, struct.pack('I', 2))\n";
        let point = self.mount_point();
        assert!(run("python3", &["-c", script, text(&point)]), "the power could not be cut");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.unmount();
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}
