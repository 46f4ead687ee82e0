//! The end-to-end harness: a throwaway hospital around the real daemon.
//!
//! [`world::World`] has a PKI, a SoftHSM token, a data directory and a running `inkand`; what is used of it is its
//! outside only: TLS, HTTP, files, the command line. Everything of a world is gone when it is dropped, or when the
//! process that made it ends, however it ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a harness that cannot do its part fails its test, at the line that says which part"
)]

pub mod admin;
pub mod browser;
pub mod build;
pub mod cms;
pub mod config;
pub mod cpu;
pub mod daemon;
pub mod doctor;
pub mod ehr;
pub mod http;
pub mod jpki_provider;
pub mod jpki_vouching;
pub mod letter;
pub mod ocsp;
pub mod pki;
pub mod portal;
pub mod token;
pub mod world;
