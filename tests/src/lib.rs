//! What tests and benches of more than one crate share.

pub mod conformance;
pub mod durability;
pub mod support;
pub mod verify;
