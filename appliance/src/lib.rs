//! The appliance: configuration, trust, audit, the signing line, and the two programs around them.
#![forbid(unsafe_code)]

pub mod admin;
pub mod audit;
pub mod cli;
pub mod config;
mod queue;
pub mod store;
pub mod time;
pub mod x509;
