//! What operators ask: the commands under `/admin/v1`, as plain data, with their place in REST and their answers.
//!
//! [`command_of`](rest::command_of) turns a request into an [`AdminCommand`]; the keeper decides who may run it and whether
//! it takes a second operator (`appliance/src/admin/table.rs`), and checks every field again.

pub mod answer;
pub mod check;
pub mod command;
pub mod evidence;
pub mod holder;
pub mod key;
pub mod letter;
pub mod names;
mod parts;
pub mod request;
pub mod rest;
mod route;
pub mod system;

pub use command::AdminCommand;
pub use request::request_of;
pub use rest::command_of;

use crate::operations::Caller;
use crate::problem::Problem;
use async_trait::async_trait;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Answered or done.
    Done,
    /// Done; something is there that was not there before.
    Created,
    /// It grants trust: it waits for a second operator. Nothing has changed.
    Proposed,
}

impl Outcome {
    /// HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::Done => 200,
            Self::Created => 201,
            Self::Proposed => 202,
        }
    }
}

/// The answer to a command. It has no `Debug`: it may be a sheet with a password, or somebody's certificate.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminAnswer {
    /// What became of it.
    pub outcome: Outcome,
    /// JSON of the type in [`answer`] that [`rest::ROUTES`] names for it.
    pub body: Value,
}

/// What operators ask.
#[async_trait]
pub trait Admin: Send + Sync {
    /// Runs `command`, or files it as a proposal when it grants trust.
    ///
    /// # Errors
    /// `client_unknown` and `not_permitted` before anything else is looked at.
    async fn admin(&self, caller: &Caller, command: AdminCommand) -> Result<AdminAnswer, Problem>;
}
