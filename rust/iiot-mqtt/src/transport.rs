//! The byte stream to the broker: TCP without Nagle's delay, or TLS on top of it. TLS is never left out.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls_pki_types::ServerName;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::ended::EndKind;
use crate::failure::Failure;

/// What TLS to the broker needs: its settings, and the name that the broker's certificate must have.
pub type Tls = (Arc<rustls::ClientConfig>, ServerName<'static>);

/// The address of the broker, and how to connect to it.
#[derive(Clone)]
pub struct Transport {
    pub host: String,
    pub port: u16,
    pub tls: Option<Tls>,
    /// There is nothing to send, so received segments must be acknowledged at once; see `Stream::acknowledge_at_once`.
    pub waiting: Arc<AtomicBool>,
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
        // An address that does not answer must leave time for the others.
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
        let waiting = Arc::clone(&self.waiting);
        let Some((config, name)) = &self.tls else {
            return Ok(Stream {
                bytes: Bytes::Plain(tcp),
                waiting,
            });
        };
        let connected = TlsConnector::from(config.clone())
            .connect(name.clone(), tcp)
            .await;
        match connected {
            Ok(tls) => Ok(Stream {
                bytes: Bytes::Tls(Box::new(tls)),
                waiting,
            }),
            Err(error) => {
                let detail = format!("{}:{}: {error}", self.host, self.port);
                Err(io::Error::other(Failure::new(EndKind::Tls, detail)))
            }
        }
    }
}

enum Bytes {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connected stream.
pub struct Stream {
    bytes: Bytes,
    waiting: Arc<AtomicBool>,
}

impl Stream {
    /// Let at most about so many bytes come before they are read.
    pub fn set_ahead(&self, bytes: usize) {
        // Without it everything works, but more is on its way.
        drop(SockRef::from(self.tcp()).set_recv_buffer_size(bytes));
    }

    fn tcp(&self) -> &TcpStream {
        match &self.bytes {
            Bytes::Plain(tcp) => tcp,
            Bytes::Tls(tls) => tls.get_ref().0,
        }
    }

    /// A broker that uses Nagle's algorithm (Mosquitto's default) sends one PUBACK, and holds the others back until the
    /// segment of the first is acknowledged. Data that we send acknowledges it. If there is nothing to send, our kernel
    /// would wait 40 ms. The option does not last, so it is set at each such read.
    #[cfg(target_os = "linux")]
    fn acknowledge_at_once(&self) {
        // Without it everything works, but later.
        drop(self.tcp().set_quickack(true));
    }

    #[cfg(not(target_os = "linux"))]
    fn acknowledge_at_once(&self) {}
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = match &mut this.bytes {
            Bytes::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Bytes::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        };
        if buffer.filled().len() > before && this.waiting.load(Ordering::Relaxed) {
            this.acknowledge_at_once();
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().bytes {
            Bytes::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Bytes::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().bytes {
            Bytes::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Bytes::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().bytes {
            Bytes::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Bytes::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
