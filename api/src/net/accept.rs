//! The accept loop of a listener, and the way of one connection from its first octet to its seat.

use super::connection;
use super::handshakes::Evicted;
use super::handshakes::Ticket;
use super::read_ahead::ReadAhead;
use crate::door::Door;
use crate::door::DoorTls;
use crate::door::Peer;
use crate::metrics::HandshakeFailure;
use crate::operations::CardHandshake;
use crate::request_id::RequestId;
use attest::records::Fingerprint;
use rustls::ServerConfig;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Rest after an accept that failed, so that a full descriptor table does not spin a core.
const AFTER_FAILURE: Duration = Duration::from_millis(20);
/// Rest between two looks for a handshake that may be dropped.
const FOR_A_PLACE: Duration = Duration::from_millis(5);

/// Accepts until the front stops.
pub(crate) async fn accept_loop(door: Arc<Door>, listener: TcpListener) {
    let stop = door.shared.stop.clone();
    let _ = stop.run_until_cancelled(accept_for_ever(&door, &listener)).await;
}

async fn accept_for_ever(door: &Arc<Door>, listener: &TcpListener) {
    loop {
        match listener.accept().await {
            Ok((socket, from)) => {
                let address = from.ip().to_canonical();
                let place = place(door, address).await;
                let door = Arc::clone(door);
                let tasks = door.shared.tasks.clone();
                tasks.spawn(async move { welcome(&door, socket, address, place).await });
            }
            Err(error) => {
                door.shared.logs.warn(|suppressed| {
                    tracing::warn!(listener = door.kind.name(), %error, suppressed, "accept failed");
                });
                door.handshakes.evict_oldest();
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

/// Waits for a place among the handshakes; others wait in the system's queue meanwhile.
async fn place(door: &Door, address: IpAddr) -> (Ticket, Evicted) {
    loop {
        match door.handshakes.enter(address) {
            Some(place) => return place,
            None => tokio::time::sleep(FOR_A_PLACE).await,
        }
    }
}

async fn welcome(
    door: &Arc<Door>,
    socket: TcpStream,
    address: IpAddr,
    (ticket, evicted): (Ticket, Evicted),
) {
    let handshake = async {
        socket.set_nodelay(true)?;
        socket.readable().await?;
        ticket.talks();
        shake_hands(door, socket, address).await
    };
    let met = tokio::select! {
        met = tokio::time::timeout(door.handshake, handshake) => met,
        _ = evicted => return failed(door, HandshakeFailure::Shed, "evicted").await,
        () = door.shared.stop.cancelled() => return,
    };
    drop(ticket);
    match met {
        Ok(Ok(Met::Plain(stream, peer))) => connection::serve(door, stream, peer, false).await,
        Ok(Ok(Met::Tls(stream, peer))) => {
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            connection::serve(door, *stream, peer, is_http2).await;
        }
        Ok(Err(error)) => failed(door, HandshakeFailure::of(&error), &error.to_string()).await,
        Err(_) => failed(door, HandshakeFailure::Timeout, "the handshake took too long").await,
    }
}

enum Met {
    Plain(ReadAhead, Peer),
    Tls(Box<TlsStream<ReadAhead>>, Peer),
}

async fn shake_hands(door: &Door, socket: TcpStream, address: IpAddr) -> io::Result<Met> {
    let stream = ReadAhead::new(socket, Arc::clone(&door.shared.pool));
    match &door.tls {
        DoorTls::Plain => Ok(Met::Plain(stream, Peer::plain(address))),
        DoorTls::Server(tls) => {
            let (stream, peer) = accept_tls(&tls.current().config, stream, address).await?;
            Ok(Met::Tls(Box::new(stream), peer))
        }
        DoorTls::Mutual(tls) => {
            let (stream, mut peer) = accept_tls(&tls.current().config, stream, address).await?;
            peer.certificate = peer.chain.first().map(|leaf| Fingerprint::of(leaf));
            Ok(Met::Tls(Box::new(stream), peer))
        }
        DoorTls::Card(tls) => {
            let (config, captured) = tls.current().for_connection().map_err(io::Error::other)?;
            let (stream, mut peer) = accept_tls(&config, stream, address).await?;
            peer.card = captured.handshake().cloned();
            if peer.card.as_ref().map(leaf_of) != peer.chain.first().map(AsRef::as_ref) {
                return Err(io::Error::other(
                    "the certificate sent is not the one that was proved",
                ));
            }
            Ok(Met::Tls(Box::new(stream), peer))
        }
    }
}

fn leaf_of(card: &CardHandshake) -> &[u8] {
    &card.leaf_der
}

async fn accept_tls(
    config: &Arc<ServerConfig>,
    stream: ReadAhead,
    address: IpAddr,
) -> io::Result<(TlsStream<ReadAhead>, Peer)> {
    let stream = TlsAcceptor::from(Arc::clone(config)).accept(stream).await?;
    let tls = stream.get_ref().1;
    let mut peer = Peer::plain(address);
    peer.server_name = tls.server_name().map(str::to_owned);
    peer.chain = tls.peer_certificates().map(<[_]>::to_vec).unwrap_or_default();
    Ok((stream, peer))
}

async fn failed(door: &Door, failure: HandshakeFailure, reason: &str) {
    door.shared.metrics.handshake_failed(door.kind, failure);
    if failure == HandshakeFailure::Left {
        return;
    }
    let request_id = RequestId::random();
    door.shared.logs.warn(|suppressed| {
        tracing::warn!(%request_id, listener = door.kind.name(), reason, suppressed, "handshake failed");
    });
    if let DoorTls::Card(tls) = &door.tls
        && failure != HandshakeFailure::Shed
    {
        let kind = tls.current().kind();
        door.shared.operations.card_handshake_failed(request_id.as_str(), kind, reason).await;
    }
}
