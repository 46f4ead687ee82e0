//! From the configuration of a listener to its door: everything that can be wrong is found here, before anything is open.

use super::Door;
use super::DoorTls;
use super::Replaceable;
use super::Shared;
use crate::config::AdminListener;
use crate::config::CardListener;
use crate::config::Documents;
use crate::config::FrontConfig;
use crate::config::Limits;
use crate::config::MetricsListener;
use crate::config::MetricsTls;
use crate::config::PortalListener;
use crate::config::SigningListener;
use crate::error::FrontError;
use crate::http::body::UNIT;
use crate::net::connections::Connections;
use crate::net::counts::Shares;
use crate::net::handshakes::Handshakes;
use crate::routes::Listener;
use crate::server::Sockets;
use crate::tls;
use crate::tls::card::CardTls;
use crate::tls::files::TlsFiles;
use crate::tls::mutual::MutualRules;
use crate::tls::mutual::MutualTls;
use crate::tls::server::ServerTls;
use attest::evidence::CardKind;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// A door and the sockets it will be opened on.
type Opening = (Arc<Door>, Vec<TcpListener>);

/// A door for every configured listener.
pub(crate) fn doors(
    config: &FrontConfig,
    sockets: Sockets,
    shared: &Arc<Shared>,
) -> Result<Vec<Opening>, FrontError> {
    let doors = [
        (config.signing.as_ref().map(|l| signing(l, shared)), sockets.signing),
        (config.hpki.as_ref().map(|l| card(CardKind::Hpki, l, shared)), sockets.hpki),
        (config.jpki.as_ref().map(|l| card(CardKind::Jpki, l, shared)), sockets.jpki),
        (config.portal.as_ref().map(|l| portal(l, shared)), sockets.portal),
        (config.admin.as_ref().map(|l| admin(l, shared)), sockets.admin),
        (config.metrics.as_ref().map(|l| metrics(l, shared)), sockets.metrics),
    ];
    let mut opened = Vec::new();
    for (door, sockets) in doors {
        let Some(mut door) = door.transpose()? else { continue };
        if sockets.is_empty() {
            return Err(FrontError::NoSocket { listener: door.kind.name() });
        }
        door.judge_again = Duration::from_secs(config.certificates.judge_again_seconds);
        opened.push((Arc::new(door), sockets));
    }
    Ok(opened)
}

fn signing(listener: &SigningListener, shared: &Arc<Shared>) -> Result<Door, FrontError> {
    let files = TlsFiles {
        certificate: listener.certificate.clone(),
        key: listener.key.clone(),
        client_ca: Some(listener.client_ca.clone()),
        client_crls: listener.client_crls.clone(),
    };
    let tls = mutual(files, listener.allow_tls12, true)?;
    let door = door(Listener::Signing, tls, &listener.limits, shared)?;
    Ok(Door {
        host_names: host_names(Listener::Signing, &listener.host_names)?,
        documents: listener.documents.clone(),
        requests_per_second: listener.requests_per_second,
        handshake: Duration::from_secs(listener.handshake_seconds),
        keep_alive: Duration::from_secs(listener.keep_alive_seconds),
        ..door
    })
}

fn card(kind: CardKind, listener: &CardListener, shared: &Arc<Shared>) -> Result<Door, FrontError> {
    let name = match kind {
        CardKind::Hpki => Listener::Hpki,
        CardKind::Jpki => Listener::Jpki,
    };
    let files = TlsFiles {
        certificate: listener.certificate.clone(),
        key: listener.key.clone(),
        client_ca: listener.card_ca_hints.clone(),
        client_crls: Vec::new(),
    };
    let provider = tls::provider();
    let tls = Replaceable::new(files, move |files| CardTls::read(kind, files, &provider))?;
    let door = door(name, DoorTls::Card(tls), &listener.limits, shared)?;
    Ok(Door {
        host_names: host_names(name, &listener.host_names)?,
        handshake: Duration::from_secs(listener.handshake_seconds),
        keep_alive: Duration::from_secs(listener.keep_alive_seconds),
        ..door
    })
}

fn portal(listener: &PortalListener, shared: &Arc<Shared>) -> Result<Door, FrontError> {
    let files = TlsFiles {
        certificate: listener.certificate.clone(),
        key: listener.key.clone(),
        client_ca: None,
        client_crls: Vec::new(),
    };
    let provider = tls::provider();
    let tls = Replaceable::new(files, move |files| ServerTls::read(files, &provider))?;
    let door = door(Listener::Portal, DoorTls::Server(tls), &listener.limits, shared)?;
    Ok(Door {
        host_names: host_names(Listener::Portal, std::slice::from_ref(&listener.host_name))?,
        handshake: Duration::from_secs(listener.handshake_seconds),
        keep_alive: Duration::from_secs(listener.keep_alive_seconds),
        ..door
    })
}

fn admin(listener: &AdminListener, shared: &Arc<Shared>) -> Result<Door, FrontError> {
    let files = TlsFiles {
        certificate: listener.certificate.clone(),
        key: listener.key.clone(),
        client_ca: Some(listener.client_ca.clone()),
        client_crls: listener.client_crls.clone(),
    };
    let door = door(Listener::Admin, mutual(files, false, false)?, &listener.limits, shared)?;
    Ok(Door {
        host_names: host_names(Listener::Admin, &listener.host_names)?,
        handshake: Duration::from_secs(listener.handshake_seconds),
        keep_alive: Duration::from_secs(listener.keep_alive_seconds),
        ..door
    })
}

fn metrics(listener: &MetricsListener, shared: &Arc<Shared>) -> Result<Door, FrontError> {
    let tls = match &listener.tls {
        Some(tls) => metrics_tls(tls)?,
        None if listener.address.ip().to_canonical().is_loopback() => DoorTls::Plain,
        None => return Err(FrontError::PlainMetrics(listener.address)),
    };
    let handshake = listener.tls.as_ref().map_or(10, |tls| tls.handshake_seconds);
    let door = door(Listener::Metrics, tls, &listener.limits, shared)?;
    Ok(Door {
        host_names: listener.host_names.iter().map(|name| name.to_lowercase()).collect(),
        handshake: Duration::from_secs(handshake),
        ..door
    })
}

fn metrics_tls(tls: &MetricsTls) -> Result<DoorTls, FrontError> {
    let files = TlsFiles {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        client_ca: Some(tls.client_ca.clone()),
        client_crls: tls.client_crls.clone(),
    };
    mutual(files, false, false)
}

fn mutual(files: TlsFiles, allow_tls12: bool, allow_http2: bool) -> Result<DoorTls, FrontError> {
    let provider = tls::provider();
    let rules = MutualRules { allow_tls12, allow_http2 };
    let read = move |files: &TlsFiles| MutualTls::read(files, rules, &provider);
    Ok(DoorTls::Mutual(Replaceable::new(files, read)?))
}

/// A door with the limits of its listener; what only some listeners have is left at its neutral value.
fn door(
    kind: Listener,
    tls: DoorTls,
    limits: &Limits,
    shared: &Arc<Shared>,
) -> Result<Door, FrontError> {
    if let Some(limit) = limits.zero() {
        return Err(FrontError::ZeroLimit { listener: kind.name(), limit });
    }
    let permits = |count: usize| Semaphore::new(count.min(Semaphore::MAX_PERMITS));
    Ok(Door {
        kind,
        host_names: Vec::new(),
        tls,
        limits: limits.clone(),
        documents: Documents::default(),
        requests_per_second: 0,
        handshake: Duration::from_secs(10),
        keep_alive: Duration::from_secs(60),
        judge_again: Duration::ZERO,
        handshakes: Arc::new(Handshakes::new(limits.handshakes, limits.handshakes_per_address)),
        connections: Connections::new(
            limits.connections,
            limits.connections_per_address,
            shared.stop.clone(),
        ),
        requests: permits(limits.requests),
        clients: Shares::new(limits.requests_per_client),
        waiting: permits(limits.waiting_requests),
        buffered: Arc::new(permits(limits.buffered_bytes / UNIT)),
        shared: Arc::clone(shared),
    })
}

fn host_names(listener: Listener, names: &[String]) -> Result<Vec<String>, FrontError> {
    if names.is_empty() {
        return Err(FrontError::NoHostName(listener.name()));
    }
    Ok(names.iter().map(|name| name.to_lowercase()).collect())
}
