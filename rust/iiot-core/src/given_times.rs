//! The times that the values of one series were given within the window. Finds the first free time: from a time on, the first one at which none of
//! the given fields has a value.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The smallest step that all databases keep: VictoriaMetrics stores milliseconds.
pub const STEP_NS: i64 = 1_000_000;
/// After so many taken times in a row, a value goes behind all others of its series, so that no document costs more than this.
const MOST_STEPS: usize = 4_096;
/// A series with fewer values is not searched for those that have left the window.
const LEAST_SWEEP: usize = 16;

/// A value that was given a time, in the form in which it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenTime {
    /// The time that the document says, in milliseconds since 1970.
    pub own_ms: i64,
    /// The time that the value was given, in milliseconds since 1970.
    pub given_ms: i64,
    /// When the document came, in milliseconds since 1970.
    pub received_ms: i64,
    /// Fingerprint of the document and its topic; 0 for a document without a time, which is never a repeat.
    pub document: u64,
    /// See [`crate::PointKey::fields`].
    pub fields: u16,
}

/// Times from `first_ms` to `last_ms`; at each of them, some of these fields have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) fields: u16,
}

impl Run {
    /// With a value that was given a time.
    fn with(run: Option<Self>, value: &GivenTime) -> Self {
        match run {
            Some(run) if value.given_ms <= run.last_ms.saturating_add(1) => {
                let is_within = value.given_ms >= run.first_ms;
                Self {
                    last_ms: run.last_ms.max(value.given_ms),
                    fields: if is_within {
                        run.fields | value.fields
                    } else {
                        run.fields
                    },
                    ..run
                }
            }
            _ => Self {
                first_ms: value.given_ms,
                last_ms: value.given_ms,
                fields: value.fields,
            },
        }
    }

    fn holds(&self, at_ms: i64, fields: u16) -> bool {
        self.fields & fields != 0 && (self.first_ms..=self.last_ms).contains(&at_ms)
    }
}

/// Values in the order of their own times, so that each question takes few steps, however many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GivenTimes {
    /// By own time; values of one own time that were not moved come first, then those that were, by document.
    values: VecDeque<GivenTime>,
    /// Given time and fields of the values that were moved.
    moved: BTreeSet<(i64, u16)>,
    /// By own time and fields: the last time to which a value was moved. It is known while any value of this own time is.
    last_moved: BTreeMap<(i64, u16), i64>,
}

fn order(value: &GivenTime) -> (i64, bool, u64) {
    let is_moved = value.given_ms != value.own_ms;
    (value.own_ms, is_moved, value.document)
}

impl GivenTimes {
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &GivenTime> {
        self.values.iter()
    }

    /// The one of the oldest own time, behind so many others.
    pub(crate) fn oldest(&self, number: usize) -> Option<&GivenTime> {
        self.values.get(number)
    }

    pub(crate) fn add(&mut self, value: GivenTime) {
        self.index(&value);
        let at = match self.values.back() {
            Some(last) if order(last) > order(&value) => self
                .values
                .partition_point(|other| order(other) <= order(&value)),
            _ => self.values.len(),
        };
        self.values.insert(at, value);
    }

    fn index(&mut self, value: &GivenTime) {
        if value.given_ms != value.own_ms {
            self.moved.insert((value.given_ms, value.fields));
            let last = self
                .last_moved
                .entry((value.own_ms, value.fields))
                .or_insert(value.given_ms);
            *last = (*last).max(value.given_ms);
        }
    }

    /// Forget the value with the oldest own time.
    pub(crate) fn forget_oldest(&mut self) {
        let Some(value) = self.values.pop_front() else {
            return;
        };
        self.moved.remove(&(value.given_ms, value.fields));
        if self.values.front().map(|next| next.own_ms) != Some(value.own_ms) {
            // The next own time begins here.
            self.last_moved = self
                .last_moved
                .split_off(&(value.own_ms.saturating_add(1), 0));
        }
    }

    /// Forget the values that came before `since_ms`.
    fn sweep(&mut self, since_ms: i64) {
        let before = self.values.len();
        self.values.retain(|value| value.received_ms >= since_ms);
        if self.values.len() < before && !self.moved.is_empty() {
            self.moved.clear();
            self.last_moved.clear();
            let values = std::mem::take(&mut self.values);
            for value in &values {
                self.index(value);
            }
            self.values = values;
        }
    }

    /// The last time to which a value of this own time and these fields was moved.
    fn last_moved(&self, own_ms: i64, fields: u16) -> Option<i64> {
        self.last_moved.get(&(own_ms, fields)).copied()
    }

    /// Whether one of the fields has a value at this time.
    fn holds(&self, at_ms: i64, fields: u16) -> bool {
        let first = self
            .values
            .partition_point(|value| order(value) < (at_ms, false, 0));
        let mut there = self
            .values
            .range(first..)
            .take_while(|value| value.own_ms == at_ms && value.given_ms == at_ms);
        let mut moved = self.moved.range((at_ms, 0)..=(at_ms, u16::MAX));
        there.any(|value| value.fields & fields != 0) || moved.any(|(_, taken)| taken & fields != 0)
    }

    /// The last time of all.
    fn last_ms(&self) -> Option<i64> {
        let own = self.values.back().map(|value| value.own_ms);
        own.max(self.moved.last().map(|(given_ms, _)| *given_ms))
    }

    /// Whether a document of this fingerprint and time, give or take the tolerance, came since then. With a tolerance, this looks at [`MOST_STEPS`] values at most.
    pub(crate) fn knows(
        &self,
        document: u64,
        own_ms: i64,
        tolerance_ms: u64,
        since_ms: i64,
    ) -> bool {
        let is_it = |value: &GivenTime| value.document == document && value.received_ms >= since_ms;
        if tolerance_ms == 0 {
            return [false, true].into_iter().any(|is_moved| {
                let key = (own_ms, is_moved, document);
                let first = self.values.partition_point(|value| order(value) < key);
                let there = self.values.range(first..);
                there.take_while(|value| order(value) == key).any(is_it)
            });
        }
        let tolerance_ms = i64::try_from(tolerance_ms).unwrap_or(i64::MAX);
        let (from, to) = (
            own_ms.saturating_sub(tolerance_ms),
            own_ms.saturating_add(tolerance_ms),
        );
        let first = self.values.partition_point(|value| value.own_ms < from);
        let there = self.values.range(first..).take(MOST_STEPS);
        there.take_while(|value| value.own_ms <= to).any(is_it)
    }
}

/// What is remembered of one series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Series {
    /// The last time that was given to a document without one.
    pub(crate) stamp_ns: Option<i64>,
    pub(crate) values: GivenTimes,
    /// The newest times without a gap, however many there are: values that are no longer remembered belong to them too.
    pub(crate) run: Option<Run>,
    /// When its last value came.
    pub(crate) received_ms: Option<i64>,
    /// With so many values, those that have left the window are looked for.
    sweep_at: usize,
}

impl Series {
    /// The first time from `own_ms` on at which none of these fields has a value, here or in `earlier`. The run is that of this series.
    pub(crate) fn free(&self, earlier: Option<&GivenTimes>, own_ms: i64, fields: u16) -> i64 {
        let parts = [Some(&self.values), earlier];
        let parts = || parts.iter().flatten();
        // Values that were moved from this time are a chain: its end is known even where its beginning was forgotten.
        let chain = parts()
            .filter_map(|part| part.last_moved(own_ms, fields))
            .max();
        let mut free = chain.map_or(own_ms, |last| last.saturating_add(1));
        for _ in 0..MOST_STEPS {
            if let Some(run) = self.run.filter(|run| run.holds(free, fields)) {
                free = run.last_ms.saturating_add(1);
            }
            if !parts().any(|part| part.holds(free, fields)) {
                return free;
            }
            free = free.saturating_add(1);
        }
        let last = parts().filter_map(|part| part.last_ms()).max();
        last.map_or(free, |last| free.max(last.saturating_add(1)))
    }

    /// The same series, without its values.
    pub(crate) fn without_values(&self) -> Self {
        Self {
            stamp_ns: self.stamp_ns,
            run: self.run,
            received_ms: self.received_ms,
            ..Self::default()
        }
    }

    /// Take over a later state, which has the new values only, and forget so many of the oldest.
    pub(crate) fn take(&mut self, later: Self, forgotten: usize) {
        for _ in 0..forgotten {
            self.values.forget_oldest();
        }
        if self.values.len() == 0 {
            *self = later;
            return;
        }
        for value in later.values.iter() {
            self.values.add(*value);
        }
        (self.stamp_ns, self.run) = (later.stamp_ns, later.run);
        self.received_ms = later.received_ms;
    }

    /// Remember a value.
    pub(crate) fn add(&mut self, value: GivenTime) {
        self.run = Some(Run::with(self.run, &value));
        self.received_ms = Some(value.received_ms);
        self.values.add(value);
    }

    /// Forget values that came before `since_ms`. Those that are not the oldest by their own times may stay for a while.
    pub(crate) fn forget_before(&mut self, since_ms: i64) {
        while self
            .values
            .oldest(0)
            .is_some_and(|value| value.received_ms < since_ms)
        {
            self.values.forget_oldest();
        }
        if self.values.len() >= self.sweep_at.max(LEAST_SWEEP) {
            self.sweep(since_ms);
        }
    }

    /// Forget all values that came before `since_ms`.
    pub(crate) fn sweep(&mut self, since_ms: i64) {
        self.values.sweep(since_ms);
        self.sweep_at = 2 * self.values.len();
    }

    pub(crate) fn newest_ms(&self) -> i64 {
        let stamp_ms = self.stamp_ns.map_or(i64::MIN, |stamp| stamp / STEP_NS);
        self.received_ms
            .map_or(stamp_ms, |received| received.max(stamp_ms))
    }
}
