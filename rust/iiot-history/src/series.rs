//! A series: its key, which is its line protocol, and its row.

use crate::error::Result;
use iiot_core::series::SeriesName;
use rusqlite::{Connection, OptionalExtension, params};

/// The row of a series in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub id: i64,
    pub first_ns: i64,
    pub last_ns: i64,
    pub points: u64,
}

/// The row of a series. A new one has no points, and [`save`] stores it.
pub(crate) fn find_or_insert(db: &Connection, key: &[u8], topic: Option<&str>) -> Result<Row> {
    let found = db
        .prepare_cached("SELECT id, first_ns, last_ns, points, topic FROM series WHERE key=?1")?
        .query_row([key], |r| Ok((row(r)?, r.get::<_, Option<String>>(4)?)))
        .optional()?;
    if let Some((row, known)) = found {
        if topic.is_some() && known.as_deref() != topic {
            db.prepare_cached("UPDATE series SET topic=?2 WHERE id=?1")?
                .execute(params![row.id, topic])?;
        }
        return Ok(row);
    }
    db.prepare_cached(
        "INSERT INTO series(key, topic, first_ns, last_ns, points) VALUES (?1, ?2, 0, 0, 0)",
    )?
    .execute(params![key, topic])?;
    Ok(Row {
        id: db.last_insert_rowid(),
        first_ns: 0,
        last_ns: 0,
        points: 0,
    })
}

pub(crate) fn save(db: &Connection, row: &Row) -> Result<()> {
    db.prepare_cached("UPDATE series SET first_ns=?2, last_ns=?3, points=?4 WHERE id=?1")?
        .execute(params![
            row.id,
            row.first_ns,
            row.last_ns,
            row.points as i64
        ])?;
    Ok(())
}

/// Every series with points before a time.
pub(crate) fn with_points_before(db: &Connection, time_ns: i64) -> Result<Vec<Row>> {
    let mut query = db.prepare_cached(
        "SELECT id, first_ns, last_ns, points FROM series WHERE first_ns < ?1 AND points > 0",
    )?;
    let rows = query.query_map([time_ns], row)?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// The series with this value of a tag that may have points between two times, without the end.
pub(crate) fn with_tag(
    db: &Connection,
    (tag, value): (&str, &str),
    start_ns: i64,
    end_ns: i64,
) -> Result<Vec<i64>> {
    let mut query = db.prepare_cached(
        "SELECT id, key FROM series WHERE first_ns < ?2 AND last_ns >= ?1 AND points > 0 ORDER BY id",
    )?;
    let mut rows = query.query([start_ns, end_ns])?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        let key = r.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        if SeriesName::read(key).is_some_and(|name| name.tag(tag) == Some(value)) {
            found.push(r.get(0)?);
        }
    }
    Ok(found)
}

/// The row of an existing series.
pub(crate) fn find(db: &Connection, id: i64) -> Result<Option<Row>> {
    Ok(db
        .prepare_cached("SELECT id, first_ns, last_ns, points FROM series WHERE id=?1")?
        .query_row([id], row)
        .optional()?)
}

/// Remove a series without points, and its roll-ups.
pub(crate) fn remove(db: &Connection, id: i64) -> Result<()> {
    db.prepare_cached("DELETE FROM series WHERE id=?1")?
        .execute([id])?;
    db.prepare_cached("DELETE FROM rollup WHERE series=?1")?
        .execute([id])?;
    Ok(())
}

pub(crate) fn row(r: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        id: r.get(0)?,
        first_ns: r.get(1)?,
        last_ns: r.get(2)?,
        points: r.get::<_, i64>(3)? as u64,
    })
}
