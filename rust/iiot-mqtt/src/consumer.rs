//! The other direction: receives messages of subscriptions, and acknowledges each one when its frame is durable.
//!
//! One call runs one connection. Between connections the broker keeps the session with the messages that arrive. Messages that were not acknowledged come
//! again. The client library provides transport and packets. Our own code reads and acknowledges messages, because a message may be longer than the memory for
//! it, because its acknowledgement waits for the disk, and because the library refuses a session that it does not know.

mod acks;
mod control;
mod link;
mod splitter;

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::checked::{Checked, check};
use crate::config::Config;
use crate::config_error::ConfigError;
use crate::destination::filter_fault;
use crate::ended::EndKind;
use crate::failure::Failure;
use crate::mark::ValueMark;
use crate::wall_clock::wall_clock_ns;

/// One subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// A topic filter; `$share/GROUP/...` is one too.
    pub filter: String,
    /// 0, 1 or 2.
    pub qos: u8,
}

/// How messages are handled that the broker had retained and sends because of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retained {
    /// They are counted but not accepted.
    Ignore,
    /// Each value is accepted once.
    Take,
}

/// The settings of a consumer that a sink does not have.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// At least one.
    pub subscriptions: Vec<Subscription>,
    /// See [`Retained`].
    pub retained: Retained,
    /// How long the broker must keep the session (MQTT 5; with 3.1.1 the broker decides).
    pub session_expiry: Duration,
    /// A longer payload is a reject, and only its beginning is kept.
    pub max_payload_bytes: usize,
    /// The most messages that are taken without an acknowledgement. The same number may be stored twice if another consumer gets them again.
    pub receive_maximum: u16,
    /// Whether the broker may count messages of earlier connections against the receive maximum, so that it is told a much larger number (MQTT 5).
    ///
    /// Artemis 2.40 does (ARTEMIS-5469). What is on its way when a connection ends stays in its count as long as the session lives, and it sends nothing more
    /// once the count has reached the number. Without a number it would loop for ever once all packet ids are in the count.
    pub is_counted_for_ever: bool,
}

/// A received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived<'a> {
    /// Its topic.
    pub topic: &'a [u8],
    /// The payload, or the beginning of one that is too long.
    pub payload: &'a [u8],
    /// The length of the whole payload.
    pub payload_bytes: u64,
    /// 0 for a message that is not acknowledged.
    pub packet_id: u16,
    /// The broker may have sent it before.
    pub again: bool,
    /// The broker had retained it.
    pub retained: bool,
    /// The mark that identifies it, if its publisher is a gateway (MQTT 5).
    pub mark: Option<ValueMark<'a>>,
    /// Nanoseconds since 1970.
    pub received_at_ns: i64,
}

/// The destination of messages. Messages become durable in the order in which they were taken.
pub trait Inlet {
    /// Take a whole message.
    fn take(&mut self, message: &Arrived<'_>);
    /// Count a message that is not wanted, under the word `why`.
    fn skip(&mut self, message: &Arrived<'_>, why: &'static str);
    /// Take the beginning of a message that is too long.
    fn refuse_long(&mut self, message: &Arrived<'_>);
    /// The broker has the acknowledgements of these.
    fn forget(&mut self, packet_ids: &[u16]);
    /// Pass on the messages that were taken. Returns a rising ticket.
    fn send(&mut self) -> Result<u64, InletError>;
    /// The ticket up to which everything is durable.
    fn durable(&self) -> u64;
    /// Whether there is room for more.
    fn has_room(&self) -> bool;
    /// `wake` must be called whenever messages became durable, and when there is room again.
    fn subscribe(&self, wake: Arc<dyn Fn() + Send + Sync>);
    /// The known filters of the session.
    fn subscribed(&self) -> Result<Vec<String>, InletError>;
    /// Remember which filters the session has.
    fn set_subscribed(&self, filters: &[String]) -> Result<(), InletError>;
    /// The broker has kept the session, and first sends the messages that were not acknowledged.
    fn resume_session(&mut self) -> Result<(), InletError>;
    /// The broker has begun a new session; `lost` if it should have kept the old one.
    fn new_session(&self, lost: bool) -> Result<(), InletError>;
}

/// The inlet cannot take or store anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InletError(pub String);

impl fmt::Display for InletError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InletError {}

impl From<InletError> for Failure {
    fn from(error: InletError) -> Self {
        Self::new(EndKind::Journal, error.0)
    }
}

/// The phase of a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsumerPhase {
    /// No connection is being run.
    Disconnected,
    /// The last SUBACK has not come yet.
    Connecting,
    /// Messages come.
    Subscribed,
    /// There is no room for more messages.
    Paused,
    /// `stop` was called.
    Stopped,
    /// `retire` was called, and its session is ended.
    Retired,
}

impl ConsumerPhase {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Connecting => "connecting",
            Self::Subscribed => "subscribed",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Retired => "retired",
        }
    }
}

/// The state of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerState {
    /// Where it stands.
    pub phase: ConsumerPhase,
    /// Messages that came since the start.
    pub messages: u64,
    /// Their payloads, in bytes.
    pub payload_bytes: u64,
    /// When the last one came, nanoseconds since 1970; none before the first.
    pub last_message_ns: Option<i64>,
    /// Messages that are not acknowledged yet.
    pub unacknowledged: u64,
    /// Filters that the broker refused over the last connection, each with its reason.
    pub refused: Vec<String>,
    /// The requests that the broker granted only in part; empty for none.
    pub limits: String,
    /// How often the broker had lost the session.
    pub sessions_lost: u64,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerEnded {
    /// Why.
    pub kind: EndKind,
    /// For people.
    pub detail: String,
    /// From the last SUBACK to the end; zero if there was none.
    pub subscribed: Duration,
}

/// The data that the connection's thread and other threads share.
pub(crate) struct Desk {
    visible: Mutex<Visible>,
    pub messages: AtomicU64,
    pub payload_bytes: AtomicU64,
    /// `i64::MIN` before the first.
    pub last_message_ns: AtomicI64,
    pub unacknowledged: AtomicU64,
    pub wake: Notify,
}

struct Visible {
    phase: ConsumerPhase,
    refused: Vec<String>,
    limits: String,
    sessions_lost: u64,
    stop_by: Option<Instant>,
    retiring: bool,
    retired: bool,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Visible> {
        self.visible.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, phase: ConsumerPhase) {
        self.lock().phase = phase;
    }

    fn is_retiring(&self) -> bool {
        self.lock().retiring
    }

    fn is_retired(&self) -> bool {
        self.lock().retired
    }

    fn set_retired(&self) {
        self.lock().retired = true;
    }

    fn stop_by(&self) -> Option<Instant> {
        self.lock().stop_by
    }
}

/// One consumer. All methods may be called from any thread.
pub struct Consumer {
    checked: Checked,
    settings: ConsumerConfig,
    desk: Arc<Desk>,
    running: Mutex<()>,
}

impl Consumer {
    /// Check the settings; nothing is connected yet. All settings of `config` are used, except those about publishing.
    pub fn new(config: Config, consumer: ConsumerConfig) -> Result<Self, ConfigError> {
        let config = Config {
            availability_topic: String::new(),
            health_topic: String::new(),
            own_topics: Vec::new(),
            ..config
        };
        if consumer.subscriptions.is_empty() {
            return Err(ConfigError::new("topics", "has no topic filter"));
        }
        if consumer.receive_maximum == 0 {
            return Err(ConfigError::new("receive_maximum", "must be 1 at least"));
        }
        for subscription in &consumer.subscriptions {
            if let Some(fault) = filter_fault(&subscription.filter) {
                return Err(ConfigError::new("topics", fault));
            }
            if subscription.qos > 2 {
                let message = format!("qos is {}; expected 0, 1 or 2", subscription.qos);
                return Err(ConfigError::new("topics", message));
            }
        }
        let visible = Visible {
            phase: ConsumerPhase::Disconnected,
            refused: Vec::new(),
            limits: String::new(),
            sessions_lost: 0,
            stop_by: None,
            retiring: false,
            retired: false,
        };
        Ok(Self {
            checked: check(config)?,
            settings: consumer,
            desk: Arc::new(Desk {
                visible: Mutex::new(visible),
                messages: AtomicU64::new(0),
                payload_bytes: AtomicU64::new(0),
                last_message_ns: AtomicI64::new(i64::MIN),
                unacknowledged: AtomicU64::new(0),
                wake: Notify::new(),
            }),
            running: Mutex::default(),
        })
    }

    /// Let the inlet wake this consumer. Call this once per inlet.
    pub fn attach(&self, inlet: &dyn Inlet) {
        let desk = Arc::clone(&self.desk);
        inlet.subscribe(Arc::new(move || desk.wake.notify_one()));
    }

    /// Connect, subscribe and take messages until the connection ends or `stop`. Blocks. One call at a time; another one waits.
    pub fn run_connection(&self, inlet: &mut dyn Inlet) -> ConsumerEnded {
        let _running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.desk.enter(ConsumerPhase::Connecting);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build();
        let ended = match runtime {
            Ok(runtime) => {
                let link = link::Link::new(&self.checked, &self.settings, &self.desk, inlet);
                let ended = runtime.block_on(link.run());
                // A name lookup may still be running in the runtime's thread; nobody waits for it.
                runtime.shutdown_background();
                ended
            }
            Err(error) => ConsumerEnded {
                kind: EndKind::Unreachable,
                detail: format!("no event loop: {error}"),
                subscribed: Duration::ZERO,
            },
        };
        self.desk.unacknowledged.store(0, Ordering::Relaxed);
        self.desk.enter(match ended.kind {
            EndKind::Stopped => ConsumerPhase::Stopped,
            EndKind::Retired => ConsumerPhase::Retired,
            _ => ConsumerPhase::Disconnected,
        });
        ended
    }

    /// End `run_connection`, now and for good: acknowledge what is durable within the grace, and disconnect; the session stays. Returns at once.
    pub fn stop(&self, grace: Duration) {
        self.desk.lock().stop_by = Some(Instant::now() + grace);
        self.desk.wake.notify_one();
    }

    /// Give up the session for good: unsubscribe the filters, take the messages that the broker still holds, and end the session, over this connection or the
    /// next. Returns at once.
    pub fn retire(&self) {
        self.desk.lock().retiring = true;
        self.desk.wake.notify_one();
    }

    /// Its present state.
    pub fn state(&self) -> ConsumerState {
        let visible = self.desk.lock();
        let last = self.desk.last_message_ns.load(Ordering::Relaxed);
        ConsumerState {
            phase: visible.phase,
            messages: self.desk.messages.load(Ordering::Relaxed),
            payload_bytes: self.desk.payload_bytes.load(Ordering::Relaxed),
            last_message_ns: Some(last).filter(|last| *last != i64::MIN),
            unacknowledged: self.desk.unacknowledged.load(Ordering::Relaxed),
            refused: visible.refused.clone(),
            limits: visible.limits.clone(),
            sessions_lost: visible.sessions_lost,
        }
    }
}

/// Nanoseconds since 1970.
fn now_ns() -> i64 {
    wall_clock_ns()
}
