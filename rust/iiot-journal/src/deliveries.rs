//! Which deliveries of a broker are known: a message that comes again because its acknowledgement was lost is the same one.
//!
//! A delivery is identified by its packet id and a fingerprint of topic and payload. It is matched only by a message that the broker marks as sent again, and
//! forgotten once the broker has shown that it knows of the acknowledgement. Changes are kept in a [`DeliveriesDelta`] until they are committed with the frames.

use std::collections::HashMap;

/// So many retained topics are remembered per source, so that each value is taken once.
const MAX_RETAINED: usize = 65_536;

/// One delivery of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Its packet id; 0 for a message that is not acknowledged (`QoS` 0).
    pub packet_id: u16,
    /// The broker says that it may have sent the message before.
    pub again: bool,
    /// The broker had kept the message, and sends it because of a subscription.
    pub retained: bool,
}

/// What became of the last delivery under a packet id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Deliveries {
    known: HashMap<u16, u64>,
    /// Fingerprint of the last retained value taken, by fingerprint of its topic.
    retained: HashMap<u64, u64>,
}

/// Changes that are not committed yet; none stands for one that is forgotten.
#[derive(Debug, Default)]
pub(crate) struct DeliveriesDelta {
    known: HashMap<u16, Option<u64>>,
    retained: HashMap<u64, u64>,
    cleared: bool,
}

impl DeliveriesDelta {
    /// The broker knows that these were acknowledged.
    pub(crate) fn forget(&mut self, packet_ids: &[u16]) {
        for &packet_id in packet_ids {
            self.known.insert(packet_id, None);
        }
    }

    /// The broker has begun a new session: no packet id means what it meant.
    pub(crate) fn clear(&mut self) {
        self.known.clear();
        self.cleared = true;
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
    /// Whether this is a delivery that is known already; otherwise it is from now on.
    pub(crate) fn is_known(
        &self,
        delta: &mut DeliveriesDelta,
        delivery: Delivery,
        fingerprint: u64,
    ) -> bool {
        if delivery.packet_id == 0 {
            return false;
        }
        let known = match delta.known.get(&delivery.packet_id) {
            Some(known) => *known,
            None if delta.cleared => None,
            None => self.known.get(&delivery.packet_id).copied(),
        };
        let is_known = delivery.again && known == Some(fingerprint);
        if !is_known {
            delta.known.insert(delivery.packet_id, Some(fingerprint));
        }
        is_known
    }

    /// Whether this content of a retained topic was taken before; otherwise it is the one taken last from now on.
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
    use super::{Deliveries, DeliveriesDelta, Delivery};

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
        assert!(!deliveries.is_known(&mut delta, AGAIN, 1));
        assert!(deliveries.is_known(&mut delta, AGAIN, 1));
        assert!(!deliveries.is_known(&mut delta, FIRST, 1));
        commit(&mut deliveries, &mut stored, delta);

        let mut delta = DeliveriesDelta::default();
        assert!(deliveries.is_known(&mut delta, AGAIN, 1));
        assert!(!deliveries.is_known(&mut delta, AGAIN, 2));
        assert!(deliveries.is_known(&mut delta, AGAIN, 2));
        delta.forget(&[7]);
        assert!(!deliveries.is_known(&mut delta, AGAIN, 2));
        commit(&mut deliveries, &mut stored, delta);

        let mut delta = DeliveriesDelta::default();
        delta.clear();
        assert!(!deliveries.is_known(&mut delta, AGAIN, 2));
        commit(&mut deliveries, &mut stored, delta);
        let unacknowledged = Delivery {
            packet_id: 0,
            ..AGAIN
        };
        let mut delta = DeliveriesDelta::default();
        assert!(!deliveries.is_known(&mut delta, unacknowledged, 1));
        assert!(!deliveries.is_known(&mut delta, unacknowledged, 1));
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
