//! A sink in the journal: its cursor, and the outcome of every frame that it was given.

use crate::error::Result;
use crate::row::Row;
use crate::sink_state::{self, StateChanges};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;

/// A sink as it is committed.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    pub id: i64,
    pub name: String,
    /// Names of the profiles it takes; none means all.
    pub profiles: Option<Vec<String>>,
    /// First position it has not settled.
    pub cursor: u64,
    /// When room is scarce, its frames are dropped first.
    pub may_drop: bool,
}

/// Why frames were dropped before a sink had them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropReason {
    Full,
    Age,
}

/// The last confirmed value of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicValue {
    /// The whole topic.
    pub topic: String,
    /// What was published.
    pub payload: Vec<u8>,
    /// Whether it was retained.
    pub retain: bool,
    /// The time of the frame it came from, nanoseconds since 1970.
    pub time_ns: i64,
}

/// A point that the other side will never accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkReject {
    /// The frame.
    pub position: u64,
    /// Which of its points.
    pub point: u32,
    /// Which field of the point, if it is one field that was refused.
    pub field: Option<u32>,
    /// In the other side's words.
    pub reason: String,
    /// The topic or the line.
    pub excerpt: String,
}

/// The outcomes of the frames in `from..end`, in the order of positions.
#[derive(Debug, Clone, Default)]
pub struct Confirmation {
    /// Where the confirmation before ended.
    pub from: u64,
    /// The new cursor.
    pub end: u64,
    /// Frames the other side has.
    pub delivered: u64,
    /// Frames of which nothing was sent, because newer values were.
    pub superseded: u64,
    /// Frames of which a point was rejected.
    pub rejected: u64,
    /// The rejected points.
    pub rejects: Vec<SinkReject>,
    /// The newest confirmed value of each topic that changed.
    pub topics: Vec<TopicValue>,
    /// Changes of the sink's own state.
    pub state: StateChanges,
    /// Values that the other side has, where each is sent by itself.
    pub values: u64,
}

impl Confirmation {
    /// Append the confirmation that follows this one.
    pub(crate) fn extend(&mut self, next: Self) {
        self.end = next.end;
        self.delivered += next.delivered;
        self.superseded += next.superseded;
        self.values += next.values;
        self.rejected += next.rejected;
        self.rejects.extend(next.rejects);
        self.state.extend(next.state);
        if self.topics.is_empty() {
            self.topics = next.topics;
        } else {
            let known: HashMap<String, usize> = self
                .topics
                .iter()
                .enumerate()
                .map(|(i, t)| (t.topic.clone(), i))
                .collect();
            for topic in next.topics {
                match known.get(&topic.topic) {
                    Some(&at) => self.topics[at] = topic,
                    None => self.topics.push(topic),
                }
            }
        }
    }
}

impl Sink {
    /// Whether it takes frames of this row. `profile` is the name of the row's profile.
    pub(crate) fn takes(&self, only_sink: Option<i64>, profile: &str) -> bool {
        only_sink.is_none_or(|id| id == self.id)
            && self
                .profiles
                .as_ref()
                .is_none_or(|names| names.iter().any(|n| n == profile))
    }

    /// Count an appended row.
    pub(crate) fn append(&self, db: &Connection, row: &Row, profile: &str) -> Result<()> {
        let taken = self.takes(row.only_sink, profile);
        let accepted = if taken { row.count } else { 0 };
        db.prepare_cached("UPDATE sink SET head=?2, accepted=accepted+?3 WHERE id=?1")?
            .execute(params![self.id, row.end() as i64, accepted as i64])?;
        Ok(())
    }

    /// The row is removed; the frames that this sink had not settled are dropped.
    pub(crate) fn prune(
        &mut self,
        db: &Connection,
        first: u64,
        end: u64,
        taken: bool,
        reason: DropReason,
    ) -> Result<()> {
        if self.cursor >= end {
            return Ok(());
        }
        let from = self.cursor.max(first);
        let dropped = if taken { end - from } else { 0 };
        // Rows before this one may still wait.
        if self.cursor >= first {
            self.cursor = end;
        }
        let sql = match reason {
            DropReason::Full => {
                "UPDATE sink SET cursor=?2, dropped_full=dropped_full+?3 WHERE id=?1"
            }
            DropReason::Age => "UPDATE sink SET cursor=?2, dropped_age=dropped_age+?3 WHERE id=?1",
        };
        db.prepare_cached(sql)?
            .execute(params![self.id, self.cursor as i64, dropped as i64])?;
        Ok(())
    }

    /// Settle a confirmation. Below the cursor it changes nothing; frames that were dropped meanwhile stay dropped.
    ///
    /// The number of settled frames is counted from the rows that still exist; the sink's number is not used. If the two differ, the note says so.
    pub(crate) fn confirm(&mut self, db: &Connection, mut c: Confirmation) -> Result<Settled> {
        let mut settled = Settled::default();
        // This also holds if the frames were dropped meanwhile, because the sink has seen them.
        sink_state::write(db, self.id, &c.state)?;
        if c.end <= self.cursor {
            return Ok(settled);
        }
        let taken = count_taken(db, self, self.cursor, c.end)?;
        c.rejects.retain(|r| r.position >= self.cursor);
        let mut refused: Vec<u64> = c.rejects.iter().map(|r| r.position).collect();
        refused.dedup();
        let rejected = (refused.len() as u64).min(taken);
        let superseded = c.superseded.min(taken - rejected);
        let delivered = taken - rejected - superseded;
        let nothing_dropped = c.from == self.cursor;
        if nothing_dropped
            && (delivered, superseded, rejected) != (c.delivered, c.superseded, c.rejected)
        {
            settled.note = Some(format!(
                "ledger_mismatch: sink {} confirmed {} delivered, {} superseded, {} rejected up to position {}; the journal counts {delivered}, {superseded}, {rejected}",
                self.name, c.delivered, c.superseded, c.rejected, c.end
            ));
        }
        self.cursor = c.end;
        db.prepare_cached(
            "UPDATE sink SET cursor=?2, delivered=delivered+?3, superseded=superseded+?4, rejected=rejected+?5 WHERE id=?1",
        )?
        .execute(params![self.id, c.end as i64, delivered as i64, superseded as i64, rejected as i64])?;
        let mut put = db.prepare_cached(
            "INSERT INTO topic VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET payload=excluded.payload, retain=excluded.retain, time_ns=excluded.time_ns",
        )?;
        for t in &c.topics {
            put.execute(params![self.id, t.topic, t.payload, t.retain, t.time_ns])?;
        }
        if !c.rejects.is_empty() {
            let (stored, are_these) = self.promote(db, &c)?;
            settled.has_replaced = stored && !are_these;
            if are_these {
                c.rejects.clear();
            }
        }
        settled.rejects = c.rejects;
        Ok(settled)
    }
}

impl Sink {
    /// If the rejects that were stored before the other side was told are those of the confirmation, make them final; otherwise delete them. Returns whether
    /// there were any, and whether they are those of the confirmation.
    fn promote(&self, db: &Connection, c: &Confirmation) -> Result<(bool, bool)> {
        let of_sink = params![self.id, c.end as i64];
        let sql = "SELECT count(*), coalesce(sum(position), 0) FROM reject WHERE sink=?1 AND position<?2 AND kind='provisional'";
        let stored: (i64, i64) = db
            .prepare_cached(sql)?
            .query_row(of_sink, |r| Ok((r.get(0)?, r.get(1)?)))?;
        let sum = c.rejects.iter().map(|reject| reject.position as i64).sum();
        let are_these = stored == (c.rejects.len() as i64, sum);
        let sql = if are_these {
            "UPDATE reject SET kind='sink' WHERE sink=?1 AND position<?2 AND kind='provisional'"
        } else {
            "DELETE FROM reject WHERE sink=?1 AND position<?2 AND kind='provisional'"
        };
        if stored.0 > 0 {
            db.prepare_cached(sql)?.execute(of_sink)?;
        }
        Ok((stored.0 > 0, are_these))
    }
}

/// The result of a confirmation.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Points to be stored as rejects.
    pub rejects: Vec<SinkReject>,
    /// Rejects that were not final were deleted.
    pub has_replaced: bool,
    /// For the log: sink and journal count differently.
    pub note: Option<String>,
}

/// Make a sink known and active, in a transaction of the caller.
///
/// A new sink begins at the oldest kept frame. A sink that was away gets the frames that came meanwhile; frames that were pruned meanwhile are counted as
/// dropped.
pub(crate) fn activate(
    db: &Connection,
    name: &str,
    profiles: Option<Vec<String>>,
    oldest: u64,
    next: u64,
) -> Result<(Sink, Option<String>)> {
    let filter = profiles.as_ref().map_or_else(String::new, |p| p.join(","));
    let stored: Option<(i64, String, u64, u64)> = db
        .query_row(
            "SELECT id, profiles, cursor, head FROM sink WHERE name=?1",
            [name],
            |r| {
                Ok((
                    r.get(0)?,
                    r.get(1)?,
                    r.get::<_, i64>(2)? as u64,
                    r.get::<_, i64>(3)? as u64,
                ))
            },
        )
        .optional()?;
    let (id, old_filter, cursor, head) = if let Some(found) = stored {
        found
    } else {
        db.execute(
            "INSERT INTO sink(name, profiles, active, cursor, head, accepted, delivered, superseded, rejected, dropped_full, dropped_age, dropped_away)
             VALUES (?1, ?2, 1, ?3, ?3, 0, 0, 0, 0, 0, 0, 0)",
            params![name, filter, oldest as i64],
        )?;
        (db.last_insert_rowid(), filter.clone(), oldest, oldest)
    };
    let sink = Sink {
        id,
        name: name.into(),
        profiles,
        cursor: cursor.max(oldest),
        may_drop: false,
    };
    let queued = count_taken(db, &sink, sink.cursor, next)?;
    let mut note = None;
    if old_filter == filter {
        // Frames that came while it was away: kept ones are counted. Frames that are gone again are known to be its own only if the sink has no filter.
        let gone = if profiles_of(&filter).is_none() {
            oldest.saturating_sub(head)
        } else {
            0
        };
        let came = count_taken(db, &sink, head.max(sink.cursor), next)? + gone;
        db.execute(
            "UPDATE sink SET accepted=accepted+?2 WHERE id=?1",
            params![id, came as i64],
        )?;
        let sql = "SELECT accepted-delivered-superseded-rejected-dropped_full-dropped_age-dropped_away FROM sink WHERE id=?1";
        let unsettled: i64 = db.query_row(sql, [id], |r| r.get(0))?;
        let missing = unsettled - queued as i64;
        if missing != 0 {
            if cursor >= oldest {
                note = Some(format!(
                    "ledger_mismatch: sink {name} lacks {missing} frames although nothing was taken out under it"
                ));
            }
            db.execute(
                "UPDATE sink SET dropped_away=dropped_away+?2 WHERE id=?1",
                params![id, missing],
            )?;
        }
    } else {
        // From now on it takes other frames: settled frames stay settled, and waiting ones are counted again.
        db.execute(
            "UPDATE sink SET accepted=delivered+superseded+rejected+dropped_full+dropped_age+dropped_away+?2 WHERE id=?1",
            params![id, queued as i64],
        )?;
    }
    db.execute(
        "UPDATE sink SET profiles=?2, active=1, cursor=?3, head=?4 WHERE id=?1",
        params![id, filter, sink.cursor as i64, next as i64],
    )?;
    Ok((sink, note))
}

/// The sinks that are active when a journal is opened, and notes for the log, in a transaction of the caller: with `keep` those that
/// were when it was closed, with the filters they had; else none until they are made known.
pub(crate) fn at_open(
    db: &Connection,
    keep: bool,
    oldest: u64,
    next: u64,
) -> Result<(Vec<Sink>, Vec<String>)> {
    let (mut sinks, mut notes) = (Vec::new(), Vec::new());
    if !keep {
        db.execute_batch("UPDATE sink SET active=0 WHERE active")?;
        return Ok((sinks, notes));
    }
    let mut query = db.prepare("SELECT name, profiles FROM sink WHERE active ORDER BY id")?;
    let known = query
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<std::result::Result<Vec<(String, String)>, _>>()?;
    for (name, filter) in known {
        let (sink, note) = activate(db, &name, profiles_of(&filter), oldest, next)?;
        sinks.push(sink);
        notes.extend(note);
    }
    Ok((sinks, notes))
}

/// How many kept frames of `from..end` the sink takes.
pub(crate) fn count_taken(db: &Connection, sink: &Sink, from: u64, end: u64) -> Result<u64> {
    let mut rows = db.prepare_cached(
        "SELECT f.first, f.count, f.only_sink, p.name FROM frames f
         JOIN origin o ON o.id=f.origin JOIN profile p ON p.hash=o.profile
         WHERE f.first >= (SELECT coalesce(max(first), 0) FROM frames WHERE first <= ?1) AND f.first < ?2",
    )?;
    let mut rows = rows.query(params![from as i64, end as i64])?;
    let mut taken = 0;
    while let Some(row) = rows.next()? {
        let first = row.get::<_, i64>(0)? as u64;
        let last = first + row.get::<_, i64>(1)? as u64;
        let profile: String = row.get(3)?;
        if sink.takes(row.get(2)?, &profile) {
            taken += last.min(end).saturating_sub(first.max(from));
        }
    }
    Ok(taken)
}

/// A sink for counting only, as the status document needs it.
pub(crate) fn reader(id: i64, name: String, profiles: &str, cursor: u64) -> Sink {
    let profiles = profiles_of(profiles);
    Sink {
        may_drop: false,
        id,
        name,
        profiles,
        cursor,
    }
}

/// The stored filter: names separated by commas, or empty for all.
fn profiles_of(stored: &str) -> Option<Vec<String>> {
    (!stored.is_empty()).then(|| stored.split(',').map(str::to_owned).collect())
}
