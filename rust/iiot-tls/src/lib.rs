//! TLS of every client of the gateway: which certificates are trusted, and which one is shown.

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::fmt;
use std::sync::Arc;

/// Files in PEM form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// Trust these certificates instead of the system's.
    pub ca_file: Option<String>,
    /// Certificate chain of the client.
    pub client_cert_file: Option<String>,
    /// Its key.
    pub client_key_file: Option<String>,
}

/// Why TLS cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFault {
    /// The setting that it comes from.
    pub setting: &'static str,
    /// What is wrong with it.
    pub message: String,
}

impl TlsFault {
    fn new(setting: &'static str, message: impl Into<String>) -> Self {
        Self {
            setting,
            message: message.into(),
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.message)
    }
}

impl std::error::Error for TlsFault {}

/// What TLS connections are made with. Reads the files.
pub fn client_config(files: &Files) -> Result<Arc<ClientConfig>, TlsFault> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsFault::new("ca_file", format!("TLS cannot be used: {error}")))?
        .with_root_certificates(roots(files.ca_file.as_deref())?);
    let config = match (&files.client_cert_file, &files.client_key_file) {
        (Some(chain), Some(key)) => builder
            .with_client_auth_cert(
                certificates("client_cert_file", chain)?,
                private_key("client_key_file", key)?,
            )
            .map_err(|error| TlsFault::new("client_cert_file", error.to_string()))?,
        (None, None) => builder.with_no_client_auth(),
        (Some(_), None) => {
            return Err(TlsFault::new(
                "client_key_file",
                "is missing; a client certificate needs its key",
            ));
        }
        (None, Some(_)) => {
            return Err(TlsFault::new(
                "client_cert_file",
                "is missing; a client key needs its certificate",
            ));
        }
    };
    Ok(Arc::new(config))
}

/// The name that a server's certificate must hold.
pub fn server_name(host: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).ok()
}

/// The certificates to trust.
fn roots(ca_file: Option<&str>) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        for certificate in certificates("ca_file", path)? {
            roots
                .add(certificate)
                .map_err(|error| TlsFault::new("ca_file", format!("{path}: {error}")))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            let message = "is not set, and the system has no trusted certificates";
            return Err(TlsFault::new("ca_file", message));
        }
    }
    Ok(roots)
}

/// The certificates in a file.
pub fn certificates(
    setting: &'static str,
    path: &str,
) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let wrong = |what: String| TlsFault::new(setting, format!("{path}: {what}"));
    let pem = read(path).map_err(wrong)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() {
        return Err(wrong("holds no PEM certificate".to_owned()));
    }
    Ok(found)
}

/// The private key in a file.
pub fn private_key(setting: &'static str, path: &str) -> Result<PrivateKeyDer<'static>, TlsFault> {
    let wrong = |what: String| TlsFault::new(setting, format!("{path}: {what}"));
    let pem = read(path).map_err(wrong)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| wrong(error.to_string()))
}

/// A file without the byte order mark that Windows' editors write, which the parser takes for a part of the first line.
fn read(path: &str) -> Result<Vec<u8>, String> {
    let mut pem = std::fs::read(path).map_err(|error| error.to_string())?;
    if pem.starts_with(b"\xef\xbb\xbf") {
        pem.drain(..3);
    }
    Ok(pem)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use std::io::Write;

    fn fault(files: &Files) -> String {
        client_config(files).unwrap_err().to_string()
    }

    #[test]
    fn a_fault_names_its_setting_and_its_file() {
        //! Files that are not there, and files that hold something else.
        let folder = std::env::temp_dir().join(format!("iiot-tls-{}", std::process::id()));
        let mut file = std::fs::File::create(&folder).unwrap();
        file.write_all(b"no certificate\n").unwrap();
        let path = folder.to_str().unwrap().to_owned();
        let missing = Files {
            ca_file: Some("/no/such/file".into()),
            ..Files::default()
        };
        let empty = Files {
            ca_file: Some(path.clone()),
            ..Files::default()
        };

        assert!(fault(&missing).starts_with("ca_file: /no/such/file: "));
        assert_eq!(
            fault(&empty),
            format!("ca_file: {path}: holds no PEM certificate")
        );
        std::fs::remove_file(folder).unwrap();
    }

    #[test]
    fn a_certificate_and_its_key_belong_together() {
        //! Each without the other is a fault of the one that is missing.
        let cert = Files {
            client_cert_file: Some("cert.pem".into()),
            ..Files::default()
        };
        let key = Files {
            client_key_file: Some("key.pem".into()),
            ..Files::default()
        };

        assert!(fault(&cert).starts_with("client_key_file: is missing"));
        assert!(fault(&key).starts_with("client_cert_file: is missing"));
    }
}
