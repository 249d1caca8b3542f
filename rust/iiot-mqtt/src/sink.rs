//! The interface of a sink for its owner: run a connection, stop, health, state.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::client::{EndKind, Failure, Setup};
use crate::config::{Checked, Config, ConfigError, Protocol, check};
use crate::connection::{self, Context};
use crate::destination::Destinations;
use crate::policy::{FAR_AHEAD_NS, Topics};
use crate::queue::{PublishQueue, QueueError};
use crate::terms::Terms;
use crate::trial::Trial;
use crate::{client_v4, client_v5, probe};

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub kind: EndKind,
    /// For people.
    pub detail: String,
    /// From the CONNACK to the end; zero if there was none.
    pub connected: Duration,
    /// Frames delivered by this connection.
    pub delivered: u64,
    /// The next connection should come soon: a publish that is to blame is being searched, or the next connection will behave differently.
    pub again: bool,
    /// The broker answered a publish before the end, so the connection had worked.
    pub answered: bool,
}

/// The phase of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No connection is being run.
    Disconnected,
    /// Waiting for the CONNACK.
    Connecting,
    /// Comparing retained values.
    Refreshing,
    /// Publishing.
    Connected,
    /// `stop` was called.
    Stopped,
}

impl Phase {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Connecting => "connecting",
            Self::Refreshing => "refreshing",
            Self::Connected => "connected",
            Self::Stopped => "stopped",
        }
    }
}

/// The state of a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Where it stands.
    pub phase: Phase,
    /// Publishes sent and not acknowledged.
    pub in_flight: u64,
    /// Points sent late since the start.
    pub late: u64,
    /// Retained values published again because the broker lacked them, since the start.
    pub refreshed: u64,
    /// Publishes of points sent since the start.
    pub publishes: u64,
    /// Publishes of points whose topic is beyond `max_topics`; they are sent without retain.
    pub unlisted: u64,
    /// Values over which connections ended, while it is not decided yet whether they are rejects.
    pub suspects: u64,
    /// Points refused for good since the start.
    pub rejects: u64,
    /// The last one of them: topic and reason; empty for none.
    pub last_reject: String,
    /// Configured features that this broker does not offer; empty for none.
    pub limits: String,
    /// The last error; empty for none.
    pub last_error: String,
}

/// The data that the connection's thread and other threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    visible: Mutex<Visible>,
    pub in_flight: AtomicU64,
    pub late: AtomicU64,
    pub refreshed: AtomicU64,
    pub publishes: AtomicU64,
    pub unlisted: AtomicU64,
    suspects: AtomicU64,
    rejects: AtomicU64,
    pub wake: Notify,
}

#[derive(Debug)]
struct Visible {
    phase: Phase,
    last_error: String,
    last_reject: String,
    limits: String,
    health: Option<Bytes>,
    health_version: u64,
    stop_by: Option<Instant>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Visible> {
        self.visible.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn enter(&self, phase: Phase) {
        self.lock().phase = phase;
    }

    pub fn fail(&self, error: impl Into<String>) {
        self.lock().last_error = error.into();
    }

    /// A point is refused for good.
    pub fn reject(&self, topic: &str, reason: &str) {
        self.rejects.fetch_add(1, Ordering::Relaxed);
        self.lock().last_reject = format!("{topic:?}: {reason}");
    }

    /// Set the number of suspects.
    pub fn suspect(&self, values: usize) {
        self.suspects.store(values as u64, Ordering::Relaxed);
    }

    /// Note features that the broker does not offer.
    pub fn limit(&self, told: String) {
        self.lock().limits = told;
    }

    pub fn stop_by(&self) -> Option<Instant> {
        self.lock().stop_by
    }

    /// The health document, if its version differs from this one.
    pub fn health_since(&self, version: u64) -> Option<(Bytes, u64)> {
        let visible = self.lock();
        visible
            .health
            .clone()
            .filter(|_| visible.health_version != version)
            .map(|health| (health, visible.health_version))
    }
}

/// The data that a sink keeps from connection to connection.
#[derive(Debug)]
pub(crate) struct Memory {
    pub topics: Topics,
    pub loaded: bool,
    /// Frames before this position may have been sent by an earlier connection or process.
    pub maybe_until: Option<u64>,
    /// Frames before this position are confirmed, although the confirmation may not be committed yet.
    pub confirmed_end: u64,
    pub trial: Trial,
    pub terms: Terms,
}

/// One MQTT sink. All methods may be called from any thread.
pub struct Sink {
    checked: Checked,
    shared: Arc<Shared>,
    memory: Mutex<Memory>,
    clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Sink {
    /// Check the configuration; nothing is connected yet.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Self::with_clock(config, Arc::new(wall_clock_ns))
    }

    /// The same with another wall clock: nanoseconds since 1970.
    pub fn with_clock(
        config: Config,
        clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    ) -> Result<Self, ConfigError> {
        let checked = check(config)?;
        let visible = Visible {
            phase: Phase::Disconnected,
            last_error: String::new(),
            last_reject: String::new(),
            limits: String::new(),
            health: None,
            health_version: 0,
            stop_by: None,
        };
        let memory = Memory {
            topics: Topics::new(checked.config.backlog, checked.config.max_topics),
            loaded: false,
            maybe_until: None,
            confirmed_end: 0,
            trial: Trial::default(),
            terms: Terms::new(checked.config.qos, checked.config.inflight),
        };
        let shared = Shared {
            visible: Mutex::new(visible),
            in_flight: AtomicU64::new(0),
            late: AtomicU64::new(0),
            refreshed: AtomicU64::new(0),
            publishes: AtomicU64::new(0),
            unlisted: AtomicU64::new(0),
            suspects: AtomicU64::new(0),
            rejects: AtomicU64::new(0),
            wake: Notify::new(),
        };
        Ok(Self {
            checked,
            shared: Arc::new(shared),
            memory: Mutex::new(memory),
            clock,
        })
    }

    /// Connect, refresh, publish until the connection ends or `stop`. Blocks. One call at a time; another one waits.
    pub fn run_connection(&self, queue: &mut dyn PublishQueue) -> Ended {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.enter(Phase::Connecting);
        let ended = self.run(queue, &mut memory);
        self.shared.in_flight.store(0, Ordering::Relaxed);
        if ended.kind == EndKind::Stopped {
            self.shared.enter(Phase::Stopped);
        } else {
            self.shared.enter(Phase::Disconnected);
            self.shared
                .fail(format!("{}: {}", ended.kind, ended.detail));
        }
        ended
    }

    fn run(&self, queue: &mut dyn PublishQueue, memory: &mut Memory) -> Ended {
        let ended_early = |failure: Failure| Ended {
            kind: failure.kind,
            detail: failure.detail,
            connected: Duration::ZERO,
            delivered: 0,
            again: false,
            answered: false,
        };
        let wake = Arc::clone(&self.shared);
        queue.subscribe(Arc::new(move || wake.wake.notify_one()));
        let clock = || (self.clock)();
        if !memory.loaded {
            // Without it a retained topic could go back to an older value, so no connection is made now.
            if let Err(error) = load(queue, memory, &self.checked.destinations, clock()) {
                return ended_early(Failure::new(EndKind::Journal, error.to_string()));
            }
        }
        let from = queue.cursor().max(memory.confirmed_end);
        if let Err(failure) = connection::survey(queue, memory, from, clock()) {
            return ended_early(failure);
        }
        let runtime = match tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => {
                return ended_early(Failure::new(
                    EndKind::Unreachable,
                    format!("no event loop: {error}"),
                ));
            }
        };
        let setup = Setup {
            will_retain: memory.terms.retain,
            ..setup(&self.checked)
        };
        let context = Context {
            config: &self.checked.config,
            destinations: &self.checked.destinations,
            shared: &self.shared,
            memory,
            queue,
            clock: &clock,
            from,
            waiting: &self.checked.transport.waiting,
        };
        let ended = match self.checked.config.protocol {
            Protocol::V311 => {
                let _in_runtime = runtime.enter();
                let (events, requests) = client_v4::connection(&setup);
                runtime.block_on(connection::run(context, events, requests))
            }
            Protocol::V5 => {
                let _in_runtime = runtime.enter();
                let (events, requests) = client_v5::connection(&setup);
                runtime.block_on(connection::run(context, events, requests))
            }
        };
        // A name lookup may still be running in the runtime's thread; nobody waits for it.
        runtime.shutdown_background();
        ended
    }

    /// Whether the broker now answers a CONNECT under another client id. Right after the loss of a connection, this distinguishes a broker
    /// that ended the connection from one that is gone. Blocks up to `within`.
    pub fn is_answering(&self, within: Duration) -> bool {
        probe::is_answering(&self.checked, within)
    }

    /// End `run_connection`, now and for good: wait for the publishes in flight, publish `offline`, and disconnect. After the grace the
    /// connection is cut, so that the broker publishes the will. Returns at once; `run_connection` returns within the grace.
    pub fn stop(&self, grace: Duration) {
        self.shared.lock().stop_by = Some(Instant::now() + grace);
        self.shared.wake.notify_one();
    }

    /// Replace the retained health document. Sent when connected; an older one that was not sent yet is forgotten.
    pub fn publish_health(&self, document: Vec<u8>) {
        let mut visible = self.shared.lock();
        visible.health = Some(Bytes::from(document));
        visible.health_version += 1;
        drop(visible);
        self.shared.wake.notify_one();
    }

    /// Why no value may be published to this topic: MQTT does not allow it, or it is one of the gateway's own. `None` if values may.
    pub fn refusal(&self, topic: &str) -> Option<String> {
        self.checked.destinations.refusal(topic)
    }

    /// Its present state.
    pub fn state(&self) -> State {
        let visible = self.shared.lock();
        State {
            phase: visible.phase,
            in_flight: self.shared.in_flight.load(Ordering::Relaxed),
            late: self.shared.late.load(Ordering::Relaxed),
            refreshed: self.shared.refreshed.load(Ordering::Relaxed),
            publishes: self.shared.publishes.load(Ordering::Relaxed),
            unlisted: self.shared.unlisted.load(Ordering::Relaxed),
            suspects: self.shared.suspects.load(Ordering::Relaxed),
            rejects: self.shared.rejects.load(Ordering::Relaxed),
            last_reject: visible.last_reject.clone(),
            limits: visible.limits.clone(),
            last_error: visible.last_error.clone(),
        }
    }
}

fn load(
    queue: &mut dyn PublishQueue,
    memory: &mut Memory,
    destinations: &Destinations,
    now_ns: i64,
) -> Result<(), QueueError> {
    for known in queue.topics()? {
        // An earlier version may have sent it to a broker that accepted it.
        if destinations.refusal(&known.topic).is_some() {
            continue;
        }
        let id = memory.topics.intern(&known.topic);
        // A clock that was set back must not make every value late.
        let far = known.time_ns > now_ns.saturating_add(FAR_AHEAD_NS);
        memory.topics.confirm(
            id,
            &known.payload,
            known.retain,
            if far { i64::MIN } else { known.time_ns },
        );
    }
    memory.loaded = true;
    Ok(())
}

pub(crate) fn setup(checked: &Checked) -> Setup {
    let config = &checked.config;
    Setup {
        client_id: config.client_id.clone(),
        credentials: checked.credentials.clone(),
        keep_alive_s: checked.keep_alive_s,
        in_flight: config.inflight,
        will_topic: Some(config.availability_topic.clone()).filter(|topic| !topic.is_empty()),
        will_retain: true,
        transport: checked.transport.clone(),
        connect_timeout: config.connect_timeout,
    }
}

/// Nanoseconds since 1970.
pub(crate) fn wall_clock_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        })
}
