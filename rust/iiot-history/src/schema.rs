//! The SQLite file: its tables, its version, and how it is opened.

use crate::error::{Error, ErrorKind, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// `PRAGMA application_id`: "iioh".
const APPLICATION_ID: i64 = 0x6969_6f68;
/// `PRAGMA user_version` that this code writes and reads.
const VERSION: i64 = 1;
/// `cancelled` is called after this many pages of a check (a step of SQLite's progress handler is a page there, or an instruction).
const CHECKED_PAGES: i32 = 100;

/// Version 1.
///
/// `series.key` is the series in line protocol. The blocks of a series never overlap. Its `tail` is the block that still grows, later than
/// all others; it is in a table of its own, so that full blocks fill their pages. [`crate::block`] and [`crate::rollup`] describe the bodies.
const TABLES: &str = "
CREATE TABLE series(
  id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, topic TEXT,
  first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, points INTEGER NOT NULL);
CREATE TABLE block(
  id INTEGER PRIMARY KEY, series INTEGER NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL,
  count INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX block_place ON block(series, start_ns, end_ns, count);
CREATE TABLE tail(
  series INTEGER PRIMARY KEY, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL,
  count INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE rollup(
  series INTEGER NOT NULL, tier INTEGER NOT NULL, start_ns INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY(series, tier, start_ns)) WITHOUT ROWID;
";

/// Open for writing. A new file gets its tables. A history is checked page by page if `check` is set. Any other file is refused and not changed.
///
/// `cancelled` is called during the check, which takes as long as reading the file.
pub(crate) fn open(
    path: &Path,
    check: bool,
    cancelled: impl FnMut() -> bool + Send + 'static,
) -> Result<Connection> {
    let mut db = connect(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    )?;
    // Closing a refused file must not write its log into it.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let identity = identity(&db)?;
    if identity == (0, 0, 0) {
        db.execute_batch("PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL;")?;
        set_mode(&db)?;
        db.execute_batch(&format!(
            "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={VERSION}; COMMIT;"
        ))?;
    } else {
        refuse_unknown(identity)?;
        set_mode(&db)?;
        if check {
            db.progress_handler(CHECKED_PAGES, Some(cancelled))?;
            let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            db.progress_handler(0, None::<fn() -> bool>)?;
            if found != "ok" {
                return Err(Error::damaged(found));
            }
        }
    }
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(db)
}

/// Open for reading. Another connection may write the file.
pub(crate) fn open_for_reading(path: &Path) -> Result<Connection> {
    let missing = || {
        Error::new(
            ErrorKind::Missing,
            "there is no history yet; a gateway with a [history] section makes it",
        )
    };
    if !path.exists() {
        return Err(missing());
    }
    let db = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let identity = identity(&db)?;
    if identity == (0, 0, 0) {
        return Err(missing());
    }
    refuse_unknown(identity)?;
    db.execute_batch("PRAGMA cache_size=-2048;")?;
    Ok(db)
}

/// Run a function in a transaction.
pub(crate) fn transaction<T>(
    db: &Connection,
    begin: &str,
    body: impl FnOnce() -> Result<T>,
) -> Result<T> {
    db.execute_batch(begin)?;
    let done = body().and_then(|value| {
        db.execute_batch("COMMIT")?;
        Ok(value)
    });
    if done.is_err() && !db.is_autocommit() {
        // The first error is the one to report.
        let _ = db.execute_batch("ROLLBACK");
    }
    done
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

/// Application, version and number of tables; all 0 for a new file.
fn identity(db: &Connection) -> Result<(i64, i64, i64)> {
    let read = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    Ok((
        read("PRAGMA application_id")?,
        read("PRAGMA user_version")?,
        read("SELECT count(*) FROM sqlite_schema")?,
    ))
}

fn refuse_unknown((application, version, _): (i64, i64, i64)) -> Result<()> {
    if application != APPLICATION_ID {
        return Err(Error::new(
            ErrorKind::UnknownVersion,
            "it is an SQLite file, but not a history of iiot-gateway; nothing was changed: name another file in [history] path",
        ));
    }
    if version != VERSION {
        return Err(Error::new(
            ErrorKind::UnknownVersion,
            format!(
                "it has version {version}, this program knows version {VERSION}; nothing was changed: run the iiot-gateway that wrote it, or name another file in [history] path"
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
                "write-ahead logging is not possible on this file system (got {mode}); name a local disk in [history] path"
            ),
        ));
    }
    // FULL: the journal removes confirmed frames, so they must survive a loss of power here.
    db.execute_batch(
        "PRAGMA synchronous=FULL; PRAGMA cache_size=-4096; PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=16000000;",
    )?;
    Ok(())
}
