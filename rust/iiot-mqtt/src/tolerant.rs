//! The byte stream to the broker, with [`Wire`] between the stream and the client library.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::Stream;
use crate::wire::{Notes, Wire};

/// Read at once.
const READ_BYTES: usize = 16 * 1024;

pub struct Tolerant {
    stream: Stream,
    wire: Wire,
    /// As it came.
    raw: BytesMut,
    /// For the library.
    ready: BytesMut,
}

impl Tolerant {
    pub fn new(stream: Stream, v5: bool, notes: Arc<Notes>) -> Self {
        Self {
            stream,
            wire: Wire::new(v5, notes),
            raw: BytesMut::new(),
            ready: BytesMut::new(),
        }
    }

    /// Read until there are bytes for the library; there are none at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [0; READ_BYTES];
        while self.ready.is_empty() {
            let mut buffer = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                // A packet that is not complete by now never will be.
                std::mem::swap(&mut self.raw, &mut self.ready);
                break;
            }
            self.raw.extend_from_slice(buffer.filled());
            self.wire.received(&mut self.raw, &mut self.ready);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Tolerant {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_fill(cx))?;
        let part = this.ready.len().min(buffer.remaining());
        buffer.put_slice(this.ready.get(..part).unwrap_or_default());
        this.ready.advance(part);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tolerant {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
        this.wire.sent(bytes.get(..written).unwrap_or_default());
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
