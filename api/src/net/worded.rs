//! What the HTTP/1.1 codec says of its own accord, in our words.
//!
//! A head that hyper cannot read never becomes a request: it answers with a bare status and ends the connection. On its way
//! out that answer becomes a problem with a request id, counted and logged as every other refusal.

use crate::door::Door;
use crate::door::exchange;
use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

/// See the module.
pub(crate) struct Worded<S> {
    stream: S,
    door: Arc<Door>,
    /// Everything written before was flushed: what comes next is the beginning of an answer.
    at_start: bool,
    /// Our words, while they are being written in place of the codec's.
    instead: Option<Instead>,
}

struct Instead {
    octets: Vec<u8>,
    written: usize,
}

impl<S: AsyncWrite + Unpin> Worded<S> {
    pub(crate) fn new(stream: S, door: Arc<Door>) -> Self {
        Self { stream, door, at_start: true, instead: None }
    }

    /// Whether our words are to be written instead of `octets`.
    fn is_replaced(&mut self, octets: &[u8]) -> bool {
        if std::mem::take(&mut self.at_start) && is_of_the_codec(octets) {
            let octets = exchange::unreadable(&self.door, octets);
            self.instead = Some(Instead { octets, written: 0 });
        }
        self.instead.is_some()
    }

    /// Writes our words; says that `length` octets were written when it is done.
    fn write_instead(&mut self, cx: &mut Context<'_>, length: usize) -> Poll<io::Result<usize>> {
        while let Some(instead) = &mut self.instead {
            let rest = instead.octets.get(instead.written..).unwrap_or_default();
            if rest.is_empty() {
                self.instead = None;
                break;
            }
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => instead.written += written,
            }
        }
        Poll::Ready(Ok(length))
    }
}

/// The codec's own answers are refusals, and do not have the request id that every answer of ours has. No body of ours
/// begins like a head.
fn is_of_the_codec(octets: &[u8]) -> bool {
    octets.starts_with(b"HTTP/1.1 4")
        && !octets.windows(REQUEST_ID.len()).any(|part| part.eq_ignore_ascii_case(REQUEST_ID))
}

impl<S: AsyncRead + Unpin> AsyncRead for Worded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Worded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_replaced(octets) {
            return this.write_instead(cx, octets.len());
        }
        Pin::new(&mut this.stream).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let first = parts.iter().find(|part| !part.is_empty()).map_or(&[][..], |part| part);
        if this.is_replaced(first) {
            return this.write_instead(cx, parts.iter().map(|part| part.len()).sum());
        }
        Pin::new(&mut this.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        this.at_start = true;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

const REQUEST_ID: &[u8] = b"\r\nrequest-id: ";
