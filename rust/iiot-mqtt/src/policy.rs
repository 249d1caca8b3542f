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
mod tests;
