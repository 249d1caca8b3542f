//! The writer: takes everything that has arrived since the last commit, commits it as one group, and wakes the threads that wait.

use crate::commit::{Group, State};
use crate::error::{Error, ErrorKind, Result};
use crate::queue::{Message, Queue, add_confirmation};
use crate::sink::Confirmation;
use crate::status::{Marks, mark};
use crate::{Shared, lock, now_ns, schema};
use rusqlite::params;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How long to wait before a failed commit is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// A source's thread whose commit took this long leaves commits to the writer's thread for a while.
const SLOW: Duration = Duration::from_millis(20);
const SLOW_PAUSE: Duration = Duration::from_secs(10);
/// Without traffic the thread wakes this often, for the age limit.
const IDLE: Duration = Duration::from_secs(30);

/// Everything that a commit needs. The thread that holds it is the writer: the thread of that name, or a live source's own thread for one
/// small group.
pub(crate) struct Writer {
    pub state: State,
    work: Work,
    marks: Marks,
    first_ticket: u64,
    /// Bytes of a group; halved when the disk is full.
    limit: usize,
    /// Pages in the write-ahead log after the last commit.
    wal_pages: Arc<AtomicU64>,
    /// Until this time no source's thread commits, because the last such commit had to wait for the disk.
    slow_until: Option<Instant>,
}

impl Writer {
    pub(crate) fn new(shared: &Shared, mut state: State) -> Result<Self> {
        let wal_pages = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&wal_pages);
        state.db.wal_hook(Some(
            move |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
                counter.store(pages.unsigned_abs().into(), Ordering::Relaxed);
                Ok(())
            },
        ))?;
        Ok(Self {
            state,
            work: Work::default(),
            marks: Marks::default(),
            first_ticket: 1,
            limit: shared.group_bytes,
            wal_pages,
            slow_until: None,
        })
    }

    /// Take everything from the queue. Returns whether the journal is being closed.
    fn take(&mut self, shared: &Shared) -> bool {
        let mut queue = lock(&shared.queue);
        self.work.messages.append(&mut queue.messages);
        for (sink, confirmation) in queue.confirmations.drain(..) {
            add_confirmation(&mut self.work.confirmations, sink, confirmation);
        }
        for (source, documents) in queue.lost.drain() {
            *self.work.lost.entry(source).or_default() += documents;
        }
        queue.left_over = false;
        queue.stopping
    }

    /// Run the command at the front, or commit one group. After an error all of it stays in the work. The caller has entered the gate.
    fn step(&mut self, shared: &Shared) -> Result<()> {
        if matches!(self.work.messages.front(), Some(Message::Command(_))) {
            if let Some(Message::Command(command)) = self.work.messages.pop_front() {
                let tell = command(&mut self.state);
                shared.gate.leave_writer();
                shared.publish(&mut self.state, &[], self.first_ticket, &[]);
                tell();
                self.first_ticket += 1;
            }
            return Ok(());
        }
        let count = group_size(&self.work.messages, self.limit);
        let outcome = self.commit(count);
        shared.gate.leave_writer();
        let (rows, done) = outcome?;
        self.first_ticket += count as u64;
        self.limit = (self.limit * 2).min(shared.group_bytes);
        shared.publish(&mut self.state, &rows, self.first_ticket - 1, &done);
        compact(&mut self.state);
        if self.wal_pages.load(Ordering::Relaxed) > shared.wal_pages_soft {
            shared.checkpoint.request();
        }
        Ok(())
    }

    /// Commit the first `count` messages with every confirmation and loss; on an error all of them are still in the work.
    fn commit(&mut self, count: usize) -> Result<Done> {
        let group = transact(&self.state, &self.work, count, &mut self.marks)?;
        self.work.confirmations.clear();
        self.work.lost.clear();
        let mut done = Vec::new();
        for message in self.work.messages.drain(..count) {
            if let Message::Documents { source, documents } = message {
                done.push((source, documents.bytes()));
            }
        }
        Ok((group.merge(&mut self.state), done))
    }

    /// The disk stored nothing. Commit at least the confirmations of sinks, which free room and need little; then wait before the next
    /// attempt.
    fn stalled(&mut self, shared: &Shared, error: &Error) {
        shared.stall(error, std::mem::take(&mut self.work.lost));
        shared.gate.enter_writer();
        let outcome = self.commit(0);
        shared.gate.leave_writer();
        if let Ok((rows, _)) = outcome {
            shared.advance(&mut self.state, &rows, self.first_ticket - 1);
        }
        self.limit = (self.limit / 2).max(1);
    }

    /// Accept nothing more. Frames that can be given again are not lost; the others are counted as lost, if the disk still stores that
    /// count.
    fn give_up(&mut self, shared: &Shared) {
        let mut lost = uncommitted(&self.state, &self.work);
        for (source, documents) in lock(&shared.queue).lost.drain() {
            *lost.entry(source).or_default() += documents;
        }
        lock(&shared.progress).uncommitted = lost.values().sum();
        self.work.lost = lost;
        shared.gate.enter_writer();
        let _ = self.commit(0);
        shared.gate.leave_writer();
    }
}

/// Run until the journal is closed and everything that can be committed is committed. The writer stays in `shared`.
pub(crate) fn run(shared: &Shared) {
    loop {
        let is_idle = wait(shared);
        let mut held = lock(&shared.writer);
        let Some(writer) = held.as_mut() else {
            return;
        };
        let mut stopping = writer.take(shared);
        if writer.work.is_empty() && stopping {
            return;
        }
        if writer.work.is_empty() && !is_idle {
            continue; // a source's thread was faster
        }
        // An empty group is committed as well: it removes frames that are too old.
        loop {
            if writer.wal_pages.load(Ordering::Relaxed) > shared.wal_pages_hard {
                shared.checkpoint.request();
                shared.checkpoint.wait(Duration::from_secs(2));
            }
            shared.gate.enter_writer();
            let Err(error) = writer.step(shared) else {
                if writer.work.is_empty() {
                    break;
                }
                stopping = writer.take(shared);
                continue;
            };
            writer.stalled(shared, &error);
            if stopping {
                writer.give_up(shared);
                return;
            }
            shared.checkpoint.request();
            shared.wait_retry(RETRY);
            stopping = writer.take(shared);
        }
    }
}

/// Commit the queue on the caller's thread, if that needs no waiting: no other thread commits, and nothing is being synced or moved. The hop
/// to the writer's thread would cost a lone frame more than its commit. Otherwise, and if the disk refuses, the writer's thread commits it.
pub(crate) fn lead(shared: &Shared) {
    let led = || {
        if shared.syncing.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let mut held = match shared.writer.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let writer = held.as_mut()?;
        let is_small = |queue: &Queue| {
            queue.messages.len() == 1
                && matches!(queue.messages.front(), Some(Message::Documents { .. }))
        };
        let began = Instant::now();
        if !writer.work.is_empty()
            || writer.slow_until.is_some_and(|until| began < until)
            || !is_small(&lock(&shared.queue))
            || writer.wal_pages.load(Ordering::Relaxed) > shared.wal_pages_hard
            || !shared.gate.try_enter_writer()
        {
            return None;
        }
        writer.take(shared);
        // Another process that uses the file would make it wait.
        let at_once = writer.state.db.busy_timeout(Duration::ZERO);
        let outcome = writer.step(shared);
        let patient = writer.state.db.busy_timeout(schema::BUSY_TIMEOUT);
        if began.elapsed() > SLOW {
            writer.slow_until = Some(Instant::now() + SLOW_PAUSE);
        }
        if outcome.is_err() || at_once.and(patient).is_err() || !writer.work.is_empty() {
            lock(&shared.queue).left_over = true;
            return None;
        }
        Some(())
    };
    if led().is_none() {
        shared.queue_filled.notify_one();
    }
}

/// The number of documents of live sources in the work, per source.
fn uncommitted(state: &State, work: &Work) -> HashMap<usize, u64> {
    let mut lost = HashMap::new();
    for message in &work.messages {
        if let Message::Documents { source, documents } = message
            && state
                .sources
                .get(*source)
                .is_some_and(|s| !s.rules.supply.is_replayable())
        {
            *lost.entry(*source).or_default() += documents.items.len() as u64;
        }
    }
    lost
}

/// Messages that were taken from the queue and are not committed.
#[derive(Default)]
struct Work {
    messages: VecDeque<Message>,
    confirmations: Vec<(i64, Confirmation)>,
    /// Documents that live sources lost, per source.
    lost: HashMap<usize, u64>,
}

impl Work {
    fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.confirmations.is_empty() && self.lost.is_empty()
    }
}

/// Wait for work or the end; true if it is time to look for old frames instead.
fn wait(shared: &Shared) -> bool {
    let queue = lock(&shared.queue);
    let (_queue, outcome) = shared
        .queue_filled
        .wait_timeout_while(queue, IDLE, |q| q.is_empty() && !q.stopping)
        .unwrap_or_else(PoisonError::into_inner);
    outcome.timed_out()
}

/// How many messages from the front make one group.
fn group_size(held: &VecDeque<Message>, limit: usize) -> usize {
    let mut bytes = 0;
    held.iter()
        .take_while(|message| {
            let fits = bytes < limit;
            match message {
                Message::Command(_) => return false,
                Message::Documents { documents, .. } => bytes += documents.bytes(),
            }
            fits
        })
        .count()
}

type Done = (Vec<Arc<crate::row::Row>>, Vec<(usize, usize)>);

fn transact(state: &State, work: &Work, count: usize, marks: &mut Marks) -> Result<Group> {
    let now_ns = now_ns();
    let mut group = Group::new(state, now_ns);
    // Cached, so that it is not compiled again for each group.
    state.db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let outcome = apply(state, &mut group, work, count).and_then(|()| {
        mark(&state.db, marks, now_ns / 1_000_000)?;
        // Otherwise the newest row determines it, and one page less is written.
        if group.rows.is_empty() || group.oldest != state.oldest {
            write_next(state, group.next)?;
        }
        state.db.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    });
    match outcome {
        Ok(()) => Ok(group),
        Err(error) => {
            // SQLite may have rolled back itself (a full disk); then this says so and changes nothing.
            let _ = state.db.execute_batch("ROLLBACK");
            *marks = Marks::default();
            Err(error)
        }
    }
}

fn apply(state: &State, group: &mut Group, work: &Work, count: usize) -> Result<()> {
    for (sink, confirmation) in &work.confirmations {
        group.confirm(state, *sink, confirmation.clone())?;
    }
    for message in work.messages.iter().take(count) {
        if let Message::Documents { source, documents } = message {
            group.documents(state, *source, documents)?;
        }
    }
    group.finish(state, &work.lost)
}

/// Positions are never given twice, also when the table of frames is empty.
pub(crate) fn write_next(state: &State, next: u64) -> Result<()> {
    state
        .db
        .prepare_cached(
            "INSERT INTO meta VALUES ('next', ?1) ON CONFLICT DO UPDATE SET value=excluded.value",
        )?
        .execute(params![next as i64])?;
    Ok(())
}

/// Write whole windows and memories whose logs have grown. A failure only leaves a longer log.
fn compact(state: &mut State) {
    for at in 0..state.sources.len() {
        if let Some(source) = state
            .sources
            .get(at)
            .filter(|s| s.memory.wants_compaction())
        {
            let written = transaction(&state.db, || {
                source.memory.write(&state.db, source.id, now_ns())
            });
            if let (Ok(bytes), Some(source)) = (written, state.sources.get_mut(at)) {
                source.memory.stored_bytes = bytes;
                source.memory.log_bytes = 0;
            }
        }
        let Some(source) = state.sources.get(at).filter(|s| s.wants_compaction()) else {
            continue;
        };
        let written = transaction(&state.db, || source.compact(&state.db));
        if let (Ok(bytes), Some(source)) = (written, state.sources.get_mut(at)) {
            source.window_bytes = bytes;
            source.log_bytes = 0;
        }
    }
}

/// Run a closure in a transaction of its own.
pub(crate) fn transaction<T>(
    db: &rusqlite::Connection,
    body: impl FnOnce() -> Result<T>,
) -> Result<T> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    match body().and_then(|value| {
        db.execute_batch("COMMIT")
            .map_err(Into::into)
            .map(|()| value)
    }) {
        Ok(value) => Ok(value),
        Err(error) => {
            let _ = db.execute_batch("ROLLBACK");
            Err(error)
        }
    }
}

/// The error of a journal whose thread is gone.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the journal is closed")
}
