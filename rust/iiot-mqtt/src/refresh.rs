//! After a connect: which known retained topics does the broker lack? Pure: answers and times in, actions out.
//!
//! In steps of at most 100 topics: subscribe to them and to a marker topic, publish the marker, take the retained messages
//! that come before it; what did not come, or came with another value, is to be published again. A broker that refuses or
//! does not answer gets everything again.

use std::time::{Duration, Instant};

use crate::policy::Topics;

/// Filters in one SUBSCRIBE, the marker's not counted.
const TOPICS_A_STEP: usize = 100;
/// How long a SUBSCRIBE may stay without an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the whole comparison may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What the connection is to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing; wait for messages, or until `Refresh::deadline`.
    Wait,
    /// Publish the marker, unretained.
    PublishMarker,
    /// A step is over: leave its filters, publish what is lacking. If it was the last one, live operation begins, else
    /// `Refresh::filters` are to be subscribed to.
    StepDone {
        /// Filters of the step.
        leave: Vec<String>,
        /// Topics to publish again.
        lacking: Vec<u32>,
        /// Nothing is left to compare.
        last: bool,
    },
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Subscribing,
    Collecting,
}

/// The comparison under way.
#[derive(Debug)]
pub struct Refresh {
    /// Topics still to compare; the first `step` of them are those of this step.
    topics: Vec<u32>,
    step: usize,
    /// Of this step: the broker has the known value.
    present: Vec<bool>,
    stage: Stage,
    marker: String,
    answer_by: Instant,
    done_by: Instant,
}

impl Refresh {
    /// Compare these topics, which are not none. The marker topic is to be unique to this connection.
    pub fn begin(topics: Vec<u32>, marker: String, now: Instant) -> Self {
        let mut refresh = Self {
            topics,
            step: 0,
            present: Vec::new(),
            stage: Stage::Subscribing,
            marker,
            answer_by: now,
            done_by: now + TIMEOUT,
        };
        refresh.begin_step(now);
        refresh
    }

    fn begin_step(&mut self, now: Instant) {
        self.step = self.topics.len().min(TOPICS_A_STEP);
        self.present = vec![false; self.step];
        self.stage = Stage::Subscribing;
        self.answer_by = now + ANSWER_TIMEOUT;
    }

    /// What to subscribe to in this step.
    pub fn filters(&self, topics: &Topics) -> Vec<String> {
        let names = self
            .topics
            .iter()
            .take(self.step)
            .map(|id| topics.name(*id).to_owned());
        names.chain([self.marker.clone()]).collect()
    }

    /// The marker topic.
    pub fn marker(&self) -> &str {
        &self.marker
    }

    /// When `on_time` is to be called at the latest.
    pub fn deadline(&self) -> Instant {
        match self.stage {
            Stage::Subscribing => self.answer_by.min(self.done_by),
            Stage::Collecting => self.done_by,
        }
    }

    /// The SUBACK of this step: one entry a filter, whether it was granted.
    pub fn on_answer(&mut self, granted: &[bool], topics: &Topics) -> Action {
        if self.stage != Stage::Subscribing {
            return Action::Wait;
        }
        // Without the marker's subscription there is no end to wait for.
        if granted.len() != self.step + 1 || granted.last() != Some(&true) {
            return self.give_up(topics);
        }
        self.stage = Stage::Collecting;
        Action::PublishMarker
    }

    /// A message came.
    pub fn on_message(
        &mut self,
        topic: &[u8],
        payload: &[u8],
        retain: bool,
        topics: &Topics,
        now: Instant,
    ) -> Action {
        if topic == self.marker.as_bytes() {
            return if self.stage == Stage::Collecting {
                self.end_step(topics, now)
            } else {
                Action::Wait
            };
        }
        if retain && let Some(id) = topics.find(topic) {
            let same = topics
                .known(id)
                .is_some_and(|known| known.payload == payload);
            let place = self
                .topics
                .iter()
                .take(self.step)
                .position(|topic| *topic == id);
            if let Some(present) = place.and_then(|place| self.present.get_mut(place)) {
                *present = same;
            }
        }
        Action::Wait
    }

    /// The time is now: give up if a bound is passed.
    pub fn on_time(&mut self, now: Instant, topics: &Topics) -> Action {
        if now < self.deadline() {
            Action::Wait
        } else {
            self.give_up(topics)
        }
    }

    fn end_step(&mut self, topics: &Topics, now: Instant) -> Action {
        let leave = self.filters(topics);
        let compared: Vec<u32> = self.topics.drain(..self.step).collect();
        let lacking = compared
            .into_iter()
            .zip(&self.present)
            .filter(|(_, present)| !**present)
            .map(|(id, _)| id)
            .collect();
        let last = self.topics.is_empty();
        if !last {
            self.begin_step(now);
        }
        Action::StepDone {
            leave,
            lacking,
            last,
        }
    }

    fn give_up(&mut self, topics: &Topics) -> Action {
        let leave = self.filters(topics);
        self.step = 0;
        Action::StepDone {
            leave,
            lacking: std::mem::take(&mut self.topics),
            last: true,
        }
    }
}
