//! The writer thread: takes whatever has arrived since the last commit, commits it as one group, tells who waits.

use crate::commit::{Group, State};
use crate::error::{Error, ErrorKind, Result};
use crate::queue::Message;
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
    let mut held: VecDeque<Message> = VecDeque::new();
    let mut first_ticket = 1;
    loop {
        let (stopping, lost) = wait(shared, &mut held);
        if held.is_empty() && stopping {
            break;
        }
        if let Some(Message::Command(_)) = held.front() {
            if let Some(Message::Command(command)) = held.pop_front() {
                shared.gate.enter_writer();
                command(&mut state);
                shared.gate.leave_writer();
                shared.publish(&mut state, &[], first_ticket, &[]);
                first_ticket += 1;
            }
            continue;
        }
        let count = group_size(&held, shared.group_bytes);
        shared.gate.enter_writer();
        let outcome = commit(&mut state, &mut held, count, &lost, &mut marks);
        shared.gate.leave_writer();
        match outcome {
            Ok((rows, done)) => {
                first_ticket += count as u64;
                shared.publish(&mut state, &rows, first_ticket - 1, &done);
                compact(&mut state);
            }
            Err(error) => {
                shared.stall(&error, lost);
                if stopping {
                    break; // not accepted: the sources still have it, or it is counted as lost
                }
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

/// Wait for messages; moves them into `held`, with what live sources lost.
fn wait(shared: &Shared, held: &mut VecDeque<Message>) -> (bool, HashMap<usize, u64>) {
    let mut queue = lock(&shared.queue);
    while held.is_empty() && queue.messages.is_empty() && !queue.stopping && queue.lost.is_empty() {
        let (next, timeout) = shared
            .queue_filled
            .wait_timeout(queue, IDLE)
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        queue = next;
        if timeout.timed_out() {
            break;
        }
    }
    held.append(&mut queue.messages);
    (queue.stopping, std::mem::take(&mut queue.lost))
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
                Message::Confirm { confirmation, .. } => {
                    bytes += 64 * (1 + confirmation.topics.len() + confirmation.rejects.len());
                }
            }
            fits
        })
        .count()
}

type Done = (Vec<Arc<crate::row::Row>>, Vec<(usize, usize)>);

fn commit(
    state: &mut State,
    held: &mut VecDeque<Message>,
    count: usize,
    lost: &HashMap<usize, u64>,
    marks: &mut Marks,
) -> Result<Done> {
    let now_ns = now_ns();
    let mut group = Group::new(state, now_ns);
    state.db.execute_batch("BEGIN IMMEDIATE")?;
    let outcome = apply(state, &mut group, held, count, lost).and_then(|()| {
        mark(&state.db, marks, now_ns / 1_000_000)?;
        write_next(state, group.next)?;
        state.db.execute_batch("COMMIT")?;
        Ok(())
    });
    if let Err(error) = outcome {
        // SQLite may have rolled back itself (a full disk); then this says so and changes nothing.
        let _ = state.db.execute_batch("ROLLBACK");
        *marks = Marks::default();
        return Err(error);
    }
    let mut done = Vec::new();
    for message in held.drain(..count) {
        if let Message::Documents { source, documents } = message {
            done.push((source, documents.bytes()));
        }
    }
    Ok((group.merge(state), done))
}

fn apply(
    state: &State,
    group: &mut Group,
    held: &VecDeque<Message>,
    count: usize,
    lost: &HashMap<usize, u64>,
) -> Result<()> {
    // One write a sink: a sink that confirms often costs no more than one that confirms seldom.
    let mut confirmations: Vec<(i64, crate::sink::Confirmation)> = Vec::new();
    for message in held.iter().take(count) {
        match message {
            Message::Documents { source, documents } => {
                group.documents(state, *source, documents)?;
            }
            Message::Confirm { sink, confirmation } => {
                match confirmations.iter_mut().find(|(s, _)| s == sink) {
                    Some((_, before)) => before.extend(confirmation.clone()),
                    None => confirmations.push((*sink, confirmation.clone())),
                }
            }
            Message::Command(_) => {}
        }
    }
    for (sink, confirmation) in confirmations {
        group.confirm(state, sink, confirmation)?;
    }
    group.finish(state, lost)
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
