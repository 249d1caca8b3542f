//! Messages: whole documents, with or without a topic, from a broker, a recording or an HTTP client.
//!
//! Messages are collected into a batch and queued together. A broker's messages are acknowledged once the batch is synced.

use crate::deliveries::{Delivery, Redelivery};
use crate::directory::LookedUp;
use crate::error::Result;
use crate::intake::Intake;
use crate::memory::{Memory, MemoryDelta};
use crate::message_ids::MessageId;
use crate::mutex::lock;
use crate::queue::{Item, ROOM_BYTES, Refusal, What};
use crate::row::Supply;
use crate::scanned::{Document, of_delivery};
use crate::shared::Wake;
use crate::sites::SiteMark;
use crate::state::State;
use crate::transaction::transaction;
use crate::wall_clock::now_ns;
use iiot_core::quote;
use rusqlite::{OptionalExtension, params};
use std::sync::atomic::Ordering;

/// The reason for rejecting a message because of its device.
pub(crate) const UNKNOWN_DEVICE: &str = "unknown_device";
pub(crate) const DEVICE_DISABLED: &str = "device_disabled";

/// The end of the topic of a device's last will. The broker sends the will when the device is gone, so it does not mean that the device was
/// heard.
const LAST_WILL: &[u8] = b"/status/offline";

/// A message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Message<'a> {
    /// The topic under which it came.
    pub topic: Option<&'a [u8]>,
    /// The snapshot of its device, if the device is known; see [`Frame::device`](crate::Frame::device).
    pub device: Option<&'a [u8]>,
    /// The whole document.
    pub document: &'a [u8],
    /// When it arrived, nanoseconds since 1970.
    pub received_at_ns: i64,
    /// How a broker delivered it.
    pub delivery: Option<Delivery>,
    /// The mark that identifies it, if another gateway published it.
    pub mark: Option<SiteMark<'a>>,
}

impl Message<'_> {
    pub(crate) fn place(&self) -> String {
        match self.topic {
            Some(topic) => format!("message to {}", quote(topic)),
            None => "message".to_owned(),
        }
    }
}

impl Intake {
    /// Scan a message and queue it alone. `settled` is the offset behind it in its source.
    pub fn push_message(
        &mut self,
        topic: Option<&[u8]>,
        document: &[u8],
        received_at_ns: i64,
        settled: u64,
    ) -> Result<()> {
        self.take_message(&Message {
            topic,
            document,
            received_at_ns,
            ..Message::default()
        });
        self.base = settled;
        self.pushed = settled;
        self.send_messages().map(|_| ())
    }

    /// Scan a message and add it to the batch.
    ///
    /// If devices are registered, the topic names the message's device, and the message gets the tags of this device. A message of an unknown
    /// device is a reject.
    pub fn take_message(&mut self, message: &Message<'_>) {
        let id = message
            .topic
            .filter(|_| self.devices.is_some())
            .and_then(|topic| self.profile.device_in(topic));
        let (Some(devices), Some(id)) = (&self.devices, id) else {
            return self.take_named(message, None);
        };
        let is_will = message
            .topic
            .is_some_and(|topic| topic.ends_with(LAST_WILL));
        let heard_at_ns = (!is_will).then_some(message.received_at_ns);
        let reason = match devices.look_up(id, heard_at_ns) {
            LookedUp::Known(snapshot) => {
                let device = (!snapshot.is_empty()).then_some(&*snapshot);
                return self.take_named(&Message { device, ..*message }, None);
            }
            LookedUp::Taken => return self.take_named(message, None),
            LookedUp::Unknown => (UNKNOWN_DEVICE, "no device of this id is registered"),
            LookedUp::Disabled => (DEVICE_DISABLED, "the device is disabled"),
        };
        self.refuse_device(message, id, reason);
    }

    /// Add a whole message to the batch that is rejected because of its device.
    fn refuse_device(&mut self, message: &Message<'_>, id: &[u8], why: (&'static str, &str)) {
        let (reason, text) = why;
        let refusal = Refusal {
            reason,
            place: format!("{}: {text}: {}", message.place(), quote(id)),
            excerpt: quote(message.document),
        };
        let what = What::Reject {
            refusal,
            receiver: None,
            uptime_ms: None,
            counter: None,
            whole: true,
        };
        self.add(message, what, None);
        let document = self.batch.keep(message.document);
        if let Some(item) = self.batch.items.last_mut() {
            item.document = document;
        }
    }

    /// As [`take_message`](Self::take_message), for a message that may have a message id.
    pub(crate) fn take_named(&mut self, message: &Message<'_>, message_id: Option<MessageId>) {
        let Message {
            topic,
            device,
            document,
            ..
        } = *message;
        let snapshot = device.unwrap_or_default();
        let fault = self
            .profile
            .decode_of(topic, snapshot, document, &mut self.scan)
            .err();
        let found = self.profile.decoded(document, &self.scan);
        let place = if fault.is_some() || !found.value_faults().is_empty() {
            message.place()
        } else {
            String::new()
        };
        let document = Document {
            bytes: document,
            topic,
            device,
            message_id,
            place: format_args!("{place}"),
            received_at_ns: message.received_at_ns,
            delivery: message.delivery,
            mark: message.mark,
        };
        document.add(&mut self.batch, found, fault);
    }

    /// Add a message to the batch that is not wanted: it is counted under this word.
    pub fn skip_message(&mut self, message: &Message<'_>, why: &'static str) {
        self.add(message, What::Skipped(why), None);
    }

    /// Add a message to the batch of which only the beginning is kept, because it is longer than a document may be.
    pub fn refuse_long_message(&mut self, message: &Message<'_>, bytes: u64) {
        self.refuse_long_named(message, bytes, None);
    }

    pub(crate) fn refuse_long_named(
        &mut self,
        message: &Message<'_>,
        bytes: u64,
        message_id: Option<MessageId>,
    ) {
        let most = self.max_document_bytes;
        let refusal = Refusal {
            reason: "too_long",
            place: format!("{}: {bytes} bytes, {most} are allowed", message.place()),
            excerpt: quote(message.document.get(..200).unwrap_or(message.document)),
        };
        let what = What::Reject {
            refusal,
            receiver: None,
            uptime_ms: None,
            counter: None,
            whole: false,
        };
        self.add(message, what, message_id);
    }

    fn add(&mut self, message: &Message<'_>, what: What, message_id: Option<MessageId>) {
        let fingerprint = of_delivery(message.topic, message.document);
        let mark = message.mark.map(|mark| self.batch.keep_mark(&mark));
        let item = Item {
            mark,
            document: 0..0,
            topic: message.topic.map(|topic| self.batch.keep(topic)),
            device: message.device.map(|device| self.batch.keep_device(device)),
            message_id,
            received_at_ns: message.received_at_ns,
            delivery: message.delivery.map(|delivery| (delivery, fingerprint)),
            what,
            value_faults: Vec::new(),
        };
        self.batch.items.push(item);
    }

    /// The broker is known to have the acknowledgements of these deliveries.
    pub fn forget(&mut self, packet_ids: &[u16]) {
        self.batch.forgotten.extend_from_slice(packet_ids);
    }

    /// A connection of a kept session begins: the broker may send messages again that were not acknowledged; `redelivery` says how they are
    /// marked.
    pub fn resume_session(&mut self, redelivery: Redelivery) -> Result<()> {
        self.send_messages()?;
        self.batch.resumed = Some(redelivery);
        Ok(())
    }

    /// Bytes of the batch.
    pub fn batch_bytes(&self) -> usize {
        self.batch.bytes()
    }

    /// Queue the batch, if it is not empty. Returns the ticket of the last queued batch.
    pub fn send_messages(&mut self) -> Result<u64> {
        let documents = std::mem::take(&mut self.batch);
        if documents.is_empty() {
            return Ok(self.last_ticket);
        }
        let may_lead = !self.supply.is_replayable();
        self.send(documents, false, may_lead)?;
        Ok(self.last_ticket)
    }

    /// The ticket up to which everything survives a loss of power.
    pub fn synced_ticket(&self) -> u64 {
        lock(&self.shared.progress).synced_ticket
    }

    /// Call this after each commit and sync; it must not block.
    pub fn subscribe(&self, wake: Wake) {
        lock(&self.shared.wakers).push(wake);
    }

    /// Whether a source that can wait may go on.
    pub fn has_room(&self) -> bool {
        if self.supply == Supply::Waiting && self.shared.is_full.load(Ordering::Relaxed) {
            return false;
        }
        let queue = lock(&self.shared.queue);
        queue.stalled.is_none()
            && queue
                .waiting
                .get(&self.source)
                .is_none_or(|&waiting| waiting <= ROOM_BYTES)
    }

    /// The filters to which the session at the broker was last subscribed.
    pub fn subscribed(&self) -> Result<Vec<String>> {
        let key = self.session_key();
        self.shared.command(move |state| {
            let stored: Option<String> = state
                .db
                .query_row("SELECT value FROM meta WHERE key=?1", [key], |r| r.get(0))
                .optional()?;
            let stored = stored.unwrap_or_default();
            Ok(stored.lines().map(str::to_owned).collect())
        })
    }

    /// Store the filters of the session before they are subscribed to, so that no filter stays subscribed without a record.
    pub fn set_subscribed(&self, filters: &[String]) -> Result<()> {
        let (key, value) = (self.session_key(), filters.join("\n"));
        self.shared.command(move |state| {
            let sql =
                "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value=excluded.value";
            transaction(&state.db, || {
                Ok(state.db.execute(sql, params![key, value])?)
            })?;
            Ok(())
        })
    }

    /// The broker has begun a new session: forget all deliveries. `lost` if there should have been one.
    pub fn new_session(&self, lost: bool) -> Result<()> {
        let (at, name) = (self.source, self.name.clone());
        self.shared
            .command(move |state| new_session(state, at, &name, lost))
    }

    fn session_key(&self) -> String {
        format!("subscribed:{}", self.name)
    }
}

fn new_session(state: &mut State, at: usize, name: &str, lost: bool) -> Result<()> {
    let Some(source) = state.sources.get_mut(at) else {
        return Ok(());
    };
    let mut delta = MemoryDelta::default();
    delta.deliveries.clear();
    let log = delta.encode();
    transaction(&state.db, || {
        Memory::log(&state.db, source.id, &log)?;
        if lost {
            let sql = "INSERT INTO counter VALUES (?1, 1) ON CONFLICT DO UPDATE SET value=value+1";
            state.db.execute(sql, [format!("session_lost:{name}")])?;
        }
        Ok(())
    })?;
    source.memory.merge(delta, log.len(), now_ns());
    Ok(())
}
