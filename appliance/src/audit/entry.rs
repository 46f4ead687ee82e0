//! What callers hand to the log, and how it is made ready outside the committer.

use crate::audit::AuditError;
use crate::audit::event::Event;
use crate::audit::frame::MAX_RECORD_BYTES;
use crate::audit::label::Label;
use crate::audit::record::Principal;
use crate::audit::record::RECORD_VERSION;
use crate::audit::record::Statement;
use crate::audit::retry::RetryKey;
use crate::audit::signature::SignatureFacts;
use crate::audit::signature::Withheld;
use attest::permit::Lease;
use attest::session::Withdrawal;

/// One thing to record, with what hangs on its place in the log's order.
pub struct Entry {
    statement: Statement,
    lease: Option<Lease>,
    withdraws: Vec<Withdrawal>,
    label: Option<Label>,
}

impl Entry {
    /// Records that `event` happened.
    pub fn new(request_id: &str, principal: Principal, event: Event) -> Self {
        let statement = Statement { request_id: request_id.to_owned(), principal, event };
        Self { statement, lease: None, withdraws: Vec::new(), label: None }
    }

    /// Records a signature, unless `lease` is withdrawn when its turn comes: then that it was withheld.
    pub fn signature(
        request_id: &str,
        principal: Principal,
        facts: SignatureFacts,
        lease: Lease,
    ) -> Self {
        let mut entry = Self::new(request_id, principal, Event::Signature(Box::new(facts)));
        entry.lease = Some(lease);
        entry
    }

    /// Makes the record hang on `lease`: when it is withdrawn, nothing but a withheld signature is recorded.
    pub fn under(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Ends `withdraws` at this record's place in the order: no lease on them holds behind it.
    pub fn withdrawing(mut self, withdraws: Vec<Withdrawal>) -> Self {
        self.withdraws = withdraws;
        self
    }

    /// Keeps the label of the document beside the log; the record holds only the commitment to it.
    pub fn labelled(mut self, label: Label) -> Self {
        if let Event::Signature(facts) = &mut self.statement.event {
            facts.label = Some(label.commitment());
            self.label = Some(label);
        }
        self
    }

    pub(super) fn event_mut(&mut self) -> &mut Event {
        &mut self.statement.event
    }

    /// Writes the part of the record that does not depend on its place.
    pub(super) fn prepare(self) -> Result<Prepared, AuditError> {
        let body = body(&self.statement)?;
        let retry = match &self.statement.event {
            Event::Signature(facts) => facts.idempotency.as_ref().and_then(RetryKey::of),
            _ => None,
        };
        let floor_ms = match &self.statement.event {
            Event::TimeStep { to_ms, approved_by, .. } if !approved_by.is_empty() => Some(*to_ms),
            _ => None,
        };
        let statement = self.lease.is_some().then_some(self.statement);
        let (lease, withdraws, label) = (self.lease, self.withdraws, self.label);
        Ok(Prepared { body, statement, lease, withdraws, label, retry, floor_ms })
    }
}

/// An entry ready for the committer.
pub(super) struct Prepared {
    /// The record from `"request_id"` on.
    pub(super) body: Vec<u8>,
    /// Kept where the record may have to say something else in the end.
    statement: Option<Statement>,
    pub(super) lease: Option<Lease>,
    pub(super) withdraws: Vec<Withdrawal>,
    pub(super) label: Option<Label>,
    pub(super) retry: Option<RetryKey>,
    /// Where time goes on from, when this record lowers the floor.
    pub(super) floor_ms: Option<u64>,
}

impl Prepared {
    /// Turns it into the record of a withheld signature; `None` when it was no signature.
    pub(super) fn withhold(mut self, reason: Withheld) -> Option<Self> {
        let mut statement = self.statement.take()?;
        let Event::Signature(mut facts) = statement.event else {
            return None;
        };
        facts.signature = String::new();
        facts.label = None;
        statement.event = Event::SignatureWithheld { reason, facts };
        let body = body(&statement).ok()?;
        let withdraws = std::mem::take(&mut self.withdraws);
        Some(Self {
            body,
            statement: None,
            lease: None,
            withdraws,
            label: None,
            retry: None,
            floor_ms: None,
        })
    }
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Number.
    pub(super) seq: u64,
    /// Time, Unix milliseconds.
    pub(super) time_ms: u64,
    /// Records durable before it.
    pub(super) synced: u64,
}

impl Place {
    /// Writes the whole record: the place, then `body`.
    pub(super) fn write(self, body: &[u8], record: &mut Vec<u8>) {
        let Self { seq, time_ms, synced } = self;
        let head = format!(
            "{{\"v\":{RECORD_VERSION},\"seq\":{seq},\"time_ms\":{time_ms},\"synced\":{synced},"
        );
        record.extend_from_slice(head.as_bytes());
        record.extend_from_slice(body);
    }
}

fn body(statement: &Statement) -> Result<Vec<u8>, AuditError> {
    let mut body = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut body, statement)
        .map_err(|error| AuditError::Malformed(error.to_string()))?;
    if body.len() + MAX_HEAD_BYTES > MAX_RECORD_BYTES {
        return Err(AuditError::TooLong(body.len()));
    }
    // The place takes the position of the opening brace.
    body.remove(0);
    Ok(body)
}

/// What the record of a signature takes.
const USUAL_BYTES: usize = 1024;

/// `{"v":255,"seq":<20>,"time_ms":<20>,"synced":<20>,`
const MAX_HEAD_BYTES: usize = 104;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::Record;
    use crate::audit::signature::tests::facts;

    fn entry() -> Entry {
        let event = Event::Signature(Box::new(facts()));
        Entry::new("r-1", Principal::System("ehr".to_owned()), event)
    }

    #[test]
    fn record_put_together_is_the_record_serialised_whole() {
        let statement = entry().statement;
        let prepared = entry().prepare().unwrap();
        let mut octets = Vec::new();
        Place { seq: 7, time_ms: 8, synced: 6 }.write(&prepared.body, &mut octets);
        let whole = Record {
            v: RECORD_VERSION,
            seq: 7,
            time_ms: 8,
            synced: 6,
            request_id: statement.request_id,
            principal: statement.principal,
            event: statement.event,
        };
        assert_eq!(String::from_utf8(octets).unwrap(), serde_json::to_string(&whole).unwrap());
    }

    #[test]
    fn longest_head_fits_its_reserve() {
        let mut head = Vec::new();
        Place { seq: u64::MAX, time_ms: u64::MAX, synced: u64::MAX }.write(b"", &mut head);
        assert!(head.len() <= MAX_HEAD_BYTES, "{}", head.len());
    }

    #[test]
    fn record_that_is_too_long_is_refused_before_it_is_queued() {
        let stopped = |length| {
            let event = Event::Stopped { reason: "x".repeat(length) };
            Entry::new("r", Principal::Appliance, event).prepare()
        };
        let spare = stopped(0).unwrap().body.len() + 1 + MAX_HEAD_BYTES;
        assert!(stopped(MAX_RECORD_BYTES - spare).is_ok());
        let refused = stopped(MAX_RECORD_BYTES - spare + 1);
        assert!(matches!(refused, Err(AuditError::TooLong(_))));
    }

    #[test]
    fn label_is_committed_to_and_not_in_the_record() {
        let label = Label::new("処方箋 山田太郎").unwrap();
        let commitment = label.commitment();
        let prepared = entry().labelled(label).prepare().unwrap();
        let body = String::from_utf8(prepared.body).unwrap();
        assert!(body.contains(&commitment.0));
        assert!(!body.contains("山田"));
    }
}
