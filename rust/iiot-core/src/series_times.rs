//! The times of the newest values of each series. They decide the time of the next value, and whether a document is a repeat.
//!
//! Databases overwrite a value that has the same series, field and time as another. So a document without a time gets a time behind all times of its series,
//! and a value whose own time is taken moves by [`STEP_NS`]. A document with a time that equals an earlier document, byte for byte and under the same topic,
//! is a repeat: its sender did not know that it was accepted.
//!
//! The values with times of their own are remembered for as long as the window lasts. Only beyond [`MAX_VALUES`] of all series together, the oldest of a series
//! are forgotten earlier, and counted; but each series keeps its [`LEAST_VALUES`] newest. All changes go through a [`TimesDelta`], which is merged once the frames
//! are committed.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

pub use crate::given_times::{GivenTime, Run, STEP_NS};
use crate::given_times::{GivenTimes, Series};
use crate::hash::AsIs;
use crate::keys::PointKey;
pub use crate::series_times_bytes::{decode, encode};

/// The most series that are remembered per source. Values of further series are accepted as they are, and counted.
pub const MAX_SERIES: usize = 65_536;
/// The most values that are remembered per source, about 20 MB: an hour of 70 values a second.
pub const MAX_VALUES: usize = 262_144;
/// Beyond [`MAX_VALUES`], each series still keeps so many.
pub const LEAST_VALUES: usize = 16;
/// Values that have left the window are looked for in all series once so many of [`MAX_VALUES`] are held, but no more often than this many times per window.
const SWEEPS_PER_WINDOW: i64 = 16;

type ByFingerprint<T> = HashMap<u64, T, BuildHasherDefault<AsIs>>;

/// The times of a source's series, as they are committed.
#[derive(Clone, Debug, Default)]
pub struct SeriesTimes {
    series: ByFingerprint<Series>,
    /// How many values all series hold.
    values: usize,
    max_values: usize,
    swept_ms: i64,
    /// An unknown series was given no time behind this one.
    floor_ns: Option<i64>,
    window_ms: i64,
}

/// Changes that are not committed yet.
#[derive(Debug, Default)]
pub struct TimesDelta {
    series: ByFingerprint<SeriesDelta>,
    /// How many values are new, without those that are forgotten for them.
    values: usize,
    /// The host's clock was set back: earlier stamps no longer count.
    fell_back: bool,
    /// The entries to store: values, and stamps that lie ahead of the arrival.
    pub entries: Vec<(u64, TimeEntry)>,
    /// How many values are not remembered for the whole window, because there are [`MAX_SERIES`] series or [`MAX_VALUES`] values already.
    pub not_remembered: u64,
}

/// A series with its changes.
#[derive(Debug, Default)]
struct SeriesDelta {
    /// The present stamp and run, and the new values.
    now: Series,
    /// So many of the oldest committed values are forgotten.
    forgotten: usize,
}

/// One change, in the form in which it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeEntry {
    /// A value with a time of its own.
    Value(GivenTime),
    /// A stamp that lies ahead of its arrival; others need not be stored, because the clock has passed them.
    Stamp(i64),
    /// Times without a gap.
    Run(Run),
}

impl SeriesTimes {
    /// Remember values for `window_ms`. `floor_ns` is the newest stamp that was given before the stored entries.
    pub fn new(window_ms: i64, floor_ns: Option<i64>) -> Self {
        Self {
            series: HashMap::default(),
            values: 0,
            max_values: MAX_VALUES,
            swept_ms: i64::MIN,
            floor_ns,
            window_ms,
        }
    }

    /// The first time from `own_ms` on that is free in this series.
    fn free(&self, delta: &TimesDelta, point: &PointKey, own_ms: i64) -> i64 {
        let committed = self.series.get(&point.series);
        match (delta.series.get(&point.series), committed) {
            (Some(changed), _) => {
                let earlier = committed.map(|series| &series.values);
                changed.now.free(earlier, own_ms, point.fields)
            }
            (None, Some(committed)) => committed.free(None, own_ms, point.fields),
            (None, None) => own_ms,
        }
    }

    fn change<'a>(&self, delta: &'a mut TimesDelta, series: u64) -> Option<&'a mut SeriesDelta> {
        if !delta.series.contains_key(&series) {
            let known = self.series.get(&series);
            if known.is_none() && self.series.len() + delta.series.len() >= MAX_SERIES {
                delta.not_remembered += 1;
                return None;
            }
            let now = known.map(Series::without_values).unwrap_or_default();
            delta
                .series
                .insert(series, SeriesDelta { now, forgotten: 0 });
            if delta.fell_back {
                delta.series.get_mut(&series)?.now.stamp_ns = None;
            }
        }
        delta.series.get_mut(&series)
    }

    /// Whether a document with this fingerprint and time was accepted within the window. Its time may have become more exact since, by up to `tolerance_ms`.
    pub fn is_repeat(
        &self,
        delta: &TimesDelta,
        point: &PointKey,
        document: u64,
        own_ms: i64,
        tolerance_ms: u64,
        received_ms: i64,
    ) -> bool {
        let since = received_ms.saturating_sub(self.window_ms);
        let knows = |values: &GivenTimes| values.knows(document, own_ms, tolerance_ms, since);
        let committed = self.series.get(&point.series);
        let changed = delta.series.get(&point.series);
        document != 0
            && (changed.is_some_and(|series| knows(&series.now.values))
                || committed.is_some_and(|series| knows(&series.values)))
    }

    /// The host's clock was set back.
    pub fn fell_back(&self, delta: &mut TimesDelta) {
        delta.fell_back = true;
        for series in delta.series.values_mut() {
            series.now.stamp_ns = None;
        }
    }

    /// A time for a document without one that came at `clock_ns`: behind all times that the series of these points were given. With `beside_own`, other
    /// documents of the source have times of their own, which must differ from this one.
    pub fn stamp(
        &self,
        delta: &mut TimesDelta,
        points: &[PointKey],
        clock_ns: i64,
        step_ns: i64,
        beside_own: bool,
    ) -> i64 {
        let mut stamp_ns = clock_ns;
        for point in points {
            let committed = || match self.series.get(&point.series) {
                Some(series) => series.stamp_ns,
                None => self.floor_ns,
            };
            let last = match delta.series.get(&point.series) {
                Some(changed) => changed.now.stamp_ns,
                None => committed().filter(|_| !delta.fell_back),
            };
            let Some(last) = last else { continue };
            let later_ns = i64::from(point.later_ms) * STEP_NS;
            stamp_ns = stamp_ns.max(last.saturating_add(step_ns).saturating_sub(later_ns));
        }
        // A value with a time of its own may have this time.
        while let Some(next) = points.iter().find_map(|point| {
            let at_ms = stamp_ns.div_euclid(STEP_NS) + i64::from(point.later_ms);
            let free = self.free(delta, point, at_ms);
            (free > at_ms).then(|| stamp_ns.saturating_add((free - at_ms).saturating_mul(STEP_NS)))
        }) {
            if next <= stamp_ns {
                break;
            }
            stamp_ns = next;
        }
        for point in points {
            let at_ns = stamp_ns.saturating_add(i64::from(point.later_ms) * STEP_NS);
            let Some(series) = self.change(delta, point.series) else {
                continue;
            };
            series.now.stamp_ns = Some(at_ns);
            if at_ns > clock_ns {
                delta.entries.push((point.series, TimeEntry::Stamp(at_ns)));
            }
            if beside_own {
                let given_ms = stamp_ns.div_euclid(STEP_NS);
                let value = GivenTime {
                    own_ms: given_ms,
                    given_ms,
                    received_ms: clock_ns.div_euclid(STEP_NS),
                    document: 0,
                    fields: point.fields,
                };
                self.give(delta, point, value);
            }
        }
        stamp_ns
    }

    /// How many milliseconds these points, whose time is `own_ns`, must move so that none overwrites a value.
    pub fn shift_ms(&self, delta: &TimesDelta, points: &[PointKey], own_ns: i64) -> i64 {
        let from_ms = own_ns.div_euclid(STEP_NS);
        let mut shift_ms = 0_i64;
        while let Some(more) = points.iter().find_map(|point| {
            let at_ms = from_ms
                .saturating_add(shift_ms)
                .saturating_add(i64::from(point.later_ms));
            let free = self.free(delta, point, at_ms);
            (free > at_ms).then(|| free - at_ms)
        }) {
            shift_ms = shift_ms.saturating_add(more);
        }
        shift_ms
    }

    /// Remember a point that was given a time.
    pub fn give(&self, delta: &mut TimesDelta, point: &PointKey, value: GivenTime) {
        let later = i64::from(point.later_ms);
        let value = GivenTime {
            own_ms: value.own_ms.saturating_add(later),
            given_ms: value.given_ms.saturating_add(later),
            fields: point.fields,
            ..value
        };
        if self.change(delta, point.series).is_none() {
            return;
        }
        let has_room = self.values + delta.values < self.max_values;
        let Some(series) = delta.series.get_mut(&point.series) else {
            return;
        };
        let committed = self.series.get(&point.series).map(|series| &series.values);
        let held = committed.map_or(0, GivenTimes::len) - series.forgotten;
        if has_room || held + series.now.values.len() < LEAST_VALUES {
            delta.values += 1;
        } else {
            let oldest = committed.and_then(|values| values.oldest(series.forgotten));
            let since = value.received_ms.saturating_sub(self.window_ms);
            if oldest.is_none_or(|oldest| oldest.received_ms >= since) {
                delta.not_remembered += 1;
            }
            if oldest.is_some() {
                series.forgotten += 1;
            } else {
                series.now.values.forget_oldest();
            }
        }
        series.now.add(value);
        delta.entries.push((point.series, TimeEntry::Value(value)));
    }

    /// Take over what was committed.
    pub fn merge(&mut self, delta: TimesDelta, now_ns: i64) {
        if delta.fell_back {
            self.floor_ns = None;
            for series in self.series.values_mut() {
                series.stamp_ns = None;
            }
        }
        // The documents' own arrivals count: those of a recording may be long past.
        let mut last_ms = i64::MIN;
        for (fingerprint, changed) in delta.series {
            let series = self.series.entry(fingerprint).or_default();
            let before = series.values.len();
            series.take(changed.now, changed.forgotten);
            if let Some(received_ms) = series.received_ms {
                series.forget_before(received_ms.saturating_sub(self.window_ms));
                last_ms = last_ms.max(received_ms);
            }
            self.values = self.values + series.values.len() - before;
        }
        let is_nearly_full =
            last_ms > i64::MIN && self.values >= self.max_values - self.max_values / 8;
        if is_nearly_full
            && last_ms.abs_diff(self.swept_ms)
                >= (self.window_ms / SWEEPS_PER_WINDOW).unsigned_abs()
        {
            self.swept_ms = last_ms;
            let since = last_ms.saturating_sub(self.window_ms);
            self.values = 0;
            for series in self.series.values_mut() {
                series.sweep(since);
                self.values += series.values.len();
            }
        }
        if self.series.len() >= MAX_SERIES {
            self.forget_old(now_ns / STEP_NS);
        }
    }

    /// Forget series without a value within the window.
    fn forget_old(&mut self, now_ms: i64) {
        let since = now_ms.saturating_sub(self.window_ms);
        let values = &mut self.values;
        self.series.retain(|_, series| {
            let stays = series.newest_ms() >= since;
            if !stays {
                *values -= series.values.len();
            }
            stays
        });
    }

    /// Apply a stored change, as at a restart.
    pub fn replay(&mut self, series: u64, entry: TimeEntry) {
        if self.series.len() >= MAX_SERIES && !self.series.contains_key(&series) {
            return;
        }
        let series = self.series.entry(series).or_default();
        match entry {
            TimeEntry::Value(value) => {
                let before = series.values.len();
                series.add(value);
                series.forget_before(value.received_ms.saturating_sub(self.window_ms));
                if self.values >= self.max_values && series.values.len() > LEAST_VALUES {
                    series.values.forget_oldest();
                }
                self.values = self.values + series.values.len() - before;
            }
            TimeEntry::Stamp(stamp_ns) => {
                series.stamp_ns = series.stamp_ns.max(Some(stamp_ns));
            }
            TimeEntry::Run(run) => series.run = Some(run),
        }
        // If only the values of a series are known, it may have been given stamps up to the floor.
        series.stamp_ns = series.stamp_ns.max(self.floor_ns);
    }

    /// All entries that are worth storing, as if they had changed just now.
    pub fn entries(&self, now_ns: i64) -> impl Iterator<Item = (u64, TimeEntry)> {
        let since = (now_ns / STEP_NS).saturating_sub(self.window_ms);
        self.series.iter().flat_map(move |(&fingerprint, series)| {
            let stamp = series.stamp_ns.filter(|stamp| *stamp > now_ns);
            let values = series.values.iter().filter(move |v| v.received_ms >= since);
            // Behind the values, which would make another one.
            let run = series.run.filter(|run| run.last_ms >= since);
            values
                .map(|value| TimeEntry::Value(*value))
                .chain(stamp.map(TimeEntry::Stamp))
                .chain(run.map(TimeEntry::Run))
                .map(move |entry| (fingerprint, entry))
        })
    }
}

#[cfg(test)]
mod tests;
