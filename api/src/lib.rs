//! The outside of the appliance: listeners, TLS identities, routes, wire types, problems, pages.
//!
//! `api` guards the keeper from everything a peer can send: it parses once, at the edge, within named limits, and hands
//! typed values over the seam [`Operations`](operations::Operations). It cannot name a key, make a permit or write an
//! audit record.
#![forbid(unsafe_code)]

pub mod admin;
pub mod operations;
pub mod problem;
pub mod wire;
