//! The interface that this crate needs from an MQTT client library, the same for both protocol versions.

use std::fmt;
use std::future::Future;

use bytes::Bytes;

use crate::mark::Properties;
use crate::reasons::{self, Fault};

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndKind {
    /// `stop` was called.
    Stopped,
    /// The broker refused the connection, for a reason that may pass.
    Refused,
    /// Credentials, or an authorisation to publish, are missing.
    NotAuthorized,
    /// No connection could be made within the time.
    Unreachable,
    /// The connection was established and broke.
    Lost,
    /// The broker did not acknowledge a publish within the time.
    AckTimeout,
    /// Another client connected under the same id.
    SessionTakenOver,
    /// TLS failed: the certificate, the name, or a peer without TLS.
    Tls,
    /// The peer does not keep to the protocol.
    Protocol,
    /// The broker's quota is used up.
    Quota,
    /// The journal could not be read or confirmed to.
    Journal,
    /// We ended it, to try a publish again over which an earlier connection ended.
    Search,
    /// We ended it, because there is no room for the broker's messages.
    Paused,
    /// We ended it, with its session.
    Retired,
}

impl EndKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Refused => "refused",
            Self::NotAuthorized => "not_authorized",
            Self::Unreachable => "unreachable",
            Self::Lost => "lost",
            Self::AckTimeout => "ack_timeout",
            Self::SessionTakenOver => "session_taken_over",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Quota => "quota",
            Self::Journal => "journal",
            Self::Search => "search",
            Self::Paused => "paused",
            Self::Retired => "retired",
        }
    }
}

impl fmt::Display for EndKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the end of a connection says about the publishes that were in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Nothing.
    Nothing,
    /// Silence, which may also come from the network.
    Silence,
    /// The connection broke without a reason.
    Unclear,
    /// The broker said that one of them cannot be taken.
    Value,
}

/// An end with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: EndKind,
    pub detail: String,
    pub blame: Blame,
    /// The reason code of MQTT 5 that came with it.
    pub code: Option<u8>,
}

impl Failure {
    pub fn new(kind: EndKind, detail: impl Into<String>) -> Self {
        let blame = match kind {
            EndKind::Lost | EndKind::Protocol => Blame::Unclear,
            EndKind::AckTimeout => Blame::Silence,
            _ => Blame::Nothing,
        };
        Self {
            kind,
            detail: detail.into(),
            blame,
            code: None,
        }
    }

    /// The broker ended it with a DISCONNECT.
    pub fn disconnected(code: u8, text: Option<&str>) -> Self {
        let word = reasons::word(code);
        let text = text.map_or_else(String::new, |text| format!(", {text}"));
        let blame = match reasons::of_disconnect(code) {
            Fault::Value => Blame::Value,
            Fault::Unclear => Blame::Unclear,
            Fault::Session | Fault::Ours | Fault::Later => Blame::Nothing,
        };
        Self {
            kind: reasons::kind_of_disconnect(code),
            detail: format!("the broker disconnected: {word} ({code:#04x}{text})"),
            blame,
            code: Some(code),
        }
    }

    /// The network fell silent.
    pub fn silent(detail: impl Into<String>) -> Self {
        Self {
            blame: Blame::Silence,
            ..Self::new(EndKind::Lost, detail)
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.detail)
    }
}

/// A failure that passes through the client library as the error of our own connector.
impl std::error::Error for Failure {}

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
    pub transport: crate::transport::Transport,
    pub connect_timeout: std::time::Duration,
}

/// The word for a publish beyond the broker's largest packet.
pub const TOO_LARGE: &str = "packet_too_large";

/// The text about a broker that confirms nothing.
pub const QOS_0_ONLY: &str = "; it takes QoS 0 only, which confirms nothing, so nothing could be counted as delivered: allow QoS 1 at the broker, or use another one";

/// How many packets are taken from the request queue before a flush.
pub const REQUEST_BATCH: usize = 256;

/// The kind and text of a failure that came through the library: from our own connector, or from TLS.
pub fn failure_within(error: &(dyn std::error::Error + 'static)) -> Option<Failure> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return Some(failure.clone());
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(Failure::new(EndKind::Tls, tls.to_string()));
        }
        // `io::Error::source` skips the error it wraps, so look at it here.
        if let Some(inner) = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            && let Some(failure) = failure_within(inner)
        {
            return Some(failure);
        }
        next = error.source();
    }
    None
}
