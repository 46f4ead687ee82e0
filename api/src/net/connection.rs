//! One connection after its handshake: HTTP on it, its idle limit, its graceful end.

use super::activity::Activity;
use super::watched::Patience;
use super::watched::Watched;
use super::worded::Worded;
use crate::config::Limits;
use crate::door::Door;
use crate::door::Peer;
use crate::door::exchange;
use crate::http::answer;
use crate::http::answer::Answer;
use crate::metrics::Refused;
use hyper::Request;
use hyper::body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// See [`readable_head`].
const HEAD_SLACK: usize = 16 * 1024;

/// Serves a connection until it ends, idles too long, has to make room, or the front stops.
pub(crate) async fn serve<S>(door: &Arc<Door>, stream: S, peer: Peer, is_http2: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new());
    let Some(seat) = door.connections.enter(peer.address, Arc::clone(&activity)) else {
        door.shared.metrics.refused(door.kind, Refused::Connections);
        return;
    };
    let _gauge = door.shared.metrics.connection(door.kind);
    let write = Duration::from_secs(door.limits.write_seconds);
    let head = Duration::from_secs(door.limits.header_seconds);
    let patience = Patience { head: (!is_http2).then_some(head), write };
    let stream = Watched::new(stream, Arc::clone(&activity), patience);
    let unread = CancellationToken::new();
    let service = {
        let unread = unread.clone();
        let (door, peer, activity) = (Arc::clone(door), Arc::new(peer), Arc::clone(&activity));
        service_fn(move |request: Request<Incoming>| {
            let at_work = AtWork::new(Arc::clone(&activity));
            let (door, peer) = (Arc::clone(&door), Arc::clone(&peer));
            let unread = unread.clone();
            async move {
                let answer = exchange::answer(&door, &peer, request).await;
                drop(at_work);
                Ok::<Answer, Infallible>(match is_http2 {
                    true => must_be_read(answer, &door.limits, unread),
                    false => answer,
                })
            }
        })
    };
    if is_http2 {
        let connection = http2_builder(door).serve_connection(TokioIo::new(stream), service);
        drive(door, connection, &activity, &seat.close, &unread).await;
    } else {
        let io = TokioIo::new(Worded::new(stream, Arc::clone(door)));
        let connection = http1_builder(door).serve_connection(io, service);
        drive(door, connection, &activity, &seat.close, &unread).await;
    }
}

/// Ends the connection when an answer is not taken in time. On HTTP/2 the peer says how much of each it takes, and a
/// socket that takes everything else says nothing about that: [`Watched`] sees no write that waits.
fn must_be_read(answer: Answer, limits: &Limits, unread: CancellationToken) -> Answer {
    let length = answer.body().size_hint().exact().unwrap_or_default();
    if length == 0 {
        return answer;
    }
    let seconds = length / limits.body_bytes_per_second.max(1);
    let limit = Duration::from_secs(limits.write_seconds.saturating_add(seconds));
    let (kept, taken) = oneshot::channel::<Infallible>();
    tokio::spawn(async move {
        if tokio::time::timeout(limit, taken).await.is_err() {
            unread.cancel();
        }
    });
    answer::keeping(answer, kept)
}

/// Octets of a head above the limit that still becomes a request, so that a route refuses it with a problem.
fn readable_head(door: &Door) -> usize {
    door.limits.header_bytes.saturating_add(HEAD_SLACK)
}

fn http1_builder(door: &Door) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // `Watched` times heads and the idle limit: hyper's timer would take one for the other.
        .header_read_timeout(None)
        .max_header_size(readable_head(door))
        .max_headers(door.limits.header_fields.saturating_mul(2))
        .half_close(false)
        .pipeline_flush(false);
    builder
}

fn http2_builder(door: &Door) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(door.limits.streams)
        .max_header_list_size(u32::try_from(readable_head(door)).unwrap_or(u32::MAX))
        // A document of 100 kB needs no window update on its way.
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        // Rapid reset (CVE-2023-44487) and MadeYouReset (CVE-2025-8671): few may be pending, then the connection goes.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(64)
        .max_send_buf_size(256 * 1024);
    builder
}

/// A request of a connection, from its head to its answer.
struct AtWork(Arc<Activity>);

impl AtWork {
    fn new(activity: Arc<Activity>) -> Self {
        activity.begin();
        Self(activity)
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A connection that can be told to end in the way of its protocol.
trait Closable: Future<Output = hyper::Result<()>> {
    fn close(self: Pin<&mut Self>);
}

impl<I, S> Closable for http1::Connection<I, S>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: hyper::service::HttpService<Incoming, ResBody = http_body_util::Full<bytes::Bytes>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn close(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S> Closable for http2::Connection<I, S, TokioExecutor>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: hyper::service::HttpService<Incoming, ResBody = http_body_util::Full<bytes::Bytes>>,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn close(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

async fn drive(
    door: &Door,
    connection: impl Closable,
    activity: &Activity,
    close: &CancellationToken,
    unread: &CancellationToken,
) {
    let mut connection = std::pin::pin!(connection);
    let mut closing = false;
    loop {
        let idle_left = door.keep_alive.saturating_sub(activity.idle_for());
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(listener = door.kind.name(), %error, "connection ended");
                }
                return;
            }
            // Killing comes after stopping: a connection that nobody has told to close waits for one thing less.
            () = door.shared.kill.cancelled(), if closing => return,
            () = unread.cancelled() => return,
            () = close.cancelled(), if !closing => {
                closing = true;
                connection.as_mut().close();
            }
            () = tokio::time::sleep(idle_left.max(Duration::from_millis(50))), if !closing => {
                if activity.idle_for() >= door.keep_alive {
                    closing = true;
                    connection.as_mut().close();
                }
            }
        }
    }
}
