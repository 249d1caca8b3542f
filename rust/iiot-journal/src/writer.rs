//! One commit of the writer: a group of messages in one transaction, and what is kept for the next one.

use crate::commit::Group;
use crate::error::Result;
use crate::queue::Message;
use crate::sink::Confirmation;
use crate::state::State;
use crate::status::{Marks, mark};
use crate::transaction::transaction;
use crate::wall_clock::now_ns;
use rusqlite::params;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Everything that a commit needs. The thread that holds it is the writer: the thread of that name, or a live source's own thread for one
/// small group.
pub(crate) struct Writer {
    pub state: State,
    pub(crate) work: Work,
    marks: Marks,
    pub(crate) first_ticket: u64,
    /// Bytes of a group; halved when the disk is full.
    pub(crate) limit: usize,
    /// Pages in the write-ahead log after the last commit.
    pub(crate) wal_pages: Arc<AtomicU64>,
    /// Until this time no source's thread commits, because the last such commit had to wait for the disk.
    pub(crate) slow_until: Option<Instant>,
}

impl Writer {
    /// `group_bytes` is the most that a group holds, about.
    pub(crate) fn new(group_bytes: usize, mut state: State) -> Result<Self> {
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
            limit: group_bytes,
            wal_pages,
            slow_until: None,
        })
    }

    /// Commit the first `count` messages with every confirmation and loss; on an error all of them are still in the work.
    pub(crate) fn commit(&mut self, count: usize) -> Result<Done> {
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
}

/// The number of documents of live sources in the work, per source.
pub(crate) fn uncommitted(state: &State, work: &Work) -> HashMap<usize, u64> {
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
pub(crate) struct Work {
    pub(crate) messages: VecDeque<Message>,
    pub(crate) confirmations: Vec<(i64, Confirmation)>,
    /// Documents that live sources lost, per source.
    pub(crate) lost: HashMap<usize, u64>,
}

impl Work {
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.confirmations.is_empty() && self.lost.is_empty()
    }
}

/// How many messages from the front make one group.
pub(crate) fn group_size(held: &VecDeque<Message>, limit: usize) -> usize {
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

pub(crate) type Done = (Vec<Arc<crate::row::Row>>, Vec<(usize, usize)>);

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
pub(crate) fn compact(state: &mut State) {
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
