//! Checks the settings of an MQTT client, and derives from them what a connection needs: transport, credentials, destinations.

use std::sync::Arc;

use iiot_core::mqtt_text::{MAX_TEXT_BYTES, text_fault};
use iiot_tls::{Files, client_config, server_name};

use crate::broker_url::BrokerUrl;
use crate::client::Setup;
use crate::config::Config;
use crate::config_error::ConfigError;
use crate::destination::{Destinations, topic_fault};
use crate::transport::{Tls, Transport};

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
    let tls = tls(&config, &url)?;
    let credentials = credentials(&config)?;
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

/// What TLS to the broker needs, if the URL asks for TLS.
fn tls(config: &Config, url: &BrokerUrl) -> Result<Option<Tls>, ConfigError> {
    if !url.tls {
        if config.ca_file.is_some() || config.client_cert_file.is_some() {
            return Err(ConfigError::new(
                "broker_url",
                "certificates are configured, but the scheme is a plain one; expected mqtts://",
            ));
        }
        return Ok(None);
    }
    let files = Files {
        ca_file: config.ca_file.clone(),
        client_cert_file: config.client_cert_file.clone(),
        client_key_file: config.client_key_file.clone(),
    };
    let tls =
        client_config(&files).map_err(|fault| ConfigError::new(fault.setting, fault.message))?;
    let name = server_name(&url.host).ok_or_else(|| {
        let message = "the host is not a name that a certificate can be checked against";
        ConfigError::new("broker_url", message)
    })?;
    Ok(Some((tls, name)))
}

/// User name and password.
fn credentials(config: &Config) -> Result<Option<(String, Option<String>)>, ConfigError> {
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
    match (username, password) {
        (Some(user), password) => Ok(Some((user, password))),
        (None, Some(_)) => Err(ConfigError::new(
            "username",
            "is missing, but a password is given",
        )),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
