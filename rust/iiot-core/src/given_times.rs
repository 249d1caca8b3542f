//! The times that the newest values of one series were given. Finds the first free time: from a time on, the first one at which none of
//! the given fields has a value.

/// The smallest step that all databases keep: VictoriaMetrics stores milliseconds.
pub const STEP_NS: i64 = 1_000_000;
/// The most values with times of their own that are remembered per series.
pub const MAX_VALUES: usize = 16;

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

/// What is remembered of one series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Series {
    /// The last time that was given to a document without one.
    pub(crate) stamp_ns: Option<i64>,
    /// The oldest first.
    pub(crate) values: Vec<GivenTime>,
    /// The newest times without a gap, however many there are: more values than `values` holds may have been moved, one after the other.
    pub(crate) run: Option<Run>,
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

impl Series {
    /// The first time from `own_ms` on at which none of these fields has a value.
    pub(crate) fn free(&self, own_ms: i64, fields: u16) -> i64 {
        let overlapping = |value: &&GivenTime| value.fields & fields != 0;
        // Values that were moved from this time are a chain: its end is known even where its beginning was forgotten.
        let chain = self
            .values
            .iter()
            .filter(overlapping)
            .filter(|value| value.own_ms == own_ms || value.given_ms == own_ms);
        let mut free = chain
            .map(|value| value.given_ms)
            .max()
            .map_or(own_ms, |last| last.saturating_add(1));
        loop {
            if let Some(run) = self.run.filter(|run| run.holds(free, fields)) {
                free = run.last_ms.saturating_add(1);
            }
            let mut taken = self.values.iter().filter(overlapping);
            if !taken.any(|value| value.given_ms == free) {
                return free;
            }
            free = free.saturating_add(1);
        }
    }

    pub(crate) fn add(&mut self, value: GivenTime, window_ms: i64) {
        let since = value.received_ms.saturating_sub(window_ms);
        if self.values.len() >= MAX_VALUES
            || self.values.first().is_some_and(|v| v.received_ms < since)
        {
            self.values.retain(|v| v.received_ms >= since);
        }
        if self.values.len() >= MAX_VALUES {
            self.values.remove(0);
        }
        self.run = Some(Run::with(self.run, &value));
        self.values.push(value);
    }

    pub(crate) fn newest_ms(&self) -> i64 {
        let stamp_ms = self.stamp_ns.map_or(i64::MIN, |stamp| stamp / STEP_NS);
        self.values
            .last()
            .map_or(stamp_ms, |value| value.received_ms.max(stamp_ms))
    }
}
