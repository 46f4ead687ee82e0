//! The holders' keys in a PKCS#11 token, and the only code that uses them.
//!
//! `hsm` guards keys from everybody, the appliance included: [`Hsm::sign`] takes a [`Permit`](attest::permit::Permit) by
//! value and nothing else uses a holder's key. The appliance's own *house keys* have doors of their own
//! ([`Hsm::sign_checkpoint`], [`Hsm::self_test`], [`Hsm::index_hmac`], [`Hsm::sealing_key`]) that cannot name a holder's.
//!
//! ```text
//!  callers (async)            dispatcher                    workers hsm-1 .. hsm-N        module
//!  sign(permit) -> index -> [ bounded queue ] ------------> own session, C_SignInit -----> .so
//!     ^   deadline             | pause, retire              C_Sign                         ^
//!     '--- oneshot <-----------+----------------------------'  |                           |
//!  generate, load ... ------> supervisor (one thread) <--------' trouble                   |
//!                              own read-write session, (re)connects, watches --------------'
//! ```
//!
//! On the hot path are a hash lookup, a lock, a thread hand-over and two PKCS#11 calls. Every return value has a place
//! on the recovery ladder: a new session and one more try; a new module context by the supervisor, backed off; or an
//! end, and a wrong PIN is always an end. A key is used only after its audit, found by CKA_ID *and* public key.
//!
//! It never parses a request, never logs a PIN or what is signed, and never lets a key leave the token.
#![deny(unsafe_code)]

pub mod audit;
mod backoff;
mod ceremony;
pub mod config;
mod connection;
pub mod csr;
mod dispatcher;
pub mod error;
mod ffi;
mod house;
mod hsm;
mod keys;
mod keyset;
mod located;
mod login;
mod mechanism;
mod objects;
pub mod pin;
mod pool;
pub mod signature;
mod spki;
pub mod status;
mod supervisor;
mod template;
mod token;
mod verify;

pub use crate::ceremony::Loaded;
pub use crate::config::HsmConfig;
pub use crate::config::PauseForAdmin;
pub use crate::config::TokenSelector;
pub use crate::connection::module_fingerprint;
pub use crate::error::HsmError;
pub use crate::house::HouseKey;
pub use crate::hsm::Hsm;
pub use crate::keys::GeneratedKey;
pub use crate::login::PinState;
pub use crate::signature::EcdsaDer;
pub use crate::signature::EcdsaRaw;
pub use crate::signature::SignatureValue;
pub use crate::status::HsmCounters;
pub use crate::status::HsmState;
pub use crate::status::HsmStatus;
pub use crate::token::TokenFacts;

#[cfg(test)]
mod tests;
