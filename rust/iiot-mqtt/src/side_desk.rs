//! What the thread of a side connection shares with other threads: messages and publishes that wait, in bounded number.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

/// The most messages that nobody has fetched; also the most publishes that were not sent, or whose refusal nobody has fetched.
pub const MAX_WAITING: usize = 20_000;
/// The most bytes of their topics and payloads together, in each direction.
pub const MAX_WAITING_BYTES: usize = 16 << 20;

/// A publish is given up after this many connections that ended while it alone was in flight.
const STRIKES: u8 = 3;

/// A message of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
    /// The broker had retained it; false for a message that was published just now.
    pub retained: bool,
}

/// A publish at `QoS 1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// Where.
    pub topic: String,
    /// Its payload; with `retain`, an empty payload removes the value that the broker keeps.
    pub payload: Bytes,
    /// Whether the broker must retain it.
    pub retain: bool,
    /// The number of the connection that it is bound to; `None` keeps it until the broker has answered it.
    pub only_over: Option<u64>,
}

/// A kept publish that will never arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its number; see [`SideConnection::is_waiting`](crate::SideConnection::is_waiting).
    pub number: u64,
    /// Where it was to go.
    pub topic: String,
    /// Why the broker does not take it.
    pub reason: String,
}

/// The messages that have come over one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// The number of the connection over which the messages came; without messages, the number of the present connection (0: none).
    pub connection: u64,
    /// In the order of arrival.
    pub messages: Vec<Message>,
    /// Publishes that were refused since the last call.
    pub refused: Vec<Refusal>,
}

/// First in, first out, of bounded size.
struct Queue<T> {
    items: VecDeque<(usize, T)>,
    bytes: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<T> Queue<T> {
    fn has_room_for(&self, count: usize, bytes: usize) -> bool {
        self.items.len() + count <= MAX_WAITING && self.bytes + bytes <= MAX_WAITING_BYTES
    }

    fn push_back(&mut self, bytes: usize, item: T) {
        self.bytes += bytes;
        self.items.push_back((bytes, item));
    }

    fn push_front(&mut self, bytes: usize, item: T) {
        self.bytes += bytes;
        self.items.push_front((bytes, item));
    }

    fn pop_front_if(&mut self, wanted: impl FnOnce(&T) -> bool) -> Option<T> {
        self.items.front().filter(|(_, item)| wanted(item))?;
        let (bytes, item) = self.items.pop_front()?;
        self.bytes -= bytes;
        Some(item)
    }

    fn retain(&mut self, mut keeps: impl FnMut(&T) -> bool) {
        self.items.retain(|(_, item)| keeps(item));
        self.bytes = self.items.iter().map(|(bytes, _)| bytes).sum();
    }
}

#[derive(Default)]
struct State {
    /// Rises with every attempt to connect.
    number: u64,
    /// The connection with that number has its subscriptions.
    stands: bool,
    /// How many publishes were accepted; that is also the number of the last one.
    accepted: u64,
    outgoing: Queue<(u64, Publish)>,
    /// The numbers of those that are not answered, or whose refusal nobody has fetched.
    unanswered: BTreeSet<u64>,
    incoming: Queue<(u64, Message)>,
    refused: Vec<Refusal>,
    stop_by: Option<Instant>,
    /// How many publishes are sent one at a time, because a connection ended while they were in flight.
    careful: usize,
    /// By topic: how often a connection has ended while its publish alone was in flight.
    strikes: HashMap<String, u8>,
}

impl State {
    fn present(&self) -> u64 {
        if self.stands { self.number } else { 0 }
    }
}

/// What waits on either side, and who is told of it. All methods may be called from any thread.
#[derive(Default)]
pub(crate) struct Desk {
    /// There may be something to send, or the connection is to end.
    pub wake: Notify,
    /// There is something to receive.
    arrived: Condvar,
    state: Mutex<State>,
}

/// The methods for the owner.
impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An attempt to connect begins.
    pub fn begin(&self) {
        self.lock().number += 1;
    }

    /// The connection has ended.
    pub fn end(&self) {
        let mut state = self.lock();
        state.stands = false;
        let State {
            outgoing,
            unanswered,
            ..
        } = &mut *state;
        outgoing.retain(|(number, publish)| {
            if publish.only_over.is_some() {
                unanswered.remove(number);
            }
            publish.only_over.is_none()
        });
        drop(state);
        self.arrived.notify_all();
    }

    /// See `SideConnection::publish`.
    pub fn publish(&self, publish: Publish) -> bool {
        let mut state = self.lock();
        let bytes = size(&publish);
        let has_ended = publish
            .only_over
            .is_some_and(|number| number == 0 || number != state.present());
        if has_ended || !state.outgoing.has_room_for(state.refused.len() + 1, bytes) {
            return false;
        }
        state.accepted += 1;
        let number = state.accepted;
        state.unanswered.insert(number);
        state.outgoing.push_back(bytes, (number, publish));
        drop(state);
        self.wake.notify_one();
        true
    }

    /// See `SideConnection::receive`.
    pub fn receive(&self, known: u64, within: Duration) -> Received {
        let (mut state, _) = self
            .arrived
            .wait_timeout_while(self.lock(), within, |state| {
                state.incoming.items.is_empty()
                    && state.refused.is_empty()
                    && state.present() == known
                    && state.stop_by.is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        let first = state.incoming.items.front();
        let connection = first.map_or(state.present(), |(_, (number, _))| *number);
        let mut messages = Vec::new();
        while let Some((_, message)) = state.incoming.pop_front_if(|(of, _)| *of == connection) {
            messages.push(message);
        }
        let refused = std::mem::take(&mut state.refused);
        for refusal in &refused {
            state.unanswered.remove(&refusal.number);
        }
        Received {
            connection,
            messages,
            refused,
        }
    }

    /// See `SideConnection::waiting`.
    pub fn waiting(&self) -> usize {
        self.lock().unanswered.len()
    }

    /// See `SideConnection::is_waiting`.
    pub fn is_waiting(&self, number: u64) -> bool {
        self.lock().unanswered.contains(&number)
    }

    /// End the connection by then, and begin no other.
    pub fn stop(&self, by: Instant) {
        self.lock().stop_by = Some(by);
        self.arrived.notify_all();
        self.wake.notify_one();
    }
}

/// The methods for the connection's thread.
impl Desk {
    pub fn stop_by(&self) -> Option<Instant> {
        self.lock().stop_by
    }

    pub fn has_outgoing(&self) -> bool {
        !self.lock().outgoing.items.is_empty()
    }

    /// A publish with its number.
    pub fn next_outgoing(&self) -> Option<(u64, Publish)> {
        self.lock().outgoing.pop_front_if(|_| true)
    }

    /// Put the last publish that was taken back, so that it is sent again.
    pub fn put_back(&self, number: u64, publish: Publish) {
        let bytes = size(&publish);
        self.lock().outgoing.push_front(bytes, (number, publish));
    }

    /// A publish is gone with the connection to which it was bound.
    pub fn forget(&self, number: u64) {
        self.lock().unanswered.remove(&number);
    }

    /// Whether only one publish may be in flight.
    pub fn is_careful(&self) -> bool {
        self.lock().careful > 0
    }

    /// The broker has acknowledged a publish.
    pub fn clear(&self, number: u64, topic: &str) {
        let mut state = self.lock();
        state.unanswered.remove(&number);
        state.careful = state.careful.saturating_sub(1);
        if !state.strikes.is_empty() {
            state.strikes.remove(topic);
        }
    }

    /// A connection ended while these publishes were in flight. Returns the one among them that is to blame, if that is known now.
    pub fn accuse<'a>(&self, topics: &[&'a str], is_told: bool) -> Option<&'a str> {
        let mut state = self.lock();
        let [topic] = topics else {
            state.careful = state.careful.max(topics.len());
            return None;
        };
        state.careful = state.careful.max(1);
        let strikes = state.strikes.entry((*topic).to_owned()).or_default();
        *strikes = if is_told { STRIKES } else { *strikes + 1 };
        if *strikes < STRIKES {
            return None;
        }
        state.strikes.remove(*topic);
        Some(topic)
    }

    pub fn report(&self, refusal: Refusal) {
        self.lock().refused.push(refusal);
        self.arrived.notify_all();
    }

    /// The connection has its subscriptions.
    pub fn stand(&self) {
        self.lock().stands = true;
        self.arrived.notify_all();
    }

    /// False if there is no room for it.
    pub fn take_in(&self, message: Message) -> bool {
        let mut state = self.lock();
        let bytes = message.topic.len() + message.payload.len();
        if !state.incoming.has_room_for(1, bytes) {
            return false;
        }
        let number = state.number;
        state.incoming.push_back(bytes, (number, message));
        drop(state);
        self.arrived.notify_all();
        true
    }
}

fn size(publish: &Publish) -> usize {
    publish.topic.len() + publish.payload.len()
}
