//! Two threads beside the writer: one makes commits survive the loss of power, one moves the log into the file.

use crate::mutex::lock;
use crate::room::Room;
use crate::shared::Shared;
use rusqlite::Connection;
use std::fs::File;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// The sync of live frames may wait this long: sinks get these frames at the commit, and publishing them comes first.
const LIVE_DELAY: Duration = Duration::from_millis(2);

/// When a commit is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// After each group.
    Full,
    /// Each second.
    Normal,
}

/// The checkpoint thread. A reader in the way only delays it: it tries again at the next request.
pub(crate) fn checkpoint_thread(shared: &Shared, db: &Connection, room: Option<&Room>) {
    let mut is_told = false;
    while shared.checkpoint.next() {
        let pass = || {
            db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |r| {
                Ok((r.get::<_, i64>(1)?, r.get::<_, i64>(2)?))
            })
        };
        // Most pages are moved while the writer goes on. The few others are moved without it, so that its next commit
        // starts the log from the beginning.
        let _ = shared.while_syncing(pass);
        shared.gate.without_writer(|| {
            let _ = pass();
        });
        // No other thread writes to the file, so the writer can go on meanwhile.
        if let Some(Err(error)) = room
            .filter(|room| !room.is_one_chunk())
            .map(Room::take_back)
            && !std::mem::replace(&mut is_told, true)
        {
            lock(&shared.notes).push(format!("journal_room_not_reserved: {error}; a disk that others fill can stop the intake before max_bytes is used"));
        }
        shared.checkpoint.done();
    }
}

/// The sync thread.
pub(crate) fn sync_thread(shared: &Shared, log: &File, mode: SyncMode) {
    let mut last = Instant::now();
    loop {
        let progress = lock(&shared.progress);
        let mut progress = shared
            .progress_changed
            .wait_while(progress, |p| p.synced_commits == p.commits && !p.stopping)
            .unwrap_or_else(PoisonError::into_inner);
        let due = match mode {
            SyncMode::Full => LIVE_DELAY,
            SyncMode::Normal => Duration::from_secs(1).saturating_sub(last.elapsed()),
        };
        progress = shared
            .progress_changed
            .wait_timeout_while(progress, due, |p| {
                let awaited = mode == SyncMode::Full && p.awaits_sync();
                !awaited && !p.sync_now && !p.stopping
            })
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        if progress.synced_commits == progress.commits {
            if progress.stopping {
                return;
            }
            continue;
        }
        let (ticket, head, commits) = (progress.committed_ticket, progress.head, progress.commits);
        progress.sync_now = false;
        drop(progress);
        let outcome = shared.while_syncing(|| log.sync_data());
        last = Instant::now();
        let mut progress = lock(&shared.progress);
        match outcome {
            Ok(()) => {
                progress.synced_ticket = ticket;
                progress.synced_commits = commits;
                progress.synced_head = head;
                progress.update_visible();
            }
            Err(error) => {
                // The system may have thrown the pages away and report the next attempt as a success, so no further sync
                // is trusted. Frames that need a sync wait until a person has checked the disk and restarted the gateway.
                let told = format!(
                    "the disk could not be synced ({error}); look at the disk, then start the gateway again"
                );
                progress.sync_error = Some(told.clone());
                drop(progress);
                lock(&shared.notes).push(format!("journal_unsynced: {told}"));
                return;
            }
        }
        drop(progress);
        shared.progress_changed.notify_all();
        shared.wake();
    }
}
