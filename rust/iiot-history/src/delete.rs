//! Deletes the points with one tag value in a span of time, and corrects the roll-ups to the remaining points.

use crate::error::{Error, Result};
use crate::{blocks, forget, rollup, schema, series};
use rusqlite::Connection;

/// The most full blocks that a transaction takes from a series, so that the log stays small.
const BLOCKS: usize = 16;
/// A transaction ends after the series with which it has deleted this many points.
const POINTS: u64 = 20_000;
/// The most series that a transaction goes through.
const SERIES: usize = 256;

/// The position at which a deletion continues.
struct Rest {
    /// The remaining series; the next one is last.
    series: Vec<i64>,
    /// The time from which to delete in the next series.
    from_ns: i64,
    start_ns: i64,
    end_ns: i64,
}

/// Delete the points of every series with this tag, without the end of the span. Returns their number.
///
/// The history is consistent after each transaction. If `cancelled` returns true, the deletion ends early, with an error; the same call finishes it.
pub(crate) fn delete(
    db: &Connection,
    tag: (&str, &str),
    start_ns: i64,
    end_ns: i64,
    mut cancelled: impl FnMut() -> bool,
) -> Result<u64> {
    let mut series = series::with_tag(db, tag, start_ns, end_ns)?;
    series.reverse();
    let mut rest = Rest {
        series,
        from_ns: start_ns,
        start_ns,
        end_ns,
    };
    let mut gone = 0;
    while !rest.series.is_empty() {
        if cancelled() {
            return Err(Error::closed());
        }
        gone += schema::transaction(db, "BEGIN IMMEDIATE", || some(db, &mut rest))?;
    }
    Ok(gone)
}

/// Delete in one transaction.
fn some(db: &Connection, rest: &mut Rest) -> Result<u64> {
    let mut gone = 0;
    for _ in 0..SERIES {
        let Some(&id) = rest.series.last() else {
            break;
        };
        if gone >= POINTS {
            break;
        }
        let stop =
            forget::end_of_blocks(db, id, rest.from_ns, BLOCKS)?.filter(|stop| *stop < rest.end_ns);
        gone += of_series(db, id, rest.from_ns, stop.unwrap_or(rest.end_ns))?;
        if let Some(stop) = stop {
            rest.from_ns = stop;
            break;
        }
        rest.series.pop();
        rest.from_ns = rest.start_ns;
    }
    Ok(gone)
}

fn of_series(db: &Connection, id: i64, start_ns: i64, end_ns: i64) -> Result<u64> {
    let Some(mut row) = series::find(db, id)? else {
        return Ok(0);
    };
    // Without this limit, an unbounded span would create an unbounded number of buckets.
    let (start_ns, end_ns) = (
        start_ns.max(row.first_ns),
        end_ns.min(row.last_ns.saturating_add(1)),
    );
    if start_ns >= end_ns {
        return Ok(0);
    }
    let gone = forget::between(db, id, start_ns, end_ns)?;
    if gone == 0 {
        return Ok(0);
    }
    row.points = row.points.saturating_sub(gone);
    let (first, last) = (blocks::first_ns(db, id)?, blocks::last(db, id)?);
    let (Some(first_ns), Some(last)) = (first, last) else {
        series::remove(db, id)?;
        return Ok(gone);
    };
    row.first_ns = first_ns;
    row.last_ns = last.time_ns;
    series::save(db, &row)?;
    rollup::empty_between(db, id, start_ns, end_ns)?;
    Ok(gone)
}
