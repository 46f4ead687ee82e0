//! What the process does to itself before it reads a secret.

use nix::sys::prctl;
use nix::sys::resource::Resource;
use nix::sys::resource::setrlimit;
use nix::sys::stat::Mode;
use nix::sys::stat::umask;

/// No core dump, no ptrace by others of the same user, files for the owner only.
///
/// # Errors
/// The system refused; the daemon does not go on.
pub fn process() -> nix::Result<()> {
    umask(Mode::from_bits_truncate(0o077));
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    prctl::set_dumpable(false)
}
