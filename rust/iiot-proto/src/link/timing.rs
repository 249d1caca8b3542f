//! Computes how long each side waits for the other.

use crate::airtime::Modulation;
use crate::packet::{Ack, Command, OVERHEAD_BYTES};

/// The number of bytes of an acknowledgement.
pub const ACK_FRAME_BYTES: usize = OVERHEAD_BYTES + Ack::BYTES;

/// The gateway node answers within this time after it has received the last byte of a packet.
pub const ACK_TURNAROUND_MS: u32 = 75;

/// Time for the UARTs on both sides, and for a processor that is busy.
const MARGIN_MS: u32 = 100;

/// The time for which a node listens after an ACK with `CMD_PENDING`, without the command's own time on air.
const LISTEN_MS: u32 = 2000;

/// The time between the end of an acknowledgement and the command that follows it. After this time, the node's module listens again.
const COMMAND_DELAY_MS: u32 = 30;

/// A reading of this age or older says how old it is.
pub(crate) const LATE_MS: u64 = 1000;

/// The waiting times that follow from a modulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    modulation: Modulation,
}

impl Timing {
    /// The waiting times of this modulation.
    pub const fn new(modulation: Modulation) -> Self {
        Self { modulation }
    }

    /// The modulation from which the waiting times follow.
    pub const fn modulation(self) -> Modulation {
        self.modulation
    }

    /// The longest time until an acknowledgement arrives, in milliseconds, from the moment at which the module received the frame to send.
    pub const fn ack_timeout_ms(self, frame_bytes: usize) -> u32 {
        self.modulation
            .airtime_ms(frame_bytes)
            .saturating_add(ACK_TURNAROUND_MS)
            .saturating_add(self.modulation.airtime_ms(ACK_FRAME_BYTES))
            .saturating_add(MARGIN_MS)
    }

    /// The wait before attempt `tries + 1`, in milliseconds: the timeout, doubled with every try, then multiplied by 1 to 1.75 according to `random`.
    ///
    /// The wait is never shorter than the timeout. Otherwise, with slow modulations, the retry would collide with the acknowledgement.
    pub const fn retry_ms(self, frame_bytes: usize, tries: u8, random: u32) -> u32 {
        let doublings = if tries > 6 { 6 } else { tries };
        let wait = self
            .ack_timeout_ms(frame_bytes)
            .saturating_mul(1 << doublings);
        wait.saturating_add((share(wait, random) / 4).saturating_mul(3))
    }

    /// The time for which a node listens for a command, in milliseconds.
    pub const fn listen_ms(self) -> u32 {
        LISTEN_MS.saturating_add(
            self.modulation
                .airtime_ms(OVERHEAD_BYTES.saturating_add(Command::BYTES)),
        )
    }

    /// The time, in milliseconds, from the moment at which the module receives an acknowledgement to send to the moment at which it receives the
    /// command that follows.
    pub const fn command_delay_ms(self) -> u32 {
        self.modulation
            .hold_ms(ACK_FRAME_BYTES)
            .saturating_add(COMMAND_DELAY_MS)
    }
}

/// The share `random` / 2^32 of `whole`.
pub(crate) const fn share(whole: u32, random: u32) -> u32 {
    ((whole as u64).saturating_mul(random as u64) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::airtime::Bandwidth;

    /// However slow the modulation is, no retry starts before the acknowledgement can have arrived.
    #[test]
    fn no_retry_is_sent_over_an_acknowledgement() {
        for factor in 7..=12 {
            let timing = Timing::new(Modulation::new(factor, Bandwidth::Khz125, 1, 12).unwrap());
            let soonest = timing.retry_ms(30, 0, 0);
            assert!(
                soonest
                    >= timing.modulation().airtime_ms(30)
                        + ACK_TURNAROUND_MS
                        + timing.modulation().airtime_ms(ACK_FRAME_BYTES)
            );
        }
    }

    /// The wait doubles, and `random` adds up to three quarters of it.
    #[test]
    fn waits_double_and_are_spread() {
        let timing = Timing::new(Modulation::DEFAULT);
        let base = timing.ack_timeout_ms(25);
        assert_eq!(timing.retry_ms(25, 0, 0), base);
        assert_eq!(timing.retry_ms(25, 3, 0), base * 8);
        assert!((base * 7 / 4 - 4..=base * 7 / 4).contains(&timing.retry_ms(25, 0, u32::MAX)));
    }
}
