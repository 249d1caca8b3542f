//! A transaction around a closure.

use crate::error::Result;

/// Run a closure in a transaction of its own.
pub(crate) fn transaction<T>(
    db: &rusqlite::Connection,
    body: impl FnOnce() -> Result<T>,
) -> Result<T> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    match body().and_then(|value| {
        db.execute_batch("COMMIT")
            .map_err(Into::into)
            .map(|()| value)
    }) {
        Ok(value) => Ok(value),
        Err(error) => {
            let _ = db.execute_batch("ROLLBACK");
            Err(error)
        }
    }
}
