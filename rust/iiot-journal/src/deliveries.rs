//! The known deliveries of a broker: they identify a message that comes again because its acknowledgement was lost.
//!
//! A delivery is identified by its packet id and a fingerprint of topic and payload. Only a message that the broker marks as sent again can match it. It is
//! forgotten once the broker is known to have the acknowledgement. Some brokers (Artemis) mark nothing, and send messages that were not acknowledged under new
//! packet ids, at the beginning of the next connection of the session. If so configured, the content decides there for a while. Changes are kept in a
//! [`DeliveriesDelta`] until they are committed with the frames.

use std::collections::HashMap;

/// The most retained topics that are remembered per source, so that each value is taken once.
const MAX_RETAINED: usize = 65_536;

/// One delivery of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Its packet id; 0 for a message that is not acknowledged (`QoS` 0).
    pub packet_id: u16,
    /// The broker says that it may have sent the message before.
    pub again: bool,
    /// The broker had retained the message, and sends it because of a subscription.
    pub retained: bool,
}

/// How a broker sends a message again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Redelivery {
    /// Under the same packet id, with the DUP flag, as MQTT demands.
    #[default]
    Marked,
    /// Under a new packet id and without the flag.
    Unmarked,
}

/// The messages that may come again at the beginning of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Resumed {
    redelivery: Redelivery,
    /// The packet ids under which each content was delivered.
    left: HashMap<u64, Vec<u16>>,
    /// How many messages with known content came unmarked.
    unmarked: u32,
    /// When the first message came.
    since_ns: Option<i64>,
}

/// This long after the first message of a connection, the broker sends nothing again any more: an equal message that comes later is a new one. Until then
/// Artemis mixes new messages with those that it sends again.
const MOST_NS: i64 = 30_000_000_000;
/// This many messages with known content, and none of them marked, are not a coincidence.
const NO_ACCIDENT: u32 = 3;

/// The last delivery under each packet id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Deliveries {
    known: HashMap<u16, u64>,
    resumed: Resumed,
    /// Fingerprint of the last retained value taken, by fingerprint of its topic.
    retained: HashMap<u64, u64>,
}

/// Changes that are not committed yet; `None` means that the delivery is forgotten.
#[derive(Debug, Default)]
pub(crate) struct DeliveriesDelta {
    known: HashMap<u16, Option<u64>>,
    retained: HashMap<u64, u64>,
    cleared: bool,
    /// Not stored: a restart is a new connection.
    resumed: Option<Resumed>,
    /// Messages were stored a second time, because they came again unmarked.
    pub(crate) is_unmarked: bool,
}

impl DeliveriesDelta {
    /// The broker has the acknowledgements of these.
    pub(crate) fn forget(&mut self, packet_ids: &[u16]) {
        for &packet_id in packet_ids {
            self.known.insert(packet_id, None);
        }
    }

    /// The broker has begun a new session: earlier packet ids are no longer valid.
    pub(crate) fn clear(&mut self) {
        self.known.clear();
        self.cleared = true;
        self.resumed = Some(Resumed::default());
    }

    fn is_empty(&self) -> bool {
        self.known.is_empty() && self.retained.is_empty() && !self.cleared
    }

    /// Append the changes: u8 flags (1 cleared), u32 count, each u16 id, u8 is known, u64 fingerprint; u32 count of retained, each u64 topic, u64 content. Nothing for
    /// no change.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        if self.is_empty() {
            return;
        }
        out.push(u8::from(self.cleared));
        out.extend_from_slice(&(self.known.len() as u32).to_le_bytes());
        for (packet_id, known) in &self.known {
            out.extend_from_slice(&packet_id.to_le_bytes());
            out.push(u8::from(known.is_some()));
            out.extend_from_slice(&known.unwrap_or(0).to_le_bytes());
        }
        out.extend_from_slice(&(self.retained.len() as u32).to_le_bytes());
        for (topic, content) in &self.retained {
            out.extend_from_slice(&topic.to_le_bytes());
            out.extend_from_slice(&content.to_le_bytes());
        }
    }
}

impl Deliveries {
    /// Whether this delivery is known already; if not, it is known from now on.
    pub(crate) fn is_known(
        &self,
        delta: &mut DeliveriesDelta,
        delivery: Delivery,
        fingerprint: u64,
        received_at_ns: i64,
    ) -> bool {
        if delivery.packet_id == 0 {
            return false;
        }
        if delivery.again && self.content(delta, delivery.packet_id) == Some(fingerprint) {
            return true;
        }
        let is_known = !delivery.again && self.comes_unmarked(delta, fingerprint, received_at_ns);
        delta.known.insert(delivery.packet_id, Some(fingerprint));
        is_known
    }

    /// The content that was delivered under a packet id.
    fn content(&self, delta: &DeliveriesDelta, packet_id: u16) -> Option<u64> {
        match delta.known.get(&packet_id) {
            Some(known) => *known,
            None if delta.cleared => None,
            None => self.known.get(&packet_id).copied(),
        }
    }

    /// A connection of a kept session begins: known deliveries may come again.
    pub(crate) fn resume(&self, delta: &mut DeliveriesDelta, redelivery: Redelivery) {
        let mut left: HashMap<u64, Vec<u16>> = HashMap::new();
        let ids = self.known.keys().chain(delta.known.keys());
        let mut ids: Vec<u16> = ids.copied().collect();
        ids.sort_unstable();
        ids.dedup();
        for packet_id in ids {
            if let Some(content) = self.content(delta, packet_id) {
                left.entry(content).or_default().push(packet_id);
            }
        }
        delta.resumed = Some(Resumed {
            redelivery,
            left,
            unmarked: 0,
            since_ns: None,
        });
    }

    /// Whether an unmarked message is a repeated one.
    fn comes_unmarked(
        &self,
        delta: &mut DeliveriesDelta,
        fingerprint: u64,
        received_at_ns: i64,
    ) -> bool {
        let resumed = delta.resumed.as_ref().unwrap_or(&self.resumed);
        if resumed.left.is_empty() {
            return false;
        }
        let mut resumed = delta.resumed.take().unwrap_or_else(|| self.resumed.clone());
        let since_ns = *resumed.since_ns.get_or_insert(received_at_ns);
        let is_over = received_at_ns.saturating_sub(since_ns) > MOST_NS;
        let is_unmarked = resumed.redelivery == Redelivery::Unmarked;
        let packet_ids = resumed.left.get_mut(&fingerprint);
        let known = packet_ids.filter(|_| !is_over).and_then(Vec::pop);
        if let Some(packet_id) = known {
            resumed.unmarked += 1;
            delta.is_unmarked |= !is_unmarked && resumed.unmarked == NO_ACCIDENT;
            if is_unmarked {
                self.forget_old(delta, packet_id, fingerprint);
            }
        } else if is_over {
            // If the broker has not sent a message again by now, it has its acknowledgement.
            for (content, packet_ids) in std::mem::take(&mut resumed.left) {
                for packet_id in packet_ids.into_iter().filter(|_| is_unmarked) {
                    self.forget_old(delta, packet_id, content);
                }
            }
        }
        delta.resumed = Some(resumed);
        known.is_some() && is_unmarked
    }

    /// Forget an earlier delivery, unless its packet id belongs to another one by now.
    fn forget_old(&self, delta: &mut DeliveriesDelta, packet_id: u16, content: u64) {
        if !delta.known.contains_key(&packet_id) && self.known.get(&packet_id) == Some(&content) {
            delta.known.insert(packet_id, None);
        }
    }

    /// Whether this content of a retained topic was taken before; if not, it is remembered as taken.
    pub(crate) fn was_taken(&self, delta: &mut DeliveriesDelta, topic: u64, content: u64) -> bool {
        let taken = delta
            .retained
            .get(&topic)
            .or_else(|| self.retained.get(&topic));
        if taken == Some(&content) {
            return true;
        }
        let has_room = self.retained.len() + delta.retained.len() < MAX_RETAINED;
        if taken.is_some() || has_room {
            delta.retained.insert(topic, content);
        }
        false
    }

    /// Take over what was committed.
    pub(crate) fn merge(&mut self, delta: DeliveriesDelta) {
        if delta.cleared {
            self.known.clear();
        }
        for (packet_id, known) in delta.known {
            match known {
                Some(fingerprint) => self.known.insert(packet_id, fingerprint),
                None => self.known.remove(&packet_id),
            };
        }
        self.retained.extend(delta.retained);
        if let Some(resumed) = delta.resumed {
            self.resumed = resumed;
        }
    }

    /// Everything, as if it had changed just now.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let all = DeliveriesDelta {
            known: self
                .known
                .iter()
                .map(|(id, known)| (*id, Some(*known)))
                .collect(),
            retained: self.retained.clone(),
            cleared: true,
            ..DeliveriesDelta::default()
        };
        all.encode(out);
    }

    /// Apply what [`DeliveriesDelta::encode`] wrote; none if it is something else.
    pub(crate) fn replay(&mut self, mut input: &[u8]) -> Option<()> {
        fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
            let (head, rest) = input.split_first_chunk::<N>()?;
            *input = rest;
            Some(*head)
        }
        if input.is_empty() {
            return Some(());
        }
        let mut delta = DeliveriesDelta {
            cleared: take::<1>(&mut input)? == [1],
            ..DeliveriesDelta::default()
        };
        for _ in 0..u32::from_le_bytes(take(&mut input)?) {
            let packet_id = u16::from_le_bytes(take(&mut input)?);
            let is_known = take::<1>(&mut input)? == [1];
            let fingerprint = u64::from_le_bytes(take(&mut input)?);
            delta
                .known
                .insert(packet_id, is_known.then_some(fingerprint));
        }
        for _ in 0..u32::from_le_bytes(take(&mut input)?) {
            let topic = u64::from_le_bytes(take(&mut input)?);
            delta
                .retained
                .insert(topic, u64::from_le_bytes(take(&mut input)?));
        }
        self.merge(delta);
        input.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Deliveries, DeliveriesDelta, Delivery, MOST_NS, Redelivery};

    const FIRST: Delivery = Delivery {
        packet_id: 7,
        again: false,
        retained: false,
    };
    const AGAIN: Delivery = Delivery {
        again: true,
        ..FIRST
    };

    /// Apply changes as a commit does, and as a restart does.
    fn commit(deliveries: &mut Deliveries, stored: &mut Deliveries, delta: DeliveriesDelta) {
        let mut bytes = Vec::new();
        delta.encode(&mut bytes);
        stored.replay(&bytes).unwrap();
        deliveries.merge(delta);
        assert_eq!(deliveries, stored);
        let mut whole = Vec::new();
        deliveries.encode(&mut whole);
        let mut read = Deliveries::default();
        read.replay(&whole).unwrap();
        assert_eq!(&read, stored);
    }

    /// Known is what was delivered under the same id and comes again; the same content under a new id, or as a first delivery, is another message.
    #[test]
    fn only_what_comes_again_is_known() {
        let (mut deliveries, mut stored) = (Deliveries::default(), Deliveries::default());
        let mut delta = DeliveriesDelta::default();
        assert!(!deliveries.is_known(&mut delta, AGAIN, 1, 0));
        assert!(deliveries.is_known(&mut delta, AGAIN, 1, 0));
        assert!(!deliveries.is_known(&mut delta, FIRST, 1, 0));
        commit(&mut deliveries, &mut stored, delta);

        let mut delta = DeliveriesDelta::default();
        assert!(deliveries.is_known(&mut delta, AGAIN, 1, 0));
        assert!(!deliveries.is_known(&mut delta, AGAIN, 2, 0));
        assert!(deliveries.is_known(&mut delta, AGAIN, 2, 0));
        delta.forget(&[7]);
        assert!(!deliveries.is_known(&mut delta, AGAIN, 2, 0));
        commit(&mut deliveries, &mut stored, delta);

        let mut delta = DeliveriesDelta::default();
        delta.clear();
        assert!(!deliveries.is_known(&mut delta, AGAIN, 2, 0));
        commit(&mut deliveries, &mut stored, delta);
        let unacknowledged = Delivery {
            packet_id: 0,
            ..AGAIN
        };
        let mut delta = DeliveriesDelta::default();
        assert!(!deliveries.is_known(&mut delta, unacknowledged, 1, 0));
        assert!(!deliveries.is_known(&mut delta, unacknowledged, 1, 0));
    }

    /// Messages of these contents come, then these on a new connection of the kept session, so long after one another: which of them are known, which contents are known
    /// behind them, and whether it was no accident that they came again unmarked.
    fn again(
        redelivery: Redelivery,
        before: &[u64],
        after: &[u64],
        step_ns: i64,
    ) -> (Vec<bool>, Vec<u64>, bool) {
        let mut deliveries = Deliveries::default();
        let mut delta = DeliveriesDelta::default();
        let message = |packet_id| Delivery { packet_id, ..FIRST };
        for (packet_id, &content) in (1..).zip(before) {
            assert!(!deliveries.is_known(&mut delta, message(packet_id), content, 0));
        }
        deliveries.merge(delta);
        let mut delta = DeliveriesDelta::default();
        deliveries.resume(&mut delta, redelivery);
        let (mut known, mut is_unmarked, mut at_ns) = (Vec::new(), false, 1 << 60);
        for (packet_id, &content) in (100..).zip(after) {
            known.push(deliveries.is_known(&mut delta, message(packet_id), content, at_ns));
            at_ns += step_ns;
            is_unmarked |= delta.is_unmarked;
            // A commit may end anywhere.
            deliveries.merge(std::mem::take(&mut delta));
        }
        let mut contents: Vec<u64> = deliveries.known.into_values().collect();
        contents.sort_unstable();
        (known, contents, is_unmarked)
    }

    /// Content decides only where it is said to, only at the beginning of a connection, and as often as it was delivered.
    #[test]
    fn unmarked_messages_are_known_by_their_content_for_a_while() {
        let unmarked =
            |before: &[u64], after: &[u64]| again(Redelivery::Unmarked, before, after, 1);
        let all = (vec![true, true, true, false], vec![1, 2, 3, 4], false);
        assert_eq!(unmarked(&[1, 2, 3], &[1, 2, 3, 4]), all);
        let mixed = (vec![true, false, true, false], vec![1, 2, 3, 4, 5], false);
        assert_eq!(unmarked(&[1, 2, 3], &[2, 4, 3, 5]), mixed);
        let equal = (vec![true, true, false], vec![5, 5, 5], false);
        assert_eq!(unmarked(&[5, 5], &[5, 5, 5]), equal);

        // What did not come again is forgotten once it is too late for it.
        let slow = again(Redelivery::Unmarked, &[1, 2], &[7, 8, 1], MOST_NS);
        assert_eq!(slow, (vec![false; 3], vec![1, 7, 8], false));

        let (known, _, is_unmarked) = again(Redelivery::Marked, &[1, 2, 3], &[1, 2, 3, 4], 1);
        assert_eq!((known, is_unmarked), (vec![false; 4], true));
        assert!(!again(Redelivery::Marked, &[1, 2, 3], &[1, 2, 4], 1).2);
    }

    /// A new session sends nothing again.
    #[test]
    fn a_new_session_knows_nothing() {
        let (mut deliveries, mut delta) = (Deliveries::default(), DeliveriesDelta::default());
        deliveries.is_known(&mut delta, FIRST, 1, 0);
        deliveries.resume(&mut delta, Redelivery::Unmarked);
        delta.clear();
        assert!(!deliveries.is_known(&mut delta, FIRST, 1, 0));
        deliveries.merge(delta);
        assert!(!deliveries.is_known(&mut DeliveriesDelta::default(), FIRST, 1, 0));
    }

    /// A retained value is taken once per content.
    #[test]
    fn a_retained_value_is_taken_once() {
        let (mut deliveries, mut stored) = (Deliveries::default(), Deliveries::default());
        let mut delta = DeliveriesDelta::default();
        assert!(!deliveries.was_taken(&mut delta, 1, 10));
        assert!(deliveries.was_taken(&mut delta, 1, 10));
        commit(&mut deliveries, &mut stored, delta);
        let mut delta = DeliveriesDelta::default();
        assert!(deliveries.was_taken(&mut delta, 1, 10));
        assert!(!deliveries.was_taken(&mut delta, 1, 11));
        assert!(!deliveries.was_taken(&mut delta, 1, 10));
    }
}
