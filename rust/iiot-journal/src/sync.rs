//! Two threads beside the writer: one makes commits survive the loss of power, one moves the log into the file.

use crate::room::Room;
use crate::{Shared, lock};
use rusqlite::Connection;
use std::fs::File;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The sync of live frames may wait this long: sinks get these frames at the commit, and publishing them comes first.
const LIVE_DELAY: Duration = Duration::from_millis(2);

/// When a commit is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// After each group.
    Full,
    /// Each second.
    Normal,
}

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

    fn without_writer<T>(&self, body: impl FnOnce() -> T) -> T {
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
}

/// The checkpoint thread. A reader in the way only delays it: it tries again at the next request.
pub(crate) fn checkpoint_thread(shared: &Shared, db: &Connection, room: Option<&Room>) {
    let mut is_told = false;
    loop {
        let mut state = lock(&shared.checkpoint.state);
        while !state.requested && !state.stopping {
            state = shared
                .checkpoint
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.stopping {
            return;
        }
        state.requested = false;
        drop(state);
        let pass = || {
            db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |r| {
                Ok((r.get::<_, i64>(1)?, r.get::<_, i64>(2)?))
            })
        };
        // Most pages are moved while the writer goes on. The few others are moved without it, so that its next commit
        // starts the log from the beginning.
        let _ = shared.while_syncing(pass);
        shared.gate.without_writer(|| {
            let _ = pass();
        });
        // No other thread writes to the file, so the writer can go on meanwhile.
        if let Some(Err(error)) = room
            .filter(|room| !room.is_one_chunk())
            .map(Room::take_back)
            && !std::mem::replace(&mut is_told, true)
        {
            lock(&shared.notes).push(format!("journal_room_not_reserved: {error}; a disk that others fill can stop the intake before max_bytes is used"));
        }
        lock(&shared.checkpoint.state).done += 1;
        shared.checkpoint.changed.notify_all();
    }
}

/// The sync thread.
pub(crate) fn sync_thread(shared: &Shared, log: &File, mode: SyncMode) {
    let mut last = Instant::now();
    loop {
        let progress = lock(&shared.progress);
        let mut progress = shared
            .progress_changed
            .wait_while(progress, |p| p.synced_commits == p.commits && !p.stopping)
            .unwrap_or_else(PoisonError::into_inner);
        let due = match mode {
            SyncMode::Full => LIVE_DELAY,
            SyncMode::Normal => Duration::from_secs(1).saturating_sub(last.elapsed()),
        };
        progress = shared
            .progress_changed
            .wait_timeout_while(progress, due, |p| {
                let awaited = mode == SyncMode::Full && p.awaits_sync();
                !awaited && !p.sync_now && !p.stopping
            })
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        if progress.synced_commits == progress.commits {
            if progress.stopping {
                return;
            }
            continue;
        }
        let (ticket, head, commits) = (progress.committed_ticket, progress.head, progress.commits);
        progress.sync_now = false;
        drop(progress);
        let outcome = shared.while_syncing(|| log.sync_data());
        last = Instant::now();
        let mut progress = lock(&shared.progress);
        match outcome {
            Ok(()) => {
                progress.synced_ticket = ticket;
                progress.synced_commits = commits;
                progress.synced_head = head;
                progress.update_visible();
            }
            Err(error) => {
                // The system may have thrown the pages away and report the next attempt as a success, so no further sync
                // is trusted. Frames that need a sync wait until a person has checked the disk and restarted the gateway.
                let told = format!(
                    "the disk could not be synced ({error}); look at the disk, then start the gateway again"
                );
                progress.sync_error = Some(told.clone());
                drop(progress);
                lock(&shared.notes).push(format!("journal_unsynced: {told}"));
                return;
            }
        }
        drop(progress);
        shared.progress_changed.notify_all();
        shared.wake();
    }
}
