//! Queries a history while another process may write it. Every answer shows the state at one moment.

use crate::error::{Error, ErrorKind, Result};
use crate::query::{self, Range, invalid};
use crate::value::Value;
use crate::{blocks, schema, series};
use iiot_core::series::SeriesName;
use rusqlite::{Connection, OptionalExtension};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time is checked each time after this many of SQLite's instructions, which is some ten blocks.
const TIMED_STEPS: i32 = 100;
/// A series, with its extent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Its number in this file, which is never used twice.
    pub id: i64,
    /// As in line protocol.
    pub measurement: String,
    /// In the order of their keys.
    pub tags: Vec<(String, String)>,
    /// As in line protocol.
    pub field: String,
    /// The topic under which it is published, with the prefix.
    pub topic: Option<String>,
    /// The time of its first point.
    pub first_ns: i64,
    /// The time of its last point.
    pub last_ns: i64,
    /// The number of its points.
    pub points: u64,
}

/// The last point of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// The series.
    pub id: i64,
    /// Its time.
    pub time_ns: i64,
    /// Its value.
    pub value: Value,
}

/// A connection that only reads. Any thread may call the methods; only one call runs at a time.
pub struct Reader {
    db: Mutex<Option<Connection>>,
    path: PathBuf,
}

impl Reader {
    /// Open an existing history.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            db: Mutex::new(Some(
                schema::open_for_reading(path).map_err(|e| e.at(path))?,
            )),
            path: path.to_owned(),
        })
    }

    /// Every series, in the order in which they were added.
    pub fn series(&self) -> Result<Vec<Series>> {
        self.ask(|db| {
            let mut query = db.prepare_cached(
                "SELECT id, first_ns, last_ns, points, key, topic FROM series ORDER BY id",
            )?;
            let mut rows = query.query([])?;
            let mut all = Vec::new();
            while let Some(r) = rows.next()? {
                let row = series::row(r)?;
                let key: Vec<u8> = r.get(4)?;
                let Some(name) = SeriesName::read(&key) else {
                    let what = format!("{} is no series", key.escape_ascii());
                    return Err(Error::damaged(what));
                };
                all.push(Series {
                    id: row.id,
                    measurement: name.measurement,
                    tags: name.tags,
                    field: name.field,
                    topic: r.get(5)?,
                    first_ns: row.first_ns,
                    last_ns: row.last_ns,
                    points: row.points,
                });
            }
            Ok(all)
        })
    }

    /// The last points of some series, or of all; series without points are left out.
    pub fn last(&self, ids: Option<&[i64]>) -> Result<Vec<Last>> {
        self.ask(|db| {
            let ids = match ids {
                Some(ids) => ids.to_vec(),
                None => db
                    .prepare_cached("SELECT id FROM series ORDER BY id")?
                    .query_map([], |r| r.get(0))?
                    .collect::<std::result::Result<_, _>>()?,
            };
            let mut all = Vec::with_capacity(ids.len());
            for id in ids {
                if let Some(sample) = blocks::last(db, id)? {
                    all.push(Last {
                        id,
                        time_ns: sample.time_ns,
                        value: sample.value,
                    });
                }
            }
            Ok(all)
        })
    }

    /// Points or buckets of a series as columns: times, and values if there are any.
    pub fn range(&self, id: i64, range: &Range) -> Result<(Vec<i64>, Vec<Option<f64>>)> {
        self.ask_within(range.timeout, |db| {
            known(db, id)?;
            query::range(db, id, range)
        })
    }

    /// The first `limit` points of a range, with the texts that came. To continue, ask again from behind the last time.
    pub fn texts(
        &self,
        id: i64,
        start_ns: i64,
        end_ns: i64,
        limit: usize,
    ) -> Result<(Vec<i64>, Vec<String>)> {
        let (times, values) = self.values(id, start_ns, end_ns, limit)?;
        Ok((times, values.iter().map(Value::text).collect()))
    }

    /// The first `limit` points of a range. To continue, ask again from behind the last time.
    pub fn values(
        &self,
        id: i64,
        start_ns: i64,
        end_ns: i64,
        limit: usize,
    ) -> Result<(Vec<i64>, Vec<Value>)> {
        self.ask(|db| {
            known(db, id)?;
            let (mut times, mut values) = (Vec::new(), Vec::new());
            blocks::scan(db, id, start_ns, end_ns, |samples| {
                for sample in samples.iter().take(limit - times.len()) {
                    times.push(sample.time_ns);
                    values.push(sample.value.clone());
                }
                times.len() < limit
            })?;
            Ok((times, values))
        })
    }

    /// Close the file. All later calls fail.
    pub fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Connection>> {
        // After a panic the connection is still usable: a new transaction sees the state in the file.
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask<T>(&self, body: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.ask_within(None, body)
    }

    fn ask_within<T>(
        &self,
        timeout: Option<Duration>,
        body: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let mut db = self.lock();
        let answer = db.as_mut().ok_or_else(Error::closed).and_then(|db| {
            let Some(timeout) = timeout else {
                return schema::transaction(db, "BEGIN", || body(db));
            };
            let begun = Instant::now();
            db.progress_handler(TIMED_STEPS, Some(move || begun.elapsed() >= timeout))?;
            let answer = schema::transaction(db, "BEGIN", || body(db));
            db.progress_handler(0, None::<fn() -> bool>)?;
            // Only the progress handler interrupts a reader.
            answer.map_err(|e| match e.kind {
                ErrorKind::Closed => too_slow(timeout),
                _ => e,
            })
        });
        answer.map_err(|e| e.at(&self.path))
    }
}

fn too_slow(timeout: Duration) -> Error {
    Error::new(
        ErrorKind::Timeout,
        format!(
            "reading this range takes longer than {timeout:?}; ask for a shorter one, or for an every that is a whole number of minutes"
        ),
    )
}

fn known(db: &Connection, id: i64) -> Result<()> {
    let found: Option<i64> = db
        .prepare_cached("SELECT id FROM series WHERE id=?1")?
        .query_row([id], |r| r.get(0))
        .optional()?;
    match found {
        Some(_) => Ok(()),
        None => Err(invalid(format!(
            "there is no series {id}; `iiot-gateway history` lists those that are there"
        ))),
    }
}
