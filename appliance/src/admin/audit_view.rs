//! The audit log for operators: found by what it is about, or exported line by line with proofs. Reading it is recorded.

use crate::admin::desk::AdminDesk;
use crate::admin::desk::Asking;
use crate::admin::refusal;
use crate::audit::Archive;
use crate::audit::ArchiveError;
use crate::audit::Entry;
use crate::audit::Event;
use crate::audit::Filter;
use crate::audit::Principal;
use api::admin::answer::AuditLines;
use api::admin::answer::AuditRecords;
use api::admin::check::MAX_AUDIT_RECORDS;
use api::admin::command::AuditQuery;
use api::problem::Problem;
use serde_json::Value;

/// Records found where nobody says how many.
const DEFAULT_FOUND: u64 = 100;

impl AdminDesk {
    pub(super) async fn audit_search(
        &self,
        asking: &Asking,
        query: &AuditQuery,
    ) -> Result<AuditRecords, Problem> {
        let asked = serde_json::to_string(query).unwrap_or_default();
        self.note_read(asking, "search", asked).await?;
        let filter = filter(query);
        let limit = query.limit.unwrap_or(DEFAULT_FOUND).min(MAX_AUDIT_RECORDS);
        self.reading(move |archive| found(&archive, filter, limit)).await
    }

    pub(super) async fn audit_export(
        &self,
        asking: &Asking,
        from: u64,
        limit: u64,
    ) -> Result<AuditLines, Problem> {
        self.note_read(asking, "export", format!("from={from} limit={limit}")).await?;
        let limit = limit.min(MAX_AUDIT_RECORDS);
        self.reading(move |archive| exported(&archive, from, limit)).await
    }

    /// One reader of the log at a time, beside the threads that serve: signatures do not wait for auditors.
    pub(super) async fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(Archive) -> Result<T, ArchiveError> + Send + 'static,
    ) -> Result<T, Problem> {
        let _one_at_a_time = self.reading_log.lock().await;
        let archive = self.parts().audit.archive();
        match tokio::task::spawn_blocking(move || read(archive)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(refusal::internal("the audit log", &error)),
            Err(error) => Err(refusal::internal("the reader of the audit log", &error)),
        }
    }

    pub(super) async fn note_read(
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

/// The archive's filter for a query of the API.
pub(crate) fn filter(query: &AuditQuery) -> Filter {
    let milliseconds = |seconds: Option<u64>| seconds.map(|seconds| seconds.saturating_mul(1_000));
    Filter {
        holder_id: query.holder_id.clone(),
        system_id: query.system_id.clone(),
        credential_id: query.credential_id.clone(),
        operator_id: query.operator_id.clone(),
        kind: query.event.clone(),
        request_id: query.request_id.clone(),
        since_ms: milliseconds(query.since),
        until_ms: milliseconds(query.until),
        from: query.from.unwrap_or(0),
    }
}

/// Up to `limit` records that fit, and where the next one stands.
pub(crate) fn found(
    archive: &Archive,
    filter: Filter,
    limit: u64,
) -> Result<AuditRecords, ArchiveError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut answer = AuditRecords { records: Vec::new(), next: None };
    for record in archive.search(filter).take(limit.saturating_add(1)) {
        let record = record?;
        if answer.records.len() == limit {
            answer.next = Some(record.seq);
            break;
        }
        // The log's own records are JSON; one that is not would have failed its check sum.
        answer
            .records
            .push(serde_json::from_str(&record.json).unwrap_or(Value::String(record.json)));
    }
    Ok(answer)
}

fn exported(archive: &Archive, from: u64, limit: u64) -> Result<AuditLines, ArchiveError> {
    let mut octets = Vec::new();
    let count = archive.export(from, limit, &mut octets)?;
    let text = String::from_utf8_lossy(&octets);
    Ok(AuditLines {
        lines: text.lines().map(str::to_owned).collect(),
        next: (count == limit).then(|| from.saturating_add(count)),
    })
}
