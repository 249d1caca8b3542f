//! Finds rows whose body is damaged, by their checksums.

use crate::error::{Error, ErrorKind, Result};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::fmt::Write;

/// How many damaged stretches an error names; it gives the number of further ones.
const NAMED: usize = 8;

/// Read every row once. Says which frames are damaged; none if all are whole.
pub(crate) fn bodies(db: &Connection) -> Result<Option<String>> {
    let mut query = db.prepare("SELECT first, count, crc, body FROM frames ORDER BY first")?;
    let mut rows = query.query([])?;
    let mut found: Vec<(i64, i64)> = Vec::new();
    while let Some(row) = rows.next()? {
        let (first, count): (i64, i64) = (row.get(0)?, row.get(1)?);
        let is_whole = match row.get_ref(3)? {
            ValueRef::Blob(body) => row.get_ref(2)? == ValueRef::Integer(checksum(body).into()),
            _ => false,
        };
        match found.last_mut() {
            _ if is_whole => {}
            Some((_, end)) if *end == first => *end += count,
            _ => found.push((first, first + count)),
        }
    }
    Ok((!found.is_empty()).then(|| {
        let mut text = String::from("frames");
        for (at, (first, end)) in found.iter().take(NAMED).enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(text, "{comma} {first} to {}", end - 1);
        }
        if found.len() > NAMED {
            let _ = write!(text, " and {} more stretches", found.len() - NAMED);
        }
        text + " fail their checksum"
    }))
}

/// The checksum of a row's body, as it is stored.
pub(crate) fn checksum(body: &[u8]) -> u32 {
    crc32fast::hash(body)
}

/// A row that was damaged since the journal was opened.
pub(crate) fn damaged_row(first: u64, end: u64) -> Error {
    Error::new(
        ErrorKind::Damaged,
        format!(
            "frames {first} to {} fail their checksum, so the disk or the journal's file is damaged; stop the gateway, move the journal and its -wal file away to begin anew, and keep them for recovery",
            end - 1
        ),
    )
}
