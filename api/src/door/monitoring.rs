//! `/metrics`, `/healthz`, `/readyz`: no session, no secrets, no label that a peer can invent.

use super::exchange::Exchange;
use crate::http::answer;
use crate::http::answer::Answer;
use crate::http::answer::Refusal;
use http::StatusCode;

pub(crate) async fn metrics(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let text = exchange.operations().metrics().await;
    Ok(answer::octets(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text))
}

pub(crate) async fn health(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    let is_alive = exchange.operations().is_alive().await;
    Ok(plain(is_alive, if is_alive { "alive\n".into() } else { "not alive\n".into() }))
}

pub(crate) async fn readiness(exchange: &mut Exchange<'_>) -> Result<Answer, Refusal> {
    Ok(match exchange.operations().readiness().await {
        Ok(()) => plain(true, "ready\n".into()),
        Err(missing) => plain(false, format!("not ready: {}\n", missing.join(", "))),
    })
}

fn plain(is_good: bool, text: String) -> Answer {
    let status = if is_good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer::octets(status, "text/plain; charset=utf-8", text)
}
