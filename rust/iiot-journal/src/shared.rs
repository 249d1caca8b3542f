//! The data that the threads of a journal share: the queue, the progress, the recent rows, and the callbacks to wake.

use crate::error::{Error, ErrorKind, Result, closed};
use crate::gate::{Checkpoint, Gate};
use crate::links::Links;
use crate::mutex::lock;
use crate::prune;
use crate::queue::{Message, Queue};
use crate::reader::Ring;
use crate::row::Row;
use crate::source::Source;
use crate::state::State;
use crate::tap_ring::TapRing;
use crate::writer::Writer;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a disk that is full again and again is reported.
const QUIET: Duration = Duration::from_secs(30);

/// Called after a commit, a confirmation or a sync; must not block.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Behind the last committed frame.
    pub head: u64,
    /// Behind the last frame that sinks may see.
    pub visible: u64,
    pub committed_ticket: u64,
    pub synced_ticket: u64,
    /// Commits so far, confirmations among them, and how many of them are synced.
    pub commits: u64,
    pub synced_commits: u64,
    pub synced_head: u64,
    /// First positions of committed rows that are not synced and whose source can give them again.
    unsynced: VecDeque<u64>,
    pub cursors: HashMap<i64, u64>,
    pub sync_now: bool,
    pub sync_error: Option<String>,
    pub writer_ended: bool,
    /// Documents of live sources that could not be committed before the end.
    pub uncommitted: u64,
    pub stopping: bool,
}

impl Progress {
    /// Whether there are frames that sinks may not see before a sync.
    pub(crate) fn awaits_sync(&self) -> bool {
        !self.unsynced.is_empty()
    }

    pub(crate) fn update_visible(&mut self) {
        while self
            .unsynced
            .front()
            .is_some_and(|&first| first < self.synced_head)
        {
            self.unsynced.pop_front();
        }
        self.visible = self.unsynced.front().copied().unwrap_or(self.head);
    }
}

pub(crate) struct Shared {
    pub queue: Mutex<Queue>,
    pub queue_filled: Condvar,
    pub queue_drained: Condvar,
    pub progress: Mutex<Progress>,
    pub progress_changed: Condvar,
    pub ring: Mutex<Ring>,
    pub tap: Mutex<TapRing>,
    pub links: Mutex<Links>,
    pub wakers: Mutex<Vec<Wake>>,
    pub notes: Mutex<Vec<String>>,
    /// The lock for the role of the writer; empty before the journal is open and after it is closed.
    pub writer: Mutex<Option<Writer>>,
    /// How many threads are syncing the log or the file at present.
    pub syncing: AtomicUsize,
    pub gate: Gate,
    /// Sources that can wait must wait, because the journal is nearly full.
    pub is_full: AtomicBool,
    pub checkpoint: Checkpoint,
    pub group_bytes: usize,
    pub wal_pages_soft: u64,
    pub wal_pages_hard: u64,
}

impl Shared {
    pub(crate) fn new(wal_bytes: u64, next: u64, cursors: HashMap<i64, u64>) -> Self {
        let pages = wal_bytes / 4096;
        let progress = Progress {
            head: next,
            visible: next,
            synced_head: next,
            cursors,
            ..Progress::default()
        };
        Self {
            queue: Mutex::default(),
            queue_filled: Condvar::new(),
            queue_drained: Condvar::new(),
            progress: Mutex::new(progress),
            progress_changed: Condvar::new(),
            ring: Mutex::default(),
            tap: Mutex::default(),
            links: Mutex::default(),
            wakers: Mutex::default(),
            notes: Mutex::default(),
            writer: Mutex::new(None),
            syncing: AtomicUsize::new(0),
            gate: Gate::default(),
            is_full: AtomicBool::new(false),
            checkpoint: Checkpoint::default(),
            group_bytes: (wal_bytes / 4).clamp(64 << 10, 2 << 20) as usize,
            wal_pages_soft: pages / 2,
            wal_pages_hard: pages,
        }
    }

    /// Put a message in the queue. Returns its ticket, or an error if the journal is closed. The caller must then wake
    /// the writer or take its role.
    pub(crate) fn put(&self, message: Message) -> Result<u64> {
        let mut queue = lock(&self.queue);
        if queue.stopping {
            return Err(closed());
        }
        Ok(queue.put(message))
    }

    /// Put a message in the queue and tell the writer's thread.
    pub(crate) fn send(&self, message: Message) -> Result<u64> {
        let ticket = self.put(message)?;
        self.queue_filled.notify_one();
        Ok(ticket)
    }

    /// Run a closure on the writer's thread and wait for its result.
    pub(crate) fn command<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.ask(body)?.recv().unwrap_or_else(|_| Err(closed()))
    }

    /// The same with a time-out, for callers that hold a resource meanwhile. If the disk is stuck, the closure may
    /// still run later.
    pub(crate) fn command_within<T: Send + 'static>(
        &self,
        timeout: Duration,
        body: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.ask(body)?
            .recv_timeout(timeout)
            .unwrap_or_else(|failed| match failed {
                RecvTimeoutError::Disconnected => Err(closed()),
                RecvTimeoutError::Timeout => Err(Error::new(
                    ErrorKind::Io,
                    format!("the disk took nothing for {} s", timeout.as_secs()),
                )),
            })
    }

    fn ask<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) -> Result<Receiver<Result<T>>> {
        let (answer, received) = std::sync::mpsc::sync_channel(1);
        self.send(Message::Command(Box::new(move |state| {
            let outcome = body(state);
            Box::new(move || {
                let _ = answer.send(outcome);
            })
        })))?;
        Ok(received)
    }

    /// Commit and sync everything that was put in the queue so far.
    pub(crate) fn sync(&self, timeout: Duration) -> bool {
        let ticket = lock(&self.queue).last_ticket;
        lock(&self.progress).sync_now = true;
        self.progress_changed.notify_all();
        self.wait_progress(timeout, |p| p.synced_ticket >= ticket)
    }

    /// Publish the result of a commit.
    pub(crate) fn publish(
        &self,
        state: &mut State,
        rows: &[Arc<Row>],
        ticket: u64,
        done: &[(usize, usize)],
    ) {
        {
            let mut queue = lock(&self.queue);
            for (source, bytes) in done {
                if let Some(waiting) = queue.waiting.get_mut(source) {
                    *waiting = waiting.saturating_sub(*bytes);
                }
            }
            if queue.stalled.take().is_some() && std::mem::take(&mut queue.stall_is_told) {
                lock(&self.notes).push("journal_writable_again: what waited is committed".into());
            }
        }
        self.queue_drained.notify_all();
        self.advance(state, rows, ticket);
    }

    /// Show a commit to sinks and to threads that wait for it.
    pub(crate) fn advance(&self, state: &mut State, rows: &[Arc<Row>], ticket: u64) {
        {
            let mut ring = lock(&self.ring);
            if std::mem::take(&mut state.dropped_within) {
                ring.clear();
            }
            for row in rows {
                ring.push(Arc::clone(row));
            }
            ring.trim(state.oldest);
        }
        if !rows.is_empty() {
            lock(&self.tap).push(rows);
        }
        if !state.links.is_empty() {
            state.links.drain_into(&mut lock(&self.links));
        }
        lock(&self.notes).append(&mut state.notes);
        if state.sources.iter().any(Source::waits) {
            let limit = state.limits.live_bytes;
            // If the file cannot be queried, writing to it fails as well and reports the error.
            let is_full = prune::is_full(&state.db, limit).unwrap_or(true);
            self.is_full.store(is_full, Ordering::Relaxed);
        }
        let mut progress = lock(&self.progress);
        progress.unsynced.extend(
            rows.iter()
                .filter(|r| r.supply.is_replayable())
                .map(|r| r.first),
        );
        progress.head = state.next;
        progress.committed_ticket = ticket;
        progress.commits += 1;
        for sink in &state.sinks {
            progress.cursors.insert(sink.id, sink.cursor);
        }
        progress.update_visible();
        drop(progress);
        // Wake the publishing threads first: the threads that wait for progress sync and collect, and use a core
        // meanwhile.
        self.wake();
        self.progress_changed.notify_all();
    }

    /// Note that a commit failed; messages that wait stay in the queue. It is reported once.
    pub(crate) fn stall(&self, error: &Error, lost: HashMap<usize, u64>) {
        let mut queue = lock(&self.queue);
        for (source, documents) in lost {
            *queue.lost.entry(source).or_default() += documents;
        }
        // A disk that is full again and again is reported from time to time, not each time.
        if queue.stalled.is_none() && queue.stall_told_at.is_none_or(|at| at.elapsed() > QUIET) {
            queue.stall_told_at = Some(Instant::now());
            queue.stall_is_told = true;
            let what = if error.kind == ErrorKind::Full {
                "the disk is full"
            } else {
                "the disk refuses"
            };
            lock(&self.notes).push(format!(
                "journal_stalled: {what} ({error}); nothing new is accepted until it is writable"
            ));
        }
        queue.stalled = Some(error.to_string());
    }

    /// Wait before a failed commit is tried again; ends early when the journal is closed.
    pub(crate) fn wait_retry(&self, time: Duration) {
        let queue = lock(&self.queue);
        let _ = self
            .queue_filled
            .wait_timeout_while(queue, time, |q| !q.stopping);
    }

    /// Run a closure that makes the disk busy.
    pub(crate) fn while_syncing<T>(&self, body: impl FnOnce() -> T) -> T {
        self.syncing.fetch_add(1, Ordering::Relaxed);
        let value = body();
        self.syncing.fetch_sub(1, Ordering::Relaxed);
        value
    }

    pub(crate) fn wake(&self) {
        for wake in lock(&self.wakers).iter() {
            wake();
        }
    }

    /// Wait until `done` is true, or until the time-out.
    pub(crate) fn wait_progress(
        &self,
        timeout: Duration,
        mut done: impl FnMut(&Progress) -> bool,
    ) -> bool {
        let until = Instant::now().checked_add(timeout);
        let mut progress = lock(&self.progress);
        loop {
            if done(&progress) {
                return true;
            }
            let left = until.map_or(Duration::from_secs(3600), |u| {
                u.saturating_duration_since(Instant::now())
            });
            if left.is_zero() || progress.stopping {
                return false;
            }
            progress = self
                .progress_changed
                .wait_timeout(progress, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}
