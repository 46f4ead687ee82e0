//! What operators ask: the commands under `/admin/v1`, their roles, and which of them take two operators.

use crate::operations::Caller;
use crate::problem::Problem;
use async_trait::async_trait;
use serde::Deserialize;
use serde::Serialize;

/// One command of the admin API, as plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum AdminCommand {
    /// State, versions, counts, alarms.
    Status,
}

/// The answer: JSON, as documented for each command.
pub type AdminAnswer = serde_json::Value;

/// What operators ask.
#[async_trait]
pub trait Admin: Send + Sync {
    /// Runs `command`, or files it as a proposal when it grants trust.
    ///
    /// # Errors
    /// `client_unknown` and `not_permitted` before anything else is looked at.
    async fn admin(&self, caller: &Caller, command: AdminCommand) -> Result<AdminAnswer, Problem>;
}
