//! What was taken from a person, when and why: kept with them, because the next officer asks.

use crate::clock::UnixSeconds;
use serde::Deserialize;
use serde::Serialize;

/// The part of a holder's record about what they may no longer do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Withdrawn {
    /// Why they may not sign now; none while they may.
    pub stop: Option<Stop>,
    /// What was taken, oldest first.
    pub taken: Vec<Taken>,
}

/// The end of a holder's right to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Since when.
    pub at: UnixSeconds,
    /// Why, as the operator said.
    pub reason: Option<String>,
    /// Whether nothing leads back: they left, or the id was wrong.
    pub is_for_good: bool,
}

/// One thing that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// `card`, `device`, `credential` ...
    pub what: String,
    /// Its id.
    pub id: String,
    /// When.
    pub at: UnixSeconds,
    /// Why, as the operator said.
    pub reason: Option<String>,
}

impl Withdrawn {
    /// Things remembered: the audit log has them all.
    pub const MAX_TAKEN: usize = 20;

    /// Whether they left, and nothing leads back.
    pub fn is_for_good(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.is_for_good)
    }

    /// Notes one thing more; the oldest goes when there are too many.
    pub fn note(&mut self, taken: Taken) {
        self.taken.push(taken);
        let many = self.taken.len().saturating_sub(Self::MAX_TAKEN);
        self.taken.drain(..many);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(n: usize) -> Taken {
        Taken { what: "card".into(), id: n.to_string(), at: UnixSeconds(1), reason: None }
    }

    #[test]
    fn newest_things_taken_are_kept_up_to_the_limit() {
        let mut withdrawn = Withdrawn::default();
        (0..Withdrawn::MAX_TAKEN).for_each(|n| withdrawn.note(taken(n)));
        assert_eq!((withdrawn.taken.len(), withdrawn.taken[0].id.as_str()), (20, "0"));
        withdrawn.note(taken(20));
        assert_eq!((withdrawn.taken.len(), withdrawn.taken[0].id.as_str()), (20, "1"));
    }
}
