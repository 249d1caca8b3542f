//! The ledger as numbers, read in one transaction, so that it balances at any moment.

use crate::error::Result;
use crate::prune::live_bytes;
use crate::schema;
use crate::sink::{count_taken, reader};
use crate::sites::{self, SiteCounts};
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeMap;

/// The outcomes of everything received. Units are frames unless the name says otherwise.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Status {
    /// Counts of the intake by name: received, accepted, duplicate, rejected, `lost_on_air`, `lost_journal_unavailable`,
    /// `values_rejected`, `clock_falls`, retried, ignored, skipped, bytes.
    pub intake: BTreeMap<String, i64>,
    /// How many documents were ever rejected, per reason, including those that a retry has settled: together `rejected` + `retried`.
    pub reject_reasons: BTreeMap<String, i64>,
    /// Documents whose time could not be right, so that they got the time of their arrival, by source.
    pub times_not_believed: BTreeMap<String, i64>,
    /// How many documents the profiles ignored, by their name in the profile: together `ignored`, which is not a part of `received`.
    pub ignored_kinds: BTreeMap<String, i64>,
    /// Messages that were not wanted, by reason: together `skipped`, which is not a part of `received`.
    pub skipped_kinds: BTreeMap<String, i64>,
    /// How often a broker had lost the session of a source, so that messages may be missing, by source.
    pub sessions_lost: BTreeMap<String, i64>,
    /// Positions that a database had and lost, and that the journal no longer has, by sink.
    pub lost_by_peer: BTreeMap<String, i64>,
    /// The counts of each gateway whose values came in through a broker.
    pub sites: Vec<SiteCounts>,
    /// Every sink that was ever known.
    pub sinks: Vec<SinkStatus>,
    /// The file.
    pub journal: FileStatus,
}

/// accepted = delivered + queued + rejected + dropped + superseded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkStatus {
    /// Its name.
    pub name: String,
    /// It is configured now.
    pub active: bool,
    /// First position that is not settled.
    pub cursor: u64,
    /// Frames it was given.
    pub accepted: u64,
    /// Frames the other side has.
    pub delivered: u64,
    /// Frames behind the cursor, counted from the file.
    pub queued: u64,
    /// Frames of which a point was rejected.
    pub rejected: u64,
    /// Frames of which only newer values were sent.
    pub superseded: u64,
    /// Dropped because the journal was full.
    pub dropped_full: u64,
    /// Dropped because they were too old.
    pub dropped_age: u64,
    /// Dropped while the sink was not configured.
    pub dropped_away: u64,
    /// Values that the other side has, where each is sent by itself (MQTT).
    pub values: u64,
    /// When the oldest queued frame was committed, milliseconds since 1970.
    pub oldest_queued_at_ms: Option<i64>,
}

/// Size of the journal.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileStatus {
    /// Frames kept.
    pub frames: u64,
    /// Bytes in use.
    pub bytes: u64,
    /// Bytes it may use.
    pub max_bytes: u64,
    /// Bytes per second at the present rate; 0 if nothing came.
    pub bytes_per_s: f64,
    /// How many hours the free room will last at that rate; none if nothing comes.
    pub hours_left: Option<f64>,
    /// Rejects kept.
    pub rejects: u64,
}

/// Read the ledger. `now_ms` is the time of a running gateway, and none for a journal that no process writes.
pub(crate) fn read(db: &Connection, now_ms: Option<i64>) -> Result<Status> {
    db.execute_batch("BEGIN")?;
    let status = read_in_transaction(db, now_ms);
    db.execute_batch("COMMIT")?;
    status
}

fn read_in_transaction(db: &Connection, now_ms: Option<i64>) -> Result<Status> {
    let mut status = Status::default();
    for name in [
        "received",
        "accepted",
        "duplicate",
        "rejected",
        "lost_on_air",
        "lost_journal_unavailable",
        "values_rejected",
        "clock_falls",
        "retried",
        "ignored",
        "skipped",
        "bytes",
    ] {
        status.intake.insert(name.into(), 0);
    }
    let mut values: BTreeMap<String, i64> = BTreeMap::new();
    let mut counters = db.prepare_cached("SELECT name, value FROM counter")?;
    let mut rows = counters.query([])?;
    while let Some(row) = rows.next()? {
        let (name, value): (String, i64) = (row.get(0)?, row.get(1)?);
        match name.split_once(':') {
            Some(("rejected", reason)) => status.reject_reasons.insert(reason.into(), value),
            Some(("ignored", kind)) => status.ignored_kinds.insert(kind.into(), value),
            Some(("session_lost", source)) => status.sessions_lost.insert(source.into(), value),
            Some(("lost_by_peer", sink)) => status.lost_by_peer.insert(sink.into(), value),
            Some(("values", sink)) => values.insert(sink.to_owned(), value),
            Some(("skipped", why)) => status.skipped_kinds.insert(why.into(), value),
            Some(("time_not_believed", source)) => {
                status.times_not_believed.insert(source.into(), value)
            }
            _ => status.intake.insert(name, value),
        };
    }
    let one = |sql: &str| -> Result<Option<i64>> {
        Ok(db
            .prepare_cached(sql)?
            .query_row([], |r| r.get::<_, Option<i64>>(0))
            .optional()?
            .flatten())
    };
    let next = one("SELECT value FROM meta WHERE key='next'")?.unwrap_or(1) as u64;
    let end = one("SELECT max(first + count) FROM (SELECT first, count FROM frames ORDER BY first DESC LIMIT 1)")?.map_or(next, |e| e as u64);
    let oldest = one("SELECT min(first) FROM frames")?.map_or(end, |f| f as u64);
    let mut sinks = db.prepare_cached(
        "SELECT id, name, profiles, cursor, active, accepted, delivered, superseded, rejected, dropped_full, dropped_age, dropped_away, head FROM sink ORDER BY id",
    )?;
    let mut rows = sinks.query([])?;
    while let Some(row) = rows.next()? {
        let count = |at: usize| -> rusqlite::Result<u64> { Ok(row.get::<_, i64>(at)? as u64) };
        let profiles: String = row.get(2)?;
        let sink = reader(row.get(0)?, row.get(1)?, &profiles, count(3)?);
        let active: bool = row.get(4)?;
        let until = if active { end } else { count(12)?.min(end) };
        let mut entry = SinkStatus {
            active,
            cursor: sink.cursor,
            accepted: count(5)?,
            delivered: count(6)?,
            queued: count_taken(db, &sink, sink.cursor, until)?,
            superseded: count(7)?,
            rejected: count(8)?,
            dropped_full: count(9)?,
            dropped_age: count(10)?,
            dropped_away: count(11)?,
            oldest_queued_at_ms: oldest_at(db, sink.cursor, until)?,
            values: values.get(&sink.name).copied().unwrap_or(0) as u64,
            name: sink.name,
        };
        if !active {
            // It holds nothing back: frames that the other sinks have passed are gone for it, and are stored as dropped when it
            // returns.
            let kept = entry.delivered
                + entry.queued
                + entry.superseded
                + entry.rejected
                + entry.dropped_full
                + entry.dropped_age;
            entry.dropped_away = entry.accepted.saturating_sub(kept);
        }
        status.sinks.push(entry);
    }
    if schema::version(db)? >= 5 {
        status.sites = sites::counts(db)?;
    }
    let rate = rate(db, now_ms)?;
    let bytes = live_bytes(db)?;
    let max_bytes = one("SELECT value FROM meta WHERE key='max_bytes'")?.unwrap_or(0) as u64;
    let live_limit = one("SELECT value FROM meta WHERE key='live_bytes'")?.unwrap_or(0) as u64;
    status.journal = FileStatus {
        frames: end - oldest,
        bytes,
        max_bytes,
        bytes_per_s: rate,
        hours_left: (rate > 0.0).then(|| live_limit.saturating_sub(bytes) as f64 / rate / 3600.0),
        rejects: one("SELECT count(*) FROM reject WHERE kind<>'provisional'")?.unwrap_or(0) as u64,
    };
    Ok(status)
}

fn oldest_at(db: &Connection, cursor: u64, end: u64) -> Result<Option<i64>> {
    if cursor >= end {
        return Ok(None);
    }
    let sql = "SELECT max(committed_at_ms) FROM (SELECT committed_at_ms FROM frames WHERE first <= ?1 ORDER BY first DESC LIMIT 1)";
    Ok(db
        .prepare_cached(sql)?
        .query_row([cursor as i64], |r| r.get(0))?)
}

/// Bytes of frames per second over about the last ten minutes, from marks that [`mark`] writes.
fn rate(db: &Connection, now_ms: Option<i64>) -> Result<f64> {
    let mark = |key: &str| -> Result<Option<(i64, i64)>> {
        let text: Option<String> = db
            .prepare_cached("SELECT value FROM meta WHERE key=?1")?
            .query_row([key], |r| r.get(0))
            .optional()?;
        Ok(text.and_then(|t| {
            t.split_once(' ')
                .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)))
        }))
    };
    let Some((at, bytes)) = mark("rate_from")? else {
        return Ok(0.0);
    };
    let total: i64 = db.query_row(
        "SELECT coalesce(max(value), 0) FROM counter WHERE name='bytes'",
        [],
        |r| r.get(0),
    )?;
    let until = match now_ms {
        Some(now) => now,
        None => mark("rate_to")?.map_or(at, |(to, _)| to),
    };
    let span_ms = (until - at).max(1000);
    Ok((total - bytes).max(0) as f64 * 1000.0 / span_ms as f64)
}

/// Note the count of bytes, now and about ten minutes ago, in a transaction of the caller.
pub(crate) fn mark(db: &Connection, marks: &mut Marks, now_ms: i64) -> Result<()> {
    const KEEP_MS: i64 = 600_000;
    if now_ms - marks.written_ms < 1000 && now_ms >= marks.written_ms {
        return Ok(());
    }
    let total: i64 = db.query_row(
        "SELECT coalesce(max(value), 0) FROM counter WHERE name='bytes'",
        [],
        |r| r.get(0),
    )?;
    if marks
        .points
        .back()
        .is_none_or(|&(at, _)| now_ms - at >= 10_000 || now_ms < at)
    {
        marks.points.push_back((now_ms, total));
    }
    while marks.points.len() > 1
        && marks
            .points
            .front()
            .is_some_and(|&(at, _)| now_ms - at > KEEP_MS)
    {
        marks.points.pop_front();
    }
    let mut put = db.prepare_cached(
        "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value=excluded.value",
    )?;
    if let Some((at, bytes)) = marks.points.front() {
        put.execute(["rate_from", &format!("{at} {bytes}")])?;
    }
    put.execute(["rate_to", &format!("{now_ms} {total}")])?;
    marks.written_ms = now_ms;
    Ok(())
}

/// What [`mark`] remembers.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    points: std::collections::VecDeque<(i64, i64)>,
    written_ms: i64,
}
