//! Second keys: made in the token, certified outside, installed by two, revoked by one.

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
use attest::clock::UnixSeconds;
use attest::permit::HolderKey;
use attest::records::Credential;
use attest::records::CredentialStatus;
use attest::records::Fingerprint;
use attest::records::TrustRecord;
use attest::registry::LiveCredential;
use attest::registry::Standing;
use attest::session::EndReason;
use attest::store::Guard;
use attest::store::Rev;
use std::sync::Arc;

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
        let key: HolderKey =
            self.parts().hsm.generate(new.key_type).await.map_err(refusal::token)?.into();
        let made = self.keep_new_key(asking, new, &key, &subject, now).await;
        if made.is_err() {
            // Nothing names it: it goes again. If that fails, too, the key set's alarm shows it at the next start.
            if let Err(error) = self.parts().hsm.destroy(&key).await {
                tracing::error!(%error, "a key that no record names is left in the token");
            }
        }
        self.keep_key_set().await;
        made
    }

    async fn keep_new_key(
        &self,
        asking: &Asking,
        new: &NewKey,
        key: &HolderKey,
        subject: &str,
        now: UnixSeconds,
    ) -> Result<KeyRequestView, Problem> {
        let csr =
            self.parts().hsm.certification_request(key, subject).await.map_err(refusal::token)?;
        let credential = Credential {
            credential_id: new.credential_id.clone(),
            holder_id: new.holder_id.clone(),
            key_type: new.key_type,
            cka_id: key.cka_id.clone(),
            spki_der: key.spki_der.clone(),
            chain: Vec::new(),
            status: CredentialStatus::Generated,
            not_before: UnixSeconds(0),
            not_after: UnixSeconds(0),
            hc_roles: Vec::new(),
            subject: subject.to_owned(),
            created_at: now,
        };
        let spki = Fingerprint::of(&key.spki_der);
        let event = Event::TrustChanged(TrustChange {
            what: "credential".to_owned(),
            id: new.credential_id.clone(),
            change: "created".to_owned(),
            holder_id: Some(new.holder_id.clone()),
            proposal_id: None,
            proposed_by: asking.operator.operator_id.clone(),
            approved_by: Vec::new(),
            record: None,
            detail: format!("{} key pair; public key SHA-256 {}", new.key_type.name(), spki.0),
        });
        let guards = vec![Guard::Absent(credential.key())];
        let writes = vec![self.parts().trust.sealed(&credential).map_err(refusal::trust)?];
        self.store_and_record(asking, guards, writes, event, Vec::new()).await?;
        self.parts().registry.put_credential(LiveCredential::new(credential));
        Ok(request_view(&new.credential_id, &csr, spki))
    }

    /// The request again, while the key has no certificate.
    pub(super) async fn key_request(&self, credential_id: &str) -> Result<KeyRequestView, Problem> {
        let live =
            self.parts().registry.credential(credential_id).ok_or(Code::CredentialUnknown)?;
        if live.record.status != CredentialStatus::Generated {
            return Err(refusal::conflict(format!(
                "{credential_id} is certified; make another key"
            )));
        }
        let csr = self.parts().hsm.certification_request(&live.key, &live.record.subject).await;
        let csr = csr.map_err(refusal::token)?;
        Ok(request_view(credential_id, &csr, Fingerprint::of(&live.record.spki_der)))
    }

    /// The certificate must be for exactly the key that was made, and pass everything that a signature will ask of it.
    pub(super) async fn plan_key_install(
        &self,
        new: &NewCertificate,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        const FIELD: &str = "chain_pem";
        let (stored, rev) = self.stored_credential(&new.credential_id).await?;
        if stored.status != CredentialStatus::Generated {
            let detail =
                format!("{} has a certificate already; make another key", stored.credential_id);
            return Err(refusal::conflict(detail));
        }
        let holder = self.holder(&stored.holder_id)?;
        let chain = x509::certificates_of_pem(&new.chain_pem);
        let chain = chain.map_err(|error| refusal::certificate_text(FIELD, error))?;
        let judged = self.parts().judge.judge_second_certificate(&chain, &stored.spki_der, now);
        let judged = judged.map_err(|refused| refusal::certificate(&refused))?;
        let leaf = judged.chain.first().cloned().unwrap_or_default();
        let facts = Facts::of(&leaf).map_err(|error| refusal::certificate_text(FIELD, error))?;
        let hc_roles = judged.role_texts();
        let active = Credential {
            chain: judged.chain,
            status: CredentialStatus::Active,
            not_before: judged.not_before,
            not_after: judged.not_after,
            hc_roles,
            subject: x509::printable(&judged.subject),
            ..stored
        };
        let summary = format!("install the certificate of key {}", active.credential_id);
        let mut plan = Plan::new(summary, subject(&active, "granted"), true)
            .about("key", &active.credential_id)
            .about("holder", &holder.holder_id)
            .about("name", &holder.display_name)
            .adds("certificate subject", &active.subject)
            .adds("certificate roles", roles(&judged.roles))
            .adds("certificate issuer", &facts.issuer)
            .adds("certificate serial number", &facts.serial)
            .adds("certificate from", date(active.not_before.0))
            .adds("certificate until", date(active.not_after.0))
            .about("public key SHA-256", Fingerprint::of(&active.spki_der).0);
        for link in
            self.parts().registry.cards().iter().filter(|link| link.holder_id == holder.holder_id)
        {
            plan = plan.about("card subject", &link.subject);
        }
        if judged.is_test_card {
            plan = plan.about("WARNING", "issued under the policy of published test cards");
        }
        let plan = plan.replacing(&self.parts().trust, &active, rev).map_err(refusal::trust)?;
        let certify = TokenStep::Certify(holder_key(&active), leaf);
        Ok(plan.after(certify).then(Effect::PutCredential(active, Standing::Good)))
    }

    pub(super) async fn plan_key_revoke(&self, credential_id: &str) -> Result<Plan, Problem> {
        let (stored, rev) = self.stored_credential(credential_id).await?;
        let revoked = Credential { status: CredentialStatus::Revoked, ..stored.clone() };
        let plan = Plan::new(
            format!("revoke key {credential_id} for good"),
            subject(&revoked, "removed"),
            false,
        )
        .about("holder", &stored.holder_id)
        .about("certificate subject", &stored.subject)
        .turns("status", status_name(stored.status), status_name(revoked.status))
        .replacing(&self.parts().trust, &revoked, rev)
        .map_err(refusal::trust)?;
        let certificate = LiveCredential::new(revoked.clone()).certificate;
        Ok(plan
            .then(Effect::StopCredential(revoked))
            .ending(EndReason::SecondCertificateRevoked, move |session| {
                session.second_certificates.contains(&certificate)
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
        let load = TokenStep::Load(holder_key(&released));
        Ok(plan.after(load).then(Effect::PutCredential(released, Standing::Good)))
    }

    async fn stored_credential(&self, credential_id: &str) -> Result<(Credential, Rev), Problem> {
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
    }
}

fn subject(credential: &Credential, change: &'static str) -> Subject {
    Subject {
        what: "credential",
        id: credential.credential_id.clone(),
        change,
        holder_id: Some(credential.holder_id.clone()),
    }
}

fn holder_key(credential: &Credential) -> Arc<HolderKey> {
    Arc::new(HolderKey {
        cka_id: credential.cka_id.clone(),
        spki_der: credential.spki_der.clone(),
        key_type: credential.key_type,
    })
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
