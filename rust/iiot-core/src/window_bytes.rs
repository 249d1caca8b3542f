//! The stored form of windows and of accepted receptions.

use crate::losses::Track;
use crate::reception::Reception;
use crate::window::{Entry, Window};

/// Stands in place of the number of receptions, where there is more than the first receiver.
const SEVERAL: u32 = u32::MAX;

impl Window {
    /// The whole window, for storage. Layout, little-endian: u32 receptions, each i64 time and u64 fingerprint; u32 links, each
    /// u64 link, u8 has boot, u64 boot, u64 last, u16 ranges, each u64 from and u64 to. Where there are other receivers than the first, the receptions
    /// come after [`SEVERAL`] and u32 receivers: for each receiver u64 number, u32 receptions and the receptions.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.remembered * 16 + self.tracks.len() * 32);
        if self.order.keys().all(|&receiver| receiver == 0) {
            out.extend_from_slice(&(self.remembered as u32).to_le_bytes());
            encode_queue(self.order.values().flatten(), &mut out);
        } else {
            out.extend_from_slice(&SEVERAL.to_le_bytes());
            out.extend_from_slice(&(self.order.len() as u32).to_le_bytes());
            for (receiver, queue) in &self.order {
                out.extend_from_slice(&receiver.to_le_bytes());
                out.extend_from_slice(&(queue.len() as u32).to_le_bytes());
                encode_queue(queue, &mut out);
            }
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
        let receptions = input.u32()?;
        if receptions == SEVERAL {
            for _ in 0..input.u32()? {
                let receiver = input.u64()?;
                let receptions = input.u32()?;
                window.decode_queue(receiver, receptions, &mut input)?;
            }
        } else {
            window.decode_queue(0, receptions, &mut input)?;
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

    fn decode_queue(
        &mut self,
        receiver: u64,
        receptions: u32,
        input: &mut Input<'_>,
    ) -> Option<()> {
        for _ in 0..receptions {
            let (at, key) = (input.u64()? as i64, input.u64()?);
            self.seen.insert(key, at);
            self.order.entry(receiver).or_default().push_back((at, key));
            self.remembered += 1;
        }
        Some(())
    }
}

fn encode_queue<'a>(queue: impl IntoIterator<Item = &'a (i64, u64)>, out: &mut Vec<u8>) {
    for (at, key) in queue {
        out.extend_from_slice(&at.to_le_bytes());
        out.extend_from_slice(&key.to_le_bytes());
    }
}

/// Accepted receptions, for storage: each u64 node, u8 flags (1 boot, 2 modulus, 4 not the first receiver), u64 seq, u64 object, i64 time, then boot,
/// modulus, receiver.
pub fn encode_entries(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * 34);
    for Entry {
        reception: r,
        receiver,
        time_ms,
    } in entries
    {
        out.extend_from_slice(&r.node.to_le_bytes());
        let receiver = Some(*receiver).filter(|receiver| *receiver != 0);
        let extras = [r.boot, r.modulus, receiver];
        let flags = extras
            .iter()
            .rev()
            .fold(0, |flags, extra| (flags << 1) | u8::from(extra.is_some()));
        out.push(flags);
        out.extend_from_slice(&r.seq.to_le_bytes());
        out.extend_from_slice(&r.object.to_le_bytes());
        out.extend_from_slice(&time_ms.to_le_bytes());
        for word in extras.into_iter().flatten() {
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
        let mut extra = |flag| {
            if flags & flag == 0 {
                Some(None)
            } else {
                input.u64().map(Some)
            }
        };
        let (boot, modulus) = (extra(1)?, extra(2)?);
        let receiver = extra(4)?.unwrap_or(0);
        entries.push(Entry {
            reception: Reception {
                node,
                boot,
                seq,
                object,
                modulus,
            },
            receiver,
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

    /// The bytes of a source with one receiver are those from before there were several, so an older journal goes on.
    #[test]
    fn one_receiver_is_stored_as_ever() {
        let reception = Reception {
            node: 1,
            boot: None,
            seq: 5,
            object: 35,
            modulus: Some(9),
        };
        let (mut window, mut delta) = (Window::default(), Delta::default());
        window.accept(&mut delta, 0, &[reception], 3);
        let log = encode_entries(&delta.entries);
        window.merge(delta, HOUR_MS);
        let word = |word: u64| word.to_le_bytes().to_vec();

        let fingerprint = 0xe945_750f_7965_15d6;
        let of_window = [
            vec![1, 0, 0, 0],
            word(3),
            word(fingerprint),
            vec![1, 0, 0, 0],
            word(1),
            vec![0],
            word(0),
            word(5),
            vec![0, 0],
        ];
        assert_eq!(window.encode(), of_window.concat());
        let of_log = [word(1), vec![2], word(5), word(35), word(3), word(9)];
        assert_eq!(log, of_log.concat());
    }

    /// The receiver of a reception is stored with it.
    #[test]
    fn a_further_receiver_is_stored() {
        let reception = Reception {
            node: 1,
            boot: None,
            seq: 5,
            object: 35,
            modulus: Some(9),
        };
        let entries = [0, 7].map(|receiver| Entry {
            reception,
            receiver,
            time_ms: 3,
        });
        assert_eq!(
            decode_entries(&encode_entries(&entries)),
            Some(entries.to_vec())
        );
    }

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
        window.accept(&mut delta, 0, &[first], 0);
        window.merge(delta, HOUR_MS);
        let stored = window.encode();
        let entry = Entry {
            reception: Reception {
                boot: Some(3),
                modulus: Some(9),
                seq: 8,
                ..first
            },
            receiver: 0,
            time_ms: 7,
        };
        let log = encode_entries(&[entry]);

        let mut read = Window::decode(&stored).unwrap();
        read.replay(decode_entries(&log).unwrap(), HOUR_MS);

        assert!(read.is_duplicate(&Delta::default(), 0, &[first], 10, HOUR_MS));
        assert!(read.is_duplicate(&Delta::default(), 0, &[entry.reception], 10, HOUR_MS));
        assert_eq!(decode_entries(&log), Some(vec![entry]));
        assert!(Window::decode(&stored[1..]).is_none());
    }
}
