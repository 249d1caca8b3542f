//! The queue from which a sink reads and to which it confirms: the interface between this crate and the journal.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use iiot_core::Place;

use crate::mark::Identity;

/// The source of publishes and the destination of confirmations. The journal's adapter implements it; tests use an implementation in memory.
///
/// No method may block on the disk for long: all are called from the thread that drives the connection.
pub trait PublishQueue: Send {
    /// The stored cursor: the first position that is not confirmed.
    fn cursor(&mut self) -> u64;
    /// How many frames may be sent beyond the stored cursor.
    fn send_ahead(&self) -> u64;
    /// The last confirmed value of every topic.
    fn topics(&mut self) -> Result<Vec<KnownTopic>, QueueError>;
    /// Append the publishes of at most `max_frames` frames at positions from `from` on, and set the batch's end.
    /// `false` if nothing is there yet.
    fn read(
        &mut self,
        from: u64,
        max_frames: usize,
        batch: &mut PublishBatch,
    ) -> Result<bool, QueueError>;
    /// Queue a confirmation. It is committed later; then the `subscribe`d function is called.
    fn confirm(&mut self, confirmation: Confirmation) -> Result<(), QueueError>;
    /// The cursor that is durable now.
    fn confirmed(&mut self) -> u64;
    /// The journal and run that identify the values of the frame at a position for their receivers; none if they are unknown.
    fn identity(&self, position: u64) -> Option<Identity<'_>>;
    /// `wake` must be called whenever frames or a confirmation were committed. It replaces an earlier one.
    fn subscribe(&mut self, wake: Arc<dyn Fn() + Send + Sync>);
}

/// The queue cannot be read or confirmed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueError(pub String);

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for QueueError {}

/// The last confirmed value of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTopic {
    /// Its name.
    pub topic: String,
    /// Its value.
    pub payload: Vec<u8>,
    /// Whether the value is retained; only such topics are refreshed.
    pub retain: bool,
    /// The newest time seen on the topic. A value with a time a day ahead or more does not change it.
    pub time_ns: i64,
}

/// A point that the broker, or the protocol, refuses for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointReject {
    /// The frame's position.
    pub position: u64,
    /// Which value of the frame, as given to `PublishBatch::publish`.
    pub place: Place,
    /// Why, as one word with underscores; a broker's own sentence may follow after a colon.
    pub reason: String,
    /// Its topic.
    pub topic: String,
}

/// One step of the cursor, with the outcomes of the frames in between.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// Position of the first frame that is counted here.
    pub begin: u64,
    /// The new cursor.
    pub end: u64,
    /// Frames of which every point that had to be sent was acknowledged.
    pub delivered: u64,
    /// Frames of which no point was sent, because newer values followed them.
    pub superseded: u64,
    /// Points refused; a frame with one of them is neither delivered nor superseded.
    pub rejected: Vec<PointReject>,
    /// The newest confirmed value of each topic that changed in this step.
    pub topics: Vec<KnownTopic>,
    /// Acknowledged points that were older than the newest of their topic, and so were sent without retain.
    pub late_points: u64,
    /// Points acknowledged.
    pub points: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameSpan {
    pub position: u64,
    pub time_ns: i64,
    pub first: u32,
    pub count: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct PublishSpan {
    topic_at: u32,
    payload_at: u32,
    payload_end: u32,
    pub place: Place,
    pub retain: bool,
    pub time_ns: i64,
}

impl PublishSpan {
    pub fn topic(&self) -> Range<usize> {
        self.topic_at as usize..self.payload_at as usize
    }

    pub fn payload(&self) -> Range<usize> {
        self.payload_at as usize..self.payload_end as usize
    }
}

/// The publishes of consecutive frames, in one arena. Reused from read to read.
#[derive(Debug, Default)]
pub struct PublishBatch {
    pub(crate) frames: Vec<FrameSpan>,
    pub(crate) publishes: Vec<PublishSpan>,
    arena: BytesMut,
    end: u64,
}

impl PublishBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begin the next frame. `time_ns` is the frame's time, which decides what is late.
    pub fn begin_frame(&mut self, position: u64, time_ns: i64) {
        self.frames.push(FrameSpan {
            position,
            time_ns,
            first: self.publishes.len() as u32,
            count: 0,
        });
        self.end = position + 1;
    }

    /// Add a publish to the last frame that was begun; without such a frame it is ignored. The topic is the parts joined together; `time_ns` is
    /// the value's own time.
    pub fn publish(
        &mut self,
        topic_parts: &[&str],
        payload: &[u8],
        retain: bool,
        place: Place,
        time_ns: i64,
    ) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        frame.count += 1;
        let topic_at = self.arena.len() as u32;
        for part in topic_parts {
            self.arena.extend_from_slice(part.as_bytes());
        }
        let payload_at = self.arena.len() as u32;
        self.arena.extend_from_slice(payload);
        let payload_end = self.arena.len() as u32;
        self.publishes.push(PublishSpan {
            topic_at,
            payload_at,
            payload_end,
            place,
            retain,
            time_ns,
        });
    }

    /// The position behind the last frame read. Begun frames move it; call this if positions behind them are empty.
    pub fn set_end(&mut self, end: u64) {
        self.end = end;
    }

    /// The position behind the last frame read.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// How many frames it holds.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn clear(&mut self) {
        self.frames.clear();
        self.publishes.clear();
        self.arena.clear();
    }

    /// The bytes that the spans point into; the batch keeps its spans and gets a new arena.
    pub(crate) fn take_arena(&mut self) -> Bytes {
        self.arena.split().freeze()
    }

    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.arena.get(range).unwrap_or_default()
    }
}
