//! Turns batches into publishes. There is no I/O except that of the queue.

use bytes::Bytes;

use crate::policy::{Backlog, Candidate, Decision, Topics};
use crate::queue::{PublishBatch, PublishQueue, QueueError};
use crate::topic_names::UNLISTED;
use crate::trial::{Place, Trial};

/// How many frames are decoded at once: enough to keep the window full, but so few that a small window does not leave many
/// waiting.
const FRAMES_A_READ: usize = 256;
/// With `latest`, fewer values are sent if more frames are read at once.
const FRAMES_A_READ_LATEST: usize = 2048;

/// An entry in the sequence of unacknowledged publishes.
#[derive(Debug)]
pub enum Item {
    /// A value.
    Point(Point),
    /// The end of the frame at this position: all of its publishes are before this.
    FrameEnd {
        position: u64,
        /// The frame had publishes, but none was sent.
        superseded: bool,
    },
    /// There are no frames between the last one and this position.
    Gap { end: u64 },
    /// A publish outside the journal.
    Aside { aside: Aside, topic: Box<str> },
}

/// A value on its way.
#[derive(Debug, Clone)]
pub struct Point {
    pub topic: u32,
    /// The name of a topic that `Topics` does not hold.
    unlisted: Option<Box<str>>,
    pub position: u64,
    /// Which value of the frame.
    pub value: iiot_core::Place,
    /// The time of the value.
    pub time_ns: i64,
    pub payload: Bytes,
    /// The retain flag with which it is sent.
    pub retain: bool,
    /// The profile wants it retained.
    pub wants_retain: bool,
    pub late: bool,
    pub(crate) newest_ns: i64,
}

impl Point {
    /// The topic's name.
    pub fn name<'a>(&'a self, topics: &'a Topics) -> &'a str {
        self.unlisted
            .as_deref()
            .unwrap_or_else(|| topics.name(self.topic))
    }

    /// Once acknowledged, it is the topic's last known value, even if it was sent without retain because a newer value
    /// follows.
    pub(crate) fn is_kept(&self) -> bool {
        !self.late && self.unlisted.is_none()
    }

    /// Its place in the journal.
    pub fn place(&self) -> Place {
        (self.position, self.value)
    }

    /// Its topic is beyond the limit.
    pub fn is_unlisted(&self) -> bool {
        self.unlisted.is_some()
    }
}

/// Publishes outside the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aside {
    Online,
    Offline,
    Health,
    Refresh,
    RefreshMarker,
    /// Closes a window of `QoS 0` publishes.
    WindowMarker,
    /// A value that the broker accepted before, to find out whether it still accepts any.
    Canary,
}

/// The next publish.
#[derive(Debug)]
pub enum Next {
    Send(Point),
    FrameEnd {
        position: u64,
        superseded: bool,
    },
    Gap {
        end: u64,
    },
    /// The batch is finished; call `refill`.
    Empty,
}

/// The batch being sent.
#[derive(Debug)]
pub struct Stage {
    batch: PublishBatch,
    arena: Bytes,
    /// Topic of each publish of the batch.
    topics: Vec<u32>,
    collapse: bool,
    backlog: Backlog,
    frame: usize,
    publish: u32,
    sent_in_frame: bool,
    /// The end of the batch, if there are positions without a frame before it: their frames are not for this sink.
    gap: Option<u64>,
    /// Where the next read begins.
    next_position: u64,
    /// The position behind the last frame of which a publish was handed out.
    sent_end: u64,
}

impl Stage {
    pub fn new(from: u64, backlog: Backlog) -> Self {
        Self {
            batch: PublishBatch::new(),
            arena: Bytes::new(),
            topics: Vec::new(),
            collapse: false,
            backlog,
            frame: 0,
            publish: 0,
            sent_in_frame: false,
            gap: None,
            next_position: from,
            sent_end: from,
        }
    }

    pub fn sent_end(&self) -> u64 {
        self.sent_end
    }

    pub fn next_position(&self) -> u64 {
        self.next_position
    }

    /// The frame whose publishes come next.
    pub fn position(&self) -> u64 {
        self.batch
            .frames
            .get(self.frame)
            .map_or(self.next_position, |frame| frame.position)
    }

    /// Read the next batch, with frames before `limit` only. `false` if there are none.
    pub fn refill(
        &mut self,
        queue: &mut dyn PublishQueue,
        limit: u64,
        topics: &mut Topics,
        trial: &Trial,
        now_ns: i64,
    ) -> Result<bool, QueueError> {
        let room = limit.saturating_sub(self.next_position) as usize;
        let most = if self.backlog == Backlog::Latest {
            FRAMES_A_READ_LATEST
        } else {
            FRAMES_A_READ
        };
        if room == 0 {
            return Ok(false);
        }
        self.batch.clear();
        self.frame = 0;
        self.publish = 0;
        if !queue.read(self.next_position, room.min(most), &mut self.batch)?
            || self.batch.end() <= self.next_position
        {
            self.batch.clear();
            return Ok(false);
        }
        number(&self.batch, topics, &mut self.topics);
        self.collapse = self.backlog == Backlog::Latest && self.batch.frames() > 1;
        if self.collapse {
            topics.begin_batch();
            for_each(&self.batch, &self.topics, trial, |candidate| {
                topics.offer(candidate, now_ns);
            });
        }
        self.arena = self.batch.take_arena();
        let end = self.batch.end();
        let last = self.batch.frames.last();
        self.gap = last
            .is_none_or(|frame| frame.position + 1 < end)
            .then_some(end);
        self.next_position = end;
        Ok(true)
    }

    pub fn next(&mut self, topics: &mut Topics, trial: &Trial, now_ns: i64) -> Next {
        loop {
            let Some(frame) = self.batch.frames.get(self.frame).copied() else {
                return self.gap.take().map_or(Next::Empty, |end| Next::Gap { end });
            };
            if self.publish == frame.count {
                let superseded = frame.count > 0 && !self.sent_in_frame;
                self.frame += 1;
                self.publish = 0;
                self.sent_in_frame = false;
                return Next::FrameEnd {
                    position: frame.position,
                    superseded,
                };
            }
            let index = self.publish;
            self.publish += 1;
            let at = (frame.first + index) as usize;
            let (Some(span), Some(topic)) =
                (self.batch.publishes.get(at), self.topics.get(at).copied())
            else {
                continue;
            };
            let unlisted = (topic == UNLISTED).then(|| {
                let name = self.arena.get(span.topic()).unwrap_or_default();
                String::from_utf8_lossy(name).into()
            });
            let point = Point {
                topic,
                unlisted,
                position: frame.position,
                value: span.place,
                time_ns: span.time_ns,
                payload: self.arena.slice(span.payload()),
                retain: false,
                wants_retain: span.retain,
                late: false,
                newest_ns: i64::MIN,
            };
            let candidate = Candidate {
                topic,
                position: frame.position,
                index,
                time_ns: frame.time_ns,
                retain: span.retain,
                suspect: trial.is_suspect(point.place()),
            };
            if let Decision::Send { retain, late } = topics.decide(candidate, self.collapse, now_ns)
            {
                self.sent_in_frame = true;
                self.sent_end = self.sent_end.max(frame.position + 1);
                return Next::Send(Point {
                    retain,
                    late,
                    newest_ns: topics.newest_ns(topic),
                    ..point
                });
            }
        }
    }
}

fn number(batch: &PublishBatch, topics: &mut Topics, numbers: &mut Vec<u32>) {
    numbers.clear();
    for span in &batch.publishes {
        // The parts were `&str`, so this cannot fail.
        numbers.push(
            topics.intern(std::str::from_utf8(batch.bytes(span.topic())).unwrap_or_default()),
        );
    }
}

/// Show every publish that may be sent.
fn for_each(batch: &PublishBatch, numbers: &[u32], trial: &Trial, mut take: impl FnMut(Candidate)) {
    for frame in &batch.frames {
        let span = frame.first as usize..(frame.first + frame.count) as usize;
        let publishes = batch.publishes.get(span.clone()).unwrap_or_default();
        let numbers = numbers.get(span).unwrap_or_default();
        for (index, (publish, topic)) in (0..).zip(publishes.iter().zip(numbers)) {
            take(Candidate {
                topic: *topic,
                position: frame.position,
                index,
                time_ns: frame.time_ns,
                retain: publish.retain,
                suspect: trial.is_suspect((frame.position, publish.place)),
            });
        }
    }
}

/// Read the values in `from..until` that may have been sent before, so that `Topics` knows which of them keep their retain
/// flag.
pub fn survey(
    queue: &mut dyn PublishQueue,
    from: u64,
    until: u64,
    topics: &mut Topics,
    trial: &Trial,
    now_ns: i64,
) -> Result<(), QueueError> {
    let mut batch = PublishBatch::new();
    let mut numbers = Vec::new();
    let mut at = from;
    while at < until {
        batch.clear();
        if !queue.read(at, ((until - at) as usize).min(FRAMES_A_READ), &mut batch)?
            || batch.end() <= at
        {
            break;
        }
        number(&batch, topics, &mut numbers);
        for_each(&batch, &numbers, trial, |candidate| {
            if candidate.position < until {
                topics.survey(candidate, now_ns);
            }
        });
        at = batch.end();
    }
    Ok(())
}

/// The end of the existing frames in `from..until`.
pub fn existing_end(
    queue: &mut dyn PublishQueue,
    from: u64,
    until: u64,
) -> Result<u64, QueueError> {
    let mut batch = PublishBatch::new();
    let mut at = from;
    while at < until {
        batch.clear();
        if !queue.read(at, ((until - at) as usize).min(FRAMES_A_READ), &mut batch)?
            || batch.end() <= at
        {
            break;
        }
        at = batch.end();
    }
    Ok(at.min(until))
}
