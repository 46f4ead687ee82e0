//! The appliance: configuration, trust, audit, the signing line, and the two programs around them.
#![forbid(unsafe_code)]

pub mod admin;
pub mod cli;
pub mod config;
pub mod x509;
