//! From the journal to the history: points of the frames behind a sink's cursor, stored, then confirmed.
//!
//! Between the commit here and the confirmation there lies nothing but a repeat: after a crash the same points are stored again, and change nothing.

use crate::error::Error;
use crate::value::Value;
use crate::writer::{Stored, Writer};
use iiot_core::scan::Scan;
use iiot_journal::{Confirmation, Confirmer, Cursor};
use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Read from the journal at once.
const READ_BYTES: usize = 256 * 1024;

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
    cursor: Cursor,
    confirmer: Confirmer,
    scan: Scan,
    /// Slot of a metric of an origin, where it is the same for every document.
    slots: HashMap<(i64, u32), usize>,
    generation: u64,
}

impl Feed {
    /// Begin behind the sink's cursor.
    pub fn new(cursor: Cursor) -> Self {
        Self {
            confirmer: cursor.confirmer(),
            cursor,
            scan: Scan::new(),
            slots: HashMap::new(),
            // No writer has it.
            generation: 0,
        }
    }

    /// Wakes a waiting [`Feed::deliver`], so that it asks `cancelled`.
    pub fn nudge(&self) -> impl Fn() + Send + Sync + 'static {
        self.cursor.nudge()
    }

    /// Wait for frames up to `timeout`, then for more up to `linger` or `max_points`; store and confirm them. None if nothing came.
    pub fn deliver(
        &mut self,
        writer: &mut Writer,
        max_points: usize,
        linger: Duration,
        timeout: Duration,
        cancelled: impl Fn() -> bool,
    ) -> Result<Option<Delivered>, FeedError> {
        let from = self.cursor.position();
        if cancelled() || !self.cursor.wait_readable(from, timeout, &cancelled) || cancelled() {
            return Ok(None);
        }
        if self.generation != writer.generation() {
            self.slots.clear();
            self.generation = writer.generation();
        }
        let (mut end, mut frames) = (from, 0);
        let until = Instant::now() + linger;
        while writer.pending() < max_points {
            let before = end;
            let collected = self.collect(writer, max_points, &mut end, &mut frames);
            if collected.is_err() && end > from {
                // What was read before is whole; the next batch begins at the error.
                break;
            }
            if collected.is_err() {
                writer.forget();
            }
            collected?;
            if end == before {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() || !self.cursor.wait_readable(end, left, &cancelled) {
                    break;
                }
            }
            if cancelled() {
                break;
            }
        }
        if end == from {
            return Ok(None);
        }
        let stored = writer.commit(now_ns()).map_err(FeedError::History)?;
        self.confirmer.confirm(Confirmation {
            from,
            end,
            delivered: frames,
            ..Confirmation::default()
        })?;
        while !self.confirmer.wait_settled(end, Duration::from_millis(200)) && !cancelled() {}
        Ok(Some(Delivered { frames, stored }))
    }

    /// Hand the points of frames from `end` on to the writer.
    fn collect(
        &mut self,
        writer: &mut Writer,
        max_points: usize,
        end: &mut u64,
        frames: &mut u64,
    ) -> Result<(), FeedError> {
        for row in &self.cursor.read(*end, READ_BYTES)? {
            if !self.cursor.takes(row)? {
                *end = row.end();
                continue;
            }
            let info = self.cursor.origin(row.origin)?;
            let from = *end;
            for frame in row.frames().filter(|f| f.position >= from) {
                if writer.pending() >= max_points {
                    return Ok(());
                }
                *frames += 1;
                *end = frame.position + 1;
                let Ok(decoded) = info.decode(&frame, &mut self.scan) else {
                    continue;
                };
                let slots = &mut self.slots;
                decoded.values(&info.origin, frame.time(), |point| {
                    let slot = match point.fixed {
                        Some(field) => *slots
                            .entry((row.origin, field))
                            .or_insert_with(|| writer.slot(point.series, point.topic)),
                        None => writer.slot(point.series, point.topic),
                    };
                    writer.add(slot, point.time_ns, Value::new(point.kind, point.value));
                });
            }
        }
        Ok(())
    }
}

/// Nanoseconds since 1970 by the host's clock.
fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
}
