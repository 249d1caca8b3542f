//! Rejects: data that can never be delivered. They are kept with their reasons up to a limit, listed, and offered again after a
//! profile has been corrected.

use crate::error::{ErrorKind, Result};
use crate::row::{NewTimes, Row};
use crate::schema::is_version_1;
use crate::sink::SinkReject;
use crate::state::{Limits, State};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};
use std::sync::Arc;

/// A document is kept for a second try only up to this size.
const DOCUMENT_BYTES: usize = 4096;

#[derive(Debug)]
pub(crate) struct NewReject {
    pub sink: Option<i64>,
    pub source: String,
    pub origin: Option<i64>,
    pub position: Option<u64>,
    pub point: Option<u32>,
    pub field: Option<u32>,
    pub topic: Option<String>,
    /// The snapshot of its device.
    pub device: Option<Vec<u8>>,
    pub reason: String,
    pub place: String,
    pub excerpt: String,
    pub kind: &'static str,
    pub times: NewTimes,
    pub document: Option<Vec<u8>>,
}

/// A kept reject, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Rises with time.
    pub id: i64,
    /// When it was stored, nanoseconds since 1970.
    pub at_ns: i64,
    /// The sink that refused it; none for the intake.
    pub sink: Option<String>,
    /// The source it came from.
    pub source: String,
    /// document, value or sink.
    pub kind: String,
    /// The frame's position, if it was accepted.
    pub position: Option<u64>,
    /// Which point of the frame.
    pub point: Option<u32>,
    /// Which field of the point, if it is one.
    pub field: Option<u32>,
    /// The topic under which the frame came, if there was one.
    pub topic: Option<String>,
    /// Why.
    pub reason: String,
    /// Where.
    pub place: String,
    /// The beginning of the refused text.
    pub excerpt: String,
}

/// The frame behind a sink's reject.
pub(crate) struct StoredFrame {
    pub source: String,
    pub origin: i64,
    pub times: NewTimes,
    pub topic: Option<String>,
    pub device: Option<Vec<u8>>,
    pub document: Vec<u8>,
}

/// Find a frame in the rows of this group or in the table; none if it is gone or damaged. The confirmation is valid in any case.
pub(crate) fn frame_at(
    db: &Connection,
    rows: &[Arc<Row>],
    position: u64,
) -> Result<Option<StoredFrame>> {
    let stored;
    let row = match rows
        .iter()
        .find(|r| r.first <= position && position < r.end())
    {
        Some(row) => row.as_ref(),
        None => match crate::reader::row_at(db, position) {
            Ok(Some(row)) => {
                stored = row;
                &stored
            }
            Ok(None) => return Ok(None),
            Err(error) if error.kind == ErrorKind::Damaged => return Ok(None),
            Err(error) => return Err(error),
        },
    };
    let source: Option<String> = db
        .query_row("SELECT source FROM origin WHERE id=?1", [row.origin], |r| {
            r.get(0)
        })
        .optional()?;
    Ok(row
        .frames()
        .find(|f| f.position == position)
        .map(|f| StoredFrame {
            source: source.unwrap_or_default(),
            origin: row.origin,
            times: NewTimes::of(&f),
            topic: f.topic.map(|topic| String::from_utf8_lossy(topic).into()),
            device: f.device.map(<[u8]>::to_vec),
            document: f.document.to_vec(),
        }))
}

/// The kind of a reject that is stored before the other side is told to leave it out. It becomes final when the cursor passes it.
pub(crate) const PROVISIONAL: &str = "provisional";

/// A point that a sink refused, with its frame.
pub(crate) fn of_sink(
    db: &Connection,
    rows: &[Arc<Row>],
    (sink, name): (i64, &str),
    refused: SinkReject,
    kind: &'static str,
) -> Result<NewReject> {
    let stored = frame_at(db, rows, refused.position)?;
    Ok(NewReject {
        sink: Some(sink),
        source: stored
            .as_ref()
            .map_or_else(String::new, |f| f.source.clone()),
        origin: stored.as_ref().map(|f| f.origin),
        position: Some(refused.position),
        point: Some(refused.point),
        field: refused.field,
        topic: stored.as_ref().and_then(|f| f.topic.clone()),
        device: stored.as_ref().and_then(|f| f.device.clone()),
        reason: refused.reason,
        place: format!(
            "sink {name}, position {}, point {}",
            refused.position, refused.point
        ),
        excerpt: refused.excerpt,
        kind,
        times: stored
            .as_ref()
            .map_or_else(NewTimes::default, |f| f.times.clone()),
        document: stored.map(|f| f.document),
    })
}

/// Store rejects, and remove the oldest ones beyond the limits. Counts are kept elsewhere, and do not change by this.
pub(crate) fn store(
    db: &Connection,
    mut rejects: Vec<NewReject>,
    now_ns: i64,
    limits: &Limits,
    mut bytes: i64,
) -> Result<i64> {
    let excess = rejects
        .len()
        .saturating_sub(limits.max_rejects.max(0) as usize);
    rejects.drain(..excess);
    let mut put = db.prepare_cached(
        "INSERT INTO reject(at_ns, sink, source, origin, position, point, reason, place, excerpt, kind, time_ns, received_at_ns, document, topic, field, uptime_start_ns, moves, device)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
    )?;
    for r in rejects {
        let document = r.document.filter(|d| d.len() <= DOCUMENT_BYTES);
        bytes += weight(document.as_deref(), &r.excerpt);
        put.execute(params![
            now_ns,
            r.sink,
            r.source,
            r.origin,
            r.position.map(|p| p as i64),
            r.point,
            r.reason,
            r.place,
            r.excerpt,
            r.kind,
            r.times.time_ns,
            r.times.received_at_ns,
            document,
            r.topic,
            r.field,
            r.times.uptime_start_ns,
            r.times.moves(),
            r.device
        ])?;
    }
    let count = |db: &Connection| -> Result<i64> {
        Ok(db
            .prepare_cached("SELECT count(*) FROM reject")?
            .query_row([], |r| r.get(0))?)
    };
    let mut kept = count(db)?;
    while kept > 0 && (kept > limits.max_rejects || bytes > limits.reject_bytes) {
        let oldest: (i64, Option<i64>, i64) = db
            .prepare_cached("SELECT id, length(document), length(CAST(excerpt AS BLOB)) FROM reject ORDER BY id LIMIT 1")?
            .query_row([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
        db.prepare_cached("DELETE FROM reject WHERE id=?1")?
            .execute([oldest.0])?;
        bytes -= oldest.1.unwrap_or(0) + oldest.2 + OVERHEAD;
        kept -= 1;
    }
    Ok(bytes)
}

const OVERHEAD: i64 = 200;

fn weight(document: Option<&[u8]>, excerpt: &str) -> i64 {
    document.map_or(0, |d| d.len() as i64) + excerpt.len() as i64 + OVERHEAD
}

/// The size of the kept rejects.
pub(crate) fn total_bytes(db: &Connection) -> Result<i64> {
    let sql = "SELECT coalesce(sum(coalesce(length(document), 0) + length(CAST(excerpt AS BLOB)) + ?1), 0) FROM reject";
    Ok(db.query_row(sql, [OVERHEAD], |r| r.get(0))?)
}

/// The newest first.
pub(crate) fn list(db: &Connection, limit: u64) -> Result<Vec<Reject>> {
    let added = if is_version_1(db)? {
        "NULL, NULL"
    } else {
        "r.topic, r.field"
    };
    let mut query = db.prepare(&format!(
        "SELECT r.id, r.at_ns, s.name, r.source, r.kind, r.position, r.point, r.reason, r.place, r.excerpt, {added}
         FROM reject r LEFT JOIN sink s ON s.id=r.sink WHERE r.kind<>'provisional' ORDER BY r.id DESC LIMIT ?1",
    ))?;
    let rows = query.query_map(
        [i64::try_from(limit).unwrap_or(i64::MAX)],
        |r: &SqlRow<'_>| {
            Ok(Reject {
                id: r.get(0)?,
                at_ns: r.get(1)?,
                sink: r.get(2)?,
                source: r.get(3)?,
                kind: r.get(4)?,
                position: r.get::<_, Option<i64>>(5)?.map(|p| p as u64),
                point: r.get(6)?,
                reason: r.get(7)?,
                place: r.get(8)?,
                excerpt: r.get(9)?,
                topic: r.get(10)?,
                field: r.get(11)?,
            })
        },
    )?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// A reject that may be offered again.
pub(crate) struct Candidate {
    pub id: i64,
    /// Every id of this frame, separated by commas.
    ids: String,
    pub sink: Option<i64>,
    pub source: String,
    pub origin: i64,
    pub position: Option<i64>,
    pub times: NewTimes,
    pub topic: Option<String>,
    pub device: Option<Vec<u8>>,
    pub reason: String,
    pub document: Vec<u8>,
}

/// Rejects with a whole document, oldest first, one per frame; all, or those with the given ids.
pub(crate) fn candidates(state: &State, ids: Option<&[i64]>) -> Result<Vec<Candidate>> {
    let mut query = state.db.prepare(
        "SELECT min(id), sink, source, origin, position, time_ns, received_at_ns, document, group_concat(id), topic, uptime_start_ns, moves, device, reason FROM reject
         WHERE document IS NOT NULL AND origin IS NOT NULL AND kind IN ('document', 'sink')
         GROUP BY sink, coalesce(position, -id) ORDER BY 1",
    )?;
    let rows = query.query_map([], |r| {
        Ok(Candidate {
            id: r.get(0)?,
            sink: r.get(1)?,
            source: r.get(2)?,
            origin: r.get(3)?,
            position: r.get(4)?,
            times: NewTimes::stored(r.get(5)?, r.get(6)?, r.get(10)?, r.get(11)?),
            document: r.get(7)?,
            ids: r.get(8)?,
            topic: r.get(9)?,
            device: r.get(12)?,
            reason: r.get(13)?,
        })
    })?;
    let mut found: Vec<Candidate> = rows.collect::<std::result::Result<_, _>>()?;
    if let Some(ids) = ids {
        found.retain(|c| {
            c.ids
                .split(',')
                .filter_map(|id| id.parse().ok())
                .any(|id: i64| ids.contains(&id))
        });
    }
    Ok(found)
}
