//! MQTT 3.1.1, by `rumqttc-v4-next`.

use std::sync::Arc;

use bytes::Bytes;
use rumqttc_v4::{
    AsyncClient, Broker, ConnectReturnCode, ConnectionError, Event, EventLoop, LastWill,
    MqttOptions, Outgoing, Packet, PublishOptions, QoS, StateError, SubscribeFilterInput,
    SubscribeReasonCode,
};

use crate::client::{Acknowledgement, Events, Limits, REQUEST_BATCH, Requests, Setup, Signal};
use crate::ended::EndKind;
use crate::failure::{Failure, failure_within};
use crate::mark::Properties;
use crate::tolerant::Tolerant;

pub struct V4Events(EventLoop);

pub struct V4Requests(AsyncClient);

/// A connection that is made at the first poll.
pub fn connection(setup: &Setup) -> (V4Events, V4Requests) {
    let mut options = MqttOptions::new(setup.client_id.clone(), Broker::tcp("broker", 0));
    options
        .set_keep_alive(setup.keep_alive_s)
        .set_clean_session(true)
        .set_inflight(setup.in_flight)
        .set_max_request_batch(REQUEST_BATCH)
        .set_max_packet_size(Limits::NONE.packet_bytes, Limits::NONE.packet_bytes);
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
        ));
    }
    let transport = setup.transport.clone();
    let timeout = setup.connect_timeout;
    options.set_socket_connector(move |_, _| {
        let transport = transport.clone();
        async move {
            let stream = transport.connect(timeout).await?;
            Ok::<_, std::io::Error>(Tolerant::new(stream, false, Arc::default()))
        }
    });
    let (client, events) = AsyncClient::builder(options).unbounded().build();
    (V4Events(events), V4Requests(client))
}

impl Events for V4Events {
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

impl Requests for V4Requests {
    fn publish(
        &self,
        topic: &str,
        payload: Bytes,
        qos: u8,
        retain: bool,
        _properties: Properties,
    ) -> bool {
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
        Event::Incoming(Packet::ConnAck(_)) => Signal::Connected(Limits::NONE),
        Event::Outgoing(Outgoing::Publish(id)) => Signal::Sent(id),
        Event::Incoming(Packet::PubAck(ack)) => {
            Signal::Answered(ack.pkid, Acknowledgement::Accepted)
        }
        Event::Incoming(Packet::PubComp(ack)) => {
            Signal::Answered(ack.pkid, Acknowledgement::Accepted)
        }
        Event::Incoming(Packet::SubAck(ack)) => Signal::Subscribed(
            ack.return_codes
                .iter()
                .map(|code| *code != SubscribeReasonCode::Failure)
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

fn failure(error: &ConnectionError) -> Failure {
    if let Some(failure) = failure_within(error) {
        return failure;
    }
    if let ConnectionError::MqttState(StateError::AwaitPingResp) = error {
        return Failure::silent(error.to_string());
    }
    let kind = match error {
        ConnectionError::ConnectionRefused(code) => match code {
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
                EndKind::NotAuthorized
            }
            ConnectReturnCode::RefusedProtocolVersion => EndKind::Protocol,
            _ => EndKind::Refused,
        },
        ConnectionError::NotConnAck(_) | ConnectionError::SessionStateMismatch { .. } => {
            EndKind::Protocol
        }
        ConnectionError::MqttState(
            StateError::ConnectionAborted
            | StateError::Io(_)
            | StateError::Deserialization(rumqttc_v4::mqttbytes::Error::Io(_)),
        ) => EndKind::Lost,
        ConnectionError::MqttState(_) => EndKind::Protocol,
        _ => EndKind::Lost,
    };
    let detail = match error {
        ConnectionError::ConnectionRefused(code) => {
            format!("the broker refused the connection: {}", refusal(*code))
        }
        other => other.to_string(),
    };
    Failure::new(kind, detail)
}

fn refusal(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::Success => "no reason",
        ConnectReturnCode::RefusedProtocolVersion => "it does not speak MQTT 3.1.1",
        ConnectReturnCode::BadClientId => "it does not accept the client id",
        ConnectReturnCode::ServiceUnavailable => "server unavailable",
        ConnectReturnCode::BadUserNamePassword => "user name or password is wrong",
        ConnectReturnCode::NotAuthorized => "not authorised",
    }
}
