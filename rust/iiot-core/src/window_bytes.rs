//! The stored form of windows and of accepted receptions.

use crate::losses::Track;
use crate::reception::Reception;
use crate::window::{Entry, Window};

impl Window {
    /// The whole window, for storage. Layout, little-endian: u32 receptions, each i64 time and u64 fingerprint; u32 nodes, each
    /// u64 node, u8 has boot, u64 boot, u64 last, u16 ranges, each u64 from and u64 to.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.order.len() * 16 + self.tracks.len() * 32);
        out.extend_from_slice(&(self.order.len() as u32).to_le_bytes());
        for (at, key) in &self.order {
            out.extend_from_slice(&at.to_le_bytes());
            out.extend_from_slice(&key.to_le_bytes());
        }
        out.extend_from_slice(&(self.tracks.len() as u32).to_le_bytes());
        for (node, track) in &self.tracks {
            out.extend_from_slice(&node.to_le_bytes());
            out.push(u8::from(track.boot.is_some()));
            out.extend_from_slice(&track.boot.unwrap_or(0).to_le_bytes());
            out.extend_from_slice(&track.last.to_le_bytes());
            out.extend_from_slice(&(track.missing.len() as u16).to_le_bytes());
            for (from, to) in &track.missing {
                out.extend_from_slice(&from.to_le_bytes());
                out.extend_from_slice(&to.to_le_bytes());
            }
        }
        out
    }

    /// Read what [`Window::encode`] wrote; `None` if it is something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        let mut window = Self::default();
        for _ in 0..input.u32()? {
            let (at, key) = (input.u64()? as i64, input.u64()?);
            window.seen.insert(key, at);
            window.order.push_back((at, key));
        }
        for _ in 0..input.u32()? {
            let node = input.u64()?;
            let has_boot = input.u8()? != 0;
            let boot = input.u64()?;
            let last = input.u64()?;
            let ranges = u16::from_le_bytes(input.take::<2>()?);
            let missing = (0..ranges)
                .map(|_| Some((input.u64()?, input.u64()?)))
                .collect::<Option<_>>()?;
            window.tracks.insert(
                node,
                Track {
                    boot: has_boot.then_some(boot),
                    last,
                    missing,
                    known: 0,
                },
            );
        }
        input.0.is_empty().then_some(window)
    }
}

/// Accepted receptions, for storage: each u64 node, u8 flags (1 boot, 2 modulus), u64 seq, u64 object, i64 time, then boot, modulus.
pub fn encode_entries(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * 34);
    for Entry {
        reception: r,
        time_ms,
    } in entries
    {
        out.extend_from_slice(&r.node.to_le_bytes());
        out.push(u8::from(r.boot.is_some()) | (u8::from(r.modulus.is_some()) << 1));
        out.extend_from_slice(&r.seq.to_le_bytes());
        out.extend_from_slice(&r.object.to_le_bytes());
        out.extend_from_slice(&time_ms.to_le_bytes());
        for word in [r.boot, r.modulus].into_iter().flatten() {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }
    out
}

/// Read what [`encode_entries`] wrote; `None` if it is something else.
pub fn decode_entries(bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut input = Input(bytes);
    let mut entries = Vec::new();
    while !input.0.is_empty() {
        let node = input.u64()?;
        let flags = input.u8()?;
        let (seq, object, time_ms) = (input.u64()?, input.u64()?, input.u64()? as i64);
        let boot = if flags & 1 == 0 {
            None
        } else {
            Some(input.u64()?)
        };
        let modulus = if flags & 2 == 0 {
            None
        } else {
            Some(input.u64()?)
        };
        entries.push(Entry {
            reception: Reception {
                node,
                boot,
                seq,
                object,
                modulus,
            },
            time_ms,
        });
    }
    Some(entries)
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }
    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[b]| b)
    }
    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use crate::window::Delta;

    const HOUR_MS: i64 = 3_600_000;

    /// A window read from storage, with the entries after it, answers like the one that was stored.
    #[test]
    fn a_stored_window_answers_alike() {
        let first = Reception {
            node: 1,
            boot: None,
            seq: 5,
            object: 35,
            modulus: None,
        };
        let (mut window, mut delta) = (Window::default(), Delta::default());
        window.accept(&mut delta, &[first], 0);
        window.merge(delta, HOUR_MS);
        let stored = window.encode();
        let entry = Entry {
            reception: Reception {
                boot: Some(3),
                modulus: Some(9),
                seq: 8,
                ..first
            },
            time_ms: 7,
        };
        let log = encode_entries(&[entry]);

        let mut read = Window::decode(&stored).unwrap();
        read.replay(decode_entries(&log).unwrap(), HOUR_MS);

        assert!(read.is_duplicate(&Delta::default(), &[first], 10, HOUR_MS));
        assert!(read.is_duplicate(&Delta::default(), &[entry.reception], 10, HOUR_MS));
        assert_eq!(decode_entries(&log), Some(vec![entry]));
        assert!(Window::decode(&stored[1..]).is_none());
    }
}
