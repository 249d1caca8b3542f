//! Offers rejects again, under the profiles that are valid now.

use crate::begin::origin;
use crate::commit::Group;
use crate::directory::{Directory, LookedUp};
use crate::error::Result;
use crate::journal::Journal;
use crate::judge::{Judge, NodeTime};
use crate::memory::Said;
use crate::messages::{DEVICE_DISABLED, UNKNOWN_DEVICE};
use crate::queue::Documents;
use crate::reject::{Candidate, candidates, total_bytes};
use crate::row::{NewTimes, Supply};
use crate::row_builder::{Envelope, RowBuilder};
use crate::scanned::Document;
use crate::state::State;
use crate::transaction::transaction;
use crate::wall_clock::now_ns;
use crate::writer::write_next;
use iiot_core::profile::Profile;
use iiot_core::scan::Scan;
use rusqlite::params;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How the documents of a source are judged now.
#[derive(Clone)]
pub struct RetrySource {
    /// Their profile.
    pub profile: Arc<Profile>,
    /// For how long a repeat counts as a duplicate.
    pub dedup_window: Duration,
    /// The devices that are registered now: devices of documents that were rejected because of their device are looked up
    /// again.
    pub devices: Option<Arc<Directory>>,
}

/// The outcomes of rejects that were offered again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retried {
    /// Accepted: they go to the sinks (an intake's reject) or to the sink that refused them.
    pub accepted: u64,
    /// Repeats of documents that were accepted before, or by this retry.
    pub duplicate: u64,
    /// They still contain nothing usable.
    pub still_rejected: u64,
    /// Their source is not configured any more.
    pub without_source: u64,
}

impl Journal {
    /// Offer kept rejects again, the oldest first; `sources` are the configured ones by name.
    pub fn retry_rejects(
        &self,
        sources: HashMap<String, RetrySource>,
        ids: Option<Vec<i64>>,
    ) -> Result<Retried> {
        self.shared
            .command(move |state| retry(state, &sources, ids.as_deref()))
    }
}

/// A reject that contains something usable now.
struct Usable {
    candidate: Candidate,
    profile: Arc<Profile>,
    /// The document alone.
    documents: Documents,
    /// Its times.
    times: NewTimes,
}

fn retry(
    state: &mut State,
    sources: &HashMap<String, RetrySource>,
    ids: Option<&[i64]>,
) -> Result<Retried> {
    let mut retried = Retried::default();
    let mut usable = Vec::new();
    let mut judges: HashMap<String, Judge> = HashMap::new();
    for mut candidate in candidates(state, ids)? {
        let Some(source) = sources.get(&candidate.source) else {
            retried.without_source += 1;
            continue;
        };
        if !find_device(&mut candidate, source) {
            retried.still_rejected += 1;
            continue;
        }
        let mut scan = Scan::new();
        let topic = candidate.topic.as_deref().map(str::as_bytes);
        let device = candidate.device.as_deref();
        let decoded = source.profile.decode_of(
            topic,
            device.unwrap_or_default(),
            &candidate.document,
            &mut scan,
        );
        let Ok(found) = decoded else {
            retried.still_rejected += 1;
            continue;
        };
        let document = Document {
            mark: None,
            bytes: &candidate.document,
            topic,
            device,
            message_id: None,
            place: format_args!(""),
            received_at_ns: candidate.times.received_at_ns,
            delivery: None,
        };
        let mut documents = Documents::default();
        document.add(&mut documents, found, None);
        if candidate.sink.is_none() && !judges.contains_key(&candidate.source) {
            let judge = Judge::load(state, &candidate.source, source.dedup_window)?;
            judges.insert(candidate.source.clone(), judge);
        }
        usable.push(Usable {
            times: candidate.times.clone(),
            documents,
            profile: Arc::clone(&source.profile),
            candidate,
        });
    }
    let origins = transaction(&state.db, || {
        usable
            .iter()
            .map(|u| origin_under(state, &u.candidate, &u.profile))
            .collect::<Result<Vec<_>>>()
    })?;
    for (origin, u) in origins.iter().zip(&usable) {
        state.origins.insert(*origin, u.profile.name().to_owned());
    }
    let mut group = Group::new(state, now_ns());
    transaction(&state.db, || {
        for (origin, u) in origins.iter().zip(&mut usable) {
            // A sink's reject was accepted before, so it is not a repeat.
            let judge = match u.candidate.sink {
                None => judges.get_mut(&u.candidate.source),
                Some(_) => None,
            };
            if judge.is_none_or(|judge| is_new(&mut group, judge, u)) {
                accept(state, &mut group, u, *origin)?;
                retried.accepted += 1;
            } else {
                settle(state, &mut group, &u.candidate, "duplicate")?;
                retried.duplicate += 1;
            }
        }
        group.finish(state, &HashMap::new())?;
        for judge in judges.values_mut() {
            judge.write(state)?;
        }
        write_next(state, group.next)?;
        group.reject_bytes = total_bytes(&state.db)?;
        Ok(())
    })?;
    group.merge(state);
    for judge in judges.into_values() {
        judge.merge(state);
    }
    Ok(retried)
}

/// Look up the device of a document that was rejected because of its device. `false`: the reason still holds.
fn find_device(candidate: &mut Candidate, source: &RetrySource) -> bool {
    let is_of_device = matches!(candidate.reason.as_str(), UNKNOWN_DEVICE | DEVICE_DISABLED);
    let topic = candidate.topic.as_deref().map(str::as_bytes);
    let id = topic.and_then(|topic| source.profile.device_in(topic));
    let (true, Some(devices), Some(id)) = (is_of_device, &source.devices, id) else {
        return true;
    };
    match devices.find(id) {
        LookedUp::Known(snapshot) => {
            candidate.device = (!snapshot.is_empty()).then(|| snapshot.to_vec());
            true
        }
        LookedUp::Taken => true,
        LookedUp::Unknown | LookedUp::Disabled => false,
    }
}

/// Whether the window and the memory of the source say that the document is new. Counts losses and repeats of the nodes'
/// links, and times that are not believed.
fn is_new(group: &mut Group, judge: &mut Judge, u: &mut Usable) -> bool {
    let Some((telemetry, receptions)) = u.documents.only() else {
        return true;
    };
    let source = &u.candidate.source;
    let NewTimes {
        time_ns,
        received_at_ns,
        ..
    } = u.times;
    let node_time = NodeTime {
        receiver: telemetry.receiver,
        uptime_ms: telemetry.uptime_ms,
        counter: telemetry.counter,
        uptime_bits: u.profile.uptime_bits(),
        received_at_ns,
    };
    let said = Said {
        points: &u.documents.points,
        time: telemetry.time,
        device: telemetry.device,
        document: telemetry.fingerprint,
        belief: u.profile.belief(),
        received_at_ns,
        beside_own: u.profile.has_times(),
        given_ns: None,
        is_shared: false,
    };
    let then_ns = u.profile.belief().earlier(time_ns, telemetry.age_ms);
    let mut noted = judge.accept(receptions, node_time);
    // A document that was never a frame has only the time of its arrival.
    let at_ns = then_ns.unwrap_or(time_ns);
    let given = noted.as_ref().and_then(|_| judge.times(&said, at_ns));
    let is_new = given.is_some();
    group.count_receptions(source, receptions, is_new);
    if let Some(noted) = &mut noted {
        group.count_noted(source, noted);
    }
    if let Some(given) = given {
        if given.is_doubted || (given.is_stamped && then_ns.is_none()) {
            group.not_believed(source);
        }
        u.times = given.times;
    }
    is_new
}

/// The origin of the reject, with the profile that is valid now.
fn origin_under(state: &State, candidate: &Candidate, profile: &Profile) -> Result<i64> {
    let sql = "SELECT topic_prefix, tags FROM origin WHERE id=?1";
    let (prefix, tags): (String, String) = state
        .db
        .query_row(sql, [candidate.origin], |r| Ok((r.get(0)?, r.get(1)?)))?;
    origin(state, &candidate.source, profile, &prefix, &tags)
}

fn accept(state: &State, group: &mut Group, u: &Usable, origin: i64) -> Result<()> {
    let candidate = &u.candidate;
    let mut builder = RowBuilder::default();
    let envelope = Envelope {
        topic: candidate.topic.as_deref().map(str::as_bytes),
        device: candidate.device.as_deref(),
    };
    builder.push(&u.times, envelope, &candidate.document);
    let row = builder.finish(group.next, origin, candidate.sink, Supply::Live);
    match candidate.sink {
        None => settle(state, group, candidate, "accepted")?,
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

/// A reject of the intake is no longer a reject, and is counted by its new outcome. The count of its reason stays.
fn settle(
    state: &State,
    group: &mut Group,
    candidate: &Candidate,
    outcome: &'static str,
) -> Result<()> {
    for (name, by) in [("rejected", -1), (outcome, 1), ("retried", 1)] {
        group.count(name, by);
    }
    state
        .db
        .execute("DELETE FROM reject WHERE id=?1", [candidate.id])?;
    Ok(())
}
