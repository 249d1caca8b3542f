//! The publishes that were sent and not yet acknowledged, in the order of sending. Pure.
//!
//! ```text
//!  front                                                         back
//!  [point ✓][point …][frame end][point ✓][point ✓][frame end][point …]   entries, one sequence
//!      1        2                   4        5                   (unbound: no packet id yet)
//! ```
//!
//! The client assigns packet ids in the order in which it gets publishes, so the oldest entry without an id gets the next one.
//! Acknowledgements come in any order. Entries leave only at the front, so a frame's end leaves after all publishes before it.
//!
//! A refusal is not believed at once: its entry waits until another publish has gone through (`believe`), and holds back the entries
//! behind it. An entry that was set apart is not sent over this connection, and does not leave.

use std::collections::VecDeque;
use std::time::Instant;

/// The broker's answer to one publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The broker has it.
    Accepted,
    /// The broker will never accept it, for this reason.
    Rejected(String),
}

#[derive(Debug)]
enum State {
    Waiting,
    /// Refused, and not yet believed.
    Refused {
        reason: String,
        /// Whether the broker refused it in this connection.
        is_told: bool,
    },
    Apart,
    Answered(Answer),
}

#[derive(Debug)]
struct Entry<T> {
    item: T,
    state: State,
    /// Sent at `QoS 0`: answered by the next closing entry's acknowledgement.
    silent: bool,
    closes: bool,
}

/// How a publish is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// By its own packet.
    Itself,
    /// Not at all (`QoS 0`): by the next `Closing` one.
    Silently,
    /// By its own packet, which also acknowledges all silent ones before it.
    Closing,
}

/// The sequence of entries.
#[derive(Debug)]
pub struct Unacknowledged<T> {
    entries: VecDeque<Entry<T>>,
    /// Sequence number of the front entry.
    base: u64,
    /// Sent, and without a packet id yet; oldest first.
    unbound: VecDeque<u64>,
    /// By packet id: sequence number + 1 of its entry, 0 for none.
    bound: Vec<u64>,
    in_flight: usize,
    /// Entries refused and not believed.
    refused: usize,
    /// Entries set apart.
    apart: usize,
    /// Sequence number of the oldest entry that may be waiting.
    oldest: u64,
    oldest_since: Option<Instant>,
}

impl<T> Default for Unacknowledged<T> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            base: 0,
            unbound: VecDeque::new(),
            bound: Vec::new(),
            in_flight: 0,
            refused: 0,
            apart: 0,
            oldest: 0,
            oldest_since: None,
        }
    }
}

impl<T> Unacknowledged<T> {
    /// A publish was handed to the client.
    pub fn sent(&mut self, item: T, how: Acknowledged, now: Instant) {
        self.unbound
            .push_back(self.base + self.entries.len() as u64);
        let silent = how == Acknowledged::Silently;
        self.entries.push_back(Entry {
            item,
            state: State::Waiting,
            silent,
            closes: how == Acknowledged::Closing,
        });
        if self.in_flight == 0 {
            self.oldest = self.base + self.entries.len() as u64 - 1;
            self.oldest_since = Some(now);
        }
        self.in_flight += 1;
    }

    /// Add an entry that needs no publish: a frame's end, or a point that is refused without asking the broker.
    pub fn note(&mut self, item: T, answer: Answer) {
        self.push(item, State::Answered(answer));
    }

    /// Add a publish that is not sent, because it would be refused for this reason.
    pub fn hold(&mut self, item: T, reason: String) {
        self.refused += 1;
        self.push(
            item,
            State::Refused {
                reason,
                is_told: false,
            },
        );
    }

    /// Add a publish that is not sent over this connection; nothing behind it leaves.
    pub fn set_apart(&mut self, item: T) {
        self.apart += 1;
        self.push(item, State::Apart);
    }

    fn push(&mut self, item: T, state: State) {
        self.entries.push_back(Entry {
            item,
            state,
            silent: false,
            closes: false,
        });
    }

    /// The client sent the next publish under this packet id (0 at `QoS 0`). `false` if there was none to send.
    pub fn bind(&mut self, packet_id: u16) -> bool {
        let Some(sequence) = self.unbound.pop_front() else {
            return false;
        };
        if packet_id != 0 {
            let index = usize::from(packet_id);
            if self.bound.len() <= index {
                self.bound.resize(index + 1, 0);
            }
            if let Some(slot) = self.bound.get_mut(index) {
                *slot = sequence + 1;
            }
        }
        true
    }

    /// The publish that waits under a packet id.
    pub fn waiting(&self, packet_id: u16) -> Option<&T> {
        let sequence = self
            .bound
            .get(usize::from(packet_id))
            .copied()?
            .checked_sub(1)?;
        self.entries
            .get(sequence.checked_sub(self.base)? as usize)
            .map(|entry| &entry.item)
    }

    /// The broker accepted a packet id. `false` if nothing waits under it.
    pub fn accept(&mut self, packet_id: u16, now: Instant) -> bool {
        let Some(index) = self.settle(packet_id, State::Answered(Answer::Accepted)) else {
            return false;
        };
        if self.entries.get(index).is_some_and(|entry| entry.closes) {
            for earlier in self
                .entries
                .iter_mut()
                .take(index)
                .filter(|entry| entry.silent)
            {
                if matches!(earlier.state, State::Waiting) {
                    earlier.state = State::Answered(Answer::Accepted);
                    self.in_flight -= 1;
                }
            }
        }
        self.look_for_oldest(now);
        true
    }

    /// The broker refused a packet id; whether for good is decided later. `false` if nothing waits under it.
    pub fn refuse(&mut self, packet_id: u16, reason: String, now: Instant) -> bool {
        let refused = State::Refused {
            reason,
            is_told: true,
        };
        let found = self.settle(packet_id, refused).is_some();
        self.refused += usize::from(found);
        self.look_for_oldest(now);
        found
    }

    /// End the wait under a packet id; the entry's place.
    fn settle(&mut self, packet_id: u16, state: State) -> Option<usize> {
        let slot = self.bound.get_mut(usize::from(packet_id))?;
        let sequence = std::mem::take(slot).checked_sub(1)?;
        let index = sequence.checked_sub(self.base)? as usize;
        let entry = self.entries.get_mut(index)?;
        if !matches!(entry.state, State::Waiting) {
            return None;
        }
        entry.state = state;
        self.in_flight -= 1;
        Some(index)
    }

    fn look_for_oldest(&mut self, now: Instant) {
        if self.in_flight == 0 {
            self.oldest_since = None;
            return;
        }
        let from = self.oldest.max(self.base);
        let waits = |entry: &Entry<T>| matches!(entry.state, State::Waiting);
        let ahead = self.entries.iter().skip((from - self.base) as usize);
        let oldest = from + ahead.take_while(|entry| !waits(entry)).count() as u64;
        if oldest != self.oldest {
            self.oldest = oldest;
            self.oldest_since = Some(now);
        }
    }

    /// Another publish has gone through: publishes that were refused so far are refused for good.
    pub fn believe(&mut self) {
        if self.refused == 0 {
            return;
        }
        self.refused = 0;
        for entry in &mut self.entries {
            if let State::Refused { reason, .. } = &mut entry.state {
                entry.state = State::Answered(Answer::Rejected(std::mem::take(reason)));
            }
        }
    }

    /// How many are refused and not believed.
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// The publishes that are refused and not believed, with their reasons, and whether the broker refused them in this connection.
    pub fn all_refused(&self) -> impl Iterator<Item = (&T, &str, bool)> {
        self.entries.iter().filter_map(|entry| match &entry.state {
            State::Refused { reason, is_told } => Some((&entry.item, reason.as_str(), *is_told)),
            _ => None,
        })
    }

    /// How many are set apart.
    pub fn apart(&self) -> usize {
        self.apart
    }

    /// The publishes that the client has written and the broker has not answered, oldest first.
    pub fn under_way(&self) -> impl Iterator<Item = &T> {
        let written = self
            .unbound
            .front()
            .map_or(self.entries.len(), |first| (first - self.base) as usize);
        let entries = self.entries.iter().take(written);
        entries
            .filter(|entry| matches!(entry.state, State::Waiting))
            .map(|entry| &entry.item)
    }

    /// Take the front entry if it is answered. Call until `None` after acknowledgements.
    pub fn pop(&mut self) -> Option<(T, Answer)> {
        if !matches!(self.entries.front()?.state, State::Answered(_)) {
            return None;
        }
        let entry = self.entries.pop_front()?;
        self.base += 1;
        match entry.state {
            State::Answered(answer) => Some((entry.item, answer)),
            State::Waiting | State::Refused { .. } | State::Apart => None,
        }
    }

    /// How many publishes wait for their acknowledgement.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether no entry is left, neither waiting nor ready to leave.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Since when the oldest publish waits: since it was sent, or since the one before it was answered.
    pub fn waiting_since(&self) -> Option<Instant> {
        self.oldest_since.filter(|_| self.in_flight > 0)
    }
}

#[cfg(test)]
mod tests;
