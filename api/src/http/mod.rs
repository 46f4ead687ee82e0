//! Parsing what HTTP brings, strictly and once, and rendering what goes back.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod content_digest;
pub(crate) mod head;
pub(crate) mod label;
pub(crate) mod query;
pub(crate) mod strict_json;
pub(crate) mod user_agent;
