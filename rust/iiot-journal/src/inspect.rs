//! Reads a journal without opening it for writing.

use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::reject::{self, Reject};
use crate::status::{self, Status};
use crate::{schema, sink_state};
use std::collections::BTreeMap;
use std::path::Path;

impl Journal {
    /// The ledger of a journal, without opening it for writing.
    pub fn inspect(path: &Path) -> Result<Status> {
        let read = || status::read(&schema::open_for_reading(path)?, None);
        read().map_err(|e| e.at(path))
    }

    /// The kept rejects of a journal, newest first, without opening it for writing.
    pub fn inspect_rejects(path: &Path, limit: u64) -> Result<Vec<Reject>> {
        let read = || reject::list(&schema::open_for_reading(path)?, limit);
        read().map_err(|e| e.at(path))
    }

    /// The state of a sink in a journal, without opening the journal for writing; empty if the journal does not know the
    /// sink.
    pub fn inspect_sink_state(path: &Path, sink: &str) -> Result<BTreeMap<String, Vec<u8>>> {
        let read = || {
            let db = schema::open_for_reading(path)?;
            if !schema::has_sink_state(&db)? {
                return Ok(BTreeMap::new());
            }
            let ids: Vec<i64> = db
                .prepare("SELECT id FROM sink WHERE name=?1")?
                .query_map([sink], |row| row.get(0))?
                .collect::<std::result::Result<_, _>>()?;
            ids.first()
                .map_or_else(|| Ok(BTreeMap::new()), |id| sink_state::read(&db, *id))
        };
        read().map_err(|e: Error| e.at(path))
    }
}
