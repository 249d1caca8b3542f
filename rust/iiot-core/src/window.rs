//! Which receptions are repeats, and what was lost on air, a source.
//!
//! A repeat has the node, boot id, sequence number and object text of a frame that was accepted within the window. The four
//! are kept as one 64-bit fingerprint. All changes go through a [`Delta`], which is merged once the frames are committed, so
//! that a commit that fails leaves nothing behind.

use std::collections::{HashMap, VecDeque};

/// At most this many receptions are remembered a source; the oldest go first. An hour at 18 packets a second.
pub const MAX_ENTRIES: usize = 65_536;
/// At most this many nodes are tracked for losses a source; further nodes are not counted for losses.
const MAX_NODES: usize = 4_096;
/// A larger jump of the sequence is a restart or another device, not a loss.
const MAX_GAP: u64 = 10_000;
/// A number less than this far behind the newest may have waited in its node's outbox: `iiot_proto::link::WINDOW_PACKETS`.
const MAX_LATE: u64 = 128;
/// Ranges of missing numbers remembered a node, so that a late arrival is taken off the losses again.
const MAX_MISSING: usize = 64;

/// One node's part of a document, as its profile found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reception {
    /// Fingerprint of the node's name.
    pub node: u64,
    /// Boot id, if the document has one.
    pub boot: Option<u64>,
    /// Sequence number.
    pub seq: u64,
    /// Fingerprint of the text of the node's object.
    pub object: u64,
    /// Where the sequence number wraps, if the profile says.
    pub modulus: Option<u64>,
}

impl Reception {
    fn fingerprint(&self) -> u64 {
        let mut h = mix(self.node ^ 0x9e37_79b9_7f4a_7c15);
        h = mix(h ^ self
            .boot
            .map_or(0x5bd1_e995, |b| mix(b ^ 0xff51_afd7_ed55_8ccd)));
        h = mix(h ^ self.seq);
        mix(h ^ self.object)
    }
}

/// The finaliser of `SplitMix64`: every input bit reaches every output bit.
const fn mix(mut x: u64) -> u64 {
    x ^= x >> 30;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// How far a node's sequence has come.
///
/// A node keeps what nobody acknowledged, and when it is heard again sends its newest reading first, then the stored ones from the oldest on. So a
/// number behind the newest is
///
/// - late, if it was missing: one lost frame less;
/// - a restart, if the boot id changed, or if it lies [`MAX_LATE`] or more behind, further than an outbox reaches;
/// - a restart, if the node tells no boot id and the number was received before (what comes here is no repeat: its text differs, or the window has
///   passed). What was received before this process began is not known;
/// - otherwise from before the first number heard: it changes nothing.
///
/// A restart counts no loss, and numbers go on from there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Track {
    boot: Option<u64>,
    last: u64,
    missing: Vec<(u64, u64)>,
    /// So many numbers before `last` were received or are missing. Not stored.
    known: u64,
}

impl Track {
    fn from(r: &Reception) -> Self {
        Self {
            boot: r.boot,
            last: r.seq,
            ..Self::default()
        }
    }

    /// The change in frames lost on air that this sequence number means. One that is judged late may fill a gap, or come next; where it
    /// lies before what is known, it is no restart.
    fn advance(&mut self, r: &Reception, late: bool) -> i64 {
        if self.boot != r.boot {
            if late {
                return 0;
            }
            *self = Self::from(r);
            return 0;
        }
        if let Some(found) = self
            .missing
            .iter()
            .position(|&(from, to)| from <= r.seq && r.seq < to)
        {
            let (from, to) = self.missing.swap_remove(found);
            self.missing.extend(
                [(from, r.seq), (r.seq + 1, to)]
                    .into_iter()
                    .filter(|(a, b)| a < b),
            );
            return -1;
        }
        let (ahead, behind) = match r.modulus {
            Some(m) if m > 0 => {
                let ahead = (r.seq % m + m - self.last % m) % m;
                // The shorter way round.
                if ahead > m / 2 {
                    (0, m - ahead)
                } else {
                    (ahead, 0)
                }
            }
            _ => (
                r.seq.saturating_sub(self.last),
                self.last.saturating_sub(r.seq),
            ),
        };
        let is_restart = ahead > MAX_GAP
            || behind >= MAX_LATE
            || (r.boot.is_none() && behind > 0 && behind <= self.known);
        if is_restart {
            if late {
                return 0;
            }
            *self = Self::from(r);
            return 0;
        }
        // So far ahead a late one is more likely from before a restart than the next.
        if ahead == 0 || (late && ahead > MAX_LATE) {
            return 0;
        }
        let lost = ahead - 1;
        self.known = self.known.saturating_add(ahead);
        if lost > 0 && r.seq < self.last {
            // Over a wrap what is missing is counted and not remembered.
            self.known = 0;
        } else if lost > 0 {
            if self.missing.len() == MAX_MISSING {
                let (_, to) = self.missing.remove(0);
                self.known = self.known.min(r.seq - to);
            }
            self.missing.push((self.last + 1, r.seq));
        }
        self.last = r.seq;
        lost as i64
    }
}

/// An accepted reception, in the form in which it is stored and applied again after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What was received.
    pub reception: Reception,
    /// Its time in milliseconds, in the clock of the window.
    pub time_ms: i64,
}

/// What was accepted recently and how far each node's sequence has come.
#[derive(Debug, Clone, Default)]
pub struct Window {
    seen: HashMap<u64, i64>,
    order: VecDeque<(i64, u64)>,
    tracks: HashMap<u64, Track>,
}

/// Changes to a window that are not committed yet.
#[derive(Debug, Default)]
pub struct Delta {
    seen: HashMap<u64, i64>,
    tracks: HashMap<u64, Track>,
    /// The accepted receptions, to be stored with the frames.
    pub entries: Vec<Entry>,
    /// The change in frames lost on air.
    pub lost_on_air: i64,
    /// The same a node, in the order it was found.
    pub lost_by_node: Vec<(u64, i64)>,
}

impl Window {
    /// Is every one of these a repeat of something accepted within `window_ms`? A document without sequences never is.
    pub fn is_duplicate(
        &self,
        delta: &Delta,
        receptions: &[Reception],
        time_ms: i64,
        window_ms: i64,
    ) -> bool {
        !receptions.is_empty()
            && receptions.iter().all(|r| {
                let key = r.fingerprint();
                delta
                    .seen
                    .get(&key)
                    .or_else(|| self.seen.get(&key))
                    .is_some_and(|&at| time_ms.abs_diff(at) <= window_ms.unsigned_abs())
            })
    }

    /// Note accepted receptions in the delta. One that was seen before within the window counts for nothing again.
    pub fn accept(&self, delta: &mut Delta, receptions: &[Reception], time_ms: i64) {
        self.note(delta, receptions, time_ms, false);
    }

    /// Accept what came earlier and is judged only now. Returns the frames lost on air that this changes, a node.
    pub fn accept_late(
        &mut self,
        receptions: &[Reception],
        time_ms: i64,
        window_ms: i64,
    ) -> Vec<(u64, i64)> {
        let mut delta = Delta::default();
        self.note(&mut delta, receptions, time_ms, true);
        let lost_by_node = std::mem::take(&mut delta.lost_by_node);
        self.merge(delta, window_ms);
        lost_by_node
    }

    fn note(&self, delta: &mut Delta, receptions: &[Reception], time_ms: i64, late: bool) {
        for r in receptions {
            delta.seen.insert(r.fingerprint(), time_ms);
            delta.entries.push(Entry {
                reception: *r,
                time_ms,
            });
            if !delta.tracks.contains_key(&r.node) {
                match self.tracks.get(&r.node) {
                    Some(track) => delta.tracks.insert(r.node, track.clone()),
                    None if self.tracks.len() + delta.tracks.len() < MAX_NODES => {
                        delta.tracks.insert(r.node, Track::from(r));
                        continue;
                    }
                    None => continue,
                };
            }
            if let Some(track) = delta.tracks.get_mut(&r.node) {
                let lost = track.advance(r, late);
                if lost != 0 {
                    delta.lost_on_air += lost;
                    delta.lost_by_node.push((r.node, lost));
                }
            }
        }
    }

    /// Take over what was committed and forget what is older than `window_ms` or beyond [`MAX_ENTRIES`].
    pub fn merge(&mut self, delta: Delta, window_ms: i64) {
        for entry in &delta.entries {
            let key = entry.reception.fingerprint();
            // A late one may be older than its repeat.
            let seen = self.seen.entry(key).or_insert(entry.time_ms);
            *seen = (*seen).max(entry.time_ms);
            self.order.push_back((entry.time_ms, key));
        }
        self.tracks.extend(delta.tracks);
        let newest = self.order.back().map_or(i64::MIN, |&(at, _)| at);
        while let Some(&(at, key)) = self.order.front() {
            if self.order.len() <= MAX_ENTRIES && newest.saturating_sub(at) <= window_ms {
                break;
            }
            self.order.pop_front();
            if self.seen.get(&key) == Some(&at) {
                self.seen.remove(&key);
            }
        }
    }

    /// How many receptions are remembered.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

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

    /// Apply stored entries after the last stored window, as at a restart.
    pub fn replay(&mut self, entries: Vec<Entry>, window_ms: i64) {
        let mut delta = Delta::default();
        for e in entries {
            self.accept(&mut delta, &[e.reception], e.time_ms);
        }
        self.merge(delta, window_ms);
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
    use super::*;

    fn reception(seq: u64) -> Reception {
        Reception {
            node: 1,
            boot: None,
            seq,
            object: seq * 7,
            modulus: None,
        }
    }

    fn accept(window: &mut Window, r: Reception, at: i64) -> i64 {
        let mut delta = Delta::default();
        window.accept(&mut delta, &[r], at);
        let lost = delta.lost_on_air;
        window.merge(delta, 3_600_000);
        lost
    }

    fn is_duplicate(window: &Window, r: Reception, at: i64) -> bool {
        window.is_duplicate(&Delta::default(), &[r], at, 3_600_000)
    }

    /// A repeat within the window is a duplicate; after it, or with another text, it is not.
    #[test]
    fn a_repeat_is_a_duplicate_only_within_the_window_and_with_the_same_text() {
        let mut window = Window::default();
        accept(&mut window, reception(5), 0);

        assert!(is_duplicate(&window, reception(5), 3_600_000));
        assert!(!is_duplicate(&window, reception(5), 3_600_001));
        assert!(!is_duplicate(
            &window,
            Reception {
                object: 1,
                ..reception(5)
            },
            10
        ));
        assert!(!is_duplicate(
            &window,
            Reception {
                boot: Some(0),
                ..reception(5)
            },
            10
        ));
    }

    /// What a delta holds is seen by the next frame of the same group, and is gone if the delta is thrown away.
    #[test]
    fn a_discarded_delta_leaves_nothing() {
        let window = Window::default();
        let mut delta = Delta::default();
        window.accept(&mut delta, &[reception(5)], 0);
        assert!(window.is_duplicate(&delta, &[reception(5)], 1, 1000));

        assert!(!window.is_duplicate(&Delta::default(), &[reception(5)], 1, 1000));
    }

    /// Frames lost on air after these sequence numbers, each with a text of its own.
    fn lost(boot: Option<u64>, seqs: impl IntoIterator<Item = u64>) -> i64 {
        let mut window = Window::default();
        let receive = |(n, seq)| {
            let object = n as u64;
            let r = Reception {
                boot,
                object,
                ..reception(seq)
            };
            accept(&mut window, r, object as i64)
        };
        seqs.into_iter().enumerate().map(receive).sum()
    }

    /// Gaps count as lost, a late arrival is taken off again, a restart counts nothing.
    #[test]
    fn gaps_are_counted_and_late_arrivals_taken_off() {
        let mut window = Window::default();
        assert_eq!(accept(&mut window, reception(210), 0), 0);
        assert_eq!(accept(&mut window, reception(214), 1), 3);
        assert_eq!(accept(&mut window, reception(212), 2), -1);
        assert_eq!(accept(&mut window, reception(215), 3), 0);
        assert_eq!(accept(&mut window, reception(1), 4), 0);
        assert_eq!(accept(&mut window, reception(3), 5), 1);
    }

    /// A node that is heard again sends its newest reading, then the stored ones: nothing is lost, whether it was heard before or not.
    #[test]
    fn a_flushed_outbox_counts_nothing() {
        for boot in [None, Some(7)] {
            let stored = || [100].into_iter().chain(60..100).chain(101..103);
            assert_eq!(lost(boot, stored()), 0, "{boot:?}");
            assert_eq!(lost(boot, (0..60).chain(stored())), 0, "{boot:?}");
            assert_eq!(lost(boot, stored().filter(|&seq| seq != 70)), 0);
            assert_eq!(lost(boot, (0..60).chain(stored()).filter(|&s| s != 70)), 1);
            assert_eq!(lost(boot, stored().chain([104])), 1, "{boot:?}");
        }
    }

    /// Numbers that begin again are a restart: at once where no outbox reaches or where they were received before, else if the boot id says so.
    #[test]
    fn a_restart_counts_nothing_and_the_losses_behind_it() {
        let again = |from, last| (from..last).chain([0, 1, 3]);
        assert_eq!(lost(None, again(500, 501)), 1, "no outbox reaches so far");
        assert_eq!(lost(Some(7), again(500, 501)), 1);
        assert_eq!(lost(None, again(0, 20)), 1, "0 was received before");
        assert_eq!(lost(Some(7), again(0, 20)), 0, "the boot id is the same");

        let mut window = Window::default();
        let at = |boot, seq| Reception {
            boot: Some(boot),
            ..reception(seq)
        };
        accept(&mut window, at(7, 20), 0);
        assert_eq!(accept(&mut window, at(8, 0), 1), 0);
        assert_eq!(accept(&mut window, at(8, 2), 2), 1);
    }

    /// The receiver of the radio link takes nothing that lies further back, so no frame is older.
    #[test]
    fn an_outbox_reaches_as_far_as_the_radio_link_takes() {
        assert_eq!(MAX_LATE, u64::from(iiot_proto::link::WINDOW_PACKETS));
    }

    proptest::proptest! {
        /// However a node's numbers are held up, by less than an outbox, in the end the losses are those that never came.
        #[test]
        fn in_the_end_the_losses_are_what_never_came(
            delays in proptest::collection::vec(proptest::option::weighted(0.9, 0_u64..60), 1..200),
            boot in proptest::option::of(0_u64..3),
        ) {
            let mut order: Vec<(u64, u64)> = delays
                .iter()
                .zip(1000..)
                .filter_map(|(delay, seq)| delay.map(|delay| (seq + delay, seq)))
                .collect();
            order.sort_unstable();
            let seqs: Vec<u64> = order.into_iter().map(|(_, seq)| seq).collect();
            let expected = seqs.first().map_or(0, |first| {
                let newest = seqs.iter().max().unwrap_or(first);
                let heard = seqs.iter().filter(|seq| *seq >= first).count() as u64;
                newest - first + 1 - heard
            });
            proptest::prop_assert_eq!(lost(boot, seqs), expected as i64);
        }
    }

    /// A packet that is judged late fills its gap or counts for nothing; what comes next is judged as if it had not been.
    #[test]
    fn a_late_packet_moves_no_sequence_back() {
        let mut window = Window::default();
        accept(&mut window, reception(1000), 0);
        accept(&mut window, reception(1003), 1);
        let restarted = Reception {
            boot: Some(1),
            ..reception(1)
        };
        let mut late = |r| window.accept_late(&[r], 2, 3_600_000);

        assert_eq!(late(reception(1002)), [(1, -1)]);
        assert_eq!(late(reception(5)), []);
        assert_eq!(late(restarted), []);
        assert_eq!(late(reception(1006)), [(1, 2)]);
        assert_eq!(late(reception(1400)), [], "rather from before a restart");

        assert!(is_duplicate(&window, reception(5), 3));
        assert_eq!(accept(&mut window, reception(1007), 3), 0);
    }

    /// With a modulus the wrap of the sequence number is no restart.
    #[test]
    fn a_wrap_of_the_sequence_counts_its_gap() {
        let mut window = Window::default();
        let at = |seq| Reception {
            modulus: Some(256),
            ..reception(seq)
        };
        accept(&mut window, at(254), 0);
        assert_eq!(accept(&mut window, at(1), 1), 2);
    }

    /// A window read from storage, with the entries after it, answers like the one that was stored.
    #[test]
    fn a_stored_window_answers_alike() {
        let mut window = Window::default();
        accept(&mut window, reception(5), 0);
        let stored = window.encode();
        let entry = Entry {
            reception: Reception {
                boot: Some(3),
                modulus: Some(9),
                ..reception(8)
            },
            time_ms: 7,
        };
        let log = encode_entries(&[entry]);

        let mut read = Window::decode(&stored).unwrap();
        read.replay(decode_entries(&log).unwrap(), 3_600_000);

        assert!(is_duplicate(&read, reception(5), 10));
        assert!(is_duplicate(&read, entry.reception, 10));
        assert_eq!(decode_entries(&log), Some(vec![entry]));
        assert!(Window::decode(&stored[1..]).is_none());
    }

    /// Memory is bounded: the oldest receptions go first.
    #[test]
    fn the_oldest_go_first() {
        let mut window = Window::default();
        let mut delta = Delta::default();
        for seq in 0..=MAX_ENTRIES as u64 {
            window.accept(&mut delta, &[reception(seq)], 0);
        }
        window.merge(delta, 3_600_000);
        assert_eq!(window.len(), MAX_ENTRIES);
        assert!(!is_duplicate(&window, reception(0), 0));
        assert!(is_duplicate(&window, reception(1), 0));
    }
}
