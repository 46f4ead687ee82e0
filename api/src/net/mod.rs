//! Connections: accepting them, their limits, their end.

pub(crate) mod accept;
pub(crate) mod activity;
pub(crate) mod connection;
pub(crate) mod connections;
pub(crate) mod counts;
pub(crate) mod handshakes;
pub(crate) mod read_ahead;
pub(crate) mod releases;
pub(crate) mod watched;
pub(crate) mod worded;
