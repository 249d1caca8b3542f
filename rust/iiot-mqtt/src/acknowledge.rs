//! What was sent and not yet acknowledged, in the order of sending. Pure.
//!
//! ```text
//!  front                                                         back
//!  [point ✓][point …][frame end][point ✓][point ✓][frame end][point …]   entries, one sequence
//!      1        2                   4        5                   (unbound: no packet id yet)
//! ```
//!
//! The client gives packet ids in the order in which it was given publishes, so the oldest entry without an id gets the next
//! one. Acknowledgements come in any order; entries leave at the front only, so a frame's end leaves after every publish up to it.

use std::collections::VecDeque;
use std::time::Instant;

/// What the broker said to one publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has it.
    Accepted,
    /// It will never take it, for this reason.
    Rejected(String),
}

#[derive(Debug)]
enum State {
    Waiting,
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
    /// By a packet of its own.
    Itself,
    /// Not at all (`QoS 0`): by the next `Closing` one.
    Silently,
    /// By a packet of its own, which also stands for all silent ones before it.
    Closing,
}

/// The sequence of entries.
#[derive(Debug)]
pub struct Ledger<T> {
    entries: VecDeque<Entry<T>>,
    /// Sequence number of the front entry.
    base: u64,
    /// Sent, and without a packet id yet; oldest first.
    unbound: VecDeque<u64>,
    /// By packet id: sequence number + 1 of its entry, 0 for none.
    bound: Vec<u64>,
    in_flight: usize,
    front_since: Option<Instant>,
}

impl<T> Default for Ledger<T> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            base: 0,
            unbound: VecDeque::new(),
            bound: Vec::new(),
            in_flight: 0,
            front_since: None,
        }
    }
}

impl<T> Ledger<T> {
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
        self.in_flight += 1;
        self.front_since.get_or_insert(now);
    }

    /// Something that needs no publish stands at this place: a frame's end, or a point refused without asking.
    pub fn note(&mut self, item: T, answer: Answer) {
        self.entries.push_back(Entry {
            item,
            state: State::Answered(answer),
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

    /// What waits under a packet id.
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

    /// The broker answered a packet id. `false` if nothing waits under it.
    pub fn acknowledge(&mut self, packet_id: u16, answer: Answer) -> bool {
        let Some(slot) = self.bound.get_mut(usize::from(packet_id)) else {
            return false;
        };
        let Some(index) = std::mem::take(slot)
            .checked_sub(1)
            .and_then(|sequence| sequence.checked_sub(self.base))
        else {
            return false;
        };
        let Some(entry) = self.entries.get_mut(index as usize) else {
            return false;
        };
        if matches!(entry.state, State::Answered(_)) {
            return false;
        }
        entry.state = State::Answered(answer);
        self.in_flight -= 1;
        if entry.closes {
            for earlier in self
                .entries
                .iter_mut()
                .take(index as usize)
                .filter(|entry| entry.silent)
            {
                if matches!(earlier.state, State::Waiting) {
                    earlier.state = State::Answered(Answer::Accepted);
                    self.in_flight -= 1;
                }
            }
        }
        true
    }

    /// Take the front entry if it is answered. Call until `None` after acknowledgements.
    pub fn pop(&mut self, now: Instant) -> Option<(T, Answer)> {
        if !matches!(self.entries.front()?.state, State::Answered(_)) {
            return None;
        }
        let entry = self.entries.pop_front()?;
        self.base += 1;
        self.front_since = (self.in_flight > 0).then_some(now);
        match entry.state {
            State::Answered(answer) => Some((entry.item, answer)),
            State::Waiting => None,
        }
    }

    /// How many publishes wait for their acknowledgement.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Nothing is left, neither waiting nor to be taken.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Since when the oldest publish has been waited for: it was sent, or the one before it answered.
    pub fn waiting_since(&self) -> Option<Instant> {
        self.front_since.filter(|_| self.in_flight > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drained(ledger: &mut Ledger<u32>) -> Vec<u32> {
        std::iter::from_fn(|| ledger.pop(Instant::now()))
            .map(|(item, _)| item)
            .collect()
    }

    #[test]
    fn an_acknowledgement_out_of_order_waits_for_those_before_it() {
        let mut ledger = Ledger::default();
        for (item, id) in [(1, 7), (2, 8), (3, 9)] {
            ledger.sent(item, Acknowledged::Itself, Instant::now());
            ledger.bind(id);
        }

        ledger.acknowledge(9, Answer::Accepted);
        ledger.acknowledge(8, Answer::Rejected("no".into()));
        assert_eq!(drained(&mut ledger), []);
        ledger.acknowledge(7, Answer::Accepted);

        assert_eq!(drained(&mut ledger), [1, 2, 3]);
        assert!(ledger.is_empty());
    }

    #[test]
    fn a_packet_id_acknowledges_once_and_serves_again() {
        let mut ledger = Ledger::default();
        ledger.sent(1, Acknowledged::Itself, Instant::now());
        ledger.bind(1);

        assert!(ledger.acknowledge(1, Answer::Accepted));
        assert!(!ledger.acknowledge(1, Answer::Accepted));
        assert!(!ledger.acknowledge(2, Answer::Accepted));
        assert_eq!(drained(&mut ledger), [1]);
        ledger.sent(2, Acknowledged::Itself, Instant::now());
        ledger.bind(1);

        assert_eq!(ledger.waiting(1), Some(&2));
        assert!(ledger.acknowledge(1, Answer::Accepted));
    }

    #[test]
    fn a_closing_one_speaks_for_the_silent_ones_before_it() {
        let mut ledger = Ledger::default();
        for (item, how, id) in [
            (1, Acknowledged::Silently, 0),
            (2, Acknowledged::Closing, 5),
            (3, Acknowledged::Silently, 0),
        ] {
            ledger.sent(item, how, Instant::now());
            ledger.bind(id);
        }

        ledger.acknowledge(5, Answer::Accepted);

        assert_eq!(drained(&mut ledger), [1, 2]);
        assert_eq!(ledger.in_flight(), 1);
    }

    proptest! {
        /// Random frames, random orders of acknowledgement: what has left never goes past a publish that was not acknowledged.
        #[test]
        fn nothing_leaves_past_an_unacknowledged_publish(
            frames in prop::collection::vec(0_u32..4, 1..60),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..120),
            window in 1_usize..12,
        ) {
            let mut ledger = Ledger::default();
            let mut to_send = frames.iter().enumerate().flat_map(|(frame, count)| {
                (0..*count).map(move |_| (frame, true)).chain([(frame, false)])
            });
            let mut waiting: Vec<(u16, usize)> = Vec::new();
            let mut free: Vec<u16> = (1..=window as u16).rev().collect();
            let mut ended = 0;
            let mut order = order.into_iter();
            loop {
                while ledger.in_flight() < window {
                    match to_send.next() {
                        Some((frame, true)) => {
                            ledger.sent((frame, true), Acknowledged::Itself, Instant::now());
                            let id = free.pop().unwrap();
                            prop_assert!(ledger.bind(id));
                            waiting.push((id, frame));
                        }
                        Some(end) => ledger.note(end, Answer::Accepted),
                        None => break,
                    }
                }
                while let Some(((frame, publish), _)) = ledger.pop(Instant::now()) {
                    if !publish {
                        prop_assert_eq!(frame, ended);
                        prop_assert!(waiting.iter().all(|(_, waits)| *waits > frame));
                        ended += 1;
                    }
                }
                if waiting.is_empty() {
                    break;
                }
                let next = order.next().map_or(0, |index| index.index(waiting.len()));
                let (id, _) = waiting.remove(next);
                prop_assert!(ledger.acknowledge(id, Answer::Accepted));
                free.push(id);
            }
            prop_assert_eq!(ended, frames.len());
            prop_assert!(ledger.is_empty());
        }
    }
}
