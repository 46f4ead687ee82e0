//! What operators may do, alone and by two, and how it is done.
//!
//! ```text
//! command -> who asks (certificate -> operator -> role) -> table -> plan: everything it would change
//!    takes one, or only narrows:  perform
//!    takes two:                   proposal, sealed, 7 days -> another operator reads the same plan -> perform
//! perform: token -> store (with what is still to be recorded) -> audit record -> memory
//!          what withdraws trust leaves memory first, and ends at its place in the audit order
//! ```

pub(crate) mod audit_view;
mod cards;
mod certificate;
mod compare;
mod desk;
mod destroy;
mod devices;
mod doctor;
mod doctor_jpki;
mod evidence;
mod holder_sheet;
mod holders;
mod house;
mod jpki;
mod key_views;
mod keys;
mod letters;
mod perform;
mod plan;
mod proposal;
mod refusal;
mod renewal;
mod retire;
mod sheets;
mod status;
mod systems;
pub mod table;
mod views;

pub use desk::AdminDesk;
pub use house::LEAST_SECURITY_OFFICERS;
pub use perform::OwedError;
