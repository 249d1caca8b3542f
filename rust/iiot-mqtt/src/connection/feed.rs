//! What a connection sends, and when it confirms: health, refreshed values and frames into the client's window, confirmations to
//! the outbox.

use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;

use super::{CONFIRM_WITHIN, Context, Session, Step, journal};
use crate::acknowledge::{Acknowledged, Answer};
use crate::client::{Failure, Requests};
use crate::stage::{self, Aside, Item, Next};

/// Frames confirmed at once when the broker keeps answering.
const FRAMES_A_CONFIRMATION: u64 = 256;
/// Bytes of a PUBLISH beside topic and payload, at most.
const PUBLISH_OVERHEAD: usize = 16;

impl<R: Requests> Session<'_, R> {
    /// Hand the client what its window takes. True if it got something.
    pub(super) fn pump(&mut self) -> Result<bool, Failure> {
        if !matches!(self.step, Step::Live | Step::Refreshing(_)) {
            return Ok(self.close_window());
        }
        let now = Instant::now();
        let now_ns = (self.context.clock)();
        let mut fed = self.pump_health();
        let mut sent = 0;
        while self.ledger.in_flight() < self.window {
            if let Some(topic) = self.to_refresh.pop_front() {
                self.publish_known(topic);
                fed = true;
                continue;
            }
            if !matches!(self.step, Step::Live) {
                break;
            }
            match self.stage.next(&mut self.context.memory.topics, now_ns) {
                Next::Send(point) => sent += u64::from(self.publish_point(point, now)),
                Next::FrameEnd {
                    position,
                    superseded,
                } => self.note(
                    Item::FrameEnd {
                        position,
                        superseded,
                    },
                    now,
                ),
                Next::Gap { end } => self.note(Item::Gap { end }, now),
                Next::Empty => {
                    if !self.refill(now_ns)? {
                        break;
                    }
                }
            }
        }
        self.context
            .shared
            .publishes
            .fetch_add(sent, Ordering::Relaxed);
        Ok(self.close_window() || fed || sent > 0)
    }

    fn refill(&mut self, now_ns: i64) -> Result<bool, Failure> {
        let Context { outbox, memory, .. } = &mut self.context;
        let limit = outbox
            .confirmed()
            .saturating_add(outbox.send_ahead().max(1));
        let before = self.stage.next_position();
        let some = self
            .stage
            .refill(*outbox, limit, &mut memory.topics, now_ns)
            .map_err(journal)?;
        Ok(some && self.stage.next_position() > before)
    }

    fn note(&mut self, item: Item, now: Instant) {
        if self.ledger.is_empty() {
            self.on_done(item, Answer::Accepted, now);
        } else {
            self.ledger.note(item, Answer::Accepted);
        }
    }

    fn publish_point(&mut self, point: stage::Point, now: Instant) -> bool {
        let retain = point.retain && self.limits.retain;
        let name = point.name(&self.context.memory.topics);
        let size = name.len() + point.payload.len() + PUBLISH_OVERHEAD;
        let refusal = if let Some(reason) = self.context.destinations.refusal(name) {
            Some(reason)
        } else if size > self.limits.packet_bytes {
            Some("packet_too_large".to_owned())
        } else if self
            .requests
            .publish(name, point.payload.clone(), self.qos, retain)
        {
            None
        } else {
            Some("topic_name_invalid".to_owned())
        };
        if let Some(reason) = refusal {
            if self.ledger.is_empty() {
                self.tally
                    .point(point, Answer::Rejected(reason), &self.context.memory.topics);
            } else {
                self.ledger
                    .note(Item::Point(point), Answer::Rejected(reason));
            }
            return false;
        }
        let shared = self.context.shared;
        if point.late {
            shared.late.fetch_add(1, Ordering::Relaxed);
        }
        if point.is_unlisted() {
            shared.unlisted.fetch_add(1, Ordering::Relaxed);
        }
        let how = if self.qos == 0 {
            Acknowledged::Silently
        } else {
            Acknowledged::Itself
        };
        self.ledger.sent(Item::Point(point), how, now);
        if self.qos == 0 {
            self.unclosed += 1;
            if self.unclosed >= (self.window / 4).max(1) {
                self.close_window();
            }
        }
        true
    }

    fn close_window(&mut self) -> bool {
        if self.unclosed == 0 {
            return false;
        }
        self.unclosed = 0;
        let topic = self.marker_topic("marker");
        if self.requests.publish(&topic, Bytes::new(), 1, false) {
            self.ledger.sent(
                Item::Aside(Aside::WindowMarker),
                Acknowledged::Closing,
                Instant::now(),
            );
        }
        true
    }

    fn publish_known(&mut self, topic: u32) {
        let topics = &self.context.memory.topics;
        let Some(known) = topics.known(topic) else {
            return;
        };
        let payload = Bytes::copy_from_slice(&known.payload);
        let name = topics.name(topic).to_owned();
        self.publish_aside(Aside::Refresh, &name, payload, true);
        self.context
            .shared
            .refreshed
            .fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn publish_aside(
        &mut self,
        aside: Aside,
        topic: &str,
        payload: Bytes,
        retain: bool,
    ) {
        let qos = self.qos.max(1);
        if self
            .requests
            .publish(topic, payload, qos, retain && self.limits.retain)
        {
            self.ledger
                .sent(Item::Aside(aside), Acknowledged::Itself, Instant::now());
        }
    }

    fn pump_health(&mut self) -> bool {
        let topic = &self.context.config.health_topic;
        if topic.is_empty() {
            return false;
        }
        let Some((document, version)) = self.context.shared.health_since(self.health_version)
        else {
            return false;
        };
        self.health_version = version;
        let topic = topic.clone();
        self.publish_aside(Aside::Health, &topic, document, true);
        true
    }

    /// Confirm what was acknowledged: at once when nothing else is under way, else in larger steps.
    pub(super) fn confirm_if_due(&mut self, now: Instant, quiet: bool) -> Result<(), Failure> {
        let Some(frames) = self.tally.frames() else {
            return Ok(());
        };
        let waited = self
            .tally_since
            .is_some_and(|since| now >= since + CONFIRM_WITHIN);
        if waited
            || frames >= FRAMES_A_CONFIRMATION
            || (quiet && self.ledger.in_flight() <= self.window / 2)
        {
            self.confirm()?;
        }
        Ok(())
    }

    pub(super) fn confirm(&mut self) -> Result<(), Failure> {
        let Context { outbox, memory, .. } = &mut self.context;
        let confirmation = self.tally.take(&mut memory.topics);
        self.tally_since = None;
        self.delivered += confirmation.delivered;
        let end = confirmation.end;
        outbox.confirm(confirmation).map_err(journal)?;
        memory.confirmed_end = memory.confirmed_end.max(end);
        Ok(())
    }

    /// Beside the availability topic, so that whoever allows the one allows the other.
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
