//! The settings of an MQTT client.

use std::fmt;
use std::time::Duration;

use crate::policy::Backlog;

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
