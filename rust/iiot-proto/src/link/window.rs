//! Remembers which packets of one run of one node were already delivered.
//!
//! ```text
//!  sequence  ... n-127                       n-1   n
//!  seen          bit 127 .................. bit 1 bit 0
//! ```
//!
//! A sender never sends a packet that lies [`WINDOW_PACKETS`] behind its newest one. Therefore every packet that can arrive lies in the window or ahead of it.

/// The number of packets back to which a repeat is recognised.
pub const WINDOW_PACKETS: u16 = 128;

/// After a silence of this length, a node may have used more than half of the sequence numbers. After a shorter silence, this is impossible.
const LONG_SILENCE_MS: u64 = 3_600_000;

/// What a window says about a sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The packet was not seen before.
    New,
    /// The packet was delivered before.
    Repeat,
    /// The packet is so old that no honest sender would send it.
    Stale,
}

/// The delivered packets of one source and boot id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) src: u8,
    pub(crate) boot: u16,
    pub(crate) heard_ms: u64,
    newest: u16,
    seen: u128,
}

impl Window {
    /// The window after the first packet of a run.
    pub(crate) const fn opened(src: u8, boot: u16, seq: u16, now_ms: u64) -> Self {
        Self {
            src,
            boot,
            heard_ms: now_ms,
            newest: seq,
            seen: 1,
        }
    }

    /// Record a packet.
    pub(crate) fn admit(&mut self, seq: u16, now_ms: u64) -> Admission {
        let silent_ms = now_ms.saturating_sub(self.heard_ms);
        self.heard_ms = now_ms;
        let ahead = seq.wrapping_sub(self.newest);
        if ahead == 0 {
            return Admission::Repeat;
        }
        if ahead < 0x8000 {
            self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            self.newest = seq;
            return Admission::New;
        }
        let behind = self.newest.wrapping_sub(seq);
        let Some(bit) = 1_u128.checked_shl(u32::from(behind)) else {
            if silent_ms < LONG_SILENCE_MS {
                return Admission::Stale;
            }
            *self = Self::opened(self.src, self.boot, seq, now_ms);
            return Admission::New;
        };
        if self.seen & bit != 0 {
            return Admission::Repeat;
        }
        self.seen |= bit;
        Admission::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In order, out of order, and across the end of the sequence numbers, each packet is new once.
    #[test]
    fn each_packet_is_new_once() {
        let mut window = Window::opened(1, 7, 65_530, 0);
        let order = [65_531, 65_535, 65_533, 2, 0, 65_534, 120];
        for seq in order {
            assert_eq!(window.admit(seq, 0), Admission::New, "{seq}");
        }
        for seq in order {
            assert_eq!(window.admit(seq, 0), Admission::Repeat, "{seq}");
        }
        assert_eq!(window.admit(65_532, 0), Admission::New);
    }

    /// The window is exactly 128 packets deep.
    #[test]
    fn the_window_ends_where_it_says() {
        let mut window = Window::opened(1, 7, 0, 0);
        assert_eq!(window.admit(WINDOW_PACKETS, 0), Admission::New);
        assert_eq!(window.admit(1, 0), Admission::New);
        assert_eq!(window.admit(0, 0), Admission::Stale);
    }

    /// A number far behind is an attack or an echo, unless the node was silent long enough to use more than half of the numbers.
    #[test]
    fn after_a_long_silence_the_window_begins_anew() {
        let mut window = Window::opened(1, 7, 0, 0);
        assert_eq!(window.admit(40_000, LONG_SILENCE_MS - 1), Admission::Stale);
        assert_eq!(window.admit(40_000, 2 * LONG_SILENCE_MS), Admission::New);
        assert_eq!(window.admit(40_000, 2 * LONG_SILENCE_MS), Admission::Repeat);
        assert_eq!(window.admit(40_001, 2 * LONG_SILENCE_MS), Admission::New);
    }
}
