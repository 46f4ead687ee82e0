//! Where the appliance stands, and what answers in each state.
//!
//! | state | signing, sign-in | admin | metrics, health |
//! |---|---|---|---|
//! | `Unprovisioned` | `not_operational` | `not_operational`, with state and next step | alive, not ready |
//! | `Locked` | `not_operational` | `not_operational`, with state and next step | alive, not ready |
//! | `Operational` | everything | everything | alive, ready |
//! | `Failed` | `not_operational` | `not_operational`, with state and next step | alive, not ready; the reason is in the log |
//!
//! Operators are sealed records: before the HSM has opened them, nobody can be told more than that.

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No ceremony yet: no house keys, no operators.
    Unprovisioned,
    /// Provisioned; the HSM is not open yet.
    Locked {
        /// What it waits for.
        waits_for: String,
    },
    /// Signs.
    Operational,
    /// Stopped for good; an operator has to look.
    Failed {
        /// Why.
        reason: String,
    },
}

impl State {
    /// The word in status, metrics and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unprovisioned => "unprovisioned",
            Self::Locked { .. } => "locked",
            Self::Operational => "operational",
            Self::Failed { .. } => "failed",
        }
    }

    /// What the operator types next.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Unprovisioned => "inkan init",
            Self::Locked { .. } | Self::Failed { .. } => "inkan doctor",
            Self::Operational => "inkan status",
        }
    }
}
