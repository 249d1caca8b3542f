//! What the thread of a sink's connection shares with other threads: its state, the health document, and the wish to stop.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::Notify;

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
    pub fn new() -> Self {
        let visible = Visible {
            phase: Phase::Disconnected,
            last_error: String::new(),
            last_reject: String::new(),
            limits: String::new(),
            health: None,
            health_version: 0,
            stop_by: None,
        };
        Self {
            visible: Mutex::new(visible),
            in_flight: AtomicU64::new(0),
            late: AtomicU64::new(0),
            refreshed: AtomicU64::new(0),
            publishes: AtomicU64::new(0),
            unlisted: AtomicU64::new(0),
            suspects: AtomicU64::new(0),
            rejects: AtomicU64::new(0),
            wake: Notify::new(),
        }
    }

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

    /// Replace the health document.
    pub fn publish_health(&self, document: Vec<u8>) {
        let mut visible = self.lock();
        visible.health = Some(Bytes::from(document));
        visible.health_version += 1;
        drop(visible);
        self.wake.notify_one();
    }

    /// End the connection by then, and begin no other.
    pub fn stop(&self, by: Instant) {
        self.lock().stop_by = Some(by);
        self.wake.notify_one();
    }

    /// Everything that the owner may know.
    pub fn state(&self) -> State {
        let visible = self.lock();
        State {
            phase: visible.phase,
            in_flight: self.in_flight.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
            refreshed: self.refreshed.load(Ordering::Relaxed),
            publishes: self.publishes.load(Ordering::Relaxed),
            unlisted: self.unlisted.load(Ordering::Relaxed),
            suspects: self.suspects.load(Ordering::Relaxed),
            rejects: self.rejects.load(Ordering::Relaxed),
            last_reject: visible.last_reject.clone(),
            limits: visible.limits.clone(),
            last_error: visible.last_error.clone(),
        }
    }
}
