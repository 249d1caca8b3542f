//! Removes rows from the frame table: rows that every sink has passed, rows that are too old, and the oldest rows when there is no more room.

use crate::error::Result;
use crate::row::Supply;
use crate::sink::{DropReason, Sink};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;

/// Pages that one row may need beyond its body (interior pages, counters, windows).
const SLACK_BYTES: u64 = 64 * 1024;
const PAGE_BYTES: u64 = 4096;

/// Bytes of pages in use.
pub(crate) fn live_bytes(db: &Connection) -> Result<u64> {
    Ok(pages(db, "PRAGMA page_count")? * PAGE_BYTES - free_page_bytes(db)?)
}

/// Bytes of pages that are in the file and not in use.
pub(crate) fn free_page_bytes(db: &Connection) -> Result<u64> {
    Ok(pages(db, "PRAGMA freelist_count")? * PAGE_BYTES)
}

fn pages(db: &Connection, sql: &str) -> Result<u64> {
    Ok(db
        .prepare_cached(sql)?
        .query_row([], |r| r.get::<_, i64>(0))? as u64)
}

/// Sources that can wait do so while more than this share of the room is in use, in percent.
const FULL_PERCENT: u64 = 90;
/// Beyond this share of the room, rows are dropped that only sinks with `may_drop` lack, in percent.
const SPARE_PERCENT: u64 = 80;

/// Whether sources that can wait must wait.
pub(crate) fn is_full(db: &Connection, limit: u64) -> Result<bool> {
    Ok(live_bytes(db)? + SLACK_BYTES > limit / 100 * FULL_PERCENT)
}

/// What changes when rows are dropped that some sink lacks.
pub(crate) struct Prunable<'a> {
    pub sinks: &'a mut [Sink],
    pub oldest: &'a mut u64,
    /// A row was dropped that is not the oldest one.
    pub dropped_within: &'a mut bool,
}

/// Drop the oldest rows until `bytes` more fit: first those that only sinks with `may_drop` lack, then others. Rows of sources that can wait stay if other
/// sinks lack them. False if not enough can be dropped.
pub(crate) fn make_room(
    db: &Connection,
    limit: u64,
    bytes: u64,
    prunable: &mut Prunable<'_>,
    origins: &HashMap<i64, String>,
) -> Result<bool> {
    let some_may_drop = prunable.sinks.iter().any(|sink| sink.may_drop);
    while live_bytes(db)? + bytes + SLACK_BYTES > limit {
        let dropped = some_may_drop && drop_oldest(db, Droppable::Spared, prunable, origins)?
            || drop_oldest(db, Droppable::Full, prunable, origins)?;
        if !dropped {
            return Ok(false);
        }
    }
    Ok(true)
}

/// When room is scarce, drop the oldest rows that only sinks with `may_drop` lack.
pub(crate) fn spare(
    db: &Connection,
    limit: u64,
    prunable: &mut Prunable<'_>,
    origins: &HashMap<i64, String>,
) -> Result<()> {
    if prunable.sinks.iter().any(|sink| sink.may_drop) {
        while live_bytes(db)? + SLACK_BYTES > limit / 100 * SPARE_PERCENT
            && drop_oldest(db, Droppable::Spared, prunable, origins)?
        {}
    }
    Ok(())
}

/// Drop rows that were committed before a given time.
pub(crate) fn too_old(
    db: &Connection,
    before_ms: i64,
    prunable: &mut Prunable<'_>,
    origins: &HashMap<i64, String>,
) -> Result<()> {
    while drop_oldest(db, Droppable::Before(before_ms), prunable, origins)? {}
    Ok(())
}

/// Which rows may be dropped.
#[derive(Clone, Copy)]
enum Droppable {
    /// Rows of sources that cannot wait.
    Full,
    /// Rows that only sinks with `may_drop` lack.
    Spared,
    /// Rows that were committed before this time.
    Before(i64),
}

struct Oldest {
    first: u64,
    end: u64,
    origin: i64,
    only_sink: Option<i64>,
    committed_at_ms: i64,
    supply: Supply,
}

fn oldest(db: &Connection, sql: &str) -> Result<Option<Oldest>> {
    Ok(db
        .prepare_cached(sql)?
        .query_row([], |r| {
            let first: i64 = r.get(0)?;
            Ok(Oldest {
                first: first as u64,
                end: (first + r.get::<_, i64>(1)?) as u64,
                origin: r.get(2)?,
                only_sink: r.get(3)?,
                committed_at_ms: r.get(4)?,
                supply: Supply::stored(r.get(5)?),
            })
        })
        .optional()?)
}

/// Drop the oldest row that may be dropped; false if there is none.
fn drop_oldest(
    db: &Connection,
    droppable: Droppable,
    prunable: &mut Prunable<'_>,
    origins: &HashMap<i64, String>,
) -> Result<bool> {
    let sql = "SELECT first, count, origin, only_sink, committed_at_ms, replayable FROM frames ORDER BY first LIMIT 1";
    let Some(mut row) = oldest(db, sql)? else {
        return Ok(false);
    };
    let profile_of = |origin: i64| origins.get(&origin).map_or("", String::as_str);
    let may_go = match droppable {
        Droppable::Before(moment_ms) => row.committed_at_ms < moment_ms,
        Droppable::Full => row.supply != Supply::Waiting,
        Droppable::Spared => prunable.sinks.iter().all(|sink| {
            sink.may_drop
                || sink.cursor >= row.end
                || !sink.takes(row.only_sink, profile_of(row.origin))
        }),
    };
    let reason = match droppable {
        Droppable::Before(_) => DropReason::Age,
        Droppable::Full | Droppable::Spared => DropReason::Full,
    };
    let mut is_oldest = true;
    if !may_go {
        if !matches!(droppable, Droppable::Full) {
            return Ok(false);
        }
        let sql = "SELECT first, count, origin, only_sink, committed_at_ms, replayable FROM frames WHERE replayable < 2 ORDER BY first LIMIT 1";
        let Some(next) = oldest(db, sql)? else {
            return Ok(false);
        };
        row = next;
        is_oldest = false;
    }
    let profile = profile_of(row.origin);
    for sink in prunable.sinks.iter_mut() {
        let taken = sink.takes(row.only_sink, profile);
        sink.prune(db, row.first, row.end, taken, reason)?;
    }
    db.prepare_cached("DELETE FROM frames WHERE first=?1")?
        .execute([row.first as i64])?;
    if is_oldest {
        *prunable.oldest = row.end;
    } else {
        *prunable.dropped_within = true;
    }
    Ok(true)
}

/// Whether there is room to keep frames that no sink needs any more.
pub(crate) fn is_half_empty(db: &Connection, limit: u64) -> Result<bool> {
    Ok(live_bytes(db)? + SLACK_BYTES < limit / 2)
}

/// Remove the rows that every active sink has passed, but none from `kept` on. Returns the oldest kept position.
pub(crate) fn passed(
    db: &Connection,
    sinks: &[Sink],
    oldest: u64,
    next: u64,
    kept: u64,
) -> Result<u64> {
    let Some(cursor) = sinks.iter().map(|s| s.cursor).min() else {
        return Ok(oldest);
    };
    let cursor = cursor.min(kept);
    if cursor <= oldest {
        return Ok(oldest);
    }
    let boundary = if cursor >= next {
        next
    } else {
        let sql = "SELECT first FROM frames WHERE first <= ?1 ORDER BY first DESC LIMIT 1";
        db.prepare_cached(sql)?
            .query_row([cursor as i64], |r| r.get::<_, i64>(0))
            .optional()?
            .map_or(oldest, |first| first as u64)
    };
    if boundary > oldest {
        db.prepare_cached("DELETE FROM frames WHERE first < ?1")?
            .execute(params![boundary as i64])?;
    }
    Ok(boundary.max(oldest))
}
