//! Reads rows: recent ones from memory, older ones from the file. No transaction is held between two reads.

use crate::check;
use crate::error::{ErrorKind, Result};
use crate::row::{Row, Supply};
use rusqlite::{Connection, OptionalExtension};
use std::collections::VecDeque;
use std::sync::Arc;

/// The rows that were committed last, so that a sink that keeps up never reads the disk.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    rows: VecDeque<Arc<Row>>,
    bytes: usize,
}

/// Memory that the ring may take.
const RING_BYTES: usize = 4 << 20;
const ROW_OVERHEAD: usize = 96;

impl Ring {
    pub(crate) fn push(&mut self, row: Arc<Row>) {
        if self.rows.back().is_some_and(|last| last.end() != row.first) {
            // Other rows were written that are not in the ring: only the file has all of them.
            self.clear();
        }
        self.bytes += row.body.len() + ROW_OVERHEAD;
        self.rows.push_back(row);
        while self.bytes > RING_BYTES {
            let Some(row) = self.rows.pop_front() else {
                break;
            };
            self.bytes -= row.body.len() + ROW_OVERHEAD;
        }
    }

    /// Rows from the one that contains `from`, up to about `max_bytes`; `None` if the ring begins later.
    fn read(&self, from: u64, visible: u64, max_bytes: usize) -> Option<Vec<Arc<Row>>> {
        let at = self.rows.partition_point(|row| row.end() <= from);
        if self.rows.get(at).is_none_or(|row| row.first > from) {
            return None;
        }
        let mut bytes = 0;
        let rows = self.rows.range(at..).take_while(|row| {
            let fits = row.first < visible && bytes < max_bytes;
            bytes += row.body.len();
            fits
        });
        Some(rows.cloned().collect())
    }

    /// Forget all rows. The ring begins again with the next rows that are written.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.bytes = 0;
    }

    /// Forget rows that every sink has passed.
    pub(crate) fn trim(&mut self, oldest: u64) {
        while self.rows.front().is_some_and(|row| row.end() <= oldest) {
            if let Some(row) = self.rows.pop_front() {
                self.bytes -= row.body.len() + ROW_OVERHEAD;
            }
        }
    }
}

/// Read rows from the one that contains `from`, or from the oldest kept one behind it; never beyond `visible`.
pub(crate) fn read(
    ring: &std::sync::Mutex<Ring>,
    db: &Connection,
    from: u64,
    visible: u64,
    max_bytes: usize,
) -> Result<Vec<Arc<Row>>> {
    if from >= visible {
        return Ok(Vec::new());
    }
    if let Some(rows) = crate::mutex::lock(ring).read(from, visible, max_bytes) {
        return Ok(rows);
    }
    let mut query = db.prepare_cached(
        "SELECT first, count, origin, only_sink, replayable, crc, body, format FROM frames
         WHERE first >= coalesce((SELECT max(first) FROM frames WHERE first <= ?1), 0) ORDER BY first",
    )?;
    let mut found = query.query([from as i64])?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(r) = found.next()? {
        let row = match from_sql(r) {
            // The rows before it are whole. The next read begins with it, and reports it.
            Err(error) if error.kind == ErrorKind::Damaged && !rows.is_empty() => break,
            row => row?,
        };
        if row.first >= visible || bytes >= max_bytes {
            break;
        }
        bytes += row.body.len();
        if row.end() > from {
            rows.push(Arc::new(row));
        }
    }
    Ok(rows)
}

/// The newest rows, about `max_bytes` of them, in the order of their positions; none from `end` on, and none from before a damaged row,
/// which the sinks report.
pub(crate) fn newest(db: &Connection, end: u64, max_bytes: usize) -> Result<Vec<Arc<Row>>> {
    let mut query = db.prepare(
        "SELECT first, count, origin, only_sink, replayable, crc, body, format FROM frames WHERE first < ?1 ORDER BY first DESC",
    )?;
    let mut found = query.query([end as i64])?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(r) = found.next()? {
        let row = match from_sql(r) {
            Err(error) if error.kind == ErrorKind::Damaged => break,
            row => row?,
        };
        bytes += row.body.len();
        if bytes > max_bytes {
            break;
        }
        rows.push(Arc::new(row));
    }
    rows.reverse();
    Ok(rows)
}

/// The row that contains a position.
pub(crate) fn row_at(db: &Connection, position: u64) -> Result<Option<Row>> {
    let sql = "SELECT first, count, origin, only_sink, replayable, crc, body, format FROM frames WHERE first <= ?1 ORDER BY first DESC LIMIT 1";
    let row = db
        .prepare_cached(sql)?
        .query_row([position as i64], |r| Ok(from_sql(r)))
        .optional()?
        .transpose()?;
    Ok(row.filter(|row| position < row.end()))
}

fn from_sql(r: &rusqlite::Row<'_>) -> Result<Row> {
    let row = Row {
        first: r.get::<_, i64>(0)? as u64,
        count: r.get::<_, i64>(1)? as u64,
        origin: r.get(2)?,
        only_sink: r.get(3)?,
        supply: Supply::stored(r.get(4)?),
        body: r.get(6)?,
        format: r.get(7)?,
    };
    if i64::from(check::checksum(&row.body)) != r.get::<_, i64>(5)? {
        return Err(check::damaged_row(row.first, row.end()));
    }
    Ok(row)
}
