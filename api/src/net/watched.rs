//! A connection's octets under two clocks: a request head must arrive in time, and an answer must be read in time.

use super::activity::Activity;
use std::io;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Sleep;

/// See the module. Wraps what the HTTP codec reads and writes, so TLS is inside.
pub(crate) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
    patience: Patience,
    /// Requests begun when `head` was set.
    begun: u64,
    head: Alarm,
    write: Alarm,
}

/// The limits of [`Watched`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For a request head from its first octet; `None` where heads are frames of their own (HTTP/2).
    pub(crate) head: Option<Duration>,
    /// For an answer that nobody reads.
    pub(crate) write: Duration,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, activity: Arc<Activity>, patience: Patience) -> Self {
        let begun = activity.begun();
        let (head, write) = (Alarm::default(), Alarm::default());
        Self { stream, activity, patience, begun, head, write }
    }

    fn wrote(&mut self, cx: &mut Context<'_>, is_pending: bool) -> io::Result<()> {
        if is_pending {
            return self.write.ring(self.patience.write, cx);
        }
        self.write.stop();
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.stream).poll_read(cx, into);
        let Some(limit) = this.patience.head else { return read };
        let begun = this.activity.begun();
        if begun != this.begun {
            this.begun = begun;
            this.head.stop();
        }
        if !this.activity.is_busy() && (read.is_ready() || this.head.is_set()) {
            this.head.ring(limit, cx)?;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, octets);
        this.wrote(cx, written.is_pending())?;
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, parts);
        this.wrote(cx, written.is_pending())?;
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.wrote(cx, flushed.is_pending())?;
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.wrote(cx, shut.is_pending())?;
        shut
    }
}

/// A clock that runs from the first [`ring`](Self::ring) until [`stop`](Self::stop).
#[derive(Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    fn is_set(&self) -> bool {
        self.0.is_some()
    }

    fn ring(&mut self, limit: Duration, cx: &mut Context<'_>) -> io::Result<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        match sleep.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::Error::from(ErrorKind::TimedOut)),
            Poll::Pending => Ok(()),
        }
    }

    fn stop(&mut self) {
        self.0 = None;
    }
}
