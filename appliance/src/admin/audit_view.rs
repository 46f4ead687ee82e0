//! The audit log for operators: found or exported record by record. Reading it is recorded, too.

use crate::admin::desk::AdminDesk;
use crate::admin::desk::Asking;
use crate::admin::refusal;
use crate::audit::Entry;
use crate::audit::Event;
use crate::audit::Principal;
use crate::audit::Record;
use api::admin::answer::AuditRecords;
use api::admin::check::MAX_AUDIT_RECORDS;
use api::admin::command::AuditQuery;
use api::problem::Problem;

/// Records found where nobody says how many.
const DEFAULT_FOUND: u64 = 100;
/// Records looked at for one answer; the next one goes on behind them.
const MAX_LOOKED_AT: u64 = 20_000;

impl AdminDesk {
    pub(super) async fn audit_search(
        &self,
        asking: &Asking,
        query: &AuditQuery,
    ) -> Result<AuditRecords, Problem> {
        self.note_read(asking, "search", serde_json::to_string(query).unwrap_or_default()).await?;
        let limit = query.limit.unwrap_or(DEFAULT_FOUND).min(MAX_AUDIT_RECORDS);
        let from = query.from.unwrap_or(0);
        self.collect(from, limit, MAX_LOOKED_AT, |record| fits(query, record))
    }

    pub(super) async fn audit_export(
        &self,
        asking: &Asking,
        from: u64,
        limit: u64,
    ) -> Result<AuditRecords, Problem> {
        if from == 0 {
            self.note_read(asking, "export", String::new()).await?;
        }
        let limit = limit.min(MAX_AUDIT_RECORDS);
        self.collect(from, limit, limit, |_| true)
    }

    fn collect(
        &self,
        from: u64,
        limit: u64,
        look_at: u64,
        is_wanted: impl Fn(&Record) -> bool,
    ) -> Result<AuditRecords, Problem> {
        let audit = &self.parts().audit;
        let end = audit.records().min(from.saturating_add(look_at));
        let mut found = AuditRecords { records: Vec::new(), next: None };
        let mut seq = from;
        while seq < end && (found.records.len() as u64) < limit {
            let record =
                audit.record(seq).map_err(|error| refusal::internal("an audit record", &error))?;
            if let Some(record) = record.filter(|record| is_wanted(record)) {
                let value = serde_json::to_value(&record);
                found.records.push(value.map_err(|error| refusal::internal("a record", &error))?);
            }
            seq += 1;
        }
        found.next = (seq < audit.records()).then_some(seq);
        Ok(found)
    }

    async fn note_read(
        &self,
        asking: &Asking,
        operation: &str,
        filter: String,
    ) -> Result<(), Problem> {
        let event = Event::LogRead { operation: operation.to_owned(), filter };
        let principal = Principal::Operator(asking.operator.operator_id.clone());
        let entry = Entry::new(&asking.request_id, principal, event);
        self.parts().audit.append(entry).await.map(drop).map_err(refusal::audit)
    }
}

fn fits(query: &AuditQuery, record: &Record) -> bool {
    let is = |wanted: &Option<String>, found: Option<&str>| {
        wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
    };
    let operator = match &record.principal {
        Principal::Operator(operator_id) => Some(operator_id.as_str()),
        _ => None,
    };
    let seconds = record.time_ms / 1_000;
    is(&query.holder_id, record.event.holder_id())
        && is(&query.system_id, record.event.system_id())
        && is(&query.credential_id, record.event.credential_id())
        && is(&query.operator_id, operator)
        && is(&query.event, Some(record.event.kind()))
        && is(&query.request_id, Some(&record.request_id))
        && query.since.is_none_or(|since| seconds >= since)
        && query.until.is_none_or(|until| seconds < until)
}
