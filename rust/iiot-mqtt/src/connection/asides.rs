//! The publishes of a connection beside the journal's values: availability, health, known values, and the canary.

use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;

use super::{Session, Step};
use crate::acknowledge::Acknowledged;
use crate::client::{Form, Requests};
use crate::ended::EndKind;
use crate::failure::Failure;
use crate::mark::{self, Properties};
use crate::stage::{Aside, Item};

/// A publish outside the journal.
pub struct AsidePublish {
    aside: Aside,
    topic: String,
    payload: Bytes,
    retain: bool,
}

impl<R: Requests> Session<'_, R> {
    pub(super) fn queue_known(&mut self, topic: u32) {
        let topics = &self.context.memory.topics;
        let Some(known) = topics.known(topic) else {
            return;
        };
        let payload = Bytes::copy_from_slice(&known.payload);
        let name = topics.name(topic).to_owned();
        if self.queue_aside(Aside::Refresh, name, payload, true) {
            self.context
                .shared
                .refreshed
                .fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Publish it as soon as the window allows. False if it cannot be sent to this broker.
    pub(super) fn queue_aside(
        &mut self,
        aside: Aside,
        topic: String,
        payload: Bytes,
        retain: bool,
    ) -> bool {
        let form = Form {
            qos: self.qos.max(1),
            ..self.form()
        };
        if let Some(why) = self.context.memory.trial.leaves_out(&topic, Instant::now()) {
            let why = format!("{topic:?} is left out for an hour: {why}");
            self.context.shared.fail(why);
            return false;
        }
        let bytes = payload.len();
        if let Some(word) = self.limits.refusal(&topic, bytes, form) {
            let why = format!("{topic:?} is not published, with its {bytes} bytes: {word}");
            self.context.shared.fail(why);
            return false;
        }
        self.asides.push_back(AsidePublish {
            aside,
            topic,
            payload,
            retain,
        });
        true
    }

    pub(super) fn publish_aside(&mut self, publish: AsidePublish, now: Instant) -> bool {
        let AsidePublish {
            aside,
            topic,
            payload,
            retain,
        } = publish;
        let (qos, retain) = (self.qos.max(1), retain && self.limits.retain);
        let mut properties = match aside {
            Aside::Refresh | Aside::Canary if self.form().v5 => mark::again(),
            _ => Properties::new(),
        };
        let bytes = payload.len() + mark::packet_bytes(&properties);
        if self.limits.refusal(&topic, bytes, self.form()).is_some() {
            properties.clear();
        }
        let is_sent = self
            .requests
            .publish(&topic, payload, qos, retain, properties);
        if is_sent {
            let topic = topic.into();
            self.unacknowledged
                .sent(Item::Aside { aside, topic }, Acknowledged::Itself, now);
        }
        is_sent
    }

    /// Send a value that the broker accepted before, without retain, so that no retained topic goes back. False if there is none.
    pub(super) fn publish_canary(&mut self, now: Instant) -> bool {
        let form = Form {
            qos: self.qos.max(1),
            ..self.form()
        };
        let memory = &mut *self.context.memory;
        let (topic, payload) = loop {
            let (topic, payload) = match memory.trial.canary() {
                Ok(canary) => canary,
                Err(skip) => match memory.topics.any_known(skip) {
                    Some((topic, payload)) => (topic.to_owned(), Bytes::copy_from_slice(payload)),
                    None => return false,
                },
            };
            if self.limits.refusal(&topic, payload.len(), form).is_none() {
                break (topic, payload);
            }
            memory.trial.on_canary_failed();
        };
        let canary = AsidePublish {
            aside: Aside::Canary,
            topic,
            payload,
            retain: false,
        };
        self.publish_aside(canary, now)
    }

    /// Called when nothing is left to send but publishes were refused or set apart: test whether the broker accepts other values. True
    /// if such a test is running.
    pub(super) fn prove(&mut self) -> Result<bool, Failure> {
        let is_quiet = self.unacknowledged.in_flight() == 0 && matches!(self.step, Step::Live);
        if !is_quiet || self.unacknowledged.refused() + self.unacknowledged.apart() == 0 {
            return Ok(false);
        }
        if self.publish_canary(Instant::now()) {
            return Ok(true);
        }
        let apart = self.unacknowledged.apart();
        if apart > 0 {
            self.context.memory.trial.forget();
            return Err(Failure::new(
                EndKind::Refused,
                format!(
                    "the broker ended the connection at each of {apart} values, and has taken no other one; look at the broker's log"
                ),
            ));
        }
        let topics = &self.context.memory.topics;
        if let Some((Item::Point(point), reason, _)) = self.unacknowledged.all_refused().next() {
            let topic = point.name(topics);
            self.context.shared.fail(format!(
                "{topic:?} is refused ({reason}), and waits until the broker takes another value"
            ));
        }
        Ok(false)
    }

    pub(super) fn queue_health(&mut self) {
        let topic = &self.context.config.health_topic;
        if topic.is_empty() || !matches!(self.step, Step::Live | Step::Refreshing(_)) {
            return;
        }
        if let Some((document, version)) = self.context.shared.health_since(self.health_version) {
            self.health_version = version;
            let topic = topic.clone();
            self.asides.retain(|waiting| waiting.aside != Aside::Health);
            self.queue_aside(Aside::Health, topic, document, true);
        }
    }

    /// The topic is next to the availability topic, so that a right for one is likely a right for the other.
    pub(super) fn marker_topic(&self, name: &str) -> String {
        let config = self.context.config;
        let neighbour = [&config.availability_topic, &config.health_topic]
            .into_iter()
            .find(|topic| !topic.is_empty());
        let parent = neighbour.map_or(config.client_id.as_str(), |topic| {
            topic
                .rsplit_once('/')
                .map_or(topic.as_str(), |(parent, _)| parent)
        });
        format!("{parent}/{name}")
    }
}
