//! A row of the frame table: consecutive frames of one origin in one blob.
//!
//! ```text
//! base time i64 | base received_at i64 | topics | devices | frame*            little-endian
//! topics: count  | (length | topic)*                               in formats 2, 3 and 4
//!         varint   varint   bytes
//! devices: the same, of device snapshots                           in format 4
//! frame:  document length | time - previous time | received_at - previous received_at | topic | device | times  | document
//!         varint            zigzag varint          zigzag varint                         varint  varint   3, 4     bytes
//! topic:  in format 2 the number of its topic; in formats 3 and 4 that number plus one, or 0 for none
//! device: in format 4 the number of its device plus one, or 0 for none
//! times:  2 * count of moves + 1 if there is a start | start of the device's run - time | (point | later by so many ms)*
//!         varint                                       zigzag varint                      varint  varint
//! ```
//!
//! Frames that have neither a topic nor a device nor times are in format 1, those without a device in format 3, all others in format 4. Format 2 was written by
//! version 2 of the journal.

use iiot_core::FrameTime;
use iiot_core::varint;

/// Frames that came without topics; the only format of version 1 of the journal.
pub(crate) const PLAIN: u8 = 1;
/// Frames that came under topics, as version 2 of the journal wrote them.
const WITH_TOPICS: u8 = 2;
/// Frames with or without topics and times.
pub(crate) const RICH: u8 = 3;
/// The same, with or without devices.
pub(crate) const WITH_DEVICES: u8 = 4;

/// Bytes of the base times.
pub(crate) const HEAD: usize = 16;

/// Frames as they are stored and handed to sinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Position of the first frame.
    pub first: u64,
    /// How many frames.
    pub count: u64,
    /// Their origin (source, profile, prefix, tags).
    pub origin: i64,
    /// Only this sink takes them (a reject offered again); none for all.
    pub only_sink: Option<i64>,
    /// How their source behaves when there is no room.
    pub supply: Supply,
    /// The format of the body: 1 to 4, as the first lines of this file describe.
    pub format: u8,
    /// The encoded frames.
    pub body: Vec<u8>,
}

/// What a source can do with frames that are not accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Supply {
    /// Nothing: frames that are not accepted are lost, and the oldest frames make room for the newest.
    #[default]
    Live,
    /// Give them again, so that sinks see them once they are synced. The oldest frames make room all the same.
    Replayable,
    /// Keep them until there is room, as a broker does for a session. Its frames are never dropped for others.
    Waiting,
}

impl Supply {
    /// Whether frames can be given again.
    pub const fn is_replayable(self) -> bool {
        !matches!(self, Self::Live)
    }

    /// As it is stored.
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Live => 0,
            Self::Replayable => 1,
            Self::Waiting => 2,
        }
    }

    pub(crate) const fn stored(number: i64) -> Self {
        match number {
            0 => Self::Live,
            1 => Self::Replayable,
            _ => Self::Waiting,
        }
    }
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
    /// The tags that the registry gave its device when it was accepted, as [`iiot_core::device_snapshot`] writes them; `None` if no device is known.
    pub device: Option<&'a [u8]>,
    /// When the run of its device began, if its times are uptimes.
    pub uptime_start_ns: Option<i64>,
    /// Points that were moved because others have their series and time.
    pub moves: Moves<'a>,
    /// The document.
    pub document: &'a [u8],
}

impl Frame<'_> {
    /// When it is, and when it came.
    pub const fn time(&self) -> FrameTime {
        FrameTime {
            time_ns: self.time_ns,
            received_at_ns: self.received_at_ns,
            uptime_start_ns: self.uptime_start_ns,
        }
    }
}

/// Which points of a frame were moved, and by how many milliseconds, in the stored form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moves<'a>(&'a [u8]);

impl<'a> Moves<'a> {
    /// The number of each moved point, and by how many milliseconds it is later.
    pub fn iter(self) -> impl Iterator<Item = (u32, u32)> + 'a {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let point = varint::take(&mut rest)?;
            let later_ms = varint::take(&mut rest)?;
            Some((u32::try_from(point).ok()?, u32::try_from(later_ms).ok()?))
        })
    }

    /// As they are stored.
    pub(crate) const fn bytes(self) -> &'a [u8] {
        self.0
    }
}

/// The times of a frame that is accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTimes {
    /// What is written as its time, nanoseconds since 1970.
    pub time_ns: i64,
    /// When the gateway had it, nanoseconds since 1970.
    pub received_at_ns: i64,
    /// See [`Frame::uptime_start_ns`].
    pub uptime_start_ns: Option<i64>,
    /// See [`Frame::moves`].
    pub(crate) moves: Vec<u8>,
    pub(crate) move_count: u64,
}

impl NewTimes {
    /// A frame without moves.
    pub fn at(time_ns: i64, received_at_ns: i64) -> Self {
        Self {
            time_ns,
            received_at_ns,
            ..Self::default()
        }
    }

    /// Those of a frame that is stored.
    pub(crate) fn of(frame: &Frame<'_>) -> Self {
        let moves = frame.moves.bytes().to_vec();
        Self::stored(
            frame.time_ns,
            frame.received_at_ns,
            frame.uptime_start_ns,
            Some(moves),
        )
    }

    /// From their parts as they are stored.
    pub(crate) fn stored(
        time_ns: i64,
        received_at_ns: i64,
        uptime_start_ns: Option<i64>,
        moves: Option<Vec<u8>>,
    ) -> Self {
        let moves = moves.unwrap_or_default();
        Self {
            time_ns,
            received_at_ns,
            uptime_start_ns,
            move_count: Moves(&moves).iter().count() as u64,
            moves,
        }
    }

    /// The moves as they are stored; none for none.
    pub(crate) fn moves(&self) -> Option<&[u8]> {
        (self.move_count > 0).then_some(self.moves.as_slice())
    }

    /// Move a point to a later time.
    pub fn move_point(&mut self, point: u32, later_ms: u32) {
        varint::push(&mut self.moves, u64::from(point));
        varint::push(&mut self.moves, u64::from(later_ms));
        self.move_count += 1;
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.uptime_start_ns.is_none() && self.move_count == 0
    }
}

impl Row {
    /// The position behind the last frame.
    pub const fn end(&self) -> u64 {
        self.first + self.count
    }

    /// The frames in order. Stops early if the body is not what [`RowBuilder`](crate::row_builder::RowBuilder) wrote.
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
            devices: Vec::new(),
            format: self.format,
            rest,
        };
        if frames.take_dictionaries().is_none() {
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
    devices: Vec<&'a [u8]>,
    format: u8,
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    fn take_dictionaries(&mut self) -> Option<()> {
        if self.format != PLAIN {
            self.topics = self.take_dictionary()?;
        }
        if self.format == WITH_DEVICES {
            self.devices = self.take_dictionary()?;
        }
        Some(())
    }

    fn take_dictionary(&mut self) -> Option<Vec<&'a [u8]>> {
        let mut texts = Vec::new();
        for _ in 0..varint::take(&mut self.rest)? {
            let length = usize::try_from(varint::take(&mut self.rest)?).ok()?;
            texts.push(varint::take_bytes(&mut self.rest, length)?);
        }
        Some(texts)
    }

    /// The number of the frame's topic, from 1 on; 0 for none.
    fn take_topic_number(&mut self) -> Option<u64> {
        match self.format {
            PLAIN => Some(0),
            WITH_TOPICS => varint::take(&mut self.rest)?.checked_add(1),
            _ => varint::take(&mut self.rest),
        }
    }

    /// The number of the frame's device, from 1 on; 0 for none.
    fn take_device_number(&mut self) -> Option<u64> {
        if self.format != WITH_DEVICES {
            return Some(0);
        }
        varint::take(&mut self.rest)
    }

    fn take_times(&mut self) -> Option<(Option<i64>, Moves<'a>)> {
        if !matches!(self.format, RICH | WITH_DEVICES) {
            return Some((None, Moves::default()));
        }
        let head = varint::take(&mut self.rest)?;
        let start_ns = if head & 1 == 0 {
            None
        } else {
            Some(
                self.time_ns
                    .wrapping_add(varint::take_signed(&mut self.rest)?),
            )
        };
        let begin = self.rest;
        for _ in 0..2 * (head >> 1) {
            varint::take(&mut self.rest)?;
        }
        let moves = begin.get(..begin.len() - self.rest.len())?;
        Some((start_ns, Moves(moves)))
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        if self.position == self.end {
            return None;
        }
        let length = usize::try_from(varint::take(&mut self.rest)?).ok()?;
        self.time_ns = self
            .time_ns
            .wrapping_add(varint::take_signed(&mut self.rest)?);
        self.received_at_ns = self
            .received_at_ns
            .wrapping_add(varint::take_signed(&mut self.rest)?);
        let topic = match self.take_topic_number()?.checked_sub(1) {
            Some(number) => Some(*self.topics.get(usize::try_from(number).ok()?)?),
            None => None,
        };
        let device = match self.take_device_number()?.checked_sub(1) {
            Some(number) => Some(*self.devices.get(usize::try_from(number).ok()?)?),
            None => None,
        };
        let (uptime_start_ns, moves) = self.take_times()?;
        let document = varint::take_bytes(&mut self.rest, length)?;
        let frame = Frame {
            position: self.position,
            time_ns: self.time_ns,
            received_at_ns: self.received_at_ns,
            topic,
            device,
            uptime_start_ns,
            moves,
            document,
        };
        self.position += 1;
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row_builder::{Envelope, RowBuilder};
    use proptest::prelude::*;

    proptest! {
        /// What is put in comes out, whatever the times and documents are.
        #[test]
        fn frames_come_back_as_they_were(
            frames in proptest::collection::vec(
                (
                    any::<i64>(), any::<i64>(), proptest::option::of("[a-c/]{0,2}"), proptest::option::of(proptest::collection::vec(any::<u8>(), 0..3)),
                    proptest::option::of(any::<i64>()),
                    proptest::collection::vec(any::<(u32, u32)>(), 0..3), proptest::collection::vec(any::<u8>(), 0..300),
                ),
                1..50,
            ),
        ) {
            let mut rows = Vec::new();
            let mut builder = RowBuilder::default();
            for (time, received, topic, device, start, moves, document) in &frames {
                let mut times = NewTimes { uptime_start_ns: *start, ..NewTimes::at(*time, *received) };
                for (point, later) in moves {
                    times.move_point(*point, *later);
                }
                let topic = topic.as_ref().map(String::as_bytes);
                let envelope = Envelope { topic, device: device.as_deref() };
                if !builder.takes(envelope, &times) {
                    rows.push(std::mem::take(&mut builder).finish(17, 1, None, Supply::Live));
                }
                builder.push(&times, envelope, document);
            }
            rows.push(builder.finish(17, 1, None, Supply::Live));
            prop_assert!(rows.len() <= 3);
            let read: Vec<_> = rows.iter().flat_map(Row::frames).map(|f| {
                let topic = f.topic.map(|topic| String::from_utf8(topic.to_vec()).unwrap());
                (f.time_ns, f.received_at_ns, topic, f.device.map(<[u8]>::to_vec), f.uptime_start_ns, f.moves.iter().collect::<Vec<_>>(), f.document.to_vec())
            }).collect();
            prop_assert_eq!(read, frames);
        }

        /// A body of any bytes gives some frames and no panic.
        #[test]
        fn any_body_is_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..200), count in 0u64..50, format in 1u8..5) {
            let row = Row { first: 0, count, origin: 0, only_sink: None, supply: Supply::Live, format, body };
            for frame in row.frames() {
                prop_assert!(frame.moves.iter().count() <= 200);
            }
            prop_assert!(row.frames().count() as u64 <= count);
        }
    }

    /// A snapshot that many frames share is written once, and frames without a device are written as before there were any.
    #[test]
    fn only_rows_with_devices_are_in_format_4_and_hold_each_device_once() {
        let row = |devices: &[Option<&[u8]>]| {
            let mut builder = RowBuilder::default();
            for device in devices {
                let envelope = Envelope {
                    topic: Some(b"a/b"),
                    device: *device,
                };
                builder.push(&NewTimes::at(1, 2), envelope, b"{}");
            }
            builder.finish(1, 1, None, Supply::Live)
        };
        let plain = row(&[None]);
        assert_eq!(plain.format, RICH);
        assert_eq!(
            plain.body.get(HEAD..),
            Some(&b"\x01\x03a/b\x02\x00\x00\x01\x00{}"[..])
        );

        let snapshot = b"0123456789";
        let many = row(&[Some(snapshot), Some(snapshot), None, Some(b"other")]);
        assert_eq!(many.format, WITH_DEVICES);
        let devices: Vec<_> = many.frames().map(|frame| frame.device).collect();
        let expected: [Option<&[u8]>; 4] = [Some(snapshot), Some(snapshot), None, Some(b"other")];
        assert_eq!(devices, expected);
        let held = many.body.windows(snapshot.len());
        assert_eq!(held.filter(|bytes| bytes == snapshot).count(), 1);
    }

    /// What version 2 of the journal wrote is read for ever.
    #[test]
    fn bodies_of_version_2_are_read() {
        let mut body = vec![0; HEAD];
        body.extend_from_slice(b"\x01\x03a/b\x02\x02\x04\x00{}");
        let row = Row {
            first: 5,
            count: 1,
            origin: 0,
            only_sink: None,
            supply: Supply::Live,
            format: WITH_TOPICS,
            body,
        };
        let frame = row.frames().next().unwrap();
        assert_eq!((frame.time_ns, frame.received_at_ns), (1, 2));
        assert_eq!(
            (frame.topic, frame.document),
            (Some(&b"a/b"[..]), &b"{}"[..])
        );
    }
}
