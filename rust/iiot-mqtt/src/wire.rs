//! Mends packets of a broker over which the client library would end the connection. Pure: bytes in, bytes out.
//!
//! It leaves out an acknowledgement of a packet id that waits for none (such as a second PUBACK), and in a CONNACK a client id or
//! response information that was not requested. It replaces reason codes that the standard does not allow in their packet (Mosquitto
//! answers a PUBLISH beyond its `message_size_limit` with 0x95) by 0x80; `Notes` has the original code. Everything else passes
//! unchanged.

mod outgoing;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, BufMut, BytesMut};

use crate::reasons::UNSPECIFIED;
use outgoing::Outgoing;

/// A larger CONNACK or acknowledgement passes without being read.
const LARGEST_READ: usize = 64 * 1024;
const ASSIGNED_CLIENT_ID: u8 = 0x12;
const RESPONSE_INFORMATION: u8 = 0x1A;

/// The original reason codes of refusals.
#[derive(Debug, Default)]
pub struct Notes {
    publishes: Mutex<HashMap<u16, u8>>,
    disconnect: AtomicU8,
}

impl Notes {
    /// The refusals that were not taken, because the connection ended with them.
    pub fn drain(&self) -> Vec<(u16, u8)> {
        let mut publishes = self
            .publishes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        publishes.drain().collect()
    }

    /// The refusal that came for a packet id. Each is given once.
    pub fn take(&self, packet_id: u16) -> Option<u8> {
        let mut publishes = self
            .publishes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        publishes.remove(&packet_id)
    }

    /// The code of the DISCONNECT, if it was replaced.
    pub fn disconnect(&self) -> Option<u8> {
        Some(self.disconnect.load(Ordering::Relaxed)).filter(|code| *code != 0)
    }

    fn note(&self, packet_id: u16, code: u8) {
        let mut publishes = self
            .publishes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        publishes.insert(packet_id, code);
    }
}

/// A set of packet ids, with one bit for each.
#[derive(Debug)]
struct Ids(Box<[u64; 1024]>);

impl Default for Ids {
    fn default() -> Self {
        Self(Box::new([0; 1024]))
    }
}

impl Ids {
    fn insert(&mut self, id: u16) {
        if let Some(word) = self.0.get_mut(usize::from(id / 64)) {
            *word |= 1 << (id % 64);
        }
    }

    fn remove(&mut self, id: u16) -> bool {
        let Some(word) = self.0.get_mut(usize::from(id / 64)) else {
            return false;
        };
        let bit = 1 << (id % 64);
        let was = *word & bit != 0;
        *word &= !bit;
        was
    }
}

/// The packet ids that wait for an answer.
#[derive(Debug, Default)]
struct Waiting {
    /// For a PUBACK or PUBREC.
    published: Ids,
    /// For a PUBCOMP.
    released: Ids,
    subscribed: Ids,
    unsubscribed: Ids,
}

/// One connection's filter.
#[derive(Debug)]
pub struct Wire {
    v5: bool,
    notes: Arc<Notes>,
    waiting: Waiting,
    outgoing: Outgoing,
    /// The remaining bytes of a packet that passes unchanged.
    passing: usize,
}

impl Wire {
    pub fn new(v5: bool, notes: Arc<Notes>) -> Self {
        Self {
            v5,
            notes,
            waiting: Waiting::default(),
            outgoing: Outgoing::default(),
            passing: 0,
        }
    }

    /// Note that these bytes were sent.
    pub fn sent(&mut self, bytes: &[u8]) {
        self.outgoing.take(bytes, &mut self.waiting);
    }

    /// Move whole packets from `raw` to `ready`.
    pub fn received(&mut self, raw: &mut BytesMut, ready: &mut BytesMut) {
        loop {
            if self.passing > 0 {
                let part = self.passing.min(raw.len());
                ready.put(raw.split_to(part));
                self.passing -= part;
            }
            if self.passing > 0 || raw.is_empty() {
                return;
            }
            let Some((header, length)) = packet(raw) else {
                // No length has five bytes: the library will report that.
                if raw.len() >= 5 {
                    self.passing = usize::MAX;
                    continue;
                }
                return;
            };
            let whole = header + length;
            let kind = raw.first().copied().unwrap_or_default() >> 4;
            let is_read = matches!(kind, 4 | 5 | 7 | 9 | 11) || (self.v5 && matches!(kind, 2 | 14));
            if !is_read || length > LARGEST_READ {
                self.passing = whole;
                continue;
            }
            if raw.len() < whole {
                return;
            }
            let mut packet = raw.split_to(whole);
            match kind {
                2 => connack(&packet, header, ready),
                14 => self.disconnect(&mut packet, header, ready),
                _ => {
                    if self.acknowledges(kind, &mut packet, header) {
                        ready.put(packet);
                    }
                }
            }
        }
    }

    /// Whether a packet id waits for this acknowledgement.
    fn acknowledges(&mut self, kind: u8, packet: &mut [u8], header: usize) -> bool {
        let Some([high, low]) = packet.get(header..header + 2) else {
            return true; // too short: the library will say so
        };
        let id = u16::from_be_bytes([*high, *low]);
        let code = packet
            .get(header + 2)
            .copied()
            .filter(|_| self.v5 && matches!(kind, 4 | 5));
        let waited = match kind {
            4 => self.waiting.published.remove(id),
            5 => {
                let waited = self.waiting.published.remove(id);
                if waited && code.is_none_or(|code| code < UNSPECIFIED) {
                    self.waiting.released.insert(id);
                }
                waited
            }
            7 => self.waiting.released.remove(id),
            9 => self.waiting.subscribed.remove(id),
            _ => self.waiting.unsubscribed.remove(id),
        };
        if let Some(code) = code
            && waited
        {
            if code >= UNSPECIFIED {
                self.notes.note(id, code);
            }
            let is_known = matches!(
                code,
                0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99
            );
            if !is_known && let Some(place) = packet.get_mut(header + 2) {
                *place = code & UNSPECIFIED;
            }
        }
        waited
    }

    fn disconnect(&self, packet: &mut [u8], header: usize, ready: &mut BytesMut) {
        if let Some(code) = packet.get_mut(header)
            && !matches!(*code, 0x00 | 0x04 | 0x80..=0x83 | 0x87 | 0x89 | 0x8B | 0x8D..=0x90 | 0x93..=0xA2)
        {
            self.notes.disconnect.store(*code, Ordering::Relaxed);
            *code = UNSPECIFIED;
        }
        ready.put(&*packet);
    }
}

fn connack(packet: &[u8], header: usize, ready: &mut BytesMut) {
    let (start, body) = packet.split_at(header.min(packet.len()));
    let kept = kept_properties(body.get(2..).unwrap_or_default());
    let (Some(kept), Some(first), Some(answer)) = (kept, start.first(), body.get(..2)) else {
        ready.put(packet); // malformed: the library will say so
        return;
    };
    let mut rest = BytesMut::with_capacity(body.len() + 4);
    rest.put(answer);
    put_length(&mut rest, kept.len());
    rest.put(kept);
    ready.put_u8(*first);
    put_length(ready, rest.len());
    ready.put(rest);
}

/// Header and remaining length of the packet at the front; `None` while that is not known.
fn packet(bytes: &[u8]) -> Option<(usize, usize)> {
    let (length, size) = variable(bytes.get(1..)?)?;
    Some((1 + size, length))
}

/// A variable byte integer, and how many bytes it took.
fn variable(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (size, byte) in (0..4).zip(bytes) {
        value |= usize::from(byte & 127) << (7 * size);
        if byte & 128 == 0 {
            return Some((value, size + 1));
        }
    }
    None
}

fn put_length(to: &mut BytesMut, mut length: usize) {
    loop {
        let byte = (length % 128) as u8;
        length /= 128;
        to.put_u8(if length > 0 { byte | 128 } else { byte });
        if length == 0 {
            return;
        }
    }
}

/// The properties of a CONNACK, without those that were not requested; `None` if they cannot be read.
fn kept_properties(bytes: &[u8]) -> Option<BytesMut> {
    let (length, size) = variable(bytes)?;
    let mut rest = bytes.get(size..size + length)?;
    if bytes.len() != size + length {
        return None;
    }
    let mut kept = BytesMut::with_capacity(length);
    while let Some(&property) = rest.first() {
        let text = |at: usize| {
            let length = rest.get(at..at + 2)?;
            Some(2 + usize::from(u16::from_be_bytes([*length.first()?, *length.get(1)?])))
        };
        let value = match property {
            0x24 | 0x25 | 0x28..=0x2A => 1,
            0x13 | 0x21 | 0x22 => 2,
            0x11 | 0x27 => 4,
            ASSIGNED_CLIENT_ID | RESPONSE_INFORMATION | 0x15 | 0x16 | 0x1C | 0x1F => text(1)?,
            0x26 => {
                let key = text(1)?;
                key + text(1 + key)?
            }
            _ => return None,
        };
        let whole = rest.get(..1 + value)?;
        if !matches!(property, ASSIGNED_CLIENT_ID | RESPONSE_INFORMATION) {
            kept.put(whole);
        }
        rest.advance(1 + value);
    }
    Some(kept)
}

#[cfg(test)]
mod tests;
