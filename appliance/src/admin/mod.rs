//! What operators may do, alone and by two, and how it is done.

pub mod table;

mod desk;

pub use desk::AdminDesk;
