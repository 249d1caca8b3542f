//! The writer thread: takes whatever has arrived since the last commit, commits it as one group, tells who waits.

use crate::commit::{Group, State};
use crate::error::{Error, ErrorKind, Result};
use crate::queue::{Message, add_confirmation};
use crate::sink::Confirmation;
use crate::status::{Marks, mark};
use crate::{Shared, lock, now_ns};
use rusqlite::params;
use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before a failed commit is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// Without traffic the thread wakes this often, for the age limit.
const IDLE: Duration = Duration::from_secs(30);

thread_local! {
    /// Pages in the write-ahead log after this thread's last commit.
    static WAL_PAGES: Cell<u64> = const { Cell::new(0) };
}

/// Run until the journal is closed and everything that can be committed is.
pub(crate) fn run(shared: &Arc<Shared>, mut state: State) -> State {
    let counted = state.db.wal_hook(Some(
        |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
            WAL_PAGES.set(pages.unsigned_abs().into());
            Ok(())
        },
    ));
    if let Err(error) = counted {
        lock(&shared.notes).push(format!(
            "journal_log_uncounted: {error}; the log is moved at close only"
        ));
    }
    let mut marks = Marks::default();
    let mut work = Work::default();
    let mut first_ticket = 1;
    let mut limit = shared.group_bytes;
    loop {
        let stopping = wait(shared, &mut work);
        if work.is_empty() && stopping {
            break;
        }
        if matches!(work.messages.front(), Some(Message::Command(_))) {
            if let Some(Message::Command(command)) = work.messages.pop_front() {
                shared.gate.enter_writer();
                let tell = command(&mut state);
                shared.gate.leave_writer();
                shared.publish(&mut state, &[], first_ticket, &[]);
                tell();
                first_ticket += 1;
            }
            continue;
        }
        let count = group_size(&work.messages, limit);
        match commit(shared, &mut state, &mut work, count, &mut marks) {
            Ok((rows, done)) => {
                first_ticket += count as u64;
                limit = (limit * 2).min(shared.group_bytes);
                shared.publish(&mut state, &rows, first_ticket - 1, &done);
                compact(&mut state);
            }
            Err(error) => {
                shared.stall(&error, std::mem::take(&mut work.lost));
                // What sinks have confirmed frees room, and needs little.
                if let Ok((rows, _)) = commit(shared, &mut state, &mut work, 0, &mut marks) {
                    shared.advance(&mut state, &rows, first_ticket - 1);
                }
                if stopping {
                    // Not accepted. What can be given again is no loss; the rest is counted, if the disk takes that much.
                    let lost = uncommitted(&state, &work);
                    lock(&shared.progress).uncommitted = lost.values().sum();
                    work.lost = lost;
                    let _ = commit(shared, &mut state, &mut work, 0, &mut marks);
                    break;
                }
                limit = (limit / 2).max(1);
                shared.checkpoint.request();
                shared.wait_retry(RETRY);
            }
        }
        if WAL_PAGES.get() > shared.wal_pages_soft {
            shared.checkpoint.request();
            if WAL_PAGES.get() > shared.wal_pages_hard {
                shared.checkpoint.wait(Duration::from_secs(2));
            }
        }
    }
    state
}

/// Documents of live sources among the work, a source.
fn uncommitted(state: &State, work: &Work) -> HashMap<usize, u64> {
    let mut lost = HashMap::new();
    for message in &work.messages {
        if let Message::Documents { source, documents } = message
            && state
                .sources
                .get(*source)
                .is_some_and(|s| !s.rules.replayable)
        {
            *lost.entry(*source).or_default() += documents.items.len() as u64;
        }
    }
    lost
}

/// What was taken from the queue and is not committed.
#[derive(Default)]
struct Work {
    messages: VecDeque<Message>,
    confirmations: Vec<(i64, Confirmation)>,
    /// Documents that live sources lost, a source.
    lost: HashMap<usize, u64>,
}

impl Work {
    fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.confirmations.is_empty() && self.lost.is_empty()
    }
}

/// Wait for work, and take all there is. Returns whether the journal is being closed.
fn wait(shared: &Shared, work: &mut Work) -> bool {
    let mut queue = lock(&shared.queue);
    while work.is_empty() && queue.is_empty() && !queue.stopping {
        let (next, timeout) = shared
            .queue_filled
            .wait_timeout(queue, IDLE)
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        queue = next;
        if timeout.timed_out() {
            break;
        }
    }
    work.messages.append(&mut queue.messages);
    for (sink, confirmation) in queue.confirmations.drain(..) {
        add_confirmation(&mut work.confirmations, sink, confirmation);
    }
    for (source, documents) in queue.lost.drain() {
        *work.lost.entry(source).or_default() += documents;
    }
    queue.stopping
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

/// Commit the first `count` messages with every confirmation and loss; on an error all of them are still in `work`.
fn commit(
    shared: &Shared,
    state: &mut State,
    work: &mut Work,
    count: usize,
    marks: &mut Marks,
) -> Result<Done> {
    shared.gate.enter_writer();
    let outcome = transact(state, work, count, marks);
    shared.gate.leave_writer();
    let group = outcome?;
    work.confirmations.clear();
    work.lost.clear();
    let mut done = Vec::new();
    for message in work.messages.drain(..count) {
        if let Message::Documents { source, documents } = message {
            done.push((source, documents.bytes()));
        }
    }
    Ok((group.merge(state), done))
}

fn transact(state: &State, work: &Work, count: usize, marks: &mut Marks) -> Result<Group> {
    let now_ns = now_ns();
    let mut group = Group::new(state, now_ns);
    state.db.execute_batch("BEGIN IMMEDIATE")?;
    let outcome = apply(state, &mut group, work, count).and_then(|()| {
        mark(&state.db, marks, now_ns / 1_000_000)?;
        write_next(state, group.next)?;
        Ok(state.db.execute_batch("COMMIT")?)
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

/// Positions are never given twice, also when the table is empty.
pub(crate) fn write_next(state: &State, next: u64) -> Result<()> {
    state
        .db
        .prepare_cached(
            "INSERT INTO meta VALUES ('next', ?1) ON CONFLICT DO UPDATE SET value=excluded.value",
        )?
        .execute(params![next as i64])?;
    Ok(())
}

/// Write windows whole whose log has grown; a failure costs nothing but a longer log.
fn compact(state: &mut State) {
    for at in 0..state.sources.len() {
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

/// Run something in a transaction of its own.
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
