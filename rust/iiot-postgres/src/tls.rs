//! TLS by rustls, with libpq's meaning of `sslmode`.

use crate::error::{Error, Result};
use crate::settings::{TlsMode, Trust};
use iiot_tls::{TlsFault, certificates, private_key};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

/// Makes TLS connections.
#[derive(Clone)]
pub(crate) struct Connector(Arc<rustls::ClientConfig>);

impl Connector {
    /// Read certificates and keys.
    pub(crate) fn new(trust: &Trust) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = verifier(trust, &provider)?;
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::settings(format!("TLS cannot be used: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match (&trust.certificate, &trust.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let chain =
                    certificates("sslcert", certificate).map_err(|fault| unusable(&fault))?;
                let own = private_key("sslkey", key).map_err(|fault| unusable(&fault))?;
                builder
                    .with_client_auth_cert(chain, own)
                    .map_err(|error| Error::settings(format!("sslkey {key}: {error}")))?
            }
            _ => return Err(Error::settings("sslcert and sslkey need each other")),
        };
        // libpq does the same; a server requires it if the client begins TLS directly.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

fn unusable(fault: &TlsFault) -> Error {
    Error::settings(fault.to_string())
}

fn verifier(trust: &Trust, provider: &Arc<CryptoProvider>) -> Result<Verifier> {
    let verifies = matches!(trust.mode, TlsMode::VerifyCa | TlsMode::VerifyFull);
    let mut roots = rustls::RootCertStore::empty();
    let mut known = Vec::new();
    if trust.root.as_deref() == Some("system") {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(Error::settings(
                "sslrootcert=system, but the system has no trusted certificates",
            ));
        }
    } else if let Some(path) = root_file(trust, verifies)? {
        known = certificates("sslrootcert", &path.to_string_lossy())
            .map_err(|fault| unusable(&fault))?;
        for certificate in &known {
            roots.add(certificate.clone()).map_err(|error| {
                Error::settings(format!("sslrootcert {}: {error}", path.display()))
            })?;
        }
    }
    let chain = if roots.is_empty() {
        None
    } else {
        let built =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        Some(
            built
                .build()
                .map_err(|error| Error::settings(format!("sslrootcert cannot be used: {error}")))?,
        )
    };
    Ok(Verifier {
        chain,
        known,
        checks_name: trust.mode == TlsMode::VerifyFull,
        provider: Arc::clone(provider),
    })
}

/// The file of trusted certificates; none if it does not exist and is not needed.
fn root_file(trust: &Trust, verifies: bool) -> Result<Option<PathBuf>> {
    if let Some(path) = &trust.root {
        // If nothing must be verified, libpq ignores a missing file.
        let path = PathBuf::from(path);
        return Ok((verifies || path.exists()).then_some(path));
    }
    let usual = std::env::var_os("HOME")
        .map(|home| Path::new(&home).join(".postgresql/root.crt"))
        .filter(|path| path.exists());
    if usual.is_none() && verifies {
        return Err(Error::settings(
            "sslmode verifies the server's certificate: name the authority's file in sslrootcert (or sslrootcert=system)",
        ));
    }
    Ok(usual)
}

/// Verifies a certificate as far as the mode requires.
#[derive(Debug)]
struct Verifier {
    /// Checks the chain and the name; none if any certificate is accepted.
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// The trusted certificates themselves: a server may use one of them as its own.
    known: Vec<CertificateDer<'static>>,
    checks_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        if self.known.iter().any(|known| known == end_entity) {
            if self.checks_name {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                rustls::client::verify_server_name(&parsed, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        let outcome =
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match outcome {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// One connection to make.
pub(crate) struct Handshake {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// A TLS stream with the client library's trait.
pub(crate) struct Stream<S>(tokio_rustls::client::TlsStream<S>);

impl<S> MakeTlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> io::Result<Handshake> {
        let name = ServerName::try_from(domain.to_owned()).or_else(|_| {
            // A Unix socket has no name, and needs none.
            ServerName::try_from("localhost")
        });
        Ok(Handshake {
            connector: TlsConnector::from(Arc::clone(&self.0)),
            name: name.map_err(io::Error::other)?,
        })
    }
}

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { self.connector.connect(self.name, stream).await.map(Stream) })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
