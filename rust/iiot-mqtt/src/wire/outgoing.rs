//! Reads the bytes that are sent, and notes which packet ids wait for an answer. Pure; the result does not depend on how the
//! bytes are cut.

use super::Waiting;

/// The part of a packet to which the next byte belongs.
#[derive(Debug, Default, Clone, Copy)]
enum At {
    #[default]
    First,
    /// In the remaining length.
    Length { value: usize, shift: u32 },
    /// In the two bytes of a topic's length.
    TopicLength { high: Option<u8> },
    /// In the two bytes of a packet id.
    Id { high: Option<u8> },
}

/// The reader.
#[derive(Debug, Default)]
pub struct Outgoing {
    at: At,
    first: u8,
    /// Bytes of the packet that are still to come.
    left: usize,
    /// Bytes to skip before `at` goes on.
    skip: usize,
}

const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;

impl Outgoing {
    pub fn take(&mut self, mut bytes: &[u8], waiting: &mut Waiting) {
        while let Some(&byte) = bytes.first() {
            if self.skip > 0 {
                let part = self.skip.min(bytes.len());
                self.skip -= part;
                bytes = bytes.get(part..).unwrap_or_default();
                continue;
            }
            bytes = bytes.get(1..).unwrap_or_default();
            self.next(byte, waiting);
        }
    }

    fn next(&mut self, byte: u8, waiting: &mut Waiting) {
        match self.at {
            At::First => {
                self.first = byte;
                self.at = At::Length { value: 0, shift: 0 };
            }
            At::Length { value, shift } => {
                let value = value | usize::from(byte & 127) << shift;
                if byte & 128 != 0 && shift < 21 {
                    let shift = shift + 7;
                    self.at = At::Length { value, shift };
                } else {
                    self.left = value;
                    self.begin_body();
                }
            }
            At::TopicLength { high: None } => self.at = At::TopicLength { high: Some(byte) },
            At::TopicLength { high: Some(high) } => {
                let topic = usize::from(u16::from_be_bytes([high, byte]));
                self.left = self.left.saturating_sub(2);
                let has_id = self.first >> 1 & 3 > 0;
                if has_id && topic + 2 <= self.left {
                    self.skip = topic;
                    self.left -= topic;
                    self.at = At::Id { high: None };
                } else {
                    self.pass_rest();
                }
            }
            At::Id { high: None } => self.at = At::Id { high: Some(byte) },
            At::Id { high: Some(high) } => {
                let id = u16::from_be_bytes([high, byte]);
                match self.first >> 4 {
                    PUBLISH => waiting.published.insert(id),
                    SUBSCRIBE => waiting.subscribed.insert(id),
                    _ => waiting.unsubscribed.insert(id),
                }
                self.left = self.left.saturating_sub(2);
                self.pass_rest();
            }
        }
    }

    fn begin_body(&mut self) {
        match self.first >> 4 {
            PUBLISH if self.left >= 2 => self.at = At::TopicLength { high: None },
            SUBSCRIBE | UNSUBSCRIBE if self.left >= 2 => self.at = At::Id { high: None },
            _ => self.pass_rest(),
        }
    }

    fn pass_rest(&mut self) {
        self.skip = std::mem::take(&mut self.left);
        self.at = At::First;
    }
}
