//! A sink's place in the journal: its cursor, and what became of every frame it was given.

use crate::error::Result;
use crate::row::Row;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{HashMap, VecDeque};

/// A sink as it is committed.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    pub id: i64,
    pub name: String,
    /// Names of the profiles it takes; none means all.
    pub profiles: Option<Vec<String>>,
    /// First position it has not settled.
    pub cursor: u64,
    /// Ranges that were pruned under it and that a confirmation may still arrive for: first, end, taken.
    pruned: VecDeque<(u64, u64, bool)>,
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
    /// Was it retained?
    pub retain: bool,
    /// The time of the frame it came from, nanoseconds since 1970.
    pub time_ns: i64,
}

/// A point that the other side will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkReject {
    /// The frame.
    pub position: u64,
    /// Which of its points.
    pub point: u32,
    /// In the other side's words.
    pub reason: String,
    /// The topic or the line.
    pub excerpt: String,
}

/// What became of the frames of `from..end`, in the order of positions.
#[derive(Debug, Clone, Default)]
pub struct Confirmation {
    /// Where the confirmation before ended.
    pub from: u64,
    /// The new cursor.
    pub end: u64,
    /// Frames the other side has.
    pub delivered: u64,
    /// Frames of which nothing was sent because something newer was.
    pub superseded: u64,
    /// Frames of which a point was rejected.
    pub rejected: u64,
    /// The rejected points.
    pub rejects: Vec<SinkReject>,
    /// The newest confirmed value of each topic that changed.
    pub topics: Vec<TopicValue>,
}

impl Confirmation {
    /// Append the confirmation that follows this one.
    pub(crate) fn extend(&mut self, next: Self) {
        self.end = next.end;
        self.delivered += next.delivered;
        self.superseded += next.superseded;
        self.rejected += next.rejected;
        self.rejects.extend(next.rejects);
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
    /// Does it take frames of this row? `profile` is the name of the row's profile.
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

    /// The row goes; what this sink had not settled of it is dropped.
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
        self.pruned.push_back((from, end, taken));
        if self.pruned.len() > 4096 {
            self.pruned.pop_front();
        }
        self.cursor = end;
        let sql = match reason {
            DropReason::Full => {
                "UPDATE sink SET cursor=?2, dropped_full=dropped_full+?3 WHERE id=?1"
            }
            DropReason::Age => "UPDATE sink SET cursor=?2, dropped_age=dropped_age+?3 WHERE id=?1",
        };
        db.prepare_cached(sql)?
            .execute(params![self.id, end as i64, dropped as i64])?;
        Ok(())
    }

    /// Settle what a confirmation says. Below the cursor it changes nothing; what was dropped meanwhile stays dropped.
    pub(crate) fn confirm(
        &mut self,
        db: &Connection,
        mut c: Confirmation,
    ) -> Result<Vec<SinkReject>> {
        if c.end <= self.cursor {
            return Ok(Vec::new());
        }
        if c.from < self.cursor {
            let mut gone: u64 = self
                .pruned
                .iter()
                .filter(|(_, _, taken)| *taken)
                .map(|&(first, end, _)| end.min(self.cursor).saturating_sub(first.max(c.from)))
                .sum();
            let kept = c
                .rejects
                .iter()
                .filter(|r| r.position >= self.cursor)
                .count();
            let mut lost: Vec<u64> = c
                .rejects
                .iter()
                .filter(|r| r.position < self.cursor)
                .map(|r| r.position)
                .collect();
            lost.dedup();
            c.rejects.retain(|r| r.position >= self.cursor);
            debug_assert_eq!(kept, c.rejects.len());
            c.rejected -= c.rejected.min(lost.len() as u64);
            gone -= gone.min(lost.len() as u64);
            let delivered = c.delivered.min(gone);
            c.delivered -= delivered;
            c.superseded -= c.superseded.min(gone - delivered);
        }
        self.pruned.clear();
        self.cursor = c.end;
        db.prepare_cached(
            "UPDATE sink SET cursor=?2, delivered=delivered+?3, superseded=superseded+?4, rejected=rejected+?5 WHERE id=?1",
        )?
        .execute(params![self.id, c.end as i64, c.delivered as i64, c.superseded as i64, c.rejected as i64])?;
        let mut put = db.prepare_cached(
            "INSERT INTO topic VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET payload=excluded.payload, retain=excluded.retain, time_ns=excluded.time_ns",
        )?;
        for t in &c.topics {
            put.execute(params![self.id, t.topic, t.payload, t.retain, t.time_ns])?;
        }
        Ok(c.rejects)
    }
}

/// Make a sink known and active, in a transaction of the caller.
///
/// A new one begins at the oldest kept frame. One that was away is given what came meanwhile; what was pruned under it is
/// counted as dropped.
pub(crate) fn activate(
    db: &Connection,
    name: &str,
    profiles: Option<Vec<String>>,
    oldest: u64,
    next: u64,
) -> Result<Sink> {
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
        pruned: VecDeque::new(),
    };
    let came = count_taken(db, &sink, head.max(oldest), next)? + oldest.saturating_sub(head);
    let queued = count_taken(db, &sink, sink.cursor, next)?;
    if old_filter == filter {
        db.execute(
            "UPDATE sink SET accepted=accepted+?2 WHERE id=?1",
            params![id, came as i64],
        )?;
        db.execute(
            "UPDATE sink SET dropped_away=accepted-delivered-superseded-rejected-dropped_full-dropped_age-?2 WHERE id=?1",
            params![id, queued as i64],
        )?;
    } else {
        // Other frames are its own from now on: what it had settled stays, what waits is counted anew.
        db.execute(
            "UPDATE sink SET accepted=delivered+superseded+rejected+dropped_full+dropped_age+dropped_away+?2 WHERE id=?1",
            params![id, queued as i64],
        )?;
    }
    db.execute(
        "UPDATE sink SET profiles=?2, active=1, cursor=?3, head=?4 WHERE id=?1",
        params![id, filter, sink.cursor as i64, next as i64],
    )?;
    Ok(sink)
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
    let profiles = (!profiles.is_empty()).then(|| profiles.split(',').map(str::to_owned).collect());
    Sink {
        id,
        name,
        profiles,
        cursor,
        pruned: VecDeque::new(),
    }
}
