//! The blocks of a series in the file: appends behind its tail, merges late points, and reads a range.

use crate::block::{Sample, decode, encode};
use crate::error::Result;
use rusqlite::{Connection, OptionalExtension, params};
use std::cmp::Ordering;

/// A full block and its row fill one page of 4,096 bytes.
const BODY_BYTES: usize = 4_000;
/// The most samples considered for one block; only booleans and constants could need more.
const WINDOW: usize = 4_096;

/// A block's row without its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// None for the tail.
    pub id: Option<i64>,
    start_ns: i64,
    count: usize,
}

/// The result of merging.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// New points.
    pub inserted: u64,
    /// Points that had a different value.
    pub replaced: u64,
    /// The times of new and changed points.
    pub times: Vec<i64>,
}

/// Append samples that are later than all samples of the series.
pub(crate) fn append(db: &Connection, series: i64, fresh: Vec<Sample>) -> Result<()> {
    let mut samples = tail(db, series)?;
    samples.extend(fresh);
    write_tail(db, series, &samples)
}

/// Merge samples that are not later than the last sample of the series.
pub(crate) fn merge(db: &Connection, series: i64, late: &[Sample]) -> Result<Merged> {
    let mut merged = Merged::default();
    let mut rest = late;
    while let Some(first) = rest.first() {
        let (place, behind_ns) = place_of(db, series, first.time_ns)?;
        let here = behind_ns.map_or(rest.len(), |end| {
            rest.partition_point(|s| s.time_ns < end).max(1)
        });
        let (these, others) = rest.split_at(here);
        rest = others;
        let before = merged.times.len();
        let samples = joined(read(db, series, place)?, these, &mut merged);
        if merged.times.len() == before {
            continue;
        }
        if let Some(id) = place.id {
            db.prepare_cached("DELETE FROM block WHERE id=?1")?
                .execute([id])?;
            write_halves(db, series, &samples)?;
        } else {
            write_tail(db, series, &samples)?;
        }
    }
    Ok(merged)
}

/// Show the samples of `start_ns..end_ns` in the order of their times, block by block, until `visit` returns false.
pub(crate) fn scan(
    db: &Connection,
    series: i64,
    start_ns: i64,
    end_ns: i64,
    mut visit: impl FnMut(&[Sample]) -> bool,
) -> Result<()> {
    // The tail is later than all blocks.
    for sql in [
        "SELECT start_ns, count, body FROM block WHERE series=?1 AND start_ns < ?3
           AND start_ns >= coalesce((SELECT max(start_ns) FROM block WHERE series=?1 AND start_ns <= ?2), ?2)
         ORDER BY start_ns",
        "SELECT start_ns, count, body FROM tail WHERE series=?1 AND start_ns < ?3 AND end_ns >= ?2",
    ] {
        let mut query = db.prepare_cached(sql)?;
        let mut rows = query.query(params![series, start_ns, end_ns])?;
        while let Some(row) = rows.next()? {
            let body = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
            let samples = decode(row.get(0)?, row.get::<_, i64>(1)? as usize, body)?;
            let from = samples.partition_point(|s| s.time_ns < start_ns);
            let to = samples.partition_point(|s| s.time_ns < end_ns);
            if from < to && !visit(samples.get(from..to).unwrap_or_default()) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The last sample of a series.
pub(crate) fn last(db: &Connection, series: i64) -> Result<Option<Sample>> {
    if let Some(sample) = tail(db, series)?.pop() {
        return Ok(Some(sample));
    }
    let place = db
        .prepare_cached(
            "SELECT id, start_ns, count FROM block WHERE series=?1 ORDER BY start_ns DESC LIMIT 1",
        )?
        .query_row([series], place)
        .optional()?;
    Ok(match place {
        Some(place) => read(db, series, place)?.pop(),
        None => None,
    })
}

/// The time of the first remaining sample.
pub(crate) fn first_ns(db: &Connection, series: i64) -> Result<Option<i64>> {
    let sql =
        "SELECT min(start_ns) FROM (SELECT min(start_ns) AS start_ns FROM block WHERE series=?1
               UNION ALL SELECT start_ns FROM tail WHERE series=?1)";
    Ok(db
        .prepare_cached(sql)?
        .query_row([series], |r| r.get::<_, Option<i64>>(0))?)
}

pub(crate) fn place(r: &rusqlite::Row<'_>) -> rusqlite::Result<Place> {
    Ok(Place {
        id: r.get(0)?,
        start_ns: r.get(1)?,
        count: r.get::<_, i64>(2)? as usize,
    })
}

/// The block to which a time belongs, and where the next one begins.
fn place_of(db: &Connection, series: i64, time_ns: i64) -> Result<(Place, Option<i64>)> {
    let tail: Option<Place> = db
        .prepare_cached("SELECT NULL, start_ns, count FROM tail WHERE series=?1")?
        .query_row([series], place)
        .optional()?;
    if let Some(tail) = tail
        && time_ns >= tail.start_ns
    {
        return Ok((tail, None));
    }
    let block = db
        .prepare_cached(
            "SELECT id, start_ns, count FROM block WHERE series=?1 AND start_ns <= ?2 ORDER BY start_ns DESC LIMIT 1",
        )?
        .query_row([series, time_ns], place)
        .optional()?;
    // A sample older than all blocks belongs to the oldest block.
    let block = match block {
        Some(block) => Some(block),
        None => db
            .prepare_cached(
                "SELECT id, start_ns, count FROM block WHERE series=?1 ORDER BY start_ns LIMIT 1",
            )?
            .query_row([series], place)
            .optional()?,
    };
    let Some(block) = block else {
        let none = Place {
            id: None,
            start_ns: time_ns,
            count: 0,
        };
        return Ok((tail.unwrap_or(none), None));
    };
    let next: Option<i64> = db
        .prepare_cached("SELECT min(start_ns) FROM block WHERE series=?1 AND start_ns > ?2")?
        .query_row([series, block.start_ns], |r| r.get(0))?;
    Ok((block, next.or(tail.map(|t| t.start_ns))))
}

pub(crate) fn read(db: &Connection, series: i64, place: Place) -> Result<Vec<Sample>> {
    let Some(id) = place.id else {
        return tail(db, series);
    };
    let body: Vec<u8> = db
        .prepare_cached("SELECT body FROM block WHERE id=?1")?
        .query_row([id], |r| r.get(0))?;
    decode(place.start_ns, place.count, &body)
}

pub(crate) fn tail(db: &Connection, series: i64) -> Result<Vec<Sample>> {
    let mut query = db.prepare_cached("SELECT start_ns, count, body FROM tail WHERE series=?1")?;
    let mut rows = query.query([series])?;
    let Some(row) = rows.next()? else {
        return Ok(Vec::new());
    };
    let body = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
    decode(row.get(0)?, row.get::<_, i64>(1)? as usize, body)
}

/// Store samples as the tail. Samples that fill blocks become blocks.
pub(crate) fn write_tail(db: &Connection, series: i64, samples: &[Sample]) -> Result<()> {
    let mut rest = samples;
    loop {
        let window = rest.get(..WINDOW).unwrap_or(rest);
        let body = encode(window);
        if body.len() <= BODY_BYTES && window.len() == rest.len() {
            return replace_tail(db, series, rest, &body);
        }
        let (count, body) = full(window, body);
        let (block, others) = rest.split_at(count);
        insert(db, series, block, &body)?;
        rest = others;
    }
}

/// How many samples of a window fill a block; `body` encodes the whole window.
fn full(window: &[Sample], mut body: Vec<u8>) -> (usize, Vec<u8>) {
    let mut count = window.len();
    while body.len() > BODY_BYTES && count > 1 {
        count = (count * BODY_BYTES / body.len()).clamp(1, count - 1);
        body = encode(window.get(..count).unwrap_or_default());
    }
    (count, body)
}

fn replace_tail(db: &Connection, series: i64, samples: &[Sample], body: &[u8]) -> Result<()> {
    if let (Some(first), Some(last)) = (samples.first(), samples.last()) {
        db.prepare_cached(
            "INSERT INTO tail VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET
             start_ns=excluded.start_ns, end_ns=excluded.end_ns, count=excluded.count, body=excluded.body",
        )?
        .execute(params![series, first.time_ns, last.time_ns, samples.len() as i64, body])?;
    } else {
        db.prepare_cached("DELETE FROM tail WHERE series=?1")?
            .execute([series])?;
    }
    Ok(())
}

fn insert(db: &Connection, series: i64, samples: &[Sample], body: &[u8]) -> Result<()> {
    if let (Some(first), Some(last)) = (samples.first(), samples.last()) {
        db.prepare_cached(
            "INSERT INTO block(series, start_ns, end_ns, count, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            series,
            first.time_ns,
            last.time_ns,
            samples.len() as i64,
            body
        ])?;
    }
    Ok(())
}

/// Store samples as blocks with some free room, because more late samples may follow.
pub(crate) fn write_halves(db: &Connection, series: i64, samples: &[Sample]) -> Result<()> {
    let body = encode(samples);
    if body.len() <= BODY_BYTES || samples.len() <= 1 {
        return insert(db, series, samples, &body);
    }
    let (left, right) = samples.split_at(samples.len() / 2);
    write_halves(db, series, left)?;
    write_halves(db, series, right)
}

/// Merge two lists. If both have a sample at one time, the new one counts.
fn joined(old: Vec<Sample>, new: &[Sample], merged: &mut Merged) -> Vec<Sample> {
    let mut samples = Vec::with_capacity(old.len() + new.len());
    let mut old = old.into_iter().peekable();
    for sample in new {
        while let Some(earlier) = old.next_if(|o| o.time_ns < sample.time_ns) {
            samples.push(earlier);
        }
        match old.next_if(|o| o.time_ns.cmp(&sample.time_ns) == Ordering::Equal) {
            Some(same) if same == *sample => {}
            found => {
                merged.inserted += u64::from(found.is_none());
                merged.replaced += u64::from(found.is_some());
                merged.times.push(sample.time_ns);
            }
        }
        samples.push(sample.clone());
    }
    samples.extend(old);
    samples
}
