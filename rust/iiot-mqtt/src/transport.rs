//! The byte stream to the broker: TCP without Nagle's delay, or TLS on top of it. TLS is never left out.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::{EndKind, Failure};

/// Where the broker is and how to speak to it.
#[derive(Clone)]
pub struct Transport {
    pub host: String,
    pub port: u16,
    pub tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
}

impl Transport {
    /// Connect within the time, trying every address of the host.
    pub async fn connect(&self, within: Duration) -> io::Result<Stream> {
        let unreachable = |what: String| {
            io::Error::other(Failure::new(
                EndKind::Unreachable,
                format!("{}:{}: {what}", self.host, self.port),
            ))
        };
        let looked_up = timeout(within, lookup_host((self.host.as_str(), self.port))).await;
        let addresses: Vec<_> = looked_up
            .map_err(|_| unreachable("the name was not resolved in time".to_owned()))?
            .map_err(|error| unreachable(error.to_string()))?
            .collect();
        // A silent address must leave time for the others.
        let share = within / addresses.len().max(1) as u32;
        let mut last = "the name has no address".to_owned();
        for address in addresses {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    tcp.set_nodelay(true)?;
                    return self.secure(tcp).await;
                }
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => "no answer".clone_into(&mut last),
            }
        }
        Err(unreachable(last))
    }

    async fn secure(&self, tcp: TcpStream) -> io::Result<Stream> {
        let Some((config, name)) = &self.tls else {
            return Ok(Stream::Plain(tcp));
        };
        let connected = TlsConnector::from(config.clone())
            .connect(name.clone(), tcp)
            .await;
        let failed = |error: io::Error| {
            io::Error::other(Failure::new(
                EndKind::Tls,
                format!("{}:{}: {error}", self.host, self.port),
            ))
        };
        connected
            .map(|tls| Stream::Tls(Box::new(tls)))
            .map_err(failed)
    }
}

/// A connected stream.
pub enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
