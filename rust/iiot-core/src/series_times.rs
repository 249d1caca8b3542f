//! The times of the newest values of each series. They decide the time of the next value, and whether a document is a repeat.
//!
//! Databases overwrite a value that has the same series, field and time as another. So a document without a time gets a time behind all times of its series,
//! and a value whose own time is taken moves by [`STEP_NS`]. A document with a time that equals an earlier document, byte for byte and under the same topic,
//! is a repeat: its sender did not know that it was accepted.
//!
//! For each series, the [`MAX_VALUES`] newest values with times of their own are remembered, for as long as the window lasts. All changes go through a
//! [`TimesDelta`], which is merged once the frames are committed.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::given_times::Series;
pub use crate::given_times::{GivenTime, MAX_VALUES, Run, STEP_NS};
use crate::hash::AsIs;
use crate::keys::PointKey;
pub use crate::series_times_bytes::{decode, encode};

/// The most series that are remembered per source. Values of further series are accepted as they are, and counted.
pub const MAX_SERIES: usize = 65_536;

type ByFingerprint<T> = HashMap<u64, T, BuildHasherDefault<AsIs>>;

/// The times of a source's series, as they are committed.
#[derive(Clone, Debug, Default)]
pub struct SeriesTimes {
    series: ByFingerprint<Series>,
    /// An unknown series was given no time behind this one.
    floor_ns: Option<i64>,
    window_ms: i64,
}

/// Changes that are not committed yet.
#[derive(Debug, Default)]
pub struct TimesDelta {
    series: ByFingerprint<Series>,
    /// The host's clock was set back: earlier stamps no longer count.
    fell_back: bool,
    /// The entries to store: values, and stamps that lie ahead of the arrival.
    pub entries: Vec<(u64, TimeEntry)>,
    /// How many values are not remembered, because there are [`MAX_SERIES`] series already.
    pub not_remembered: u64,
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
            floor_ns,
            window_ms,
        }
    }

    fn get<'a>(&'a self, delta: &'a TimesDelta, series: u64) -> Option<&'a Series> {
        delta
            .series
            .get(&series)
            .or_else(|| self.series.get(&series))
    }

    fn change<'a>(&self, delta: &'a mut TimesDelta, series: u64) -> Option<&'a mut Series> {
        if !delta.series.contains_key(&series) {
            let known = self.series.get(&series);
            if known.is_none() && self.series.len() + delta.series.len() >= MAX_SERIES {
                delta.not_remembered += 1;
                return None;
            }
            let mut known = known.cloned().unwrap_or_default();
            if delta.fell_back {
                known.stamp_ns = None;
            }
            delta.series.insert(series, known);
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
        self.get(delta, point.series).is_some_and(|series| {
            series.values.iter().rev().any(|value| {
                document != 0
                    && value.document == document
                    && value.own_ms.abs_diff(own_ms) <= tolerance_ms
                    && value.received_ms >= since
            })
        })
    }

    /// The host's clock was set back.
    pub fn fell_back(&self, delta: &mut TimesDelta) {
        delta.fell_back = true;
        for series in delta.series.values_mut() {
            series.stamp_ns = None;
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
            let last = match self.get(delta, point.series) {
                Some(series) => series
                    .stamp_ns
                    .filter(|_| !delta.fell_back || delta.series.contains_key(&point.series)),
                None => self.floor_ns.filter(|_| !delta.fell_back),
            };
            let Some(last) = last else { continue };
            let later_ns = i64::from(point.later_ms) * STEP_NS;
            stamp_ns = stamp_ns.max(last.saturating_add(step_ns).saturating_sub(later_ns));
        }
        // A value with a time of its own may have this time.
        while let Some(next) = points.iter().find_map(|point| {
            let at_ms = stamp_ns.div_euclid(STEP_NS) + i64::from(point.later_ms);
            let free = self.get(delta, point.series)?.free(at_ms, point.fields);
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
            series.stamp_ns = Some(at_ns);
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
            let free = self.get(delta, point.series)?.free(at_ms, point.fields);
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
        let window_ms = self.window_ms;
        if let Some(series) = self.change(delta, point.series) {
            series.add(value, window_ms);
            delta.entries.push((point.series, TimeEntry::Value(value)));
        }
    }

    /// Take over what was committed.
    pub fn merge(&mut self, delta: TimesDelta, now_ns: i64) {
        if delta.fell_back {
            self.floor_ns = None;
            for series in self.series.values_mut() {
                series.stamp_ns = None;
            }
        }
        self.series.extend(delta.series);
        if self.series.len() >= MAX_SERIES {
            self.forget_old(now_ns / STEP_NS);
        }
    }

    /// Forget series without a value within the window.
    fn forget_old(&mut self, now_ms: i64) {
        let since = now_ms.saturating_sub(self.window_ms);
        self.series.retain(|_, series| series.newest_ms() >= since);
    }

    /// Apply a stored change, as at a restart.
    pub fn replay(&mut self, series: u64, entry: TimeEntry) {
        let window_ms = self.window_ms;
        if self.series.len() >= MAX_SERIES && !self.series.contains_key(&series) {
            return;
        }
        let series = self.series.entry(series).or_default();
        match entry {
            TimeEntry::Value(value) => series.add(value, window_ms),
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOON: i64 = 1_780_272_000_000;

    fn key(series: u64, fields: u16) -> PointKey {
        PointKey {
            series,
            fields,
            time: None,
            later_ms: 0,
        }
    }

    /// Accept a value with a time of its own; returns the time that it was given.
    fn give(times: &mut SeriesTimes, point: PointKey, own_ms: i64, document: u64) -> i64 {
        let mut delta = TimesDelta::default();
        let shift = times.shift_ms(&delta, &[point], own_ms * STEP_NS);
        let value = GivenTime {
            own_ms,
            given_ms: own_ms + shift,
            received_ms: NOON,
            document,
            fields: point.fields,
        };
        times.give(&mut delta, &point, value);
        times.merge(delta, NOON * STEP_NS);
        own_ms + shift
    }

    /// Five hundred values of one second: far more than are remembered.
    #[test]
    fn values_of_one_second_all_get_times_of_their_own() {
        let mut times = SeriesTimes::new(60_000, None);
        for n in 0..500 {
            assert_eq!(give(&mut times, key(7, 1), NOON, n), NOON + n as i64);
        }
        // The next second is not pushed on by the one before.
        assert_eq!(give(&mut times, key(7, 1), NOON + 1_000, 0), NOON + 1_000);
    }

    /// A device whose clock goes in milliseconds sends many values in each of them: those of one push on those of the next.
    #[test]
    fn crowded_milliseconds_push_each_other_on() {
        let mut times = SeriesTimes::new(60_000, None);
        let mut given = std::collections::HashSet::new();
        for n in 0..500 {
            let own_ms = NOON + n / 25;
            assert!(
                given.insert(give(&mut times, key(7, 1), own_ms, n as u64)),
                "{n}"
            );
        }
        let mut stored = SeriesTimes::new(60_000, None);
        for (series, entry) in times.entries(NOON * STEP_NS) {
            stored.replay(series, entry);
        }
        assert_eq!(give(&mut stored, key(7, 1), NOON + 3, 0), NOON + 500);
        assert_eq!(give(&mut stored, key(7, 2), NOON + 3, 0), NOON + 3);
    }

    /// Another field or another series has room at the same time.
    #[test]
    fn only_the_same_field_of_the_same_series_moves() {
        let mut times = SeriesTimes::new(60_000, None);
        assert_eq!(give(&mut times, key(7, 1), NOON, 1), NOON);
        assert_eq!(give(&mut times, key(7, 2), NOON, 2), NOON);
        assert_eq!(give(&mut times, key(8, 1), NOON, 3), NOON);
        assert_eq!(give(&mut times, key(7, 3), NOON, 4), NOON + 1);
    }

    /// Eighty thousand documents of as many devices in one second do not run ahead of the clock.
    #[test]
    fn stamps_are_distinct_per_series() {
        let times = SeriesTimes::new(60_000, None);
        let mut delta = TimesDelta::default();
        let clock = NOON * STEP_NS;
        for series in 0..10_000 {
            assert_eq!(
                times.stamp(&mut delta, &[key(series, 1)], clock, STEP_NS, false),
                clock
            );
        }
        assert_eq!(
            times.stamp(&mut delta, &[key(5, 1), key(6, 1)], clock, STEP_NS, false),
            clock + STEP_NS
        );
        assert_eq!(
            times.stamp(
                &mut delta,
                &[key(6, 1), key(99_999, 1)],
                clock,
                STEP_NS,
                false
            ),
            clock + 2 * STEP_NS
        );
    }

    /// Further series than are remembered are counted, and none that is remembered is forgotten for them.
    #[test]
    fn what_is_not_remembered_is_counted() {
        let mut times = SeriesTimes::new(60_000, None);
        let mut delta = TimesDelta::default();
        let clock = NOON * STEP_NS;
        for series in 0..MAX_SERIES as u64 + 10 {
            times.stamp(&mut delta, &[key(series, 1)], clock, STEP_NS, false);
        }
        assert_eq!(delta.not_remembered, 10);
        times.merge(delta, clock);
        let mut delta = TimesDelta::default();
        assert_eq!(
            times.stamp(&mut delta, &[key(0, 1)], clock, STEP_NS, false),
            clock + STEP_NS
        );
        // An hour later they are old, and there is room again.
        let later = clock + 3_600_000 * STEP_NS;
        times.merge(delta, later);
        let mut delta = TimesDelta::default();
        times.stamp(&mut delta, &[key(u64::MAX, 1)], later, STEP_NS, false);
        assert_eq!(delta.not_remembered, 0);
    }

    /// A host clock that was set back counts from there.
    #[test]
    fn a_clock_that_was_set_back_starts_anew() {
        let mut times = SeriesTimes::new(60_000, Some(NOON * STEP_NS));
        let mut delta = TimesDelta::default();
        let clock = NOON * STEP_NS;
        assert_eq!(
            times.stamp(&mut delta, &[key(1, 1)], clock, STEP_NS, false),
            clock + STEP_NS
        );
        times.merge(delta, clock);
        let earlier = clock - 3_600_000 * STEP_NS;
        let mut delta = TimesDelta::default();
        times.fell_back(&mut delta);
        for point in [key(1, 1), key(2, 1)] {
            assert_eq!(
                times.stamp(&mut delta, &[point], earlier, STEP_NS, false),
                earlier
            );
        }
        assert_eq!(
            times.stamp(&mut delta, &[key(1, 1)], earlier, STEP_NS, false),
            earlier + STEP_NS
        );
    }

    proptest! {
        /// No two values of one field and series get one time; what is stored goes on as if nothing had been stopped.
        #[test]
        fn times_are_distinct(
            steps in proptest::collection::vec((0..3_u64, 1..8_u16, 0..4_i64, any::<bool>(), any::<bool>()), 1..MAX_VALUES),
        ) {
            let mut times = SeriesTimes::new(60_000, None);
            let mut log = Vec::new();
            let mut given: std::collections::HashSet<(u64, u16, i64)> = std::collections::HashSet::new();
            let mut arrival = NOON * STEP_NS;
            for (n, (series, fields, second, is_dated, restart)) in steps.into_iter().enumerate() {
                arrival += 300_000;
                let point = key(series, fields);
                let mut delta = TimesDelta::default();
                let at_ms = if is_dated {
                    let own_ms = NOON + second * 1_000;
                    let shift = times.shift_ms(&delta, &[point], own_ms * STEP_NS);
                    let value = GivenTime { own_ms, given_ms: own_ms + shift, received_ms: arrival / STEP_NS, document: n as u64, fields };
                    times.give(&mut delta, &point, value);
                    own_ms + shift
                } else {
                    times.stamp(&mut delta, &[point], arrival, STEP_NS, true) / STEP_NS
                };
                encode(delta.entries.iter().copied(), &mut log);
                times.merge(delta, arrival);
                for bit in 0..3 {
                    if fields & (1 << bit) != 0 {
                        prop_assert!(given.insert((series, bit, at_ms)), "{n}: field {bit} at {at_ms}");
                    }
                }
                if restart {
                    let mut stored = SeriesTimes::new(60_000, Some(arrival));
                    let mut input = log.as_slice();
                    while let Some((series, entry)) = decode(&mut input) {
                        stored.replay(series, entry);
                    }
                    prop_assert!(input.is_empty());
                    times = stored;
                }
            }
        }
    }
}
