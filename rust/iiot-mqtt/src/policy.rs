//! What is sent, and with which retain flag. Pure: positions and times in, verdicts out.
//!
//! A retained value never goes back. Three rules see to it:
//! - *late*: a value older than its topic's newest is sent with retain off (`replay`) or not at all (`latest`);
//! - *maybe sent*: of frames that an earlier connection may have sent, only the value that was the topic's last retained one
//!   keeps its retain flag; sending the others with it would take the topic back and forth;
//! - *far*: a value from more than a day ahead is sent, but never becomes the newest, or one wrong clock would make all
//!   later values late.

use std::collections::HashMap;

/// Times further ahead of the wall clock than this never become a topic's newest.
pub const FAR_AHEAD_NS: i64 = 24 * 3600 * 1_000_000_000;

/// What to do with frames that queue up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backlog {
    /// Send every value.
    Replay,
    /// Send only the newest value of each topic of what waits.
    Latest,
}

/// What becomes of one publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent.
    Send {
        /// With this retain flag.
        retain: bool,
        /// It is older than its topic's newest.
        late: bool,
    },
    /// A newer value makes it pointless.
    Supersede,
}

/// One publish, as the rules see it.
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
}

#[derive(Debug, Clone)]
struct Topic {
    name: String,
    /// Newest time sent in this connection, or confirmed before.
    newest_ns: i64,
    /// Newest time confirmed.
    confirmed_ns: i64,
    /// Newest time in the simulation under way.
    simulated_ns: i64,
    /// The last value of the maybe-sent range that keeps its retain flag.
    maybe_winner: Option<(u64, u32)>,
    /// The newest value of the batch under way.
    batch_winner: Option<(u64, u32)>,
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

/// Every topic seen, numbered, with its newest time. Lives as long as the sink.
#[derive(Debug)]
pub struct Topics {
    ids: HashMap<String, u32>,
    list: Vec<Topic>,
    /// Which topic came after which the last time: frames repeat, so this mostly saves the hash.
    follower: Vec<u32>,
    previous: u32,
    backlog: Backlog,
    maybe_until: u64,
}

impl Topics {
    /// None known yet.
    pub fn new(backlog: Backlog) -> Self {
        Self {
            ids: HashMap::new(),
            list: Vec::new(),
            follower: Vec::new(),
            previous: 0,
            backlog,
            maybe_until: 0,
        }
    }

    /// The number of a topic.
    pub fn intern(&mut self, name: &str) -> u32 {
        let guess = self
            .follower
            .get(self.previous as usize)
            .copied()
            .unwrap_or(0);
        if self
            .list
            .get(guess as usize)
            .is_some_and(|topic| topic.name == name)
        {
            self.previous = guess;
            return guess;
        }
        let id = match self.ids.get(name) {
            Some(id) => *id,
            None => self.add(name),
        };
        if let Some(slot) = self.follower.get_mut(self.previous as usize) {
            *slot = id;
        }
        self.previous = id;
        id
    }

    fn add(&mut self, name: &str) -> u32 {
        let id = self.list.len() as u32;
        self.ids.insert(name.to_owned(), id);
        self.follower.push(0);
        self.list.push(Topic {
            name: name.to_owned(),
            newest_ns: i64::MIN,
            confirmed_ns: i64::MIN,
            simulated_ns: i64::MIN,
            maybe_winner: None,
            batch_winner: None,
            known: None,
        });
        id
    }

    /// The number of a topic that was seen before.
    pub fn find(&self, name: &[u8]) -> Option<u32> {
        std::str::from_utf8(name)
            .ok()
            .and_then(|name| self.ids.get(name))
            .copied()
    }

    /// The name behind a number.
    pub fn name(&self, topic: u32) -> &str {
        self.list
            .get(topic as usize)
            .map_or("", |topic| topic.name.as_str())
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
        let Some(topic) = self.list.get_mut(topic as usize) else {
            return;
        };
        topic.confirmed_ns = topic.confirmed_ns.max(newest_ns);
        let known = topic.known.get_or_insert_with(Known::default);
        known.retain = retain;
        known.payload.clear();
        known.payload.extend_from_slice(payload);
    }

    /// Begin a connection: what was sent and not confirmed is forgotten. Frames before `maybe_until` may have been sent before;
    /// `survey` is to be called for each of their publishes, in order.
    pub fn begin(&mut self, maybe_until: u64) {
        self.maybe_until = maybe_until;
        for topic in &mut self.list {
            topic.newest_ns = topic.confirmed_ns;
            topic.simulated_ns = topic.confirmed_ns;
            topic.maybe_winner = None;
            topic.batch_winner = None;
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
        if candidate.retain {
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

    /// Begin a read batch of which only the newest values are to be sent; `offer` its publishes, in order, then `decide`.
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

    /// Decide on a publish that comes next, and remember its time. `collapse` if its batch was offered.
    pub fn decide(&mut self, candidate: Candidate, collapse: bool, now_ns: i64) -> Verdict {
        let maybe_sent = candidate.position < self.maybe_until;
        let backlog = self.backlog;
        let Some(topic) = self.list.get_mut(candidate.topic as usize) else {
            return Verdict::Supersede;
        };
        let place = Some((candidate.position, candidate.index));
        if collapse && topic.batch_winner != place {
            return Verdict::Supersede;
        }
        if candidate.time_ns < topic.newest_ns {
            return match backlog {
                Backlog::Replay => Verdict::Send {
                    retain: false,
                    late: true,
                },
                Backlog::Latest => Verdict::Supersede,
            };
        }
        if !is_far(candidate.time_ns, now_ns) {
            topic.newest_ns = candidate.time_ns;
        }
        let retain = candidate.retain && (!maybe_sent || topic.maybe_winner == place);
        Verdict::Send {
            retain,
            late: false,
        }
    }
}

fn is_far(time_ns: i64, now_ns: i64) -> bool {
    time_ns > now_ns.saturating_add(FAR_AHEAD_NS)
}
