//! The only connection that writes: points are collected, and then stored in one transaction together with their roll-ups.
//!
//! It keeps no data of the file in memory except the connection's cache, so a failed transaction leaves nothing to undo.

use crate::block::Sample;
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::retention::{self, Limits};
use crate::value::Value;
use crate::{blocks, delete, rollup, schema, series};
use iiot_journal::{CopyProgress, copy_connection};
use rusqlite::Connection;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// With more series than this in memory, all are forgotten after a commit, so that names from documents cannot fill the memory.
const MAX_SLOTS: usize = 10_000;
/// The capacity that is kept for the next points of a series.
const KEPT_SAMPLES: usize = 256;

/// The result of a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// New points.
    pub inserted: u64,
    /// Points that had a different value before.
    pub replaced: u64,
    /// Points that were there already.
    pub unchanged: u64,
    /// Points that were removed by the limits of age and size.
    pub pruned: u64,
}

/// What is in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// The number of series.
    pub series: u64,
    /// The number of points.
    pub points: u64,
    /// Bytes of the pages in use.
    pub bytes: u64,
}

#[derive(Debug)]
struct Slot {
    key: Vec<u8>,
    topic: Option<String>,
    samples: Vec<Sample>,
}

/// Writes a history. There is one writer per file.
pub struct Writer {
    db: Option<(Connection, Lock)>,
    path: PathBuf,
    limits: Limits,
    slots: Vec<Slot>,
    by_key: HashMap<Vec<u8>, usize>,
    pending: usize,
    /// Changes when slots are forgotten, and differs between writers. Numbers of an earlier generation are invalid.
    generation: u64,
    pruned_before_ns: i64,
}

impl Writer {
    /// Open or make a history. With `check`, every page of an existing file is read, to find damage now.
    ///
    /// The check ends early, with an error, if `cancelled` returns true.
    pub fn open(
        path: &Path,
        limits: Limits,
        check: bool,
        cancelled: impl FnMut() -> bool + Send + 'static,
    ) -> Result<Self> {
        let open = || {
            let lock = Lock::take(path)?;
            Ok((schema::open(path, check, cancelled)?, lock))
        };
        Ok(Self {
            db: Some(open().map_err(|e: Error| e.at(path))?),
            path: path.to_owned(),
            limits,
            slots: Vec::new(),
            by_key: HashMap::new(),
            pending: 0,
            generation: next_generation(),
            pruned_before_ns: i64::MIN,
        })
    }

    /// The number of a series (its line protocol up to the equals sign), valid for this generation.
    pub fn slot(&mut self, key: &[u8], topic: Option<&[u8]>) -> usize {
        if let Some(&slot) = self.by_key.get(key) {
            return slot;
        }
        let slot = self.slots.len();
        self.by_key.insert(key.to_vec(), slot);
        self.slots.push(Slot {
            key: key.to_vec(),
            topic: topic.map(|t| String::from_utf8_lossy(t).into_owned()),
            samples: Vec::new(),
        });
        slot
    }

    /// See [`Writer::slot`].
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Collect a point for the next commit.
    pub fn add(&mut self, slot: usize, time_ns: i64, value: Value) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.samples.push(Sample { time_ns, value });
            self.pending += 1;
        }
    }

    /// The number of collected points.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Store all collected points or none. In any case, the collection is empty afterwards.
    ///
    /// When this returns, the points survive a loss of power. `now_ns` is the host's clock, for the limit of age.
    pub fn commit(&mut self, now_ns: i64) -> Result<Stored> {
        let done = self.store(now_ns).map_err(|e| e.at(&self.path));
        self.forget();
        done
    }

    /// Drop the collected points.
    pub fn forget(&mut self) {
        for slot in &mut self.slots {
            slot.samples.clear();
            slot.samples.shrink_to(KEPT_SAMPLES);
        }
        if self.slots.len() > MAX_SLOTS {
            self.slots.clear();
            self.by_key.clear();
            self.generation = next_generation();
        }
        self.pending = 0;
    }

    /// Delete the points of every series with this value of a tag between two times, without the end, and correct the roll-ups.
    ///
    /// Returns their number. Points that are collected, but not stored yet, are not deleted. When this returns, the deletion survives a loss
    /// of power. If `cancelled` returns true, this ends early, with an error and with only a part of the points deleted.
    pub fn delete(
        &mut self,
        tag: (&str, &str),
        start_ns: i64,
        end_ns: i64,
        cancelled: impl FnMut() -> bool,
    ) -> Result<u64> {
        self.db()
            .and_then(|db| delete::delete(db, tag, start_ns, end_ns, cancelled))
            .map_err(|e| e.at(&self.path))
    }

    /// Copy the file. No points are stored meanwhile. If `cancelled` returns true, this ends early, with an error.
    pub fn copy_to(
        &self,
        path: &Path,
        progress: &CopyProgress,
        cancelled: impl FnMut() -> bool,
    ) -> iiot_journal::Result<()> {
        let Some((db, _)) = &self.db else {
            return Ok(());
        };
        copy_connection(db, path, progress, cancelled)
    }

    /// What is in the file.
    pub fn size(&self) -> Result<Size> {
        let read = || {
            let db = self.db()?;
            let one = |sql: &str| db.query_row(sql, [], |r| r.get::<_, i64>(0));
            Ok(Size {
                series: one("SELECT count(*) FROM series")? as u64,
                points: one("SELECT coalesce(sum(points), 0) FROM series")? as u64,
                bytes: retention::used_bytes(db)?,
            })
        };
        read().map_err(|e: Error| e.at(&self.path))
    }

    /// Close the file and release its lock. All later calls fail.
    pub fn close(&mut self) {
        self.db = None;
    }

    fn db(&self) -> Result<&Connection> {
        self.db.as_ref().map(|(db, _)| db).ok_or_else(Error::closed)
    }

    fn store(&mut self, now_ns: i64) -> Result<Stored> {
        let mut slots = std::mem::take(&mut self.slots);
        let stored = self.store_slots(&mut slots, now_ns);
        self.slots = slots;
        let (stored, pruned_before_ns) = stored?;
        self.pruned_before_ns = pruned_before_ns;
        retention::shrink(self.db()?, &self.limits)?;
        Ok(stored)
    }

    fn store_slots(&self, slots: &mut [Slot], now_ns: i64) -> Result<(Stored, i64)> {
        let db = self.db()?;
        schema::transaction(db, "BEGIN IMMEDIATE", || {
            let mut stored = Stored::default();
            for slot in slots.iter_mut().filter(|slot| !slot.samples.is_empty()) {
                store_series(db, slot, &mut stored)?;
            }
            let (pruned, before_ns) =
                retention::keep(db, &self.limits, now_ns, self.pruned_before_ns)?;
            stored.pruned = pruned;
            Ok((stored, before_ns))
        })
    }
}

fn store_series(db: &Connection, slot: &mut Slot, stored: &mut Stored) -> Result<()> {
    let given = slot.samples.len() as u64;
    sort(&mut slot.samples);
    let samples = &slot.samples;
    let mut row = series::find_or_insert(db, &slot.key, slot.topic.as_deref())?;
    let late = if row.points == 0 {
        0
    } else {
        samples.partition_point(|s| s.time_ns <= row.last_ns)
    };
    let (late, fresh) = samples.split_at(late);
    let merged = if late.is_empty() {
        blocks::Merged::default()
    } else {
        blocks::merge(db, row.id, late)?
    };
    let inserted = merged.inserted + fresh.len() as u64;
    stored.inserted += inserted;
    stored.replaced += merged.replaced;
    stored.unchanged += given - inserted - merged.replaced;
    if inserted + merged.replaced == 0 {
        return Ok(());
    }
    if !fresh.is_empty() {
        blocks::append(db, row.id, fresh.to_vec())?;
    }
    if merged.times.is_empty() {
        rollup::append(db, row.id, fresh)?;
    } else {
        let mut times = merged.times;
        times.extend(fresh.iter().map(|s| s.time_ns));
        rollup::recompute(db, row.id, &times)?;
    }
    if let (Some(first), Some(last)) = (samples.first(), samples.last()) {
        let is_new = row.points == 0;
        row.first_ns = if is_new {
            first.time_ns
        } else {
            row.first_ns.min(first.time_ns)
        };
        row.last_ns = if is_new {
            last.time_ns
        } else {
            row.last_ns.max(last.time_ns)
        };
    }
    row.points += inserted;
    series::save(db, &row)
}

fn next_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// Sort samples by time. If several have one time, the last one counts.
fn sort(samples: &mut Vec<Sample>) {
    if !samples.is_sorted_by(|one, next| one.time_ns < next.time_ns) {
        samples.sort_by_key(|s| s.time_ns);
        samples.reverse();
        samples.dedup_by_key(|s| s.time_ns);
        samples.reverse();
    }
}
