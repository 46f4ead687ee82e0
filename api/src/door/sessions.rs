//! Sessions, credentials and what is said about the appliance: `/v1/info`, `/v1/sessions`, `/v1/credentials`.

use super::exchange::Exchange;
use super::exchange::stopping;
use crate::http::answer;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::http::answer::malformed;
use crate::http::label;
use crate::openapi;
use crate::wire;
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;

/// Seconds that a long poll may wait: below the idle limit of common proxies.
pub(crate) const LONGEST_WAIT_SECONDS: u64 = 60;

pub(crate) async fn info(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [] = exchange.query([])?;
    let mut info = exchange.operations().info(&exchange.caller()?).await?;
    let documents = &exchange.door.documents;
    info.limits.attached_bytes = documents.attached_bytes;
    info.limits.detached_bytes = documents.detached_bytes;
    answer::json(&info)
}

pub(crate) fn openapi(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [] = exchange.query([])?;
    answer::json(openapi::document())
}

pub(crate) async fn create(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [] = exchange.query([])?;
    let caller = exchange.caller()?;
    let mut new: wire::NewSession = exchange.json(exchange.door.limits.json_bytes).await?;
    for (index, entry) in new.entries.iter_mut().flatten().enumerate() {
        // What is empty afterwards is said to be missing: the holder would see nothing.
        let label = label::clean(&entry.label)?;
        entry.label = label.ok_or_else(|| malformed(format!("entry {}: no label", index + 1)))?;
    }
    let operations = Arc::clone(exchange.operations());
    let work = async move { operations.create_session(&caller, new).await };
    let created = exchange.to_the_end(work).await?;
    answer::json_as(StatusCode::CREATED, &created)
}

pub(crate) async fn view(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [wait] = exchange.query(["wait"])?;
    let wait = wait.as_deref().map_or(Ok(0), seconds)?;
    let caller = exchange.caller()?;
    let session_id = exchange.name()?.to_owned();
    let operations = Arc::clone(exchange.operations());
    let stop = exchange.door.shared.stop.clone();
    let _waiting = if wait == 0 { None } else { Some(exchange.wait_aside()?) };
    let view = tokio::select! {
        view = operations.session(&caller, &session_id, Duration::from_secs(wait)) => view?,
        () = stop.cancelled() => return Err(Refusal::closing(stopping())),
    };
    answer::json(&view)
}

pub(crate) async fn activate(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [] = exchange.query([])?;
    let caller = exchange.caller()?;
    let session_id = exchange.name()?.to_owned();
    let activate: wire::Activate = exchange.json(exchange.door.limits.json_bytes).await?;
    let operations = Arc::clone(exchange.operations());
    let work = async move { operations.activate(&caller, &session_id, activate).await };
    answer::json(&exchange.to_the_end(work).await?)
}

pub(crate) async fn end(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [] = exchange.query([])?;
    let caller = exchange.caller()?;
    let session_id = exchange.name()?.to_owned();
    let operations = Arc::clone(exchange.operations());
    let work = async move { operations.end_session(&caller, &session_id).await };
    exchange.to_the_end(work).await?;
    exchange.door.shared.releases.settled().await;
    Ok(answer::empty())
}

pub(crate) async fn credentials(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let [holder] = exchange.query(["holder"])?;
    let holder = holder.ok_or_else(|| malformed("name a holder: ?holder=..."))?;
    answer::json(&exchange.operations().credentials(&exchange.caller()?, &holder).await?)
}

/// Seconds of a long poll.
pub(crate) fn seconds(text: &str) -> Result<u64, Refusal> {
    let is_plain = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|seconds| is_plain && *seconds <= LONGEST_WAIT_SECONDS)
        .ok_or_else(|| malformed(format!("wait: 0 to {LONGEST_WAIT_SECONDS} seconds")).into())
}
