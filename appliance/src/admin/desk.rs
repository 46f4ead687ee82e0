//! The desk: who asks, whether they may, and whether a second operator has to read it first.

use crate::admin::perform::Authority;
use crate::admin::plan::Plan;
use crate::admin::proposal::Decision;
use crate::admin::proposal::MAX_OPEN;
use crate::admin::proposal::OPEN_FOR;
use crate::admin::proposal::Proposal;
use crate::admin::refusal;
use crate::admin::sheets::Sheets;
use crate::admin::table::Takes;
use crate::admin::table::rule;
use crate::audit::Entry;
use crate::audit::Event;
use crate::audit::Principal;
use crate::audit::record::TrustChange;
use crate::config::Sessions as Ceilings;
use crate::keeper::Keeper;
use crate::keeper::Parts;
use api::admin::Admin;
use api::admin::AdminAnswer;
use api::admin::AdminCommand;
use api::admin::Outcome;
use api::admin::answer::DoneView;
use api::admin::answer::ProposalView;
use api::admin::answer::ProposedView;
use api::admin::check::check;
use api::operations::Caller;
use api::problem::Code;
use api::problem::Problem;
use async_trait::async_trait;
use attest::clock::UnixSeconds;
use attest::records::Operator;
use attest::records::TrustRecord;
use attest::sign_in::random_id;
use attest::store::Guard;
use attest::store::Rev;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// Operators' commands, answered over the keeper.
pub struct AdminDesk {
    pub(super) keeper: Arc<Keeper>,
    /// What no registration of a signing system goes beyond.
    pub(super) ceilings: Ceilings,
    /// Sheets of notification cards that wait for their operator.
    pub(super) sheets: Sheets,
    /// One change at a time: a plan is made and performed before the next one looks.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// One reader of the audit log at a time.
    pub(super) reading_log: tokio::sync::Mutex<()>,
    /// When it was made: the start of the daemon, nearly.
    pub(super) started: Instant,
}

/// Who asks for what.
pub(super) struct Asking {
    pub request_id: String,
    pub operator: Arc<Operator>,
}

#[async_trait]
impl Admin for AdminDesk {
    async fn admin(&self, caller: &Caller, command: AdminCommand) -> Result<AdminAnswer, Problem> {
        // Step 1: who asks. Nothing is told to whom nobody knows.
        let Some(operator) = self.parts().registry.operator_of(&caller.certificate) else {
            self.note_denial(caller, Principal::Unknown, &command, Code::ClientUnknown, "").await;
            return Err(Code::ClientUnknown.into());
        };
        // Step 2: whether the role may, before anything about the command is looked at.
        let who = rule(&command).asks;
        if !who.contains(&operator.role) {
            let who: Vec<_> = who.iter().map(|role| role.name()).collect();
            let (role, name, who) = (operator.role.name(), command.name(), who.join(" or "));
            let detail = format!("{role} may not do {name}; this takes {who}");
            let principal = Principal::Operator(operator.operator_id.clone());
            self.note_denial(caller, principal, &command, Code::NotPermitted, &detail).await;
            return Err(refusal::not_permitted(detail));
        }
        // Step 3: every field, again: the front may be somebody else's by now.
        check(&command)?;
        let asking = Asking { request_id: caller.request_id.clone(), operator };
        self.run(&asking, command).await
    }
}

impl AdminDesk {
    /// A desk before this keeper; no registration goes beyond `ceilings`.
    pub fn new(keeper: Arc<Keeper>, ceilings: Ceilings) -> Self {
        Self {
            keeper,
            ceilings,
            sheets: Sheets::default(),
            changing: tokio::sync::Mutex::default(),
            reading_log: tokio::sync::Mutex::default(),
            started: Instant::now(),
        }
    }

    pub(super) fn parts(&self) -> &Parts {
        self.keeper.parts()
    }

    async fn run(&self, asking: &Asking, command: AdminCommand) -> Result<AdminAnswer, Problem> {
        use AdminCommand as C;
        match &command {
            C::ProposalApprove { proposal_id } => {
                let _one_at_a_time = self.changing.lock().await;
                self.is_still_operator(asking)?;
                done(&self.approve(asking, proposal_id).await?)
            }
            C::ProposalReject { proposal_id } => {
                let _one_at_a_time = self.changing.lock().await;
                self.is_still_operator(asking)?;
                done(&self.reject(asking, proposal_id).await?)
            }
            C::KeyCreate(new) => {
                let _one_at_a_time = self.changing.lock().await;
                self.is_still_operator(asking)?;
                answer(Outcome::Created, &self.create_key(asking, new).await?)
            }
            C::KeyRenew(new) => {
                let _one_at_a_time = self.changing.lock().await;
                self.is_still_operator(asking)?;
                answer(Outcome::Created, &self.renew_key(asking, new).await?)
            }
            C::LetterSheet { letter_id } => {
                let _one_at_a_time = self.changing.lock().await;
                self.is_still_operator(asking)?;
                answer(Outcome::Done, &self.hand_sheet_out(asking, letter_id).await?)
            }
            C::AuditEvidence { seq } => {
                let _one_at_a_time = self.changing.lock().await;
                self.is_still_operator(asking)?;
                self.audit_evidence(asking, &command, *seq).await
            }
            command if is_change(command) => {
                let _one_at_a_time = self.changing.lock().await;
                self.is_still_operator(asking)?;
                self.change(asking, command).await
            }
            command => self.read(asking, command).await,
        }
    }

    /// An operator removed while the command waited for its turn does nothing any more.
    fn is_still_operator(&self, asking: &Asking) -> Result<(), Problem> {
        let now = self.parts().registry.operator_of(&asking.operator.certificate);
        match now.is_some_and(|operator| *operator == *asking.operator) {
            true => Ok(()),
            false => Err(Code::ClientUnknown.into()),
        }
    }

    /// Does what takes one operator; files what takes two.
    async fn change(
        &self,
        asking: &Asking,
        command: &AdminCommand,
    ) -> Result<AdminAnswer, Problem> {
        let plan = self.plan(command).await?;
        let takes_two = match rule(command).takes {
            Takes::One => false,
            Takes::Two => true,
            Takes::TwoToWiden => plan.grants,
        };
        if takes_two {
            return answer(Outcome::Proposed, &self.propose(asking, command, plan).await?);
        }
        let authority = Authority::alone(&asking.operator.operator_id);
        done(&self.perform(asking, plan, authority).await?)
    }

    /// Everything that `command` would change now.
    async fn plan(&self, command: &AdminCommand) -> Result<Plan, Problem> {
        use AdminCommand as C;
        let now = self.now()?;
        match command {
            C::HolderAdd(new) => self.plan_holder_add(new, now),
            C::HolderDisable { holder_id, reason } => {
                self.plan_holder_disable(holder_id, reason, now).await
            }
            C::HolderRetire { holder_id, reason } => {
                self.plan_holder_retire(holder_id, reason, now).await
            }
            C::HolderEnable { holder_id } => self.plan_holder_enable(holder_id).await,
            C::HolderUpdate { holder_id, change } => {
                self.plan_holder_update(holder_id, change).await
            }
            C::CardLink(new) => self.plan_card_link(new, now).await,
            C::CardUnlink { card, reason } => self.plan_card_unlink(card, reason, now).await,
            C::JpkiUnlink { card, reason } => self.plan_jpki_unlink(card, reason, now).await,
            C::DeviceRemove { device, reason } => {
                self.plan_device_remove(device, reason, now).await
            }
            C::LetterIssue(new) => self.plan_letter_issue(&new.holder_id).await,
            C::LetterWithdraw { letter_id } => self.plan_letter_withdraw(letter_id).await,
            C::KeyInstall(new) => self.plan_key_install(new, now).await,
            C::KeyRevoke { credential_id, reason } => {
                self.plan_key_revoke(credential_id, reason, now).await
            }
            C::KeyDestroy { credential_id, public_key } => {
                self.plan_key_destroy(credential_id, public_key, now).await
            }
            C::KeyRelease { credential_id } => self.plan_key_release(credential_id, now).await,
            C::SystemAdd(new) => self.plan_system_add(new, now),
            C::SystemUpdate { system_id, change } => {
                self.plan_system_update(system_id, change, now).await
            }
            C::SystemRemove { system_id } => self.plan_system_remove(system_id).await,
            C::OperatorAdd(new) => self.plan_operator_add(new, now),
            C::OperatorRemove { operator_id } => self.plan_operator_remove(operator_id).await,
            C::AnchorAdd(new) => self.plan_anchor_add(new, now),
            C::AnchorRemove { purpose, fingerprint } => {
                self.plan_anchor_remove((*purpose).into(), fingerprint).await
            }
            C::TestModeOn {} => self.plan_test_mode(true).await,
            C::TestModeOff {} => self.plan_test_mode(false).await,
            C::ModuleApprove(new) => self.plan_module_approve(&new.module).await,
            C::AuditEvidence { seq } => self.plan_audit_evidence(*seq).await,
            C::SessionEnd { session_id } => self.plan_session_end(session_id),
            C::SessionEndAll { holder_id } => self.plan_session_end_all(holder_id),
            other => Err(refusal::internal(other.name(), &"this command changes nothing")),
        }
    }

    pub(super) async fn propose(
        &self,
        asking: &Asking,
        command: &AdminCommand,
        plan: Plan,
    ) -> Result<ProposedView, Problem> {
        let now = self.now()?;
        let proposals = self.proposals().await?;
        if proposals.iter().filter(|proposal| proposal.is_open(now)).count() >= MAX_OPEN {
            let detail =
                format!("{MAX_OPEN} proposals are open; approve or reject some of them first");
            return Err(refusal::conflict(detail));
        }
        let proposal = Proposal {
            proposal_id: proposal_id()?,
            command: command.clone(),
            summary: plan.summary.clone(),
            changes: plan.changes.clone(),
            proposed_by: asking.operator.operator_id.clone(),
            proposed_at: now,
            expires_at: now.plus(OPEN_FOR),
            decision: None,
        };
        let authority = Authority::proposed(&proposal);
        let event = Event::TrustProposed(authority.trust_change(&plan));
        let guards = vec![Guard::Absent(proposal.key())];
        let writes = vec![self.parts().trust.sealed(&proposal).map_err(refusal::trust)?];
        self.store_and_record(asking, guards, writes, event).await?;
        let view = self.proposal_view(&proposal, now);
        Ok(ProposedView { proposal_id: proposal.proposal_id, proposal: view })
    }

    async fn approve(&self, asking: &Asking, proposal_id: &str) -> Result<DoneView, Problem> {
        let (mut proposal, rev, now) = self.open_proposal(proposal_id).await?;
        let by = &asking.operator.operator_id;
        // Step 1: another operator, of a role that may.
        if proposal.proposed_by == *by {
            return Err(refusal::not_permitted("nobody approves their own proposal"));
        }
        let rule = rule(&proposal.command);
        if !rule.seconds.contains(&asking.operator.role) {
            let detail = format!("{} may not approve this", asking.operator.role.name());
            return Err(refusal::not_permitted(detail));
        }
        // Step 2: the proposer is still somebody who may propose it.
        if self.is_void(&proposal) {
            let detail = format!("{} may not propose this any more", proposal.proposed_by);
            return Err(refusal::conflict(detail));
        }
        // Step 3: what would happen now is what both were shown.
        check(&proposal.command)?;
        let mut plan = self.plan(&proposal.command).await?;
        if plan.changes != proposal.changes {
            return Err(refusal::conflict(
                "it would change something else than what was proposed; reject it and propose it again",
            ));
        }
        // A notification card is made now: nobody has its secrets before both have agreed.
        let sheets = match &proposal.command {
            AdminCommand::LetterIssue(new) => {
                let by = [proposal.proposed_by.as_str(), by];
                Some(self.make_letter(&new.holder_id, by, &mut plan).await?)
            }
            _ => None,
        };
        // Step 4: it happens together with its decision, or not at all.
        proposal.decision = Some(Decision { approved: true, by: by.clone(), at: now });
        plan = plan.replacing(&self.parts().trust, &proposal, rev).map_err(refusal::trust)?;
        let done = self.perform(asking, plan, Authority::approved(&proposal, by)).await?;
        if let Some(sheets) = sheets {
            self.sheets.keep(sheets, now);
            self.parts().metrics.letter("issued");
        }
        Ok(done)
    }

    async fn reject(&self, asking: &Asking, proposal_id: &str) -> Result<DoneView, Problem> {
        let (mut proposal, rev, now) = self.open_proposal(proposal_id).await?;
        let (operator, rule) = (&asking.operator, rule(&proposal.command));
        let is_own = proposal.proposed_by == operator.operator_id;
        if !is_own && !rule.seconds.contains(&operator.role) {
            let detail = format!("{} may not reject this", operator.role.name());
            return Err(refusal::not_permitted(detail));
        }
        let by = operator.operator_id.clone();
        proposal.decision = Some(Decision { approved: false, by: by.clone(), at: now });
        let event = Event::TrustChanged(TrustChange {
            what: "proposal".to_owned(),
            id: proposal.proposal_id.clone(),
            change: "rejected".to_owned(),
            holder_id: None,
            proposal_id: Some(proposal.proposal_id.clone()),
            proposed_by: proposal.proposed_by.clone(),
            approved_by: Vec::new(),
            record: None,
            detail: format!("{} rejected by {by}", proposal.summary),
        });
        let guards = vec![Guard::Rev(proposal.key(), rev)];
        let writes = vec![self.parts().trust.sealed(&proposal).map_err(refusal::trust)?];
        self.store_and_record(asking, guards, writes, event).await?;
        let done = format!("rejected: {}; nothing has changed", proposal.summary);
        Ok(DoneView { done, changes: Vec::new(), sessions_ended: 0 })
    }

    async fn open_proposal(&self, id: &str) -> Result<(Proposal, Rev, UnixSeconds), Problem> {
        let now = self.now()?;
        let found = self.parts().trust.load::<Proposal>(id).await.map_err(refusal::trust)?;
        let (proposal, rev) = found.ok_or(Code::ProposalUnknown)?;
        match &proposal.decision {
            Some(decision) => {
                let word = if decision.approved { "approved" } else { "rejected" };
                Err(refusal::conflict(format!("{} has {word} it already", decision.by)))
            }
            None if now >= proposal.expires_at => {
                Err(refusal::conflict("it has expired; propose it again"))
            }
            None => Ok((proposal, rev, now)),
        }
    }

    /// Whether its proposer may not propose it any more.
    fn is_void(&self, proposal: &Proposal) -> bool {
        let operators = self.parts().registry.operators();
        let proposer = operators.iter().find(|other| other.operator_id == proposal.proposed_by);
        !proposer.is_some_and(|operator| rule(&proposal.command).asks.contains(&operator.role))
    }

    /// Every proposal that is kept.
    pub(super) async fn proposals(&self) -> Result<Vec<Proposal>, Problem> {
        self.parts().trust.load_all::<Proposal>().await.map_err(refusal::trust)
    }

    /// A proposal for operators.
    pub(super) fn proposal_view(&self, proposal: &Proposal, now: UnixSeconds) -> ProposalView {
        proposal.view(now, rule(&proposal.command).seconds, self.is_void(proposal))
    }

    pub(super) fn now(&self) -> Result<UnixSeconds, Problem> {
        self.parts().clock.now().map_err(refusal::clock)
    }

    /// Logs and records a refusal; of a flood only the number is recorded.
    async fn note_denial(
        &self,
        caller: &Caller,
        principal: Principal,
        command: &AdminCommand,
        code: Code,
        detail: &str,
    ) {
        let crowd = match &principal {
            Principal::Operator(operator_id) => format!("operator {operator_id}"),
            _ => "no operator".to_owned(),
        };
        let (request_id, command) = (&caller.request_id, command.name());
        let event = Event::Denial {
            operation: format!("admin.{command}"),
            code: code.name().to_owned(),
            credential_id: None,
            detail: format!("{detail} certificate {}", caller.certificate.0).trim().to_owned(),
            suppressed: 0,
        };
        let entry = Entry::new(request_id, principal, event);
        match self.parts().audit.append_denial(&crowd, entry).await {
            Ok(Some(_)) => {
                tracing::warn!(request_id, command, code = code.name(), detail, "refused")
            }
            Ok(None) => self.parts().metrics.refusals_not_recorded.inc(),
            Err(error) => {
                tracing::error!(request_id, command, %error, "refused, and that could not be recorded");
            }
        }
    }
}

/// Whether it has a plan; the rest reads, or is done in its own way.
fn is_change(command: &AdminCommand) -> bool {
    use AdminCommand as C;
    match command {
        C::Status {} | C::Doctor {} | C::HolderList {} | C::CardList { .. } | C::KeyList { .. } => {
            false
        }
        C::SystemList {} | C::OperatorList {} | C::AnchorList {} | C::SessionList { .. } => false,
        C::JpkiList { .. } => false,
        C::DeviceList { .. } | C::LetterList {} | C::LetterSheet { .. } => false,
        C::ProposalList {} | C::ProposalShow { .. } | C::AuditHead {} | C::AuditSearch(_) => false,
        C::AuditExport { .. } | C::KeyCreate(_) | C::KeyRenew(_) | C::KeyRequest { .. } => false,
        C::ProposalApprove { .. } | C::ProposalReject { .. } => false,
        C::HolderAdd(_) | C::HolderDisable { .. } | C::HolderEnable { .. } => true,
        C::HolderRetire { .. } | C::HolderUpdate { .. } => true,
        C::HolderShow { .. } => false,
        C::CardLink(_) | C::CardUnlink { .. } | C::DeviceRemove { .. } => true,
        C::JpkiUnlink { .. } => true,
        C::LetterIssue(_) | C::LetterWithdraw { .. } => true,
        C::KeyInstall(_) | C::KeyRevoke { .. } | C::KeyRelease { .. } => true,
        C::KeyDestroy { .. } => true,
        C::SystemAdd(_) | C::SystemUpdate { .. } | C::SystemRemove { .. } => true,
        C::OperatorAdd(_) | C::OperatorRemove { .. } => true,
        C::AnchorAdd(_) | C::AnchorRemove { .. } => true,
        C::TestModeOn {} | C::TestModeOff {} | C::ModuleApprove(_) => true,
        C::SessionEnd { .. } | C::SessionEndAll { .. } => true,
        // Answers where it lies open or was agreed to; its plan is the proposal.
        C::AuditEvidence { .. } => false,
    }
}

/// `p-` and 16 hexadecimal digits: read aloud between two operators, never guessed.
fn proposal_id() -> Result<String, Problem> {
    let random = random_id().map_err(|error| refusal::internal("random octets", &error))?;
    let digits: String = attest::records::Fingerprint::of(random.as_bytes()).0;
    Ok(format!("p-{}", digits.get(..16).unwrap_or(&digits)))
}

fn done(view: &DoneView) -> Result<AdminAnswer, Problem> {
    answer(Outcome::Done, view)
}

pub(super) fn answer(outcome: Outcome, body: &impl Serialize) -> Result<AdminAnswer, Problem> {
    match serde_json::to_value(body) {
        Ok(body) => Ok(AdminAnswer { outcome, body }),
        Err(error) => Err(refusal::internal("an answer", &error)),
    }
}
