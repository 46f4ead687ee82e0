//! Tests on a real token. Everything about PKCS#11 is process-wide, so each test runs alone in a child process, with a
//! SoftHSM token of its own.

mod bench;
mod certificates;
mod house;
mod keys;
mod load;
mod recovery;
mod signing;
mod start;

pub(crate) use bench::Bench;
pub(crate) use bench::alone;
