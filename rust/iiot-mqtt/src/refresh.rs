//! Finds the known retained topics that the broker lacks, after a connect. Pure: answers and times in, actions out.
//!
//! This happens in steps of at most 100 topics (fewer if the broker accepts only smaller packets). Each step subscribes to its topics and to a marker topic,
//! publishes the marker, and takes the retained messages that come before the marker. Topics that did not come, or came with another value, must be published
//! again. A broker that refuses or does not answer gets everything again.

use std::time::{Duration, Instant};

use crate::policy::Topics;

/// Filters in one SUBSCRIBE, the marker's not counted.
pub const TOPICS_A_STEP: usize = 100;
/// Bytes of a SUBSCRIBE or UNSUBSCRIBE beside its filters, at most.
const PACKET_OVERHEAD: usize = 16;
/// The bytes of one filter beside its name.
const FILTER_OVERHEAD: usize = 3;
/// How long a SUBSCRIBE may stay without an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the whole comparison may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The next action of the connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing; wait for messages, or until `Refresh::deadline`.
    Wait,
    /// Publish the marker, unretained.
    PublishMarker,
    /// A step is over: unsubscribe its filters, and publish the topics that the broker lacks. If it was the last step, live operation begins; otherwise
    /// `Refresh::filters` must be subscribed to.
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

/// How large a SUBSCRIBE may be.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// The number of filters, not counting the marker's; with 0 the broker is not asked.
    pub filters: usize,
    pub bytes: usize,
}

/// The present comparison.
#[derive(Debug)]
pub struct Refresh {
    room: Room,
    /// Topics still to compare; the first `step` of them are those of this step.
    topics: Vec<u32>,
    step: usize,
    /// For each topic of this step, whether the broker has the known value.
    present: Vec<bool>,
    stage: Stage,
    marker: String,
    answer_by: Instant,
    done_by: Instant,
}

impl Refresh {
    /// Compare these topics, of which there must be at least one; `None` if there is no room to ask for them. The marker topic must be unique to this
    /// connection.
    pub fn begin(
        ids: Vec<u32>,
        marker: String,
        room: Room,
        topics: &Topics,
        now: Instant,
    ) -> Option<Self> {
        let mut refresh = Self {
            room,
            topics: ids,
            step: 0,
            present: Vec::new(),
            stage: Stage::Subscribing,
            marker,
            answer_by: now,
            done_by: now + TIMEOUT,
        };
        refresh.begin_step(topics, now);
        (refresh.step > 0).then_some(refresh)
    }

    fn begin_step(&mut self, topics: &Topics, now: Instant) {
        let mut bytes = PACKET_OVERHEAD + FILTER_OVERHEAD + self.marker.len();
        let fits = |id: &&u32| {
            bytes += FILTER_OVERHEAD + topics.name(**id).len();
            bytes <= self.room.bytes
        };
        let step = self.topics.iter().take(self.room.filters);
        self.step = step.take_while(fits).count();
        self.present = vec![false; self.step];
        self.stage = Stage::Subscribing;
        self.answer_by = now + ANSWER_TIMEOUT;
    }

    /// The filters to subscribe to in this step.
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

    /// Whether a SUBSCRIBE is not answered yet.
    pub fn is_asking(&self) -> bool {
        self.stage == Stage::Subscribing
    }

    /// The latest time at which `on_time` must be called.
    pub fn deadline(&self) -> Instant {
        match self.stage {
            Stage::Subscribing => self.answer_by.min(self.done_by),
            Stage::Collecting => self.done_by,
        }
    }

    /// The SUBACK of this step: one entry per filter, whether it was granted.
    pub fn on_answer(&mut self, granted: &[bool], topics: &Topics) -> Action {
        if self.stage != Stage::Subscribing {
            return Action::Wait;
        }
        // Without a subscription to the marker there is no message to wait for.
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

    /// Note the present time: give up if a time limit has passed.
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
        let lacking: Vec<u32> = compared
            .into_iter()
            .zip(&self.present)
            .filter(|(_, present)| !**present)
            .map(|(id, _)| id)
            .collect();
        if !self.topics.is_empty() {
            self.begin_step(topics, now);
        }
        if self.step > 0 && !self.topics.is_empty() {
            return Action::StepDone {
                leave,
                lacking,
                last: false,
            };
        }
        // If the name of a topic alone is too long for a request, it is published again, and so are the topics behind it.
        Action::StepDone {
            leave,
            lacking: [lacking, std::mem::take(&mut self.topics)].concat(),
            last: true,
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

    const ROOM: Room = Room {
        filters: TOPICS_A_STEP,
        bytes: 1 << 20,
    };

    fn begin(ids: Vec<u32>, room: Room, topics: &Topics, now: Instant) -> Refresh {
        Refresh::begin(ids, "m".into(), room, topics, now).unwrap()
    }

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
        let mut refresh = begin(vec![0, 1, 2], ROOM, &topics, now);

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
        let mut refresh = begin((0..250).collect(), ROOM, &topics, now);

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
        let begin = || begin((0..150).collect(), ROOM, &topics, now);

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

    #[test]
    fn a_broker_of_small_packets_is_asked_for_few_at_a_time_and_gets_what_is_too_long_to_ask_for() {
        let (mut topics, now) = (known(5), Instant::now());
        let long = topics.intern(&"x".repeat(200));
        topics.confirm(long, b"v", true, 0);
        let room = Room {
            filters: TOPICS_A_STEP,
            bytes: PACKET_OVERHEAD + FILTER_OVERHEAD + 1 + 2 * (FILTER_OVERHEAD + 3),
        };
        let mut refresh = begin(vec![0, 1, 2, long, 4], room, &topics, now);

        let mut steps = Vec::new();
        let lacking = loop {
            steps.push(refresh.filters(&topics).len());
            refresh.on_answer(&vec![true; steps[steps.len() - 1]], &topics);
            for topic in ["t/0", "t/1", "t/2"] {
                refresh.on_message(topic.as_bytes(), b"v", true, &topics, now);
            }
            match refresh.on_message(b"m", b"", false, &topics, now) {
                Action::StepDone {
                    lacking,
                    last: true,
                    ..
                } => break lacking,
                action => assert!(matches!(action, Action::StepDone { .. })),
            }
        };

        assert_eq!((steps, lacking), (vec![3, 2], vec![long, 4]));
        let none = Room { filters: 0, ..ROOM };
        assert!(Refresh::begin(vec![0], "m".into(), none, &topics, now).is_none());
    }
}
