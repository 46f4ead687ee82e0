//! Who gets in at all, and listeners that change their certificate while they serve.

use rustls::version::TLS12;
use rustls::version::TLS13;
use std::time::Duration;
use tests::support::ehr::Ehr;
use tests::support::http::Connection;
use tests::support::http::Reply;
use tests::support::http::tls_config;
use tests::support::pki::Pair;
use tests::support::world::World;

/// `GET /v1/info` with this identity: an answer, or a handshake that failed.
async fn info_as(world: &World, identity: Option<&Pair>) -> std::io::Result<Reply> {
    let config = tls_config(&world.pki.servers.pem, identity, &TLS13);
    let mut connection = Connection::tls(world.ports.signing, config).await?;
    connection.try_ask("GET /v1/info", "", b"").await
}

#[tokio::test]
async fn t1_missing_foreign_expired_and_revoked_client_certificates_do_not_get_in() {
    let world = World::shared().await;
    let pki = &world.pki;
    for (what, identity) in [
        ("none", None),
        ("foreign", Some(&pki.stranger)),
        ("expired", Some(&pki.expired_client)),
        ("revoked", Some(&pki.revoked_client)),
        ("a doctor's card", Some(&pki.card)),
    ] {
        let outcome = info_as(world, identity).await;
        assert!(outcome.is_err(), "{what}: {:?}", outcome.map(|reply| reply.to_string()));
    }
    // Each reason is in the log.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let log = world.daemon.log().to_lowercase();
    for word in ["expired", "revoked"] {
        assert!(log.contains(word), "no log line says {word}");
    }
    info_as(world, Some(&pki.ehr)).await.unwrap().expect(200);
}

#[tokio::test]
async fn certificate_of_the_right_ca_that_nobody_registered_is_unknown() {
    let world = World::shared().await;
    let reply = info_as(world, Some(&world.pki.unregistered)).await.unwrap();
    reply.expect_problem(403, "client_unknown");
    let operator = info_as(world, Some(&world.pki.officer)).await.unwrap();
    operator.expect_problem(403, "client_unknown");
}

#[tokio::test]
async fn t3_signing_listener_speaks_tls_13_only_and_card_listener_tls_12_only() {
    let world = World::shared().await;
    let pki = &world.pki;
    let signing = tls_config(&pki.servers.pem, Some(&pki.ehr), &TLS12);
    assert!(Connection::tls(world.ports.signing, signing).await.is_err());
    let card = tls_config(&pki.servers.pem, Some(&pki.card), &TLS13);
    assert!(Connection::tls(world.ports.hpki, card).await.is_err());
}

#[tokio::test]
async fn t8_host_that_is_not_served_is_misdirected() {
    let world = World::shared().await;
    let mut connection = world.ehr().connect().await;
    connection.send("GET /v1/info HTTP/1.1\r\nHost: other.example\r\n\r\n").await.unwrap();
    connection.reply().await.unwrap().expect_problem(421, "misdirected_request");
}

#[tokio::test]
async fn paths_of_other_listeners_are_not_found() {
    let world = World::shared().await;
    let mut signing = world.ehr().connect().await;
    for path in ["/admin/v1/status", "/metrics", "/login/x", "/healthz"] {
        signing.get(path).await.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn server_certificate_is_replaced_without_an_outage() {
    let world = World::shared().await;
    let pki = &world.pki;
    let ehr = Ehr::new(world, &pki.ehr);
    let mut old = ehr.connect().await;
    let before = served_certificate(world).await;
    // A broken pair first: the old certificate stays.
    let good = std::fs::read(&pki.server.certificate).unwrap();
    std::fs::write(&pki.server.certificate, b"-----BEGIN NONSENSE-----").unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(served_certificate(world).await, before);
    std::fs::write(&pki.server.certificate, good).unwrap();

    let next = pki.servers.server("server-next");
    for (from, to) in [(&next.key, &pki.server.key), (&next.certificate, &pki.server.certificate)] {
        std::fs::rename(from, to).unwrap();
    }
    let mut seen = before.clone();
    for _look in 0..100 {
        // Nobody is turned away in between.
        ehr.connect().await.get("/v1/info").await.expect(200);
        seen = served_certificate(world).await;
        if seen != before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_ne!(seen, before, "the new certificate is not served");
    assert_eq!(seen, next.der.to_vec());
    old.get("/v1/info").await.expect(200);
}

/// The certificate that the signing listener shows now.
async fn served_certificate(world: &World) -> Vec<u8> {
    let config = tls_config(&world.pki.servers.pem, Some(&world.pki.ehr), &TLS13);
    let socket = tokio::net::TcpStream::connect(world.ports.signing).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(config).connect(name, socket).await.unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap();
    shown[0].to_vec()
}
