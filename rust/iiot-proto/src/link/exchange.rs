//! What a sender is told, and what it tells.

use crate::airtime::Modulation;
use crate::packet::{Ack, Command};

/// Who a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderConfig {
    /// Its address.
    pub address: u8,
    /// The gateway node's address.
    pub gateway: u8,
    /// Drawn at start.
    pub boot: u16,
    /// The modulation of the radio.
    pub modulation: Modulation,
}

/// What became of what was offered: offered = acknowledged + the three kinds of dropped + kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SenderCounters {
    /// Packets to be delivered.
    pub offered: u32,
    /// Packets that the other side has.
    pub acknowledged: u32,
    /// Dropped because newer ones needed the room.
    pub dropped_full: u32,
    /// Dropped because the receiver could no longer tell them from a repeat.
    pub dropped_outdated: u32,
    /// Dropped because this channel never allows a frame so long.
    pub dropped_never_allowed: u32,
    /// Frames sent.
    pub transmitted: u32,
    /// Of those, how many were sent again.
    pub retransmitted: u32,
    /// Times that all tries of a packet went unanswered.
    pub gave_up: u32,
}

impl SenderCounters {
    /// Packets that will not arrive.
    pub const fn dropped(&self) -> u32 {
        self.dropped_full
            .saturating_add(self.dropped_outdated)
            .saturating_add(self.dropped_never_allowed)
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Hand these first bytes of the buffer to the radio.
    Transmit {
        /// How many.
        bytes: usize,
        /// The module's address of who shall have them.
        to: u8,
    },
    /// Nothing before this time, unless something is offered or received.
    Wait {
        /// Poll again then.
        until_ms: u64,
    },
    /// Nothing until something is offered.
    Idle,
}

/// What a received packet was to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// The other side has this packet.
    Acknowledged {
        /// Its number.
        seq: u16,
        /// How well it was heard.
        ack: Ack,
        /// A command follows.
        command_pending: bool,
    },
    /// A command for this node, in the window that it was promised for; a [`crate::link::CommandGuard`] says whether to obey. Outside the
    /// window commands are ignored, so that a flood of them cannot fill the outbox with refusals.
    Command {
        /// The command.
        command: Command,
        /// It was sent before.
        is_retry: bool,
    },
    /// Not for this node, or nothing that it waits for.
    Ignored,
}
