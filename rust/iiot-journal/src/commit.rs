//! One group: the rows, confirmations and prunings of one transaction, and the resulting state. [`crate::accept`] judges the documents.
//!
//! All changes of a group are kept apart from [`State`] until COMMIT has succeeded, so that a full disk changes nothing.

use crate::check;
use crate::error::{Error, ErrorKind, Result};
use crate::links::{LinkCounts, Links};
use crate::prune::{self, Prunable};
use crate::reject::{self, NewReject};
use crate::report::{Outcome, Report};
use crate::room::free_bytes;
use crate::row::{NewTimes, Row, Supply};
use crate::row_builder::{Envelope, RowBuilder};
use crate::sink::{Confirmation, Sink};
use crate::sites::{NewSites, Written};
use crate::source::Change;
use crate::state::State;
use iiot_core::window::{Delta, Reception};
use rusqlite::params;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// A row's body is closed at this size, so that a reader never holds much more than it needs. The allocator also keeps blocks of this size for reuse.
const ROW_BYTES: usize = 120 * 1024;

/// The result of a group of messages.
pub(crate) struct Group {
    pub next: u64,
    pub oldest: u64,
    pub sinks: Vec<Sink>,
    pub rows: Vec<Arc<Row>>,
    pub(crate) changes: HashMap<usize, Change>,
    counts: HashMap<Cow<'static, str>, i64>,
    pub(crate) rejects: Vec<NewReject>,
    pub reject_bytes: i64,
    pub notes: Vec<String>,
    /// A row was dropped that is not the oldest one.
    pub dropped_within: bool,
    building: Option<(i64, Supply, RowBuilder)>,
    pub links: Links,
    pub(crate) sites: NewSites,
    written_sites: Written,
    /// The outcomes of messages whose senders wait for them; reported once the group is committed.
    pub(crate) reports: Vec<(Arc<Report>, Vec<Outcome>)>,
    now_ns: i64,
}

/// A frame that is accepted.
#[derive(Clone, Copy)]
pub(crate) struct NewFrame<'a> {
    pub times: &'a NewTimes,
    pub envelope: Envelope<'a>,
    pub document: &'a [u8],
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
            dropped_within: false,
            building: None,
            links: Links::default(),
            sites: NewSites::default(),
            written_sites: Written::default(),
            reports: Vec::new(),
            now_ns,
        }
    }

    pub(crate) fn count(&mut self, name: impl Into<Cow<'static, str>>, by: i64) {
        *self.counts.entry(name.into()).or_default() += by;
    }

    /// Count the receptions of a document that was accepted, or was a repeat.
    pub(crate) fn count_receptions(
        &mut self,
        source: &str,
        receptions: &[Reception],
        is_new: bool,
    ) {
        for reception in receptions {
            let counts = LinkCounts {
                accepted: u64::from(is_new),
                duplicate: u64::from(!is_new),
                lost_on_air: 0,
            };
            self.links.add(source, reception.node, counts);
        }
    }

    /// Count what the window found, and what it had no room for. Nothing of it is left, so that it is counted once.
    pub(crate) fn count_noted(&mut self, source: &str, delta: &mut Delta) {
        for (node, lost_on_air) in delta.lost_by_node.drain(..) {
            self.count("lost_on_air", lost_on_air);
            let counts = LinkCounts {
                lost_on_air,
                ..LinkCounts::default()
            };
            self.links.add(source, node, counts);
        }
        for (name, count) in [
            ("receptions_not_remembered", &mut delta.not_remembered),
            ("losses_not_tracked", &mut delta.not_tracked),
        ] {
            let count = std::mem::take(count);
            if count > 0 {
                self.count(name, count as i64);
            }
        }
    }

    /// Add a frame to the row that is being built, or begin another row if it does not fit. Returns the frame's position.
    pub(crate) fn append(
        &mut self,
        state: &State,
        origin: i64,
        supply: Supply,
        frame: NewFrame<'_>,
    ) -> Result<u64> {
        let NewFrame {
            times,
            envelope,
            document,
        } = frame;
        let length = document.len() + envelope.len();
        let fits = self.building.as_ref().is_some_and(|(o, r, b)| {
            *o == origin
                && *r == supply
                && b.bytes() + length <= ROW_BYTES
                && b.takes(envelope, times)
        });
        if !fits {
            self.close_row(state)?;
        }
        let (_, _, builder) = self
            .building
            .get_or_insert_with(|| (origin, supply, RowBuilder::default()));
        let position = self.next + builder.count();
        builder.push(times, envelope, document);
        Ok(position)
    }

    /// Write the row that is being built.
    pub(crate) fn close_row(&mut self, state: &State) -> Result<()> {
        if let Some((origin, supply, builder)) = self.building.take() {
            let row = builder.finish(self.next, origin, None, supply);
            self.insert(state, row)?;
        }
        Ok(())
    }

    /// Write a row and count it for every sink that takes it.
    pub(crate) fn insert(&mut self, state: &State, row: Row) -> Result<()> {
        if let Some((path, bytes)) = &state.limits.keep_free {
            // Free pages within the file need no room on the disk.
            let free = free_bytes(path) + prune::free_page_bytes(&state.db)?;
            if free < *bytes + row.body.len() as u64 {
                return Err(Error::new(
                    ErrorKind::Full,
                    format!("{free} bytes are left on it, {bytes} are kept for what sinks confirm"),
                ));
            }
        }
        let bytes = row.body.len() as u64;
        let has_room = prune::make_room(
            &state.db,
            state.limits.live_bytes,
            bytes,
            &mut self.prunable(),
            &state.origins,
        )?;
        if !has_room && row.supply == Supply::Waiting {
            return Err(Error::new(
                ErrorKind::Full,
                "the journal has reached max_bytes, and its frames wait for sinks",
            ));
        }
        state
            .db
            .prepare_cached("INSERT INTO frames(first, count, origin, only_sink, replayable, committed_at_ms, crc, body, format) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
            .execute(params![
                row.first as i64,
                row.count as i64,
                row.origin,
                row.only_sink,
                row.supply.number(),
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
        let (cursor, end, values) = (found.cursor, confirmation.end, confirmation.values);
        if end > cursor && values > 0 {
            self.count(format!("values:{name}"), values as i64);
        }
        let Some(found) = self.sinks.iter_mut().find(|s| s.id == sink) else {
            return Ok(());
        };
        let settled = found.confirm(&state.db, confirmation)?;
        self.notes.extend(settled.note);
        for refused in settled.rejects {
            let found = reject::of_sink(&state.db, &self.rows, (sink, &name), refused, "sink")?;
            self.rejects.push(found);
        }
        if settled.has_replaced {
            self.reject_bytes = reject::total_bytes(&state.db)?;
        }
        Ok(())
    }

    fn prunable(&mut self) -> Prunable<'_> {
        Prunable {
            sinks: &mut self.sinks,
            oldest: &mut self.oldest,
            dropped_within: &mut self.dropped_within,
        }
    }

    /// Write everything that remains: rows, source states, counts, rejects, prunings.
    pub(crate) fn finish(&mut self, state: &State, lost: &HashMap<usize, u64>) -> Result<()> {
        self.close_row(state)?;
        for (at, change) in &mut self.changes {
            if let Some(source) = state.sources.get(*at) {
                source.write(&state.db, change)?;
            }
        }
        let room = state.limits.live_bytes;
        self.written_sites = self.sites.write(&state.db, &state.sites, room)?;
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
            let before_ms = self.now_ns / 1_000_000 - max_age_ms;
            prune::too_old(&state.db, before_ms, &mut self.prunable(), &state.origins)?;
        }
        prune::spare(
            &state.db,
            state.limits.live_bytes,
            &mut self.prunable(),
            &state.origins,
        )?;
        let has_room = || prune::is_half_empty(&state.db, state.limits.live_bytes);
        let kept = match state.keep.boundary(self.now_ns / 1_000_000) {
            u64::MAX => u64::MAX,
            kept if has_room()? => kept,
            _ => u64::MAX,
        };
        self.oldest = prune::passed(&state.db, &self.sinks, self.oldest, self.next, kept)?;
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
        state.sites.merge(self.written_sites, self.sites);
        for (report, outcomes) in self.reports {
            report.fill(outcomes);
        }
        state.next = self.next;
        state.oldest = self.oldest;
        state.dropped_within |= self.dropped_within;
        state.sinks = self.sinks;
        if let Some(confirmed) = state.sinks.iter().map(|sink| sink.cursor).min() {
            state.keep.note(self.now_ns / 1_000_000, confirmed);
        }
        state.reject_bytes = self.reject_bytes;
        state.notes.extend(self.notes);
        for (at, change) in self.changes {
            if let Some(source) = state.sources.get_mut(at) {
                source.merge(change, self.now_ns);
            }
        }
        self.rows
    }
}
