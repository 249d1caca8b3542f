//! Times as documents give them, and which of them are believed.

/// A time as a document gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// Nanoseconds since 1970.
    At(i64),
    /// Milliseconds since the device started.
    Uptime(u64),
    /// Seconds since 1970 or milliseconds since the device started: [`crate::run_clock`] decides.
    Either(u64),
}

impl Moment {
    /// Nanoseconds since 1970, for a run of the device that started then; `None` if its number is no uptime, or not known to be one.
    pub fn at(self, uptime_start_ns: Option<i64>) -> Option<i64> {
        let after_start = |number: u64| {
            let ns = i64::try_from(number).ok()?.checked_mul(1_000_000)?;
            uptime_start_ns?.checked_add(ns)
        };
        match self {
            Self::At(time_ns) => Some(time_ns),
            Self::Either(number) if uptime_start_ns.is_none() => {
                i64::try_from(number).ok()?.checked_mul(1_000_000_000)
            }
            Self::Uptime(number) | Self::Either(number) => after_start(number),
        }
    }

    /// The number that the device's clock must explain, and whether it may be a date.
    pub fn number(self) -> Option<(u64, bool)> {
        match self {
            Self::At(_) => None,
            Self::Uptime(number) => Some((number, false)),
            Self::Either(number) => Some((number, true)),
        }
    }
}

/// Which times of documents are believed. A clock that was never set shows 1970, and a time in a wrong unit lies far ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Belief {
    /// An earlier time is not believed; nanoseconds since 1970.
    pub earliest_ns: i64,
    /// A time further ahead of the arrival than this is not believed; nanoseconds.
    pub most_ahead_ns: i64,
}

impl Default for Belief {
    fn default() -> Self {
        Self {
            // 2020-01-01T00:00:00Z
            earliest_ns: 1_577_836_800_000_000_000,
            most_ahead_ns: 86_400_000_000_000,
        }
    }
}

impl Belief {
    /// Whether a document that arrived at `received_at_ns` can have this time.
    pub fn holds(&self, time_ns: i64, received_at_ns: i64) -> bool {
        time_ns >= self.earliest_ns && time_ns <= received_at_ns.saturating_add(self.most_ahead_ns)
    }

    /// The time `age_ms` before `stamp_ns`; none if values of a document with this stamp cannot be so old. A recording may begin before the earliest time.
    pub fn earlier(&self, stamp_ns: i64, age_ms: Option<u64>) -> Option<i64> {
        let Some(age_ms) = age_ms else {
            return Some(stamp_ns);
        };
        let waited_ns = i64::try_from(age_ms)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000_000);
        let time_ns = stamp_ns.saturating_sub(waited_ns);
        let is_old = stamp_ns < self.earliest_ns;
        let earliest_ns = if is_old { 0 } else { self.earliest_ns };
        (time_ns >= earliest_ns).then_some(time_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::Belief;

    #[test]
    fn times_that_cannot_be_right_are_not_believed() {
        //! Before 2020, and more than a day after arrival.
        let now = 1_700_000_000_000_000_000;
        let belief = Belief::default();
        assert!(belief.holds(now, now) && belief.holds(belief.earliest_ns, now));
        assert!(!belief.holds(belief.earliest_ns - 1, now) && !belief.holds(0, now));
        let tomorrow = now + belief.most_ahead_ns;
        assert!(belief.holds(tomorrow, now) && !belief.holds(tomorrow + 1, now));
    }

    #[test]
    fn values_are_not_older_than_the_earliest_time() {
        let now = 1_700_000_000_000_000_000;
        let belief = Belief::default();
        assert_eq!(belief.earlier(now, None), Some(now));
        assert_eq!(belief.earlier(now, Some(250)), Some(now - 250_000_000));
        assert_eq!(belief.earlier(now, Some(u64::MAX)), None);
        let recorded = belief.earliest_ns - 1_000_000_000;
        let then = belief.earlier(recorded, Some(1));
        assert_eq!(then, Some(recorded - 1_000_000));
        assert_eq!(belief.earlier(recorded, Some(u64::MAX)), None);
    }
}
