//! From the journal to the alerts: what frames say is judged, and what follows is stored with the cursor.

use crate::core::{Core, Limits};
use crate::evaluator::Figure;
use crate::outbox::Notification;
use crate::rule::Rule;
use crate::watch::{Seeing, Watch};
use iiot_journal::{Batches, Confirmation, Confirmations, Result, now_ns};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So far behind its arrival a frame may be judged and the present still be known.
const PRESENT_NS: i64 = 5_000_000_000;
/// So far the host's clock may leave monotonic time between two looks.
const CLOCK_NS: i64 = 5_000_000_000;

/// What one batch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Frames that were judged and confirmed.
    pub frames: u64,
}

/// The sink of alerts. Batches are delivered by one thread; everything else may be called from any.
pub struct Feed {
    batches: Mutex<Batches>,
    confirmations: Arc<Confirmations>,
    watch: Watch,
    state: Mutex<State>,
}

struct State {
    core: Core,
    looked: (i64, Instant),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// The time; a clock that was moved is noticed.
    fn now(&mut self) -> i64 {
        let (before_ns, before) = self.looked;
        let now = (now_ns(), Instant::now());
        let passed = i64::try_from(now.1.duration_since(before).as_nanos()).unwrap_or(i64::MAX);
        if (now.0 - before_ns - passed).abs() > CLOCK_NS {
            self.core.restart(now.0);
        }
        self.looked = now;
        now.0
    }
}

impl Feed {
    /// Begin behind the sink's cursor, with the states that are stored beside it.
    pub fn new(
        batches: Batches,
        rules: Vec<Rule>,
        receivers: &[String],
        limits: Limits,
        journal: &str,
    ) -> Result<Self> {
        let stored = batches.state()?;
        let watch = Watch::new(&rules);
        let now = (now_ns(), Instant::now());
        let (core, _) = Core::load(rules, receivers, limits, journal, &stored, now.0);
        Ok(Self {
            confirmations: batches.confirmations(),
            batches: Mutex::new(batches),
            watch,
            state: Mutex::new(State { core, looked: now }),
        })
    }

    /// Wait for frames up to `timeout`, then for more up to `linger`; judge and confirm them, and let time pass. None if nothing came.
    pub fn deliver(&self, linger: Duration, timeout: Duration) -> Result<Option<Delivered>> {
        let mut batches = lock(&self.batches);
        batches.rewind();
        let mut seeing = Seeing::new(&self.watch);
        let positions = batches.next(&mut seeing, linger, timeout)?;
        let mut state = lock(&self.state);
        let now_ns = state.now();
        state.core.observe(&seeing.observations);
        let is_present = match (&positions, seeing.last_received_ns) {
            (None, _) => true,
            (Some(_), Some(received_ns)) => now_ns - received_ns < PRESENT_NS,
            // Frames of other profiles say nothing of the time.
            (Some(_), None) => false,
        };
        if is_present {
            state.core.tick(now_ns);
        }
        let changes = state.core.changes();
        let Some(positions) = positions else {
            if !changes.is_empty() {
                self.confirmations.keep(changes)?;
            }
            return Ok(None);
        };
        self.confirmations.queue(Confirmation {
            from: positions.start,
            end: positions.end,
            delivered: seeing.frames,
            state: changes,
            ..Confirmation::default()
        })?;
        self.confirmations.settle();
        Ok(Some(Delivered {
            frames: seeing.frames,
        }))
    }

    /// Take all figures of the gateway as they are now.
    pub fn figures(&self, figures: &[Figure]) -> Result<()> {
        self.change(|state| {
            let now_ns = state.now();
            state.core.figures(figures, now_ns);
        })
    }

    /// What a receiver is to be told now; it is sealed and stored when this returns.
    pub fn take(&self, receiver: &str) -> Result<Option<Notification>> {
        self.change(|state| {
            let now_ns = state.now();
            state.core.take(receiver, now_ns)
        })
    }

    /// The receiver took the notification, or did not this time. False if it has gone meanwhile.
    pub fn tried(&self, receiver: &str, id: &str, is_sent: bool) -> Result<bool> {
        self.change(|state| state.core.tried(receiver, id, is_sent))
    }

    fn change<T>(&self, body: impl FnOnce(&mut State) -> T) -> Result<T> {
        let mut state = lock(&self.state);
        let value = body(&mut state);
        let changes = state.core.changes();
        if !changes.is_empty() {
            self.confirmations.keep(changes)?;
        }
        Ok(value)
    }

    /// Counts what changed of states.
    pub fn version(&self) -> u64 {
        lock(&self.state).core.version()
    }

    /// Rules with their alerts, and receivers.
    pub fn document(&self) -> Value {
        lock(&self.state).core.document()
    }
}
