//! The settings of a connection: a URL with libpq's parameters, parsed and checked before the first connection.

use crate::error::{Error, Result};
use crate::{names, pass_file};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// The settings that a sink needs to connect.
#[derive(Clone)]
pub struct Settings {
    /// `postgresql://user@host:5432/database`, with libpq's parameters behind a question mark.
    pub url: String,
    /// The password; it overrides the URL's and the password file's.
    pub password: Option<String>,
    /// The password file; none for libpq's default.
    pub pass_file: Option<PathBuf>,
    /// The schema of the tables and of the position.
    pub schema: String,
    /// The name in the server's list of connections.
    pub application_name: String,
    /// The time to connect, with all addresses and TLS.
    pub connect_timeout: Duration,
    /// The time for one transaction.
    pub timeout: Duration,
    /// How long to wait for another client's lock.
    pub lock_timeout: Duration,
}

impl Settings {
    /// The default settings.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            password: None,
            pass_file: None,
            schema: "public".into(),
            application_name: "iiot-gateway".into(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            lock_timeout: Duration::from_secs(10),
        }
    }
}

impl std::fmt::Debug for Settings {
    /// Shows no passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("url", &without_password(&self.url))
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// Only if the server accepts no other connection.
    Allow,
    /// If the server supports it.
    Prefer,
    /// Always, with any certificate.
    Require,
    /// Always, with a certificate of a trusted authority.
    VerifyCa,
    /// The same, and the certificate must be for this host.
    VerifyFull,
}

/// The URL's parameters for certificates.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The required level of TLS.
    pub mode: TlsMode,
    /// `sslrootcert`: a file, or `system`.
    pub root: Option<String>,
    /// `sslcert`: the client's own certificate.
    pub certificate: Option<String>,
    /// `sslkey`: its key.
    pub key: Option<String>,
}

/// A parsed URL.
pub struct Target {
    /// The settings for the client library.
    pub(crate) config: tokio_postgres::Config,
    /// The settings for the TLS connector.
    pub trust: Trust,
}

impl Target {
    /// Parse the settings and find the password.
    pub fn new(settings: &Settings) -> Result<Self> {
        names::check("schema", &settings.schema)
            .map_err(|error| Error::settings(error.to_string()))?;
        let url = settings.url.as_str();
        if !url.starts_with("postgresql://") && !url.starts_with("postgres://") {
            return Err(Error::settings(format!(
                "url {:?} must begin with postgresql://",
                without_password(url)
            )));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut trust = Trust {
            mode: TlsMode::Prefer,
            root: None,
            certificate: None,
            key: None,
        };
        let (mut mode, mut pass_file, mut others) = (None, settings.pass_file.clone(), Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, raw) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decoded(raw)?;
            match key {
                "sslmode" => mode = Some(tls_mode(&value)?),
                "sslrootcert" => trust.root = Some(value),
                "sslcert" => trust.certificate = Some(value),
                "sslkey" => trust.key = Some(value),
                "passfile" => pass_file = Some(value.into()),
                "channel_binding" if value == "require" => {
                    return Err(Error::settings(
                        "channel_binding=require is not supported; sslmode=verify-full keeps others out as well",
                    ));
                }
                // GSS is not supported here. Every value but `require` allows a connection without it.
                "gssencmode" if value != "require" => {}
                _ => others.push(pair),
            }
        }
        trust.mode = match (mode, trust.root.as_deref()) {
            (Some(TlsMode::VerifyFull) | None, Some("system")) => TlsMode::VerifyFull,
            (Some(_), Some("system")) => {
                return Err(Error::settings(
                    "sslrootcert=system needs sslmode=verify-full, because anybody can get a certificate of a public authority",
                ));
            }
            (mode, _) => mode.unwrap_or(TlsMode::Prefer),
        };
        let rest = if others.is_empty() {
            base.to_owned()
        } else {
            format!("{base}?{}", others.join("&"))
        };
        let mut config = tokio_postgres::Config::from_str(&rest)
            .map_err(|error| Error::settings(wrong_url(url, &error)))?;
        complete(&mut config, settings, pass_file)?;
        Ok(Self { config, trust })
    }

    /// Whether the first host is a Unix socket in a folder, which has no TLS.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.config.get_hosts().first(), Some(Host::Unix(_)))
    }

    /// The number of servers in the URL.
    pub(crate) fn hosts(&self) -> usize {
        self.config.get_hosts().len().max(1)
    }

    /// Host and database, for people.
    pub fn shown(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => String::new(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        format!(
            "{host}:{port}/{}",
            self.config.get_dbname().unwrap_or_default()
        )
    }
}

/// Set defaults that the URL does not override.
fn complete(
    config: &mut tokio_postgres::Config,
    settings: &Settings,
    pass_file: Option<PathBuf>,
) -> Result<()> {
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        config.host("localhost");
    }
    let Some(user) = config.get_user().map(str::to_owned) else {
        return Err(Error::settings(format!(
            "url {:?} names no user: postgresql://USER@host/database",
            without_password(&settings.url)
        )));
    };
    if config.get_dbname().is_none() {
        config.dbname(user.clone());
    }
    if config.get_application_name().is_none() {
        config.application_name(settings.application_name.clone());
    }
    if let Some(password) = &settings.password {
        config.password(password);
    } else if config.get_password().is_none() {
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            _ => "localhost".into(),
        };
        let wanted = pass_file::Wanted {
            host: &host,
            port: config.get_ports().first().copied().unwrap_or(5432),
            database: config.get_dbname().unwrap_or_default(),
            user: &user,
        };
        if let Some(password) = pass_file::find(pass_file, &wanted)? {
            config.password(password);
        }
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(settings.connect_timeout);
    }
    // If there are several servers, choose the one that accepts writes.
    if config.get_hosts().len() > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any
    {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    // A half-open connection is noticed within half a minute, even during a wait for an answer.
    config
        .ssl_mode(SslMode::Disable)
        .keepalives(true)
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(4)
        .tcp_user_timeout(Duration::from_secs(30));
    Ok(())
}

fn tls_mode(value: &str) -> Result<TlsMode> {
    Ok(match value {
        "disable" => TlsMode::Disable,
        "allow" => TlsMode::Allow,
        "prefer" => TlsMode::Prefer,
        "require" => TlsMode::Require,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-full" => TlsMode::VerifyFull,
        other => {
            return Err(Error::settings(format!(
                "sslmode is {other:?}, expected disable, allow, prefer, require, verify-ca or verify-full"
            )));
        }
    })
}

/// The URL, with its password replaced if it has one.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.into();
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let authority = match authority.rsplit_once('@') {
        Some((login, host)) => match login.split_once(':') {
            Some((user, _)) => format!("{user}:***@{host}"),
            None => authority.into(),
        },
        None => authority.into(),
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let query: Vec<&str> = query
        .split('&')
        .map(|pair| {
            if pair.starts_with("password=") {
                "password=***"
            } else {
                pair
            }
        })
        .collect();
    let query = query.join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{authority}{path}{mark}{query}")
}

fn wrong_url(url: &str, error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map_or_else(String::new, ToString::to_string);
    format!("url {:?}: {error}: {cause}", without_password(url))
}

fn percent_decoded(text: &str) -> Result<String> {
    let wrong = || Error::settings(format!("{text:?} is not percent-encoded UTF-8"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || {
                let digit = (rest.next()? as char).to_digit(16)?;
                u8::try_from(digit).ok()
            };
            let (Some(high), Some(low)) = (digit(), digit()) else {
                return Err(wrong());
            };
            bytes.push(high << 4 | low);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<Target> {
        let mut settings = Settings::new(url);
        settings.pass_file = Some("/nonexistent".into());
        Target::new(&settings)
    }

    fn fault(url: &str) -> String {
        target(url).err().unwrap().to_string()
    }

    /// What belongs to TLS is taken out of the URL; the rest is the library's.
    #[test]
    fn a_url_is_taken_apart() {
        let found =
            target("postgresql://me@db.example:5433/plant?sslmode=verify-ca&sslrootcert=%2Fa%20b.pem&target_session_attrs=read-write")
                .unwrap();
        assert_eq!(found.trust.mode, TlsMode::VerifyCa);
        assert_eq!(found.trust.root.as_deref(), Some("/a b.pem"));
        assert_eq!(found.shown(), "db.example:5433/plant");
        assert_eq!(
            target("postgres://me@h?sslrootcert=system")
                .unwrap()
                .trust
                .mode,
            TlsMode::VerifyFull
        );
    }

    /// What is wrong is said with what would be right, and never with the password.
    #[test]
    fn faults_name_the_remedy() {
        assert!(fault("mysql://me:secret@h").contains("postgresql://"));
        assert!(!fault("mysql://me:secret@h").contains("secret"));
        assert!(fault("postgresql://h/db").contains("names no user"));
        assert!(fault("postgresql://me@h?sslmode=full").contains("verify-full"));
        assert!(
            fault("postgresql://me@h?sslmode=require&sslrootcert=system").contains("verify-full")
        );
        assert!(fault("postgresql://me:secret@h?colour=red").contains("colour"));
        assert!(!fault("postgresql://me:secret@h?password=other&colour=red").contains("other"));
    }
}
