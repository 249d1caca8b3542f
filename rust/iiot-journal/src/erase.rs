//! Deletion of a device's data in a span: finds the sinks that have not passed a position, and deletes rejects.

use crate::error::{Result, closed};
use crate::journal::Journal;
use crate::mutex::lock;
use crate::reject::{PROVISIONAL, total_bytes};
use crate::transaction::transaction;
use iiot_core::snapshot_tag;
use rusqlite::params;
use std::time::Duration;

/// How long a sync may take.
const SYNC: Duration = Duration::from_secs(10);

impl Journal {
    /// The position behind everything pushed so far, once that is synced. None if it takes longer.
    pub fn end(&self, timeout: Duration) -> Option<u64> {
        self.sync(timeout).then(|| lock(&self.shared.progress).head)
    }

    /// The active sinks that have not passed a position, as it is stored, by name.
    pub fn behind(&self, position: u64) -> Result<Vec<String>> {
        self.with_reader(|db| {
            let mut query = db.prepare_cached(
                "SELECT name FROM sink WHERE active AND cursor < ?1 ORDER BY name",
            )?;
            let names = query.query_map([position as i64], |row| row.get(0))?;
            Ok(names.collect::<std::result::Result<_, _>>()?)
        })
    }

    /// Delete the rejects of a device with times in `start_ns..end_ns`. Returns how many. The deletion, and all commits before it, are synced.
    ///
    /// A document that cannot be read counts with the time of its arrival. Counts do not change, because they say what happened.
    pub fn delete_rejects(&self, device_id: &str, start_ns: i64, end_ns: i64) -> Result<u64> {
        let device_id = device_id.as_bytes().to_vec();
        let deleted = self.shared.command(move |state| {
            let deleted = transaction(&state.db, || {
                let mut query = state.db.prepare_cached(
                    "SELECT id, device FROM reject WHERE device IS NOT NULL AND kind<>?3
                     AND time_ns >= ?1 AND time_ns < ?2",
                )?;
                let mut rows = query.query(params![start_ns, end_ns, PROVISIONAL])?;
                let mut ids: Vec<i64> = Vec::new();
                while let Some(row) = rows.next()? {
                    let device = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
                    if snapshot_tag(device, "device_id") == Some(&device_id) {
                        ids.push(row.get(0)?);
                    }
                }
                let mut delete = state.db.prepare_cached("DELETE FROM reject WHERE id=?1")?;
                for id in &ids {
                    delete.execute([id])?;
                }
                Ok(ids.len() as u64)
            })?;
            state.reject_bytes = total_bytes(&state.db)?;
            Ok(deleted)
        })?;
        let commits = {
            let mut progress = lock(&self.shared.progress);
            progress.sync_now = true;
            progress.commits
        };
        self.shared.progress_changed.notify_all();
        let is_synced = self
            .shared
            .wait_progress(SYNC, |p| p.synced_commits >= commits);
        if is_synced {
            Ok(deleted)
        } else {
            Err(closed())
        }
    }
}
