//! Retained values on disk. A write survives the death of the process at once, and a loss of power after the system's write-back.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::{Connection, params};

/// "iiot" + 'b', in the header of the file.
const APPLICATION_ID: i32 = 0x6969_6f62;
const VERSION: i32 = 1;
/// How long a change waits for another program's lock. No client is served meanwhile.
const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// A retained value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetainedValue {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Vec<u8>,
    /// The quality of service it was published with.
    pub qos: u8,
}

/// The file cannot be used.
#[derive(Debug)]
pub enum RetainedError {
    /// The file is another program's database, or of a later version.
    Foreign(i32, i32),
    /// SQLite's own words.
    Sqlite(rusqlite::Error),
}

impl fmt::Display for RetainedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(APPLICATION_ID, version) => write!(
                f,
                "retained values of version {version}, this gateway knows {VERSION}; use a later gateway or move the file away"
            ),
            Self::Foreign(..) => {
                f.write_str("not a file of retained values; name another one in broker.path")
            }
            Self::Sqlite(error) => write!(
                f,
                "{error}; move the file away to begin anew: only values that other clients retained are in it"
            ),
        }
    }
}

impl std::error::Error for RetainedError {}

impl From<rusqlite::Error> for RetainedError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The file.
pub struct RetainedStore {
    db: Connection,
    failed: Arc<AtomicU64>,
}

impl RetainedStore {
    /// Open or create the file.
    pub fn open(path: &Path) -> Result<Self, RetainedError> {
        let db = Connection::open(path)?;
        let read = |pragma: &str| -> rusqlite::Result<i32> {
            db.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
        };
        let (application, version) = (read("application_id")?, read("user_version")?);
        let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
        if (application, version) != (APPLICATION_ID, VERSION)
            && (application, version, tables) != (0, 0, 0)
        {
            return Err(RetainedError::Foreign(application, version));
        }
        db.execute_batch(&format!(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;
             PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={VERSION};
             CREATE TABLE IF NOT EXISTS retained(topic TEXT PRIMARY KEY, payload BLOB NOT NULL, qos INTEGER NOT NULL) WITHOUT ROWID;"
        ))?;
        db.busy_timeout(BUSY_TIMEOUT)?;
        Ok(Self {
            db,
            failed: Arc::default(),
        })
    }

    /// How many changes could not be written. The broker continues with the values in its memory.
    pub fn failed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.failed)
    }

    /// All retained values.
    pub fn values(&self) -> Result<Vec<RetainedValue>, RetainedError> {
        let mut query = self
            .db
            .prepare("SELECT topic, payload, qos FROM retained")?;
        let rows = query.query_map([], |row| {
            Ok(RetainedValue {
                topic: row.get(0)?,
                payload: row.get(1)?,
                qos: row.get(2)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Store a value. If the disk fails, the value is still delivered, but does not survive a restart.
    pub fn put(&mut self, topic: &str, payload: &[u8], qos: u8) {
        let done = self
            .db
            .prepare_cached("INSERT OR REPLACE INTO retained VALUES (?1, ?2, ?3)")
            .and_then(|mut put| put.execute(params![topic, payload, qos]));
        self.failed
            .fetch_add(u64::from(done.is_err()), Ordering::Relaxed);
    }

    /// Forget a value.
    pub fn remove(&mut self, topic: &str) {
        let done = self
            .db
            .prepare_cached("DELETE FROM retained WHERE topic=?1")
            .and_then(|mut remove| remove.execute([topic]));
        self.failed
            .fetch_add(u64::from(done.is_err()), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_after_a_reopening_and_removed_ones_do_not() -> Result<(), RetainedError> {
        let folder = tempfile::tempdir().map_err(|_| RetainedError::Foreign(0, 0))?;
        let path = folder.path().join("broker.db");
        let mut store = RetainedStore::open(&path)?;
        store.put("a", b"1", 1);
        store.put("b", &[0, 255], 0);
        store.put("a", b"2", 2);
        store.remove("b");
        store.put("c", b"", 1);

        let kept = RetainedStore::open(&path)?.values()?;

        let value = |topic: &str, payload: &[u8], qos| RetainedValue {
            topic: topic.into(),
            payload: payload.into(),
            qos,
        };
        assert_eq!(kept, [value("a", b"2", 2), value("c", b"", 1)]);
        assert_eq!(store.failed().load(Ordering::Relaxed), 0);
        Ok(())
    }

    #[test]
    fn a_change_hardly_waits_for_another_programs_lock_and_is_counted() -> Result<(), RetainedError>
    {
        let folder = tempfile::tempdir().map_err(|_| RetainedError::Foreign(0, 0))?;
        let path = folder.path().join("broker.db");
        let mut store = RetainedStore::open(&path)?;
        let other = Connection::open(&path)?;
        other.execute_batch("BEGIN IMMEDIATE")?;

        let begun = std::time::Instant::now();
        store.put("a", b"1", 1);

        // The time-out that rusqlite sets is 5 s.
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert_eq!(store.failed().load(Ordering::Relaxed), 1);
        other.execute_batch("ROLLBACK")?;
        store.put("a", b"2", 1);
        assert_eq!(store.values()?.len(), 1);
        Ok(())
    }

    #[test]
    fn another_programs_file_and_a_later_version_are_refused_and_left() -> Result<(), RetainedError>
    {
        let folder = tempfile::tempdir().map_err(|_| RetainedError::Foreign(0, 0))?;
        for (name, application, version) in [("later", APPLICATION_ID, 9), ("other", 7, 1)] {
            let path = folder.path().join(name);
            Connection::open(&path)?.execute_batch(&format!(
                "PRAGMA application_id={application}; PRAGMA user_version={version}; CREATE TABLE t(x);"
            ))?;
            let before = std::fs::read(&path).unwrap_or_default();

            let Err(error) = RetainedStore::open(&path) else {
                return Err(RetainedError::Foreign(application, version));
            };

            assert!(
                matches!(error, RetainedError::Foreign(a, v) if (a, v) == (application, version))
            );
            assert_eq!(std::fs::read(&path).unwrap_or_default(), before);
        }
        Ok(())
    }
}
