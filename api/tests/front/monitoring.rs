//! `/metrics`, `/healthz`, `/readyz`: for anybody on loopback, and nothing in them.

use crate::support::client::Client;
use crate::support::rig::Rig;
use api::config::MetricsTls;
use api::problem::Code;
use api::problem::Problem;
use std::io::Write;
use std::process::Command;
use std::process::Stdio;

#[tokio::test]
async fn health_and_readiness_are_told_apart() {
    let rig = Rig::new();
    let mut client = Client::plain(rig.metrics).await.unwrap();
    assert_eq!(client.get("/healthz").await.text(), "alive\n");
    assert_eq!(client.get("/readyz").await.text(), "ready\n");
    *rig.keeper.problem.lock().unwrap() = Some(Problem::new(Code::HsmUnavailable));
    assert_eq!(client.get("/healthz").await.status, 200);
    let reply = client.get("/readyz").await;
    assert_eq!((reply.status, reply.text().as_str()), (503, "not ready: hsm\n"));
    assert_eq!(client.get("/v1/info").await.status, 404);
    assert_eq!(client.ask("POST /metrics", "", b"").await.status, 405);
}

/// H14: labels are bounded whatever is asked for.
#[tokio::test]
async fn h14_random_paths_and_methods_make_no_new_series() {
    let rig = Rig::new();
    let mut client = rig.connect().await;
    client.get("/v1/x").await;
    client.ask("BREW /v1/info", "", b"").await;
    let before = rig.metrics_text().await.lines().count();
    for number in 0..300 {
        client.get(&format!("/v1/{number}?{number}")).await;
        client.ask(&format!("M{number} /v1/info"), &format!("User-Agent: {number}\r\n"), b"").await;
        client.sign(&format!("?credential=c{number}"), "", b"x").await;
    }
    let after = rig.metrics_text().await;
    // One series for the signatures, with its histogram.
    assert!(after.lines().count() <= before + 40, "{before} {}", after.lines().count());
    assert!(!after.contains("c299") && !after.contains("M299"));
}

#[tokio::test]
async fn metrics_please_promtool() {
    let rig = Rig::new();
    let mut client = rig.connect().await;
    client.sign("", "", b"x").await;
    client.get("/v1/nothing").await;
    rig.connect_card(None).await.get("/login/x").await;
    let reply = Client::plain(rig.metrics).await.unwrap().get("/metrics").await;
    assert!(reply.header("content-type").starts_with("text/plain; version=0.0.4"));
    for name in [
        "inkan_http_requests_total",
        "inkan_http_request_duration_seconds_bucket",
        "inkan_sign_stage_duration_seconds_bucket",
        "inkan_connections",
        "inkan_http_requests_in_flight",
        "inkan_listener_certificate_expiry_timestamp_seconds",
    ] {
        assert!(reply.text().contains(name), "{name}");
    }
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else { return println!("skipped: promtool is not installed") };
    child.stdin.take().unwrap().write_all(&reply.body).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test]
async fn metrics_over_mutual_tls_want_a_certificate() {
    let rig = Rig::with(|config, pki| {
        let metrics = config.metrics.as_mut().unwrap();
        metrics.address = "0.0.0.0:0".parse().unwrap();
        metrics.host_names = vec!["localhost".into()];
        metrics.tls = Some(MetricsTls {
            certificate: pki.server.certificate_file.clone(),
            key: pki.server.key_file.clone(),
            client_ca: pki.clients.file.clone(),
            client_crls: vec![],
            handshake_seconds: 10,
        });
    });
    let to = format!("127.0.0.1:{}", rig.metrics.port()).parse().unwrap();
    let pki = &rig.pki;
    let mut client = Client::tls13(to, pki, Some(&pki.client), "localhost").await.unwrap();
    assert_eq!(client.get("/healthz").await.status, 200);
    let mut nobody = Client::tls13(to, pki, None, "localhost").await.unwrap();
    let _ = nobody.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(nobody.reply().await.is_err());
}
