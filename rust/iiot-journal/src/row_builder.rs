//! Collects frames into a row's body; `row.rs` describes the format.

use crate::row::{HEAD, NewTimes, PLAIN, RICH, Row, Supply, WITH_DEVICES};
use iiot_core::varint;
use std::collections::HashMap;

/// Texts that frames of a row share, each written once.
#[derive(Debug, Default)]
struct Dictionary {
    /// Each with its number.
    known: HashMap<Box<[u8]>, u64>,
    /// The texts in their written form.
    bytes: Vec<u8>,
}

impl Dictionary {
    fn number(&mut self, text: &[u8]) -> u64 {
        if let Some(&number) = self.known.get(text) {
            return number;
        }
        let number = self.known.len() as u64;
        varint::push(&mut self.bytes, text.len() as u64);
        self.bytes.extend_from_slice(text);
        self.known.insert(text.into(), number);
        number
    }

    fn write(&self, body: &mut Vec<u8>) {
        varint::push(body, self.known.len() as u64);
        body.extend_from_slice(&self.bytes);
    }
}

/// The topic and device of a document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// See [`Frame::topic`](crate::Frame::topic).
    pub topic: Option<&'a [u8]>,
    /// See [`Frame::device`](crate::Frame::device).
    pub device: Option<&'a [u8]>,
}

impl Envelope<'_> {
    /// Its bytes.
    pub(crate) fn len(&self) -> usize {
        self.topic.map_or(0, <[u8]>::len) + self.device.map_or(0, <[u8]>::len)
    }
}

/// Collects frames into a row's body.
#[derive(Debug, Default)]
pub struct RowBuilder {
    body: Vec<u8>,
    count: u64,
    time_ns: i64,
    received_at_ns: i64,
    /// `PLAIN`, `RICH` or `WITH_DEVICES`.
    format: u8,
    topics: Dictionary,
    devices: Dictionary,
}

/// The format that a frame needs; a row takes frames that need its own format or an earlier one.
fn needed(envelope: Envelope<'_>, times: &NewTimes) -> u8 {
    if envelope.device.is_some() {
        WITH_DEVICES
    } else if envelope.topic.is_some() || !times.is_plain() {
        RICH
    } else {
        PLAIN
    }
}

impl RowBuilder {
    /// Whether a frame fits this row: a plain row takes only plain frames, and a row without devices takes no frame with a
    /// device.
    pub fn takes(&self, envelope: Envelope<'_>, times: &NewTimes) -> bool {
        self.count == 0 || needed(envelope, times) <= self.format
    }

    /// Add a frame that this row [`takes`](Self::takes).
    pub fn push(&mut self, times: &NewTimes, envelope: Envelope<'_>, document: &[u8]) {
        let NewTimes {
            time_ns,
            received_at_ns,
            ..
        } = *times;
        if self.count == 0 {
            self.format = needed(envelope, times);
            self.body.extend_from_slice(&time_ns.to_le_bytes());
            self.body.extend_from_slice(&received_at_ns.to_le_bytes());
            (self.time_ns, self.received_at_ns) = (time_ns, received_at_ns);
        }
        varint::push(&mut self.body, document.len() as u64);
        varint::push_signed(&mut self.body, time_ns.wrapping_sub(self.time_ns));
        varint::push_signed(
            &mut self.body,
            received_at_ns.wrapping_sub(self.received_at_ns),
        );
        if self.format != PLAIN {
            let topic = envelope.topic.map(|topic| self.topics.number(topic) + 1);
            varint::push(&mut self.body, topic.unwrap_or(0));
            if self.format == WITH_DEVICES {
                let device = envelope
                    .device
                    .map(|device| self.devices.number(device) + 1);
                varint::push(&mut self.body, device.unwrap_or(0));
            }
            let has_start = u64::from(times.uptime_start_ns.is_some());
            varint::push(&mut self.body, times.move_count << 1 | has_start);
            if let Some(start_ns) = times.uptime_start_ns {
                varint::push_signed(&mut self.body, start_ns.wrapping_sub(time_ns));
            }
            self.body.extend_from_slice(&times.moves);
        }
        self.body.extend_from_slice(document);
        (self.time_ns, self.received_at_ns) = (time_ns, received_at_ns);
        self.count += 1;
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.body.len() + self.topics.bytes.len() + self.devices.bytes.len()
    }

    /// Frames so far.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The row, beginning at a position.
    pub fn finish(self, first: u64, origin: i64, only_sink: Option<i64>, supply: Supply) -> Row {
        let format = self.format.max(PLAIN);
        let body = if format == PLAIN {
            self.body
        } else {
            let (head, frames) = self.body.split_at_checked(HEAD).unwrap_or((&[], &[]));
            let mut body = Vec::with_capacity(self.bytes() + 20);
            body.extend_from_slice(head);
            self.topics.write(&mut body);
            if format == WITH_DEVICES {
                self.devices.write(&mut body);
            }
            body.extend_from_slice(frames);
            body
        };
        Row {
            first,
            count: self.count,
            origin,
            only_sink,
            supply,
            format,
            body,
        }
    }
}
