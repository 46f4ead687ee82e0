//! My Number cards of holders: the HPKI card registers them, operators see and remove them.

use crate::admin::desk::AdminDesk;
use crate::admin::plan::Effect;
use crate::admin::plan::Plan;
use crate::admin::plan::Subject;
use crate::admin::refusal;
use crate::keeper::my_number_links;
use crate::x509::rfc3339;
use api::admin::answer::JpkiView;
use api::problem::Code;
use api::problem::Problem;
use attest::clock::UnixSeconds;
use attest::jpki::JpkiLink;
use attest::records::Fingerprint;
use attest::session::EndReason;

impl AdminDesk {
    pub(super) fn jpki_cards(&self, holder_id: Option<&str>) -> Vec<JpkiView> {
        let registry = &self.parts().registry;
        let links = match holder_id {
            Some(of) => registry.jpki_of(of).into_iter().collect(),
            None => registry.jpki_links(),
        };
        links.iter().map(|link| view(link)).collect()
    }

    /// Also without a listener: a lost card waits for no configuration.
    pub(super) async fn plan_jpki_unlink(
        &self,
        card: &Fingerprint,
        reason: &Option<String>,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        let links = my_number_links(self.parts());
        let unknown =
            || Problem::with_detail(Code::NotFound, "no such My Number card is registered");
        let found = links.removal(card).await.map_err(refusal::session)?;
        let (found, removal) = found.ok_or_else(unknown)?;
        let of = found.card.clone();
        let subject = Subject {
            what: "my_number_card",
            id: of.0.clone(),
            change: "removed",
            holder_id: Some(found.holder_id.clone()),
        };
        let summary = format!("remove the My Number card of holder {}", found.holder_id);
        let mut plan = Plan::new(summary, subject, false)
            .about("holder", &found.holder_id)
            .drops("My Number card", &found.card.0)
            .then(Effect::RemoveJpki(found.card))
            .ending(EndReason::EvidenceRevoked, move |session| session.factor == of);
        plan.guards.extend(removal.guards);
        plan.writes.extend(removal.writes);
        self.noting(plan, reason, now).await
    }
}

fn view(link: &JpkiLink) -> JpkiView {
    JpkiView {
        card: link.card.0.clone(),
        holder_id: link.holder_id.clone(),
        enrolled_by: link.enrolled_by.method.into(),
        enrolled_by_factor: link.enrolled_by.factor.0.clone(),
        terminal: link.terminal.clone(),
        linked_at: rfc3339(link.linked_at.0),
        renewed_at: link.renewed_at.map(|at| rfc3339(at.0)),
    }
}
