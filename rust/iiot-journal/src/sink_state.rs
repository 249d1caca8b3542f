//! A sink's own state in the journal: values under keys, which change in the transaction that moves its cursor.

use crate::error::Result;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// Changes of a sink's state: a new value for a key, or `None` to delete the key.
pub type StateChanges = BTreeMap<String, Option<Vec<u8>>>;

/// Write changes, in a transaction of the caller.
pub(crate) fn write(db: &Connection, sink: i64, changes: &StateChanges) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut put = db.prepare_cached(
        "INSERT INTO sink_state VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value=excluded.value",
    )?;
    let mut delete = db.prepare_cached("DELETE FROM sink_state WHERE sink=?1 AND key=?2")?;
    for (key, value) in changes {
        match value {
            Some(value) => put.execute(params![sink, key, value])?,
            None => delete.execute(params![sink, key])?,
        };
    }
    Ok(())
}

/// The whole state of a sink.
pub(crate) fn read(db: &Connection, sink: i64) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut query = db.prepare("SELECT key, value FROM sink_state WHERE sink=?1")?;
    let rows = query.query_map([sink], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}
