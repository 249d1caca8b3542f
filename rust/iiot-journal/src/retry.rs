//! Offering rejects again under the profiles that are valid now.

use crate::commit::{Group, State};
use crate::error::Result;
use crate::intake::origin;
use crate::journal::Journal;
use crate::reject::{Candidate, candidates, total_bytes};
use crate::row::RowBuilder;
use crate::shared::now_ns;
use crate::writer::{transaction, write_next};
use iiot_core::profile::Profile;
use iiot_core::scan::Scan;
use rusqlite::params;
use std::collections::HashMap;
use std::sync::Arc;

/// What became of the rejects that were offered again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retried {
    /// Accepted: they go to the sinks (an intake's reject) or to the sink that refused them.
    pub accepted: u64,
    /// Still nothing to use in them.
    pub still_rejected: u64,
    /// Their source is not configured any more.
    pub without_source: u64,
}

impl Journal {
    /// Offer kept rejects again; `profiles` are those of the configured sources by name.
    pub fn retry_rejects(
        &self,
        profiles: HashMap<String, Arc<Profile>>,
        ids: Option<Vec<i64>>,
    ) -> Result<Retried> {
        self.shared
            .command(move |state| retry(state, &profiles, ids.as_deref()))
    }
}

fn retry(
    state: &mut State,
    profiles: &HashMap<String, Arc<Profile>>,
    ids: Option<&[i64]>,
) -> Result<Retried> {
    let mut retried = Retried::default();
    let mut usable = Vec::new();
    for candidate in candidates(state, ids)? {
        let mut scan = Scan::new();
        match profiles.get(&candidate.source) {
            None => retried.without_source += 1,
            Some(profile)
                if profile.scan(&candidate.document, &mut scan).is_err() || scan.points() == 0 =>
            {
                retried.still_rejected += 1;
            }
            Some(profile) => {
                // A frame that a sink refused has its time already; a document that was never a frame has only that of its arrival.
                let time_ns = match candidate.sink {
                    Some(_) => scan.time_ns().unwrap_or(candidate.time_ns),
                    None => scan.time_or(candidate.time_ns),
                };
                usable.push((candidate, Arc::clone(profile), time_ns));
            }
        }
    }
    let origins = transaction(&state.db, || {
        usable
            .iter()
            .map(|(candidate, profile, _)| origin_under(state, candidate, profile))
            .collect::<Result<Vec<_>>>()
    })?;
    for (origin, (_, profile, _)) in origins.iter().zip(&usable) {
        state.origins.insert(*origin, profile.name().to_owned());
    }
    let mut group = Group::new(state, now_ns());
    transaction(&state.db, || {
        for (origin, (candidate, _, time_ns)) in origins.iter().zip(&usable) {
            accept(state, &mut group, candidate, *origin, *time_ns)?;
        }
        group.finish(state, &HashMap::new())?;
        write_next(state, group.next)?;
        group.reject_bytes = total_bytes(&state.db)?;
        Ok(())
    })?;
    retried.accepted = usable.len() as u64;
    group.merge(state);
    Ok(retried)
}

/// The origin that the reject had, with the profile that is valid now.
fn origin_under(state: &State, candidate: &Candidate, profile: &Profile) -> Result<i64> {
    let sql = "SELECT topic_prefix, tags FROM origin WHERE id=?1";
    let (prefix, tags): (String, String) = state
        .db
        .query_row(sql, [candidate.origin], |r| Ok((r.get(0)?, r.get(1)?)))?;
    origin(state, &candidate.source, profile, &prefix, &tags)
}

fn accept(
    state: &State,
    group: &mut Group,
    candidate: &Candidate,
    origin: i64,
    time_ns: i64,
) -> Result<()> {
    let mut builder = RowBuilder::default();
    builder.push(time_ns, candidate.received_at_ns, &candidate.document);
    let row = builder.finish(group.next, origin, candidate.sink, false);
    match candidate.sink {
        None => {
            for (name, by) in [("rejected", -1), ("accepted", 1), ("retried", 1)] {
                group.count(name, by);
            }
            group.count(format!("rejected:{}", candidate.reason), -1);
            state
                .db
                .execute("DELETE FROM reject WHERE id=?1", [candidate.id])?;
        }
        Some(sink) => {
            // It was given to this sink before; inserting the row counts it again.
            state.db.execute(
                "UPDATE sink SET rejected=rejected-1, accepted=accepted-1 WHERE id=?1",
                [sink],
            )?;
            state.db.execute(
                "DELETE FROM reject WHERE sink=?1 AND position=?2",
                params![sink, candidate.position],
            )?;
        }
    }
    group.insert(state, row)
}
