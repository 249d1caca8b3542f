//! The beginning of a connection: the broker's announcements, and the comparison with its retained
//! values.

use std::time::Instant;

use bytes::Bytes;

use super::{QOS2_WINDOW, Session, Step};
use crate::client::{Limits, QOS_0_ONLY, Requests};
use crate::ended::EndKind;
use crate::failure::Failure;
use crate::refresh::{Action, Refresh, Room};
use crate::shared::Phase;
use crate::stage::Aside;

impl<R: Requests> Session<'_, R> {
    pub(super) fn on_connected(&mut self, limits: Limits) -> Result<(), Failure> {
        let now = Instant::now();
        self.connected_at = Some(now);
        self.limits = limits;
        self.limits.retain &= self.context.memory.terms.retain;
        self.window = self.window.min(usize::from(limits.in_flight)).max(1);
        if limits.qos == 0 {
            return Err(Failure::new(
                EndKind::Refused,
                format!("the broker does not confirm{QOS_0_ONLY}"),
            ));
        }
        self.qos = self.qos.min(limits.qos);
        if self.qos == 2 {
            self.window = self.window.min(QOS2_WINDOW);
        }
        self.tell_limits();
        let topic = self.context.config.availability_topic.clone();
        if !topic.is_empty() {
            self.queue_aside(Aside::Online, topic, Bytes::from_static(b"online"), true);
        }
        if !self.begin_refresh(now) {
            self.go_live();
        }
        Ok(())
    }

    /// False if there is nothing to compare.
    fn begin_refresh(&mut self, now: Instant) -> bool {
        let known = self.context.memory.topics.to_refresh();
        if known.is_empty() || !self.limits.retain {
            return false;
        }
        let marker = format!(
            "{}/{:x}",
            self.marker_topic("refresh"),
            (self.context.clock)()
        );
        let room = Room {
            filters: self.context.memory.terms.filters,
            bytes: self.limits.packet_bytes,
        };
        let topics = &self.context.memory.topics;
        let Some(refresh) = Refresh::begin(known, marker, room, topics, now) else {
            // The broker cannot be asked, so it gets all of them.
            self.to_refresh.extend(topics.to_refresh());
            return false;
        };
        self.step = Step::Refreshing(refresh);
        self.context.shared.enter(Phase::Refreshing);
        self.subscribe_step();
        true
    }

    /// Report configured features that this broker does not offer.
    fn tell_limits(&self) {
        let configured = self.context.config.qos;
        let mut told = Vec::new();
        if self.qos < configured {
            told.push(format!("QoS {} instead of {configured}", self.qos));
        }
        if !self.limits.retain {
            told.push("no value is retained".to_owned());
        }
        self.context.shared.limit(told.join(", "));
    }

    fn go_live(&mut self) {
        self.step = Step::Live;
        self.context.shared.enter(Phase::Connected);
    }

    fn subscribe_step(&mut self) {
        if let Step::Refreshing(refresh) = &self.step {
            self.requests
                .subscribe(refresh.filters(&self.context.memory.topics));
        }
    }

    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Wait => {}
            Action::PublishMarker => {
                if let Step::Refreshing(refresh) = &self.step {
                    let marker = refresh.marker().to_owned();
                    self.queue_aside(Aside::RefreshMarker, marker, Bytes::new(), false);
                }
            }
            Action::StepDone {
                leave,
                lacking,
                last,
            } => {
                self.requests.unsubscribe(leave);
                self.to_refresh.extend(lacking);
                if last {
                    self.go_live();
                } else {
                    self.subscribe_step();
                }
            }
        }
    }
}
