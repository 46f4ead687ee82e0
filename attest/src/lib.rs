//! Who is present, and what may therefore be signed.
//!
//! `attest` guards the holders' keys from everybody but their holders. It turns *evidence* (a fresh proof of
//! presence) into a *session*, a session into an *admission* (before a body is read), and an admission into a
//! [`Permit`](permit::Permit) for one content digest. A `Permit` is the only thing that opens a holder's key, and
//! only [`Gate`](gate::Gate) makes one.
//!
//! It never talks to an HSM, never parses an HTTP request, and never fetches anything.
#![forbid(unsafe_code)]

pub mod activation;
pub mod algorithm;
pub mod authenticator;
pub mod basis;
pub mod clock;
mod enroller;
pub mod evidence;
pub mod factor_rules;
pub mod gate;
pub mod handoff;
pub mod hc_role;
pub mod jpki;
pub mod judge;
pub mod key_life;
pub mod notification_card;
pub mod own_page;
mod packed;
pub mod password;
pub mod path;
pub mod permit;
pub mod phone_change;
pub mod qr_link;
pub mod records;
pub mod registry;
pub mod revocation;
pub mod saved;
pub mod session;
pub mod sessions;
pub mod sign_in;
pub mod store;
pub mod ticket;
pub mod trust;
pub mod validity;
pub mod vault;
pub mod waiting;
pub mod withdrawn;

#[cfg(any(test, feature = "danger-testing"))]
pub mod danger_testing;
