//! MQTT 5, by `rumqttc-v5-next`. Reason codes get their meaning here.

use std::sync::Arc;

use bytes::Bytes;
use rumqttc_v5::mqttbytes::v5::PublishProperties;
use rumqttc_v5::{
    AsyncClient, Broker, ConnAck, ConnectReturnCode, ConnectionError, Event, EventLoop, LastWill,
    MqttOptions, Outgoing, Packet, PublishOptions, QoS, StateError, SubscribeFilterInput,
    SubscribeReasonCode,
};

use crate::client::{
    Acknowledgement, Events, Limits, QOS_0_ONLY, REQUEST_BATCH, Requests, Setup, Signal,
};
use crate::ended::EndKind;
use crate::failure::{Failure, failure_within};
use crate::mark::Properties;
use crate::reasons::{RETAIN_NOT_SUPPORTED, UNSPECIFIED};
use crate::tolerant::Tolerant;
use crate::wire::Notes;

pub struct V5Events {
    events: EventLoop,
    notes: Arc<Notes>,
}

pub struct V5Requests(AsyncClient);

/// A connection that is made at the first poll.
pub fn connection(setup: &Setup) -> (V5Events, V5Requests) {
    let mut options = MqttOptions::new(setup.client_id.clone(), Broker::tcp("broker", 0));
    options
        .set_keep_alive(setup.keep_alive_s)
        .set_clean_start(true)
        .set_outgoing_inflight_upper_limit(setup.in_flight)
        .set_max_request_batch(REQUEST_BATCH)
        .set_connect_timeout(setup.connect_timeout)
        .set_unlimited_incoming_packet_size();
    match &setup.credentials {
        Some((user, Some(password))) => {
            options.set_credentials(user.clone(), password.clone().into_bytes());
        }
        Some((user, None)) => {
            options.set_username(user.clone());
        }
        None => {}
    }
    if let Some(topic) = &setup.will_topic {
        options.set_last_will(LastWill::new(
            topic.clone(),
            b"offline".to_vec(),
            QoS::AtLeastOnce,
            setup.will_retain,
            None,
        ));
    }
    let transport = setup.transport.clone();
    let timeout = setup.connect_timeout;
    let notes: Arc<Notes> = Arc::default();
    let kept = Arc::clone(&notes);
    options.set_socket_connector(move |_, _| {
        let (transport, notes) = (transport.clone(), Arc::clone(&kept));
        async move {
            let stream = transport.connect(timeout).await?;
            Ok::<_, std::io::Error>(Tolerant::new(stream, true, notes))
        }
    });
    let (client, events) = AsyncClient::builder(options).unbounded().build();
    (V5Events { events, notes }, V5Requests(client))
}

impl Events for V5Events {
    async fn poll(&mut self) -> Result<Signal, Failure> {
        let notes = &self.notes;
        self.events
            .poll()
            .await
            .map(|event| signal(event, notes))
            .map_err(|error| failure(&error, notes))
    }

    fn left_over(&mut self) -> Vec<Signal> {
        let Self { events, notes } = self;
        let left = events.state.events.drain(..);
        let mut left: Vec<_> = left.map(|event| signal(event, notes)).collect();
        // A broker that refuses a publish may end the connection at the same time (Mosquitto 2.0.11 does).
        let refused = notes.drain().into_iter();
        left.extend(
            refused.map(|(id, code)| Signal::Answered(id, Acknowledgement::of(code, None))),
        );
        left
    }
}

impl Requests for V5Requests {
    fn publish(
        &self,
        topic: &str,
        payload: Bytes,
        qos: u8,
        retain: bool,
        properties: Properties,
    ) -> bool {
        let mut options = PublishOptions::new(level(qos)).retain(retain);
        if !properties.is_empty() {
            options = options.properties(PublishProperties {
                user_properties: properties,
                ..PublishProperties::default()
            });
        }
        self.0.try_publish(topic, payload, options).is_ok()
    }

    fn subscribe(&self, filters: Vec<String>) {
        let filters = filters
            .into_iter()
            .map(|filter| SubscribeFilterInput::new(filter, QoS::AtMostOnce));
        drop(self.0.try_subscribe_many(filters));
    }

    fn unsubscribe(&self, filters: Vec<String>) {
        drop(self.0.try_unsubscribe_many(filters));
    }

    fn disconnect(&self) {
        drop(self.0.try_disconnect_now());
    }
}

fn level(qos: u8) -> QoS {
    match qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

fn signal(event: Event, notes: &Notes) -> Signal {
    match event {
        Event::Incoming(Packet::ConnAck(connack)) => Signal::Connected(limits(&connack)),
        Event::Outgoing(Outgoing::Publish(id)) => Signal::Sent(id),
        Event::Incoming(Packet::PubAck(ack)) => {
            let text = ack
                .properties
                .and_then(|properties| properties.reason_string);
            answered(ack.pkid, ack.reason as u8, text.as_deref(), notes)
        }
        Event::Incoming(Packet::PubRec(ack)) => {
            let text = ack
                .properties
                .and_then(|properties| properties.reason_string);
            match answered(ack.pkid, ack.reason as u8, text.as_deref(), notes) {
                // The broker will complete it.
                Signal::Answered(_, Acknowledgement::Accepted) => Signal::Other,
                refused => refused,
            }
        }
        Event::Incoming(Packet::PubComp(ack)) => {
            Signal::Answered(ack.pkid, Acknowledgement::Accepted)
        }
        Event::Incoming(Packet::SubAck(ack)) => Signal::Subscribed(
            ack.return_codes
                .iter()
                .map(|code| matches!(code, SubscribeReasonCode::Success(_)))
                .collect(),
        ),
        Event::Incoming(Packet::Publish(publish)) => Signal::Message {
            topic: publish.topic,
            payload: publish.payload,
            retain: publish.retain,
        },
        Event::Outgoing(Outgoing::Disconnect) => Signal::Disconnected,
        _ => Signal::Other,
    }
}

fn limits(connack: &ConnAck) -> Limits {
    let Some(properties) = &connack.properties else {
        return Limits::NONE;
    };
    Limits {
        in_flight: properties.receive_max.unwrap_or(Limits::NONE.in_flight),
        qos: properties.max_qos.unwrap_or(Limits::NONE.qos),
        retain: properties.retain_available != Some(0),
        packet_bytes: properties
            .max_packet_size
            .map_or(Limits::NONE.packet_bytes, |bytes| bytes as usize),
        shared: properties.shared_subscription_available != Some(0),
    }
}

/// The answer in a PUBACK or PUBREC; the original code may have been replaced by one that the library knows.
fn answered(id: u16, code: u8, text: Option<&str>, notes: &Notes) -> Signal {
    let came = (code >= UNSPECIFIED).then(|| notes.take(id)).flatten();
    Signal::Answered(id, Acknowledgement::of(came.unwrap_or(code), text))
}

fn failure(error: &ConnectionError, notes: &Notes) -> Failure {
    if let Some(failure) = failure_within(error) {
        return failure;
    }
    match error {
        ConnectionError::ConnectionRefused(code) => refusal(*code),
        ConnectionError::MqttState(StateError::ConnFail { reason }) => refusal(*reason),
        ConnectionError::MqttState(StateError::ServerDisconnect {
            reason_code,
            reason_string,
        }) => {
            let code = notes.disconnect().unwrap_or(*reason_code as u8);
            Failure::disconnected(code, reason_string.as_deref())
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => Failure::silent(error.to_string()),
        ConnectionError::MqttState(
            StateError::ConnectionAborted
            | StateError::Io(_)
            | StateError::Deserialization(rumqttc_v5::mqttbytes::Error::Io(_)),
        ) => Failure::new(EndKind::Lost, error.to_string()),
        ConnectionError::MqttState(_)
        | ConnectionError::NotConnAck(_)
        | ConnectionError::SessionStateMismatch { .. } => {
            Failure::new(EndKind::Protocol, error.to_string())
        }
        ConnectionError::Timeout(_) => Failure::new(
            EndKind::Unreachable,
            "no CONNACK within the connect time-out",
        ),
        _ => Failure::new(EndKind::Lost, error.to_string()),
    }
}

fn refusal(code: ConnectReturnCode) -> Failure {
    let kind = match code {
        ConnectReturnCode::BadUserNamePassword
        | ConnectReturnCode::NotAuthorized
        | ConnectReturnCode::Banned
        | ConnectReturnCode::BadAuthenticationMethod => EndKind::NotAuthorized,
        ConnectReturnCode::QuotaExceeded => EndKind::Quota,
        ConnectReturnCode::RefusedProtocolVersion
        | ConnectReturnCode::UnsupportedProtocolVersion
        | ConnectReturnCode::MalformedPacket
        | ConnectReturnCode::ProtocolError => EndKind::Protocol,
        _ => EndKind::Refused,
    };
    let remedy = match code {
        ConnectReturnCode::RetainNotSupported => {
            "; it keeps no retained messages, so the last will is not retained from now on"
        }
        ConnectReturnCode::QoSNotSupported => QOS_0_ONLY,
        _ => "",
    };
    let detail = format!("the broker refused the connection: {code:?}{remedy}");
    Failure {
        code: (code == ConnectReturnCode::RetainNotSupported).then_some(RETAIN_NOT_SUPPORTED),
        ..Failure::new(kind, detail)
    }
}
