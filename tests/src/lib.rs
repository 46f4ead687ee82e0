//! What tests and benches of more than one crate share.

pub mod conformance;
pub mod support;
pub mod verify;
