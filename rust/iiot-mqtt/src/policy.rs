//! Decides which values are sent, and with which retain flag. Pure: positions and times in, decisions out.
//!
//! A retained topic never goes back to an older value. Three rules ensure that:
//! - *late*: a value older than the newest of its topic is sent without retain (`replay`) or not at all (`latest`);
//! - *maybe sent*: of frames that an earlier connection may have sent, only the value that was the topic's last retained one
//!   keeps its retain flag; sending the others with it would take the topic back and forth;
//! - *far*: a value with a time more than a day ahead is sent, but never becomes the newest; otherwise one wrong clock would make
//!   all later values late.
//!
//! The newest time of each topic must be remembered, so the number of topics is limited. Values of topics beyond the limit are sent
//! without retain, because they might replace a newer retained value.

use crate::topic_names::TopicNames;

/// Times further ahead of the wall clock than this never become a topic's newest.
pub const FAR_AHEAD_NS: i64 = 24 * 3600 * 1_000_000_000;

/// What to do with frames that queue up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backlog {
    /// Send every value.
    Replay,
    /// Of the values that wait, send only the newest of each topic.
    Latest,
}

/// The decision about one publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is sent.
    Send {
        /// With this retain flag.
        retain: bool,
        /// It is older than the newest value of its topic.
        late: bool,
    },
    /// A newer value makes it pointless.
    Supersede,
}

/// The properties of one publish that the rules use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its topic, as `Topics::intern` numbered it.
    pub topic: u32,
    /// Its frame's position.
    pub position: u64,
    /// Which publish of the frame it is.
    pub index: u32,
    /// Its frame's time.
    pub time_ns: i64,
    /// The profile wants it retained.
    pub retain: bool,
    /// It is uncertain whether the broker will ever accept it, so no other value gives up its retain flag for it.
    pub suspect: bool,
}

#[derive(Debug, Clone)]
struct Topic {
    /// Newest time sent in this connection, or confirmed before.
    newest_ns: i64,
    /// Newest time confirmed.
    confirmed_ns: i64,
    /// Newest time in the present simulation.
    simulated_ns: i64,
    /// The last value of the maybe-sent range that keeps its retain flag.
    maybe_winner: Option<(u64, u32)>,
    /// The newest value of the present batch.
    batch_winner: Option<(u64, u32)>,
    /// The last position sent with the retain flag in this connection.
    retained_at: Option<u64>,
    known: Option<Known>,
}

/// The last confirmed value of a topic, kept for the refresh after the next connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The value.
    pub payload: Vec<u8>,
    /// Whether it is retained.
    pub retain: bool,
}

/// Every topic seen, with its newest time. Lives as long as the sink.
#[derive(Debug)]
pub struct Topics {
    names: TopicNames,
    /// By number.
    list: Vec<Topic>,
    backlog: Backlog,
    maybe_until: u64,
    /// The topic confirmed last.
    last_confirmed: Option<u32>,
}

impl Topics {
    /// No topic is known yet; at most `limit` will be.
    pub fn new(backlog: Backlog, limit: u32) -> Self {
        Self {
            names: TopicNames::new(limit),
            list: Vec::new(),
            backlog,
            maybe_until: 0,
            last_confirmed: None,
        }
    }

    /// The number of a topic; `UNLISTED` if it is new and the limit is reached.
    pub fn intern(&mut self, name: &str) -> u32 {
        let id = self.names.intern(name);
        if self.list.len() < self.names.len() {
            self.list.push(Topic {
                newest_ns: i64::MIN,
                confirmed_ns: i64::MIN,
                simulated_ns: i64::MIN,
                maybe_winner: None,
                batch_winner: None,
                retained_at: None,
                known: None,
            });
        }
        id
    }

    /// The number of a topic that was seen before.
    pub fn find(&self, name: &[u8]) -> Option<u32> {
        self.names.find(name)
    }

    /// The name behind a number.
    pub fn name(&self, topic: u32) -> &str {
        self.names.name(topic)
    }

    /// The last confirmed value.
    pub fn known(&self, topic: u32) -> Option<&Known> {
        self.list
            .get(topic as usize)
            .and_then(|topic| topic.known.as_ref())
    }

    /// The newest time of the topic that this connection has sent or an earlier one confirmed; `i64::MIN` for none.
    pub fn newest_ns(&self, topic: u32) -> i64 {
        self.list
            .get(topic as usize)
            .map_or(i64::MIN, |topic| topic.newest_ns)
    }

    /// A value was confirmed (or is known from before): it and its time are kept.
    pub fn confirm(&mut self, topic: u32, payload: &[u8], retain: bool, newest_ns: i64) {
        let number = topic;
        let Some(topic) = self.list.get_mut(number as usize) else {
            return;
        };
        self.last_confirmed = Some(number);
        topic.confirmed_ns = topic.confirmed_ns.max(newest_ns);
        let known = topic.known.get_or_insert_with(Known::default);
        known.retain = retain;
        known.payload.clear();
        known.payload.extend_from_slice(payload);
    }

    /// Begin a connection: values that were sent but not confirmed are forgotten. Frames before `maybe_until` may have been sent
    /// before; `survey` must be called for each of their publishes, in order.
    pub fn begin(&mut self, maybe_until: u64) {
        self.maybe_until = maybe_until;
        for topic in &mut self.list {
            topic.newest_ns = topic.confirmed_ns;
            topic.simulated_ns = topic.confirmed_ns;
            topic.maybe_winner = None;
            topic.batch_winner = None;
            topic.retained_at = None;
        }
    }

    /// Take in a publish of the maybe-sent range before anything is sent.
    pub fn survey(&mut self, candidate: Candidate, now_ns: i64) {
        let Some(topic) = self.list.get_mut(candidate.topic as usize) else {
            return;
        };
        if candidate.time_ns < topic.simulated_ns {
            return;
        }
        if !is_far(candidate.time_ns, now_ns) {
            topic.simulated_ns = candidate.time_ns;
        }
        if candidate.retain && !candidate.suspect {
            topic.maybe_winner = Some((candidate.position, candidate.index));
        }
    }

    /// Known retained topics to compare with the broker. Those for which the maybe-sent range brings a newer value are left
    /// out: the broker may have that value already, and the known one would take it back.
    pub fn to_refresh(&self) -> Vec<u32> {
        let wanted = |topic: &Topic| {
            topic.maybe_winner.is_none() && topic.known.as_ref().is_some_and(|known| known.retain)
        };
        (0..)
            .zip(&self.list)
            .filter(|(_, topic)| wanted(topic))
            .map(|(id, _)| id)
            .collect()
    }

    /// The value at this position was refused for good. Whether the topic's known value must be published again, because values
    /// before this one gave up their retain flag for it.
    pub fn lacks_retained(&self, topic: u32, position: u64) -> bool {
        self.list.get(topic as usize).is_some_and(|topic| {
            topic
                .maybe_winner
                .is_some_and(|(winner, _)| winner == position)
                && topic.retained_at.is_none_or(|at| at <= position)
                && topic.known.as_ref().is_some_and(|known| known.retain)
        })
    }

    /// A confirmed value and its topic: the last confirmed one first, then any others; `skip` of them are skipped.
    pub fn any_known(&self, skip: usize) -> Option<(&str, &[u8])> {
        let last = self.last_confirmed.into_iter();
        last.chain(0..self.list.len() as u32)
            .filter_map(|topic| Some((self.name(topic), self.known(topic)?.payload.as_slice())))
            .nth(skip)
    }

    /// Begin a batch of which only the newest values are sent; `offer` its publishes, in order, then `decide`.
    pub fn begin_batch(&mut self) {
        for topic in &mut self.list {
            topic.simulated_ns = topic.newest_ns;
            topic.batch_winner = None;
        }
    }

    /// Take in a publish of the batch.
    pub fn offer(&mut self, candidate: Candidate, now_ns: i64) {
        let Some(topic) = self.list.get_mut(candidate.topic as usize) else {
            return;
        };
        if candidate.time_ns < topic.simulated_ns {
            return;
        }
        if !is_far(candidate.time_ns, now_ns) {
            topic.simulated_ns = candidate.time_ns;
        }
        topic.batch_winner = Some((candidate.position, candidate.index));
    }

    /// Decide about the next publish, and remember its time. `collapse` if its batch was offered.
    pub fn decide(&mut self, candidate: Candidate, collapse: bool, now_ns: i64) -> Decision {
        let maybe_sent = candidate.position < self.maybe_until;
        let backlog = self.backlog;
        let Some(topic) = self.list.get_mut(candidate.topic as usize) else {
            return Decision::Send {
                retain: false,
                late: false,
            };
        };
        let place = Some((candidate.position, candidate.index));
        if collapse && topic.batch_winner != place {
            return Decision::Supersede;
        }
        if candidate.time_ns < topic.newest_ns {
            return match backlog {
                Backlog::Replay => Decision::Send {
                    retain: false,
                    late: true,
                },
                Backlog::Latest => Decision::Supersede,
            };
        }
        if !is_far(candidate.time_ns, now_ns) {
            topic.newest_ns = candidate.time_ns;
        }
        let retain =
            candidate.retain && (!maybe_sent || candidate.suspect || topic.maybe_winner == place);
        if retain {
            topic.retained_at = Some(candidate.position);
        }
        Decision::Send {
            retain,
            late: false,
        }
    }
}

fn is_far(time_ns: i64, now_ns: i64) -> bool {
    time_ns > now_ns.saturating_add(FAR_AHEAD_NS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic_names::UNLISTED;
    use proptest::prelude::*;

    const NOW: i64 = 1_700_000_000_000_000_000;

    fn candidate(topic: u32, position: u64, time_ns: i64) -> Candidate {
        Candidate {
            topic,
            position,
            index: 0,
            time_ns,
            retain: true,
            suspect: false,
        }
    }

    fn topics(backlog: Backlog) -> Topics {
        let mut topics = Topics::new(backlog, 1000);
        topics.intern("a");
        topics.intern("b");
        topics.begin(0);
        topics
    }

    const fn sent(retain: bool, late: bool) -> Decision {
        Decision::Send { retain, late }
    }

    #[test]
    fn a_topic_beyond_the_limit_is_sent_without_retain_and_not_remembered() {
        for backlog in [Backlog::Replay, Backlog::Latest] {
            let mut topics = Topics::new(backlog, 2);
            topics.intern("a");
            topics.intern("b");

            let beyond = topics.intern("c");

            assert_eq!((beyond, topics.find(b"c")), (UNLISTED, None));
            assert_eq!(topics.intern("b"), 1);
            topics.begin_batch();
            topics.offer(candidate(beyond, 0, NOW), NOW);
            for time_ns in [NOW, NOW - 5] {
                let decision = topics.decide(candidate(beyond, 0, time_ns), true, NOW);
                assert_eq!(decision, sent(false, false));
            }
        }
    }

    #[test]
    fn an_older_value_is_late_and_an_equally_old_one_is_not() {
        for (backlog, late) in [
            (Backlog::Replay, sent(false, true)),
            (Backlog::Latest, Decision::Supersede),
        ] {
            let mut topics = topics(backlog);

            assert_eq!(
                topics.decide(candidate(0, 0, NOW), false, NOW),
                sent(true, false)
            );
            assert_eq!(
                topics.decide(candidate(0, 1, NOW), false, NOW),
                sent(true, false)
            );
            assert_eq!(topics.decide(candidate(0, 2, NOW - 1), false, NOW), late);
            assert_eq!(
                topics.decide(candidate(1, 2, NOW - 1), false, NOW),
                sent(true, false)
            );
        }
    }

    #[test]
    fn a_time_a_day_ahead_makes_nothing_late() {
        let mut topics = topics(Backlog::Replay);

        let far = NOW + FAR_AHEAD_NS + 1;
        assert_eq!(
            topics.decide(candidate(0, 0, far), false, NOW),
            sent(true, false)
        );
        assert_eq!(
            topics.decide(candidate(0, 1, NOW), false, NOW),
            sent(true, false)
        );
        assert_eq!(topics.newest_ns(0), NOW);
        assert_eq!(
            topics.decide(candidate(0, 2, NOW + FAR_AHEAD_NS), false, NOW),
            sent(true, false)
        );
        assert_eq!(
            topics.decide(candidate(0, 3, NOW), false, NOW),
            sent(false, true)
        );
    }

    #[test]
    fn of_what_may_have_been_sent_only_the_newest_keeps_its_retain_flag() {
        let mut topics = topics(Backlog::Replay);
        topics.confirm(0, b"known", true, NOW);
        topics.confirm(1, b"known", true, NOW + 5);
        topics.begin(4);
        let range = [
            candidate(0, 0, NOW + 1),
            candidate(0, 1, NOW + 3),
            candidate(0, 2, NOW + 2),
            candidate(1, 3, NOW),
        ];
        for publish in range {
            topics.survey(publish, NOW);
        }

        let decisions = range.map(|publish| topics.decide(publish, false, NOW));

        assert_eq!(
            decisions,
            [
                sent(false, false),
                sent(true, false),
                sent(false, true),
                sent(false, true)
            ]
        );
        assert_eq!(
            topics.decide(candidate(0, 4, NOW + 4), false, NOW),
            sent(true, false)
        );
        // The range brings topic 0 a newer value than the known one; topic 1 only an older one.
        assert_eq!(topics.to_refresh(), [1]);
    }

    #[test]
    fn a_new_connection_forgets_what_was_sent_and_not_confirmed() {
        let mut topics = topics(Backlog::Replay);
        topics.decide(candidate(0, 0, NOW + 9), false, NOW);

        topics.begin(0);

        assert_eq!(
            topics.decide(candidate(0, 0, NOW + 1), false, NOW),
            sent(true, false)
        );
    }

    /// Frames of one publish: (topic, time).
    fn backlog() -> impl Strategy<Value = Vec<(u32, i64)>> {
        prop::collection::vec(
            (
                0_u32..2,
                (0_i64..20).prop_map(|step| {
                    if step == 19 {
                        NOW + 2 * FAR_AHEAD_NS
                    } else {
                        NOW + step
                    }
                }),
            ),
            1..40,
        )
    }

    fn candidates(frames: &[(u32, i64)]) -> Vec<Candidate> {
        (0..)
            .zip(frames)
            .map(|(position, (topic, time))| candidate(*topic, position, *time))
            .collect()
    }

    /// What each topic has retained after these publishes, beginning with what it had.
    fn retained(
        topics: &mut Topics,
        publishes: &[Candidate],
        had: [Option<u64>; 2],
    ) -> Vec<[Option<u64>; 2]> {
        let mut now = had;
        publishes
            .iter()
            .map(|publish| {
                if let Decision::Send { retain: true, .. } = topics.decide(*publish, false, NOW) {
                    now[publish.topic as usize] = Some(publish.position);
                }
                now
            })
            .collect()
    }

    proptest! {
        /// Killed at any moment with nothing confirmed and started again: no topic goes back at any step, and all end as if
        /// nothing had happened.
        #[test]
        fn a_restart_never_takes_a_retained_value_back(frames in backlog(), sent_before in any::<prop::sample::Index>()) {
            let publishes = candidates(&frames);
            let killed_at = sent_before.index(publishes.len()) + 1;
            let undisturbed = retained(&mut topics(Backlog::Replay), &publishes, [None, None]);
            let before = undisturbed[killed_at - 1];

            let mut again = topics(Backlog::Replay);
            again.begin(publishes.len() as u64);
            for publish in &publishes {
                again.survey(*publish, NOW);
            }
            let steps = retained(&mut again, &publishes, before);

            let mut last = before;
            for step in &steps {
                for topic in 0..2 {
                    prop_assert!(step[topic] >= last[topic], "{before:?} then {steps:?}");
                }
                last = *step;
            }
            prop_assert_eq!(Some(&last), undisturbed.last());
        }

        /// Of a collapsed batch each topic gets at most one value, and it is the one that a replay would have left retained.
        #[test]
        fn a_collapsed_batch_sends_the_value_that_a_replay_ends_with(frames in backlog()) {
            let publishes = candidates(&frames);
            let replayed = retained(&mut topics(Backlog::Replay), &publishes, [None, None]);

            let mut latest = topics(Backlog::Latest);
            latest.begin_batch();
            for publish in &publishes {
                latest.offer(*publish, NOW);
            }
            let mut sent = [None, None];
            for publish in &publishes {
                if let Decision::Send { retain, late } = latest.decide(*publish, true, NOW) {
                    prop_assert!(retain && !late);
                    prop_assert_eq!(sent[publish.topic as usize].replace(publish.position), None);
                }
            }

            prop_assert_eq!(Some(&sent), replayed.last());
        }
    }
}
