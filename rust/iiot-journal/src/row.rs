//! A row of the frame table: consecutive frames of one origin in one blob.
//!
//! ```text
//! base time i64 | base received_at i64 | topics | frame*            little-endian
//! topics: count  | (length | topic)*                               only in format 2
//!         varint   varint   bytes
//! frame:  document length | time - previous time | received_at - previous received_at | number of its topic | document
//!         varint            zigzag varint          zigzag varint                         varint, format 2     bytes
//! ```
//!
//! Frames without topics are in format 1, frames with topics in format 2: each topic stands once in a row.

use iiot_core::FrameTime;
use std::collections::HashMap;

/// Frames that came without topics; the only format of version 1 of the journal.
pub(crate) const PLAIN: u8 = 1;
/// Frames that came under topics.
pub(crate) const WITH_TOPICS: u8 = 2;

/// Bytes of the base times.
const HEAD: usize = 16;

/// Frames as they are stored and handed to sinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Position of the first frame.
    pub first: u64,
    /// How many frames.
    pub count: u64,
    /// Which origin (source, profile, prefix, tags) they have.
    pub origin: i64,
    /// Only this sink takes them (a reject offered again); none for all.
    pub only_sink: Option<i64>,
    /// Their source can give them again, so sinks see them once they are synced.
    pub replayable: bool,
    /// How the body is written: 1 or 2, as the first lines of this file say.
    pub format: u8,
    /// The encoded frames.
    pub body: Vec<u8>,
}

/// One stored frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its place in the journal.
    pub position: u64,
    /// What is written as its time, nanoseconds since 1970.
    pub time_ns: i64,
    /// When the gateway had it, nanoseconds since 1970.
    pub received_at_ns: i64,
    /// The topic under which it came, if there was one.
    pub topic: Option<&'a [u8]>,
    /// The document.
    pub document: &'a [u8],
}

impl Frame<'_> {
    /// When it is, and when it came.
    pub const fn time(&self) -> FrameTime {
        FrameTime {
            time_ns: self.time_ns,
            received_at_ns: self.received_at_ns,
        }
    }
}

impl Row {
    /// The position behind the last frame.
    pub const fn end(&self) -> u64 {
        self.first + self.count
    }

    /// The frames in order. Stops early if the body is not what [`RowBuilder`] wrote.
    pub fn frames(&self) -> Frames<'_> {
        let (times, rest) = match self.body.split_first_chunk::<HEAD>() {
            Some((head, rest)) => (*head, rest),
            None => ([0; HEAD], &[][..]),
        };
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&times[at..at + 8]);
            i64::from_le_bytes(bytes)
        };
        let mut frames = Frames {
            position: self.first,
            end: self.end(),
            time_ns: word(0),
            received_at_ns: word(8),
            topics: Vec::new(),
            has_topics: self.format == WITH_TOPICS,
            rest,
        };
        if frames.has_topics && frames.take_topics().is_none() {
            frames.rest = &[];
        }
        frames
    }
}

/// Iterates over the frames of a [`Row`].
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    position: u64,
    end: u64,
    time_ns: i64,
    received_at_ns: i64,
    topics: Vec<&'a [u8]>,
    has_topics: bool,
    rest: &'a [u8],
}

impl Frames<'_> {
    fn take_topics(&mut self) -> Option<()> {
        for _ in 0..take_varint(&mut self.rest)? {
            let length = usize::try_from(take_varint(&mut self.rest)?).ok()?;
            let (topic, rest) = self.rest.split_at_checked(length)?;
            self.topics.push(topic);
            self.rest = rest;
        }
        Some(())
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        if self.position == self.end {
            return None;
        }
        let length = usize::try_from(take_varint(&mut self.rest)?).ok()?;
        self.time_ns = self
            .time_ns
            .wrapping_add(unzigzag(take_varint(&mut self.rest)?));
        self.received_at_ns = self
            .received_at_ns
            .wrapping_add(unzigzag(take_varint(&mut self.rest)?));
        let topic = if self.has_topics {
            let number = usize::try_from(take_varint(&mut self.rest)?).ok()?;
            Some(*self.topics.get(number)?)
        } else {
            None
        };
        let (document, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        let frame = Frame {
            position: self.position,
            time_ns: self.time_ns,
            received_at_ns: self.received_at_ns,
            topic,
            document,
        };
        self.position += 1;
        Some(frame)
    }
}

/// Collects frames into a row's body.
#[derive(Debug, Default)]
pub struct RowBuilder {
    body: Vec<u8>,
    count: u64,
    time_ns: i64,
    received_at_ns: i64,
    /// Each topic with its number, and their bytes as they will be written.
    topics: HashMap<Box<[u8]>, u64>,
    topic_bytes: Vec<u8>,
}

impl RowBuilder {
    /// Whether a frame can stand in this row: with and without a topic are not mixed.
    pub fn takes(&self, topic: Option<&[u8]>) -> bool {
        self.count == 0 || topic.is_some() != self.topics.is_empty()
    }

    /// Add a frame that this row [`takes`](Self::takes).
    pub fn push(
        &mut self,
        time_ns: i64,
        received_at_ns: i64,
        topic: Option<&[u8]>,
        document: &[u8],
    ) {
        if self.count == 0 {
            self.body.extend_from_slice(&time_ns.to_le_bytes());
            self.body.extend_from_slice(&received_at_ns.to_le_bytes());
            (self.time_ns, self.received_at_ns) = (time_ns, received_at_ns);
        }
        push_varint(&mut self.body, document.len() as u64);
        push_varint(&mut self.body, zigzag(time_ns.wrapping_sub(self.time_ns)));
        push_varint(
            &mut self.body,
            zigzag(received_at_ns.wrapping_sub(self.received_at_ns)),
        );
        if let Some(topic) = topic {
            let number = self.topic_number(topic);
            push_varint(&mut self.body, number);
        }
        self.body.extend_from_slice(document);
        (self.time_ns, self.received_at_ns) = (time_ns, received_at_ns);
        self.count += 1;
    }

    fn topic_number(&mut self, topic: &[u8]) -> u64 {
        if let Some(&number) = self.topics.get(topic) {
            return number;
        }
        let number = self.topics.len() as u64;
        push_varint(&mut self.topic_bytes, topic.len() as u64);
        self.topic_bytes.extend_from_slice(topic);
        self.topics.insert(topic.into(), number);
        number
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.body.len() + self.topic_bytes.len()
    }

    /// Frames so far.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The row, beginning at a position.
    pub fn finish(self, first: u64, origin: i64, only_sink: Option<i64>, replayable: bool) -> Row {
        let (format, body) = if self.topics.is_empty() {
            (PLAIN, self.body)
        } else {
            let (head, frames) = self.body.split_at_checked(HEAD).unwrap_or((&[], &[]));
            let mut body = Vec::with_capacity(self.body.len() + self.topic_bytes.len() + 10);
            body.extend_from_slice(head);
            push_varint(&mut body, self.topics.len() as u64);
            body.extend_from_slice(&self.topic_bytes);
            body.extend_from_slice(frames);
            (WITH_TOPICS, body)
        };
        Row {
            first,
            count: self.count,
            origin,
            only_sink,
            replayable,
            format,
            body,
        }
    }
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = input.split_first()?;
        *input = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is put in comes out, whatever the times and documents are.
        #[test]
        fn frames_come_back_as_they_were(
            frames in proptest::collection::vec((any::<i64>(), any::<i64>(), proptest::collection::vec(any::<u8>(), 0..300)), 1..50),
            topics in proptest::option::of(proptest::collection::vec("[a-c/]{0,2}", 1..8)),
        ) {
            let topic = |at: usize| topics.as_ref().map(|topics| topics[at % topics.len()].as_bytes());
            let mut builder = RowBuilder::default();
            for (at, (time, received, document)) in frames.iter().enumerate() {
                prop_assert!(builder.takes(topic(at)));
                builder.push(*time, *received, topic(at), document);
            }
            let other: Option<&[u8]> = if topics.is_some() { None } else { Some(b"a") };
            prop_assert!(!builder.takes(other));
            let row = builder.finish(17, 1, None, false);

            let read: Vec<_> = row.frames().map(|f| (f.time_ns, f.received_at_ns, f.document.to_vec())).collect();
            prop_assert_eq!(read, frames.clone());
            for (at, frame) in row.frames().enumerate() {
                prop_assert_eq!(frame.topic, topic(at));
            }
            prop_assert_eq!(row.frames().map(|f| f.position).last(), Some(16 + frames.len() as u64));
        }

        /// A body of any bytes gives some frames and no panic.
        #[test]
        fn any_body_is_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..200), count in 0u64..50, format in 1u8..3) {
            let row = Row { first: 0, count, origin: 0, only_sink: None, replayable: false, format, body };
            prop_assert!(row.frames().count() as u64 <= count);
        }
    }
}
