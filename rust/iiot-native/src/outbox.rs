//! The journal as the MQTT client wants it: publishes out, confirmations in.

use iiot_core::quote;
use iiot_core::scan::Scan;
use iiot_journal::{Confirmation as Settled, Cursor, SinkReject, TopicValue};
use iiot_mqtt::{Confirmation, KnownTopic, Outbox, OutboxError, PublishBatch};
use std::sync::{Arc, Mutex, PoisonError};

/// Frames that may be sent beyond the stored cursor; after a kill as many may be sent twice.
const SEND_AHEAD_FRAMES: u64 = 4096;
/// Rows read at once.
const READ_BYTES: usize = 256 * 1024;

type Wake = Arc<dyn Fn() + Send + Sync>;

pub(crate) struct JournalOutbox {
    cursor: Cursor,
    scan: Scan,
    wake: Arc<Mutex<Option<Wake>>>,
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn failed(error: iiot_journal::Error) -> OutboxError {
    OutboxError(error.to_string())
}

impl JournalOutbox {
    pub(crate) fn new(cursor: Cursor) -> Self {
        let wake: Arc<Mutex<Option<Wake>>> = Arc::default();
        let told = Arc::clone(&wake);
        cursor.on_progress(Arc::new(move || {
            let wake = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(wake) = wake {
                wake();
            }
        }));
        Self {
            cursor,
            scan: Scan::new(),
            wake,
        }
    }
}

impl Outbox for JournalOutbox {
    fn cursor(&mut self) -> u64 {
        self.cursor.position()
    }

    fn send_ahead(&self) -> u64 {
        SEND_AHEAD_FRAMES
    }

    fn topics(&mut self) -> Result<Vec<KnownTopic>, OutboxError> {
        let known = self.cursor.topics().map_err(failed)?;
        Ok(known
            .into_iter()
            .map(|t| KnownTopic {
                topic: t.topic,
                payload: t.payload,
                retain: t.retain,
                time_ns: t.time_ns,
            })
            .collect())
    }

    fn read(
        &mut self,
        from: u64,
        max_frames: usize,
        batch: &mut PublishBatch,
    ) -> Result<bool, OutboxError> {
        let rows = self.cursor.read(from, READ_BYTES).map_err(failed)?;
        let mut left = max_frames;
        let mut any = false;
        for row in &rows {
            if left == 0 {
                break;
            }
            any = true;
            if !self.cursor.takes(row).map_err(failed)? {
                batch.set_end(row.end());
                continue;
            }
            let info = self.cursor.origin(row.origin).map_err(failed)?;
            for frame in row.frames().filter(|f| f.position >= from).take(left) {
                left -= 1;
                batch.begin_frame(frame.position, frame.time_ns);
                let Ok(decoded) = info.decode(&frame, &mut self.scan) else {
                    continue; // it was accepted under this very profile, so this does not happen
                };
                decoded.publishes(&info.origin, |p| {
                    batch.publish(
                        &[std::str::from_utf8(p.topic).unwrap_or_default()],
                        p.payload,
                        p.retain,
                        p.place,
                    );
                });
            }
        }
        Ok(any)
    }

    fn confirm(&mut self, c: Confirmation) -> Result<(), OutboxError> {
        let mut positions: Vec<u64> = c.rejected.iter().map(|r| r.position).collect();
        positions.dedup();
        let settled = Settled {
            from: c.begin,
            end: c.end,
            delivered: c.delivered,
            superseded: c.superseded,
            rejected: positions.len() as u64,
            rejects: c
                .rejected
                .into_iter()
                .map(|r| SinkReject {
                    position: r.position,
                    point: r.place.point,
                    field: Some(r.place.field),
                    reason: r.reason,
                    excerpt: quote(r.topic.as_bytes()),
                })
                .collect(),
            topics: c
                .topics
                .into_iter()
                .map(|t| TopicValue {
                    topic: t.topic,
                    payload: t.payload,
                    retain: t.retain,
                    time_ns: t.time_ns,
                })
                .collect(),
        };
        self.cursor.confirmer().confirm(settled).map_err(failed)
    }

    fn confirmed(&mut self) -> u64 {
        self.cursor.position()
    }

    fn subscribe(&mut self, wake: Wake) {
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner) = Some(wake);
    }
}
