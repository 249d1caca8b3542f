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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Backlog;

    fn known(count: u32) -> Topics {
        let mut topics = Topics::new(Backlog::Replay, u32::MAX);
        for n in 0..count {
            let id = topics.intern(&format!("t/{n}"));
            topics.confirm(id, b"v", true, 0);
        }
        topics
    }

    #[test]
    fn what_did_not_come_or_came_otherwise_is_lacking() {
        let (topics, now) = (known(3), Instant::now());
        let mut refresh = Refresh::begin(vec![0, 1, 2], "m".into(), now);

        assert_eq!(refresh.filters(&topics), ["t/0", "t/1", "t/2", "m"]);
        assert_eq!(
            refresh.on_message(b"t/0", b"v", true, &topics, now),
            Action::Wait
        );
        assert_eq!(
            refresh.on_answer(&[true; 4], &topics),
            Action::PublishMarker
        );
        refresh.on_message(b"t/1", b"other", true, &topics, now);
        // Somebody publishes live: that says nothing about what is retained.
        refresh.on_message(b"t/2", b"v", false, &topics, now);
        let action = refresh.on_message(b"m", b"", false, &topics, now);

        let leave = ["t/0", "t/1", "t/2", "m"].map(str::to_owned).into();
        assert_eq!(
            action,
            Action::StepDone {
                leave,
                lacking: vec![1, 2],
                last: true
            }
        );
    }

    #[test]
    fn many_topics_are_compared_a_hundred_at_a_time() {
        let (topics, now) = (known(250), Instant::now());
        let mut refresh = Refresh::begin((0..250).collect(), "m".into(), now);

        let mut sizes = Vec::new();
        loop {
            let filters = refresh.filters(&topics).len();
            sizes.push(filters);
            refresh.on_answer(&vec![true; filters], &topics);
            if let Action::StepDone { last: true, .. } =
                refresh.on_message(b"m", b"", false, &topics, now)
            {
                break;
            }
        }

        assert_eq!(sizes, [101, 101, 51]);
    }

    #[test]
    fn a_refusal_or_silence_gives_everything_up() {
        let (topics, now) = (known(150), Instant::now());
        let everything = |action| matches!(action, Action::StepDone { lacking, last: true, .. } if lacking.len() == 150);
        let begin = || Refresh::begin((0..150).collect(), "m".into(), now);

        let mut granted = vec![true; 101];
        granted[100] = false;
        assert!(everything(begin().on_answer(&granted, &topics)));
        assert_eq!(
            begin().on_time(now + ANSWER_TIMEOUT / 2, &topics),
            Action::Wait
        );
        assert!(everything(begin().on_time(now + ANSWER_TIMEOUT, &topics)));
        let mut answered = begin();
        answered.on_answer(&[true; 101], &topics);
        assert_eq!(
            answered.on_time(now + ANSWER_TIMEOUT, &topics),
            Action::Wait
        );
        assert!(everything(answered.on_time(now + TIMEOUT, &topics)));
    }
}
