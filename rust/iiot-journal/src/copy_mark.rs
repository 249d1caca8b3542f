//! Marks a copy of a journal, so that it is adapted when it is opened in place of the journal.

use crate::error::Result;
use crate::memory::forget_deliveries;
use crate::transaction::transaction;
use rusqlite::{Connection, OptionalExtension, params};

/// When the copy was made, until it is opened.
const COPIED_AT: &str = "copied_at_ms";

/// Note when the copy was made.
pub(crate) fn mark(copy: &Connection, now_ms: i64) -> Result<()> {
    copy.execute(
        "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value=excluded.value",
        params![COPIED_AT, now_ms],
    )?;
    Ok(())
}

/// Adapt a copy that is opened in place of its journal. Returns a note for the operator; none for any other journal.
///
/// Since the copy was made, brokers have received acknowledgements, and packet ids belong to other messages. So a message that a broker
/// sends again is not treated as a known delivery: it is better to have a message twice than not at all.
pub(crate) fn at_open(db: &Connection) -> Result<Option<String>> {
    let Some(at_ms) = copied_at(db)? else {
        return Ok(None);
    };
    let seconds = at_ms / 1000;
    transaction(db, || {
        forget_deliveries(db)?;
        db.execute("DELETE FROM meta WHERE key=?1", [COPIED_AT])?;
        Ok(())
    })?;
    let at: String = db.query_row(
        "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', ?1, 'unixepoch')",
        [seconds],
        |r| r.get(0),
    )?;
    Ok(Some(format!(
        "journal_restored: it is a copy of {at}; what was accepted later is not in it, and what waited for a sink then is sent to that sink again"
    )))
}

fn copied_at(db: &Connection) -> Result<Option<i64>> {
    Ok(db
        .query_row("SELECT value FROM meta WHERE key=?1", [COPIED_AT], |r| {
            r.get(0)
        })
        .optional()?)
}
