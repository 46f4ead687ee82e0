//! PERF4: calls of the token per signature, as the shim saw them.

use crate::perf1;
use crate::report::Report;
use std::sync::Arc;
use tests::support::http::Connection;
use tests::support::world::Plan;
use tests::support::world::World;

const SIGNATURES: usize = 1_000;

pub async fn run(report: &mut Report) {
    let world = World::new(Plan { shim: true, ..Plan::default() }).await;
    let load = perf1::signing(&world, "p256", Arc::new(b"document".to_vec())).await;
    let mut connection = Connection::tls(load.to, load.tls.clone()).await.expect("a connection");
    let calls = || {
        let log = std::fs::read_to_string(world.folder.join("shim-log")).unwrap_or_default();
        log.lines()
            .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    connection.ask(&load.line, &load.head, &load.body).await.expect(200);
    let before = calls().len();
    let begun = std::time::Instant::now();
    for _time in 0..SIGNATURES {
        connection.ask(&load.line, &load.head, &load.body).await.expect(200);
    }
    // A checkpoint a second is signed with two calls as well: they are no part of a signature.
    let checkpoints = 2.0 * begun.elapsed().as_secs_f64().ceil();
    let made = calls().split_off(before);
    let others =
        made.iter().filter(|call| !matches!(call.as_str(), "C_SignInit" | "C_Sign")).count();
    let per_signature = (made.len() as f64 - checkpoints).max(0.0) / SIGNATURES as f64;
    report.add(
        "PERF4",
        "calls per signature, without checkpoints",
        "",
        vec![per_signature],
        Some(2.01),
    );
    report.add(
        "PERF4",
        "calls other than C_SignInit and C_Sign",
        "",
        vec![others as f64],
        Some(0.0),
    );
}
