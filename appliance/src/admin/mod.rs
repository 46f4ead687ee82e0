//! What operators may do, alone and by two, and how it is done.

pub mod table;
