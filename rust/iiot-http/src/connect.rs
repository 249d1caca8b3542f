//! Opens a connection to a target.

use crate::answer::{Answer, Failure};
use crate::config::Target;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// Connect, and let a task of the current runtime serve the connection.
pub(crate) async fn connect(
    target: &Target,
    tls: Option<&Arc<rustls::ClientConfig>>,
) -> Result<Sender, Answer> {
    let stream = open(target).await?;
    let io = match (&target.tls, tls) {
        (Some(name), Some(config)) => {
            let connector = TlsConnector::from(Arc::clone(config));
            let stream = connector.connect(name.clone(), stream).await;
            Stream::Tls(Box::new(
                stream.map_err(|e| Answer::failed(Failure::Tls, e.to_string()))?,
            ))
        }
        (Some(_), None) => {
            return Err(Answer::failed(
                Failure::Tls,
                "no certificates were loaded for https",
            ));
        }
        (None, _) => Stream::Plain(stream),
    };
    let (sender, connection) = handshake(Io(io))
        .await
        .map_err(|e| Answer::failed(Failure::Reset, e.to_string()))?;
    tokio::spawn(async move {
        // The request under way, or the next one, notices the end of the connection.
        let _ = connection.await;
    });
    Ok(sender)
}

async fn open(target: &Target) -> Result<TcpStream, Answer> {
    let addresses = lookup_host((target.host.as_str(), target.port)).await;
    let addresses =
        addresses.map_err(|e| Answer::failed(Failure::Dns, format!("{}: {e}", target.host)))?;
    let mut last = Answer::failed(Failure::Dns, format!("{} has no address", target.host));
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // A batch is one write; waiting for more data would only delay its last packet.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(e) => {
                let failure = if e.kind() == ErrorKind::TimedOut {
                    Failure::Timeout
                } else {
                    Failure::Refused
                };
                last = Answer::failed(failure, format!("{address}: {e}"));
            }
        }
    }
    Err(last)
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

/// A tokio stream with hyper's traits.
struct Io(Stream);

impl hyper::rt::Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        // A separate buffer costs one copy of a short answer, and avoids the unsafe code that sharing hyper's buffer would need.
        let mut space = [0; 4096];
        let room = cursor.remaining().min(space.len());
        let Some(space) = space.get_mut(..room) else {
            return Poll::Ready(Ok(()));
        };
        let mut buffer = ReadBuf::new(space);
        let outcome = match &mut self.0 {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
        };
        if let Poll::Ready(Ok(())) = outcome {
            cursor.put_slice(buffer.filled());
        }
        outcome
    }
}

impl hyper::rt::Write for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match &mut self.0 {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.0 {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.0 {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self.0, Stream::Plain(_))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        match &mut self.0 {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }
}
