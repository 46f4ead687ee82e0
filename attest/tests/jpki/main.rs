//! My Number cards in attest: whose card it is, and what rests on it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may end at once"
)]

mod gate;
mod links;
