//! Deleting what one tag's value sent in a span: points go for good, and the roll-ups stay those of the points that are there.

use crate::error::{Error, Result};
use crate::{blocks, forget, rollup, schema, series};
use rusqlite::Connection;

/// A transaction takes so many full blocks from a series at most, so that the log stays small.
const BLOCKS: usize = 16;
/// A transaction ends behind the series with which it has deleted so many points.
const POINTS: u64 = 20_000;
/// A transaction goes through so many series at most.
const SERIES: usize = 256;

/// Where a deletion goes on.
struct Rest {
    /// The series that are left, the next one last.
    series: Vec<i64>,
    /// From where on the next one is to be deleted.
    from_ns: i64,
    start_ns: i64,
    end_ns: i64,
}

/// Delete the points of every series with this tag, the end of the span excluded. Returns how many that were.
///
/// Each transaction leaves a history that is right. A deletion ends early, with an error, once `cancelled` says so; the same call finishes it.
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

/// What one transaction deletes.
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
    // A span without bounds must not make buckets without bounds.
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
