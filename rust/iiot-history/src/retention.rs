//! Limits of age and size: removes the oldest points of all series, and corrects the roll-ups to the remaining points.

use crate::error::Result;
use crate::{blocks, forget, rollup, series};
use rusqlite::{Connection, OptionalExtension};
use std::time::Duration;

/// The age is checked again when this much more time has become too old.
const STEP_NS: i64 = 600_000_000_000;
/// The part of a full file that is freed at once, instead of a little at every commit.
const FREED: f64 = 0.1;

/// The limits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Points older than this are removed; none keeps all.
    pub max_age: Option<Duration>,
    /// If more bytes than this are in use, the oldest points are removed; 0 means no limit.
    pub max_bytes: u64,
}

/// Apply the limits. Returns the number of removed points, and the time before which the age was checked.
pub(crate) fn keep(
    db: &Connection,
    limits: &Limits,
    now_ns: i64,
    looked_before_ns: i64,
) -> Result<(u64, i64)> {
    let mut pruned = 0;
    let mut before_ns = looked_before_ns;
    if let Some(max_age) = limits.max_age {
        let newest: Option<i64> = db
            .prepare_cached("SELECT max(last_ns) FROM series WHERE points > 0")?
            .query_row([], |r| r.get(0))?;
        // A host clock that jumps ahead must not empty the file, so the age counts from the newest point.
        let now_ns = newest.map_or(now_ns, |newest| newest.min(now_ns));
        let age_ns = i64::try_from(max_age.as_nanos()).unwrap_or(i64::MAX);
        let limit_ns = now_ns.saturating_sub(age_ns);
        if limit_ns.saturating_sub(before_ns) >= STEP_NS {
            pruned += forget_before(db, limit_ns)?;
            before_ns = limit_ns;
        }
    }
    let used = used_bytes(db)?;
    if limits.max_bytes > 0 && used > limits.max_bytes {
        pruned += free(db, used, limits.max_bytes)?;
    }
    Ok((pruned, before_ns))
}

/// Give pages back to the disk if the file is larger than its limit, for example after the limit was lowered.
pub(crate) fn shrink(db: &Connection, limits: &Limits) -> Result<()> {
    let file = pragma(db, "page_count")? * pragma(db, "page_size")?;
    if limits.max_bytes > 0 && file > limits.max_bytes {
        // Every row of this statement frees a page.
        let mut vacuum = db.prepare("PRAGMA incremental_vacuum(2000)")?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}

/// Bytes of the pages in use.
pub(crate) fn used_bytes(db: &Connection) -> Result<u64> {
    Ok((pragma(db, "page_count")? - pragma(db, "freelist_count")?) * pragma(db, "page_size")?)
}

fn pragma(db: &Connection, name: &str) -> Result<u64> {
    Ok(db
        .prepare_cached(&format!("PRAGMA {name}"))?
        .query_row([], |r| r.get::<_, i64>(0))? as u64)
}

fn free(db: &Connection, used: u64, max_bytes: u64) -> Result<u64> {
    let all = "SELECT end_ns FROM block UNION ALL SELECT end_ns FROM tail";
    let blocks: i64 = db
        .prepare_cached(&format!("SELECT count(*) FROM ({all})"))?
        .query_row([], |r| r.get(0))?;
    let target = max_bytes as f64 * (1.0 - FREED);
    let part = 1.0 - target / used as f64;
    let last = ((blocks as f64 * part) as i64).clamp(0, (blocks - 1).max(0));
    let end_ns: Option<i64> = db
        .prepare_cached(&format!(
            "SELECT end_ns FROM ({all}) ORDER BY end_ns LIMIT 1 OFFSET ?1"
        ))?
        .query_row([last], |r| r.get(0))
        .optional()?;
    end_ns.map_or(Ok(0), |end_ns| forget_before(db, end_ns.saturating_add(1)))
}

fn forget_before(db: &Connection, time_ns: i64) -> Result<u64> {
    let mut pruned = 0;
    for mut row in series::with_points_before(db, time_ns)? {
        let gone = forget::before(db, row.id, time_ns)?;
        pruned += gone;
        row.points = row.points.saturating_sub(gone);
        let Some(first_ns) = blocks::first_ns(db, row.id)? else {
            series::remove(db, row.id)?;
            continue;
        };
        row.first_ns = first_ns;
        series::save(db, &row)?;
        rollup::forget_before(db, row.id, time_ns)?;
        rollup::recompute(db, row.id, &[time_ns])?;
    }
    Ok(pruned)
}
