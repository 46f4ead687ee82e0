//! Presence by phone: ceremonies, enrolment by ticket, sign-in by hand-off, and every order in which they may overlap.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing helper is a failing test"
)]

mod asked_again;
mod at_pc;
mod ceremonies;
mod change;
mod enrolment;
mod evidence;
mod gate;
mod hand_off;
mod interleavings;
mod letter_orders;
mod notification_cards;
mod orders;
mod security_keys;
#[path = "../steps/mod.rs"]
mod steps;
mod world;
