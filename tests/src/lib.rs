//! What tests and benches of more than one crate share.

pub mod support;
pub mod verify;
