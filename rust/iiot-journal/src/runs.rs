//! Runs: each opening of a journal begins one. Together with the id of its run, a position always means the same frame, even after the end of the journal
//! was lost or the file was copied.

use crate::error::{Error, Result};
use crate::transaction::transaction;
use rusqlite::{Connection, params};
use std::fs::File;
use std::path::Path;

/// How many runs are remembered.
const MOST_RUNS: usize = 10_000;

/// The frames that were accepted between one opening and the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Random, 32 hexadecimal digits.
    pub id: String,
    /// The position of its first frame, even if it has none yet.
    pub first: u64,
}

/// The runs of a journal in their order; the last one is the present one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runs(Vec<Run>);

impl Runs {
    /// From runs in their order.
    pub const fn new(runs: Vec<Run>) -> Self {
        Self(runs)
    }

    /// The run that accepted the frame at a position; none if the frame is older than the oldest known run.
    pub fn of(&self, position: u64) -> Option<&Run> {
        let behind = self.0.partition_point(|run| run.first <= position);
        self.0.get(behind.checked_sub(1)?)
    }

    /// The position behind the last frame of a run, where the next run began; `Some(None)` for the present run, which goes on; `None` for an unknown run.
    pub fn end(&self, id: &str) -> Option<Option<u64>> {
        let at = self.0.iter().position(|run| run.id == id)?;
        Some(self.0.get(at + 1).map(|next| next.first))
    }

    /// The present run.
    pub fn present(&self) -> Option<&Run> {
        self.0.last()
    }
}

/// Begin a run at `next`, and sync it: no frame may be visible before its run is stored durably. `log` is the write-ahead log.
pub(crate) fn begin(
    db: &Connection,
    next: u64,
    was_closed: bool,
    (log, log_path): (&File, &Path),
) -> Result<Runs> {
    let runs = transaction(db, || write(db, next, was_closed))?;
    log.sync_data()
        .map_err(|e| Error::io("cannot sync", log_path, &e))?;
    Ok(runs)
}

/// Read the known runs and add another one.
///
/// The very first run begins at the first position, so that frames from before runs existed have one. A run that was closed properly without a frame is
/// forgotten. Any other run is remembered, even if none of its frames is left: a database may have frames that the disk lost.
fn write(db: &Connection, next: u64, was_closed: bool) -> Result<Runs> {
    let mut query =
        db.prepare("SELECT key, value FROM meta WHERE key GLOB 'run:*' ORDER BY key")?;
    let mut keys: Vec<(String, Run)> = query
        .query_map([], |row| {
            let key: String = row.get(0)?;
            let id = key.rsplit(':').next().unwrap_or_default().to_owned();
            let first = row.get::<_, i64>(1)? as u64;
            Ok((key, Run { id, first }))
        })?
        .collect::<std::result::Result<_, _>>()?;
    let number = keys
        .last()
        .and_then(|(key, _)| key.split(':').nth(1)?.parse::<u64>().ok())
        .map_or(1, |last| last + 1);
    let mut forget = keys.len().saturating_sub(MOST_RUNS - 1);
    while forget > 0 {
        let (key, _) = keys.remove(0);
        db.execute("DELETE FROM meta WHERE key=?1", [key])?;
        forget -= 1;
    }
    let is_without_frames = |(_, run): &mut (String, Run)| was_closed && run.first == next;
    if let Some((key, _)) = keys.pop_if(is_without_frames) {
        db.execute("DELETE FROM meta WHERE key=?1", [key])?;
    }
    let first = if keys.is_empty() { 1 } else { next };
    let id: String = db.query_row("SELECT lower(hex(randomblob(16)))", [], |row| row.get(0))?;
    db.execute(
        "INSERT INTO meta VALUES (?1, ?2)",
        params![format!("run:{number:012}:{id}"), first as i64],
    )?;
    let mut runs: Vec<Run> = keys.into_iter().map(|(_, run)| run).collect();
    runs.push(Run { id, first });
    Ok(Runs(runs))
}
