//! Holders and their sessions.

use crate::admin::certificate::new_id;
use crate::admin::desk::AdminDesk;
use crate::admin::plan::Effect;
use crate::admin::plan::Plan;
use crate::admin::plan::Subject;
use crate::admin::refusal;
use api::admin::command::NewHolder;
use api::problem::Code;
use api::problem::Problem;
use attest::clock::UnixSeconds;
use attest::records::Holder;
use attest::session::EndReason;
use attest::store::Rev;
use std::sync::Arc;

impl AdminDesk {
    pub(super) fn plan_holder_add(
        &self,
        new: &NewHolder,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        let holders = self.parts().registry.holders();
        new_id("holder", &new.holder_id, holders.iter().map(|holder| holder.holder_id.as_str()))?;
        let holder = Holder {
            holder_id: new.holder_id.clone(),
            display_name: new.display_name.clone(),
            enabled: true,
            ca_contact: new.ca_contact.clone(),
            created_at: now,
        };
        let summary = format!("register holder {}", holder.holder_id);
        let mut plan = Plan::new(summary, subject(&holder.holder_id, "granted"), true)
            .adds("holder", &holder.holder_id)
            .adds("name", &holder.display_name);
        if let Some(contact) = &holder.ca_contact {
            plan = plan.adds("CA contact", contact);
        }
        let plan = plan.creating(&self.parts().trust, &holder).map_err(refusal::trust)?;
        Ok(plan.then(Effect::PutHolder(holder)))
    }

    pub(super) async fn plan_holder_disable(&self, holder_id: &str) -> Result<Plan, Problem> {
        let (holder, rev) = self.stored_holder(holder_id).await?;
        let disabled = Holder { enabled: false, ..holder.clone() };
        let of = holder_id.to_owned();
        let plan =
            Plan::new(format!("disable holder {holder_id}"), subject(holder_id, "removed"), false)
                .about("name", &holder.display_name)
                .turns("may sign", yes(holder.enabled), "no")
                .replacing(&self.parts().trust, &disabled, rev)
                .map_err(refusal::trust)?;
        let ending = move |session: &attest::session::LiveSession| session.holder_id == of;
        Ok(plan.then(Effect::PutHolder(disabled)).ending(EndReason::HolderDisabled, ending))
    }

    pub(super) async fn plan_holder_enable(&self, holder_id: &str) -> Result<Plan, Problem> {
        let (holder, rev) = self.stored_holder(holder_id).await?;
        if holder.enabled {
            return Err(refusal::conflict(format!("holder {holder_id} is enabled")));
        }
        let enabled = Holder { enabled: true, ..holder.clone() };
        let plan =
            Plan::new(format!("enable holder {holder_id}"), subject(holder_id, "granted"), true)
                .about("name", &holder.display_name)
                .turns("may sign", "no", "yes")
                .replacing(&self.parts().trust, &enabled, rev)
                .map_err(refusal::trust)?;
        Ok(plan.then(Effect::PutHolder(enabled)))
    }

    pub(super) fn plan_session_end(&self, session_id: &str) -> Result<Plan, Problem> {
        let session = self.parts().sessions.by_id(session_id).ok_or(Code::SessionUnknown)?;
        let subject = Subject {
            what: "session",
            id: session_id.to_owned(),
            change: "removed",
            holder_id: Some(session.holder_id.clone()),
        };
        let of = session_id.to_owned();
        Ok(Plan::new(format!("end session {session_id}"), subject, false)
            .about("holder", &session.holder_id)
            .about("system", &session.system_id)
            .ending(EndReason::Operator, move |session| session.session_id == of))
    }

    pub(super) fn plan_session_end_all(&self, holder_id: &str) -> Result<Plan, Problem> {
        let holder = self.holder(holder_id)?;
        let subject = Subject { what: "session", ..subject(holder_id, "removed") };
        let of = holder_id.to_owned();
        Ok(Plan::new(format!("end every session of holder {holder_id}"), subject, false)
            .about("name", &holder.display_name)
            .ending(EndReason::Operator, move |session| session.holder_id == of))
    }

    /// A holder, as the gate sees them.
    pub(super) fn holder(&self, holder_id: &str) -> Result<Arc<Holder>, Problem> {
        self.parts().registry.holder(holder_id).ok_or_else(|| Code::HolderUnknown.into())
    }

    async fn stored_holder(&self, holder_id: &str) -> Result<(Holder, Rev), Problem> {
        let found = self.parts().trust.load::<Holder>(holder_id).await.map_err(refusal::trust)?;
        found.ok_or_else(|| Code::HolderUnknown.into())
    }
}

fn subject(holder_id: &str, change: &'static str) -> Subject {
    let holder = holder_id.to_owned();
    Subject { what: "holder", id: holder.clone(), change, holder_id: Some(holder) }
}

fn yes(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}
