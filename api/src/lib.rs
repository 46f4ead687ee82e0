//! The outside of the appliance: listeners, TLS identities, routes, wire types, problems, pages.
//!
//! `api` guards the keeper from everything a peer can send: it parses once, at the edge, within named limits, and hands
//! typed values over the seam [`Operations`](operations::Operations). It cannot name a key, make a permit or write an
//! audit record.
#![forbid(unsafe_code)]

pub mod admin;
pub mod config;
mod door;
pub mod error;
mod http;
mod log_limit;
mod metrics;
mod net;
pub mod openapi;
pub mod operations;
mod pages;
pub mod problem;
pub mod rate;
mod request_id;
pub mod routes;
pub mod server;
pub mod sheet;
pub mod text;
mod tls;
pub mod wire;

pub use crate::http::strict_json::parse as parse_strict_json;
pub use crate::tls::client::ClientTls;
