//! Splits the stream of a broker into packets. Pure: bytes in, packets out. Memory is bounded, however long a
//! packet is.

use crate::consumer::control::{Reader, malformed};
use crate::failure::Failure;
use crate::mark::Mark;

/// How many bytes are kept of a payload that is too long.
const EXCERPT_BYTES: usize = 512;
/// The longest packet of another kind: a SUBACK for thousands of filters is far shorter.
const MAX_CONTROL_BYTES: usize = 256 * 1024;
/// Room for topic and properties of a message beside its payload.
const MAX_HEAD_BYTES: usize = 256 * 1024;

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Published<'a> {
    pub topic: &'a [u8],
    /// The payload, or the beginning of one that is too long.
    pub payload: &'a [u8],
    pub payload_bytes: u64,
    pub qos: u8,
    pub again: bool,
    pub retained: bool,
    pub packet_id: u16,
    pub mark: Option<Mark<'a>>,
}

/// A part of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Came<'a> {
    Message(Published<'a>),
    /// Another packet: its type, and its body behind the length.
    Packet(u8, &'a [u8]),
}

/// The progress within a message that is too long.
#[derive(Debug)]
struct Long {
    /// Its first byte, and the part of it that was kept.
    first: u8,
    kept: Vec<u8>,
    /// How many bytes of its payload behind the kept part are still to be skipped.
    to_skip: u64,
    whole: u64,
}

/// Bytes that came, and how far they were read.
#[derive(Debug)]
pub(super) struct Splitter {
    v5: bool,
    max_payload: usize,
    buffer: Vec<u8>,
    start: usize,
    long: Option<Long>,
}

impl Splitter {
    pub(super) fn new(v5: bool, max_payload: usize) -> Self {
        Self {
            v5,
            max_payload,
            buffer: Vec::new(),
            start: 0,
            long: None,
        }
    }

    /// The buffer to which the next bytes must be appended; it has room for `bytes`.
    pub(super) fn room(&mut self, bytes: usize) -> &mut Vec<u8> {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.reserve(bytes);
        &mut self.buffer
    }

    /// Whether no part of an incomplete packet is held.
    pub(super) fn is_between_packets(&self) -> bool {
        self.long.is_none() && self.start == self.buffer.len()
    }

    /// The next packet; none if it is not complete yet.
    pub(super) fn next(&mut self) -> Result<Option<Came<'_>>, Failure> {
        if self.long.is_some() {
            return self.next_long();
        }
        let Some((first, length, head)) = self.header()? else {
            return Ok(None);
        };
        let is_message = first >> 4 == 3;
        if !is_message && length > MAX_CONTROL_BYTES {
            return Err(malformed(
                "a packet that is no message is longer than 256 KiB",
            ));
        }
        if is_message && length > self.max_payload + MAX_HEAD_BYTES {
            return self.begin_long(first, length, head);
        }
        let body_start = self.start + head;
        let Some(body) = self.buffer.get(body_start..body_start + length) else {
            return Ok(None);
        };
        self.start = body_start + length;
        if !is_message {
            return Ok(Some(Came::Packet(first >> 4, body)));
        }
        let mut message = published(first, body, self.v5)?;
        message.payload_bytes = message.payload.len() as u64;
        if message.payload.len() > self.max_payload {
            message.payload = excerpt(message.payload);
        }
        Ok(Some(Came::Message(message)))
    }

    /// The first byte of the next packet, the length of its body, and how many bytes come before the body.
    fn header(&self) -> Result<Option<(u8, usize, usize)>, Failure> {
        let bytes = self.buffer.get(self.start..).unwrap_or_default();
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let mut reader = Reader::new(rest);
        match reader.length() {
            Some(length) => Ok(Some((first, length, bytes.len() - reader.rest().len()))),
            None if rest.len() >= 4 => Err(malformed("a packet's length has more than four bytes")),
            None => Ok(None),
        }
    }

    /// Begin a message that is longer than may be kept: its head and the beginning of its payload are kept, and the
    /// rest is skipped.
    fn begin_long(
        &mut self,
        first: u8,
        length: usize,
        head: usize,
    ) -> Result<Option<Came<'_>>, Failure> {
        let wanted = MAX_HEAD_BYTES.min(length);
        let from = self.start + head;
        let Some(kept) = self.buffer.get(from..from + wanted) else {
            return Ok(None);
        };
        self.long = Some(Long {
            first,
            kept: kept.to_vec(),
            to_skip: (length - wanted) as u64,
            whole: length as u64,
        });
        self.start = from + wanted;
        self.next_long()
    }

    fn next_long(&mut self) -> Result<Option<Came<'_>>, Failure> {
        let there = self.buffer.len() - self.start;
        let Some(long) = &mut self.long else {
            return Ok(None);
        };
        let part = usize::try_from(long.to_skip).map_or(there, |left| left.min(there));
        self.start += part;
        long.to_skip -= part as u64;
        if long.to_skip > 0 {
            return Ok(None);
        }
        let Some(long) = self.long.take() else {
            return Ok(None);
        };
        // It is before the unread bytes, so that it can be borrowed like any other.
        let Long {
            first, kept, whole, ..
        } = long;
        self.buffer.splice(..self.start, kept.iter().copied());
        self.start = kept.len();
        let body = self.buffer.get(..self.start).unwrap_or_default();
        let mut message = published(first, body, self.v5)?;
        let head = body.len() - message.payload.len();
        message.payload_bytes = whole - head as u64;
        message.payload = excerpt(message.payload);
        Ok(Some(Came::Message(message)))
    }
}

/// The beginning of a payload that is too long.
fn excerpt(payload: &[u8]) -> &[u8] {
    payload.get(..EXCERPT_BYTES).unwrap_or(payload)
}

/// A message's head and payload.
fn published(first: u8, body: &[u8], v5: bool) -> Result<Published<'_>, Failure> {
    let wrong = || malformed("a message is cut short");
    let qos = first >> 1 & 3;
    if qos == 3 {
        return Err(malformed("a message has QoS 3"));
    }
    let mut reader = Reader::new(body);
    let topic = reader.text().ok_or_else(wrong)?;
    if topic.is_empty() {
        return Err(malformed("a message has no topic"));
    }
    let packet_id = if qos > 0 {
        let id = reader.number().ok_or_else(wrong)?;
        if id == 0 {
            return Err(malformed("a message has the packet id 0"));
        }
        id
    } else {
        0
    };
    let mut mark = None;
    if v5 {
        let properties = reader.properties().ok_or_else(wrong)?;
        if !properties.is_empty() {
            mark = Reader::new(properties).mark();
        }
    }
    Ok(Published {
        topic,
        payload: reader.rest(),
        payload_bytes: 0,
        qos,
        again: first & 8 != 0,
        retained: first & 1 != 0,
        packet_id,
        mark,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What came, as it can be compared.
    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Seen {
        Message(Vec<u8>, Vec<u8>, u64, u8, u16),
        Packet(u8, Vec<u8>),
    }

    fn packet(first: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        let mut length = body.len();
        loop {
            let byte = (length % 128) as u8;
            length /= 128;
            out.push(if length > 0 { byte | 128 } else { byte });
            if length == 0 {
                break;
            }
        }
        out.extend_from_slice(body);
        out
    }

    fn message(topic: &str, payload: &[u8], qos: u8, id: u16, v5: bool) -> Vec<u8> {
        let mut body = (topic.len() as u16).to_be_bytes().to_vec();
        body.extend_from_slice(topic.as_bytes());
        if qos > 0 {
            body.extend_from_slice(&id.to_be_bytes());
        }
        if v5 {
            // A message expiry.
            body.extend_from_slice(&[5, 2, 0, 0, 0, 9]);
        }
        body.extend_from_slice(payload);
        packet(0x30 | qos << 1, &body)
    }

    fn read(bytes: &[u8], cuts: &[usize], v5: bool, max: usize) -> (Vec<Seen>, usize) {
        let mut splitter = Splitter::new(v5, max);
        let mut seen = Vec::new();
        let mut most = 0;
        let mut at = 0;
        let mut cuts = cuts.iter().cycle();
        while at < bytes.len() {
            let end = (at + cuts.next().unwrap_or(&1).max(&1)).min(bytes.len());
            splitter.room(0).extend_from_slice(&bytes[at..end]);
            at = end;
            most = most.max(splitter.buffer.capacity());
            while let Some(came) = splitter.next().unwrap() {
                seen.push(match came {
                    Came::Message(m) => Seen::Message(
                        m.topic.to_vec(),
                        m.payload.to_vec(),
                        m.payload_bytes,
                        m.qos,
                        m.packet_id,
                    ),
                    Came::Packet(kind, body) => Seen::Packet(kind, body.to_vec()),
                });
            }
        }
        (seen, most)
    }

    proptest! {
        /// Any cutting of the stream gives the same packets, in both versions, with payloads of every length.
        #[test]
        fn any_cutting_gives_the_same(
            packets in proptest::collection::vec((0..4_u8, "[a-z/]{1,20}", 0..3_000_usize, 1..9_u16), 1..20),
            cuts in proptest::collection::vec(1..700_usize, 1..10),
            v5: bool,
        ) {
            let mut bytes = Vec::new();
            let mut expected = Vec::new();
            for (qos, topic, length, id) in packets {
                if qos == 3 {
                    bytes.extend(packet(0x62, &id.to_be_bytes()));
                    expected.push(Seen::Packet(6, id.to_be_bytes().to_vec()));
                    continue;
                }
                let payload = vec![b'x'; length];
                bytes.extend(message(&topic, &payload, qos, id, v5));
                let kept = if length > 1_000 { &payload[..512] } else { &payload[..] };
                expected.push(Seen::Message(topic.into_bytes(), kept.to_vec(), length as u64, qos, if qos > 0 { id } else { 0 }));
            }
            prop_assert_eq!(read(&bytes, &cuts, v5, 1_000).0, expected);
        }

        /// No bytes make it panic.
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..600), v5: bool) {
            let mut splitter = Splitter::new(v5, 100);
            splitter.room(0).extend_from_slice(&bytes);
            while let Ok(Some(_)) = splitter.next() {}
        }
    }

    /// Ten megabytes pass by in chunks; what comes behind them is read.
    #[test]
    fn a_long_message_takes_no_memory() {
        let mut bytes = message("a/b", &vec![b'y'; 10_000_000], 1, 7, false);
        bytes.extend(message("a/c", b"1", 1, 8, false));
        let (seen, most) = read(&bytes, &[60_000], false, 65_536);
        assert_eq!(
            seen,
            [
                Seen::Message(b"a/b".to_vec(), vec![b'y'; 512], 10_000_000, 1, 7),
                Seen::Message(b"a/c".to_vec(), b"1".to_vec(), 1, 1, 8),
            ]
        );
        assert!(most < 1_000_000, "{most} bytes");
    }

    /// What no broker may send ends the connection.
    #[test]
    fn malformed_packets_are_refused() {
        for bytes in [
            &[0x36, 5, 0, 1, b'a', 0, 1][..],
            &[0x32, 3, 0, 1, b'a'],
            &[0x32, 5, 0, 1, b'a', 0, 0],
            &[0x30, 2, 0, 0],
            &[0x30, 0xff, 0xff, 0xff, 0xff, 1],
            &[0x90, 0xff, 0xff, 0x7f],
        ] {
            let mut splitter = Splitter::new(false, 100);
            splitter.room(0).extend_from_slice(bytes);
            assert!(splitter.next().is_err(), "{bytes:?}");
        }
    }
}
