//! The front on real sockets with real TLS clients (rustls, OpenSSL, curl) against a keeper of paper: what is tested
//! here is TLS, HTTP, limits and pages, never a decision of the keeper.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test that is how it fails"
)]

mod admin;
mod at_pc;
mod attached;
mod change_phone;
mod enrol;
mod framing;
mod http2;
mod http2_attacks;
mod letter;
mod lifecycle;
mod limits;
mod monitoring;
mod my_number;
mod own_page;
mod pages;
mod phone;
mod portal;
mod reload;
mod saved;
mod security_key;
mod signing;
mod support;
mod tls;
