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

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: u64 = 1_800_000_000;

    fn proposal() -> Proposal {
        Proposal {
            proposal_id: "p-1".into(),
            command: AdminCommand::TestModeOn {},
            summary: "turn test mode ON".into(),
            changes: Vec::new(),
            proposed_by: "a".into(),
            proposed_at: UnixSeconds(MADE),
            expires_at: UnixSeconds(MADE).plus(OPEN_FOR),
            decision: None,
        }
    }

    fn state(proposal: &Proposal, now: u64, is_void: bool) -> String {
        proposal.view(UnixSeconds(now), &[Role::SecurityOfficer], is_void).state
    }

    #[test]
    fn proposal_waits_seven_days_to_the_second() {
        let (proposal, end) = (proposal(), MADE + 7 * 86_400);
        assert!(proposal.is_open(UnixSeconds(end - 1)));
        assert!(!proposal.is_open(UnixSeconds(end)));
        assert_eq!(state(&proposal, end - 1, false), "open");
        assert_eq!(state(&proposal, end, false), "expired");
    }

    #[test]
    fn decision_is_final_whatever_happens_later() {
        let decision =
            |approved| Some(Decision { approved, by: "b".into(), at: UnixSeconds(MADE + 1) });
        for (approved, word) in [(true, "approved"), (false, "rejected")] {
            let decided = Proposal { decision: decision(approved), ..proposal() };
            assert!(!decided.is_open(UnixSeconds(MADE + 2)));
            assert_eq!(state(&decided, MADE + 30 * 86_400, true), word);
        }
    }

    #[test]
    fn proposal_of_somebody_who_may_not_propose_it_any_more_is_void() {
        assert_eq!(state(&proposal(), MADE, true), "void");
    }

    #[test]
    fn expired_proposal_is_still_shown_for_a_month() {
        let forgotten = proposal().expires().unwrap();
        assert_eq!(forgotten, UnixSeconds(MADE + 37 * 86_400));
    }
}
