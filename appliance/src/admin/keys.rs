//! Second keys: made in the token, certified outside, installed by two, revoked by one. Renewal: [`renewal`](super::renewal).

use crate::admin::cards::roles;
use crate::admin::certificate::new_id;
use crate::admin::desk::AdminDesk;
use crate::admin::desk::Asking;
use crate::admin::plan::Effect;
use crate::admin::plan::Plan;
use crate::admin::plan::Subject;
use crate::admin::plan::TokenStep;
use crate::admin::refusal;
use crate::audit::Event;
use crate::audit::record::TrustChange;
use crate::x509;
use crate::x509::Facts;
use crate::x509::date;
use api::admin::answer::KeyRequestView;
use api::admin::command::NewCertificate;
use api::admin::command::NewKey;
use api::problem::Code;
use api::problem::Problem;
use attest::algorithm::KeyType;
use attest::clock::UnixSeconds;
use attest::judge::SecondCertificate;
use attest::key_life::Ended;
use attest::key_life::KeyLife;
use attest::permit::HolderKey;
use attest::records::Credential;
use attest::records::CredentialStatus;
use attest::records::Fingerprint;
use attest::records::record_key;
use attest::registry::LiveCredential;
use attest::registry::Standing;
use attest::session::EndReason;
use attest::store::Guard;
use attest::store::Rev;

/// Digits of a card's fingerprint that tell a holder's cards apart.
const SHORT_CARD: usize = 16;

impl AdminDesk {
    /// Makes a pair and its request. Nothing is granted: a key without certificate signs nothing but this request.
    pub(super) async fn create_key(
        &self,
        asking: &Asking,
        new: &NewKey,
    ) -> Result<KeyRequestView, Problem> {
        let now = self.now()?;
        let holder = self.holder(&new.holder_id)?;
        let credentials = self.parts().registry.credentials();
        let there = credentials.iter().map(|live| live.record.credential_id.as_str());
        new_id("key", &new.credential_id, there)?;
        let subject = match &new.subject {
            Some(subject) => subject.clone(),
            None => format!("CN={}", rfc4514_value(&holder.display_name)),
        };
        let (id, holder_id, key_type) =
            (new.credential_id.clone(), new.holder_id.clone(), new.key_type);
        let named = subject.clone();
        let record = move |cka_id, spki_der| Credential {
            credential_id: id,
            holder_id,
            key_type,
            cka_id,
            spki_der,
            chain: Vec::new(),
            status: CredentialStatus::Generated,
            not_before: UnixSeconds(0),
            not_after: UnixSeconds(0),
            hc_roles: Vec::new(),
            subject: named,
            created_at: now,
            life: KeyLife::default(),
        };
        let guard = Guard::Absent(record_key::<Credential>(&new.credential_id));
        self.make_pair(asking, key_type, &subject, guard, "created", record).await
    }

    /// Makes a pair and keeps the record that names it; a pair that none names goes again.
    pub(super) async fn make_pair(
        &self,
        asking: &Asking,
        key_type: KeyType,
        subject: &str,
        guard: Guard,
        change: &str,
        record: impl FnOnce(Vec<u8>, Vec<u8>) -> Credential + Send,
    ) -> Result<KeyRequestView, Problem> {
        let hsm = &self.parts().hsm;
        let key: HolderKey = hsm.generate(key_type).await.map_err(refusal::token)?.into();
        let credential = record(key.cka_id.clone(), key.spki_der.clone());
        let credential_id = credential.credential_id.clone();
        let made = async {
            let csr = hsm.certification_request(&key, subject).await.map_err(refusal::token)?;
            let spki = Fingerprint::of(&key.spki_der);
            let event = Event::TrustChanged(TrustChange {
                what: "credential".to_owned(),
                id: credential.credential_id.clone(),
                change: change.to_owned(),
                holder_id: Some(credential.holder_id.clone()),
                proposal_id: None,
                proposed_by: asking.operator.operator_id.clone(),
                approved_by: Vec::new(),
                record: None,
                detail: format!("{} key pair; public key SHA-256 {}", key_type.name(), spki.0),
            });
            let writes = vec![self.parts().trust.sealed(&credential).map_err(refusal::trust)?];
            self.store_and_record(asking, vec![guard], writes, event).await?;
            let view = request_view(&credential.credential_id, &csr, spki);
            self.parts().registry.renew_credential(credential, None);
            Ok(view)
        };
        let made = made.await;
        if made.is_err() && !self.may_be_named(&credential_id, &key).await {
            // Nothing names it: it goes again. If that fails, too, the key set's alarm shows it at the next start.
            if let Err(error) = hsm.destroy(&key).await {
                tracing::error!(%error, "a key that no record names is left in the token");
            }
        }
        self.keep_key_set().await;
        made
    }

    /// Whether a durable record names the pair: the store may have done what the audit log could not record. Nobody knows
    /// where the store does not answer.
    async fn may_be_named(&self, credential_id: &str, key: &HolderKey) -> bool {
        match self.parts().trust.load::<Credential>(credential_id).await {
            Ok(Some((record, _))) => {
                let next = record.life.next.as_ref().map(|next| &next.cka_id);
                record.cka_id == key.cka_id || next == Some(&key.cka_id)
            }
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// The request again, while the pair it is for has no certificate.
    pub(super) async fn key_request(&self, credential_id: &str) -> Result<KeyRequestView, Problem> {
        let live =
            self.parts().registry.credential(credential_id).ok_or(Code::CredentialUnknown)?;
        let record = &live.record;
        let (key, subject) = match (&record.life.next, record.status) {
            (Some(next), _) => (record.pair(&next.cka_id, &next.spki_der), &next.subject),
            (None, CredentialStatus::Generated) => (live.key.clone(), &record.subject),
            (None, _) => {
                let detail =
                    format!("{credential_id} is certified: inkan key renew {credential_id}");
                return Err(refusal::conflict(detail));
            }
        };
        let csr = self.parts().hsm.certification_request(&key, subject).await;
        let csr = csr.map_err(refusal::token)?;
        Ok(request_view(credential_id, &csr, Fingerprint::of(&key.spki_der)))
    }

    /// The certificate must be for exactly the key that was made, and pass everything that a signature will ask of it.
    pub(super) async fn plan_key_install(
        &self,
        new: &NewCertificate,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        let (stored, rev) = self.stored_credential(&new.credential_id).await?;
        match (&stored.life.next, stored.status) {
            (Some(next), CredentialStatus::Active) => {
                let next = next.clone();
                return self.plan_switch(new, stored, next, rev, now);
            }
            (_, CredentialStatus::Generated) => {}
            (_, status) => {
                let (id, status) = (&stored.credential_id, status_name(status));
                return Err(refusal::conflict(format!(
                    "{id} is {status} and waits for no certificate; inkan key renew {id} makes it another pair"
                )));
            }
        }
        let (judged, facts) = self.judged_chain(&new.chain_pem, &stored.spki_der, now)?;
        let active = Credential { chain: judged.chain.clone(), ..stored };
        let active = self.certified(active, &judged);
        let summary = format!("install the certificate of key {}", active.credential_id);
        let plan = Plan::new(summary, subject(&active, "granted"), true)
            .about("key", &active.credential_id)
            .adds("certificate subject", &active.subject)
            .adds("certificate until", date(active.not_after.0))
            .about("public key SHA-256", Fingerprint::of(&active.spki_der).0);
        let plan = certificate_terms(plan, &active, &judged, &facts);
        let plan = self.beside_the_cards(plan, &active)?;
        let plan = plan.replacing(&self.parts().trust, &active, rev).map_err(refusal::trust)?;
        let leaf = judged.chain.into_iter().next().unwrap_or_default();
        let certify = TokenStep::Certify(active.signing_pair(), leaf);
        Ok(plan.after(certify).then(Effect::PutCredential(active, Standing::Good)))
    }

    /// A chain as it was sent, judged for exactly this key, and what its first certificate says.
    pub(super) fn judged_chain(
        &self,
        chain_pem: &str,
        spki_der: &[u8],
        now: UnixSeconds,
    ) -> Result<(SecondCertificate, Facts), Problem> {
        const FIELD: &str = "chain_pem";
        let malformed = |error| refusal::certificate_text(FIELD, error);
        let chain = x509::certificates_of_pem(chain_pem).map_err(malformed)?;
        let judged = self.parts().judge.judge_second_certificate(&chain, spki_der, now);
        let judged = judged.map_err(|refused| refusal::certificate(&refused))?;
        let leaf = judged.chain.first().map(Vec::as_slice).unwrap_or_default();
        let facts = Facts::of(leaf).map_err(malformed)?;
        Ok((judged, facts))
    }

    /// `credential` with what its certificate says.
    pub(super) fn certified(
        &self,
        credential: Credential,
        judged: &SecondCertificate,
    ) -> Credential {
        Credential {
            status: CredentialStatus::Active,
            not_before: judged.not_before,
            not_after: judged.not_after,
            hc_roles: judged.role_texts(),
            subject: x509::printable(&judged.subject),
            ..credential
        }
    }

    /// Whose it is, and the cards that its names are compared with.
    pub(super) fn beside_the_cards(
        &self,
        plan: Plan,
        credential: &Credential,
    ) -> Result<Plan, Problem> {
        let holder = self.holder(&credential.holder_id)?;
        let mut plan = plan.about("holder", &holder.holder_id).about("name", &holder.display_name);
        for link in self.parts().registry.cards_of(&holder.holder_id) {
            let card: String = link.card.0.chars().take(SHORT_CARD).collect();
            plan = plan.comparing(&format!("card {card}"), &link.subject, &credential.subject);
        }
        Ok(plan)
    }

    pub(super) async fn plan_key_revoke(
        &self,
        credential_id: &str,
        reason: &Option<String>,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        let (stored, rev) = self.stored_credential(credential_id).await?;
        if stored.status.is_final() {
            let status = status_name(stored.status);
            return Err(refusal::conflict(format!("key {credential_id} is {status}")));
        }
        let mut revoked = Credential { status: CredentialStatus::Revoked, ..stored.clone() };
        revoked.life.revoked = Some(Ended { at: now, reason: reason.clone() });
        let plan = Plan::new(
            format!("revoke key {credential_id} for good"),
            subject(&revoked, "removed"),
            false,
        )
        .about("holder", &stored.holder_id)
        .about("certificate subject", &stored.subject)
        .turns("status", status_name(stored.status), status_name(revoked.status))
        .because(reason)
        .replacing(&self.parts().trust, &revoked, rev)
        .map_err(refusal::trust)?;
        let live = LiveCredential::new(revoked.clone());
        Ok(plan
            .then(Effect::StopCredential(revoked))
            .ending(EndReason::SecondCertificateRevoked, move |session| {
                live.has_one_of(&session.second_certificates)
            }))
    }

    /// A quarantined key comes back after the token's copy of it and its certificate passed once more.
    pub(super) async fn plan_key_release(
        &self,
        credential_id: &str,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        let (stored, rev) = self.stored_credential(credential_id).await?;
        if stored.status != CredentialStatus::Quarantined {
            return Err(refusal::conflict(format!("key {credential_id} is not in quarantine")));
        }
        let judged =
            self.parts().judge.judge_second_certificate(&stored.chain, &stored.spki_der, now);
        judged.map_err(|refused| refusal::certificate(&refused))?;
        let released = Credential { status: CredentialStatus::Active, ..stored.clone() };
        let plan = Plan::new(
            format!("end the quarantine of key {credential_id}"),
            subject(&released, "granted"),
            true,
        )
        .about("holder", &stored.holder_id)
        .about("certificate subject", &stored.subject)
        .about("because", "a signature of it did not verify; know why before you approve")
        .turns("status", status_name(stored.status), status_name(released.status))
        .replacing(&self.parts().trust, &released, rev)
        .map_err(refusal::trust)?;
        let load = TokenStep::Load(released.signing_pair());
        Ok(plan.after(load).then(Effect::PutCredential(released, Standing::Good)))
    }

    pub(super) async fn stored_credential(
        &self,
        credential_id: &str,
    ) -> Result<(Credential, Rev), Problem> {
        let found =
            self.parts().trust.load::<Credential>(credential_id).await.map_err(refusal::trust)?;
        found.ok_or_else(|| Code::CredentialUnknown.into())
    }
}

/// The word for a status in answers.
pub(super) fn status_name(status: CredentialStatus) -> &'static str {
    match status {
        CredentialStatus::Generated => "generated",
        CredentialStatus::Active => "active",
        CredentialStatus::Quarantined => "quarantined",
        CredentialStatus::Revoked => "revoked",
        CredentialStatus::Destroyed => "destroyed",
    }
}

pub(super) fn subject(credential: &Credential, change: &'static str) -> Subject {
    Subject {
        what: "credential",
        id: credential.credential_id.clone(),
        change,
        holder_id: Some(credential.holder_id.clone()),
    }
}

/// What both operators read of a certificate besides its subject and end.
pub(super) fn certificate_terms(
    plan: Plan,
    credential: &Credential,
    judged: &SecondCertificate,
    facts: &Facts,
) -> Plan {
    let plan = plan
        .adds("certificate roles", roles(&judged.roles))
        .adds("certificate issuer", &facts.issuer)
        .adds("certificate serial number", &facts.serial)
        .adds("certificate from", date(credential.not_before.0));
    match judged.is_test_card {
        true => plan.about("WARNING", "issued under the policy of published test cards"),
        false => plan,
    }
}

fn request_view(credential_id: &str, csr_der: &[u8], spki: Fingerprint) -> KeyRequestView {
    KeyRequestView {
        credential_id: credential_id.to_owned(),
        csr_pem: x509::pem("CERTIFICATE REQUEST", csr_der),
        spki_sha256: spki.0,
    }
}

/// An attribute value with everything escaped that means something in a distinguished name.
///
/// # Source
/// RFC 4514 §2.4.
fn rfc4514_value(text: &str) -> String {
    let mut value = String::new();
    for (index, char) in text.chars().enumerate() {
        let leads = index == 0 && (char == '#' || char == ' ');
        if leads || "\"+,;<>\\=".contains(char) {
            value.push('\\');
        }
        value.push(char);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_with_special_characters_stays_one_attribute() {
        assert_eq!(rfc4514_value("山田 花子"), "山田 花子");
        assert_eq!(rfc4514_value("A, O=Evil"), "A\\, O\\=Evil");
        assert_eq!(rfc4514_value("#1+2"), "\\#1\\+2");
    }
}
