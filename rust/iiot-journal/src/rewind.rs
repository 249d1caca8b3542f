//! Adapts a sink's cursor to its peer: a database keeps the position itself, and may be behind the cursor or ahead of it.

use crate::error::{Error, ErrorKind, Result};
use crate::reader::row_at;
use crate::reject::{self, PROVISIONAL};
use crate::row::Row;
use crate::sink::{Sink, SinkReject, count_taken};
use crate::state::State;
use crate::transaction::transaction;
use rusqlite::params;
use std::ops::Range;
use std::sync::Arc;

/// Where a sink that went back goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoneBack {
    /// The new cursor.
    pub position: u64,
    /// The positions between the peer's position and the first frame of the journal: frames that were delivered there are gone on both sides.
    pub lost: Range<u64>,
}

fn sink_of(state: &mut State, id: i64) -> Result<&mut Sink> {
    state
        .sinks
        .iter_mut()
        .find(|sink| sink.id == id)
        .ok_or_else(|| Error::new(ErrorKind::Conflict, "the sink is not known"))
}

/// Move the cursor back to `to`, or to the oldest kept frame. The frames behind it are queued again, and rejects among them are withdrawn.
pub(crate) fn go_back(state: &mut State, id: i64, to: u64, count_lost: bool) -> Result<GoneBack> {
    let oldest = state.oldest;
    let sink = sink_of(state, id)?.clone();
    let position = to.max(oldest).min(sink.cursor);
    let lost = to.min(position)..position.min(oldest).max(to.min(position));
    transaction(&state.db, || {
        let taken = count_taken(&state.db, &sink, position, sink.cursor)?;
        let within = params![id, position as i64, sink.cursor as i64];
        let sql = "SELECT count(DISTINCT position) FROM reject WHERE sink=?1 AND position>=?2 AND position<?3 AND kind='sink'";
        let rejected: i64 = state.db.query_row(sql, within, |row| row.get(0))?;
        let rejected = rejected.min(taken as i64);
        state.db.execute(
            "DELETE FROM reject WHERE sink=?1 AND position>=?2 AND position<?3 AND kind IN ('sink', 'provisional')",
            within,
        )?;
        state.db.execute(
            "UPDATE sink SET cursor=?2, delivered=delivered-?3, rejected=rejected-?4 WHERE id=?1",
            params![id, position as i64, taken as i64 - rejected, rejected],
        )?;
        if count_lost && !lost.is_empty() {
            state.db.execute(
                "INSERT INTO counter VALUES ('lost_by_peer:' || ?1, ?2) ON CONFLICT DO UPDATE SET value=value+excluded.value",
                params![sink.name, (lost.end - lost.start) as i64],
            )?;
        }
        Ok(())
    })?;
    state.reject_bytes = reject::total_bytes(&state.db)?;
    if count_lost && !lost.is_empty() {
        state.notes.push(format!(
            "lost_by_peer: the other side of sink {} is back at position {}, and the journal begins at {position}; it had {} positions between and has them no more",
            sink.name, lost.start, lost.end - lost.start
        ));
    }
    sink_of(state, id)?.cursor = position;
    Ok(GoneBack { position, lost })
}

/// Settle everything before `to`, which the peer has: the confirmation was lost between its COMMIT and ours. Rejects that were stored before that COMMIT become
/// final.
pub(crate) fn confirm_ahead(state: &mut State, id: i64, to: u64) -> Result<()> {
    let next = state.next;
    let sink = sink_of(state, id)?.clone();
    let end = to.min(next);
    if end <= sink.cursor {
        return Ok(());
    }
    transaction(&state.db, || {
        let taken = count_taken(&state.db, &sink, sink.cursor, end)? as i64;
        let within = params![id, sink.cursor as i64, end as i64];
        let sql = "SELECT count(DISTINCT position) FROM reject WHERE sink=?1 AND position>=?2 AND position<?3 AND kind='provisional'";
        let rejected: i64 = state.db.query_row(sql, within, |row| row.get(0))?;
        state.db.execute(
            "UPDATE reject SET kind='sink' WHERE sink=?1 AND position>=?2 AND position<?3 AND kind='provisional'",
            within,
        )?;
        let rejected = rejected.min(taken);
        state.db.execute(
            "UPDATE sink SET cursor=?2, delivered=delivered+?3, rejected=rejected+?4 WHERE id=?1",
            params![id, end as i64, taken - rejected, rejected],
        )?;
        Ok(())
    })?;
    sink_of(state, id)?.cursor = end;
    Ok(())
}

/// Store rejects of frames from `from` on that are not final, in place of those of an earlier attempt. Rejects before `from` may belong to a batch that the
/// peer has and whose confirmation is still on its way.
pub(crate) fn provisional(
    state: &mut State,
    id: i64,
    from: u64,
    rejects: Vec<SinkReject>,
) -> Result<()> {
    let name = sink_of(state, id)?.name.clone();
    let bytes = transaction(&state.db, || {
        state.db.execute(
            "DELETE FROM reject WHERE sink=?1 AND position>=?2 AND kind='provisional'",
            params![id, from as i64],
        )?;
        let mut found = Vec::with_capacity(rejects.len());
        // Usually many of them are in one row, which is read once.
        let mut row: Vec<Arc<Row>> = Vec::new();
        for refused in rejects {
            let at = refused.position;
            if !row.iter().any(|row| (row.first..row.end()).contains(&at)) {
                row = row_at(&state.db, at)
                    .ok()
                    .flatten()
                    .map(Arc::new)
                    .into_iter()
                    .collect();
            }
            let sink = (id, name.as_str());
            found.push(reject::of_sink(
                &state.db,
                &row,
                sink,
                refused,
                PROVISIONAL,
            )?);
        }
        let kept = reject::total_bytes(&state.db)?;
        reject::store(
            &state.db,
            found,
            crate::wall_clock::now_ns(),
            &state.limits,
            kept,
        )
    })?;
    state.reject_bytes = bytes;
    Ok(())
}
