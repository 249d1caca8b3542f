//! The settings of an MQTT sink, checked: URL, topics, certificates.

use std::fmt;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use iiot_core::mqtt_text::{MAX_TEXT_BYTES, text_fault};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::destination::{Destinations, topic_fault};
use crate::policy::Backlog;
use crate::transport::Transport;

/// Which MQTT is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.
    V5,
}

/// Everything a sink must be told.
#[derive(Clone)]
pub struct Config {
    /// `mqtt://` or `tcp://` (1883), `mqtts://` or `ssl://` (8883; TLS or nothing), with user and password if they are not given below.
    pub broker_url: String,
    /// Client id.
    pub client_id: String,
    /// Where `online` and `offline` go, retained; empty for none.
    pub availability_topic: String,
    /// Where the health document goes, retained; empty for none.
    pub health_topic: String,
    /// Filters of the gateway's own topics: a value that would go there is refused, however it came by its topic.
    pub own_topics: Vec<String>,
    /// Which MQTT.
    pub protocol: Protocol,
    /// 0, 1 or 2.
    pub qos: u8,
    /// What to do with frames that queue up.
    pub backlog: Backlog,
    /// Ping interval of an idle connection; whole seconds are sent.
    pub keep_alive: Duration,
    /// How long the oldest publish may wait for its acknowledgement.
    pub ack_timeout: Duration,
    /// From the first lookup to the CONNACK.
    pub connect_timeout: Duration,
    /// Publishes sent and not yet acknowledged, at most.
    pub inflight: u16,
    /// Topics whose last value and time are remembered, at most; a further one is sent with retain off.
    pub max_topics: u32,
    /// Stands over the URL's.
    pub username: Option<String>,
    /// Stands over the URL's.
    pub password: Option<String>,
    /// Trust these certificates (PEM) instead of the system's.
    pub ca_file: Option<String>,
    /// Certificate chain of the client (PEM).
    pub client_cert_file: Option<String>,
    /// Its key (PEM).
    pub client_key_file: Option<String>,
}

impl Config {
    /// The defaults around a URL and a client id.
    pub fn new(broker_url: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self {
            broker_url: broker_url.into(),
            client_id: client_id.into(),
            availability_topic: String::new(),
            health_topic: String::new(),
            own_topics: Vec::new(),
            protocol: Protocol::V311,
            qos: 1,
            backlog: Backlog::Replay,
            keep_alive: Duration::from_secs(30),
            ack_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(10),
            inflight: 1000,
            max_topics: 100_000,
            username: None,
            password: None,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
        }
    }
}

impl fmt::Debug for Config {
    /// Without secrets: a URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("client_id", &self.client_id)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// A setting cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Its name.
    pub setting: &'static str,
    /// What is wrong with it and what would be right.
    pub message: String,
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
        write!(f, "{}: {}", self.setting, self.message)
    }
}

impl std::error::Error for ConfigError {}

/// The parts of a broker's URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokerUrl {
    pub tls: bool,
    pub host: String,
    pub port: u16,
    pub username: Option<String>,
    pub password: Option<String>,
}

impl BrokerUrl {
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let wrong = |message: &str| ConfigError::new("broker_url", message);
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            wrong("has no scheme; expected mqtt://host[:port] or mqtts://host[:port] (tcp:// and ssl:// mean the same)")
        })?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "mqtt" | "tcp" => false,
            "mqtts" | "ssl" => true,
            other => {
                let shown: String = other.chars().take(40).collect();
                return Err(ConfigError::new(
                    "broker_url",
                    format!(
                        "scheme {shown:?} is not known; accepted are mqtt, tcp (plain), mqtts, ssl (TLS)"
                    ),
                ));
            }
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if rest.len() > authority.len() + 1 {
            return Err(wrong(
                "has something behind the port; expected scheme://host:port",
            ));
        }
        let (user_info, host_port) = match authority.rsplit_once('@') {
            Some((user_info, host_port)) => (Some(user_info), host_port),
            None => (None, authority),
        };
        let (username, password) = match user_info.map(|info| {
            info.split_once(':')
                .map_or((info, None), |(u, p)| (u, Some(p)))
        }) {
            Some((user, password)) => (
                Some(percent_decoded(user)?),
                password.map(percent_decoded).transpose()?,
            ),
            None => (None, None),
        };
        let (host, port) = match host_port.strip_prefix('[') {
            Some(inner) => {
                let (host, behind) = inner
                    .split_once(']')
                    .ok_or_else(|| wrong("the bracket of the IPv6 address is not closed"))?;
                if host.parse::<std::net::Ipv6Addr>().is_err() {
                    return Err(wrong("there is no IPv6 address between the brackets"));
                }
                (
                    host,
                    behind.strip_prefix(':').or(if behind.is_empty() {
                        None
                    } else {
                        Some(behind)
                    }),
                )
            }
            None => host_port
                .split_once(':')
                .map_or((host_port, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong("has no host"));
        }
        let port = match port {
            None => {
                if tls {
                    8883
                } else {
                    1883
                }
            }
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
                wrong("the port is not a number from 1 to 65535 (an IPv6 address needs brackets)")
            })?,
        };
        Ok(Self {
            tls,
            host: host.to_owned(),
            port,
            username,
            password,
        })
    }
}

fn percent_decoded(text: &str) -> Result<String, ConfigError> {
    let wrong = || {
        ConfigError::new(
            "broker_url",
            "user name or password is not well percent-encoded",
        )
    };
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || {
            bytes
                .next()
                .and_then(|byte| char::from(byte).to_digit(16))
                .ok_or_else(wrong)
        };
        decoded.push((digit()? * 16 + digit()?) as u8);
    }
    String::from_utf8(decoded).map_err(|_| wrong())
}

/// A configuration that was found good, with what it led to.
#[derive(Clone)]
pub(crate) struct Checked {
    pub config: Config,
    pub destinations: Destinations,
    pub transport: Transport,
    pub credentials: Option<(String, Option<String>)>,
    pub keep_alive_s: u16,
}

/// As long as what stands in a marker's name for the last level of a topic, at least.
const MARKER_ROOM: &str = "/refresh/0123456789abcdef";

pub(crate) fn check(config: Config) -> Result<Checked, ConfigError> {
    let url = BrokerUrl::parse(&config.broker_url)?;
    if config.client_id.is_empty() {
        return Err(ConfigError::new("client_id", "is empty"));
    }
    if let Some(fault) = text_fault(&config.client_id) {
        return Err(ConfigError::new("client_id", fault.to_string()));
    }
    if config.qos > 2 {
        return Err(ConfigError::new(
            "qos",
            format!("is {}; expected 0, 1 or 2", config.qos),
        ));
    }
    if config.inflight == 0 {
        return Err(ConfigError::new("inflight", "is 0; expected 1 to 65535"));
    }
    for (setting, topic) in [
        ("availability_topic", &config.availability_topic),
        ("health_topic", &config.health_topic),
    ] {
        // Markers are published beside them, under longer names.
        let fault = if topic.is_empty() {
            None
        } else {
            topic_fault(&format!("{topic}{MARKER_ROOM}"))
        };
        if let Some(fault) = fault {
            return Err(ConfigError::new(setting, fault));
        }
    }
    for (setting, time) in [
        ("ack_timeout_s", config.ack_timeout),
        ("connect_timeout_s", config.connect_timeout),
    ] {
        if time.is_zero() {
            return Err(ConfigError::new(setting, "is 0"));
        }
    }
    let whole_s = config.keep_alive.as_secs() + u64::from(config.keep_alive.subsec_nanos() > 0);
    let keep_alive_s =
        u16::try_from(whole_s).map_err(|_| ConfigError::new("keep_alive_s", "is above 65535"))?;
    let tls = if url.tls {
        Some((tls_config(&config)?, server_name(&url.host)?))
    } else {
        None
    };
    if !url.tls && (config.ca_file.is_some() || config.client_cert_file.is_some()) {
        return Err(ConfigError::new(
            "broker_url",
            "certificates are configured, but the scheme is a plain one; expected mqtts://",
        ));
    }
    let username = config.username.clone().or(url.username);
    let password = config.password.clone().or(url.password);
    if let Some(fault) = username.as_deref().and_then(text_fault) {
        return Err(ConfigError::new("username", fault.to_string()));
    }
    if password
        .as_ref()
        .is_some_and(|password| password.len() > MAX_TEXT_BYTES)
    {
        let message = format!("is longer than {MAX_TEXT_BYTES} bytes");
        return Err(ConfigError::new("password", message));
    }
    let credentials = match (username, password) {
        (Some(user), password) => Some((user, password)),
        (None, Some(_)) => {
            return Err(ConfigError::new(
                "username",
                "is missing, but a password is given",
            ));
        }
        (None, None) => None,
    };
    let transport = Transport {
        host: url.host,
        port: url.port,
        tls,
        waiting: Arc::default(),
    };
    Ok(Checked {
        destinations: Destinations::new(&config.own_topics)?,
        config,
        transport,
        credentials,
        keep_alive_s,
    })
}

fn server_name(host: &str) -> Result<ServerName<'static>, ConfigError> {
    ServerName::try_from(host.to_owned()).map_err(|_| {
        ConfigError::new(
            "broker_url",
            "the host is not a name that a certificate can be checked against",
        )
    })
}

fn tls_config(config: &Config) -> Result<Arc<rustls::ClientConfig>, ConfigError> {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(path) = &config.ca_file {
        for certificate in certificates("ca_file", path)? {
            roots
                .add(certificate)
                .map_err(|error| ConfigError::new("ca_file", format!("{path}: {error}")))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            let message = "is not set, and the system has no trusted certificates";
            return Err(ConfigError::new("ca_file", message));
        }
    }
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .map_err(|error| ConfigError::new("broker_url", format!("TLS cannot be used: {error}")))?
    .with_root_certificates(roots);
    let tls = match (&config.client_cert_file, &config.client_key_file) {
        (Some(chain), Some(key)) => {
            let chain = certificates("client_cert_file", chain)?;
            let wrong =
                |what: String| ConfigError::new("client_key_file", format!("{key}: {what}"));
            let pem = fs::read(key).map_err(|error| wrong(error.to_string()))?;
            let key = PrivateKeyDer::from_pem_slice(without_mark(&pem))
                .map_err(|error| wrong(error.to_string()))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| ConfigError::new("client_cert_file", error.to_string()))?
        }
        (None, None) => builder.with_no_client_auth(),
        (Some(_), None) => {
            return Err(ConfigError::new(
                "client_key_file",
                "is missing; a client certificate needs its key",
            ));
        }
        (None, Some(_)) => {
            return Err(ConfigError::new(
                "client_cert_file",
                "is missing; a client key needs its certificate",
            ));
        }
    };
    Ok(Arc::new(tls))
}

/// Windows' editors write a byte order mark, which the parser takes for a part of the first line.
fn without_mark(pem: &[u8]) -> &[u8] {
    pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem)
}

fn certificates(
    setting: &'static str,
    path: &str,
) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let wrong = |what: String| ConfigError::new(setting, format!("{path}: {what}"));
    let pem = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(without_mark(&pem)).collect();
    let found = found.map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() {
        Err(wrong("holds no PEM certificate".to_owned()))
    } else {
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<BrokerUrl, String> {
        BrokerUrl::parse(url).map_err(|error| error.to_string())
    }

    #[test]
    fn urls_give_host_port_and_credentials() {
        let plain = |tls, host: &str, port| {
            let (host, username, password) = (host.to_owned(), None, None);
            Ok(BrokerUrl {
                tls,
                host,
                port,
                username,
                password,
            })
        };
        assert_eq!(parsed("mqtt://broker"), plain(false, "broker", 1883));
        assert_eq!(parsed("tcp://broker:1884/"), plain(false, "broker", 1884));
        assert_eq!(parsed("MQTTS://broker"), plain(true, "broker", 8883));
        assert_eq!(parsed("ssl://[::1]:8884"), plain(true, "::1", 8884));
        assert_eq!(parsed("mqtt://[fe80::1]"), plain(false, "fe80::1", 1883));
        let url = parsed("mqtt://us%40er:p%3Aw:d@broker").unwrap();
        assert_eq!(
            (url.username.as_deref(), url.password.as_deref()),
            (Some("us@er"), Some("p:w:d"))
        );
    }

    #[test]
    fn a_scheme_that_is_not_known_names_those_that_are() {
        let error = parsed("ws://broker").unwrap_err();

        assert_eq!(
            error,
            "broker_url: scheme \"ws\" is not known; accepted are mqtt, tcp (plain), mqtts, ssl (TLS)"
        );
    }

    #[test]
    fn urls_that_cannot_be_used_are_refused_without_showing_the_password() {
        for url in [
            "broker",
            "mqtt://",
            "mqtt://u:secret@",
            "mqtt://b:0",
            "mqtt://b:x",
            "mqtt://::1",
            "mqtt://[::1",
            "mqtt://[x]",
            "mqtt://u:secret%zz@b",
            "mqtt://b/path",
        ] {
            let error = parsed(url).unwrap_err();

            assert!(
                error.starts_with("broker_url: ") && !error.contains("secret"),
                "{url}: {error}"
            );
        }
    }

    #[test]
    fn texts_that_mqtt_does_not_take_are_named() {
        let base = || Config::new("mqtt://b", "id");
        let cases = [
            (
                "client_id",
                Config {
                    client_id: "a\u{7}".into(),
                    ..base()
                },
            ),
            (
                "username",
                Config {
                    broker_url: "mqtt://a%00@b".into(),
                    ..base()
                },
            ),
            (
                "password",
                Config {
                    username: Some("u".into()),
                    password: Some("x".repeat(65_536)),
                    ..base()
                },
            ),
            (
                "health_topic",
                Config {
                    // Its markers would be too long.
                    health_topic: "x".repeat(65_530),
                    ..base()
                },
            ),
            (
                "own_topics",
                Config {
                    own_topics: vec!["a/#/b".into()],
                    ..base()
                },
            ),
        ];
        for (setting, config) in cases {
            assert_eq!(
                check(config).err().map(|error| error.setting),
                Some(setting)
            );
        }
    }

    #[test]
    fn settings_that_cannot_be_used_are_named() {
        let base = || Config::new("mqtt://b", "id");
        let cases = [
            (
                "client_id",
                Config {
                    client_id: String::new(),
                    ..base()
                },
            ),
            ("qos", Config { qos: 3, ..base() }),
            (
                "inflight",
                Config {
                    inflight: 0,
                    ..base()
                },
            ),
            (
                "availability_topic",
                Config {
                    availability_topic: "a/#".into(),
                    ..base()
                },
            ),
            (
                "ack_timeout_s",
                Config {
                    ack_timeout: Duration::ZERO,
                    ..base()
                },
            ),
            (
                "keep_alive_s",
                Config {
                    keep_alive: Duration::from_secs(70_000),
                    ..base()
                },
            ),
            (
                "username",
                Config {
                    password: Some("p".into()),
                    ..base()
                },
            ),
            (
                "broker_url",
                Config {
                    ca_file: Some("ca".into()),
                    ..base()
                },
            ),
            (
                "ca_file",
                Config {
                    ca_file: Some("/no/such/file".into()),
                    broker_url: "mqtts://b".into(),
                    ..base()
                },
            ),
        ];
        for (setting, config) in cases {
            assert_eq!(
                check(config).err().map(|error| error.setting),
                Some(setting)
            );
        }
    }
}
