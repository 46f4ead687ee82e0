//! Card links: which card's certificate belongs to whom. Two people compare names here, so that the gate never has to.

use crate::admin::desk::AdminDesk;
use crate::admin::plan::Effect;
use crate::admin::plan::Plan;
use crate::admin::plan::Subject;
use crate::admin::refusal;
use crate::x509;
use crate::x509::Facts;
use crate::x509::date;
use api::admin::command::NewCard;
use api::problem::Code;
use api::problem::Problem;
use attest::clock::UnixSeconds;
use attest::hc_role::HcRole;
use attest::records::CardLink;
use attest::records::CredentialStatus;
use attest::records::Fingerprint;
use attest::session::EndReason;

impl AdminDesk {
    /// A card that would not be let in today is not linked today.
    pub(super) async fn plan_card_link(
        &self,
        new: &NewCard,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        const FIELD: &str = "certificate_pem";
        let (holder, _) = self.holder_who_stays(&new.holder_id).await?;
        let der = x509::certificate_of_pem(&new.certificate_pem);
        let der = der.map_err(|error| refusal::certificate_text(FIELD, error))?;
        let facts = Facts::of(&der).map_err(|error| refusal::certificate_text(FIELD, error))?;
        let card = self.parts().judge.judge_leaf(&der, now);
        let card = card.map_err(|refused| refusal::certificate(&refused))?;
        if let Some(link) = self.parts().registry.card(&card.fingerprint) {
            let detail = format!("this card is linked to holder {} already", link.holder_id);
            return Err(refusal::conflict(detail));
        }
        let link = CardLink {
            card: card.fingerprint,
            holder_id: holder.holder_id.clone(),
            subject: x509::printable(&card.subject),
            not_after: Some(card.not_after),
            linked_at: now,
        };
        let summary = format!("link a card to holder {}", holder.holder_id);
        let mut plan = Plan::new(summary, subject(&link, "granted"), true)
            .about("holder", &holder.holder_id)
            .about("name", &holder.display_name)
            .adds("card subject", &link.subject)
            .adds("card roles", roles(&card.roles))
            .adds("card issuer", &facts.issuer)
            .adds("card serial number", &facts.serial)
            .adds("card until", date(facts.not_after))
            .adds("card", &link.card.0);
        let credentials = self.parts().registry.credentials_of(&holder.holder_id);
        let active =
            credentials.iter().filter(|live| live.record.status == CredentialStatus::Active);
        for record in active.map(|live| &live.record) {
            let key = format!("the certificate of {}", record.credential_id);
            plan = plan.comparing(&key, &link.subject, &record.subject);
        }
        if card.is_test_card {
            plan = plan.about("WARNING", "a published test card: anybody has its key");
        }
        let plan = plan.creating(&self.parts().trust, &link).map_err(refusal::trust)?;
        Ok(plan.then(Effect::PutCard(link)))
    }

    pub(super) async fn plan_card_unlink(
        &self,
        card: &Fingerprint,
        reason: &Option<String>,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        let found = self.parts().trust.load::<CardLink>(&card.0).await.map_err(refusal::trust)?;
        let unknown = || Problem::with_detail(Code::NotFound, "no such card is linked");
        let (link, rev) = found.ok_or_else(unknown)?;
        let summary = format!("remove a card of holder {}", link.holder_id);
        let of = link.card.clone();
        let plan = Plan::new(summary, subject(&link, "removed"), false)
            .about("holder", &link.holder_id)
            .drops("card subject", &link.subject)
            .drops("card", &link.card.0)
            .removing(&link, rev)
            .then(Effect::RemoveCard(link.card))
            .ending(EndReason::EvidenceRevoked, move |session| session.factor == of);
        self.noting(plan, reason, now).await
    }
}

/// Roles as the certificate writes them.
pub(super) fn roles(roles: &[HcRole]) -> String {
    let texts: Vec<String> = roles.iter().map(|role| x509::printable(&role.text)).collect();
    match texts.is_empty() {
        true => "none".to_owned(),
        false => texts.join(", "),
    }
}

fn subject(link: &CardLink, change: &'static str) -> Subject {
    Subject {
        what: "card",
        id: link.card.0.clone(),
        change,
        holder_id: Some(link.holder_id.clone()),
    }
}
