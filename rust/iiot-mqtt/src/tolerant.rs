//! The byte stream to the broker, with [`Wire`] between the stream and the client library.
//!
//! A broker that refuses a publish may answer it and reset the connection at once, as Mosquitto 2.0.11 does for a topic that its access list
//! denies. The answer is then in our socket, but the library would end at the first write that fails, before it has read. So a write
//! that fails is reported at the end of what can still be read.

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
    /// Why nothing can be written any more.
    broken: Option<io::Error>,
}

impl Tolerant {
    pub fn new(stream: Stream, v5: bool, notes: Arc<Notes>) -> Self {
        Self {
            stream,
            wire: Wire::new(v5, notes),
            raw: BytesMut::new(),
            ready: BytesMut::new(),
            broken: None,
        }
    }

    /// Read until there are bytes for the library; there are none at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [0; READ_BYTES];
        while self.ready.is_empty() {
            let mut buffer = ReadBuf::new(&mut chunk);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            let came = buffer.filled();
            if let Err(error) = read {
                self.broken.get_or_insert(error);
            } else if !came.is_empty() {
                self.raw.extend_from_slice(came);
                self.wire.received(&mut self.raw, &mut self.ready);
                continue;
            }
            // A packet that is not complete by now never will be.
            std::mem::swap(&mut self.raw, &mut self.ready);
            let error = self.broken.take_if(|_| self.ready.is_empty());
            return Poll::Ready(error.map_or(Ok(()), Err));
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
        if this.broken.is_none() {
            match ready!(Pin::new(&mut this.stream).poll_write(cx, bytes)) {
                Ok(written) => {
                    this.wire.sent(bytes.get(..written).unwrap_or_default());
                    return Poll::Ready(Ok(written));
                }
                Err(error) => this.broken = Some(error),
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.broken.is_none() {
            this.broken = ready!(Pin::new(&mut this.stream).poll_flush(cx)).err();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::transport::Transport;

    /// Packet 1 (`QoS` 1), with a topic of one letter and no payload.
    const PUBLISH: [u8; 8] = [0x32, 6, 0, 1, b't', 0, 1, 0];
    /// Its PUBACK, with the reason "not authorised".
    const DENIED: [u8; 6] = [0x40, 4, 0, 1, 0x87, 0];

    #[tokio::test]
    async fn an_answer_before_a_reset_is_read_although_a_write_fails_first() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let transport = Transport {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
            tls: None,
            waiting: Arc::default(),
        };
        let stream = transport.connect(Duration::from_secs(10)).await.unwrap();
        let (mut broker, _) = listener.accept().await.unwrap();
        let mut tolerant = Tolerant::new(stream, true, Arc::default());
        tolerant.write_all(&PUBLISH).await.unwrap();
        broker.write_all(&DENIED).await.unwrap();
        broker.readable().await.unwrap();
        // What was not read makes the end a reset.
        drop(broker);

        while tolerant.broken.is_none() {
            tolerant.write_all(&PUBLISH).await.unwrap();
            tolerant.flush().await.unwrap();
        }
        let mut answer = Vec::new();
        let end = tolerant.read_to_end(&mut answer).await;

        assert_eq!(answer, DENIED);
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}
