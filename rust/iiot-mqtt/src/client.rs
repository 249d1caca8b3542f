//! The interface that this crate needs from an MQTT client library, the same for both protocol versions.

use std::future::Future;

use bytes::Bytes;

use crate::failure::Failure;
use crate::mark::Properties;
use crate::reasons;
use crate::transport::Transport;

/// What the broker allows, from its CONNACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub in_flight: u16,
    pub qos: u8,
    pub retain: bool,
    pub packet_bytes: usize,
    /// Subscriptions may be shared with other clients.
    pub shared: bool,
}

/// How a publish is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    pub v5: bool,
    pub qos: u8,
}

impl Limits {
    /// The limits of the protocol itself: a remaining length has four bytes.
    pub const NONE: Self = Self {
        in_flight: u16::MAX,
        qos: 2,
        retain: true,
        packet_bytes: 268_435_455,
        shared: true,
    };

    /// Why such a publish can never be sent to this broker, as a stable word; the broker is not asked.
    pub fn refusal(&self, topic: &str, payload_bytes: usize, form: Form) -> Option<&'static str> {
        if topic.is_empty()
            || u16::try_from(topic.len()).is_err()
            || topic.contains(['\0', '#', '+'])
        {
            return Some("topic_name_invalid");
        }
        let body = 2
            + topic.len()
            + if form.qos > 0 { 2 } else { 0 }
            + usize::from(form.v5)
            + payload_bytes;
        let length_bytes = match body {
            0..128 => 1,
            128..16_384 => 2,
            16_384..2_097_152 => 3,
            _ => 4,
        };
        (1 + length_bytes + body > self.packet_bytes).then_some(TOO_LARGE)
    }
}

/// The broker's final answer to one publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledgement {
    Accepted,
    /// With the reason code, and a text for people: the word for the code, and the broker's own text.
    Refused(u8, String),
}

impl Acknowledgement {
    /// What a reason code of MQTT 5 says.
    pub fn of(code: u8, text: Option<&str>) -> Self {
        if reasons::of_publish(code).is_none() {
            return Self::Accepted;
        }
        let word = reasons::word(code);
        Self::Refused(
            code,
            text.map_or_else(|| word.to_owned(), |text| format!("{word}: {text}")),
        )
    }
}

/// What happened on the connection.
#[derive(Debug)]
pub enum Signal {
    Connected(Limits),
    /// The next publish handed over went out under this packet id.
    Sent(u16),
    Answered(u16, Acknowledgement),
    /// A SUBACK: for each filter, whether it was granted.
    Subscribed(Vec<bool>),
    Message {
        topic: Bytes,
        payload: Bytes,
        retain: bool,
    },
    /// Our DISCONNECT went out.
    Disconnected,
    Other,
}

/// The half that is polled. A pending `poll` must not be dropped while the connection is still used: it may have counted a publish
/// as sent that it has not written yet.
pub trait Events {
    fn poll(&mut self) -> impl Future<Output = Result<Signal, Failure>>;
    /// The signals that were read before the error that `poll` returned, if the library kept them (the library for MQTT 5 keeps
    /// only refusals, so publishes that other answers confirmed are sent once more).
    fn left_over(&mut self) -> Vec<Signal>;
}

/// The half that takes requests. No method blocks; the caller must respect the window.
pub trait Requests {
    /// `false` if the topic cannot be published to. Only MQTT 5 has properties.
    fn publish(
        &self,
        topic: &str,
        payload: Bytes,
        qos: u8,
        retain: bool,
        properties: Properties,
    ) -> bool;
    fn subscribe(&self, filters: Vec<String>);
    fn unsubscribe(&self, filters: Vec<String>);
    /// Send DISCONNECT now, before everything else.
    fn disconnect(&self);
}

/// The settings from which the options of both versions are made.
#[derive(Clone)]
pub struct Setup {
    pub client_id: String,
    pub credentials: Option<(String, Option<String>)>,
    pub keep_alive_s: u16,
    pub in_flight: u16,
    /// Last will: topic; its payload is `offline`.
    pub will_topic: Option<String>,
    pub will_retain: bool,
    pub transport: Transport,
    pub connect_timeout: std::time::Duration,
}

/// The word for a publish beyond the broker's largest packet.
pub const TOO_LARGE: &str = "packet_too_large";

/// The text about a broker that confirms nothing.
pub const QOS_0_ONLY: &str = "; it takes QoS 0 only, which confirms nothing, so nothing could be counted as delivered: allow QoS 1 at the broker, or use another one";

/// How many packets are taken from the request queue before a flush.
pub const REQUEST_BATCH: usize = 256;
