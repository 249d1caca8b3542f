//! The settings of an MQTT client, checked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use iiot_core::mqtt_text::{MAX_TEXT_BYTES, text_fault};
use iiot_tls::{Files, client_config, server_name};

use crate::broker_url::BrokerUrl;
use crate::client::Setup;
use crate::config_error::ConfigError;
use crate::destination::{Destinations, topic_fault};
use crate::policy::Backlog;
use crate::transport::Transport;

/// The version of MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.
    V5,
}

/// All settings of a sink.
#[derive(Clone)]
pub struct Config {
    /// `mqtt://` or `tcp://` (1883), `mqtts://` or `ssl://` (8883; TLS or nothing).
    pub broker_url: String,
    /// Client id.
    pub client_id: String,
    /// Where `online` and `offline` go, retained; empty for none.
    pub availability_topic: String,
    /// Where the health document goes, retained; empty for none.
    pub health_topic: String,
    /// Filters of the gateway's own topics: a value for such a topic is refused, whatever the origin of its
    /// topic.
    pub own_topics: Vec<String>,
    /// The version of MQTT.
    pub protocol: Protocol,
    /// 0, 1 or 2.
    pub qos: u8,
    /// What to do with frames that queue up.
    pub backlog: Backlog,
    /// Ping interval of an idle connection; whole seconds are sent.
    pub keep_alive: Duration,
    /// How long the oldest publish may wait for its acknowledgement.
    pub ack_timeout: Duration,
    /// The time from the first lookup to the CONNACK.
    pub connect_timeout: Duration,
    /// The most publishes that are sent and not yet acknowledged.
    pub inflight: u16,
    /// The most topics whose last value and time are remembered; values of further topics are sent without
    /// retain.
    pub max_topics: u32,
    /// The user name.
    pub username: Option<String>,
    /// The password; it needs a user name.
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
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("client_id", &self.client_id)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// A checked configuration, with the values derived from it.
#[derive(Clone)]
pub(crate) struct Checked {
    pub config: Config,
    pub destinations: Destinations,
    pub transport: Transport,
    pub credentials: Option<(String, Option<String>)>,
    pub keep_alive_s: u16,
}

impl Checked {
    /// The settings from which a client is made.
    pub fn setup(&self) -> Setup {
        let config = &self.config;
        Setup {
            client_id: config.client_id.clone(),
            credentials: self.credentials.clone(),
            keep_alive_s: self.keep_alive_s,
            in_flight: config.inflight,
            will_topic: Some(config.availability_topic.clone()).filter(|topic| !topic.is_empty()),
            will_retain: true,
            transport: self.transport.clone(),
            connect_timeout: config.connect_timeout,
        }
    }
}

/// At least as long as the text that replaces the last level of a topic in a marker's name.
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
        // Markers are published next to them, under longer names.
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
        let files = Files {
            ca_file: config.ca_file.clone(),
            client_cert_file: config.client_cert_file.clone(),
            client_key_file: config.client_key_file.clone(),
        };
        let tls = client_config(&files)
            .map_err(|fault| ConfigError::new(fault.setting, fault.message))?;
        let name = server_name(&url.host).ok_or_else(|| {
            let message = "the host is not a name that a certificate can be checked against";
            ConfigError::new("broker_url", message)
        })?;
        Some((tls, name))
    } else {
        None
    };
    if !url.tls && (config.ca_file.is_some() || config.client_cert_file.is_some()) {
        return Err(ConfigError::new(
            "broker_url",
            "certificates are configured, but the scheme is a plain one; expected mqtts://",
        ));
    }
    let (username, password) = (config.username.clone(), config.password.clone());
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

#[cfg(test)]
mod tests {
    use super::*;

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
                    username: Some("a\0".into()),
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
