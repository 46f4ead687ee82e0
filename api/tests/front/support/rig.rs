//! A running front on free ports.

use super::client::Client;
use super::keeper::PaperKeeper;
use super::pki::Pair;
use super::pki::Pki;
use api::config::AdminListener;
use api::config::CardListener;
use api::config::Documents;
use api::config::FrontConfig;
use api::config::Limits;
use api::config::MetricsListener;
use api::config::PortalListener;
use api::config::SigningListener;
use api::server::Front;
use api::server::Sockets;
use std::net::SocketAddr;
use std::sync::Arc;

pub struct Rig {
    pub pki: Pki,
    pub keeper: Arc<PaperKeeper>,
    pub front: Front,
    pub signing: SocketAddr,
    pub hpki: SocketAddr,
    pub jpki: SocketAddr,
    pub portal: SocketAddr,
    pub admin: SocketAddr,
    pub metrics: SocketAddr,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(|_, _| {})
    }

    /// Starts a front after `change` of its configuration.
    pub fn with(change: impl FnOnce(&mut FrontConfig, &Pki)) -> Self {
        let pki = Pki::new();
        let mut config = config(&pki);
        change(&mut config, &pki);
        let keeper = Arc::new(PaperKeeper::default());
        let sockets = Sockets::default().bind(&config).unwrap();
        let address = |sockets: &[std::net::TcpListener]| sockets[0].local_addr().unwrap();
        let [signing, hpki, jpki] =
            [&sockets.signing, &sockets.hpki, &sockets.jpki].map(|sockets| address(sockets));
        let [portal, admin, metrics] =
            [&sockets.portal, &sockets.admin, &sockets.metrics].map(|sockets| address(sockets));
        let registry = keeper.registry.clone();
        let front = Front::start(&config, sockets, Arc::clone(&keeper) as _, &registry).unwrap();
        Self { pki, keeper, front, signing, hpki, jpki, portal, admin, metrics }
    }

    /// A connection of the first signing system.
    pub async fn connect(&self) -> Client {
        self.connect_as(&self.pki.client).await
    }

    pub async fn connect_as(&self, pair: &Pair) -> Client {
        Client::tls13(self.signing, &self.pki, Some(pair), "localhost").await.unwrap()
    }

    pub async fn metrics_text(&self) -> String {
        Client::plain(self.metrics).await.unwrap().get("/metrics").await.text()
    }

    /// A browser's or a phone's connection to the portal.
    pub async fn connect_portal(&self) -> Client {
        Client::tls13(self.portal, &self.pki, None, "localhost").await.unwrap()
    }

    /// A browser's connection with a card.
    pub async fn connect_card(&self, card: Option<&Pair>) -> Client {
        Client::tls12(self.hpki, &self.pki, card, "localhost").await.unwrap()
    }
}

/// Limits as delivered, listeners on free ports.
pub fn config(pki: &Pki) -> FrontConfig {
    let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let host_names = vec!["localhost".to_owned()];
    let certificate = pki.server.certificate_file.clone();
    let key = pki.server.key_file.clone();
    let client_ca = pki.clients.file.clone();
    let card_listener = || CardListener {
        address,
        host_names: host_names.clone(),
        certificate: certificate.clone(),
        key: key.clone(),
        card_ca_hints: Some(pki.cards.file.clone()),
        handshake_seconds: 90,
        keep_alive_seconds: 60,
        limits: Limits::default(),
    };
    FrontConfig {
        signing: Some(SigningListener {
            address,
            host_names: host_names.clone(),
            certificate: certificate.clone(),
            key: key.clone(),
            client_ca: client_ca.clone(),
            client_crls: vec![],
            allow_tls12: false,
            handshake_seconds: 10,
            keep_alive_seconds: 300,
            limits: Limits::default(),
            documents: Documents::default(),
            requests_per_second: 10_000,
        }),
        hpki: Some(card_listener()),
        jpki: Some(card_listener()),
        portal: Some(PortalListener {
            address,
            host_name: "localhost".to_owned(),
            certificate: certificate.clone(),
            key: key.clone(),
            handshake_seconds: 10,
            keep_alive_seconds: 60,
            limits: Limits::default(),
        }),
        admin: Some(AdminListener {
            address,
            host_names: host_names.clone(),
            certificate,
            key,
            client_ca,
            client_crls: vec![],
            handshake_seconds: 10,
            keep_alive_seconds: 60,
            limits: Limits::default(),
        }),
        metrics: Some(MetricsListener {
            address,
            host_names: vec![],
            tls: None,
            limits: Limits::default(),
        }),
        ..FrontConfig::default()
    }
}

/// The signing listener of a configuration.
pub fn signing(config: &mut FrontConfig) -> &mut SigningListener {
    config.signing.as_mut().unwrap()
}
