//! Losses on air: the newest sequence number of each node, and the numbers that are missing.

use crate::reception::Reception;

/// A larger jump of the sequence is a restart or another device, not a loss.
const MAX_GAP: u64 = 10_000;
/// A number less than this far behind the newest may have waited in its node's outbox: `iiot_proto::link::WINDOW_PACKETS`.
const MAX_LATE: u64 = 128;
/// The most ranges of missing numbers that are remembered per node, so that a late arrival can be subtracted from the losses again.
const MAX_MISSING: usize = 64;

/// The progress of a node's sequence.
///
/// A node keeps packets that nobody acknowledged. When it is heard again, it first sends its newest reading, and then the stored ones, oldest
/// first. So a number behind the newest is
///
/// - late, if it was missing: one lost frame less;
/// - a restart, if the boot id changed, or if it lies [`MAX_LATE`] or more behind, further than an outbox reaches;
/// - a restart, if the node sends no boot id and the number was received before (it is not a repeat: its text differs, or the window has passed).
///   Numbers that were received before this process began are not known;
/// - otherwise a number from before the first one that was heard: it changes nothing.
///
/// A restart counts no loss, and numbers go on from there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) boot: Option<u64>,
    pub(crate) last: u64,
    pub(crate) missing: Vec<(u64, u64)>,
    /// How many numbers before `last` are known: received, or missing. Not stored.
    pub(crate) known: u64,
}

impl Track {
    pub(crate) fn from(r: &Reception) -> Self {
        Self {
            boot: r.boot,
            last: r.seq,
            ..Self::default()
        }
    }

    /// The change in frames lost on air that follows from this sequence number. A number that is judged late may fill a gap, or be the next one;
    /// if it lies before the known numbers, it does not count as a restart.
    pub(crate) fn advance(&mut self, r: &Reception, late: bool) -> i64 {
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
        // A late number that is so far ahead is more likely from before a restart than the next one.
        if ahead == 0 || (late && ahead > MAX_LATE) {
            return 0;
        }
        let lost = ahead - 1;
        self.known = self.known.saturating_add(ahead);
        if lost > 0 && r.seq < self.last {
            // If the sequence wraps, missing numbers are counted but not remembered.
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

    /// A packet comes in time; what it changes in frames lost on air.
    fn accept(track: &mut Option<Track>, r: Reception) -> i64 {
        if let Some(track) = track {
            track.advance(&r, false)
        } else {
            *track = Some(Track::from(&r));
            0
        }
    }

    /// Frames lost on air after these sequence numbers.
    fn lost(boot: Option<u64>, seqs: impl IntoIterator<Item = u64>) -> i64 {
        let mut track = None;
        let receive = |seq| {
            let r = Reception {
                boot,
                ..reception(seq)
            };
            accept(&mut track, r)
        };
        seqs.into_iter().map(receive).sum()
    }

    /// Gaps count as lost, a late arrival is taken off again, a restart counts nothing.
    #[test]
    fn gaps_are_counted_and_late_arrivals_taken_off() {
        let mut track = None;
        assert_eq!(accept(&mut track, reception(210)), 0);
        assert_eq!(accept(&mut track, reception(214)), 3);
        assert_eq!(accept(&mut track, reception(212)), -1);
        assert_eq!(accept(&mut track, reception(215)), 0);
        assert_eq!(accept(&mut track, reception(1)), 0);
        assert_eq!(accept(&mut track, reception(3)), 1);
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

        let mut track = None;
        let at = |boot, seq| Reception {
            boot: Some(boot),
            ..reception(seq)
        };
        accept(&mut track, at(7, 20));
        assert_eq!(accept(&mut track, at(8, 0)), 0);
        assert_eq!(accept(&mut track, at(8, 2)), 1);
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

    /// With a modulus the wrap of the sequence number is no restart.
    #[test]
    fn a_wrap_of_the_sequence_counts_its_gap() {
        let mut track = None;
        let at = |seq| Reception {
            modulus: Some(256),
            ..reception(seq)
        };
        accept(&mut track, at(254));
        assert_eq!(accept(&mut track, at(1)), 2);
    }
}
