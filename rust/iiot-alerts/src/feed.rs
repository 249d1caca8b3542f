//! From the journal to the alerts: judges the values of frames, and stores the results with the cursor.

use crate::core::{Core, Limits};
use crate::evaluator::Figure;
use crate::notices::Notification;
use crate::observations::Observations;
use crate::rule::Rule;
use crate::watch::{Seeing, Watch};
use iiot_journal::{Batches, Confirmation, Confirmations, Result, StateChanges, now_ns};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A frame may be judged this long after its arrival while the state still counts as current.
const PRESENT_NS: i64 = 5_000_000_000;
/// The host's clock may differ from monotonic time by this much between two checks.
const CLOCK_NS: i64 = 5_000_000_000;
/// A batch without frames for alerts may end this many positions before the last frame while the state still counts as current.
const PRESENT_FRAMES: u64 = 1000;

/// The result of one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Frames that were judged and confirmed.
    pub frames: u64,
}

/// The alerts sink. One thread delivers batches; any thread may call the other methods.
pub struct Feed {
    reading: Mutex<Reading>,
    confirmations: Arc<Confirmations>,
    watch: Watch,
    /// Held while changes are written to the disk, so that they are stored in their order. Locked before `state`.
    writing: Mutex<()>,
    /// Never held during a wait for the disk, because the event loop may look at the alerts.
    state: Mutex<State>,
}

struct Reading {
    batches: Batches,
    /// The observations of the last batch. The next one reuses their memory, and their sets of tags.
    observations: Observations,
}

struct State {
    core: Core,
    looked: (i64, Instant),
    /// Changes that could not be stored yet.
    unwritten: StateChanges,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// The time. This notices a clock that was set.
    fn now(&mut self) -> i64 {
        let (before_ns, before) = self.looked;
        let now = (now_ns(), Instant::now());
        if was_moved(before_ns, now.0, now.1.duration_since(before)) {
            self.core.restart(now.0);
        }
        self.looked = now;
        now.0
    }

    /// All changes to store, with those that could not be stored before.
    fn changes(&mut self) -> StateChanges {
        let mut changes = std::mem::take(&mut self.unwritten);
        changes.extend(self.core.changes());
        changes
    }
}

/// Whether the host's clock was set: it advanced by another amount of time than has passed.
fn was_moved(before_ns: i64, now_ns: i64, passed: Duration) -> bool {
    let passed_ns = i64::try_from(passed.as_nanos()).unwrap_or(i64::MAX);
    let moved_ns = now_ns.saturating_sub(before_ns).saturating_sub(passed_ns);
    moved_ns.saturating_abs() > CLOCK_NS
}

impl Feed {
    /// Begin at the sink's cursor, with the states that are stored beside it.
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
            reading: Mutex::new(Reading {
                batches,
                observations: Observations::default(),
            }),
            watch,
            writing: Mutex::default(),
            state: Mutex::new(State {
                core,
                looked: now,
                unwritten: StateChanges::new(),
            }),
        })
    }

    /// Wait up to `timeout` for frames, then up to `linger` for more. Judge and confirm them, and update the time. None if no frame came.
    pub fn deliver(&self, linger: Duration, timeout: Duration) -> Result<Option<Delivered>> {
        let mut reading = lock(&self.reading);
        let Reading {
            batches,
            observations,
        } = &mut *reading;
        batches.rewind();
        let mut seeing = Seeing::new(&self.watch, observations);
        let positions = batches.next(&mut seeing, linger, timeout)?;
        let (frames, last_received_ns) = (seeing.frames, seeing.last_received_ns);
        let _writing = lock(&self.writing);
        let changes = {
            let mut state = lock(&self.state);
            let now_ns = state.now();
            state.core.observe(observations);
            let is_present = match (&positions, last_received_ns) {
                (None, _) => true,
                (Some(_), Some(received_ns)) => now_ns - received_ns < PRESENT_NS,
                // Frames of other profiles are not read, so their arrival is unknown.
                (Some(positions), None) => {
                    batches.head().saturating_sub(positions.end) < PRESENT_FRAMES
                }
            };
            if is_present {
                state.core.tick(now_ns);
            }
            state.changes()
        };
        let Some(positions) = positions else {
            self.keep(changes)?;
            return Ok(None);
        };
        self.confirmations.queue(Confirmation {
            from: positions.start,
            end: positions.end,
            delivered: frames,
            state: changes,
            ..Confirmation::default()
        })?;
        self.confirmations.settle();
        Ok(Some(Delivered { frames }))
    }

    /// Process the present figures of the gateway, all of them.
    pub fn figures(&self, figures: &[Figure]) -> Result<()> {
        self.change(|state| {
            let now_ns = state.now();
            state.core.figures(figures, now_ns);
        })
    }

    /// The notification that a receiver is due now. It is sealed and stored when this returns.
    pub fn take(&self, receiver: &str) -> Result<Option<Notification>> {
        self.change(|state| {
            let now_ns = state.now();
            state.core.take(receiver, now_ns)
        })
    }

    /// Note whether the receiver accepted the notification. False if the notification no longer exists.
    pub fn tried(&self, receiver: &str, id: &str, is_sent: bool) -> Result<bool> {
        self.change(|state| state.core.tried(receiver, id, is_sent))
    }

    fn change<T>(&self, body: impl FnOnce(&mut State) -> T) -> Result<T> {
        let _writing = lock(&self.writing);
        let (value, changes) = {
            let mut state = lock(&self.state);
            (body(&mut state), state.changes())
        };
        self.keep(changes)?;
        Ok(value)
    }

    /// Store changes that came without a frame. If the disk fails, they are stored with the next change.
    fn keep(&self, changes: StateChanges) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let kept = self.confirmations.keep(changes.clone());
        if kept.is_err() {
            // No other thread has added changes to store meanwhile, because that needs `writing`.
            lock(&self.state).unwritten = changes;
        }
        kept
    }

    /// A number that increases with each change of the states.
    pub fn version(&self) -> u64 {
        lock(&self.state).core.version()
    }

    /// Rules with their alerts, and receivers.
    pub fn document(&self) -> Value {
        lock(&self.state).core.document()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A difference of a few seconds is a slow correction of the clock; a larger one means that the clock was set.
    #[test]
    fn a_clock_is_moved_if_it_leaves_the_time_that_passed() {
        let second = 1_000_000_000;
        let minute = Duration::from_secs(60);
        assert!(!was_moved(0, 60 * second, minute));
        assert!(!was_moved(0, 64 * second, minute));
        assert!(was_moved(0, 66 * second, minute));
        assert!(was_moved(100 * second, 99 * second, minute));
        assert!(was_moved(i64::MIN, i64::MAX, minute));
    }
}
