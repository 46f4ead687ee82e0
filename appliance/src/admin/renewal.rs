//! Renewal: another pair for a key that keeps its name. It is made while the old one signs, certified outside, and takes over
//! in one stroke when two operators install its certificate; what is under way is finished with the pair it began with.

use crate::admin::desk::AdminDesk;
use crate::admin::desk::Asking;
use crate::admin::keys::certificate_terms;
use crate::admin::keys::subject;
use crate::admin::plan::Effect;
use crate::admin::plan::Plan;
use crate::admin::plan::TokenStep;
use crate::admin::refusal;
use api::admin::answer::KeyRequestView;
use api::admin::command::NewCertificate;
use api::admin::command::NewRenewal;
use api::problem::Problem;
use attest::clock::UnixSeconds;
use attest::key_life::NextPair;
use attest::records::Credential;
use attest::records::CredentialStatus;
use attest::records::Fingerprint;
use attest::records::TrustRecord;
use attest::store::Guard;
use attest::store::Rev;

impl AdminDesk {
    /// Makes the next pair and its request. Of the same kind: another kind would be a change for signing systems.
    pub(super) async fn renew_key(
        &self,
        asking: &Asking,
        new: &NewRenewal,
    ) -> Result<KeyRequestView, Problem> {
        let now = self.now()?;
        let id = &new.credential_id;
        let (stored, rev) = self.stored_credential(id).await?;
        if stored.status != CredentialStatus::Active {
            return Err(refusal::conflict(format!("{id} does not sign: make another key instead")));
        }
        if let Some(next) = &stored.life.next {
            let public_key = Fingerprint::of(&next.spki_der).0;
            return Err(refusal::conflict(format!(
                "a renewal of {id} is under way: inkan key request {id} writes its request again, \
                 inkan key destroy {id} {public_key} gives it up"
            )));
        }
        let subject = new.subject.clone().unwrap_or_else(|| stored.subject.clone());
        let (key_type, guard) = (stored.key_type, Guard::Rev(stored.key(), rev));
        let named = subject.clone();
        let record = move |cka_id, spki_der| {
            let mut renewing = stored;
            renewing.life.next =
                Some(NextPair { cka_id, spki_der, subject: named, created_at: now });
            renewing
        };
        self.make_pair(asking, key_type, &subject, guard, "renewing", record).await
    }

    /// The next pair takes over. The pair before signs no more, and its certificate stays for what it signed.
    pub(super) fn plan_switch(
        &self,
        new: &NewCertificate,
        stored: Credential,
        next: NextPair,
        rev: Rev,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        let (judged, facts) = self.judged_chain(&new.chain_pem, &next.spki_der, now)?;
        let (before, until) = (stored.subject.clone(), stored.not_after);
        let old_key = Fingerprint::of(&stored.spki_der).0;
        let active = self.certified(stored.switched(next, judged.chain.clone(), now), &judged);
        let summary =
            format!("renew key {}: the new pair takes over at once", active.credential_id);
        let plan = Plan::new(summary, subject(&active, "granted"), true)
            .about("key", &active.credential_id)
            .adds("certificate subject", &active.subject)
            .turns("compared with before", before, &active.subject)
            .turns("certificate until", date(until), date(active.not_after))
            .turns("public key SHA-256", old_key, Fingerprint::of(&active.spki_der).0);
        let plan = certificate_terms(plan, &active, &judged, &facts);
        let plan = self.beside_the_cards(plan, &active)?;
        let plan = plan.replacing(&self.parts().trust, &active, rev).map_err(refusal::trust)?;
        let leaf = judged.chain.into_iter().next().unwrap_or_default();
        Ok(plan
            .after(TokenStep::Certify(active.signing_pair(), leaf))
            .then(Effect::RenewCredential(active)))
    }
}

fn date(at: UnixSeconds) -> String {
    crate::x509::date(at.0)
}
