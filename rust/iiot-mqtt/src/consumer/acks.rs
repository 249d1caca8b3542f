//! When to acknowledge messages, and when the broker is known to have the acknowledgements. Pure.
//!
//! Acknowledgements are sent in the order of the messages, each once its message is durable. The broker is known to have them when it has answered a request
//! that was sent after them: an UNSUBSCRIBE for a filter that does not exist. (An answered ping proves nothing, because some brokers answer it on another
//! thread.) At `QoS` 2 the PUBREL proves it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use crate::consumer::control;

/// After acknowledgements, the broker is asked at most this often.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// A filter to which nobody subscribes.
const NEVER: &str = "iiot-gateway/never-subscribed";

/// The acknowledgements of one connection.
#[derive(Debug)]
pub(super) struct Acks {
    v5: bool,
    /// Ticket, packet id and whether it is of `QoS` 2, in the order of the messages.
    waiting: VecDeque<(u64, u16, bool)>,
    /// `QoS` 1: acknowledged, and not asked about yet.
    sent: Vec<u16>,
    /// The UNSUBSCRIBE without an answer, and the packet ids that were acknowledged before it.
    asked: Option<(u16, Vec<u16>)>,
    asked_at: Option<Instant>,
    /// The last packet id of our own requests.
    last_id: u16,
}

impl Acks {
    pub(super) fn new(v5: bool) -> Self {
        Self {
            v5,
            waiting: VecDeque::new(),
            sent: Vec::new(),
            asked: None,
            asked_at: None,
            last_id: 0,
        }
    }

    /// A packet id for a request of ours. The packet ids of messages are assigned by the broker, and are separate.
    pub(super) fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.last_id
    }

    /// A message was passed on with this ticket.
    pub(super) fn received(&mut self, ticket: u64, packet_id: u16, qos: u8) {
        self.waiting.push_back((ticket, packet_id, qos == 2));
    }

    /// How many messages wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether everything is acknowledged, and the broker is known to have the acknowledgements.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.sent.is_empty() && self.asked.is_none()
    }

    /// Everything up to this ticket is durable: write the acknowledgements that are due. Returns how many they are.
    pub(super) fn durable(&mut self, ticket: u64, now: Instant, out: &mut BytesMut) -> usize {
        let before = self.waiting.len();
        while let Some(&(needs, packet_id, is_qos_2)) = self.waiting.front() {
            if needs > ticket {
                break;
            }
            self.waiting.pop_front();
            if is_qos_2 {
                control::acknowledge(5, packet_id, out);
            } else {
                control::acknowledge(4, packet_id, out);
                self.sent.push(packet_id);
            }
        }
        self.ask(now, out);
        before - self.waiting.len()
    }

    /// Ask whether the broker has read the acknowledgements, if it is time.
    fn ask(&mut self, now: Instant, out: &mut BytesMut) {
        let is_time = self
            .asked_at
            .is_none_or(|at| now.saturating_duration_since(at) >= ASK_EVERY);
        if self.sent.is_empty() || self.asked.is_some() || !is_time {
            return;
        }
        let id = self.next_id();
        control::unsubscribe(id, &[NEVER.to_owned()], self.v5, out);
        self.asked = Some((id, std::mem::take(&mut self.sent)));
        self.asked_at = Some(now);
    }

    /// When `durable` must be called even if nothing became durable.
    pub(super) fn ask_at(&self) -> Option<Instant> {
        if self.sent.is_empty() || self.asked.is_some() {
            return None;
        }
        self.asked_at.map(|at| at + ASK_EVERY)
    }

    /// An UNSUBACK came. Returns the packet ids whose acknowledgements the broker has; none if it answers another request.
    pub(super) fn answered(&mut self, id: u16) -> Option<Vec<u16>> {
        self.asked
            .take_if(|(asked, _)| *asked == id)
            .map(|(_, packet_ids)| packet_ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kinds and packet ids of the packets written.
    fn written(out: &mut BytesMut) -> Vec<(u8, u16)> {
        let bytes = out.split();
        let mut rest = &bytes[..];
        let mut packets = Vec::new();
        while let [first, length, behind @ ..] = rest {
            let (body, next) = behind.split_at(usize::from(*length));
            packets.push((first >> 4, u16::from_be_bytes([body[0], body[1]])));
            rest = next;
        }
        packets
    }

    /// In the order of the messages, and no earlier than they are durable.
    #[test]
    fn acknowledgements_wait_and_keep_their_order() {
        let (mut acks, mut out) = (Acks::new(false), BytesMut::new());
        let now = Instant::now();
        for (ticket, id, qos) in [(1, 11, 1), (1, 12, 2), (2, 13, 1)] {
            acks.received(ticket, id, qos);
        }
        acks.durable(0, now, &mut out);
        assert_eq!(written(&mut out), []);
        acks.durable(1, now, &mut out);
        assert_eq!(written(&mut out), [(4, 11), (5, 12), (10, 1)]);
        assert_eq!(acks.waiting(), 1);
        acks.durable(2, now, &mut out);
        assert_eq!(written(&mut out), [(4, 13)]);
        assert_eq!(acks.answered(9), None);
        assert_eq!(acks.answered(1), Some(vec![11]));
        // What was acknowledged meanwhile is asked about next.
        acks.durable(2, now, &mut out);
        assert_eq!(written(&mut out), []);
        let later = acks.ask_at().unwrap();
        acks.durable(2, later, &mut out);
        assert_eq!(written(&mut out), [(10, 2)]);
        assert_eq!(acks.answered(2), Some(vec![13]));
        assert_eq!(acks.ask_at(), None);
    }
}
