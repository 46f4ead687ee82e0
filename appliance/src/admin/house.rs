//! The appliance itself: operators, trust anchors, test mode, the PKCS#11 module.

use crate::admin::certificate::client_certificate;
use crate::admin::certificate::new_id;
use crate::admin::desk::AdminDesk;
use crate::admin::plan::Effect;
use crate::admin::plan::Plan;
use crate::admin::plan::Subject;
use crate::admin::refusal;
use crate::x509;
use crate::x509::Facts;
use crate::x509::date;
use api::admin::command::NewAnchor;
use api::admin::command::NewOperator;
use api::problem::Code;
use api::problem::Problem;
use attest::clock::UnixSeconds;
use attest::path::TrustAnchor;
use attest::records::Anchor;
use attest::records::AnchorPurpose;
use attest::records::Fingerprint;
use attest::records::Mode;
use attest::records::Operator;
use attest::records::Role;
use attest::records::TrustRecord;
use attest::store::Rev;

/// Security officers that always remain: with fewer, nothing could be granted any more, not even another officer.
pub const LEAST_SECURITY_OFFICERS: usize = 2;

/// Id of the one [`Mode`] record.
pub const MODE: &str = "mode";

impl AdminDesk {
    pub(super) fn plan_operator_add(
        &self,
        new: &NewOperator,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        let registry = &self.parts().registry;
        let operators = registry.operators();
        let there = operators.iter().map(|operator| operator.operator_id.as_str());
        new_id("operator", &new.operator_id, there)?;
        let certificate =
            client_certificate("certificate_pem", &new.certificate_pem, registry, now)?;
        let operator = Operator {
            operator_id: new.operator_id.clone(),
            role: new.role.into(),
            certificate: certificate.fingerprint,
            created_at: now,
        };
        let summary = format!("register operator {}", operator.operator_id);
        let plan = Plan::new(summary, subject("operator", &operator.operator_id, "granted"), true)
            .adds("operator", &operator.operator_id)
            .adds("role", operator.role.name())
            .adds("certificate", certificate.shown)
            .creating(&self.parts().trust, &operator)
            .map_err(refusal::trust)?;
        Ok(plan.then(Effect::PutOperator(operator)))
    }

    pub(super) async fn plan_operator_remove(&self, operator_id: &str) -> Result<Plan, Problem> {
        let found =
            self.parts().trust.load::<Operator>(operator_id).await.map_err(refusal::trust)?;
        let unknown =
            || Problem::with_detail(Code::NotFound, format!("there is no operator {operator_id}"));
        let (operator, rev) = found.ok_or_else(unknown)?;
        if operator.role == Role::SecurityOfficer {
            self.an_officer_can_be_spared()?;
        }
        let summary = format!("remove operator {operator_id}");
        Ok(Plan::new(summary, subject("operator", operator_id, "removed"), false)
            .drops("operator", operator_id)
            .drops("role", operator.role.name())
            .drops("certificate", &operator.certificate.0)
            .removing(&operator, rev)
            .then(Effect::RemoveOperator(operator_id.to_owned())))
    }

    fn an_officer_can_be_spared(&self) -> Result<(), Problem> {
        let operators = self.parts().registry.operators();
        let officers = operators.iter().filter(|operator| operator.role == Role::SecurityOfficer);
        match officers.count() > LEAST_SECURITY_OFFICERS {
            true => Ok(()),
            false => Err(refusal::conflict(
                "the last two security officers stay: without them nothing could ever be granted; add another first",
            )),
        }
    }

    pub(super) fn plan_anchor_add(
        &self,
        new: &NewAnchor,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        let anchor = anchor("certificate_pem", &new.certificate_pem, new.purpose.into(), now)?;
        let facts = Facts::of(&anchor.certificate_der);
        let facts = facts.map_err(|error| refusal::certificate_text("certificate_pem", error))?;
        let plan = Plan::new("trust an anchor", subject("anchor", &anchor.id(), "granted"), true)
            .adds("anchor subject", &facts.subject)
            .adds("trusted for", new.purpose.name())
            .adds("until", date(facts.not_after))
            .adds("SHA-256", &anchor.fingerprint.0)
            .about(
                "compare",
                "the SHA-256 with what the authority publishes, each operator by themselves",
            )
            .creating(&self.parts().trust, &anchor)
            .map_err(refusal::trust)?;
        Ok(plan.then(Effect::ReloadMaterial))
    }

    pub(super) async fn plan_anchor_remove(
        &self,
        purpose: AnchorPurpose,
        fingerprint: &Fingerprint,
    ) -> Result<Plan, Problem> {
        let id = anchor_id(purpose, fingerprint);
        let found = self.parts().trust.load::<Anchor>(&id).await.map_err(refusal::trust)?;
        let unknown = || Problem::with_detail(Code::NotFound, "there is no such anchor");
        let (anchor, rev) = found.ok_or_else(unknown)?;
        let shown = Facts::of(&anchor.certificate_der).map(|facts| facts.subject);
        Ok(Plan::new("stop trusting an anchor", subject("anchor", &id, "removed"), false)
            .drops("anchor subject", shown.unwrap_or_default())
            .drops("SHA-256", &anchor.fingerprint.0)
            .removing(&anchor, rev)
            .then(Effect::ReloadMaterial))
    }

    pub(super) async fn plan_test_mode(&self, on: bool) -> Result<Plan, Problem> {
        let (mode, rev) = self.mode().await?;
        if mode.danger_test_mode == on {
            let word = if on { "on" } else { "off" };
            return Err(refusal::conflict(format!("test mode is {word} already")));
        }
        let new = Mode { danger_test_mode: on, ..mode };
        let (summary, change, now, then) = match on {
            true => ("turn test mode ON", "granted", "off", "on"),
            false => ("turn test mode off", "removed", "on", "off"),
        };
        let mut plan =
            Plan::new(summary, subject("mode", MODE, change), on).turns("test mode", now, then);
        if on {
            plan =
                plan.about("DANGER", "published test cards may sign in; never for real documents");
        }
        let plan = plan.replacing(&self.parts().trust, &new, rev).map_err(refusal::trust)?;
        Ok(plan.then(Effect::ReloadMaterial))
    }

    pub(super) async fn plan_module_approve(&self, module: &Fingerprint) -> Result<Plan, Problem> {
        let (mode, rev) = self.mode().await?;
        if mode.module == *module {
            return Err(refusal::conflict("this module is approved already"));
        }
        let new = Mode { module: module.clone(), ..mode.clone() };
        let plan =
            Plan::new("approve another PKCS#11 module", subject("mode", MODE, "granted"), true)
                .turns("module SHA-256", &mode.module.0, &module.0)
                .about("when", "at the next start, when the file of this SHA-256 must be in place")
                .replacing(&self.parts().trust, &new, rev)
                .map_err(refusal::trust)?;
        Ok(plan)
    }

    async fn mode(&self) -> Result<(Mode, Rev), Problem> {
        let found = self.parts().trust.load::<Mode>(MODE).await.map_err(refusal::trust)?;
        found.ok_or_else(|| refusal::internal("the mode record", &"it is missing"))
    }
}

/// Reads an anchor: a self-signed CA certificate and nothing else.
///
/// # Errors
/// `malformed_request`, `not_permitted`.
pub(crate) fn anchor(
    field: &str,
    pem: &str,
    purpose: AnchorPurpose,
    now: UnixSeconds,
) -> Result<Anchor, Problem> {
    let list = x509::certificates_of_pem(pem).map_err(|e| refusal::certificate_text(field, e))?;
    let [certificate_der] = list.as_slice() else {
        return Err(refusal::malformed(format!("{field}: exactly one certificate")));
    };
    Facts::of(certificate_der).map_err(|error| refusal::certificate_text(field, error))?;
    let trusted = TrustAnchor::from_der(certificate_der);
    let trusted = trusted.map_err(|fault| refusal::not_permitted(format!("{field}: {fault}")))?;
    if now > trusted.certificate().not_after() {
        return Err(refusal::not_permitted(format!("{field}: this anchor has ended")));
    }
    Ok(Anchor {
        fingerprint: Fingerprint::of(certificate_der),
        purpose,
        certificate_der: certificate_der.clone(),
        added_at: now,
    })
}

fn anchor_id(purpose: AnchorPurpose, fingerprint: &Fingerprint) -> String {
    let fingerprint = fingerprint.clone();
    Anchor { fingerprint, purpose, certificate_der: Vec::new(), added_at: UnixSeconds(0) }.id()
}

fn subject(what: &'static str, id: &str, change: &'static str) -> Subject {
    Subject { what, id: id.to_owned(), change, holder_id: None }
}
