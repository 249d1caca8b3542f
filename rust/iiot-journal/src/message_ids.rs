//! The ids that senders gave to their messages. They identify a message that comes again, within a window, and also for large numbers of ids.
//!
//! A name is a keyed 64-bit hash of device and message id; a hash of the content is stored beside it. The names of a commit are stored with its frames, one row
//! per commit. A row is deleted when its newest name has left the window. No name is forgotten within the window: if there is no room for another name, its
//! message is refused.

use crate::error::Result;
use crate::id_table::{IdTable, Known};
use rusqlite::{Connection, params};
use std::collections::HashMap;

/// Rows that have left the window are deleted together, at most this often.
const DELETE_EVERY_MS: i64 = 5_000;
/// When little room is left, names that have left the window are searched at most this often.
const SWEEP_EVERY_S: u32 = 1;
/// Bytes of a stored name.
const ENTRY: usize = 16;
/// The bit of the content's hash that marks the message as a reject.
const REJECTED: u64 = 1;

/// The id and the content of a message, as hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MessageId {
    /// Hash of device and message id.
    pub name: u64,
    /// Hash of topic and document.
    pub content: u64,
}

/// The result of looking up a message by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    New,
    /// The same message came before.
    Again {
        was_rejected: bool,
    },
    /// Another message with that name came before.
    Otherwise,
    /// There is no room for another name, because too many are known within the window.
    NoRoom,
}

fn seconds(ns: i64) -> u32 {
    u32::try_from(ns.div_euclid(1_000_000_000)).unwrap_or(0)
}

/// The names that a group adds.
#[derive(Debug, Default)]
pub(crate) struct NewIds {
    known: HashMap<u64, Known>,
    newest_ms: i64,
}

impl NewIds {
    /// Remember a message.
    pub(crate) fn add(&mut self, id: MessageId, was_rejected: bool, received_at_ns: i64) {
        let content = id.content & !REJECTED | u64::from(was_rejected);
        let known = Known {
            content,
            received_s: seconds(received_at_ns),
        };
        self.known.insert(id.name, known);
    }
}

/// The names that are committed.
#[derive(Debug)]
pub(crate) struct MessageIds {
    window_s: u32,
    most: usize,
    known: IdTable,
    /// The time up to which rows were deleted, and the time when the table was last swept.
    deleted_ms: i64,
    swept_s: u32,
}

impl MessageIds {
    /// Read the stored names of a source, except those that have left the window.
    pub(crate) fn load(
        db: &Connection,
        source: i64,
        (window_s, most): (u32, usize),
        now_ns: i64,
    ) -> Result<Self> {
        let mut ids = Self {
            window_s,
            most,
            known: IdTable::default(),
            deleted_ms: 0,
            swept_s: seconds(now_ns),
        };
        let oldest_ms = ids.oldest_ms(now_ns.div_euclid(1_000_000));
        let mut query = db.prepare(
            "SELECT newest_ms, entries FROM message_ids WHERE source=?1 AND newest_ms>=?2 ORDER BY newest_ms, number",
        )?;
        let mut rows = query.query(params![source, oldest_ms])?;
        while let Some(row) = rows.next()? {
            let (newest_ms, entries): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let received_s = u32::try_from(newest_ms.div_euclid(1000)).unwrap_or(0);
            for entry in entries.as_chunks::<ENTRY>().0 {
                let word = |at: usize| {
                    let mut bytes = [0; 8];
                    bytes.copy_from_slice(&entry[at..at + 8]);
                    u64::from_le_bytes(bytes)
                };
                let known = Known {
                    content: word(8),
                    received_s,
                };
                ids.known.insert(word(0), known);
            }
        }
        Ok(ids)
    }

    /// Names from before this time are no longer known.
    fn oldest_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(i64::from(self.window_s) * 1000)
    }

    fn is_valid(&self, known: &Known, now_s: u32) -> bool {
        now_s.saturating_sub(known.received_s) <= self.window_s
    }

    /// What is known of a message.
    pub(crate) fn judge(&self, new: &mut NewIds, id: MessageId, received_at_ns: i64) -> Named {
        let now_s = seconds(received_at_ns);
        new.newest_ms = new.newest_ms.max(received_at_ns.div_euclid(1_000_000));
        let new_one = new.known.get(&id.name).copied();
        let known = new_one.or_else(|| self.known.get(id.name));
        if let Some(known) = known.filter(|known| self.is_valid(known, now_s)) {
            let content = known.content;
            if (content ^ id.content) & !REJECTED != 0 {
                return Named::Otherwise;
            }
            return Named::Again {
                was_rejected: content & REJECTED != 0,
            };
        }
        if self.known.len() + new.known.len() >= self.most {
            return Named::NoRoom;
        }
        Named::New
    }

    /// Store the names of a group, and delete the rows that have left the window; in a transaction of the caller.
    pub(crate) fn write(&self, db: &Connection, source: i64, new: &NewIds) -> Result<()> {
        if new.known.is_empty() {
            return Ok(());
        }
        let mut entries = Vec::with_capacity(new.known.len() * ENTRY);
        for (name, known) in &new.known {
            entries.extend_from_slice(&name.to_le_bytes());
            entries.extend_from_slice(&known.content.to_le_bytes());
        }
        db.prepare_cached(
            "INSERT INTO message_ids SELECT ?1, ?2, coalesce(max(number), 0) + 1, ?3 FROM message_ids WHERE source=?1 AND newest_ms=?2",
        )?
        .execute(params![source, new.newest_ms, entries])?;
        let before_ms = self.oldest_ms(new.newest_ms);
        if before_ms > self.deleted_ms + DELETE_EVERY_MS {
            db.prepare_cached("DELETE FROM message_ids WHERE source=?1 AND newest_ms<?2")?
                .execute([source, before_ms])?;
        }
        Ok(())
    }

    /// Take over what was committed.
    pub(crate) fn merge(&mut self, new: NewIds) {
        let before_ms = self.oldest_ms(new.newest_ms);
        // If a clock ran ahead and was corrected, deletions must not wait until it reaches the old time again.
        if before_ms > self.deleted_ms + DELETE_EVERY_MS || before_ms < self.deleted_ms {
            self.deleted_ms = before_ms;
        }
        let now_s = u32::try_from(new.newest_ms / 1000).unwrap_or(0);
        for (name, known) in new.known {
            self.known.insert(name, known);
        }
        let is_near = self.known.len() >= self.most - self.most / 16;
        let every_s = if is_near {
            SWEEP_EVERY_S
        } else {
            (self.window_s / 8).max(SWEEP_EVERY_S)
        };
        if now_s.abs_diff(self.swept_s) >= every_s {
            self.swept_s = now_s;
            self.known
                .retain(|known| now_s.saturating_sub(known.received_s) <= self.window_s);
        }
    }
}
