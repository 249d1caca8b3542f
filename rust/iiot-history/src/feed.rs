//! From the journal to the history: stores the points of the frames behind a sink's cursor, and then confirms the frames.
//!
//! A crash between the commit here and the confirmation is harmless: the same points are stored again, which changes nothing.

use crate::error::Error;
use crate::value::Value;
use crate::writer::{Stored, Writer};
use iiot_core::Decoded;
use iiot_core::series::{push_field_key, push_shared_key};
use iiot_journal::{Batches, Confirmation, Confirmations, Encoder, Frame, OriginInfo, now_ns};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The side that has failed.
#[derive(Debug)]
pub enum FeedError {
    /// The journal: reading or confirming.
    Journal(iiot_journal::Error),
    /// The history: storing.
    History(Error),
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(error) => error.fmt(f),
            Self::History(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FeedError {}

impl From<iiot_journal::Error> for FeedError {
    fn from(error: iiot_journal::Error) -> Self {
        Self::Journal(error)
    }
}

/// The result of one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Frames that were stored and confirmed.
    pub frames: u64,
    /// Their points.
    pub stored: Stored,
}

/// The path of one sink from the journal to a history.
pub struct Feed {
    batches: Batches,
    confirmations: Arc<Confirmations>,
    slots: Slots,
}

/// The slot of a field of an origin, if its series is the same for every document. Valid for one generation of the writer's slots.
#[derive(Default)]
struct Slots {
    of_field: HashMap<(i64, u32), usize>,
    generation: u64,
}

/// Values of frames, in the form for the writer.
struct Values<'w> {
    writer: &'w mut Writer,
    slots: &'w mut Slots,
    max_points: usize,
    frames: u64,
    key: Vec<u8>,
    topic: Vec<u8>,
}

impl Encoder for Values<'_> {
    fn is_full(&self) -> bool {
        self.writer.pending() >= self.max_points
    }

    fn frame(&mut self, info: &OriginInfo, frame: &Frame<'_>, decoded: Option<&Decoded<'_>>) {
        self.frames += 1;
        let Some(decoded) = decoded else { return };
        decoded.for_each_point(&info.origin, frame.time(), |point| {
            let mut shared = None;
            for field in point.fields() {
                let fixed = field.fixed().map(|number| (info.id, number));
                let known = fixed.and_then(|fixed| self.slots.of_field.get(&fixed).copied());
                let slot = known.unwrap_or_else(|| {
                    let end = *shared.get_or_insert_with(|| {
                        self.key.clear();
                        push_shared_key(&point, &mut self.key);
                        self.key.len()
                    });
                    self.key.truncate(end);
                    push_field_key(&field, &mut self.key);
                    let slot = self.writer.slot(&self.key, field.topic(&mut self.topic));
                    if let Some(fixed) = fixed {
                        self.slots.of_field.insert(fixed, slot);
                    }
                    slot
                });
                let value = Value::new(field.kind, &field.text());
                self.writer.add(slot, point.time_ns, value);
            }
        });
    }
}

impl Feed {
    /// Begin at the sink's cursor.
    pub fn new(batches: Batches) -> Self {
        Self {
            confirmations: batches.confirmations(),
            batches,
            slots: Slots::default(),
        }
    }

    /// Wait up to `timeout` for frames, then up to `linger` or `max_points` for more. Store and confirm them. None if no frame came.
    pub fn deliver(
        &mut self,
        writer: &mut Writer,
        max_points: usize,
        linger: Duration,
        timeout: Duration,
    ) -> Result<Option<Delivered>, FeedError> {
        // Points of a failed transaction are read again.
        self.batches.rewind();
        if self.slots.generation != writer.generation() {
            self.slots.of_field.clear();
            self.slots.generation = writer.generation();
        }
        let mut values = Values {
            writer,
            slots: &mut self.slots,
            max_points,
            frames: 0,
            key: Vec::new(),
            topic: Vec::new(),
        };
        let positions = self.batches.next(&mut values, linger, timeout);
        let frames = values.frames;
        let positions = positions.inspect_err(|_| writer.forget())?;
        let Some(positions) = positions else {
            return Ok(None);
        };
        let stored = writer.commit(now_ns()).map_err(FeedError::History)?;
        self.confirmations.queue(Confirmation {
            from: positions.start,
            end: positions.end,
            delivered: frames,
            ..Confirmation::default()
        })?;
        self.confirmations.settle();
        Ok(Some(Delivered { frames, stored }))
    }
}
