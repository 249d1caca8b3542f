//! The types that a sender and its caller exchange.

use crate::airtime::Modulation;
use crate::packet::{Ack, Command};

/// The identity of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderConfig {
    /// The node's address.
    pub address: u8,
    /// The address of the gateway node.
    pub gateway: u8,
    /// The boot id, which the node draws at its start.
    pub boot: u16,
    /// The modulation of the radio.
    pub modulation: Modulation,
}

/// What happened to the offered packets: offered = acknowledged + the three kinds of dropped + kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SenderCounters {
    /// The number of packets that were offered for delivery.
    pub offered: u32,
    /// The number of packets that the receiver has acknowledged.
    pub acknowledged: u32,
    /// The number of packets that were dropped because newer ones needed the space.
    pub dropped_full: u32,
    /// The number of packets that were dropped because the receiver could no longer distinguish them from a repeat.
    pub dropped_outdated: u32,
    /// The number of packets that were dropped because this channel never allows a frame of their length.
    pub dropped_never_allowed: u32,
    /// The number of frames sent.
    pub transmitted: u32,
    /// The number of these frames that were sent again.
    pub retransmitted: u32,
    /// The number of times that a packet got no answer to any of its tries.
    pub gave_up: u32,
}

impl SenderCounters {
    /// The number of packets that will not arrive.
    pub const fn dropped(&self) -> u32 {
        self.dropped_full
            .saturating_add(self.dropped_outdated)
            .saturating_add(self.dropped_never_allowed)
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Pass these first bytes of the buffer to the radio.
    Transmit {
        /// The number of bytes to send.
        bytes: usize,
        /// The module's address of the receiver.
        to: u8,
    },
    /// Do nothing before this time, unless a packet is offered or received.
    Wait {
        /// The time of the next poll.
        until_ms: u64,
    },
    /// Do nothing until a packet is offered.
    Idle,
}

/// What a received packet means to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// The receiver has this packet.
    Acknowledged {
        /// The sequence number of the packet.
        seq: u16,
        /// How well the gateway node heard the packet.
        ack: Ack,
        /// Whether a command follows.
        command_pending: bool,
    },
    /// A command for this node, in the window that an acknowledgement announced. A [`crate::link::CommandGuard`] decides whether to obey. Outside the
    /// window, commands are ignored, so that a flood of them cannot fill the outbox with refusals.
    Command {
        /// The command.
        command: Command,
        /// Whether the command was sent before.
        is_retry: bool,
    },
    /// The packet is not for this node, or the node does not wait for it.
    Ignored,
}
