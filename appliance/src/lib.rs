//! The appliance: configuration, trust, audit, the signing line, and the two programs around them.
#![forbid(unsafe_code)]

pub mod admin;
pub mod audit;
mod checkpoint;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod disk;
pub mod doorway;
pub mod fetch;
pub mod harden;
mod idempotency;
pub mod jpki_validity;
pub mod keeper;
pub mod metrics;
pub mod network;
mod problems;
pub mod provision;
mod queue;
mod rate;
pub mod sign;
pub mod state;
pub mod store;
pub mod systemd;
pub mod time;
pub mod x509;
