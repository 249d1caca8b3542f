//! The journal in the form that the MQTT client needs: it gives publishes and takes confirmations.

use iiot_core::{Decoded, Publish, quote};
use iiot_journal::{
    Batches, Confirmation as Settled, Confirmations, Encoder, Error, Frame, OriginInfo, Runs,
    SinkReject, TopicValue,
};
use iiot_mqtt::{Confirmation, Identity, KnownTopic, PublishBatch, PublishQueue, QueueError};
use std::sync::{Arc, Mutex, PoisonError};

/// How many frames may be sent beyond the stored cursor. After a kill, as many may be sent twice.
const SEND_AHEAD_FRAMES: u64 = 4096;

type Wake = Arc<dyn Fn() + Send + Sync>;

/// The queue from which the MQTT client sends, and to which it confirms.
pub struct JournalQueue {
    batches: Batches,
    confirmations: Arc<Confirmations>,
    wake: Arc<Mutex<Option<Wake>>>,
    /// The id of the journal.
    id: String,
    runs: Arc<Runs>,
    /// The points of the frame under way, each with its time.
    times: Vec<(u32, i64)>,
}

/// Publishes of a few frames.
struct Publishes<'b> {
    batch: &'b mut PublishBatch,
    frames_left: usize,
    times: &'b mut Vec<(u32, i64)>,
}

impl Encoder for Publishes<'_> {
    fn is_full(&self) -> bool {
        self.frames_left == 0
    }

    fn frame(&mut self, info: &OriginInfo, frame: &Frame<'_>, decoded: Option<&Decoded<'_>>) {
        self.frames_left = self.frames_left.saturating_sub(1);
        self.batch.begin_frame(frame.position, frame.time_ns);
        let Some(decoded) = decoded else { return };
        self.times.clear();
        decoded.point_times(frame.time(), |point, time_ns| {
            if time_ns != frame.time_ns {
                self.times.push((point, time_ns));
            }
        });
        decoded.publishes(&info.origin, |publish| {
            let topic = std::str::from_utf8(publish.topic).unwrap_or_default();
            let own = self
                .times
                .iter()
                .find(|(point, _)| *point == publish.place.point);
            let time_ns = own.map_or(frame.time_ns, |(_, time_ns)| *time_ns);
            let Publish {
                payload,
                retain,
                place,
                ..
            } = publish;
            self.batch
                .publish(&[topic], payload, retain, place, time_ns);
        });
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn failed(error: Error) -> QueueError {
    QueueError(error.to_string())
}

impl JournalQueue {
    /// Begin at the sink's cursor. `id` and `runs` are the journal's.
    pub fn new(batches: Batches, id: String, runs: Arc<Runs>) -> Self {
        let wake: Arc<Mutex<Option<Wake>>> = Arc::default();
        let told = Arc::clone(&wake);
        batches.on_progress(Arc::new(move || {
            let wake = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(wake) = wake {
                wake();
            }
        }));
        Self {
            confirmations: batches.confirmations(),
            batches,
            wake,
            id,
            runs,
            times: Vec::new(),
        }
    }
}

impl PublishQueue for JournalQueue {
    fn cursor(&mut self) -> u64 {
        self.batches.position()
    }

    fn send_ahead(&self) -> u64 {
        SEND_AHEAD_FRAMES
    }

    fn topics(&mut self) -> Result<Vec<KnownTopic>, QueueError> {
        let known = self.batches.topics().map_err(failed)?;
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
    ) -> Result<bool, QueueError> {
        let mut end = from;
        let mut publishes = Publishes {
            batch,
            frames_left: max_frames,
            times: &mut self.times,
        };
        let any = self
            .batches
            .read(&mut end, &mut publishes)
            .map_err(failed)?;
        if any {
            batch.set_end(end);
        }
        Ok(any)
    }

    fn confirm(&mut self, c: Confirmation) -> Result<(), QueueError> {
        let mut positions: Vec<u64> = c.rejected.iter().map(|r| r.position).collect();
        positions.dedup();
        let settled = Settled {
            from: c.begin,
            end: c.end,
            delivered: c.delivered,
            superseded: c.superseded,
            rejected: positions.len() as u64,
            values: c.points,
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
            ..Settled::default()
        };
        self.confirmations.queue(settled).map_err(failed)
    }

    fn confirmed(&mut self) -> u64 {
        self.batches.position()
    }

    fn identity(&self, position: u64) -> Option<Identity<'_>> {
        let run = &self.runs.of(position)?.id;
        Some(Identity {
            origin: &self.id,
            run,
        })
    }

    fn subscribe(&mut self, wake: Wake) {
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner) = Some(wake);
    }
}
