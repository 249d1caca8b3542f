//! A series: its key, which is its line protocol, and its row.

use crate::error::{Error, Result};
use rusqlite::{Connection, OptionalExtension, params};
use std::iter::Peekable;
use std::slice::Iter;

/// What the file knows of a series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub id: i64,
    pub first_ns: i64,
    pub last_ns: i64,
    pub points: u64,
}

/// The row of a series; a new one has no points, and becomes real with [`save`].
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

pub(crate) fn row(r: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        id: r.get(0)?,
        first_ns: r.get(1)?,
        last_ns: r.get(2)?,
        points: r.get::<_, i64>(3)? as u64,
    })
}

/// Measurement, tags and field.
pub(crate) type Parts = (String, Vec<(String, String)>, String);

/// The parts of a key.
pub(crate) fn parse(key: &[u8]) -> Result<Parts> {
    let mut rest = key.iter().peekable();
    let measurement = piece(&mut rest, b", ");
    let mut tags = Vec::new();
    while rest.next_if_eq(&&b',').is_some() {
        let name = piece(&mut rest, b"=");
        rest.next();
        tags.push((name, piece(&mut rest, b", ")));
    }
    rest.next();
    let field = piece(&mut rest, b"=");
    if rest.next() != Some(&b'=') || rest.next().is_some() {
        return Err(Error::damaged(format!(
            "{} is no series",
            key.escape_ascii()
        )));
    }
    Ok((measurement, tags, field))
}

/// The text up to one of the bytes that end it, its escapes taken away.
fn piece(rest: &mut Peekable<Iter<'_, u8>>, ends: &[u8]) -> String {
    let mut text = Vec::new();
    while let Some(&byte) = rest.next_if(|byte| !ends.contains(byte)) {
        // A key has no backslash but before what it escapes.
        text.push(if byte == b'\\' {
            rest.next().copied().unwrap_or(byte)
        } else {
            byte
        });
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_key_gives_back_its_parts() {
        //! Escaped separators are part of the names.
        let (measurement, tags, field) =
            parse(br"a\,b=c\ d,node=a/b+c#d\ e\,f\=g,unit=percent va\=lue=").unwrap();

        assert_eq!(measurement, "a,b=c d");
        let expected = [("node", "a/b+c#d e,f=g"), ("unit", "percent")];
        assert_eq!(tags, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(field, "va=lue");
    }

    #[test]
    fn what_is_no_key_is_an_error() {
        //! And no panic.
        for key in [&b""[..], b"a", b"a,b", b"a b", b"a b=c", b",,, =", b"\\"] {
            let _ = parse(key);
        }
        assert!(parse(b"a b").is_err());
    }
}
