//! Holders and their sessions.

use crate::admin::certificate::new_id;
use crate::admin::desk::AdminDesk;
use crate::admin::plan::Effect;
use crate::admin::plan::Plan;
use crate::admin::plan::Subject;
use crate::admin::refusal;
use api::admin::command::NewHolder;
use api::admin::holder::HolderChange;
use api::problem::Code;
use api::problem::Problem;
use attest::clock::UnixSeconds;
use attest::records::Holder;
use attest::session::EndReason;
use attest::store::Rev;
use attest::withdrawn::Stop;
use attest::withdrawn::Taken;
use attest::withdrawn::Withdrawn;
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
            withdrawn: Withdrawn::default(),
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

    pub(super) async fn plan_holder_disable(
        &self,
        holder_id: &str,
        reason: &Option<String>,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        let (holder, rev) = self.holder_who_stays(holder_id).await?;
        let summary = format!("disable holder {holder_id}");
        // Done twice, it ends what may have begun, and does not change since when and why.
        let stop = holder.withdrawn.stop.clone();
        let stop =
            stop.unwrap_or_else(|| Stop { at: now, reason: reason.clone(), is_for_good: false });
        self.stopping(holder, rev, summary, stop)
    }

    fn stopping(
        &self,
        holder: Holder,
        rev: Rev,
        summary: String,
        stop: Stop,
    ) -> Result<Plan, Problem> {
        let id = holder.holder_id.clone();
        let mut stopped = Holder { enabled: false, ..holder.clone() };
        let plan = Plan::new(summary, subject(&id, "removed"), false)
            .about("name", &holder.display_name)
            .turns("may sign", yes(holder.enabled), "no")
            .because(&stop.reason);
        stopped.withdrawn.stop = Some(stop);
        let plan = plan.replacing(&self.parts().trust, &stopped, rev).map_err(refusal::trust)?;
        Ok(plan.then(Effect::PutHolder(stopped)).signing_out(EndReason::HolderDisabled, &id))
    }

    pub(super) async fn plan_holder_enable(&self, holder_id: &str) -> Result<Plan, Problem> {
        let (holder, rev) = self.holder_who_stays(holder_id).await?;
        if holder.enabled {
            return Err(refusal::conflict(format!("holder {holder_id} is enabled")));
        }
        let mut enabled = Holder { enabled: true, ..holder.clone() };
        let why = enabled.withdrawn.stop.take().and_then(|stop| stop.reason);
        let mut plan =
            Plan::new(format!("enable holder {holder_id}"), subject(holder_id, "granted"), true)
                .about("name", &holder.display_name)
                .turns("may sign", "no", "yes");
        if let Some(why) = why {
            plan = plan.about("was disabled because", why);
        }
        let plan = plan.replacing(&self.parts().trust, &enabled, rev).map_err(refusal::trust)?;
        Ok(plan.then(Effect::PutHolder(enabled)))
    }

    /// Names and contacts are what people trust when something is wrong: two look at them.
    pub(super) async fn plan_holder_update(
        &self,
        holder_id: &str,
        change: &HolderChange,
    ) -> Result<Plan, Problem> {
        let (holder, rev) = self.stored_holder(holder_id).await?;
        let HolderChange { display_name, ca_contact } = change.clone();
        let changed = Holder {
            display_name: display_name.unwrap_or_else(|| holder.display_name.clone()),
            ca_contact: ca_contact.or_else(|| holder.ca_contact.clone()),
            ..holder.clone()
        };
        if changed == holder {
            return Err(refusal::conflict("it says so already"));
        }
        let contact = |holder: &Holder| holder.ca_contact.clone().unwrap_or_else(|| "-".into());
        let summary = format!("change what people read of holder {holder_id}");
        let plan = Plan::new(summary, subject(holder_id, "changed"), true)
            .about("holder", holder_id)
            .turns("name", &holder.display_name, &changed.display_name)
            .turns("CA contact", contact(&holder), contact(&changed))
            .replacing(&self.parts().trust, &changed, rev)
            .map_err(refusal::trust)?;
        Ok(plan.then(Effect::PutHolder(changed)))
    }

    /// `plan`, which takes something from its holder, with a note of it in their record.
    pub(super) async fn noting(
        &self,
        plan: Plan,
        reason: &Option<String>,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        let plan = plan.because(reason);
        let trust = &self.parts().trust;
        let holder_id = plan.subject.holder_id.clone().unwrap_or_default();
        // Whatever is wrong with the holder's record keeps nobody from taking a lost card.
        let Ok(Some((mut holder, rev))) = trust.load::<Holder>(&holder_id).await else {
            return Ok(plan);
        };
        holder.withdrawn.note(Taken {
            what: plan.subject.what.to_owned(),
            id: plan.subject.id.clone(),
            at: now,
            reason: reason.clone(),
        });
        let plan = plan.replacing(trust, &holder, rev).map_err(refusal::trust)?;
        Ok(plan.then(Effect::PutHolder(holder)))
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
        Ok(Plan::new(format!("end every session of holder {holder_id}"), subject, false)
            .about("name", &holder.display_name)
            .signing_out(EndReason::Operator, holder_id))
    }

    /// A holder, as the gate sees them.
    pub(super) fn holder(&self, holder_id: &str) -> Result<Arc<Holder>, Problem> {
        self.parts().registry.holder(holder_id).ok_or_else(|| Code::HolderUnknown.into())
    }

    /// A holder who has not left for good: nothing changes that.
    pub(super) async fn holder_who_stays(&self, holder_id: &str) -> Result<(Holder, Rev), Problem> {
        let (holder, rev) = self.stored_holder(holder_id).await?;
        if holder.withdrawn.is_for_good() {
            let detail = format!("holder {holder_id} has left for good: register another id");
            return Err(refusal::conflict(detail));
        }
        Ok((holder, rev))
    }

    async fn stored_holder(&self, holder_id: &str) -> Result<(Holder, Rev), Problem> {
        let found = self.parts().trust.load::<Holder>(holder_id).await.map_err(refusal::trust)?;
        found.ok_or_else(|| Code::HolderUnknown.into())
    }
}

pub(super) fn subject(holder_id: &str, change: &'static str) -> Subject {
    let holder = holder_id.to_owned();
    Subject { what: "holder", id: holder.clone(), change, holder_id: Some(holder) }
}

pub(super) fn yes(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}
