//! HTTP/2 on the signing listener.

use crate::support::client::PATIENCE;
use crate::support::client::client_config;
use crate::support::keeper::TOKEN;
use crate::support::rig::Rig;
use crate::support::rig::signing;
use crate::support::tools::curl;
use crate::support::tools::text;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http2;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use rustls::version::TLS13;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

async fn connect(rig: &Rig) -> SendRequest<Full<Bytes>> {
    let mut config = client_config(&rig.pki, Some(&rig.pki.client), &[&TLS13]);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let socket = TcpStream::connect(rig.signing).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
    let io = TokioIo::new(stream);
    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn sign(body: Vec<u8>) -> Request<Full<Bytes>> {
    Request::post("https://localhost/v1/sign")
        .header("signing-session", TOKEN)
        .body(Full::from(body))
        .unwrap()
}

#[tokio::test]
async fn streams_of_one_connection_are_signed_side_by_side() {
    let rig = Rig::new();
    rig.keeper.slow_ms.store(300, Ordering::Relaxed);
    let sender = connect(&rig).await;
    let started = std::time::Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for number in 0..20_u8 {
        let mut sender = sender.clone();
        all.spawn(async move {
            let answer = sender.send_request(sign(vec![number; 100_000])).await.unwrap();
            assert_eq!(answer.status(), 200);
            assert!(answer.headers().contains_key("request-id"));
            answer.into_body().collect().await.unwrap().to_bytes()
        });
    }
    let signed = timeout(PATIENCE, all.join_all()).await.unwrap();
    let distinct: std::collections::HashSet<_> = signed.into_iter().collect();
    assert_eq!(distinct.len(), 20);
    assert!(started.elapsed().as_millis() < 20 * 300, "one after the other it would take longer");
}

#[tokio::test]
async fn streams_past_the_limit_wait_for_one_to_end() {
    let rig = Rig::with(|config, _| signing(config).limits.streams = 2);
    rig.keeper.slow_ms.store(300, Ordering::Relaxed);
    let mut sender = connect(&rig).await;
    // The limit is known once the first answer is in.
    assert_eq!(sender.send_request(sign(vec![])).await.unwrap().status(), 200);
    let started = std::time::Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let mut sender = sender.clone();
        all.spawn(async move { sender.send_request(sign(vec![1])).await.unwrap().status() });
    }
    let statuses = timeout(PATIENCE, all.join_all()).await.unwrap();
    assert!(statuses.iter().all(|status| *status == 200));
    assert!(started.elapsed().as_millis() >= 600, "two at a time");
}

#[tokio::test]
async fn refusals_are_problems_there_too_and_the_connection_goes_on() {
    let rig = Rig::new();
    let mut sender = connect(&rig).await;
    let ask = |path: &str, host: &str| {
        Request::get(format!("https://{host}{path}")).body(Full::default()).unwrap()
    };
    for (path, host, status) in [
        ("/v1/nothing", "localhost", 404),
        ("/v1/info", "other.example", 421),
        ("/v1/info?x=1", "localhost", 400),
        ("/v1/info", "localhost", 200),
    ] {
        let answer = timeout(PATIENCE, sender.send_request(ask(path, host))).await.unwrap();
        let answer = answer.unwrap();
        assert_eq!(answer.status(), status, "{path} {host}");
        if status != 200 {
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
        }
    }
    let mut large = ask("/v1/info", "localhost");
    large.headers_mut().insert("x", "y".repeat(17 * 1024).parse().unwrap());
    let answer = timeout(PATIENCE, sender.send_request(large)).await.unwrap().unwrap();
    assert_eq!(answer.status(), 431);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn curl_signs_a_file_in_one_line() {
    let rig = Rig::new();
    let file = rig.pki.folder.path().join("document");
    std::fs::write(&file, vec![7; 3_000_000]).unwrap();
    let file = format!("@{}", file.display());
    let session = format!("Signing-Session: {TOKEN}");
    for version in ["--http2", "--http1.1"] {
        let options = [version, "--data-binary", &file, "-H", &session];
        let said = curl(&rig.pki, Some(&rig.pki.client), rig.signing, "/v1/sign", &options).await;
        let said = text(&said);
        assert!(said.contains(" 200") && said.contains("signature-receipt: r-1"), "{said}");
    }
}

#[tokio::test]
async fn other_listeners_do_not_speak_http2() {
    let rig = Rig::new();
    let mut config = client_config(&rig.pki, Some(&rig.pki.client), &[&TLS13]);
    config.alpn_protocols = vec![b"h2".to_vec()];
    for to in [rig.admin, rig.hpki] {
        let socket = TcpStream::connect(to).await.unwrap();
        let name = "localhost".try_into().unwrap();
        assert!(TlsConnector::from(Arc::new(config.clone())).connect(name, socket).await.is_err());
    }
}
