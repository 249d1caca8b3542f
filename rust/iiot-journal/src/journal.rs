//! Opens, closes and queries a journal.

use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, closed};
use crate::keep::Keep;
use crate::lock::{Lock, with_suffix};
use crate::mutex::lock;
use crate::reject::{self, Reject};
use crate::room::{Room, free_bytes};
use crate::runs::{self, Runs};
use crate::shared::Shared;
use crate::sites::{self, SiteChunk, Sites};
use crate::state::{Limits, State};
use crate::status::{self, Status};
use crate::sync::{SyncMode, checkpoint_thread, sync_thread};
use crate::transaction::transaction;
use crate::wall_clock::now_ns;
use crate::writer::Writer;
use crate::{copy_mark, schema, sink, wal, writing};
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The largest size of the log; its share of `max_bytes` is another bound.
const WAL_BYTES: u64 = 16_000_000;
/// The room, beside the log's own size, that stays free on a disk on which no room could be reserved.
const MARGIN_BYTES: u64 = 256 << 10;
/// As the schema sets it.
const PAGE_BYTES: u64 = 4096;

/// How a journal is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// When commits are synced.
    pub sync: SyncMode,
    /// Bytes of the file and its log together; at least 1 MiB.
    pub max_bytes: u64,
    /// Frames older than this (since their commit) are removed.
    pub max_age: Option<Duration>,
    /// How many rejects are kept.
    pub max_rejects: u64,
    /// How long frames stay that every sink has confirmed, while at least half of the room is free.
    pub keep_confirmed: Duration,
    /// Sinks that were known when the journal was closed stay known without being added. This is for commands that change the journal of
    /// a stopped gateway.
    pub keep_sinks: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sync: SyncMode::Full,
            max_bytes: 256 << 20,
            max_age: None,
            max_rejects: 10_000,
            keep_confirmed: Duration::ZERO,
            keep_sinks: false,
        }
    }
}

struct Threads {
    writer: JoinHandle<()>,
    sync: JoinHandle<()>,
    checkpoint: JoinHandle<Option<Room>>,
}

/// The durable log. All methods may be called from any thread.
pub struct Journal {
    pub(crate) shared: Arc<Shared>,
    id: String,
    runs: Arc<Runs>,
    pub(crate) path: PathBuf,
    threads: Mutex<Option<Threads>>,
    reader: Mutex<Option<Connection>>,
    lock: Mutex<Option<Lock>>,
}

impl Journal {
    /// Open or create a journal and start its threads.
    pub fn open(path: &Path, options: &Options) -> Result<Self> {
        Self::open_inner(path, options).map_err(|e| e.at(path))
    }

    fn open_inner(path: &Path, options: &Options) -> Result<Self> {
        let most = options.max_bytes;
        if most < 1 << 20 {
            let text = format!("max_bytes is {most}, at least 1048576 is needed");
            return Err(Error::new(ErrorKind::Conflict, text));
        }
        let held = Lock::take(path)?;
        let log_path = with_suffix(path, "-wal");
        let report =
            wal::inspect(&log_path).map_err(|e| Error::io("cannot read", &log_path, &e))?;
        drop(schema::open(path, true)?);
        let mut wal_bytes = WAL_BYTES.min(options.max_bytes / 4);
        // Whole pages: SQLite counts a partial page as a page, finds the file too short for it, and allocates the same room once more.
        let live_bytes = (options.max_bytes - wal_bytes) / PAGE_BYTES * PAGE_BYTES;
        let mut notes = Vec::new();
        let (room, refused) = match Room::reserve(path, live_bytes) {
            Ok(room) => (Some(room), None),
            Err(error) => (None, Some(error)),
        };
        let db = schema::open(path, false)?;
        let was_closed = was_closed(&db, report, &mut notes)?;
        db.execute_batch("INSERT INTO meta VALUES ('open', 1) ON CONFLICT DO UPDATE SET value=1")?;
        db.execute("INSERT INTO meta VALUES ('max_bytes', ?1), ('live_bytes', ?2) ON CONFLICT DO UPDATE SET value=excluded.value", [options.max_bytes as i64, live_bytes as i64])?;
        let log = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&log_path)
            .map_err(|e| Error::io("cannot open", &log_path, &e))?;
        let mut keep_free = None;
        // The log is opened by path as well, but it carries no locks.
        let refused = refused.map_or_else(|| Room::reserve(&log_path, wal_bytes).err(), Some);
        if let Some(room) = &room {
            room.keep_whole_chunks(&db)?;
        }
        if let Some(error) = refused {
            // On a small disk the log must leave room for the file into which it is moved.
            wal_bytes = wal_bytes.min(free_bytes(path) / 4).max(256 << 10);
            let log_reserved = Room::reserve(&log_path, wal_bytes).is_ok();
            keep_free = Some(
                if log_reserved {
                    wal_bytes
                } else {
                    2 * wal_bytes
                } + MARGIN_BYTES,
            );
            notes.push(format!("journal_room_not_reserved: {error}; a disk that others fill can stop the intake before max_bytes is used"));
        }
        let id = identity(&db)?;
        let (oldest, next) = extent(&db)?;
        let runs = runs::begin(&db, next, was_closed, (&log, &log_path))?;
        let (sinks, told) =
            transaction(&db, || sink::at_open(&db, options.keep_sinks, oldest, next))?;
        notes.extend(told);
        let state = State {
            limits: Limits {
                live_bytes,
                keep_free: keep_free.map(|bytes| (path.to_owned(), bytes)),
                max_age_ms: options
                    .max_age
                    .map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX)),
                max_rejects: i64::try_from(options.max_rejects).unwrap_or(i64::MAX),
                reject_bytes: (live_bytes / 8) as i64,
            },
            next,
            oldest,
            dropped_within: false,
            sources: Vec::new(),
            sinks,
            origins: origins(&db)?,
            reject_bytes: reject::total_bytes(&db)?,
            notes: Vec::new(),
            links: crate::links::Links::default(),
            copying: None,
            sites: Sites::load(&db)?,
            keep: Keep::new(i64::try_from(options.keep_confirmed.as_millis()).unwrap_or(i64::MAX)),
            db,
        };
        let shared = Arc::new(Shared::new(wal_bytes, next, HashMap::new()));
        *lock(&shared.notes) = notes;
        let reader = schema::open_for_reading(path)?;
        let checkpointer = schema::open(path, false)?;
        if let Some(room) = &room {
            room.keep_whole_chunks(&checkpointer)?;
        }
        let threads = spawn(&shared, state, (checkpointer, room), log, options.sync)?;
        Ok(Self {
            shared,
            id,
            runs: Arc::new(runs),
            path: path.to_owned(),
            threads: Mutex::new(Some(threads)),
            reader: Mutex::new(Some(reader)),
            lock: Mutex::new(Some(held)),
        })
    }

    /// Make a sink known. A new one begins at the oldest kept frame. Call for every sink before the first source.
    pub fn add_sink(&self, name: &str, profiles: Option<Vec<String>>) -> Result<Cursor> {
        let owned = name.to_owned();
        let (id, cursor) = self.shared.command(move |state| {
            let (mut sink, note) = transaction(&state.db, || {
                sink::activate(&state.db, &owned, profiles, state.oldest, state.next)
            })?;
            state.notes.extend(note);
            let (id, cursor) = (sink.id, sink.cursor);
            let before = state.sinks.iter().find(|s| s.id == id);
            sink.may_drop = before.is_some_and(|s| s.may_drop);
            state.sinks.retain(|s| s.id != id);
            state.sinks.push(sink);
            Ok((id, cursor))
        })?;
        Cursor::new(Arc::clone(&self.shared), &self.path, id, name, cursor)
    }

    /// A random id of this journal, 32 hexadecimal digits; it is made together with the journal.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The runs of this journal, the present one last. They do not change while it is open.
    pub fn runs(&self) -> Arc<Runs> {
        Arc::clone(&self.runs)
    }

    /// When room is scarce, drop frames that only this sink lacks first, so that it does not stop the intake of sources that wait.
    pub fn may_drop(&self, sink: &str) -> Result<()> {
        let name = sink.to_owned();
        self.shared.command(move |state| {
            for sink in state.sinks.iter_mut().filter(|sink| sink.name == name) {
                sink.may_drop = true;
            }
            Ok(())
        })
    }

    /// Notes for the operator since the last call.
    pub fn notes(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.shared.notes))
    }

    /// The ledger.
    pub fn status(&self) -> Result<Status> {
        self.with_reader(|db| status::read(db, Some(now_ns() / 1_000_000)))
    }

    /// Which values of a site have come, if that is still kept: chunks behind this run and number, in the order of both.
    pub fn site_chunks(
        &self,
        origin: &str,
        behind: Option<(&str, u64)>,
        most: u32,
    ) -> Result<Vec<SiteChunk>> {
        self.with_reader(|db| sites::chunks(db, origin, behind, most))
    }

    /// The reason why nothing is accepted at the moment, if there is one.
    pub fn stalled(&self) -> Option<String> {
        let unsynced = lock(&self.shared.progress).sync_error.clone();
        lock(&self.shared.queue).stalled.clone().or(unsynced)
    }

    /// The kept rejects, newest first.
    pub fn rejects(&self, limit: u64) -> Result<Vec<Reject>> {
        self.with_reader(|db| reject::list(db, limit))
    }

    pub(crate) fn with_reader<T>(&self, body: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        body(lock(&self.reader).as_ref().ok_or_else(closed)?)
    }

    /// Wait until every sink has passed every committed frame.
    pub fn wait_delivered(&self, timeout: Duration) -> bool {
        let ticket = lock(&self.shared.queue).last_ticket;
        self.shared.wait_progress(timeout, |p| {
            p.committed_ticket >= ticket && p.cursors.values().all(|&cursor| cursor >= p.head)
        })
    }

    /// Commit and sync everything pushed so far.
    pub fn sync(&self, timeout: Duration) -> bool {
        self.shared.sync(timeout)
    }

    /// Commit, sync, move the log into the file, end the threads, and release the lock. All later calls fail with `Closed`.
    ///
    /// Returns how many documents of live sources could not be committed. They are lost; the loss is counted if the disk still stores
    /// that count.
    ///
    /// If the disk does not answer within the time-out, the threads are left waiting for it, and the next start recovers.
    pub fn close(&self, timeout: Duration) -> Result<u64> {
        let Some(threads) = lock(&self.threads).take() else {
            return Ok(0);
        };
        lock(&self.shared.queue).stopping = true;
        self.shared.queue_filled.notify_all();
        if !self.shared.wait_progress(timeout, |p| p.writer_ended) {
            return Err(Error::new(
                ErrorKind::Io,
                "the disk does not answer; what was committed is safe, the next start recovers",
            )
            .at(&self.path));
        }
        let _ = threads.writer.join();
        let writer = lock(&self.shared.writer).take();
        lock(&self.shared.progress).stopping = true;
        self.shared.progress_changed.notify_all();
        self.shared.checkpoint.stop();
        lock(&self.reader).take();
        let _ = threads.sync.join();
        // Held until no connection is left: see `Room`.
        let _room = threads.checkpoint.join();
        if let Some(Writer { state, .. }) = writer {
            // Best effort: without it, the next start recovers and logs it.
            let _ = state.db.execute_batch(
                "UPDATE meta SET value=0 WHERE key='open'; PRAGMA wal_checkpoint(PASSIVE);",
            );
            let file = File::open(&self.path).and_then(|f| f.sync_data());
            drop(state);
            file.map_err(|e| Error::io("cannot sync", &self.path, &e))?;
        }
        self.shared.wake();
        lock(&self.lock).take();
        Ok(lock(&self.shared.progress).uncommitted)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.close(Duration::from_secs(3));
    }
}

fn spawn(
    shared: &Arc<Shared>,
    state: State,
    (checkpointer, room): (Connection, Option<Room>),
    log: File,
    mode: SyncMode,
) -> Result<Threads> {
    let named = |name: &str| {
        std::thread::Builder::new()
            .name(name.into())
            .stack_size(512 * 1024)
    };
    let failed =
        |e: std::io::Error| Error::new(ErrorKind::Io, format!("cannot start a thread: {e}"));
    *lock(&shared.writer) = Some(Writer::new(shared.group_bytes, state)?);
    let for_writer = Arc::clone(shared);
    let writer = named("journal-write")
        .spawn(move || {
            writing::run(&for_writer);
            lock(&for_writer.progress).writer_ended = true;
            for_writer.progress_changed.notify_all();
        })
        .map_err(failed)?;
    let for_sync = Arc::clone(shared);
    let sync = named("journal-sync")
        .spawn(move || sync_thread(&for_sync, &log, mode))
        .map_err(failed)?;
    let for_checkpoint = Arc::clone(shared);
    let checkpoint = named("journal-move")
        .spawn(move || {
            checkpoint_thread(&for_checkpoint, &checkpointer, room.as_ref());
            room
        })
        .map_err(failed)?;
    Ok(Threads {
        writer,
        sync,
        checkpoint,
    })
}

/// Whether it was closed properly, so that it contains everything of its last run. Otherwise a note is made.
fn was_closed(db: &Connection, report: wal::WalReport, notes: &mut Vec<String>) -> Result<bool> {
    let was_open: Option<i64> = db
        .query_row("SELECT value FROM meta WHERE key='open'", [], |r| r.get(0))
        .optional()?;
    if let Some(note) = copy_mark::at_open(db)? {
        notes.push(note);
        return Ok(false);
    }
    if was_open == Some(1) {
        notes.push(format!(
            "journal_recovered: the gateway ended without closing it; {} pages of whole commits kept, {} pages of an unfinished one dropped",
            report.committed, report.dropped
        ));
    }
    Ok(was_open != Some(1))
}

/// The journal's id; made now, if it has none.
fn identity(db: &Connection) -> Result<String> {
    let stored: Option<String> = db
        .query_row("SELECT value FROM meta WHERE key='journal_id'", [], |r| {
            r.get(0)
        })
        .optional()?;
    if let Some(id) = stored {
        return Ok(id);
    }
    let id: String = db.query_row("SELECT lower(hex(randomblob(16)))", [], |r| r.get(0))?;
    db.execute("INSERT INTO meta VALUES ('journal_id', ?1)", [&id])?;
    Ok(id)
}

/// The oldest kept position, and the position behind the newest.
fn extent(db: &Connection) -> Result<(u64, u64)> {
    let one = |sql: &str| -> Result<Option<i64>> {
        Ok(db.query_row(sql, [], |r| r.get(0)).optional()?.flatten())
    };
    let stored = one("SELECT value FROM meta WHERE key='next'")?.unwrap_or(1);
    let end = one("SELECT first + count FROM frames ORDER BY first DESC LIMIT 1")?.unwrap_or(0);
    let next = stored.max(end);
    let oldest = one("SELECT min(first) FROM frames")?.unwrap_or(next);
    Ok((oldest as u64, next as u64))
}

/// Names of the profiles of all origins.
pub(crate) fn origins(db: &Connection) -> Result<HashMap<i64, String>> {
    let mut query =
        db.prepare("SELECT o.id, p.name FROM origin o JOIN profile p ON p.hash=o.profile")?;
    let rows = query.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}
