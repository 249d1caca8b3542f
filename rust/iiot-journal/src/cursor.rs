//! A sink's access to the journal: it reads behind its cursor, confirms, and knows which frames are durable.

use crate::error::{Result, closed};
use crate::mutex::lock;
use crate::origins::{OriginInfo, Origins};
use crate::queue::add_confirmation;
use crate::reader;
use crate::rewind::{self, GoneBack};
use crate::row::Row;
use crate::schema;
use crate::shared::{Shared, Wake};
use crate::sink::{Confirmation, SinkReject, TopicValue};
use crate::sink_state::{self, StateChanges};
use crate::transaction::transaction;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a peer's answer waits for the disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// One sink's reader. Not shared between threads, but may move between them.
pub struct Cursor {
    shared: Arc<Shared>,
    db: Connection,
    id: i64,
    name: String,
    profiles: Option<Vec<String>>,
    origins: Origins,
}

impl Cursor {
    pub(crate) fn new(
        shared: Arc<Shared>,
        path: &Path,
        id: i64,
        name: &str,
        cursor: u64,
    ) -> Result<Self> {
        lock(&shared.progress).cursors.insert(id, cursor);
        let db = schema::open_for_reading(path)?;
        let filter: String =
            db.query_row("SELECT profiles FROM sink WHERE id=?1", [id], |r| r.get(0))?;
        let profiles = (!filter.is_empty()).then(|| filter.split(',').map(str::to_owned).collect());
        Ok(Self {
            shared,
            db,
            id,
            name: name.into(),
            profiles,
            origins: Origins::default(),
        })
    }

    /// The sink's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first position that is not settled, as committed.
    pub fn position(&self) -> u64 {
        lock(&self.shared.progress)
            .cursors
            .get(&self.id)
            .copied()
            .unwrap_or(0)
    }

    /// Behind the last frame that may be sent.
    pub fn visible(&self) -> u64 {
        lock(&self.shared.progress).visible
    }

    /// About `max_bytes` of rows, beginning with the one that contains `from`. The first may begin before `from`, or behind it if older rows are
    /// gone.
    pub fn read(&self, from: u64, max_bytes: usize) -> Result<Vec<Arc<Row>>> {
        reader::read(&self.shared.ring, &self.db, from, self.visible(), max_bytes)
    }

    /// Whether this sink takes the frames of a row.
    pub fn takes(&mut self, row: &Row) -> Result<bool> {
        if row.only_sink.is_some_and(|id| id != self.id) {
            return Ok(false);
        }
        if self.profiles.is_none() {
            return Ok(true);
        }
        let origin = self.origin(row.origin)?;
        Ok(self
            .profiles
            .as_ref()
            .is_none_or(|names| names.iter().any(|n| n == origin.profile.name())))
    }

    /// What the frames of a row have in common.
    pub fn origin(&mut self, id: i64) -> Result<Arc<OriginInfo>> {
        self.origins.get(&self.db, id)
    }

    /// The last confirmed value of every topic.
    pub fn topics(&self) -> Result<Vec<TopicValue>> {
        let mut query = self.db.prepare(
            "SELECT topic, payload, retain, time_ns FROM topic WHERE sink=?1 ORDER BY topic",
        )?;
        let rows = query.query_map([self.id], |r| {
            Ok(TopicValue {
                topic: r.get(0)?,
                payload: r.get(1)?,
                retain: r.get(2)?,
                time_ns: r.get(3)?,
            })
        })?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }

    /// What the sink keeps in the journal.
    pub fn state(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        sink_state::read(&self.db, self.id)
    }

    /// A handle for confirming, which may be used while another thread reads.
    pub fn confirmer(&self) -> Confirmer {
        Confirmer {
            shared: Arc::clone(&self.shared),
            id: self.id,
        }
    }

    /// Wait until a frame at `from` or behind may be sent, or until `cancelled` is true (it is called at every commit and wake).
    pub fn wait_readable(
        &self,
        from: u64,
        timeout: Duration,
        cancelled: impl Fn() -> bool,
    ) -> bool {
        let mut readable = false;
        self.shared.wait_progress(timeout, |p| {
            readable = p.visible > from;
            readable || cancelled()
        });
        readable
    }

    /// Behind the last committed frame.
    pub fn head(&self) -> u64 {
        lock(&self.shared.progress).head
    }

    /// Move the cursor back; see [`crate::rewind`].
    pub(crate) fn go_back(&self, to: u64, count_lost: bool) -> Result<GoneBack> {
        let id = self.id;
        self.shared.command_within(PATIENCE, move |state| {
            rewind::go_back(state, id, to, count_lost)
        })
    }

    /// Settle the frames beyond the cursor that the peer has.
    pub(crate) fn confirm_ahead(&self, to: u64) -> Result<()> {
        let id = self.id;
        self.shared
            .command_within(PATIENCE, move |state| rewind::confirm_ahead(state, id, to))
    }

    /// Wake all calls of `wait_readable`, so that they check `cancelled`.
    pub fn nudge(&self) -> impl Fn() + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move || {
            drop(lock(&shared.progress));
            shared.progress_changed.notify_all();
        }
    }

    /// Call `wake` after every commit and sync.
    pub fn on_progress(&self, wake: Wake) {
        lock(&self.shared.wakers).push(wake);
    }
}

/// Moves a sink's cursor.
#[derive(Clone)]
pub struct Confirmer {
    shared: Arc<Shared>,
    id: i64,
}

impl Confirmer {
    /// Queue a confirmation; does not wait for the disk.
    pub fn confirm(&self, confirmation: Confirmation) -> Result<()> {
        let mut queue = lock(&self.shared.queue);
        if queue.stopping {
            return Err(closed());
        }
        add_confirmation(&mut queue.confirmations, self.id, confirmation);
        drop(queue);
        self.shared.queue_filled.notify_one();
        Ok(())
    }

    /// Store rejects that are not final, and sync them; false if the disk does not store them in time.
    pub(crate) fn provisional(
        &self,
        from: u64,
        rejects: Vec<SinkReject>,
        timeout: Duration,
    ) -> Result<bool> {
        let id = self.id;
        self.shared.command_within(timeout, move |state| {
            rewind::provisional(state, id, from, rejects)
        })?;
        Ok(self.shared.sync(timeout))
    }

    /// Change the sink's own state, and wait until that is committed. After an error the change is never made later; otherwise it would overwrite
    /// a newer one.
    pub(crate) fn keep(&self, changes: StateChanges) -> Result<()> {
        self.keep_within(PATIENCE, changes)
    }

    fn keep_within(&self, patience: Duration, changes: StateChanges) -> Result<()> {
        let id = self.id;
        let given_up = Arc::new(AtomicBool::new(false));
        let is_late = Arc::clone(&given_up);
        let kept = self.shared.command_within(patience, move |state| {
            if is_late.load(Ordering::Acquire) {
                return Ok(());
            }
            transaction(&state.db, || sink_state::write(&state.db, id, &changes))
        });
        given_up.store(kept.is_err(), Ordering::Release);
        kept
    }

    /// Wait until everything before `end` is settled, and that is committed.
    pub fn wait_settled(&self, end: u64, timeout: Duration) -> bool {
        self.shared.wait_progress(timeout, |p| {
            p.cursors.get(&self.id).is_some_and(|&cursor| cursor >= end)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::journal::{Journal, Options};
    use crate::sink_state::StateChanges;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    /// What follows may be committed first, with a confirmation: an older value must not come behind it.
    #[test]
    fn what_could_not_be_kept_in_time_is_not_kept_later() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("j.db"), &Options::default()).unwrap();
        let cursor = journal.add_sink("alerts", None).unwrap();
        let one = |key: &str| StateChanges::from([(key.to_owned(), Some(vec![1]))]);
        let (tell, stalled) = channel::<()>();
        let (go_on, waits) = channel::<()>();
        std::thread::scope(|threads| {
            let shared = &journal.shared;
            threads.spawn(move || {
                shared.command(move |_| {
                    tell.send(()).unwrap();
                    waits.recv().unwrap();
                    Ok(())
                })
            });
            stalled.recv().unwrap();
            let confirmer = cursor.confirmer();
            let kept = confirmer.keep_within(Duration::from_millis(1), one("late"));
            assert!(kept.is_err());
            go_on.send(()).unwrap();
        });
        cursor.confirmer().keep(one("next")).unwrap();
        let kept = cursor.state().unwrap();
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["next"]);
    }
}
