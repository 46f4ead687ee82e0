//! The whole appliance from outside: the real daemon, a real token, other people's verifiers.
//!
//! Most tests share one world (`World::shared`) and leave it as they found it; those that break something build their
//! own. Numbers such as `s14` are those of the catalogue of attacks and faults.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do"
)]

mod admin;
mod audit;
mod audit_stopped;
mod certificates;
mod clock;
mod crash;
mod disk;
mod holder_show;
mod hsm;
mod hsm_start;
mod idempotency;
mod jpki_provider;
mod listeners;
mod logout;
mod monitoring;
mod once;
mod operators;
mod portal;
mod renewal;
mod requests;
mod sessions;
mod sign_in;
mod signatures;
mod withdrawals;
