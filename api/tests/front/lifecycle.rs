//! Starting with what is configured, and ending in good order.

use crate::support::client::Client;
use crate::support::keeper::PaperKeeper;
use crate::support::pki::Pki;
use crate::support::rig::Rig;
use crate::support::rig::config;
use api::config::FrontConfig;
use api::error::FrontError;
use api::server::Front;
use api::server::Sockets;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

fn start(config: &FrontConfig) -> Result<Front, FrontError> {
    let sockets = Sockets::default().bind(config)?;
    let keeper = Arc::new(PaperKeeper::default());
    Front::start(config, sockets, keeper, &prometheus::Registry::new())
}

#[tokio::test]
async fn wrong_configuration_opens_nothing() {
    let pki = Pki::new();
    let refused = |change: &dyn Fn(&mut FrontConfig)| {
        let mut config = config(&pki);
        change(&mut config);
        start(&config).err().expect("refused")
    };
    let error =
        refused(&|config| config.signing.as_mut().unwrap().key = pki.client.key_file.clone());
    assert!(matches!(error, FrontError::Key { .. }), "{error}");
    let error = refused(&|config| config.signing.as_mut().unwrap().host_names.clear());
    assert!(matches!(error, FrontError::NoHostName("signing")), "{error}");
    let error =
        refused(&|config| config.hpki.as_mut().unwrap().certificate = "/nowhere.pem".into());
    assert!(matches!(error, FrontError::File { .. }), "{error}");
    let error =
        refused(&|config| config.admin.as_mut().unwrap().client_ca = pki.client.key_file.clone());
    assert!(matches!(error, FrontError::File { .. }), "{error}");
    let error =
        refused(&|config| config.metrics.as_mut().unwrap().address = "0.0.0.0:0".parse().unwrap());
    assert!(matches!(error, FrontError::PlainMetrics(_)), "{error}");
    let error = refused(&|config| config.signing.as_mut().unwrap().limits.requests = 0);
    assert!(matches!(error, FrontError::ZeroLimit { limit: "requests", .. }), "{error}");
    let error = Front::start(
        &config(&pki),
        Sockets::default(),
        Arc::new(PaperKeeper::default()),
        &prometheus::Registry::new(),
    );
    assert!(matches!(error.err(), Some(FrontError::NoSocket { listener: "signing" })));
}

#[tokio::test]
async fn plain_socket_that_faces_the_network_is_refused_wherever_it_came_from() {
    let pki = Pki::new();
    let config = config(&pki);
    let mut sockets = Sockets::default();
    sockets.metrics.push(std::net::TcpListener::bind("0.0.0.0:0").unwrap());
    let sockets = sockets.bind(&config).unwrap();
    let keeper = Arc::new(PaperKeeper::default());
    let refused = Front::start(&config, sockets, keeper, &prometheus::Registry::new());
    assert!(matches!(refused.err(), Some(FrontError::PlainMetrics(_))));
}

#[tokio::test]
async fn configuration_with_an_unknown_key_is_refused() {
    let toml = "address = '127.0.0.1:0'\nhost_names = ['a']\ncertificate = 'c'\nkey = 'k'\nclient_ca = 'ca'\n";
    let good: api::config::SigningListener = toml::from_str(toml).unwrap();
    assert_eq!(good.limits.header_bytes, 16 * 1024);
    for typo in ["allow_tls_12 = true", "[limits]\nconections = 1", "[documents]\ndetached = 1"] {
        assert!(toml::from_str::<api::config::SigningListener>(&format!("{toml}{typo}")).is_err());
    }
}

/// D12: what is in flight finishes, what waits is told so, and all of it within the grace.
#[tokio::test]
async fn shutdown_finishes_what_is_in_flight() {
    let rig = Rig::new();
    rig.keeper.slow_ms.store(700, Ordering::Relaxed);
    let mut signing = rig.connect().await;
    let mut polling = rig.connect().await;
    let mut idle = rig.connect().await;
    assert_eq!(idle.get("/v1/nothing").await.status, 404);
    let keeper = Arc::clone(&rig.keeper);
    let (front, address) = (rig.front, rig.signing);
    let stop = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let started = Instant::now();
        (front.shutdown(Duration::from_secs(8)).await, started.elapsed())
    };
    let (signed, polled, (finished, took)) =
        tokio::join!(signing.sign("", "", b"x"), polling.get("/v1/sessions/s-1?wait=60"), stop);
    assert_eq!(signed.status, 200);
    assert_eq!((polled.status, polled.code().as_str()), (503, "not_operational"));
    assert!(finished && took < Duration::from_secs(3), "{took:?}");
    assert!(idle.ends_within(Duration::from_secs(1)).await);
    assert_eq!(keeper.signed.load(Ordering::SeqCst), 1);
    assert!(Client::plain(address).await.is_err(), "the socket is closed");
}

#[tokio::test]
async fn shutdown_does_not_wait_longer_than_its_grace() {
    let rig = Rig::new();
    let mut slow = rig.connect().await;
    slow.send("POST /v1/sign HTTP/1.1\r\nHost: localhost\r\nSigning-Session: good-token\r\nContent-Length: 9\r\n\r\n1")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    assert!(!rig.front.shutdown(Duration::from_secs(1)).await);
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(slow.ends_within(Duration::from_secs(1)).await);
}
