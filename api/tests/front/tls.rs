//! Group T of the attacks: who gets past TLS, with what, and under which name.

use crate::support::client::Client;
use crate::support::client::PATIENCE;
use crate::support::client::client_config;
use crate::support::client::mismatched;
use crate::support::pki::Ca;
use crate::support::pki::Pair;
use crate::support::rig::Rig;
use crate::support::rig::signing;
use crate::support::tools::s_client;
use crate::support::tools::s_client_commands;
use crate::support::tools::s_client_with;
use crate::support::tools::text;
use rustls::version::TLS12;
use rustls::version::TLS13;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;
use time::Duration as Days;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Whether a request over TLS 1.3 is answered: a refused certificate shows only when something is read.
async fn is_let_in(rig: &Rig, to: SocketAddr, pair: Option<&Pair>) -> bool {
    let Ok(mut client) = Client::tls13(to, &rig.pki, pair, "localhost").await else {
        return false;
    };
    let asked = client.send("GET /v1/info HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    asked.is_ok() && client.reply().await.is_ok()
}

#[tokio::test]
async fn t1_only_certificates_of_the_clients_ca_get_in() {
    let rig = Rig::new();
    let client_ca = &rig.pki.clients;
    let expired = client_ca.client_valid("expired", -Days::days(9), -Days::seconds(2));
    let early = client_ca.client_valid("early", Days::days(1), Days::days(9));
    let server_usage = client_ca.server("not a client", &["localhost"]);
    let stranger = rig.pki.strangers.client("stranger");
    let namesake = Ca::new(rig.pki.folder.path(), "Client CA").client("namesake");
    for to in [rig.signing, rig.admin] {
        assert!(is_let_in(&rig, to, Some(&rig.pki.client)).await);
        let refused = [&expired, &early, &server_usage, &stranger, &namesake, &rig.pki.card];
        for pair in refused {
            assert!(!is_let_in(&rig, to, Some(pair)).await, "{:?}", pair.certificate_file);
        }
        assert!(!is_let_in(&rig, to, None).await);
    }
    assert_eq!(rig.keeper.asked.lock().unwrap().len(), 1, "the first one only");
    let metrics = rig.metrics_text().await;
    let refused = "inkan_handshake_failures_total{listener=\"signing\",reason=\"certificate\"} 7";
    assert!(metrics.contains(refused), "{metrics}");
}

#[tokio::test]
async fn t2_certificate_without_its_key_gets_nobody_in() {
    let rig = Rig::new();
    let (pki, other) = (&rig.pki, &rig.pki.client2);
    let config = mismatched(pki, &pki.client, other, &[&TLS13]);
    let mut client = Client::tls(rig.signing, config, "localhost").await.unwrap();
    let _ = client.send("GET /v1/info HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(client.reply().await.is_err());
    let other = pki.cards.card("other card");
    let config = mismatched(pki, &pki.card, &other, &[&TLS12]);
    assert!(Client::tls(rig.hpki, config, "localhost").await.is_err());
    let noted = async {
        while rig.keeper.failed_handshakes.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, noted).await.unwrap();
    assert!(rig.keeper.failed_handshakes.lock().unwrap()[0].contains("BadSignature"));
    assert!(rig.keeper.cards.lock().unwrap().is_empty());
}

#[tokio::test]
async fn t3_old_versions_and_weak_ciphers_find_no_common_ground() {
    let rig = Rig::new();
    let seclevel0 = "ALL:@SECLEVEL=0";
    let attempts: &[(SocketAddr, &[&str])] = &[
        (rig.signing, &["-tls1_2"]),
        (rig.admin, &["-tls1_2"]),
        (rig.signing, &["-tls1_1", "-cipher", seclevel0]),
        (rig.hpki, &["-tls1_1", "-cipher", seclevel0]),
        (rig.hpki, &["-tls1_3"]),
        (rig.hpki, &["-tls1_2", "-cipher", "AES128-GCM-SHA256"]),
        (rig.hpki, &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"]),
        (rig.hpki, &["-tls1_2", "-groups", "secp521r1:sect283k1"]),
        (rig.signing, &["-tls1_3", "-groups", "ffdhe2048"]),
    ];
    for (to, options) in attempts {
        let said = text(&s_client(&rig.pki, Some(&rig.pki.client), *to, options, b"").await);
        assert!(said.contains("alert") && said.contains("Cipher is (NONE)"), "{options:?}: {said}");
    }
}

#[tokio::test]
async fn t3_tls12_without_extended_master_secret_is_refused() {
    let rig = Rig::new();
    let mut conf = tempfile::NamedTempFile::new().unwrap();
    let lines = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nOptions = -ExtendedMasterSecret\n";
    conf.write_all(lines.as_bytes()).unwrap();
    let config = conf.path().to_str().unwrap().to_owned();
    let environment = [("OPENSSL_CONF", config.as_str())];
    let options = ["-tls1_2"];
    let said = s_client_with(&rig.pki, &rig.pki.card, rig.hpki, &options, &environment);
    let said = text(&said.await);
    assert!(!said.contains("Extended master secret: yes"), "the client did not offer it: {said}");
    assert!(said.contains("alert handshake failure"), "{said}");
}

#[tokio::test]
async fn tls12_for_signing_systems_is_there_by_configuration_only() {
    let rig = Rig::with(|config, _| signing(config).allow_tls12 = true);
    let request = b"GET /v1/info HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let said = s_client(&rig.pki, Some(&rig.pki.client), rig.signing, &["-tls1_2"], request).await;
    let said = text(&said);
    assert!(said.contains("HTTP/1.1 200 OK"), "{said}");
    assert!(said.contains("Cipher    : ECDHE-ECDSA-AES256-GCM-SHA384"), "{said}");
    assert!(said.contains("Extended master secret: yes"), "{said}");
    let weak = ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"];
    let said = s_client(&rig.pki, Some(&rig.pki.client), rig.signing, &weak, request).await;
    assert!(text(&said).contains("Cipher is (NONE)"));
}

#[tokio::test]
async fn t4_t5_nothing_is_resumed_and_no_early_data_is_taken() {
    let rig = Rig::new();
    let request = b"GET /v1/info HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for (to, version, pair) in [
        (rig.signing, "-tls1_3", &rig.pki.client),
        (rig.admin, "-tls1_3", &rig.pki.client),
        (rig.hpki, "-tls1_2", &rig.pki.card),
    ] {
        let options = [version, "-reconnect"];
        let said = text(&s_client(&rig.pki, Some(pair), to, &options, request).await);
        assert!(said.contains("New, TLS"), "{said}");
        assert!(!said.contains("Reused, TLS"), "{said}");
        assert!(!said.contains("New Session Ticket"), "{said}");
        assert!(!said.contains("TLS session ticket lifetime hint: "), "{said}");
        assert!(!said.contains("Max Early Data: 1"), "{said}");
    }
}

#[tokio::test]
async fn t7_renegotiation_ends_the_connection() {
    let rig = Rig::new();
    let said = s_client_commands(&rig.pki, &rig.pki.card, rig.hpki, b"R\n");
    let said = text(&said.await);
    assert!(said.contains("RENEGOTIATING"), "{said}");
    assert!(said.contains("no renegotiation") || said.contains("unexpected"), "{said}");
    assert!(rig.keeper.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn t8_name_that_is_not_served_or_not_the_one_of_tls_is_misdirected() {
    let rig = Rig::with(|config, _| {
        signing(config).host_names = vec!["localhost".into(), "Other.Example".into()];
    });
    let pki = &rig.pki;
    for (name, host, status) in [
        ("localhost", "localhost", 200),
        ("localhost", "LOCALHOST:8443", 200),
        ("other.example", "other.example", 200),
        ("localhost", "other.example", 421),
        ("other.example", "localhost", 421),
        ("localhost", "hpki.example", 421),
        ("localhost", "localhost.", 421),
        ("localhost", "127.0.0.1", 421),
        ("localhost", "", 400),
        ("localhost", "localhost@evil", 400),
    ] {
        let mut client = Client::tls13(rig.signing, pki, Some(&pki.client), name).await.unwrap();
        client.send(format!("GET /v1/info HTTP/1.1\r\nHost: {host}\r\n\r\n")).await.unwrap();
        let reply = client.reply().await.unwrap();
        assert_eq!(reply.status, status, "{name} {host}");
        if status == 421 {
            assert_eq!(reply.code(), "misdirected_request");
            assert!(client.ends_within(Duration::from_secs(2)).await);
        }
    }
    let mut client = rig.connect().await;
    let line = "GET https://other.example/v1/info HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.send(line).await.unwrap();
    assert_eq!(client.reply().await.unwrap().status, 400);
}

#[tokio::test]
async fn t9_malformed_hellos_do_no_harm() {
    let rig = Rig::new();
    let record = |body: &[u8]| {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[22, 3, 1], &length[..], body].concat()
    };
    let hellos: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 100],
        vec![0xff; 20_000],
        record(&[]),
        record(&[1, 0, 0, 0]),
        record(&[1, 0xff, 0xff, 0xff, 3, 3]),
        [record(&[1]), record(&[0]), record(&[0])].concat(),
        record(&[1, 0, 0, 40, 3, 3].iter().copied().chain([0; 40]).collect::<Vec<_>>()),
        vec![21, 3, 1, 0, 2, 2, 40],
        vec![20, 3, 1, 0, 1, 1],
        vec![22, 3, 1, 0xff, 0xff],
    ];
    for to in [rig.signing, rig.hpki, rig.admin] {
        for hello in hellos.iter().cycle().take(100) {
            let mut socket = TcpStream::connect(to).await.unwrap();
            let _ = socket.write_all(hello).await;
            let _ = socket.shutdown().await;
            let mut said = Vec::new();
            let _ = timeout(PATIENCE, socket.read_to_end(&mut said)).await.unwrap();
        }
    }
    assert_eq!(rig.connect().await.get("/v1/info").await.status, 200);
    assert_eq!(rig.connect_card(Some(&rig.pki.card)).await.get("/login/l").await.status, 200);
}

#[tokio::test]
async fn t10_healthy_client_gets_through_ten_thousand_half_open_connections() {
    let rig = Rig::new();
    let mut half_open = Vec::new();
    for number in 0..10_000 {
        let connect = timeout(PATIENCE, TcpStream::connect(rig.signing)).await.unwrap();
        let Ok(mut socket) = connect else {
            println!("skipped: only {number} of 10,000 half-open connections, descriptors ran out");
            return;
        };
        // Every tenth begins a handshake and says no more.
        if number % 10 == 0 {
            let _ = socket.write_all(&[22, 3, 1, 2, 0, 1]).await;
        }
        half_open.push(socket);
    }
    let started = Instant::now();
    let mut client = rig.connect().await;
    assert_eq!(client.get("/v1/info").await.status, 200);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    drop(half_open);
}

#[tokio::test]
async fn t12_headers_of_a_proxy_do_not_change_who_asks() {
    let rig = Rig::new();
    let mut client = rig.connect().await;
    let evil = "X-SSL-Client-Cert: x\r\nX-Client-Cert: x\r\nClient-Cert: :AA==:\r\nX-Forwarded-For: 1.2.3.4\r\n\
                Forwarded: for=1.2.3.4;host=evil\r\nX-Forwarded-Host: evil.example\r\nX-HTTP-Method-Override: DELETE\r\n";
    assert_eq!(client.ask("GET /v1/info", evil, b"").await.status, 200);
    assert_eq!(client.get("/v1/info").await.status, 200);
    let callers = rig.keeper.callers.lock().unwrap();
    assert_eq!(callers[0].certificate, callers[1].certificate);
    assert_ne!(callers[0].request_id, callers[1].request_id);
}

#[tokio::test]
async fn each_connection_is_its_own_certificate() {
    let rig = Rig::new();
    let mut first = rig.connect_as(&rig.pki.client).await;
    let mut second = rig.connect_as(&rig.pki.client2).await;
    first.get("/v1/info").await;
    second.get("/v1/info").await;
    first.get("/v1/info").await;
    let callers = rig.keeper.callers.lock().unwrap();
    assert_eq!(callers[0].certificate, callers[2].certificate);
    assert_ne!(callers[0].certificate, callers[1].certificate);
}

#[tokio::test]
async fn revocation_list_of_clients_is_enforced_and_must_be_current() {
    let rig = Rig::with(|config, pki| {
        let revoked = [pki.client2.serial];
        signing(config).client_crls = vec![pki.clients.crl("current", &revoked, Days::days(1))];
    });
    assert!(is_let_in(&rig, rig.signing, Some(&rig.pki.client)).await);
    assert!(!is_let_in(&rig, rig.signing, Some(&rig.pki.client2)).await);
    let rig = Rig::with(|config, pki| {
        signing(config).client_crls = vec![pki.clients.crl("stale", &[], -Days::seconds(5))];
    });
    assert!(!is_let_in(&rig, rig.signing, Some(&rig.pki.client)).await);
    let rig = Rig::with(|config, pki| {
        signing(config).client_crls = vec![pki.strangers.crl("foreign", &[], Days::days(1))];
    });
    assert!(!is_let_in(&rig, rig.signing, Some(&rig.pki.client)).await);
}

#[tokio::test]
async fn certificate_that_expires_on_a_living_connection_ends_it() {
    let rig = Rig::with(|config, _| config.certificates.judge_again_seconds = 0);
    let brief = rig.pki.clients.client_valid("brief", -Days::days(1), Days::seconds(3));
    let mut client = rig.connect_as(&brief).await;
    assert_eq!(client.get("/v1/info").await.status, 200);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let reply = client.get("/v1/info").await;
    assert_eq!((reply.status, reply.code().as_str()), (403, "client_unknown"));
    assert!(client.ends_within(Duration::from_secs(2)).await);
}

#[tokio::test]
async fn listeners_do_not_take_each_others_certificates() {
    let rig = Rig::new();
    let config = client_config(&rig.pki, Some(&rig.pki.client), &[&TLS12]);
    let mut client = Client::tls(rig.hpki, config, "localhost").await.unwrap();
    assert_eq!(
        client.get("/v1/info").await.status,
        404,
        "a program's certificate opens no door here"
    );
}
