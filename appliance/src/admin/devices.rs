//! Phones and security keys of holders: the card registers them, operators see and remove them.

use crate::admin::desk::AdminDesk;
use crate::admin::plan::Effect;
use crate::admin::plan::Plan;
use crate::admin::plan::Subject;
use crate::admin::refusal;
use crate::x509::rfc3339;
use api::admin::answer::DeviceView;
use api::admin::names::EnrollerName;
use api::problem::Code;
use api::problem::Problem;
use attest::authenticator::Authenticator;
use attest::authenticator::Authenticators;
use attest::authenticator::EnrolledBy;
use attest::clock::UnixSeconds;
use attest::records::Fingerprint;
use attest::session::EndReason;

impl AdminDesk {
    pub(super) fn devices(&self, holder_id: Option<&str>) -> Vec<DeviceView> {
        let registry = &self.parts().registry;
        let devices = match holder_id {
            Some(of) => registry.authenticators_of(of),
            None => registry.authenticators(),
        };
        devices.iter().map(|device| view(device)).collect()
    }

    /// Also without a portal: a lost phone waits for no configuration.
    pub(super) async fn plan_device_remove(
        &self,
        device: &Fingerprint,
        reason: &Option<String>,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        let found = Authenticators::new(self.parts().trust.clone()).removal(device).await;
        let unknown = || Problem::with_detail(Code::NotFound, "no such device is registered");
        let (found, removal) = found.map_err(refusal::session)?.ok_or_else(unknown)?;
        let of = found.authenticator_id.clone();
        let subject = Subject {
            what: "device",
            id: of.0.clone(),
            change: "removed",
            holder_id: Some(found.holder_id.clone()),
        };
        let summary =
            format!("remove {} {} of holder {}", found.kind.name(), found.label, found.holder_id);
        let mut plan = Plan::new(summary, subject, false)
            .about("holder", &found.holder_id)
            .drops("device", &found.authenticator_id.0)
            .then(Effect::RemoveDevice(found.authenticator_id))
            .ending(EndReason::EvidenceRevoked, move |session| session.factor == of);
        plan.guards.extend(removal.guards);
        plan.writes.extend(removal.writes);
        self.noting(plan, reason, now).await
    }
}

fn view(device: &Authenticator) -> DeviceView {
    let (enrolled_by, factor) = match &device.enrolled_by {
        EnrolledBy::Factor(by) => (by.method.into(), &by.factor.0),
        EnrolledBy::NotificationCard(by) => (EnrollerName::NotificationCard, &by.notification_card),
    };
    let time = |at: Option<attest::clock::UnixSeconds>| at.map(|at| rfc3339(at.0));
    DeviceView {
        kind: device.kind.into(),
        device: device.authenticator_id.0.clone(),
        holder_id: device.holder_id.clone(),
        label: device.label.clone(),
        enrolled_by,
        enrolled_by_factor: factor.clone(),
        enrolled_at: rfc3339(device.enrolled_at.0),
        last_used_at: time(device.last_used_at),
        model: device.aaguid.clone(),
        key_may_be_copied: device.is_backup_eligible,
        counter_went_back_at: time(device.counter_went_back_at),
    }
}
