//! Feeds a connection: puts health, refreshed values and frames into the client's window, and confirmations into the queue.

use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;

use super::{CONFIRM_WITHIN, Context, Session, Step, journal};
use crate::acknowledge::{Acknowledged, Answer};
use crate::client::{Form, Requests, TOO_LARGE};
use crate::config::Protocol;
use crate::failure::Failure;
use crate::mark::{self, Properties, ValueMark};
use crate::stage::{Aside, Item, Next, Point};
use crate::trial::Advice;

/// How many frames are confirmed together while the broker keeps answering.
const FRAMES_A_CONFIRMATION: u64 = 256;

/// The outcome for a value that was due.
enum Fed {
    Sent,
    /// Settled without being sent.
    Settled,
    /// It waits until the broker has accepted another one.
    Waits,
}

impl<R: Requests> Session<'_, R> {
    /// Hand the client as much as its window allows. True if it got anything.
    pub(super) fn pump(&mut self) -> Result<bool, Failure> {
        if !matches!(
            self.step,
            Step::Live | Step::Refreshing(_) | Step::SayingOffline
        ) {
            return Ok(self.close_window());
        }
        let now = Instant::now();
        let now_ns = (self.context.clock)();
        self.queue_health();
        let mut fed = false;
        let mut sent = 0;
        while self.unacknowledged.in_flight() < self.window_now() {
            if let Some(aside) = self.asides.pop_front() {
                fed |= self.publish_aside(aside, now);
                continue;
            }
            if let Some(topic) = self.to_refresh.pop_front() {
                self.queue_known(topic);
                continue;
            }
            if !matches!(self.step, Step::Live) {
                break;
            }
            let next = if let Some(point) = self.next_up.take() {
                Next::Send(point)
            } else {
                let memory = &mut *self.context.memory;
                self.stage.next(&mut memory.topics, &memory.trial, now_ns)
            };
            match next {
                Next::Send(point) => match self.feed_point(point, now) {
                    Fed::Sent => sent += 1,
                    Fed::Settled => {}
                    Fed::Waits => {
                        fed = true;
                        break;
                    }
                },
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

    /// How many publishes may be in flight: only one while the search for a publish that ends connections goes on.
    fn window_now(&self) -> usize {
        if self.context.memory.trial.is_careful(self.stage.position()) {
            1
        } else {
            self.window
        }
    }

    fn refill(&mut self, now_ns: i64) -> Result<bool, Failure> {
        let Context { queue, memory, .. } = &mut self.context;
        let limit = queue.confirmed().saturating_add(queue.send_ahead().max(1));
        let before = self.stage.next_position();
        let some = self
            .stage
            .refill(*queue, limit, &mut memory.topics, &memory.trial, now_ns)
            .map_err(journal)?;
        Ok(some && self.stage.next_position() > before)
    }

    fn note(&mut self, item: Item, now: Instant) {
        self.answer(item, Answer::Accepted, now);
    }

    fn answer(&mut self, item: Item, answer: Answer, now: Instant) {
        if self.unacknowledged.is_empty() {
            self.on_done(item, answer, now);
        } else {
            self.unacknowledged.note(item, answer);
        }
    }

    fn reject(&mut self, point: Point, reason: String, now: Instant) {
        self.answer(Item::Point(point), Answer::Rejected(reason), now);
    }

    /// The broker would not accept it: it becomes a reject as soon as the broker is known to accept others.
    fn reject_once_proven(&mut self, point: Point, reason: String, now: Instant) {
        if self.is_proven {
            self.reject(point, reason, now);
        } else {
            self.unacknowledged.hold(Item::Point(point), reason);
        }
    }

    pub(super) fn form(&self) -> Form {
        Form {
            v5: self.context.config.protocol == Protocol::V5,
            qos: self.qos,
        }
    }

    fn feed_point(&mut self, point: Point, now: Instant) -> Fed {
        let memory = &*self.context.memory;
        let name = point.name(&memory.topics);
        if let Some(reason) = self.context.destinations.refusal(name) {
            self.reject(point, reason, now);
            return Fed::Settled;
        }
        let mut properties = self.mark(&point);
        let (bytes, marked) = (point.payload.len(), mark::packet_bytes(&properties));
        if self
            .limits
            .refusal(name, bytes + marked, self.form())
            .is_some()
        {
            // A value is more important than its mark.
            properties.clear();
        }
        if let Some(reason) = self.limits.refusal(name, bytes, self.form()) {
            let reason = reason.to_owned();
            if reason == TOO_LARGE {
                self.reject_once_proven(point, reason, now);
            } else {
                self.reject(point, reason, now);
            }
            return Fed::Settled;
        }
        match memory.trial.advice(point.place(), self.is_proven) {
            Advice::Send => {}
            Advice::Refuse(reason) => {
                self.reject_once_proven(point, reason, now);
                return Fed::Settled;
            }
            Advice::ProveFirst => {
                if self.publish_canary(now) {
                    self.next_up = Some(point);
                    return Fed::Waits;
                }
                self.unacknowledged.set_apart(Item::Point(point));
                return Fed::Settled;
            }
        }
        let retain = point.retain && self.limits.retain;
        if !self
            .requests
            .publish(name, point.payload.clone(), self.qos, retain, properties)
        {
            self.reject(point, "topic_name_invalid".to_owned(), now);
            return Fed::Settled;
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
        self.unacknowledged.sent(Item::Point(point), how, now);
        if self.qos == 0 {
            self.unclosed += 1;
            if self.unclosed >= (self.window_now() / 4).max(1) {
                self.close_window();
            }
        }
        Fed::Sent
    }

    /// The properties that identify a value for its receivers.
    fn mark(&self, point: &Point) -> Properties {
        let identity = (self.form().v5).then(|| self.context.queue.identity(point.position));
        let Some(identity) = identity.flatten() else {
            return Properties::new();
        };
        let mark = ValueMark {
            identity,
            position: point.position,
            place: point.value,
            time_ns: point.time_ns,
        };
        mark.properties()
    }

    fn close_window(&mut self) -> bool {
        if self.unclosed == 0 {
            return false;
        }
        self.unclosed = 0;
        let topic = self.marker_topic("marker");
        if self
            .requests
            .publish(&topic, Bytes::new(), 1, false, Properties::new())
        {
            let item = Item::Aside {
                aside: Aside::WindowMarker,
                topic: topic.into(),
            };
            self.unacknowledged
                .sent(item, Acknowledged::Closing, Instant::now());
        }
        true
    }

    /// Confirm acknowledged frames: at once if nothing else is in flight, otherwise in larger steps.
    pub(super) fn confirm_if_due(&mut self, now: Instant, quiet: bool) -> Result<(), Failure> {
        let Some(frames) = self.tally.frames() else {
            return Ok(());
        };
        let waited = self
            .tally_since
            .is_some_and(|since| now >= since + CONFIRM_WITHIN);
        if waited
            || frames >= FRAMES_A_CONFIRMATION
            || (quiet && self.unacknowledged.in_flight() <= self.window / 2)
        {
            self.confirm()?;
        }
        Ok(())
    }

    pub(super) fn confirm(&mut self) -> Result<(), Failure> {
        let Context { queue, memory, .. } = &mut self.context;
        let confirmation = self.tally.take(&mut memory.topics);
        self.tally_since = None;
        self.delivered += confirmation.delivered;
        let end = confirmation.end;
        queue.confirm(confirmation).map_err(journal)?;
        memory.confirmed_end = memory.confirmed_end.max(end);
        let lacking = self
            .repairs
            .drain(..)
            .filter(|(topic, position)| memory.topics.lacks_retained(*topic, *position));
        self.to_refresh.extend(lacking.map(|(topic, _)| topic));
        Ok(())
    }
}
