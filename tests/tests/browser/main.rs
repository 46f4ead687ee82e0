//! Holders at their browser: the real Chromium against the real daemon.
//!
//! `target/browser/<test>-<step>.png` shows what they saw.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do"
)]

mod accessibility;
mod desk;
mod isolation;
mod my_number;
mod once;
mod own_page;
mod passkeys;
mod phone;
mod saved;
mod sign_in;
