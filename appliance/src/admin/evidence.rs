//! Evidence that lies sealed in the audit log: opened for an auditor once a security officer has agreed, for a day, each time
//! with a record of its own.
//!
//! ```text
//! carol (auditor): audit evidence 71 -> proposal      alice: approve      carol: audit evidence 71 -> the evidence
//! ```
//! What lies open in the log is answered at once. Nothing that was sealed is in a proposal, the log or a log line.

use crate::admin::desk::AdminDesk;
use crate::admin::desk::Asking;
use crate::admin::desk::answer;
use crate::admin::plan::Plan;
use crate::admin::plan::Subject;
use crate::admin::proposal::Proposal;
use crate::admin::refusal;
use crate::audit::Event;
use api::admin::AdminAnswer;
use api::admin::AdminCommand;
use api::admin::Outcome;
use api::admin::evidence::EvidenceView;
use api::problem::Code;
use api::problem::Problem;
use attest::clock::UnixSeconds;
use attest::records::Method;
use std::time::Duration;

/// How long an approval is good for: an auditor's working day.
const OPEN_FOR: Duration = Duration::from_secs(24 * 3600);

/// The evidence of a record, as it lies in the log.
struct Recorded {
    holder_id: String,
    method: Method,
    evidence_json: String,
}

impl AdminDesk {
    /// The evidence of record `seq`, if the asking operator may have it now; else the proposal to let them.
    pub(super) async fn audit_evidence(
        &self,
        asking: &Asking,
        command: &AdminCommand,
        seq: u64,
    ) -> Result<AdminAnswer, Problem> {
        let Recorded { holder_id, method, evidence_json } = self.evidence_of(seq).await?;
        let opened = self.keeper.open_evidence(&evidence_json);
        let opened = opened.map_err(|error| refusal::internal("sealed evidence", &error))?;
        let was_sealed = opened.is_some();
        if was_sealed && !self.is_agreed(asking, command).await? {
            let plan = self.plan_audit_evidence(seq).await?;
            return answer(Outcome::Proposed, &self.propose(asking, command, plan).await?);
        }
        // That it was handed out is durable before it leaves.
        self.note_read(asking, "evidence", format!("seq={seq} sealed={was_sealed}")).await?;
        let evidence_json = opened.unwrap_or(evidence_json);
        let method = method.name().to_owned();
        answer(Outcome::Done, &EvidenceView { seq, holder_id, method, was_sealed, evidence_json })
    }

    /// What both operators read.
    pub(super) async fn plan_audit_evidence(&self, seq: u64) -> Result<Plan, Problem> {
        let Recorded { holder_id, method, .. } = self.evidence_of(seq).await?;
        let subject = Subject {
            what: "evidence",
            id: seq.to_string(),
            change: "granted",
            holder_id: Some(holder_id.clone()),
        };
        let summary = format!("open the evidence of audit record {seq} to whoever proposes it");
        Ok(Plan::new(summary, subject, true)
            .about("holder", holder_id)
            .about("proved by", method.name())
            .adds("can be read", "the certificate, and what it says of its holder")
            .adds("for", "a day from the approval, each time with a record"))
    }

    /// Whether another operator agreed to exactly this, for exactly this operator, less than a day ago.
    async fn is_agreed(&self, asking: &Asking, command: &AdminCommand) -> Result<bool, Problem> {
        let (now, me) = (self.now()?, &asking.operator.operator_id);
        let proposals = self.proposals().await?;
        let mut mine = proposals
            .iter()
            .filter(|proposal| proposal.proposed_by == *me && proposal.command == *command);
        if let Some(waiting) = mine.clone().find(|proposal| proposal.is_open(now)) {
            let detail = format!("{} waits for a second operator", waiting.proposal_id);
            return Err(refusal::conflict(detail));
        }
        Ok(mine.any(|proposal| is_good(proposal, now)))
    }

    async fn evidence_of(&self, seq: u64) -> Result<Recorded, Problem> {
        let read = self.reading(move |archive| archive.records(seq).next().transpose()).await?;
        let unknown = || Problem::with_detail(Code::NotFound, "no audit record has this number");
        let record = read.filter(|record| record.seq == seq).ok_or_else(unknown)?;
        let record = record.parse().map_err(|error| refusal::internal("the audit log", &error))?;
        match record.event {
            Event::SignInApproved(found) => Ok(Recorded {
                holder_id: found.holder_id,
                method: found.method,
                evidence_json: found.evidence_json,
            }),
            Event::EnrolmentStarted(found) | Event::EnrolmentConfirmed(found) => Ok(Recorded {
                holder_id: found.holder_id,
                method: found.method,
                evidence_json: found.evidence_json,
            }),
            other => Err(refusal::conflict(format!(
                "record {seq} is of the kind {} and holds no evidence; it is in sign_in_approved, \
                 enrolment_started and enrolment_confirmed",
                other.kind()
            ))),
        }
    }
}

fn is_good(proposal: &Proposal, now: UnixSeconds) -> bool {
    let decision = proposal.decision.as_ref();
    decision.is_some_and(|decision| decision.approved && now < decision.at.plus(OPEN_FOR))
}
