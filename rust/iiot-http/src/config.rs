//! The settings of requests, checked before the first one.

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use iiot_tls::{Files, client_config, server_name};
use rustls_pki_types::ServerName;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The settings of a [`crate::Poster`].
#[derive(Debug, Clone)]
pub struct Config {
    /// The whole write URL with its query; `http://` or `https://`.
    pub url: String,
    /// Sent with every request, for example `Authorization`.
    pub headers: Vec<(String, String)>,
    /// The time for one request, with connecting.
    pub timeout: Duration,
    /// Compress bodies (gzip, level 1).
    pub gzip: bool,
    /// PEM certificates to trust instead of the system's.
    pub ca_file: Option<String>,
    /// The most bytes of an answer's body that are read and kept.
    pub max_body_bytes: usize,
}

/// Enough for the explanation in the answer to a write.
pub const EXPLANATION_BYTES: usize = 64 * 1024;

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The name of the setting.
    pub setting: &'static str,
    message: String,
}

impl ConfigError {
    pub(crate) fn new(setting: &'static str, message: impl Into<String>) -> Self {
        Self {
            setting,
            message: message.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.setting, self.message)
    }
}

impl std::error::Error for ConfigError {}

/// The parts of a URL.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub host: String,
    pub port: u16,
    pub authority: HeaderValue,
    /// Path and query.
    pub path: String,
    pub tls: Option<ServerName<'static>>,
}

impl Target {
    /// Parse a URL.
    pub(crate) fn parse(url: &str) -> Result<Self, ConfigError> {
        // The URL itself is not quoted: everybody who knows the URL of a webhook may post there.
        let wrong = |what: String| ConfigError::new("url", what);
        let uri: Uri = url.parse().map_err(|e| wrong(format!("is no URL: {e}")))?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("must begin with http:// or https://".into())),
        };
        let host = uri
            .host()
            .ok_or_else(|| wrong("names no host".into()))?
            .trim_matches(['[', ']'])
            .to_owned();
        let authority = uri.authority().map_or("", |a| a.as_str());
        if authority.contains('@') {
            return Err(wrong(
                "holds a user name or a password, which would not be sent; use a token".into(),
            ));
        }
        let tls = if secure {
            Some(server_name(&host).ok_or_else(|| {
                wrong("names a host that a certificate cannot be checked against".into())
            })?)
        } else {
            None
        };
        Ok(Self {
            port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            authority: HeaderValue::from_str(authority)
                .map_err(|e| wrong(format!("cannot be sent as a host: {e}")))?,
            path: uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), ToString::to_string),
            host,
            tls,
        })
    }
}

/// Check and convert headers.
pub(crate) fn headers(
    pairs: &[(String, String)],
) -> Result<Vec<(HeaderName, HeaderValue)>, ConfigError> {
    pairs
        .iter()
        .map(|(name, value)| {
            let wrong = |what: &str| ConfigError::new("headers", format!("{name:?} {what}"));
            let mut value = HeaderValue::from_str(value).map_err(|_| {
                wrong("has a value that no header may have (a line end in a token file?)")
            })?;
            value.set_sensitive(true);
            Ok((
                HeaderName::try_from(name).map_err(|_| wrong("is no header name"))?,
                value,
            ))
        })
        .collect()
}

/// The TLS settings of connections.
pub(crate) fn tls(ca_file: Option<&str>) -> Result<Arc<rustls::ClientConfig>, ConfigError> {
    let files = Files {
        ca_file: ca_file.map(str::to_owned),
        ..Files::default()
    };
    client_config(&files).map_err(|fault| ConfigError::new(fault.setting, fault.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Port, host header and path come from the URL; IPv6 is understood.
    #[test]
    fn a_url_is_taken_apart() {
        let target = Target::parse("http://[::1]:8086/api/v2/write?org=o&bucket=b").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("::1", 8086));
        assert_eq!(target.authority, "[::1]:8086");
        assert_eq!(target.path, "/api/v2/write?org=o&bucket=b");
        assert_eq!(Target::parse("https://db.example").unwrap().port, 443);
    }

    /// A user and a password would be left out without a word; the error does not repeat them.
    #[test]
    fn credentials_are_refused() {
        let error = Target::parse("https://user:word@db.example/").unwrap_err();
        let said = error.to_string();
        assert!(said.contains("token") && !said.contains("word@"), "{said}");
    }

    /// A URL with another scheme is refused; the error names the right schemes.
    #[test]
    fn other_schemes_are_refused() {
        let error = Target::parse("ftp://db.example/").unwrap_err();
        assert!(error.to_string().contains("http:// or https://"), "{error}");
        assert!(headers(&[("Authorization".into(), "Token a\nb".into())]).is_err());
    }
}
