//! The journal's state of a source: its clock, its window of receptions, and how far a recording was read.

use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Memory, MemoryDelta};
use crate::message_ids::{MessageIds, NewIds};
use crate::receivers::{ReceiverId, Uptime};
use crate::row::Supply;
use iiot_core::clock::{NodeClock, StampClock};
use iiot_core::moment::Belief;
use iiot_core::window::{Delta, Window};
use iiot_core::window_bytes::{decode_entries, encode_entries};
use rusqlite::{Connection, OptionalExtension, params};

/// The whole window is written again when the receptions logged since then are larger than this and larger than the
/// window.
const LOG_BYTES: usize = 64 * 1024;

/// How documents of a source are judged.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub origin: i64,
    pub window_ms: i64,
    pub step_ns: i64,
    pub uptime_bits: u32,
    /// Which times of documents are believed.
    pub belief: Belief,
    /// Documents may have times of their own.
    pub has_times: bool,
    pub supply: Supply,
    /// Its messages are shared with other gateways.
    pub is_shared: bool,
    /// Its clock is that of the recording: a fall of this clock is not an event of this machine.
    pub recording: bool,
    /// A recording's first document gets this time, and later ones follow the node's clock.
    pub start_ns: Option<i64>,
}

/// The part of a source that changes with its frames; small, so that a group works on a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Clocks {
    pub stamp: StampClock,
    /// The clock of the first receiver.
    pub node: NodeClock,
    /// The key of the first receiver, if there may be others.
    pub first: Option<u64>,
    /// First byte of the stream that is not settled.
    pub position: u64,
    pub finished: bool,
    /// `stamp` is another recording's of the same source, until the first frame.
    pub seeded: bool,
}

impl Clocks {
    /// The newest arrival.
    pub(crate) fn arrival_ns(&self) -> Option<i64> {
        Some(self.stamp.last_clock_ns).filter(|clock| *clock != i64::MIN)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(49);
        out.extend_from_slice(&self.stamp.last_stamp_ns.to_le_bytes());
        out.extend_from_slice(&self.stamp.last_clock_ns.to_le_bytes());
        self.node.encode(&mut out);
        // Without it, the state is that of a source with one receiver.
        out.extend(self.first.into_iter().flat_map(u64::to_le_bytes));
        out
    }

    fn decode(bytes: &[u8], position: u64, finished: bool) -> Option<Self> {
        let word = |at: usize| {
            bytes
                .get(at..at + 8)?
                .try_into()
                .ok()
                .map(i64::from_le_bytes)
        };
        Some(Self {
            stamp: StampClock {
                last_stamp_ns: word(0)?,
                last_clock_ns: word(8)?,
            },
            node: NodeClock::decode(bytes.get(16..)?)?,
            first: word(41).map(i64::cast_unsigned),
            position,
            finished,
            seeded: false,
        })
    }
}

/// A source as it is committed.
#[derive(Debug)]
pub(crate) struct Source {
    pub id: i64,
    pub name: String,
    pub rules: Rules,
    pub clocks: Clocks,
    pub window: Window,
    pub log_bytes: usize,
    pub window_bytes: usize,
    pub memory: Memory,
    /// Of a source whose senders name their messages.
    pub message_ids: Option<MessageIds>,
}

/// A source's changes within a group.
#[derive(Debug)]
pub(crate) struct Change {
    pub clocks: Clocks,
    pub delta: Delta,
    pub memory: MemoryDelta,
    pub message_ids: NewIds,
    /// Bytes that were logged of the window and of the memory.
    pub logged: (usize, usize),
}

impl Source {
    pub(crate) fn change(&self) -> Change {
        Change {
            clocks: self.clocks.clone(),
            delta: Delta::default(),
            memory: MemoryDelta::default(),
            message_ids: NewIds::default(),
            logged: (0, 0),
        }
    }

    /// The number of a receiver.
    pub(crate) fn receiver(
        &self,
        change: &mut Change,
        id: Option<ReceiverId>,
        has_uptime: bool,
    ) -> u64 {
        let delta = &change.memory.receivers;
        let first = &mut change.clocks.first;
        self.memory.receivers.number(delta, first, id, has_uptime)
    }

    /// Advance a receiver's clock to that of a document; returns milliseconds since the source's first document, if this one has a clock and its receiver is
    /// remembered.
    pub(crate) fn advance(
        &self,
        change: &mut Change,
        receiver: u64,
        uptime_ms: Option<u64>,
        counter: Option<u64>,
        received_at_ns: i64,
    ) -> Option<i64> {
        let (uptime_ms, bits) = (uptime_ms?, self.rules.uptime_bits);
        let node = &mut change.clocks.node;
        if receiver == 0 {
            return Some(node.advance(uptime_ms, counter, bits));
        }
        let begin_ms = node.now_ms().unwrap_or(0);
        let uptime = Uptime {
            ms: uptime_ms,
            counter,
            bits,
            received_at_ns,
        };
        let delta = &mut change.memory.receivers;
        self.memory
            .receivers
            .advance(delta, receiver, begin_ms, uptime)
    }

    /// The time of a document without an uptime in the window of its receiver; none if the receiver is not remembered.
    pub(crate) fn now_ms(
        &self,
        change: &mut Change,
        receiver: u64,
        id: Option<ReceiverId>,
        received_at_ns: i64,
    ) -> Option<i64> {
        if receiver == 0 {
            let now_ms = change.clocks.node.now_ms();
            return Some(now_ms.unwrap_or(received_at_ns / 1_000_000));
        }
        let delta = &mut change.memory.receivers;
        if id.is_some_and(|id| !id.has_clock) {
            return self.memory.receivers.hear(delta, receiver, received_at_ns);
        }
        self.memory.receivers.now_ms(delta, receiver)
    }

    /// Write a change.
    pub(crate) fn write(&self, db: &Connection, change: &mut Change) -> Result<()> {
        db.prepare_cached("UPDATE source SET state=?2, position=?3, finished=?4 WHERE id=?1")?
            .execute(params![
                self.id,
                change.clocks.encode(),
                change.clocks.position as i64,
                change.clocks.finished
            ])?;
        let log = encode_entries(&change.delta.entries);
        if !log.is_empty() {
            db.prepare_cached("INSERT INTO window_log(source, entries) VALUES (?1, ?2)")?
                .execute(params![self.id, log])?;
        }
        let memory_log = change.memory.encode();
        Memory::log(db, self.id, &memory_log)?;
        if let Some(ids) = &self.message_ids {
            ids.write(db, self.id, &change.message_ids)?;
        }
        change.logged = (log.len(), memory_log.len());
        Ok(())
    }

    pub(crate) fn merge(&mut self, change: Change, now_ns: i64) {
        self.clocks = change.clocks;
        self.window.merge(change.delta, self.rules.window_ms);
        self.log_bytes = self.log_bytes.saturating_add(change.logged.0);
        self.memory.merge(change.memory, change.logged.1, now_ns);
        if self.window.is_full() || self.memory.receivers.is_full() {
            self.make_room();
        }
        if let Some(ids) = &mut self.message_ids {
            ids.merge(change.message_ids);
        }
    }

    /// Forget silent receivers. The logs cannot say so, so window and memory are written whole.
    fn make_room(&mut self) {
        let silent = self.memory.receivers.forget_silent();
        for receiver in &silent {
            self.window.forget(*receiver);
        }
        if !silent.is_empty() {
            (self.log_bytes, self.memory.log_bytes) = (usize::MAX, usize::MAX);
        }
    }

    /// Whether it keeps its frames until there is room.
    pub(crate) fn waits(&self) -> bool {
        self.rules.supply == Supply::Waiting
    }

    pub(crate) fn wants_compaction(&self) -> bool {
        self.log_bytes > LOG_BYTES.max(2 * self.window_bytes)
    }

    /// Write the whole window and delete its log, in a transaction of the caller.
    pub(crate) fn compact(&self, db: &Connection) -> Result<usize> {
        write_window(db, self.id, &self.window)
    }
}

/// Write a whole window and delete its log, in a transaction of the caller. Returns the bytes of the window.
pub(crate) fn write_window(db: &Connection, source: i64, window: &Window) -> Result<usize> {
    let window = window.encode();
    db.prepare_cached("UPDATE source SET window=?2 WHERE id=?1")?
        .execute(params![source, window])?;
    db.prepare_cached("DELETE FROM window_log WHERE source=?1")?
        .execute([source])?;
    Ok(window.len())
}

/// The latest stamp that a source of this name gave.
fn last_stamp(db: &Connection, name: &str) -> Result<StampClock> {
    let mut states = db.prepare("SELECT state FROM source WHERE name=?1")?;
    let mut rows = states.query([name])?;
    let mut last = StampClock::default();
    while let Some(row) = rows.next()? {
        let state: Vec<u8> = row.get(0)?;
        if let Some(clocks) =
            Clocks::decode(&state, 0, false).filter(|c| c.stamp.last_stamp_ns > last.last_stamp_ns)
        {
            last = clocks.stamp;
        }
    }
    Ok(last)
}

/// Id, arguments, position, finished, state, window.
type StoredRow = (i64, String, i64, bool, Vec<u8>, Vec<u8>);

/// Find or create a source's row, in a transaction of the caller. `fingerprint` is empty for a live source.
pub(crate) fn load(
    db: &Connection,
    name: &str,
    fingerprint: &str,
    arguments: &str,
    from_start: bool,
    rules: Rules,
) -> Result<Source> {
    // Stamps of one source never repeat, also over several recordings that are stamped as they are read.
    let stamp = if rules.start_ns.is_none() {
        last_stamp(db, name)?
    } else {
        StampClock::default()
    };
    if from_start {
        db.execute(
            "DELETE FROM window_log WHERE source IN (SELECT id FROM source WHERE name=?1 AND fingerprint=?2)",
            [name, fingerprint],
        )?;
        db.execute(
            "DELETE FROM memory_log WHERE source IN (SELECT id FROM source WHERE name=?1 AND fingerprint=?2)",
            [name, fingerprint],
        )?;
        db.execute(
            "DELETE FROM source WHERE name=?1 AND fingerprint=?2",
            [name, fingerprint],
        )?;
    }
    let stored: Option<StoredRow> = db
        .query_row(
            "SELECT id, arguments, position, finished, state, window FROM source WHERE name=?1 AND fingerprint=?2",
            [name, fingerprint],
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?)),
        )
        .optional()?;
    let Some((id, begun_with, position, finished, state, window_bytes)) = stored else {
        let clocks = Clocks {
            stamp,
            seeded: true,
            ..Clocks::default()
        };
        db.execute(
            "INSERT INTO source(name, fingerprint, arguments, position, finished, state, window) VALUES (?1, ?2, ?3, 0, 0, ?4, ?5)",
            params![name, fingerprint, arguments, clocks.encode(), Window::default().encode()],
        )?;
        let id = db.last_insert_rowid();
        return Ok(Source {
            id,
            name: name.into(),
            memory: Memory::new(rules.window_ms, None),
            rules,
            clocks,
            window: Window::default(),
            log_bytes: 0,
            window_bytes: 0,
            message_ids: None,
        });
    };
    if begun_with != arguments {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "this recording was begun with other arguments ({begun_with:?}, now {arguments:?}); give those again, or --from-start to begin anew"
            ),
        ));
    }
    let clocks =
        Clocks::decode(&state, position as u64, finished).ok_or_else(|| damaged("clock", name))?;
    let (window, log_bytes) = stored_window(db, id, name, &window_bytes, rules.window_ms)?;
    Ok(Source {
        id,
        name: name.into(),
        memory: Memory::load(db, id, name, rules.window_ms, clocks.arrival_ns())?,
        rules,
        clocks,
        window,
        log_bytes,
        window_bytes: window_bytes.len(),
        message_ids: None,
    })
}

fn damaged(what: &str, name: &str) -> Error {
    Error::new(
        ErrorKind::Damaged,
        format!("the {what} of source {name} cannot be read; nothing was changed"),
    )
}

/// A window with the receptions logged since it was written, and how many bytes those take.
fn stored_window(
    db: &Connection,
    id: i64,
    name: &str,
    window: &[u8],
    window_ms: i64,
) -> Result<(Window, usize)> {
    let mut window = Window::decode(window).ok_or_else(|| damaged("window", name))?;
    let mut log_bytes = 0;
    let mut log = db.prepare("SELECT entries FROM window_log WHERE source=?1 ORDER BY id")?;
    let mut rows = log.query([id])?;
    while let Some(row) = rows.next()? {
        let entries: Vec<u8> = row.get(0)?;
        log_bytes += entries.len();
        window.replay(
            decode_entries(&entries).ok_or_else(|| damaged("window log", name))?,
            window_ms,
        );
    }
    Ok((window, log_bytes))
}

/// What is stored of a source.
pub(crate) struct Stored {
    pub id: i64,
    pub clocks: Clocks,
    pub window: Window,
    pub memory: Memory,
}

impl Stored {
    /// Of a source that the journal does not know.
    pub(crate) fn nothing(window_ms: i64) -> Self {
        Self {
            id: 0,
            clocks: Clocks::default(),
            window: Window::default(),
            memory: Memory::new(window_ms, None),
        }
    }
}

/// The source of this name, as it is stored: of several recordings, the one begun last.
pub(crate) fn stored(db: &Connection, name: &str, window_ms: i64) -> Result<Option<Stored>> {
    let mut query = db.prepare("SELECT id, position, finished, state, window FROM source WHERE name=?1 ORDER BY id DESC LIMIT 1")?;
    let mut rows = query.query([name])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let (id, position): (i64, i64) = (row.get(0)?, row.get(1)?);
    let (state, window): (Vec<u8>, Vec<u8>) = (row.get(3)?, row.get(4)?);
    let clocks = Clocks::decode(&state, position as u64, row.get(2)?)
        .ok_or_else(|| damaged("clock", name))?;
    let (window, _) = stored_window(db, id, name, &window, window_ms)?;
    let memory = Memory::load(db, id, name, window_ms, clocks.arrival_ns())?;
    Ok(Some(Stored {
        id,
        clocks,
        window,
        memory,
    }))
}
