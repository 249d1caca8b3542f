//! Removes points from the blocks of a series: all before a time, or those of a span.

use crate::block::Sample;
use crate::blocks::{Place, place, read, tail, write_halves, write_tail};
use crate::error::Result;
use rusqlite::{Connection, OptionalExtension, params};

/// Remove all points before a time. Returns their number.
pub(crate) fn before(db: &Connection, series: i64, time_ns: i64) -> Result<u64> {
    let mut gone: u64 = db
        .prepare_cached("SELECT coalesce(sum(count), 0) FROM block WHERE series=?1 AND start_ns < ?2 AND end_ns < ?2")?
        .query_row([series, time_ns], |r| r.get::<_, i64>(0))? as u64;
    db.prepare_cached("DELETE FROM block WHERE series=?1 AND start_ns < ?2 AND end_ns < ?2")?
        .execute([series, time_ns])?;
    let cut = db
        .prepare_cached("SELECT id, start_ns, count FROM block WHERE series=?1 AND start_ns < ?2")?
        .query_row([series, time_ns], place)
        .optional()?;
    if let Some(cut) = cut {
        let samples = read(db, series, cut)?;
        let kept = samples.partition_point(|s| s.time_ns < time_ns);
        gone += kept as u64;
        db.prepare_cached("DELETE FROM block WHERE id=?1")?
            .execute([cut.id])?;
        write_halves(db, series, samples.get(kept..).unwrap_or_default())?;
    }
    let samples = tail(db, series)?;
    let kept = samples.partition_point(|s| s.time_ns < time_ns);
    if kept > 0 {
        gone += kept as u64;
        write_tail(db, series, samples.get(kept..).unwrap_or_default())?;
    }
    Ok(gone)
}

/// Remove the points between two times, without the end. Returns their number.
pub(crate) fn between(db: &Connection, series: i64, start_ns: i64, end_ns: i64) -> Result<u64> {
    let within = "series=?1 AND start_ns >= ?2 AND start_ns < ?3 AND end_ns < ?3";
    let mut gone: u64 =
        db.prepare_cached(&format!(
            "SELECT coalesce(sum(count), 0) FROM block WHERE {within}"
        ))?
        .query_row([series, start_ns, end_ns], |r| r.get::<_, i64>(0))? as u64;
    db.prepare_cached(&format!("DELETE FROM block WHERE {within}"))?
        .execute([series, start_ns, end_ns])?;
    let without = |samples: Vec<Sample>| -> (u64, Vec<Sample>) {
        let before = samples.len();
        let mut kept = samples;
        kept.retain(|s| s.time_ns < start_ns || s.time_ns >= end_ns);
        ((before - kept.len()) as u64, kept)
    };
    // At each end of the span, one block may have points on both sides of that end.
    let cut: Vec<Place> = db
        .prepare_cached(
            "SELECT id, start_ns, count FROM block WHERE series=?1 AND start_ns < ?3 AND end_ns >= ?2
               AND start_ns >= coalesce((SELECT max(start_ns) FROM block WHERE series=?1 AND start_ns <= ?2), ?2)",
        )?
        .query_map([series, start_ns, end_ns], place)?
        .collect::<std::result::Result<_, _>>()?;
    for block in cut {
        let (taken, kept) = without(read(db, series, block)?);
        if taken > 0 {
            gone += taken;
            db.prepare_cached("DELETE FROM block WHERE id=?1")?
                .execute([block.id])?;
            write_halves(db, series, &kept)?;
        }
    }
    let (taken, kept) = without(tail(db, series)?);
    if taken > 0 {
        gone += taken;
        write_tail(db, series, &kept)?;
    }
    Ok(gone)
}

/// The end of the last of this many blocks that begin at a time or later; none if there are fewer.
pub(crate) fn end_of_blocks(
    db: &Connection,
    series: i64,
    start_ns: i64,
    blocks: usize,
) -> Result<Option<i64>> {
    Ok(db
        .prepare_cached(
            "SELECT start_ns FROM block WHERE series=?1 AND start_ns > ?2 ORDER BY start_ns LIMIT 1 OFFSET ?3",
        )?
        .query_row(params![series, start_ns, blocks as i64], |r| r.get(0))
        .optional()?)
}
