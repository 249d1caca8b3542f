//! A consumer of the built-in broker: stores clients' messages in the journal before the broker acknowledges them.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iiot_journal::{Intake, Message, now_ns};
use mqtt5::topic_matches_filter;
use tokio::sync::Notify;

use crate::taker::{Done, Published, Taker};

/// Stores the messages of some filters in the journal.
pub struct Consumer {
    filters: Vec<String>,
    max_payload_bytes: usize,
    intake: Mutex<Intake>,
    /// Notified when frames have become durable, or when the journal has room again.
    changed: Notify,
    counts: Counts,
    stopped: AtomicBool,
}

#[derive(Default)]
struct Counts {
    messages: AtomicU64,
    payload_bytes: AtomicU64,
    last_message_ns: AtomicI64,
}

impl Consumer {
    /// The filters must be valid.
    pub fn new(filters: Vec<String>, max_payload_bytes: usize, intake: Intake) -> Arc<Self> {
        let consumer = Arc::new(Self {
            filters,
            max_payload_bytes,
            intake: Mutex::new(intake),
            changed: Notify::new(),
            counts: Counts::default(),
            stopped: AtomicBool::new(false),
        });
        let woken = Arc::downgrade(&consumer);
        consumer.intake().subscribe(Arc::new(move || {
            if let Some(consumer) = woken.upgrade() {
                consumer.changed.notify_waiters();
            }
        }));
        consumer
    }

    fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the journal has room now; clients wait while it has none.
    pub fn has_room(&self) -> bool {
        self.intake().has_room()
    }

    /// Messages so far, their bytes, and when the last one came, nanoseconds since 1970 (0 before the first).
    pub fn counts(&self) -> (u64, u64, i64) {
        (
            self.counts.messages.load(Ordering::Relaxed),
            self.counts.payload_bytes.load(Ordering::Relaxed),
            self.counts.last_message_ns.load(Ordering::Relaxed),
        )
    }

    /// Accept no more messages. They are not acknowledged, so that their clients send them again.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn push(&self, topic: &str, payload: &[u8]) -> Option<u64> {
        let received_at_ns = now_ns();
        let message = Message {
            topic: Some(topic.as_bytes()),
            document: payload,
            received_at_ns,
            ..Message::default()
        };
        let mut intake = self.intake();
        if payload.len() > self.max_payload_bytes {
            intake.refuse_long_message(&message, payload.len() as u64);
        } else {
            intake.take_message(&message);
        }
        self.counts.messages.fetch_add(1, Ordering::Relaxed);
        let bytes = payload.len() as u64;
        self.counts
            .payload_bytes
            .fetch_add(bytes, Ordering::Relaxed);
        self.counts
            .last_message_ns
            .store(received_at_ns, Ordering::Relaxed);
        intake.send_messages().ok()
    }

    /// Wait until something may have changed, and check again.
    async fn until(&self, mut is_done: impl FnMut(&Intake) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Prepared before the check, so that a change between check and wait is not missed.
            changed.as_mut().enable();
            if is_done(&self.intake()) {
                return;
            }
            changed.await;
        }
    }

    async fn take_one(&self, topic: &str, payload: &[u8]) {
        if self.stopped.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        self.until(Intake::has_room).await;
        let Some(ticket) = self.push(topic, payload) else {
            // The journal is closed. A client without an acknowledgement sends the message again.
            return std::future::pending().await;
        };
        self.until(|intake| intake.synced_ticket() >= ticket).await;
    }
}

/// One message on its way. It keeps the consumer alive.
pub struct JournalTaker(pub Arc<Consumer>);

impl Taker for JournalTaker {
    fn take(&self, message: &Published<'_>) -> Option<Done> {
        let consumer = &self.0;
        let is_wanted = |filter: &String| topic_matches_filter(message.topic, filter);
        if !consumer.filters.iter().any(is_wanted) {
            return None;
        }
        if message.qos == 0 {
            // The client does not wait for an acknowledgement, so it cannot be slowed down. Without room the message is lost, and counted.
            if consumer.has_room() {
                consumer.push(message.topic, message.payload);
            } else {
                let mut intake = consumer.intake();
                let skipped = Message {
                    topic: Some(message.topic.as_bytes()),
                    document: message.payload,
                    received_at_ns: now_ns(),
                    ..Message::default()
                };
                intake.skip_message(&skipped, "no_room");
                drop(intake.send_messages());
            }
            return None;
        }
        let consumer = Arc::clone(consumer);
        let (topic, payload) = (message.topic.to_owned(), message.payload.to_vec());
        Some(Box::pin(async move {
            consumer.take_one(&topic, &payload).await;
        }))
    }
}
