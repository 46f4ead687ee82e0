//! Crash tests of store and audit log with real processes, real file systems and real power cuts.
//!
//! `INKAN_ROUNDS` sets how often; REL1 asks for 200. What needs root, a loop device, a C compiler or Go says so and stops
//! where that is missing.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests stand outside the test functions"
)]

mod disk;
mod faults;
mod full_disk;
mod independent;
mod kill;
mod power;
mod work;
mod worker;
