//! The SQLite file: its tables, its version, and how it is opened.

use crate::check;
use crate::error::{Error, ErrorKind, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// How long another process may hold the file before that is an error.
pub(crate) const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
/// `PRAGMA application_id`: "iiot".
const APPLICATION_ID: i64 = 0x6969_6f74;
/// `PRAGMA user_version` that this code writes and reads.
const VERSION: i64 = 5;

/// Version 5. Earlier versions lacked the tables and columns that [`FROM_VERSION_1`] and the steps after it add.
///
/// `frames.first` is the position of a row's first frame; positions count accepted frames from 1 and are never given twice.
/// `origin` says once what all frames of a row have in common. `source.state` and `window` are written by [`crate::source`];
/// `window_log` holds receptions accepted since `window` was written. `source.memory` and `memory_log` are the same for [`crate::memory`].
/// `message_ids` holds what senders called their messages, a row for each commit; see [`crate::message_ids`]. `sink_state` holds what sinks keep
/// with their cursors; see [`crate::sink_state`].
/// `site` and `site_chunk` hold which values of other gateways came; see [`crate::sites`].
const TABLES: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE profile(hash INTEGER PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE origin(
  id INTEGER PRIMARY KEY, source TEXT NOT NULL, profile INTEGER NOT NULL, topic_prefix TEXT NOT NULL, tags TEXT NOT NULL,
  UNIQUE(source, profile, topic_prefix, tags));
CREATE TABLE source(
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, fingerprint TEXT NOT NULL, arguments TEXT NOT NULL,
  position INTEGER NOT NULL, finished INTEGER NOT NULL, state BLOB NOT NULL, window BLOB NOT NULL, memory BLOB,
  UNIQUE(name, fingerprint));
CREATE TABLE window_log(id INTEGER PRIMARY KEY, source INTEGER NOT NULL, entries BLOB NOT NULL);
CREATE TABLE memory_log(id INTEGER PRIMARY KEY, source INTEGER NOT NULL, entries BLOB NOT NULL);
CREATE TABLE frames(
  first INTEGER PRIMARY KEY, count INTEGER NOT NULL, origin INTEGER NOT NULL, only_sink INTEGER, replayable INTEGER NOT NULL,
  committed_at_ms INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL, format INTEGER NOT NULL DEFAULT 1);
CREATE TABLE sink(
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, profiles TEXT NOT NULL, active INTEGER NOT NULL,
  cursor INTEGER NOT NULL, head INTEGER NOT NULL, accepted INTEGER NOT NULL, delivered INTEGER NOT NULL,
  superseded INTEGER NOT NULL, rejected INTEGER NOT NULL, dropped_full INTEGER NOT NULL, dropped_age INTEGER NOT NULL,
  dropped_away INTEGER NOT NULL);
CREATE TABLE topic(
  sink INTEGER NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL, retain INTEGER NOT NULL, time_ns INTEGER NOT NULL,
  PRIMARY KEY(sink, topic)) WITHOUT ROWID;
CREATE TABLE reject(
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, sink INTEGER, source TEXT NOT NULL, origin INTEGER,
  position INTEGER, point INTEGER, reason TEXT NOT NULL, place TEXT NOT NULL, excerpt TEXT NOT NULL,
  kind TEXT NOT NULL, time_ns INTEGER NOT NULL, received_at_ns INTEGER NOT NULL, document BLOB, topic TEXT, field INTEGER,
  uptime_start_ns INTEGER, moves BLOB, device BLOB);
CREATE INDEX reject_frame ON reject(sink, position);
CREATE TABLE message_ids(
  source INTEGER NOT NULL, newest_ms INTEGER NOT NULL, number INTEGER NOT NULL, entries BLOB NOT NULL,
  PRIMARY KEY(source, newest_ms, number)) WITHOUT ROWID;
CREATE TABLE sink_state(sink INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY(sink, key)) WITHOUT ROWID;
CREATE TABLE site(
  id INTEGER PRIMARY KEY, origin TEXT NOT NULL UNIQUE, received INTEGER NOT NULL, doubles INTEGER NOT NULL, forgotten INTEGER NOT NULL);
CREATE TABLE site_chunk(
  id INTEGER PRIMARY KEY, site INTEGER NOT NULL, run TEXT NOT NULL, number INTEGER NOT NULL, entries BLOB NOT NULL, UNIQUE(site, run, number));
";

/// From version 1 to 2: columns are added, and no row is rewritten, so that a full journal needs at most one more page. Old bodies are in format 1.
const FROM_VERSION_1: &str = "
ALTER TABLE frames ADD COLUMN format INTEGER NOT NULL DEFAULT 1;
ALTER TABLE reject ADD COLUMN topic TEXT;
ALTER TABLE reject ADD COLUMN field INTEGER;
";

/// From version 2 to 3, likewise.
const FROM_VERSION_2: &str = "
ALTER TABLE source ADD COLUMN memory BLOB;
CREATE TABLE memory_log(id INTEGER PRIMARY KEY, source INTEGER NOT NULL, entries BLOB NOT NULL);
ALTER TABLE reject ADD COLUMN uptime_start_ns INTEGER;
ALTER TABLE reject ADD COLUMN moves BLOB;
";

/// From version 3 to 4, likewise.
const FROM_VERSION_3: &str = "
ALTER TABLE reject ADD COLUMN device BLOB;
CREATE TABLE message_ids(
  source INTEGER NOT NULL, newest_ms INTEGER NOT NULL, number INTEGER NOT NULL, entries BLOB NOT NULL,
  PRIMARY KEY(source, newest_ms, number)) WITHOUT ROWID;
";

/// From version 4 to 5, likewise.
const FROM_VERSION_4: &str = "
CREATE TABLE sink_state(sink INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY(sink, key)) WITHOUT ROWID;
CREATE TABLE site(
  id INTEGER PRIMARY KEY, origin TEXT NOT NULL UNIQUE, received INTEGER NOT NULL, doubles INTEGER NOT NULL, forgotten INTEGER NOT NULL);
CREATE TABLE site_chunk(
  id INTEGER PRIMARY KEY, site INTEGER NOT NULL, run TEXT NOT NULL, number INTEGER NOT NULL, entries BLOB NOT NULL, UNIQUE(site, run, number));
";

/// The steps of the migration; the first is from version 1.
const STEPS: [&str; 4] = [
    FROM_VERSION_1,
    FROM_VERSION_2,
    FROM_VERSION_3,
    FROM_VERSION_4,
];

/// Open for writing. A new file gets its tables, a known one is checked, and any other is refused and not changed.
///
/// With `check` every page is read, and the checksum of every row compared: it is better to find damage now than in the middle of an outage.
pub(crate) fn open(path: &Path, check: bool) -> Result<Connection> {
    let db = connect(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    )?;
    // Closing a refused file must not move its log into it.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let (application, version, tables) = identity(&db)?;
    if application == 0 && version == 0 && tables == 0 {
        db.execute_batch("PRAGMA page_size=4096; PRAGMA auto_vacuum=NONE;")?;
        set_mode(&db)?;
        db.execute_batch(&format!(
            "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={VERSION}; COMMIT;"
        ))?;
        return Ok(db);
    }
    refuse_unknown(application, version)?;
    // Before the migration: a damaged file is left as it is.
    if check {
        let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            return Err(Error::damaged(found));
        }
        if let Some(found) = check::bodies(&db)? {
            return Err(Error::damaged(found));
        }
    }
    set_mode(&db)?;
    let steps = usize::try_from(version - 1)
        .ok()
        .and_then(|done| STEPS.get(done..))
        .map_or_else(String::new, <[&str]>::concat);
    if !steps.is_empty() {
        db.execute_batch(&format!(
            "BEGIN IMMEDIATE; {steps} PRAGMA user_version={VERSION}; COMMIT;"
        ))?;
    }
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(db)
}

/// Open for reading, while another connection may write. A journal of version 1 is not migrated: check [`is_version_1`] before reading columns of later
/// versions.
pub(crate) fn open_for_reading(path: &Path) -> Result<Connection> {
    let db = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let (application, version, _) = identity(&db)?;
    refuse_unknown(application, version)?;
    db.execute_batch("PRAGMA cache_size=-256;")?;
    Ok(db)
}

/// Whether the columns that version 2 added are missing.
pub(crate) fn is_version_1(db: &Connection) -> Result<bool> {
    Ok(version(db)? == 1)
}

/// Whether sinks can keep state of their own, which needs version 5.
pub(crate) fn has_sink_state(db: &Connection) -> Result<bool> {
    Ok(version(db)? >= 5)
}

/// The version of the file.
pub(crate) fn version(db: &Connection) -> Result<i64> {
    Ok(db.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Whether this is the file of a journal, of any version.
pub(crate) fn is_journal(db: &Connection) -> Result<bool> {
    Ok(identity(db)?.0 == APPLICATION_ID)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

fn identity(db: &Connection) -> Result<(i64, i64, i64)> {
    let read = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    Ok((
        read("PRAGMA application_id")?,
        read("PRAGMA user_version")?,
        read("SELECT count(*) FROM sqlite_schema")?,
    ))
}

fn refuse_unknown(application: i64, version: i64) -> Result<()> {
    if application != APPLICATION_ID {
        return Err(Error::new(
            ErrorKind::UnknownVersion,
            "it is an SQLite file, but not a journal of iiot-gateway; nothing was changed: name another file in [journal] path",
        ));
    }
    if !(1..=VERSION).contains(&version) {
        return Err(Error::new(
            ErrorKind::UnknownVersion,
            format!(
                "it has version {version}, this program knows versions 1 to {VERSION}; nothing was changed: run the iiot-gateway that wrote it, or name another file in [journal] path"
            ),
        ));
    }
    Ok(())
}

fn set_mode(db: &Connection) -> Result<()> {
    let mode: String = db.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Error::new(
            ErrorKind::Io,
            format!(
                "write-ahead logging is not possible on this file system (got {mode}); name a local disk in [journal] path"
            ),
        ));
    }
    // NORMAL: readers see a commit at once; another thread syncs the log. No checkpoint on the writer's thread.
    db.execute_batch("PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-1024; PRAGMA temp_store=MEMORY;")?;
    Ok(())
}
