//! Store and audit log from outside: what they promise, shown on real files.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside the test functions"
)]

mod append;
mod checkpoints;
mod conformance;
mod crash_states;
mod of_holder;
mod proofs;
mod store;
mod support;
mod verify;
