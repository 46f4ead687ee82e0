//! Doing what a plan says, in an order in which nothing is trusted too early and nothing is released too late.
//!
//! A change and the words that the audit log still owes it are stored together, so that a change is never left without its
//! record, not even over `kill -9`: what is owed is recorded at the next start.

use crate::admin::desk::AdminDesk;
use crate::admin::desk::Asking;
use crate::admin::plan::Effect;
use crate::admin::plan::Ends;
use crate::admin::plan::Plan;
use crate::admin::plan::Subject;
use crate::admin::plan::TokenStep;
use crate::admin::proposal::Proposal;
use crate::admin::refusal;
use crate::audit::AuditError;
use crate::audit::Entry;
use crate::audit::Event;
use crate::audit::Principal;
use crate::audit::record::TrustChange;
use crate::audit::record::session_hash;
use api::admin::answer::DoneView;
use api::problem::Problem;
use attest::records::TrustRecord;
use attest::registry::LiveCredential;
use attest::registry::Standing;
use attest::session::EndReason;
use attest::session::LiveSession;
use attest::session::Withdrawal;
use attest::store::Guard;
use attest::store::Outcome;
use attest::store::Txn;
use attest::store::Write;
use attest::trust::TrustError;
use serde::Deserialize;
use serde::Serialize;
use std::sync::Arc;

/// Sessions whose ends are recorded at one time.
const ENDS_AT_ONCE: usize = 500;

/// Who stands behind a change.
pub(super) struct Authority {
    proposal_id: Option<String>,
    proposed_by: String,
    approved_by: Vec<String>,
}

impl Authority {
    /// One operator is enough.
    pub fn alone(operator_id: &str) -> Self {
        Self { proposal_id: None, proposed_by: operator_id.to_owned(), approved_by: Vec::new() }
    }

    /// Nobody has approved it yet.
    pub fn proposed(proposal: &Proposal) -> Self {
        let proposal_id = Some(proposal.proposal_id.clone());
        Self { proposal_id, ..Self::alone(&proposal.proposed_by) }
    }

    /// Two operators.
    pub fn approved(proposal: &Proposal, by: &str) -> Self {
        Self { approved_by: vec![by.to_owned()], ..Self::proposed(proposal) }
    }

    /// The audit log's words for `plan`.
    pub fn trust_change(&self, plan: &Plan) -> TrustChange {
        let record = plan.record();
        TrustChange { record, ..self.change_of(&plan.subject, plan.detail()) }
    }

    /// The same for what goes with it.
    fn changes_with(&self, plan: &Plan) -> Vec<Event> {
        let change = |gone| Event::TrustChanged(self.change_of(gone, plan.detail()));
        plan.with.iter().map(change).collect()
    }

    fn change_of(&self, subject: &Subject, detail: String) -> TrustChange {
        TrustChange {
            what: subject.what.to_owned(),
            id: subject.id.clone(),
            change: subject.change.to_owned(),
            holder_id: subject.holder_id.clone(),
            proposal_id: self.proposal_id.clone(),
            proposed_by: self.proposed_by.clone(),
            approved_by: self.approved_by.clone(),
            record: None,
            detail,
        }
    }
}

/// What the audit log is still owed: stored with the change, removed when it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Owed {
    request_id: String,
    operator_id: String,
    event: Event,
    /// What goes with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    with: Vec<Event>,
}

impl TrustRecord for Owed {
    const PREFIX: &'static str = "b/";

    fn id(&self) -> String {
        self.request_id.clone()
    }
}

fn owed(asking: &Asking, event: Event, with: Vec<Event>) -> Owed {
    let (request_id, operator_id) =
        (asking.request_id.clone(), asking.operator.operator_id.clone());
    Owed { request_id, operator_id, event, with }
}

impl AdminDesk {
    /// Records what a crash left unrecorded, then carries out what it left undone. Called once at start, before anybody is
    /// served.
    ///
    /// # Errors
    /// [`TrustError`], [`AuditError`]: the daemon does not go on without it.
    pub async fn take_up_what_was_left(&self) -> Result<usize, OwedError> {
        let count = self.record_what_is_owed().await?;
        if let Err(error) = self.carry_out_dooms().await {
            tracing::warn!(%error, "pairs wait to be destroyed; tried again in a minute");
        }
        Ok(count)
    }

    /// Records what is durable and was not recorded then. While a change is under way, only as a part of it.
    pub(super) async fn record_what_is_owed(&self) -> Result<usize, OwedError> {
        let owed = self.parts().trust.load_all::<Owed>().await?;
        let count = owed.len();
        for owed in owed {
            let Owed { request_id, operator_id, event, with } = owed;
            for event in std::iter::once(event).chain(with) {
                let operator = Principal::Operator(operator_id.clone());
                self.parts().audit.append(Entry::new(&request_id, operator, event)).await?;
            }
            self.parts().trust.remove::<Owed>(&request_id).await?;
        }
        Ok(count)
    }

    /// Does what `plan` says; `Ok` when it is durable, recorded and in force.
    pub(super) async fn perform(
        &self,
        asking: &Asking,
        plan: Plan,
        authority: Authority,
    ) -> Result<DoneView, Problem> {
        let change = Event::TrustChanged(authority.trust_change(&plan));
        let with = authority.changes_with(&plan);
        let Plan { subject, grants, changes, guards, writes, token, effects, ends, .. } = plan;
        let (mut summary, destroys) = (plan.summary, plan.destroys);
        // Step 1: the token. What it refuses is not stored; what is not stored below cannot sign, since no record names it.
        self.token_step(token).await?;
        let mut ended = 0;
        if grants {
            // Step 2: durable and recorded, then in force.
            let owed = owed(asking, change, with);
            self.store(guards, writes, Some(&owed)).await?;
            self.record(owed, Vec::new()).await?;
            self.apply_all(effects).await?;
            if let Some(ends) = ends {
                ended = self.end_all(asking, &ends).await?;
            }
        } else {
            // Step 2: durable, out of memory, then recorded: at that place of the order it ends for what is under way.
            let owed = (!writes.is_empty()).then(|| owed(asking, change, with));
            self.store(guards, writes, owed.as_ref()).await?;
            let withdraws = effects.iter().flat_map(|effect| self.withdrawals(effect)).collect();
            let applied = self.apply_all(effects).await;
            let recorded = match owed {
                Some(owed) => self.record(owed, withdraws).await,
                None => Ok(()),
            };
            // Sessions end whether or not the record could be written: what is withdrawn is withdrawn.
            if let Some(ends) = ends {
                ended = self.end_all(asking, &ends).await?;
            }
            recorded?;
            applied?;
        }
        if destroys && self.carry_out_dooms().await.is_err() {
            summary.push_str(
                "; it is decided, but the token did not answer: tried again every minute",
            );
        }
        tracing::info!(
            request_id = asking.request_id,
            operator_id = asking.operator.operator_id,
            what = subject.what,
            id = subject.id,
            change = subject.change,
            sessions_ended = ended,
            "an operator's change is in force"
        );
        Ok(DoneView { done: summary, changes, sessions_ended: ended })
    }

    /// Stores `writes` together with what the audit log is owed, then pays it.
    pub(super) async fn store_and_record(
        &self,
        asking: &Asking,
        guards: Vec<Guard>,
        writes: Vec<Write>,
        event: Event,
    ) -> Result<(), Problem> {
        let owed = owed(asking, event, Vec::new());
        self.store(guards, writes, Some(&owed)).await?;
        self.record(owed, Vec::new()).await
    }

    async fn store(
        &self,
        guards: Vec<Guard>,
        mut writes: Vec<Write>,
        owed: Option<&Owed>,
    ) -> Result<(), Problem> {
        if let Some(owed) = owed {
            writes.push(self.parts().trust.sealed(owed).map_err(refusal::trust)?);
        }
        if writes.is_empty() {
            return Ok(());
        }
        let committed = self.parts().trust.store().commit(Txn { guards, writes }).await;
        match committed.map_err(|error| refusal::trust(TrustError::Store(error)))? {
            Outcome::Committed => Ok(()),
            Outcome::Conflict => Err(refusal::trust(TrustError::Conflict(String::new()))),
        }
    }

    async fn record(&self, owed: Owed, withdraws: Vec<Withdrawal>) -> Result<(), Problem> {
        let Owed { request_id, operator_id, event, with } = owed;
        let operator = Principal::Operator(operator_id);
        let entry = |event| Entry::new(&request_id, operator.clone(), event);
        let mut entries = vec![entry(event).withdrawing(withdraws.clone())];
        entries.extend(with.into_iter().map(entry));
        let recorded = self.parts().audit.append_all(entries).await;
        // Whatever became of the record: what is withdrawn is withdrawn.
        withdraws.iter().for_each(Withdrawal::apply);
        let recorded = recorded.and_then(|all| all.into_iter().collect::<Result<Vec<_>, _>>());
        recorded.map_err(refusal::audit)?;
        if let Err(error) = self.parts().trust.remove::<Owed>(&request_id).await {
            tracing::warn!(%error, "a record is written; the next start writes it once more");
        }
        Ok(())
    }

    async fn token_step(&self, step: TokenStep) -> Result<(), Problem> {
        match step {
            TokenStep::Nothing => Ok(()),
            TokenStep::Load(key) => self.parts().hsm.load(&key).await.map_err(refusal::token),
            TokenStep::Certify(key, leaf_der) => {
                let installed = self.parts().hsm.install_certificate(&key, &leaf_der).await;
                installed.map_err(refusal::token)?;
                self.keep_key_set().await;
                Ok(())
            }
        }
    }

    /// The next start expects the keys that the token has now.
    pub(super) async fn keep_key_set(&self) {
        if let Err(error) = self.keeper.keep_key_set().await {
            tracing::error!(%error, "the next start will report changed keys in the token");
        }
    }

    /// What stops at a record's place in the audit order.
    fn withdrawals(&self, effect: &Effect) -> Vec<Withdrawal> {
        let Effect::StopCredential(record) = effect else {
            return Vec::new();
        };
        let live = self.parts().registry.credential(&record.credential_id);
        live.map(Withdrawal::Credential).into_iter().collect()
    }

    async fn apply_all(&self, effects: Vec<Effect>) -> Result<(), Problem> {
        for effect in effects {
            self.apply(effect).await?;
        }
        Ok(())
    }

    async fn apply(&self, effect: Effect) -> Result<(), Problem> {
        let registry = &self.parts().registry;
        match effect {
            Effect::PutHolder(holder) => registry.put_holder(holder),
            Effect::PutCard(link) => registry.put_card(link),
            Effect::RemoveCard(card) => registry.remove_card(&card),
            Effect::RemoveJpki(card) => registry.remove_jpki(&card),
            Effect::RemoveDevice(device) => registry.remove_authenticator(&device),
            Effect::PutCredential(record, standing) => {
                registry.put_credential(LiveCredential::new(record)).judge(standing);
            }
            Effect::RenewCredential(record) => {
                registry.renew_credential(record, Some(Standing::Good));
            }
            Effect::UpdateCredential(record) => registry.renew_credential(record, None),
            Effect::StopCredential(record) => {
                let stopped = registry.put_credential(LiveCredential::new(record));
                self.parts().hsm.unload(&stopped.key);
                for pair in &stopped.record.life.earlier {
                    self.parts().hsm.unload(&stopped.record.pair(&pair.cka_id, &pair.spki_der));
                }
            }
            Effect::PutSystem(system) => registry.put_system(system),
            Effect::RemoveSystem(system_id) => registry.remove_system(&system_id),
            Effect::PutOperator(operator) => registry.put_operator(operator),
            Effect::RemoveOperator(operator_id) => registry.remove_operator(&operator_id),
            Effect::ForgetSheets(letter_id) => {
                self.sheets.forget(&letter_id);
                self.parts().metrics.letter("withdrawn");
            }
            Effect::ReloadMaterial => self.keeper.reload_material().await.map_err(|error| {
                refusal::internal(
                    "the certificates to judge by; they are taken up at the next start",
                    &error,
                )
            })?,
        }
        Ok(())
    }

    /// The sessions that end, as of now: memory is changed already, so none can come into being that should be among them.
    fn ending(&self, ends: &Ends) -> Vec<Arc<LiveSession>> {
        self.parts().sessions.all().into_iter().filter(|session| (ends.which)(session)).collect()
    }

    /// Ends every session picked, and every sign-in that is approved but not active yet.
    async fn end_all(&self, asking: &Asking, ends: &Ends) -> Result<u64, Problem> {
        let denied = self.parts().sessions.deny_approved(ends.which.as_ref()).await;
        if let Some(holder_id) = &ends.pages_of {
            self.keeper.close_own_pages(holder_id);
        }
        let ended = self.end_sessions(asking, self.ending(ends), ends.reason).await?;
        denied.map_err(refusal::session)?;
        Ok(ended)
    }

    /// Ends sessions: durable first, then in the audit log's order, then out of memory.
    async fn end_sessions(
        &self,
        asking: &Asking,
        sessions: Vec<Arc<LiveSession>>,
        reason: EndReason,
    ) -> Result<u64, Problem> {
        let mut failed = None;
        for some in sessions.chunks(ENDS_AT_ONCE) {
            for session in some {
                if let Err(error) = self.parts().sessions.end(&session.session_id, reason).await {
                    failed = Some(refusal::session(error));
                }
            }
            let entries =
                some.iter().map(|session| session_ended(asking, session, reason)).collect();
            let recorded = self.parts().audit.append_all(entries).await;
            for session in some {
                session.end(reason);
                self.parts().sessions.forget(session);
            }
            if let Err(error) =
                recorded.and_then(|all| all.into_iter().collect::<Result<Vec<_>, _>>())
            {
                failed = Some(refusal::audit(error));
            }
        }
        match failed {
            None => Ok(u64::try_from(sessions.len()).unwrap_or(u64::MAX)),
            Some(problem) => Err(problem),
        }
    }
}

/// Why the audit log is still owed something.
#[derive(Debug, thiserror::Error)]
pub enum OwedError {
    /// The record of it.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The log.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

fn session_ended(asking: &Asking, session: &Arc<LiveSession>, reason: EndReason) -> Entry {
    let event = Event::SessionEnded {
        session: session_hash(&session.session_id),
        holder_id: session.holder_id.clone(),
        system_id: session.system_id.clone(),
        reason,
        used: session.used(),
    };
    let principal = Principal::Operator(asking.operator.operator_id.clone());
    Entry::new(&asking.request_id, principal, event)
        .withdrawing(vec![Withdrawal::Session(session.clone(), reason)])
}
