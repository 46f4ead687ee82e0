//! Listener certificates are replaced without an outage.

use crate::support::client::PATIENCE;
use crate::support::client::client_config;
use crate::support::pki::Pair;
use crate::support::rig::Rig;
use crate::support::rig::signing;
use rustls::version::TLS12;
use rustls::version::TLS13;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// The certificate that a listener shows to a new connection.
async fn shown(rig: &Rig, to: SocketAddr) -> Vec<u8> {
    let versions = if [rig.hpki, rig.jpki].contains(&to) { [&TLS12] } else { [&TLS13] };
    let config = client_config(&rig.pki, Some(&rig.pki.client), &versions);
    let socket = TcpStream::connect(to).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let connect = TlsConnector::from(Arc::new(config)).connect(name, socket);
    let stream = timeout(PATIENCE, connect).await.unwrap().unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn replace(rig: &Rig, by: &Pair) {
    fs::copy(&by.certificate_file, &rig.pki.server.certificate_file).unwrap();
    fs::copy(&by.key_file, &rig.pki.server.key_file).unwrap();
}

#[tokio::test]
async fn new_certificate_is_shown_to_new_connections_and_old_ones_go_on() {
    let rig = Rig::new();
    let mut old = rig.connect().await;
    assert_eq!(old.get("/v1/info").await.status, 200);
    let next = rig.pki.servers.server("next", &["localhost"]);
    replace(&rig, &next);
    for to in [rig.signing, rig.hpki, rig.jpki, rig.portal, rig.admin] {
        assert_eq!(shown(&rig, to).await, rig.pki.server.der.as_ref(), "not before the reload");
    }
    assert!(rig.front.reload_certificates().is_empty());
    for to in [rig.signing, rig.hpki, rig.jpki, rig.portal, rig.admin] {
        assert_eq!(shown(&rig, to).await, next.der.as_ref());
    }
    assert_eq!(old.get("/v1/info").await.status, 200);
}

#[tokio::test]
async fn files_that_cannot_be_used_are_refused_and_the_old_stay() {
    let rig = Rig::new();
    let good = rig.pki.server.certificate_file.clone();
    let before = fs::read(&good).unwrap();
    let other = rig.pki.servers.server("other", &["localhost"]);
    let broken: [(&str, Vec<u8>); 5] = [
        ("empty", vec![]),
        ("no PEM", b"garbage".to_vec()),
        ("torn", before[..before.len() / 2].to_vec()),
        ("another key's", fs::read(&other.certificate_file).unwrap()),
        (
            "no certificate in it",
            b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n".to_vec(),
        ),
    ];
    for (what, octets) in broken {
        fs::write(&good, octets).unwrap();
        assert_eq!(rig.front.reload_certificates().len(), 5, "{what}: all five listeners say so");
        for to in [rig.signing, rig.hpki, rig.jpki, rig.portal, rig.admin] {
            assert_eq!(shown(&rig, to).await, rig.pki.server.der.as_ref(), "{what}");
        }
    }
    fs::remove_file(&good).unwrap();
    assert_eq!(rig.front.reload_certificates().len(), 5);
    assert_eq!(rig.connect().await.get("/v1/info").await.status, 200);
    let metrics = rig.metrics_text().await;
    let refused =
        "inkan_listener_certificate_reloads_total{listener=\"signing\",result=\"refused\"} 6";
    assert!(metrics.contains(refused), "{metrics}");
}

#[tokio::test]
async fn changed_files_are_found_without_being_told() {
    let rig = Rig::with(|config, _| config.certificates.check_seconds = 1);
    let next = rig.pki.servers.server("next", &["localhost"]);
    replace(&rig, &next);
    let found = async {
        while shown(&rig, rig.signing).await != next.der.as_ref() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, found).await.expect("found within a few seconds");
}

#[tokio::test]
async fn client_revoked_by_a_new_list_is_out_on_its_living_connection() {
    let rig = Rig::with(|config, pki| {
        config.certificates.judge_again_seconds = 0;
        signing(config).client_crls = vec![pki.clients.crl("list", &[], time::Duration::days(1))];
    });
    let mut client = rig.connect_as(&rig.pki.client2).await;
    assert_eq!(client.get("/v1/info").await.status, 200);
    rig.pki.clients.crl("list", &[rig.pki.client2.serial], time::Duration::days(1));
    rig.front.reload_certificates();
    assert_eq!(client.get("/v1/info").await.code(), "client_unknown");
    assert_eq!(rig.connect().await.get("/v1/info").await.status, 200);
}

#[tokio::test]
async fn end_of_validity_is_measured() {
    let rig = Rig::new();
    let metrics = rig.metrics_text().await;
    for listener in ["signing", "hpki", "admin"] {
        let name = format!(
            "inkan_listener_certificate_expiry_timestamp_seconds{{listener=\"{listener}\"}} "
        );
        let value = metrics.split(&name).nth(1).unwrap().lines().next().unwrap();
        assert!(value.parse::<u64>().unwrap() > 1_800_000_000, "{value}");
    }
}
