//! A grant that waits for a second operator: a sealed record with exactly what was asked for and what it would change.

use api::admin::AdminCommand;
use api::admin::answer::Change;
use api::admin::answer::ProposalView;
use api::admin::command::RoleName;
use attest::clock::UnixSeconds;
use attest::records::Role;
use attest::records::TrustRecord;
use serde::Deserialize;
use serde::Serialize;
use std::time::Duration;

use crate::x509::rfc3339;

/// How long a proposal waits: a week has every shift in it.
pub(super) const OPEN_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a decided one is still shown.
const SHOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// Proposals that may be open at one time: more than an appliance's operators read in a week.
pub(super) const MAX_OPEN: usize = 200;

/// The record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proposal {
    /// Its name: random, so that nobody approves another one by a slip of a digit.
    pub proposal_id: String,
    /// As it was sent.
    pub command: AdminCommand,
    /// One line.
    pub summary: String,
    /// What the proposer was shown. An approval must show the same.
    pub changes: Vec<Change>,
    /// Who.
    pub proposed_by: String,
    /// When.
    pub proposed_at: UnixSeconds,
    /// First second at which it cannot be approved any more.
    pub expires_at: UnixSeconds,
    /// What became of it.
    pub decision: Option<Decision>,
}

/// What became of a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    /// Whether it happened.
    pub approved: bool,
    /// Who decided.
    pub by: String,
    /// When.
    pub at: UnixSeconds,
}

impl TrustRecord for Proposal {
    const PREFIX: &'static str = "p/";

    fn id(&self) -> String {
        self.proposal_id.clone()
    }

    fn expires(&self) -> Option<UnixSeconds> {
        Some(self.expires_at.plus(SHOWN_FOR))
    }
}

impl Proposal {
    /// Whether it waits.
    pub fn is_open(&self, now: UnixSeconds) -> bool {
        self.decision.is_none() && now < self.expires_at
    }

    /// For operators; `is_void` when its proposer may not propose it any more.
    pub fn view(&self, now: UnixSeconds, seconds: &[Role], is_void: bool) -> ProposalView {
        let state = match &self.decision {
            Some(Decision { approved: true, .. }) => "approved",
            Some(Decision { approved: false, .. }) => "rejected",
            None if now >= self.expires_at => "expired",
            None if is_void => "void",
            None => "open",
        };
        ProposalView {
            proposal_id: self.proposal_id.clone(),
            command: serde_json::to_value(&self.command).unwrap_or_default(),
            summary: self.summary.clone(),
            changes: self.changes.clone(),
            state: state.to_owned(),
            proposed_by: self.proposed_by.clone(),
            proposed_at: rfc3339(self.proposed_at.0),
            expires_at: rfc3339(self.expires_at.0),
            approvable_by: seconds.iter().map(|role| RoleName::from(*role)).collect(),
            decided_by: self.decision.as_ref().map(|decision| decision.by.clone()),
            decided_at: self.decision.as_ref().map(|decision| rfc3339(decision.at.0)),
        }
    }
}
