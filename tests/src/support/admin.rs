//! Operators at work: the admin API over mutual TLS, two of them where trust is granted.

use super::http::Connection;
use super::http::Reply;
use super::http::tls_config;
use super::pki::Pair;
use super::world::World;
use rustls::version::TLS13;
use serde_json::Value;
use std::io;

/// One operator's request, on a connection of its own.
pub async fn ask(world: &World, operator: &Pair, line: &str, body: Option<&Value>) -> Reply {
    try_ask(world, operator, line, body).await.expect("the admin listener")
}

/// The same of a daemon that may be gone.
///
/// # Errors
/// Refused, reset, or broken off.
pub async fn try_ask(
    world: &World,
    operator: &Pair,
    line: &str,
    body: Option<&Value>,
) -> io::Result<Reply> {
    let config = tls_config(&world.pki.servers.pem, Some(operator), &TLS13);
    let mut connection = Connection::tls(world.ports.admin, config).await?;
    let (method, path) = line.split_once(' ').expect("method and path");
    let body = body.map(Value::to_string).unwrap_or_default();
    let headers = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    connection.try_ask(&format!("{method} /admin/v1{path}"), headers, body.as_bytes()).await
}

/// Files a proposal and gives its id.
pub async fn propose(world: &World, operator: &Pair, line: &str, body: Option<&Value>) -> String {
    let reply = ask(world, operator, line, body).await.expect(202);
    reply.json()["proposal_id"].as_str().expect("a proposal id").to_owned()
}

/// Proposed by whom it concerns, approved by a security officer.
pub async fn grant(world: &World, line: &str, body: Option<&Value>) -> Reply {
    let pki = &world.pki;
    let path = line.split_once(' ').map_or("", |(_, path)| path);
    let proposer = match path.split('/').nth(1) {
        Some("holders" | "cards" | "keys") if !path.ends_with("/release") => &pki.registrar,
        Some("systems") => &pki.administrator,
        _ => &pki.officer,
    };
    let proposal_id = propose(world, proposer, line, body).await;
    let approve = format!("POST /proposals/{proposal_id}/approve");
    ask(world, &pki.officer2, &approve, None).await.expect(200)
}

/// Audit records that fit `query` (`event=signature&holder=u-17`), oldest first, page by page.
pub async fn audit_records(world: &World, query: &str) -> Vec<Value> {
    let mut records = Vec::new();
    let mut from = 0;
    for _page in 0..1_000 {
        let line = format!("GET /audit/records?{query}&from={from}&limit=1000");
        let answer = ask(world, &world.pki.auditor, &line, None).await.expect(200).json();
        records.extend(answer["records"].as_array().expect("records").iter().cloned());
        match answer["next"].as_u64() {
            Some(next) => from = next,
            None => return records,
        }
    }
    panic!("the audit search does not end");
}
