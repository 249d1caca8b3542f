//! From the journal to the history: points of the frames behind a sink's cursor, stored, then confirmed.
//!
//! Between the commit here and the confirmation there lies nothing but a repeat: after a crash the same points are stored again, and change nothing.

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

/// Which side has failed.
#[derive(Debug)]
pub enum FeedError {
    /// Reading or confirming.
    Journal(iiot_journal::Error),
    /// Storing.
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

/// What one batch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Frames that were stored and confirmed.
    pub frames: u64,
    /// Their points.
    pub stored: Stored,
}

/// One sink's way from the journal into a history.
pub struct Feed {
    batches: Batches,
    confirmations: Arc<Confirmations>,
    slots: Slots,
}

/// Slot of a field of an origin, where its series is the same for every document; valid for one generation of the writer's slots.
#[derive(Default)]
struct Slots {
    of_field: HashMap<(i64, u32), usize>,
    generation: u64,
}

/// Values of frames, as they are handed to the writer.
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
    /// Begin behind the sink's cursor.
    pub fn new(batches: Batches) -> Self {
        Self {
            confirmations: batches.confirmations(),
            batches,
            slots: Slots::default(),
        }
    }

    /// Wait for frames up to `timeout`, then for more up to `linger` or `max_points`; store and confirm them. None if nothing came.
    pub fn deliver(
        &mut self,
        writer: &mut Writer,
        max_points: usize,
        linger: Duration,
        timeout: Duration,
    ) -> Result<Option<Delivered>, FeedError> {
        // What a transaction that failed did not store is read again.
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
