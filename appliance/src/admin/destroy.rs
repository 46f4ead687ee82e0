//! The end of a pair. Automation only takes keys out of service; destroying one takes two operators and a grace time.
//!
//! ```text
//! record (the credential without the pair) + doom, in one transaction -> audit record -> objects in the token -> audit record
//! ```
//! The doom is what a crash leaves behind: it is carried out at the next start, or when the token answers again.

use crate::admin::desk::AdminDesk;
use crate::admin::keys::subject;
use crate::admin::perform::OwedError;
use crate::admin::plan::Effect;
use crate::admin::plan::Plan;
use crate::admin::refusal;
use crate::audit::AuditError;
use crate::audit::Entry;
use crate::audit::Event;
use crate::audit::Principal;
use crate::audit::record::TrustChange;
use crate::x509::rfc3339;
use api::problem::Code;
use api::problem::Problem;
use attest::algorithm::KeyType;
use attest::clock::UnixSeconds;
use attest::key_life::NotSpent;
use attest::permit::HolderKey;
use attest::records::Credential;
use attest::records::Fingerprint;
use attest::records::TrustRecord;
use attest::trust::TrustError;
use hsm::HsmError;
use serde::Deserialize;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked for what is left to do.
const EVERY: Duration = Duration::from_secs(60);
/// How long a superseded pair stays in service: many times the deadline of a signature that is under way with it.
const IN_SERVICE_FOR: Duration = Duration::from_secs(600);

/// A pair whose end is decided and recorded: its objects in the token go next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Doom {
    credential_id: String,
    holder_id: String,
    key_type: KeyType,
    #[serde(with = "hex::serde")]
    cka_id: Vec<u8>,
    #[serde(with = "hex::serde")]
    spki_der: Vec<u8>,
}

impl TrustRecord for Doom {
    const PREFIX: &'static str = "z/";

    fn id(&self) -> String {
        hex::encode(&self.cka_id)
    }
}

/// Why a pair is still there.
#[derive(Debug, thiserror::Error)]
pub enum DoomError {
    /// The token did not do it.
    #[error(transparent)]
    Hsm(#[from] HsmError),
    /// The record of it.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The log.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The decision is not in the log yet.
    #[error("what was decided is not recorded: {0}")]
    Owed(#[from] OwedError),
}

impl AdminDesk {
    pub(super) async fn plan_key_destroy(
        &self,
        credential_id: &str,
        public_key: &Fingerprint,
        now: UnixSeconds,
    ) -> Result<Plan, Problem> {
        let (stored, rev) = self.stored_credential(credential_id).await?;
        let grace = self.grace();
        let spent = stored.spent(public_key, grace, now).map_err(|reason| match reason {
            NotSpent::Unknown => Problem::with_detail(Code::NotFound, reason.to_string()),
            NotSpent::InUse | NotSpent::Destroyed => refusal::conflict(reason.to_string()),
        })?;
        if now < spent.from {
            return Err(refusal::conflict(format!(
                "this pair may be destroyed from {} on, and not before: keys.destroy_after_seconds",
                rfc3339(spent.from.0)
            )));
        }
        let doom = Doom {
            credential_id: stored.credential_id.clone(),
            holder_id: stored.holder_id.clone(),
            key_type: stored.key_type,
            cka_id: spent.key.cka_id.clone(),
            spki_der: spent.key.spki_der.clone(),
        };
        let trust = &self.parts().trust;
        let summary = format!("destroy a pair of key {credential_id} for good");
        let mut plan = Plan::new(summary, subject(&stored, "removed"), false)
            .about("holder", &stored.holder_id)
            .about("certificate subject", &stored.subject)
            .about("because it is", spent.because)
            .drops("public key SHA-256", &public_key.0)
            .about("WARNING", "there is no way back, and no backup")
            .replacing(trust, &spent.after, rev)
            .map_err(refusal::trust)?;
        plan.writes.push(trust.sealed(&doom).map_err(refusal::trust)?);
        plan.destroys = true;
        Ok(plan.then(Effect::UpdateCredential(spent.after)))
    }

    /// How long a pair is kept after its use.
    pub(super) fn grace(&self) -> Duration {
        Duration::from_secs(self.parts().settings.destroy_after_seconds)
    }

    /// Carries out what is decided and recorded. A pair that cannot be destroyed now does not keep the others.
    pub(super) async fn carry_out_dooms(&self) -> Result<(), DoomError> {
        let dooms = self.parts().trust.load_all::<Doom>().await?;
        if dooms.is_empty() {
            return Ok(());
        }
        // A decision whose record could not be written is durable, too: the record first.
        self.record_what_is_owed().await?;
        let mut failed = Ok(());
        for doom in dooms {
            if let Err(error) = self.carry_out(&doom).await {
                let credential_id = doom.credential_id;
                tracing::error!(credential_id, %error, "ALARM: a pair that was to be destroyed is still there");
                failed = Err(error);
            }
        }
        failed
    }

    async fn carry_out(&self, doom: &Doom) -> Result<(), DoomError> {
        let parts = self.parts();
        let key = HolderKey {
            cka_id: doom.cka_id.clone(),
            spki_der: doom.spki_der.clone(),
            key_type: doom.key_type,
        };
        // What is gone already is destroyed once more, for nothing.
        parts.hsm.destroy(&key).await?;
        self.keep_key_set().await;
        let event = Event::TrustChanged(TrustChange {
            what: "credential".to_owned(),
            id: doom.credential_id.clone(),
            change: "destroyed".to_owned(),
            holder_id: Some(doom.holder_id.clone()),
            proposal_id: None,
            proposed_by: "the appliance, after two operators".to_owned(),
            approved_by: Vec::new(),
            record: None,
            detail: format!(
                "the token holds the pair no more; public key SHA-256 {}",
                Fingerprint::of(&doom.spki_der).0
            ),
        });
        let entry = Entry::new("key-watch", Principal::Appliance, event);
        parts.audit.append(entry).await?;
        parts.trust.remove::<Doom>(&doom.id()).await?;
        Ok(())
    }

    /// How many pairs wait for the token.
    pub(super) async fn dooms(&self) -> Result<usize, TrustError> {
        Ok(self.parts().trust.load_all::<Doom>().await?.len())
    }

    /// Runs until the task is dropped: carries out what the token refused before, and takes superseded pairs out of service.
    pub async fn watch_keys(self: Arc<Self>) {
        let mut look = tokio::time::interval(EVERY);
        loop {
            look.tick().await;
            // A change under way has its own record first.
            let _one_at_a_time = self.changing.lock().await;
            self.retire_superseded();
            if let Err(error) = self.carry_out_dooms().await {
                tracing::warn!(%error, "pairs wait to be destroyed; tried again in a minute");
            }
        }
    }

    fn retire_superseded(&self) {
        let Ok(now) = self.parts().clock.now() else {
            return;
        };
        for live in self.parts().registry.credentials() {
            let Credential { life, .. } = &live.record;
            for pair in
                life.earlier.iter().filter(|pair| now > pair.superseded_at.plus(IN_SERVICE_FOR))
            {
                self.parts().hsm.unload(&live.record.pair(&pair.cka_id, &pair.spki_der));
            }
        }
    }
}
