//! One group: the documents, confirmations and prunings of one transaction, and the state they leave.
//!
//! Everything a group changes is kept apart from [`State`] until COMMIT succeeded, so that a full disk changes nothing.

use crate::check;
use crate::error::{Error, ErrorKind, Result};
use crate::links::{LinkCounts, Links};
use crate::prune;
use crate::queue::{Documents, Item, Refusal, Telemetry, What};
use crate::reject::{self, NewReject};
use crate::room::free_bytes;
use crate::row::{Row, RowBuilder};
use crate::sink::{Confirmation, Sink};
use crate::source::{Change, Source};
use iiot_core::clock::StampClock;
use iiot_core::scan::earlier;
use iiot_core::window::encode_entries;
use rusqlite::{Connection, params};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A row's body is closed at this size: a reader never holds much more than it wants, and the allocator keeps such blocks at hand.
const ROW_BYTES: usize = 120 * 1024;

/// Documents of which nothing can be used, before the first with a time of its node: a thousand fit, a millisecond apart.
const LEAD_NS: i64 = 1_000_000_000;

/// Limits of the journal file.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Bytes of live pages.
    pub live_bytes: u64,
    /// Where no room could be reserved: this much of the disk stays free, so that sinks can still confirm and the log be moved.
    pub keep_free: Option<(PathBuf, u64)>,
    pub max_age_ms: Option<i64>,
    pub max_rejects: i64,
    /// Bytes of kept rejected documents.
    pub reject_bytes: i64,
}

/// What is committed, as far as the writer needs it at hand.
pub(crate) struct State {
    pub db: Connection,
    pub limits: Limits,
    pub next: u64,
    pub oldest: u64,
    pub sources: Vec<Source>,
    pub sinks: Vec<Sink>,
    /// Name of the profile of each origin.
    pub origins: HashMap<i64, String>,
    pub reject_bytes: i64,
    /// Events for the log, taken by `Journal::notes`.
    pub notes: Vec<String>,
    /// What nodes' links did, until it can be seen.
    pub links: Links,
}

/// What a group of messages came to.
pub(crate) struct Group {
    pub next: u64,
    pub oldest: u64,
    pub sinks: Vec<Sink>,
    pub rows: Vec<Arc<Row>>,
    changes: HashMap<usize, (Change, usize)>,
    counts: HashMap<Cow<'static, str>, i64>,
    rejects: Vec<NewReject>,
    pub reject_bytes: i64,
    pub notes: Vec<String>,
    building: Option<(i64, bool, RowBuilder)>,
    pub links: Links,
    now_ns: i64,
}

/// What the intake refuses.
struct Rejected<'a> {
    kind: &'static str,
    refusal: &'a Refusal,
    time_ns: i64,
    received_at_ns: i64,
    topic: Option<&'a [u8]>,
    /// All of it, if it may be offered again.
    document: Option<Vec<u8>>,
    /// Of the frame that a refused value stood in.
    position: Option<u64>,
}

/// A frame that is accepted.
#[derive(Clone, Copy)]
struct NewFrame<'a> {
    time_ns: i64,
    received_at_ns: i64,
    topic: Option<&'a [u8]>,
    document: &'a [u8],
}

impl Group {
    pub(crate) fn new(state: &State, now_ns: i64) -> Self {
        Self {
            next: state.next,
            oldest: state.oldest,
            sinks: state.sinks.clone(),
            rows: Vec::new(),
            changes: HashMap::new(),
            counts: HashMap::new(),
            rejects: Vec::new(),
            reject_bytes: state.reject_bytes,
            notes: Vec::new(),
            building: None,
            links: Links::default(),
            now_ns,
        }
    }

    pub(crate) fn count(&mut self, name: impl Into<Cow<'static, str>>, by: i64) {
        *self.counts.entry(name.into()).or_default() += by;
    }

    /// Judge the documents of one push.
    pub(crate) fn documents(
        &mut self,
        state: &State,
        at: usize,
        documents: &Documents,
    ) -> Result<()> {
        let Some(source) = state.sources.get(at) else {
            return Ok(());
        };
        let (mut change, log) = self
            .changes
            .remove(&at)
            .unwrap_or_else(|| (source.change(), 0));
        for item in &documents.items {
            if !matches!(item.what, What::Ignored(_)) {
                self.count("received", 1);
            }
            match &item.what {
                What::Ignored(name) => {
                    self.count("ignored", 1);
                    self.count(format!("ignored:{name}"), 1);
                }
                What::Telemetry(telemetry) => {
                    self.telemetry(state, source, &mut change, documents, item, telemetry)?;
                }
                What::Reject {
                    refusal,
                    uptime_ms,
                    counter,
                    whole,
                } => {
                    let time_ns = if *whole {
                        let node_ms = source.advance(&mut change, *uptime_ms, *counter);
                        self.stamp(source, &mut change, item, node_ms, LEAD_NS)
                    } else {
                        // It is never offered again, so it takes no time that another could have.
                        item.received_at_ns
                    };
                    self.count("rejected", 1);
                    self.count(format!("rejected:{}", refusal.reason), 1);
                    let document = whole.then(|| documents.document(item).to_vec());
                    let rejected = Rejected {
                        kind: "document",
                        refusal,
                        time_ns,
                        received_at_ns: item.received_at_ns,
                        topic: documents.topic(item),
                        document,
                        position: None,
                    };
                    self.reject(source, rejected);
                }
            }
        }
        change.clocks.position = change.clocks.position.max(documents.settled);
        change.clocks.finished |= documents.finished;
        self.changes.insert(at, (change, log));
        Ok(())
    }

    /// The time of a document that has none of its own: a recording's by the node's clock, else its arrival; see `design.md`, "Time".
    ///
    /// In a recording with a start, the first document that has a time of its node gets the start. One without takes the time of the document before it;
    /// where there is none, it begins `lead_ns` before the start, so that it does not push the first one on.
    fn stamp(
        &mut self,
        source: &Source,
        change: &mut Change,
        item: &Item,
        node_ms: Option<i64>,
        lead_ns: i64,
    ) -> i64 {
        let clocks = &mut change.clocks;
        let clock_ns = match (source.rules.start_ns, node_ms) {
            (Some(start), Some(ms)) => start.saturating_add(ms.saturating_mul(1_000_000)),
            (Some(start), None) if clocks.seeded => start.saturating_sub(lead_ns),
            (Some(start), None) => start
                .saturating_sub(lead_ns)
                .max(clocks.stamp.last_clock_ns),
            (None, _) => item.received_at_ns,
        };
        if std::mem::take(&mut clocks.seeded) && clock_ns < clocks.stamp.last_clock_ns {
            // It has arrival times of its own, which lie before what was played last: nothing to keep apart from.
            clocks.stamp = StampClock::default();
        }
        let stamp = clocks.stamp.stamp(clock_ns, source.rules.step_ns);
        if stamp.fell_back && !source.rules.recording {
            self.count("clock_falls", 1);
            self.notes.push(format!(
                "clock_fell_back: source {} now stamps {}",
                source.name, stamp.ns
            ));
        }
        stamp.ns
    }

    fn reject(&mut self, source: &Source, rejected: Rejected<'_>) {
        let Rejected {
            kind,
            refusal,
            time_ns,
            received_at_ns,
            topic,
            document,
            position,
        } = rejected;
        self.rejects.push(NewReject {
            sink: None,
            source: source.name.clone(),
            origin: Some(source.rules.origin),
            position,
            point: None,
            field: None,
            topic: topic.map(|topic| String::from_utf8_lossy(topic).into()),
            reason: refusal.reason.to_owned(),
            place: refusal.place.clone(),
            excerpt: refusal.excerpt.clone(),
            kind,
            time_ns,
            received_at_ns,
            document,
        });
    }

    fn telemetry(
        &mut self,
        state: &State,
        source: &Source,
        change: &mut Change,
        documents: &Documents,
        item: &Item,
        t: &Telemetry,
    ) -> Result<()> {
        let receptions = documents
            .receptions
            .get(t.receptions.start as usize..t.receptions.end as usize)
            .unwrap_or_default();
        let node_ms = source.advance(change, t.uptime_ms, t.counter);
        let window_ms = node_ms
            .or_else(|| change.clocks.node.now_ms())
            .unwrap_or(item.received_at_ns / 1_000_000);
        if source
            .window
            .is_duplicate(&change.delta, receptions, window_ms, source.rules.window_ms)
        {
            self.count("duplicate", 1);
            for reception in receptions {
                let counts = LinkCounts {
                    duplicate: 1,
                    ..LinkCounts::default()
                };
                self.links.add(&source.name, reception.node, counts);
            }
            return Ok(());
        }
        let own = t
            .time_ns
            .filter(|own| source.rules.belief.holds(*own, item.received_at_ns));
        if t.is_doubted {
            self.count(format!("time_not_believed:{}", source.name), 1);
        }
        // Readings of one node lie further apart than its ages are inexact, so their times stay distinct.
        let time_ns = own.unwrap_or_else(|| {
            let stamp_ns = self.stamp(source, change, item, node_ms, 0);
            // The next frame comes behind all points of this one.
            let spread_ns = i64::from(t.spread_ms) * 1_000_000;
            change.clocks.stamp.last_stamp_ns = stamp_ns.saturating_add(spread_ns);
            earlier(stamp_ns, t.age_ms)
        });
        let lost_before = change.delta.lost_on_air;
        source
            .window
            .accept(&mut change.delta, receptions, window_ms);
        let lost = change.delta.lost_on_air - lost_before;
        if lost != 0 {
            self.count("lost_on_air", lost);
        }
        for reception in receptions {
            let counts = LinkCounts {
                accepted: 1,
                ..LinkCounts::default()
            };
            self.links.add(&source.name, reception.node, counts);
        }
        for (node, lost_on_air) in change.delta.lost_by_node.drain(..) {
            let counts = LinkCounts {
                lost_on_air,
                ..LinkCounts::default()
            };
            self.links.add(&source.name, node, counts);
        }
        self.count("accepted", 1);
        let frame = NewFrame {
            time_ns,
            received_at_ns: item.received_at_ns,
            topic: documents.topic(item),
            document: documents.document(item),
        };
        let position = self.append(state, source.rules.origin, source.rules.replayable, frame)?;
        for fault in &item.value_faults {
            self.count("values_rejected", 1);
            let rejected = Rejected {
                kind: "value",
                refusal: fault,
                time_ns,
                received_at_ns: item.received_at_ns,
                topic: documents.topic(item),
                document: None,
                position: Some(position),
            };
            self.reject(source, rejected);
        }
        Ok(())
    }

    fn append(
        &mut self,
        state: &State,
        origin: i64,
        replayable: bool,
        frame: NewFrame<'_>,
    ) -> Result<u64> {
        let NewFrame {
            time_ns,
            received_at_ns,
            topic,
            document,
        } = frame;
        let length = document.len() + topic.map_or(0, <[u8]>::len);
        let fits = self.building.as_ref().is_some_and(|(o, r, b)| {
            *o == origin && *r == replayable && b.bytes() + length <= ROW_BYTES && b.takes(topic)
        });
        if !fits {
            self.close_row(state)?;
        }
        let (_, _, builder) = self
            .building
            .get_or_insert_with(|| (origin, replayable, RowBuilder::default()));
        let position = self.next + builder.count();
        builder.push(time_ns, received_at_ns, topic, document);
        Ok(position)
    }

    /// Write the row that is being built.
    pub(crate) fn close_row(&mut self, state: &State) -> Result<()> {
        if let Some((origin, replayable, builder)) = self.building.take() {
            let row = builder.finish(self.next, origin, None, replayable);
            self.insert(state, row)?;
        }
        Ok(())
    }

    /// Write a row and count it for every sink that takes it.
    pub(crate) fn insert(&mut self, state: &State, row: Row) -> Result<()> {
        if let Some((path, bytes)) = &state.limits.keep_free {
            // Pages that are free within the file need nothing of the disk.
            let free = free_bytes(path) + prune::free_page_bytes(&state.db)?;
            if free < *bytes + row.body.len() as u64 {
                return Err(Error::new(
                    ErrorKind::Full,
                    format!("{free} bytes are left on it, {bytes} are kept for what sinks confirm"),
                ));
            }
        }
        self.oldest = prune::make_room(
            &state.db,
            state.limits.live_bytes,
            row.body.len() as u64,
            self,
            &state.origins,
        )?;
        state
            .db
            .prepare_cached("INSERT INTO frames(first, count, origin, only_sink, replayable, committed_at_ms, crc, body, format) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
            .execute(params![
                row.first as i64,
                row.count as i64,
                row.origin,
                row.only_sink,
                row.replayable,
                self.now_ns / 1_000_000,
                check::checksum(&row.body),
                row.body,
                row.format
            ])?;
        let profile = state.origins.get(&row.origin).map_or("", String::as_str);
        for sink in &self.sinks {
            sink.append(&state.db, &row, profile)?;
        }
        self.count("bytes", row.body.len() as i64);
        self.next = row.end();
        self.rows.push(Arc::new(row));
        Ok(())
    }

    /// Settle a sink's confirmation.
    pub(crate) fn confirm(
        &mut self,
        state: &State,
        sink: i64,
        confirmation: Confirmation,
    ) -> Result<()> {
        let Some(found) = self.sinks.iter_mut().find(|s| s.id == sink) else {
            return Ok(());
        };
        let name = found.name.clone();
        let settled = found.confirm(&state.db, confirmation)?;
        self.notes.extend(settled.note);
        for r in settled.rejects {
            let stored = reject::frame_at(&state.db, &self.rows, r.position)?;
            self.rejects.push(NewReject {
                sink: Some(sink),
                source: stored
                    .as_ref()
                    .map_or_else(String::new, |f| f.source.clone()),
                origin: stored.as_ref().map(|f| f.origin),
                position: Some(r.position),
                point: Some(r.point),
                field: r.field,
                topic: stored.as_ref().and_then(|f| f.topic.clone()),
                reason: r.reason,
                place: format!("sink {name}, position {}, point {}", r.position, r.point),
                excerpt: r.excerpt,
                kind: "sink",
                time_ns: stored.as_ref().map_or(0, |f| f.time_ns),
                received_at_ns: stored.as_ref().map_or(0, |f| f.received_at_ns),
                document: stored.map(|f| f.document),
            });
        }
        Ok(())
    }

    /// Write what is left to write: rows, source states, counts, rejects, prunings.
    pub(crate) fn finish(&mut self, state: &State, lost: &HashMap<usize, u64>) -> Result<()> {
        self.close_row(state)?;
        for (at, (change, log)) in &mut self.changes {
            if let Some(source) = state.sources.get(*at) {
                let entries = encode_entries(&change.delta.entries);
                *log = entries.len();
                source.write(&state.db, change, &entries)?;
            }
        }
        for &documents in lost.values() {
            self.count("lost_journal_unavailable", documents as i64);
        }
        if !self.rejects.is_empty() {
            self.reject_bytes = reject::store(
                &state.db,
                std::mem::take(&mut self.rejects),
                self.now_ns,
                &state.limits,
                self.reject_bytes,
            )?;
        }
        if let Some(max_age_ms) = state.limits.max_age_ms {
            self.oldest = prune::too_old(
                &state.db,
                self.now_ns / 1_000_000 - max_age_ms,
                self,
                &state.origins,
            )?;
        }
        self.oldest = prune::passed(&state.db, &self.sinks, self.oldest, self.next)?;
        let mut put = state.db.prepare_cached(
            "INSERT INTO counter VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value=value+excluded.value",
        )?;
        for (name, by) in &self.counts {
            put.execute(params![name, by])?;
        }
        Ok(())
    }

    /// Take over what was committed. Returns the sources whose window should be written whole.
    pub(crate) fn merge(mut self, state: &mut State) -> Vec<Arc<Row>> {
        self.links.drain_into(&mut state.links);
        state.next = self.next;
        state.oldest = self.oldest;
        state.sinks = self.sinks;
        state.reject_bytes = self.reject_bytes;
        state.notes.extend(self.notes);
        for (at, (change, log)) in self.changes {
            if let Some(source) = state.sources.get_mut(at) {
                source.merge(change, log);
            }
        }
        self.rows
    }
}
