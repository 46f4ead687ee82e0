//! Certificates as an attacker, a careless CA or a real one presents them. Group C of the attacks by number.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may end at once"
)]

mod algorithms;
mod evidence;
mod group_c;
mod hpki;
mod jpki;
mod lists;
mod ocsp;
mod parsers;
mod pki;
mod profiles;
mod tls;
mod validity;
