//! Taking rows out of the frame table: what every sink has passed, what is too old, and the oldest when the room ends.

use crate::commit::Group;
use crate::error::Result;
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

/// Drop the oldest rows until `bytes` more fit. Returns the oldest kept position.
pub(crate) fn make_room(
    db: &Connection,
    limit: u64,
    bytes: u64,
    group: &mut Group,
    origins: &HashMap<i64, String>,
) -> Result<u64> {
    let mut oldest = group.oldest;
    while live_bytes(db)? + bytes + SLACK_BYTES > limit {
        match drop_oldest(db, None, DropReason::Full, group, origins)? {
            Some(end) => oldest = end,
            None => break,
        }
    }
    Ok(oldest)
}

/// Drop rows committed before a moment. Returns the oldest kept position.
pub(crate) fn too_old(
    db: &Connection,
    before_ms: i64,
    group: &mut Group,
    origins: &HashMap<i64, String>,
) -> Result<u64> {
    let mut oldest = group.oldest;
    while let Some(end) = drop_oldest(db, Some(before_ms), DropReason::Age, group, origins)? {
        oldest = end;
    }
    Ok(oldest)
}

fn drop_oldest(
    db: &Connection,
    before_ms: Option<i64>,
    reason: DropReason,
    group: &mut Group,
    origins: &HashMap<i64, String>,
) -> Result<Option<u64>> {
    type Oldest = (i64, i64, i64, Option<i64>, i64);
    let found: Option<Oldest> = db
        .prepare_cached("SELECT first, count, origin, only_sink, committed_at_ms FROM frames ORDER BY first LIMIT 1")?
        .query_row([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))
        .optional()?;
    let Some((first, count, origin, only_sink, committed_at_ms)) = found else {
        return Ok(None);
    };
    if before_ms.is_some_and(|before| committed_at_ms >= before) {
        return Ok(None);
    }
    let (first, end) = (first as u64, (first + count) as u64);
    let profile = origins.get(&origin).map_or("", String::as_str);
    for sink in &mut group.sinks {
        let taken = sink.takes(only_sink, profile);
        sink.prune(db, first, end, taken, reason)?;
    }
    db.prepare_cached("DELETE FROM frames WHERE first=?1")?
        .execute([first as i64])?;
    Ok(Some(end))
}

/// Take out the rows that every active sink has passed. Returns the oldest kept position.
pub(crate) fn passed(db: &Connection, sinks: &[Sink], oldest: u64, next: u64) -> Result<u64> {
    let Some(cursor) = sinks.iter().map(|s| s.cursor).min() else {
        return Ok(oldest);
    };
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
