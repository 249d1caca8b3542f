//! MQTT 5, by `rumqttc-v5-next`. Reason codes are given their meaning here.

use bytes::Bytes;
use rumqttc_v5::{
    AsyncClient, Broker, ConnAck, ConnectReturnCode, ConnectionError, DisconnectReasonCode, Event,
    EventLoop, LastWill, MqttOptions, Outgoing, Packet, PubAckReason, PubRecReason, PublishOptions,
    QoS, StateError, SubscribeFilterInput, SubscribeReasonCode,
};

use crate::client::{
    EndKind, Events, Failure, Limits, REQUEST_BATCH, Requests, Setup, Signal, Verdict,
    failure_within,
};

pub struct V5Events(EventLoop);

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
            true,
            None,
        ));
    }
    let transport = setup.transport.clone();
    let timeout = setup.connect_timeout;
    options.set_socket_connector(move |_, _| {
        let transport = transport.clone();
        async move { transport.connect(timeout).await }
    });
    let (client, events) = AsyncClient::builder(options).unbounded().build();
    (V5Events(events), V5Requests(client))
}

impl Events for V5Events {
    async fn poll(&mut self) -> Result<Signal, Failure> {
        self.0
            .poll()
            .await
            .map(signal)
            .map_err(|error| failure(&error))
    }

    fn left_over(&mut self) -> Vec<Signal> {
        self.0.state.events.drain(..).map(signal).collect()
    }
}

impl Requests for V5Requests {
    fn publish(&self, topic: &str, payload: Bytes, qos: u8, retain: bool) -> bool {
        self.0
            .try_publish(
                topic,
                payload,
                PublishOptions::new(level(qos)).retain(retain),
            )
            .is_ok()
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

fn signal(event: Event) -> Signal {
    match event {
        Event::Incoming(Packet::ConnAck(connack)) => Signal::Connected(limits(&connack)),
        Event::Outgoing(Outgoing::Publish(id)) => Signal::Sent(id),
        Event::Incoming(Packet::PubAck(ack)) => {
            let text = ack
                .properties
                .and_then(|properties| properties.reason_string);
            Signal::Answered(ack.pkid, puback_verdict(ack.reason, text.as_deref()))
        }
        Event::Incoming(Packet::PubRec(ack)) => {
            let text = ack
                .properties
                .and_then(|properties| properties.reason_string);
            match pubrec_verdict(ack.reason, text.as_deref()) {
                // The broker will complete it.
                Verdict::Accepted => Signal::Other,
                refused => Signal::Answered(ack.pkid, refused),
            }
        }
        Event::Incoming(Packet::PubComp(ack)) => Signal::Answered(ack.pkid, Verdict::Accepted),
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
    }
}

fn rejected(reason: &str, text: Option<&str>) -> Verdict {
    Verdict::Rejected(text.map_or_else(|| reason.to_owned(), |text| format!("{reason}: {text}")))
}

fn puback_verdict(reason: PubAckReason, text: Option<&str>) -> Verdict {
    match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Verdict::Accepted,
        PubAckReason::QuotaExceeded => Verdict::QuotaExceeded,
        PubAckReason::NotAuthorized => Verdict::NotAuthorized,
        PubAckReason::UnspecifiedError => rejected("unspecified_error", text),
        PubAckReason::ImplementationSpecificError => {
            rejected("implementation_specific_error", text)
        }
        PubAckReason::TopicNameInvalid => rejected("topic_name_invalid", text),
        PubAckReason::PacketIdentifierInUse => rejected("packet_identifier_in_use", text),
        PubAckReason::PayloadFormatInvalid => rejected("payload_format_invalid", text),
    }
}

fn pubrec_verdict(reason: PubRecReason, text: Option<&str>) -> Verdict {
    match reason {
        PubRecReason::Success | PubRecReason::NoMatchingSubscribers => Verdict::Accepted,
        PubRecReason::QuotaExceeded => Verdict::QuotaExceeded,
        PubRecReason::NotAuthorized => Verdict::NotAuthorized,
        PubRecReason::UnspecifiedError => rejected("unspecified_error", text),
        PubRecReason::ImplementationSpecificError => {
            rejected("implementation_specific_error", text)
        }
        PubRecReason::TopicNameInvalid => rejected("topic_name_invalid", text),
        PubRecReason::PacketIdentifierInUse => rejected("packet_identifier_in_use", text),
        PubRecReason::PayloadFormatInvalid => rejected("payload_format_invalid", text),
    }
}

fn failure(error: &ConnectionError) -> Failure {
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
            let text = reason_string.as_deref().unwrap_or("no text");
            Failure::new(
                disconnect_kind(*reason_code),
                format!("the broker disconnected: {reason_code:?} ({text})"),
            )
        }
        ConnectionError::MqttState(
            StateError::ConnectionAborted
            | StateError::AwaitPingResp
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

fn disconnect_kind(code: DisconnectReasonCode) -> EndKind {
    match code {
        DisconnectReasonCode::SessionTakenOver => EndKind::SessionTakenOver,
        DisconnectReasonCode::NotAuthorized => EndKind::NotAuthorized,
        DisconnectReasonCode::QuotaExceeded => EndKind::Quota,
        DisconnectReasonCode::MalformedPacket
        | DisconnectReasonCode::ProtocolError
        | DisconnectReasonCode::ReceiveMaximumExceeded
        | DisconnectReasonCode::PacketTooLarge => EndKind::Protocol,
        _ => EndKind::Lost,
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
    Failure::new(kind, format!("the broker refused the connection: {code:?}"))
}
