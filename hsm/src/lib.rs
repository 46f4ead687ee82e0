//! The holders' keys in a PKCS#11 token.
#![deny(unsafe_code)]

pub mod audit;
pub mod config;
pub mod error;
mod ffi;
mod mechanism;
pub mod pin;
pub mod signature;
mod spki;
mod verify;
