//! Work that a crash may interrupt at any moment, and what must be there afterwards.
//!
//! A worker process writes to store or audit log and says through a pipe what was acknowledged; the test kills it, cuts the
//! power or makes a system call fail, opens the same directory again and compares.

pub mod audit_work;
pub mod signer;
pub mod store_work;

use std::io::Write;

/// Says one line to the parent, at once. A parent that is gone ends the worker.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}
