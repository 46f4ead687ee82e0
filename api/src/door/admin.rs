//! `/admin/v1`: a request becomes a command; who may run it, and whether it takes two, is the keeper's to decide.

use super::exchange::Exchange;
use crate::admin::command_of;
use crate::admin::rest;
use crate::http::answer;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use crate::http::head;
use crate::problem::Code;
use crate::problem::Problem;
use http::Method;
use http::StatusCode;
use std::sync::Arc;

pub(crate) async fn command(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let caller = exchange.caller()?;
    let path = exchange.name()?.to_owned();
    let segments: Vec<&str> = path.split('/').collect();
    let method = match exchange.parts.method.clone() {
        Method::HEAD => Method::GET,
        method => method,
    };
    let methods = rest::methods_of(&segments);
    if methods.is_empty() {
        return Err(Code::NotFound.into());
    }
    if !methods.contains(&method.as_str()) {
        let problem = Problem::new(Code::MethodNotAllowed);
        return Err(Refusal { problem, allow: Some(methods.join(", ")), close: false });
    }
    let body = json_body(exchange).await?;
    let query = exchange.parts.uri.query().unwrap_or_default();
    let command = command_of(method.as_str(), &segments, query, &body)?;
    let operations = Arc::clone(exchange.operations());
    let work = async move { operations.admin(&caller, command).await };
    let done = exchange.to_the_end(work).await?;
    if method != Method::GET {
        // It may have ended sessions.
        exchange.door.shared.releases.settled().await;
    }
    let status = StatusCode::from_u16(done.outcome.status()).map_err(|_| Code::Internal)?;
    answer::json_as(status, &done.body)
}

/// The body, when there is one.
async fn json_body(exchange: &mut Exchange<'_>) -> Result<Vec<u8>, Refusal> {
    exchange.body.allow(exchange.door.limits.json_bytes as u64)?;
    let held = exchange.body.collect(exchange.door).await?;
    if !held.octets().is_empty() {
        head::require_media_type(&exchange.parts.headers, "application/json")?;
    }
    Ok(held.octets().to_vec())
}
