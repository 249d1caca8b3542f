//! The commands of a gateway. Each command waits for a packet of its node and follows the acknowledgement of this packet. It is sent again until the
//! node answers or the command's time is over.

use crate::duty::{Allowance, Duty};
use crate::link::exchange::Poll;
use crate::link::timing::Timing;
use crate::packet::{Answer, Command, Flags, Header, MAX_PACKET_BYTES, Packet, Payload};

/// The number of windows in which a command is tried.
const MAX_TRIES: u8 = 5;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The node has answered.
    Answered(Answer),
    /// No packet of the node arrived before the command's time was over.
    Expired,
    /// The command was sent in each of its windows, but the node never answered. The node may have obeyed.
    Unanswered,
}

/// A command that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The address of the node that the command was meant for.
    pub node: u8,
    /// The command's counter.
    pub counter: u32,
    /// How the command ended.
    pub fate: Fate,
}

/// Why a command was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DownlinkError {
    /// All places are occupied.
    Full,
}

#[derive(Clone, Copy, Debug)]
struct Order {
    node: u8,
    command: Command,
    until_ms: u64,
    tries: u8,
    /// The time at which the command may be sent, while its window is open. An acknowledgement opens the window.
    send_ms: Option<u64>,
    fate: Option<Fate>,
}

/// Up to `N` commands, in the order in which they were offered.
#[derive(Clone, Debug)]
pub struct Downlink<const N: usize> {
    address: u8,
    boot: u16,
    next_seq: u16,
    timing: Timing,
    orders: [Option<Order>; N],
}

impl<const N: usize> Downlink<N> {
    /// The commands of the gateway node with this address and boot id.
    pub const fn new(address: u8, boot: u16, timing: Timing) -> Self {
        Self {
            address,
            boot,
            next_seq: 0,
            timing,
            orders: [const { None }; N],
        }
    }

    /// Accept a command, which may be sent until `until_ms`.
    pub fn offer(
        &mut self,
        node: u8,
        command: Command,
        until_ms: u64,
    ) -> Result<(), DownlinkError> {
        // The places are filled without gaps, so that the first command of a node is its oldest.
        let place = self
            .orders
            .iter_mut()
            .find(|place| place.is_none())
            .ok_or(DownlinkError::Full)?;
        *place = Some(Order {
            node,
            command,
            until_ms,
            tries: 0,
            send_ms: None,
            fate: None,
        });
        Ok(())
    }

    /// Whether an acknowledgement to this node should announce a command.
    pub fn is_pending(&mut self, node: u8, now_ms: u64) -> bool {
        self.expire(now_ms);
        self.next_for(node).is_some()
    }

    /// Note that an acknowledgement that announces a command was passed to the radio. This opens the window of the command.
    pub fn ack_sent(&mut self, node: u8, now_ms: u64) {
        let delay_ms = u64::from(self.timing.command_delay_ms());
        if let Some(order) = self.next_for(node) {
            order.send_ms = Some(now_ms.saturating_add(delay_ms));
        }
    }

    /// Find out what to do now. If the duty cycle does not allow a command now, the command waits for the next window.
    pub fn poll(
        &mut self,
        now_ms: u64,
        duty: &mut Duty,
        buffer: &mut [u8; MAX_PACKET_BYTES],
    ) -> Poll {
        self.expire(now_ms);
        let modulation = self.timing.modulation();
        let (src, boot, seq) = (self.address, self.boot, self.next_seq);
        for order in self
            .orders
            .iter_mut()
            .flatten()
            .filter(|order| order.fate.is_none())
        {
            if order.send_ms.is_none_or(|send_ms| send_ms > now_ms) {
                continue;
            }
            order.send_ms = None;
            let flags = Flags::NONE.with_if(Flags::RETRY, order.tries > 0);
            let header = Header {
                flags,
                src,
                dst: order.node,
                boot,
                seq,
            };
            let Ok(bytes) = (Packet {
                header,
                payload: Payload::Command(order.command),
            })
            .encode(buffer) else {
                continue;
            };
            if duty.take(now_ms, modulation.airtime_us(bytes)) != Allowance::Granted {
                continue;
            }
            order.tries = order.tries.saturating_add(1);
            self.next_seq = seq.wrapping_add(1);
            return Poll::Transmit {
                bytes,
                to: order.node,
            };
        }
        let next = self
            .orders
            .iter()
            .flatten()
            .filter(|order| order.fate.is_none())
            .map(|order| order.send_ms.unwrap_or(order.until_ms));
        next.min().map_or(Poll::Idle, |until_ms| Poll::Wait {
            until_ms: until_ms.max(now_ms.saturating_add(1)),
        })
    }

    /// Accept a delivered answer of `node`. The holder of the key checks the code of the answer. If no command matches the answer, nothing happens.
    pub fn answered(&mut self, node: u8, answer: Answer) {
        let asked = |order: &&mut Order| {
            order.node == node && order.command.counter == answer.counter && order.fate.is_none()
        };
        if let Some(order) = self.orders.iter_mut().flatten().find(asked) {
            order.fate = Some(Fate::Answered(answer));
        }
    }

    /// The next command that has ended. Its place becomes free.
    pub fn take_finished(&mut self) -> Option<Finished> {
        let place = self
            .orders
            .iter_mut()
            .find(|place| place.as_ref().is_some_and(|order| order.fate.is_some()))?;
        let order = place.take()?;
        let hole = self.orders.iter().position(Option::is_none)?;
        if let Some(behind) = self.orders.get_mut(hole..) {
            behind.rotate_left(1);
        }
        Some(Finished {
            node: order.node,
            counter: order.command.counter,
            fate: order.fate?,
        })
    }

    fn next_for(&mut self, node: u8) -> Option<&mut Order> {
        self.orders
            .iter_mut()
            .flatten()
            .find(|order| order.node == node && order.fate.is_none())
    }

    fn expire(&mut self, now_ms: u64) {
        // After the last try, the window stays open, because the answer may be on its way.
        let grace_ms = u64::from(self.timing.listen_ms());
        for order in self
            .orders
            .iter_mut()
            .flatten()
            .filter(|order| order.fate.is_none())
        {
            if now_ms
                >= order
                    .until_ms
                    .saturating_add(if order.tries > 0 { grace_ms } else { 0 })
            {
                order.fate = Some(if order.tries > 0 {
                    Fate::Unanswered
                } else {
                    Fate::Expired
                });
            } else if order.tries >= MAX_TRIES {
                order.until_ms = order.until_ms.min(now_ms);
            }
        }
    }
}
