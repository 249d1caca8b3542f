//! The clocks of the receivers of one source whose documents come under topics or from registered devices. Each receiver has a window of its own, in the
//! time of its clock. A registered device without a clock has a window in the time of arrival.
//!
//! The first receiver with a clock is number 0, and its clock is among those of the source. So sources with one receiver are stored as before there were
//! several.

use iiot_core::clock::NodeClock;
use std::collections::HashMap;

/// The most further receivers that are remembered per source. Receptions of others are accepted without being remembered, and counted.
const MAX_RECEIVERS: usize = 65_536;
/// Where there is no more room, a receiver is forgotten after so long a silence, with its receptions.
const SILENCE_NS: i64 = 86_400 * 1_000_000_000;
/// Bytes of a stored receiver, without its key.
const USED: usize = 33;

/// Who heard the nodes of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReceiverId {
    /// Fingerprint of its name; never 0.
    pub key: u64,
    /// Its documents have an uptime, as its profile says.
    pub has_clock: bool,
}

/// What a document says of its node's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Uptime {
    /// Milliseconds since the node started.
    pub ms: u64,
    pub counter: Option<u64>,
    pub bits: u32,
    pub received_at_ns: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Receiver {
    clock: NodeClock,
    /// When its last document came that has an uptime, or whose profile has no clock.
    heard_ns: i64,
}

/// What is committed, without the first receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Receivers(HashMap<u64, Receiver>);

impl Receivers {
    /// The number of a receiver. A document without an uptime belongs to the first receiver, unless its own is known or has no clock; so does one without a
    /// receiver of its own.
    pub(crate) fn number(
        &self,
        delta: &Self,
        first: &mut Option<u64>,
        receiver: Option<ReceiverId>,
        has_uptime: bool,
    ) -> u64 {
        let Some(ReceiverId { key, has_clock }) = receiver else {
            return 0;
        };
        if !has_clock {
            return key;
        }
        if first.is_none() && has_uptime && self.get(delta, key).is_none() {
            *first = Some(key);
        }
        let is_further = *first != Some(key) && (has_uptime || self.now_ms(delta, key).is_some());
        if is_further { key } else { 0 }
    }

    fn get(&self, delta: &Self, number: u64) -> Option<Receiver> {
        let found = delta.0.get(&number).or_else(|| self.0.get(&number));
        found.copied()
    }

    /// The present of a receiver's clock; none for one that is not remembered.
    pub(crate) fn now_ms(&self, delta: &Self, number: u64) -> Option<i64> {
        self.get(delta, number)?.clock.now_ms()
    }

    /// Advance the clock of a further receiver, which begins at `begin_ms`; returns its present, or none if there is no room for it.
    pub(crate) fn advance(
        &self,
        delta: &mut Self,
        number: u64,
        begin_ms: i64,
        uptime: Uptime,
    ) -> Option<i64> {
        let known = self.get(delta, number).map(|receiver| receiver.clock);
        if known.is_none() && self.has_no_room(delta) {
            return None;
        }
        let mut clock = known.unwrap_or_else(|| NodeClock::beginning_at(begin_ms));
        let now_ms = clock.advance(uptime.ms, uptime.counter, uptime.bits);
        let heard_ns = uptime.received_at_ns;
        delta.0.insert(number, Receiver { clock, heard_ns });
        Some(now_ms)
    }

    /// Note that a receiver without a clock was heard. Returns the time of arrival in milliseconds, or none if there is no room for the receiver.
    pub(crate) fn hear(&self, delta: &mut Self, number: u64, received_at_ns: i64) -> Option<i64> {
        let known = self.get(delta, number);
        if known.is_none() && self.has_no_room(delta) {
            return None;
        }
        let at_ms = received_at_ns / 1_000_000;
        let receiver = Receiver {
            // Its clock begins here if its profile gets one.
            clock: NodeClock::beginning_at(at_ms),
            // A document that is judged late may be older than the last one.
            heard_ns: known.map_or(received_at_ns, |it| it.heard_ns.max(received_at_ns)),
        };
        delta.0.insert(number, receiver);
        Some(at_ms)
    }

    fn has_no_room(&self, delta: &Self) -> bool {
        self.0.len() + delta.0.len() >= MAX_RECEIVERS
    }

    /// The time of a document that is judged late; none for a receiver that no document before has made known.
    pub(crate) fn revisit(&self, number: u64, uptime: Uptime) -> Option<i64> {
        let clock = &self.0.get(&number)?.clock;
        let then_ms = clock.revisit(uptime.ms, uptime.counter, uptime.bits);
        // See the first receiver's: an uptime from before a restart must not look like the future.
        Some(then_ms.min(clock.now_ms().unwrap_or(i64::MAX)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MAX_RECEIVERS
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn merge(&mut self, delta: Self) {
        self.0.extend(delta.0);
    }

    /// Forget those that have been silent for a day when the last one was heard. Returns their numbers.
    pub(crate) fn forget_silent(&mut self) -> Vec<u64> {
        let newest_ns = self.0.values().map(|receiver| receiver.heard_ns).max();
        let since_ns = newest_ns.unwrap_or(0).saturating_sub(SILENCE_NS);
        let silent = self.0.iter().filter(|(_, r)| r.heard_ns < since_ns);
        let silent: Vec<u64> = silent.map(|(number, _)| *number).collect();
        for number in &silent {
            self.0.remove(number);
        }
        silent
    }

    /// Write all for storage: each u64 number, then `head`, the clock, i64 arrival, and zeros up to `size` bytes.
    pub(crate) fn encode(&self, head: u8, size: usize, out: &mut Vec<u8>) {
        for (number, receiver) in &self.0 {
            out.extend_from_slice(&number.to_le_bytes());
            let end = out.len() + size;
            out.push(head);
            receiver.clock.encode(out);
            out.extend_from_slice(&receiver.heard_ns.to_le_bytes());
            out.resize(end, 0);
        }
    }

    /// Take one that [`Receivers::encode`] wrote, without number and head; `None` if it is something else.
    pub(crate) fn replay(&mut self, number: u64, bytes: &[u8]) -> Option<()> {
        let (clock, heard) = bytes.get(..USED)?.split_last_chunk()?;
        let receiver = Receiver {
            clock: NodeClock::decode(clock)?,
            heard_ns: i64::from_le_bytes(*heard),
        };
        self.0.insert(number, receiver);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    fn at(received_at_ns: i64) -> Uptime {
        Uptime {
            ms: 5_000,
            counter: None,
            bits: 32,
            received_at_ns,
        }
    }

    /// Beyond the bound a receiver is not remembered, until others have been silent for a day.
    #[test]
    fn only_silent_receivers_make_room() {
        let mut receivers = Receivers::default();
        let mut delta = Receivers::default();
        for number in 1..=MAX_RECEIVERS as u64 {
            let now_ms = receivers.advance(&mut delta, number, 7, at(0));
            assert_eq!(now_ms, Some(7));
        }
        assert_eq!(receivers.advance(&mut delta, u64::MAX, 7, at(0)), None);
        receivers.merge(std::mem::take(&mut delta));
        assert!(receivers.is_full());

        receivers.advance(&mut delta, 1, 7, at(SILENCE_NS)).unwrap();
        receivers.merge(std::mem::take(&mut delta));
        assert_eq!(receivers.forget_silent(), []);
        assert_eq!(receivers.advance(&mut delta, u64::MAX, 7, at(0)), None);
        receivers
            .advance(&mut delta, 1, 7, at(SILENCE_NS + 1))
            .unwrap();
        receivers.merge(std::mem::take(&mut delta));
        assert_eq!(receivers.forget_silent().len(), MAX_RECEIVERS - 1);
        assert_eq!(receivers.advance(&mut delta, u64::MAX, 7, at(0)), Some(7));
    }
}
