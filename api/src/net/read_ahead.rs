//! A socket that is read in large pieces, whatever the reader asks for.
//!
//! rustls asks for 4 KiB at a time: 25 system calls for a document of 100 kB. Here one call takes up to 64 KiB. A buffer
//! belongs to a connection only while there are octets in it, so an idle connection has none.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

const BUFFER_BYTES: usize = 64 * 1024;
const POOLED_BUFFERS: usize = 64;

/// Buffers that no connection needs just now.
#[derive(Debug, Default)]
pub(crate) struct BufferPool(Mutex<Vec<Vec<u8>>>);

impl BufferPool {
    fn take(&self) -> Vec<u8> {
        let pooled = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        pooled.unwrap_or_else(|| vec![0; BUFFER_BYTES])
    }

    fn give(&self, buffer: Vec<u8>) {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.len() == BUFFER_BYTES && pool.len() < POOLED_BUFFERS {
            pool.push(buffer);
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    socket: TcpStream,
    pool: Arc<BufferPool>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl ReadAhead {
    pub(crate) fn new(socket: TcpStream, pool: Arc<BufferPool>) -> Self {
        Self { socket, pool, buffer: Vec::new(), start: 0, end: 0 }
    }

    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // No buffer is taken before there is something to read.
        ready!(self.socket.poll_read_ready(cx))?;
        let mut buffer = self.pool.take();
        let mut into = ReadBuf::new(&mut buffer);
        // Unlike `try_read`, this knows that a buffer not filled has emptied the socket, and does not ask again.
        let read = Pin::new(&mut self.socket).poll_read(cx, &mut into);
        let end = into.filled().len();
        match read {
            Poll::Ready(Ok(())) => (self.buffer, self.start, self.end) = (buffer, 0, end),
            _ => self.pool.give(buffer),
        }
        read
    }

    fn release(&mut self) {
        (self.start, self.end) = (0, 0);
        self.pool.give(std::mem::take(&mut self.buffer));
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.release();
    }
}

impl AsyncRead for ReadAhead {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.start == this.end {
            ready!(this.fill(cx))?;
        }
        let held = this.buffer.get(this.start..this.end).unwrap_or_default();
        let part = held.get(..held.len().min(into.remaining())).unwrap_or_default();
        into.put_slice(part);
        this.start += part.len();
        if this.start >= this.end {
            this.release();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ReadAhead {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
