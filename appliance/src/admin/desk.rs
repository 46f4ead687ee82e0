//! Operators' commands, run or filed.

use crate::keeper::Keeper;
use api::admin::Admin;
use api::admin::AdminAnswer;
use api::admin::AdminCommand;
use api::operations::Caller;
use api::problem::Code;
use api::problem::Problem;
use async_trait::async_trait;
use std::sync::Arc;

/// What operators ask, answered over the keeper.
pub struct AdminDesk {
    keeper: Arc<Keeper>,
}

impl AdminDesk {
    /// A desk before this keeper.
    pub fn new(keeper: Arc<Keeper>) -> Self {
        Self { keeper }
    }
}

#[async_trait]
impl Admin for AdminDesk {
    async fn admin(&self, caller: &Caller, _command: AdminCommand) -> Result<AdminAnswer, Problem> {
        self.keeper.parts().registry.operator_of(&caller.certificate).ok_or(Code::ClientUnknown)?;
        Err(Code::NotFound.into())
    }
}
