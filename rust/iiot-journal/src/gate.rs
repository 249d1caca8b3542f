//! Keeps the writer and the checkpoint apart, and lets one wait for the other.

use crate::mutex::lock;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Keeps the writer out while the last pages of the log are moved, so that the log can be reused from its start. Fair to
/// the checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    writing: bool,
    wanted: bool,
}

impl Gate {
    pub(crate) fn enter_writer(&self) {
        let mut state = lock(&self.state);
        while state.wanted {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.writing = true;
    }

    /// As `enter_writer`, but false instead of waiting.
    pub(crate) fn try_enter_writer(&self) -> bool {
        let mut state = lock(&self.state);
        state.writing = !state.wanted;
        state.writing
    }

    pub(crate) fn leave_writer(&self) {
        lock(&self.state).writing = false;
        self.changed.notify_all();
    }

    pub(crate) fn without_writer<T>(&self, body: impl FnOnce() -> T) -> T {
        let mut state = lock(&self.state);
        state.wanted = true;
        while state.writing {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        let value = body();
        lock(&self.state).wanted = false;
        self.changed.notify_all();
        value
    }
}

/// A request for a checkpoint, and its completion.
#[derive(Debug, Default)]
pub(crate) struct Checkpoint {
    state: Mutex<CheckpointState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct CheckpointState {
    requested: bool,
    stopping: bool,
    done: u64,
}

impl Checkpoint {
    pub(crate) fn request(&self) {
        lock(&self.state).requested = true;
        self.changed.notify_all();
    }

    pub(crate) fn stop(&self) {
        lock(&self.state).stopping = true;
        self.changed.notify_all();
    }

    /// Wait until the next checkpoint is done.
    pub(crate) fn wait(&self, timeout: Duration) {
        let state = lock(&self.state);
        let before = state.done;
        let _ = self
            .changed
            .wait_timeout_while(state, timeout, |s| s.done == before && !s.stopping);
    }

    /// Wait until a checkpoint is requested; false if there will be none.
    pub(crate) fn next(&self) -> bool {
        let mut state = lock(&self.state);
        while !state.requested && !state.stopping {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.requested = false;
        !state.stopping
    }

    /// The checkpoint is done.
    pub(crate) fn done(&self) {
        lock(&self.state).done += 1;
        self.changed.notify_all();
    }
}
