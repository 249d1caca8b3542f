//! The clocks of a source: the time that a frame gets, and the uptime of a node.

/// A host clock that falls back by no more than this is held still; a larger fall is taken over (somebody set the clock).
const SMALL_FALL_NS: i64 = 60_000_000_000;

/// Gives each frame of one source a time of its own, in order.
///
/// Databases overwrite a point that has the series and time of another, so two frames of one source never share a stamp:
/// stamps advance by at least `step_ns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StampClock {
    /// The last stamp given; `i64::MIN` before the first.
    pub last_stamp_ns: i64,
    /// The host clock at that moment. It is kept separately, because a burst may push stamps ahead of the clock.
    pub last_clock_ns: i64,
}

impl Default for StampClock {
    fn default() -> Self {
        Self {
            last_stamp_ns: i64::MIN,
            last_clock_ns: i64::MIN,
        }
    }
}

/// A stamp, and whether the host clock had fallen back by more than a minute before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Nanoseconds since 1970.
    pub ns: i64,
    /// The clock fell back by more than a minute and its new reading was taken: earlier points may be overwritten.
    pub fell_back: bool,
}

impl StampClock {
    /// The host clock at a frame's arrival, held still over a small fall. For frames whose stamps need not be distinct from those of other frames.
    pub fn hold(&mut self, clock_ns: i64) -> Stamp {
        let fell_back = self.last_clock_ns != i64::MIN
            && clock_ns < self.last_clock_ns.saturating_sub(SMALL_FALL_NS);
        self.last_clock_ns = if fell_back {
            clock_ns
        } else {
            self.last_clock_ns.max(clock_ns)
        };
        Stamp {
            ns: self.last_clock_ns,
            fell_back,
        }
    }

    /// The stamp for a frame at `clock_ns`.
    pub fn stamp(&mut self, clock_ns: i64, step_ns: i64) -> Stamp {
        let Stamp { fell_back, .. } = self.hold(clock_ns);
        let ns = if fell_back || self.last_stamp_ns == i64::MIN {
            clock_ns
        } else {
            clock_ns.max(self.last_stamp_ns.saturating_add(step_ns))
        };
        self.last_stamp_ns = ns;
        Stamp { ns, fell_back }
    }
}

/// A node's uptime counter, unwrapped: milliseconds since the first document, through wraps and restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeClock {
    started: bool,
    last_uptime_ms: u64,
    last_counter: Option<u64>,
    base_ms: i64,
}

impl NodeClock {
    /// A clock that counts from `now_ms` at the first document, instead of 0.
    pub fn beginning_at(now_ms: i64) -> Self {
        Self {
            base_ms: now_ms,
            ..Self::default()
        }
    }

    /// Take a document's uptime and packet counter; returns milliseconds since the first document.
    ///
    /// A fall of the uptime is a wrap of its `bits`-bit counter, unless the packet counter did not rise: then the node restarted,
    /// and its time goes on from the document before. Without a packet counter a fall from the upper half of the range is a wrap.
    pub fn advance(&mut self, uptime_ms: u64, counter: Option<u64>, bits: u32) -> i64 {
        let range = 1_i64.checked_shl(bits.min(62)).unwrap_or(i64::MAX);
        let uptime = i64::try_from(uptime_ms).unwrap_or(i64::MAX);
        if !self.started {
            self.started = true;
            self.base_ms = self.base_ms.saturating_sub(uptime);
        } else if uptime_ms < self.last_uptime_ms {
            let last = i64::try_from(self.last_uptime_ms).unwrap_or(i64::MAX);
            let wrapped = match (self.last_counter, counter) {
                (Some(before), Some(now)) => now > before,
                _ => last > range / 2,
            };
            self.base_ms = self
                .base_ms
                .saturating_add(if wrapped { range } else { last });
        }
        self.last_uptime_ms = uptime_ms;
        if counter.is_some() {
            self.last_counter = counter;
        }
        self.base_ms.saturating_add(uptime)
    }

    /// The node time of a document that is judged late, whether it came before or after the last one. The clock does not move.
    ///
    /// Exact unless the node restarted in between: its uptime before the restart is not known any more.
    pub fn revisit(&self, uptime_ms: u64, counter: Option<u64>, bits: u32) -> i64 {
        let uptime = i64::try_from(uptime_ms).unwrap_or(i64::MAX);
        let before_a_wrap = uptime_ms > self.last_uptime_ms
            && matches!((counter, self.last_counter), (Some(then), Some(last)) if then < last);
        let range = 1_i64.checked_shl(bits.min(62)).unwrap_or(i64::MAX);
        self.base_ms
            .saturating_sub(if before_a_wrap { range } else { 0 })
            .saturating_add(uptime)
    }

    /// The node time of the last document; none before the first.
    pub fn now_ms(&self) -> Option<i64> {
        let uptime = i64::try_from(self.last_uptime_ms).unwrap_or(i64::MAX);
        self.started.then(|| self.base_ms.saturating_add(uptime))
    }

    /// Write the state for storage.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.started) | (u8::from(self.last_counter.is_some()) << 1));
        out.extend_from_slice(&self.last_uptime_ms.to_le_bytes());
        out.extend_from_slice(&self.last_counter.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&self.base_ms.to_le_bytes());
    }

    /// Read what `encode` wrote; `None` if it is something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (flags, rest) = bytes.split_first()?;
        let word = |at: usize| {
            rest.get(at..at + 8)?
                .try_into()
                .ok()
                .map(u64::from_le_bytes)
        };
        Some(Self {
            started: flags & 1 != 0,
            last_uptime_ms: word(0)?,
            last_counter: (flags & 2 != 0).then_some(word(8)?),
            base_ms: word(16)? as i64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: i64 = 1_000_000;

    /// Frames of the same instant get stamps a step apart.
    #[test]
    fn stamps_of_one_instant_differ() {
        let mut clock = StampClock::default();
        assert_eq!(clock.stamp(5, STEP).ns, 5);
        assert_eq!(clock.stamp(5, STEP).ns, 5 + STEP);
    }

    /// A fall of up to a minute holds the stamps; a larger one is taken over and told.
    #[test]
    fn a_large_fall_is_taken_and_told() {
        let mut clock = StampClock::default();
        let noon = 1_000_000_000_000;
        clock.stamp(noon, STEP);
        assert_eq!(
            clock.stamp(noon - 59_000_000_000, STEP),
            Stamp {
                ns: noon + STEP,
                fell_back: false
            }
        );
        assert_eq!(
            clock.stamp(noon - 61_000_000_000, STEP),
            Stamp {
                ns: noon - 61_000_000_000,
                fell_back: true
            }
        );
    }

    /// A burst that pushed the stamps minutes ahead is not mistaken for a clock that fell back.
    #[test]
    fn stamps_ahead_of_the_clock_are_not_a_fall() {
        let mut clock = StampClock::default();
        for _ in 0..200_000 {
            assert!(!clock.stamp(0, STEP).fell_back);
        }
        assert!(!clock.stamp(1_000_000_000, STEP).fell_back);
    }

    /// A fall with a risen packet counter is a wrap of 32 bits.
    #[test]
    fn a_fall_with_more_packets_is_a_wrap() {
        let mut clock = NodeClock::default();
        assert_eq!(clock.advance(4_294_967_000, Some(7), 32), 0);
        assert_eq!(clock.advance(704, Some(8), 32), 1000);
    }

    /// A fall whose packet counter did not rise is a restart: time goes on from the document before.
    #[test]
    fn a_fall_without_more_packets_is_a_restart() {
        let mut clock = NodeClock::default();
        clock.advance(12_000, Some(1), 32);
        assert_eq!(clock.advance(22_000, Some(2), 32), 10_000);
        assert_eq!(clock.now_ms(), Some(10_000));
        assert_eq!(clock.advance(5_000, Some(1), 32), 15_000);
        assert_eq!(clock.advance(15_000, Some(2), 32), 25_000);
    }

    /// A document that is judged late has the time that it had when it came, also from before a wrap.
    #[test]
    fn a_document_that_is_judged_late_keeps_its_time() {
        let mut clock = NodeClock::default();
        clock.advance(4_294_960_000, Some(7), 32);
        let then = clock.advance(4_294_967_000, Some(8), 32);
        clock.advance(704, Some(9), 32);
        let now = clock.advance(5_704, Some(10), 32);

        assert_eq!(clock.revisit(4_294_967_000, Some(8), 32), then);
        assert_eq!(clock.revisit(4_704, Some(9), 32), now - 1000);
        assert_eq!(clock.revisit(6_704, Some(11), 32), now + 1000);
        assert_eq!(clock.now_ms(), Some(now));
    }

    /// What is stored is what is read.
    #[test]
    fn state_survives_storage() {
        let mut clock = NodeClock::default();
        clock.advance(12_000, Some(1), 32);
        let mut bytes = Vec::new();
        clock.encode(&mut bytes);
        assert_eq!(NodeClock::decode(&bytes), Some(clock));
    }
}
