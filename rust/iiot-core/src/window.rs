//! Decides which receptions of a source are repeats. It also finds losses on air, see `losses.rs`; `window_bytes.rs` has the stored form.
//!
//! A repeat has the node, boot id, sequence number and object text of a frame that was accepted within the window. The four
//! are kept as one 64-bit fingerprint. All changes go through a [`Delta`], which is merged once the frames are committed, so
//! that a commit that fails leaves nothing behind.

use crate::losses::Track;
pub use crate::reception::Reception;
use std::collections::{HashMap, VecDeque};

/// At most this many receptions are remembered per source, of all its receivers together: an hour at 72 packets per second, in about 16 MB. None is
/// forgotten within its window: further ones are accepted without being remembered, and counted.
pub const MAX_ENTRIES: usize = 262_144;
/// At most this many links between nodes and receivers are tracked for losses, per source. Receptions on further links are counted as not tracked.
const MAX_NODES: usize = 4_096;

/// An accepted reception, in the form in which it is stored and applied again after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What was received.
    pub reception: Reception,
    /// Number of its receiver; 0 is the first one of its source.
    pub receiver: u64,
    /// Its time in milliseconds, in the clock of its receiver.
    pub time_ms: i64,
}

/// The recently accepted receptions of each receiver, and the progress of each node's sequence there. Receivers have clocks of their own, so none of them
/// moves the window of another.
#[derive(Debug, Clone, Default)]
pub struct Window {
    pub(crate) seen: HashMap<u64, i64>,
    pub(crate) order: HashMap<u64, VecDeque<(i64, u64)>>,
    pub(crate) remembered: usize,
    pub(crate) tracks: HashMap<u64, Track>,
}

/// Changes to a window that are not committed yet.
#[derive(Debug, Default)]
pub struct Delta {
    seen: HashMap<u64, i64>,
    tracks: HashMap<u64, Track>,
    /// The accepted receptions, to be stored with the frames.
    pub entries: Vec<Entry>,
    /// The change in frames lost on air per node, in the order in which it was found.
    pub lost_by_node: Vec<(u64, i64)>,
    /// Receptions that are not remembered, because there are [`MAX_ENTRIES`] already: their repeats will be accepted.
    pub not_remembered: u64,
    /// Receptions of nodes whose losses are not counted, because there are too many nodes.
    pub not_tracked: u64,
}

impl Window {
    /// Whether each of these is a repeat of a reception accepted within `window_ms`. A document without sequences never is.
    pub fn is_duplicate(
        &self,
        delta: &Delta,
        receiver: u64,
        receptions: &[Reception],
        time_ms: i64,
        window_ms: i64,
    ) -> bool {
        !receptions.is_empty()
            && receptions.iter().all(|r| {
                let key = r.fingerprint(receiver);
                delta
                    .seen
                    .get(&key)
                    .or_else(|| self.seen.get(&key))
                    .is_some_and(|&at| time_ms.abs_diff(at) <= window_ms.unsigned_abs())
            })
    }

    /// Note accepted receptions in the delta. A reception that was seen before within the window is not counted again.
    pub fn accept(&self, delta: &mut Delta, receiver: u64, receptions: &[Reception], time_ms: i64) {
        self.note(delta, receiver, receptions, time_ms, false);
    }

    /// Accept receptions that came earlier and are judged only now. Returns the counts.
    pub fn accept_late(
        &mut self,
        receiver: u64,
        receptions: &[Reception],
        time_ms: i64,
        window_ms: i64,
    ) -> Delta {
        let mut delta = Delta::default();
        self.note(&mut delta, receiver, receptions, time_ms, true);
        let noted = Delta {
            entries: std::mem::take(&mut delta.entries),
            tracks: std::mem::take(&mut delta.tracks),
            ..Delta::default()
        };
        self.merge(noted, window_ms);
        delta
    }

    fn note(
        &self,
        delta: &mut Delta,
        receiver: u64,
        receptions: &[Reception],
        time_ms: i64,
        late: bool,
    ) {
        for r in receptions {
            if self.remembered + delta.entries.len() < MAX_ENTRIES {
                delta.seen.insert(r.fingerprint(receiver), time_ms);
            } else {
                delta.not_remembered += 1;
            }
            // Losses are found again from the entries after a restart, so those that are not remembered are stored too.
            delta.entries.push(Entry {
                reception: *r,
                receiver,
                time_ms,
            });
            let link = r.link(receiver);
            if !delta.tracks.contains_key(&link) {
                match self.tracks.get(&link) {
                    Some(track) => delta.tracks.insert(link, track.clone()),
                    None if self.tracks.len() + delta.tracks.len() < MAX_NODES => {
                        delta.tracks.insert(link, Track::from(r));
                        continue;
                    }
                    None => {
                        delta.not_tracked += 1;
                        continue;
                    }
                };
            }
            if let Some(track) = delta.tracks.get_mut(&link) {
                let lost = track.advance(r, late);
                if lost != 0 {
                    delta.lost_by_node.push((r.node, lost));
                }
            }
        }
    }

    /// Merge the committed changes, as far as there is room, and forget entries that are older than `window_ms`.
    pub fn merge(&mut self, delta: Delta, window_ms: i64) {
        let room = MAX_ENTRIES.saturating_sub(self.remembered);
        for entry in delta.entries.iter().take(room) {
            let key = entry.reception.fingerprint(entry.receiver);
            // A late one may be older than its repeat.
            let seen = self.seen.entry(key).or_insert(entry.time_ms);
            *seen = (*seen).max(entry.time_ms);
            let queue = self.order.entry(entry.receiver).or_default();
            queue.push_back((entry.time_ms, key));
            self.remembered += 1;
        }
        self.tracks.extend(delta.tracks);
        // One that is not remembered moves the window on, too, and so makes room.
        let last = delta.entries.iter().map(|e| (e.receiver, e.time_ms));
        let newest: HashMap<u64, i64> = last.collect();
        for (receiver, newest_ms) in newest {
            self.forget_while(receiver, |at| newest_ms.saturating_sub(at) > window_ms);
        }
    }

    /// Forget all receptions of a receiver.
    pub fn forget(&mut self, receiver: u64) {
        self.forget_while(receiver, |_| true);
    }

    /// Forget a receiver's receptions in the order in which they came, while their times are old.
    fn forget_while(&mut self, receiver: u64, is_old: impl Fn(i64) -> bool) {
        let Some(queue) = self.order.get_mut(&receiver) else {
            return;
        };
        while let Some(&(at, key)) = queue.front() {
            if !is_old(at) {
                break;
            }
            queue.pop_front();
            self.remembered -= 1;
            if self.seen.get(&key) == Some(&at) {
                self.seen.remove(&key);
            }
        }
        if queue.is_empty() {
            self.order.remove(&receiver);
        }
    }

    /// There is no room for further receptions.
    pub fn is_full(&self) -> bool {
        self.remembered >= MAX_ENTRIES
    }

    /// How many receptions are remembered.
    pub fn len(&self) -> usize {
        self.remembered
    }

    /// Nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.remembered == 0
    }

    /// Apply stored entries after the last stored window, as at a restart.
    pub fn replay(&mut self, entries: Vec<Entry>, window_ms: i64) {
        let mut delta = Delta::default();
        for e in entries {
            self.accept(&mut delta, e.receiver, &[e.reception], e.time_ms);
        }
        self.merge(delta, window_ms);
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

    fn lost(delta: &Delta) -> i64 {
        delta.lost_by_node.iter().map(|(_, lost)| lost).sum()
    }

    fn accept(window: &mut Window, r: Reception, at: i64) -> i64 {
        let mut delta = Delta::default();
        window.accept(&mut delta, 0, &[r], at);
        let lost = lost(&delta);
        window.merge(delta, 3_600_000);
        lost
    }

    fn is_duplicate(window: &Window, r: Reception, at: i64) -> bool {
        window.is_duplicate(&Delta::default(), 0, &[r], at, 3_600_000)
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
        window.accept(&mut delta, 0, &[reception(5)], 0);
        assert!(window.is_duplicate(&delta, 0, &[reception(5)], 1, 1000));

        assert!(!window.is_duplicate(&Delta::default(), 0, &[reception(5)], 1, 1000));
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
        let mut late = |r| window.accept_late(0, &[r], 2, 3_600_000).lost_by_node;

        assert_eq!(late(reception(1002)), [(1, -1)]);
        assert_eq!(late(reception(5)), []);
        assert_eq!(late(restarted), []);
        assert_eq!(late(reception(1006)), [(1, 2)]);
        assert_eq!(late(reception(1400)), [], "rather from before a restart");

        assert!(is_duplicate(&window, reception(5), 3));
        assert_eq!(accept(&mut window, reception(1007), 3), 0);
    }

    /// What one receiver hears is neither a repeat nor a gap of what another one hears, and its clock does not move the window of the other.
    #[test]
    fn receivers_share_nothing() {
        let mut window = Window::default();
        let mut delta = Delta::default();
        for (receiver, seq, at) in [(0, 5, 0), (9, 7, 9_000_000), (9, 8, 9_000_001)] {
            window.accept(&mut delta, receiver, &[reception(seq)], at);
        }
        assert_eq!(lost(&delta), 0);
        window.merge(delta, 1_000);

        let stored = Window::decode(&window.encode()).unwrap();
        for mut window in [window, stored] {
            let is_duplicate = |window: &Window, receiver, seq, at| {
                window.is_duplicate(&Delta::default(), receiver, &[reception(seq)], at, 1_000)
            };
            assert!(is_duplicate(&window, 0, 5, 1_000));
            assert!(is_duplicate(&window, 9, 7, 9_001_000));
            assert!(!is_duplicate(&window, 9, 5, 0));
            assert!(!is_duplicate(&window, 0, 7, 9_000_000));

            let mut delta = Delta::default();
            window.accept(&mut delta, 0, &[reception(8)], 1);
            window.accept(&mut delta, 9, &[reception(10)], 9_002_000);
            assert_eq!(delta.lost_by_node, [(1, 2), (1, 1)]);
            window.merge(delta, 1_000);
            assert_eq!(window.len(), 3);
            window.forget(9);
            assert_eq!(window.len(), 2);
            assert!(is_duplicate(&window, 0, 5, 1_000));
            assert!(!is_duplicate(&window, 9, 10, 9_002_000));
        }
    }

    /// A busy node's receptions of an hour are all remembered, also after a restart.
    #[test]
    fn nothing_is_forgotten_within_the_window() {
        let mut window = Window::default();
        for seq in 0..70_000 {
            accept(&mut window, reception(seq), seq as i64 * 50);
        }
        let stored = Window::decode(&window.encode()).unwrap();
        for window in [&window, &stored] {
            for seq in [0, 1, 4_463, 4_464, 69_999] {
                assert!(is_duplicate(window, reception(seq), 3_500_000), "{seq}");
            }
        }
    }

    /// Memory is bounded: beyond the bound, receptions are accepted and counted, but not remembered. Losses are counted all the same, and there is room
    /// again once the first ones have left the window.
    #[test]
    fn beyond_the_bound_receptions_are_counted() {
        let mut window = Window::default();
        let mut delta = Delta::default();
        let last = MAX_ENTRIES as u64 + 9;
        for seq in 0..=last {
            window.accept(&mut delta, 0, &[reception(seq)], 0);
        }
        assert_eq!(delta.not_remembered, 10);
        assert!(!window.is_duplicate(&delta, 0, &[reception(last)], 0, 1_000));
        window.merge(delta, 3_600_000);
        assert_eq!(window.len(), MAX_ENTRIES);
        assert!(is_duplicate(&window, reception(0), 0));
        assert!(!is_duplicate(&window, reception(last), 0));
        assert_eq!(accept(&mut window, reception(last + 3), 3_600_001), 2);

        assert_eq!(window.len(), 0);
        assert_eq!(accept(&mut window, reception(last + 4), 3_600_002), 0);
        assert!(is_duplicate(&window, reception(last + 4), 3_600_003));
    }

    /// Receptions of nodes beyond the bound are counted, because their losses are not.
    #[test]
    fn nodes_beyond_the_bound_are_counted() {
        let window = Window::default();
        let mut delta = Delta::default();
        for seq in [1, 5] {
            for node in 0..MAX_NODES as u64 + 3 {
                let r = Reception {
                    node,
                    ..reception(seq)
                };
                window.accept(&mut delta, 0, &[r], 0);
            }
        }
        assert_eq!((delta.not_tracked, lost(&delta)), (6, 3 * MAX_NODES as i64));
    }
}
