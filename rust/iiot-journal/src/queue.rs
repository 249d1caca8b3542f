//! The queue of the writer: framed documents, confirmations and commands. It holds nothing that is accepted.

use crate::deliveries::{Delivery, Redelivery};
use crate::message_ids::MessageId;
use crate::receivers::ReceiverId;
use crate::report::Report;
use crate::row_builder::Envelope;
use crate::sink::Confirmation;
use crate::sites::SiteMark;
use crate::state::State;
use iiot_core::PointKey;
use iiot_core::moment::Moment;
use iiot_core::window::Reception;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// A live source may have this much in the queue before it loses data; a replayable source is held back long
/// before.
pub(crate) const LIVE_LIMIT_BYTES: usize = 16 << 20;
/// A replayable source waits while it has more than this in the queue.
pub(crate) const ROOM_BYTES: usize = 4 << 20;

/// A document, as its profile has decoded it.
#[derive(Debug)]
pub(crate) struct Telemetry {
    pub time: Option<Moment>,
    /// Which of the batch's points belong to it; none for a document whose time the source decides.
    pub points: Range<u32>,
    /// Fingerprint of what names its device.
    pub device: u64,
    /// The receiver whose clock or window it has; see [`crate::receivers`].
    pub receiver: Option<ReceiverId>,
    /// Fingerprint of topic and document; none for one that is never a repeat.
    pub fingerprint: Option<u64>,
    pub age_ms: Option<u64>,
    pub uptime_ms: Option<u64>,
    pub counter: Option<u64>,
    /// Which of the batch's receptions belong to it.
    pub receptions: Range<u32>,
}

/// A document of which nothing can be used, or a value that cannot be used.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub reason: &'static str,
    pub place: String,
    pub excerpt: String,
}

#[derive(Debug)]
pub(crate) enum What {
    Telemetry(Telemetry),
    /// The profile says that the document is not telemetry.
    Ignored(Arc<str>),
    /// It is not wanted, such as a retained message; with the reason.
    Skipped(&'static str),
    /// The document is a reject; its node's clock is used if it could be read.
    Reject {
        refusal: Refusal,
        receiver: Option<ReceiverId>,
        uptime_ms: Option<u64>,
        counter: Option<u64>,
        whole: bool,
    },
}

#[derive(Debug)]
pub(crate) struct Item {
    /// Its range in the arena, which also holds topic and device.
    pub document: Range<usize>,
    pub topic: Option<Range<usize>>,
    /// The snapshot of its device.
    pub device: Option<Range<usize>>,
    /// What its sender calls it.
    pub message_id: Option<MessageId>,
    pub received_at_ns: i64,
    /// How a broker delivered it, and the fingerprint of topic and payload.
    pub delivery: Option<(Delivery, u64)>,
    /// The mark that identifies it, if another gateway published it.
    pub mark: Option<KeptMark>,
    pub what: What,
    /// Values of the wrong type in a document that is otherwise good.
    pub value_faults: Vec<Refusal>,
}

/// A mark whose texts are in the arena.
#[derive(Debug, Clone)]
pub(crate) struct KeptMark {
    origin: Range<usize>,
    run: Range<usize>,
    position: u64,
    place: (u32, u32),
    pub time_ns: i64,
}

/// The result of one push of one source.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    pub arena: Vec<u8>,
    pub items: Vec<Item>,
    pub receptions: Vec<Reception>,
    pub points: Vec<PointKey>,
    /// Packet ids whose acknowledgements the broker is known to have.
    pub forgotten: Vec<u16>,
    /// The report that gets the outcome of each item.
    pub report: Option<Arc<Report>>,
    /// Set if a connection of a kept session began before these items.
    pub resumed: Option<Redelivery>,
    /// Stream offset behind the last settled document.
    pub settled: u64,
    pub finished: bool,
}

impl Documents {
    /// Whether it contains nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.forgotten.is_empty() && self.resumed.is_none()
    }

    /// Put bytes into the arena.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        start..self.arena.len()
    }

    /// The telemetry of a batch of one document, with its receptions.
    pub(crate) fn only(&self) -> Option<(&Telemetry, &[Reception])> {
        match self.items.as_slice() {
            [
                Item {
                    what: What::Telemetry(telemetry),
                    ..
                },
            ] => Some((telemetry, &self.receptions)),
            _ => None,
        }
    }

    pub(crate) fn document(&self, item: &Item) -> &[u8] {
        self.arena.get(item.document.clone()).unwrap_or_default()
    }

    /// Put the snapshot of a device into the arena, unless it is that of the item before.
    pub(crate) fn keep_device(&mut self, device: &[u8]) -> Range<usize> {
        let last = self.items.last().and_then(|item| item.device.clone());
        let known = last.filter(|place| self.arena.get(place.clone()) == Some(device));
        known.unwrap_or_else(|| self.keep(device))
    }

    /// Put the texts of a mark into the arena.
    pub(crate) fn keep_mark(&mut self, mark: &SiteMark<'_>) -> KeptMark {
        KeptMark {
            origin: self.keep(mark.origin.as_bytes()),
            run: self.keep(mark.run.as_bytes()),
            position: mark.position,
            place: mark.place,
            time_ns: mark.time_ns,
        }
    }

    /// The mark of a document, if another gateway published it.
    pub(crate) fn mark(&self, item: &Item) -> Option<SiteMark<'_>> {
        let mark = item.mark.as_ref()?;
        let text = |place: &Range<usize>| std::str::from_utf8(self.arena.get(place.clone())?).ok();
        Some(SiteMark {
            origin: text(&mark.origin)?,
            run: text(&mark.run)?,
            position: mark.position,
            place: mark.place,
            time_ns: mark.time_ns,
        })
    }

    /// The envelope of a document.
    pub(crate) fn envelope(&self, item: &Item) -> Envelope<'_> {
        let device = item.device.clone();
        Envelope {
            topic: self.topic(item),
            device: device.and_then(|place| self.arena.get(place)),
        }
    }

    pub(crate) fn topic(&self, item: &Item) -> Option<&[u8]> {
        self.arena.get(item.topic.clone()?)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.arena.len()
            + self.items.len() * size_of::<Item>()
            + self.receptions.len() * size_of::<Reception>()
            + self.points.len() * size_of::<PointKey>()
    }
}

/// Runs on the writer's thread. The closure that it returns is called once every thread can see the change.
pub(crate) type Command = Box<dyn FnOnce(&mut State) -> Box<dyn FnOnce() + Send> + Send>;

pub(crate) enum Message {
    Documents { source: usize, documents: Documents },
    Command(Command),
}

#[derive(Default)]
pub(crate) struct Queue {
    pub messages: VecDeque<Message>,
    /// At most one per sink. They need no place in the queue, because they concern frames that are committed.
    pub confirmations: Vec<(i64, Confirmation)>,
    /// Number of the last message put in; a message's number is its ticket.
    pub last_ticket: u64,
    /// Bytes that wait, per source.
    pub waiting: HashMap<usize, usize>,
    /// Documents that live sources lost because the disk stored nothing, per source; counted with the next
    /// commit of the source.
    pub lost: HashMap<usize, u64>,
    /// A thread took work from the queue but could not commit it; the work now waits for the writer's thread.
    pub left_over: bool,
    pub stopping: bool,
    /// The reason why the disk stores nothing, if so.
    pub stalled: Option<String>,
    pub stall_told_at: Option<std::time::Instant>,
    pub stall_is_told: bool,
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
            && self.confirmations.is_empty()
            && self.lost.is_empty()
            && !self.left_over
    }

    pub(crate) fn put(&mut self, message: Message) -> u64 {
        if let Message::Documents { source, documents } = &message {
            *self.waiting.entry(*source).or_default() += documents.bytes();
        }
        self.messages.push_back(message);
        self.last_ticket += 1;
        self.last_ticket
    }
}

/// Add a sink's confirmation to those that wait.
pub(crate) fn add_confirmation(
    waiting: &mut Vec<(i64, Confirmation)>,
    sink: i64,
    next: Confirmation,
) {
    match waiting.iter_mut().find(|(id, _)| *id == sink) {
        Some((_, before)) => before.extend(next),
        None => waiting.push((sink, next)),
    }
}
