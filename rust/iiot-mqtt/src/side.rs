//! A connection beside a sink's, for messages and publishes that belong to no ledger: it receives messages of a few subscriptions, and
//! publishes at `QoS 1`.
//!
//! It shares nothing with a sink: no window, no order, no cursor. Subscriptions use `QoS 0`. Every attempt to connect has a number. Messages
//! are handed over with the number of the connection over which they came, also after it has ended. A publish is either
//!
//! - kept: it is sent over this connection and the next ones until the broker has answered it. It is given up and reported after a refusal,
//!   and after several connections that ended while it alone was in flight; or
//! - bound to one connection: it is forgotten when the connection ends, and a refusal ends the connection, because a conversation then has to
//!   begin again.
//!
//! Bounds in each direction: at most [`MAX_WAITING`] and [`MAX_WAITING_BYTES`] wait (and one window is in flight). A publish beyond them is
//! not accepted; a message beyond them ends the connection, because the messages behind it would be lost silently.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::client::{EndKind, Failure, Setup};
use crate::config::{Checked, Config, ConfigError, Protocol, check};
use crate::destination::{filter_fault, topic_fault};
use crate::side_link::Link;
use crate::sink::{Ended, setup};
use crate::{client_v4, client_v5};

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

    fn retain(&mut self, keeps: impl Fn(&T) -> bool) {
        self.items.retain(|(_, item)| keeps(item));
        self.bytes = self.items.iter().map(|(bytes, _)| bytes).sum();
    }
}

/// What the connection's thread and others share.
#[derive(Default)]
pub(crate) struct Desk {
    /// Rises with every attempt to connect.
    number: u64,
    /// The connection with that number has its subscriptions.
    stands: bool,
    outgoing: Queue<Publish>,
    incoming: Queue<(u64, Message)>,
    refused: Vec<Refusal>,
    stop_by: Option<Instant>,
    /// How many publishes are sent one at a time, because a connection ended while they were in flight.
    careful: usize,
    /// By topic: how often a connection has ended while its publish alone was in flight.
    strikes: HashMap<String, u8>,
}

impl Desk {
    fn present(&self) -> u64 {
        if self.stands { self.number } else { 0 }
    }
}

/// See the module. All methods may be called from any thread.
pub struct SideConnection {
    pub(crate) checked: Checked,
    pub(crate) filters: Vec<String>,
    will_topic: Option<String>,
    pub(crate) wake: Notify,
    desk: Mutex<Desk>,
    arrived: Condvar,
    running: Mutex<()>,
}

impl SideConnection {
    /// Check the settings; nothing is connected yet. Availability and health topics are not used, because this connection does not report the
    /// gateway's state.
    pub fn new(config: Config, filters: Vec<String>) -> Result<Self, ConfigError> {
        let config = Config {
            availability_topic: String::new(),
            health_topic: String::new(),
            ..config
        };
        if filters.is_empty() {
            return Err(ConfigError::new("subscriptions", "has no topic filter"));
        }
        if let Some(fault) = filters.iter().find_map(|filter| filter_fault(filter)) {
            return Err(ConfigError::new("subscriptions", fault));
        }
        Ok(Self {
            checked: check(config)?,
            filters,
            will_topic: None,
            wake: Notify::new(),
            desk: Mutex::default(),
            arrived: Condvar::new(),
            running: Mutex::default(),
        })
    }

    /// Leave a last will: the broker publishes `offline` to this topic, not retained, when a connection breaks.
    pub fn with_will(self, topic: String) -> Result<Self, ConfigError> {
        if let Some(fault) = topic_fault(&topic) {
            return Err(ConfigError::new("will_topic", fault));
        }
        Ok(Self {
            will_topic: Some(topic),
            ..self
        })
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connect, subscribe, publish and receive until the connection ends or `stop`. Blocks. One call at a time; another one waits. The caller
    /// decides when to connect again.
    pub fn run_connection(&self) -> Ended {
        let _running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.desk().number += 1;
        let (failure, connected_at) = match tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
        {
            Ok(runtime) => {
                let ended = self.run_in(&runtime);
                // A name lookup may still be running in the runtime's thread; nobody waits for it.
                runtime.shutdown_background();
                ended
            }
            Err(error) => {
                let detail = format!("no event loop: {error}");
                (Failure::new(EndKind::Unreachable, detail), None)
            }
        };
        let mut desk = self.desk();
        desk.stands = false;
        desk.outgoing.retain(|publish| publish.only_over.is_none());
        drop(desk);
        self.arrived.notify_all();
        Ended {
            kind: failure.kind,
            detail: failure.detail,
            connected: connected_at.map_or(Duration::ZERO, |at| at.elapsed()),
            // No frame of a journal uses this connection.
            delivered: 0,
            again: false,
            answered: false,
        }
    }

    fn run_in(&self, runtime: &tokio::runtime::Runtime) -> (Failure, Option<Instant>) {
        let setup = Setup {
            will_topic: self.will_topic.clone(),
            will_retain: false,
            ..setup(&self.checked)
        };
        let _in_runtime = runtime.enter();
        match self.checked.config.protocol {
            Protocol::V311 => {
                let (events, requests) = client_v4::connection(&setup);
                runtime.block_on(Link::new(self, requests).run(events))
            }
            Protocol::V5 => {
                let (events, requests) = client_v5::connection(&setup);
                runtime.block_on(Link::new(self, requests).run(events))
            }
        }
    }

    /// Hand over a publish. False if it will not be sent, because there is no room for it, or because the connection to which it is bound has
    /// ended.
    pub fn publish(&self, publish: Publish) -> bool {
        let mut desk = self.desk();
        let bytes = size(&publish);
        let has_ended = publish
            .only_over
            .is_some_and(|number| number == 0 || number != desk.present());
        if has_ended || !desk.outgoing.has_room_for(desk.refused.len() + 1, bytes) {
            return false;
        }
        desk.outgoing.push_back(bytes, publish);
        drop(desk);
        self.wake.notify_one();
        true
    }

    /// Wait for messages, for refusals, or for another connection than `known` (0: none). After `within` it returns even if nothing has
    /// changed.
    pub fn receive(&self, known: u64, within: Duration) -> Received {
        let (mut desk, _) = self
            .arrived
            .wait_timeout_while(self.desk(), within, |desk| {
                desk.incoming.items.is_empty()
                    && desk.refused.is_empty()
                    && desk.present() == known
                    && desk.stop_by.is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        let first = desk.incoming.items.front();
        let connection = first.map_or(desk.present(), |(_, (number, _))| *number);
        let mut messages = Vec::new();
        while let Some((_, message)) = desk.incoming.pop_front_if(|(of, _)| *of == connection) {
            messages.push(message);
        }
        Received {
            connection,
            messages,
            refused: std::mem::take(&mut desk.refused),
        }
    }

    /// How many publishes the broker has not answered; those in flight are included once the connection has ended.
    pub fn waiting(&self) -> usize {
        self.desk().outgoing.items.len()
    }

    /// End `run_connection`, now and for good. Publishes that were handed over are sent first; after the grace the connection is cut.
    pub fn stop(&self, grace: Duration) {
        self.desk().stop_by = Some(Instant::now() + grace);
        self.arrived.notify_all();
        self.wake.notify_one();
    }
}

/// The methods for the connection's thread.
impl SideConnection {
    pub(crate) fn stop_by(&self) -> Option<Instant> {
        self.desk().stop_by
    }

    pub(crate) fn has_outgoing(&self) -> bool {
        !self.desk().outgoing.items.is_empty()
    }

    pub(crate) fn next_outgoing(&self) -> Option<Publish> {
        self.desk().outgoing.pop_front_if(|_| true)
    }

    /// Put the last publish that was taken back, so that it is sent again.
    pub(crate) fn put_back(&self, publish: Publish) {
        let bytes = size(&publish);
        self.desk().outgoing.push_front(bytes, publish);
    }

    /// Whether only one publish may be in flight.
    pub(crate) fn is_careful(&self) -> bool {
        self.desk().careful > 0
    }

    /// The broker has answered a publish.
    pub(crate) fn clear(&self, topic: &str) {
        let mut desk = self.desk();
        desk.careful = desk.careful.saturating_sub(1);
        if !desk.strikes.is_empty() {
            desk.strikes.remove(topic);
        }
    }

    /// A connection ended while these publishes were in flight. Returns the one among them that is to blame, if that is known now.
    pub(crate) fn accuse<'a>(&self, topics: &[&'a str], is_told: bool) -> Option<&'a str> {
        let mut desk = self.desk();
        let [topic] = topics else {
            desk.careful = desk.careful.max(topics.len());
            return None;
        };
        desk.careful = desk.careful.max(1);
        let strikes = desk.strikes.entry((*topic).to_owned()).or_default();
        *strikes = if is_told { STRIKES } else { *strikes + 1 };
        if *strikes < STRIKES {
            return None;
        }
        desk.strikes.remove(*topic);
        Some(topic)
    }

    pub(crate) fn report(&self, refusal: Refusal) {
        self.desk().refused.push(refusal);
        self.arrived.notify_all();
    }

    /// The connection has its subscriptions.
    pub(crate) fn stand(&self) {
        self.desk().stands = true;
        self.arrived.notify_all();
    }

    /// False if there is no room for it.
    pub(crate) fn take_in(&self, message: Message) -> bool {
        let mut desk = self.desk();
        let bytes = message.topic.len() + message.payload.len();
        if !desk.incoming.has_room_for(1, bytes) {
            return false;
        }
        let number = desk.number;
        desk.incoming.push_back(bytes, (number, message));
        drop(desk);
        self.arrived.notify_all();
        true
    }
}

fn size(publish: &Publish) -> usize {
    publish.topic.len() + publish.payload.len()
}
