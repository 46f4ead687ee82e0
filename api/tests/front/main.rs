//! The front on real sockets with real TLS clients (rustls, OpenSSL, curl) against a keeper of paper: what is tested
//! here is TLS, HTTP, limits and pages, never a decision of the keeper.

mod framing;
mod limits;
mod pages;
mod signing;
mod support;
mod tls;
