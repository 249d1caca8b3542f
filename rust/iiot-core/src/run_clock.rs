//! The clock of one device that sends a number where others send Unix seconds: is the number a date, or the milliseconds since the device started?
//!
//! After 18 days an uptime in milliseconds looks like a date of the year 2020, and after 21 days like today. So one number decides nothing; the
//! run of the device does. A number that continues the uptime before it is an uptime. A number within a week of its arrival is a date
//! until a second one shows otherwise. Everything else is an uptime.
//!
//! The time of a document with an uptime is the start of the run plus the uptime, so that hours of documents that waited in a broker do not collapse
//! into one second. The start is the smallest difference between arrival and uptime that the run has shown.

use crate::moment::Belief;

/// A 32-bit counter of milliseconds, such as Arduino's `millis()`, wraps here.
const WRAP_MS: i64 = 1 << 32;
const MS: i64 = 1_000_000;
const SECOND_NS: i64 = 1_000 * MS;
const DAY_NS: i64 = 86_400 * SECOND_NS;

/// A number of seconds this far from its arrival may be a date while nothing else is known.
const PLAUSIBLE_NS: i64 = 7 * DAY_NS;
/// Jitter of networks and brokers, when two clocks are compared.
const JITTER_NS: i64 = 2 * SECOND_NS;
/// A document may overtake another one of the same device by this much.
const OVERTAKEN_MS: i64 = 60_000;
/// A wrap may seem to lie this far in the future, because no two clocks run at the same pace.
const WRAP_SLACK_NS: i64 = 60 * SECOND_NS;
/// Arrival and uptime must have advanced in step for this long at a larger difference, before that difference gives the start.
const IN_STEP_NS: i64 = 600 * SECOND_NS;

/// What a number turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Unix seconds.
    Date,
    /// Milliseconds of a run that started then, in nanoseconds since 1970.
    Uptime {
        /// When the run started.
        start_ns: i64,
        /// The start is much earlier than the one used for the documents before: they had waited on their way, and were given times that are too
        /// late.
        moved: bool,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Unknown,
    /// One number looked like a date.
    PerhapsDate,
    Date,
    Uptime,
}

/// The state of one device's clock. The host's clock is an argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunClock {
    mode: Mode,
    /// The last number, and when it came.
    last: i64,
    last_arrival_ns: i64,
    start_ns: i64,
    /// Since when arrival and uptime have advanced in step, and the smallest and largest difference since then.
    step_since_ns: i64,
    step_min_ns: i64,
    step_max_ns: i64,
}

impl RunClock {
    /// Take the number of a document that arrived at `arrival_ns`. `may_be_date` is false if the profile says that the number is an uptime.
    pub fn take(&mut self, number: u64, may_be_date: bool, arrival_ns: i64) -> Meaning {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let is_date = may_be_date && self.is_date(number, arrival_ns);
        let meaning = if is_date {
            Meaning::Date
        } else {
            self.uptime(number, arrival_ns)
        };
        self.last_arrival_ns = arrival_ns;
        // A document that was overtaken does not set the clock back.
        if is_date || !self.is_overtaken(number, arrival_ns) {
            self.last = number;
        }
        meaning
    }

    /// When the run began, nanoseconds since 1970, if the device sends uptimes.
    pub fn start_ns(&self) -> Option<i64> {
        (self.mode == Mode::Uptime).then_some(self.start_ns)
    }

    /// Whether the number is a date; remembers it as the mode.
    fn is_date(&mut self, number: i64, arrival_ns: i64) -> bool {
        let date_ns = number.saturating_mul(SECOND_NS);
        let is_plausible = date_ns.abs_diff(arrival_ns) <= PLAUSIBLE_NS.unsigned_abs();
        let mode = match self.mode {
            Mode::Unknown if is_plausible => Mode::PerhapsDate,
            Mode::Uptime if is_plausible && !self.continues(number) => Mode::PerhapsDate,
            Mode::Date if Self::is_believable(date_ns, arrival_ns) => Mode::Date,
            Mode::PerhapsDate => {
                let since_ns = arrival_ns.saturating_sub(self.last_arrival_ns);
                let advance = number.saturating_sub(self.last);
                let in_step = |advance_ns: i64| {
                    advance_ns.abs_diff(since_ns)
                        <= (JITTER_NS + since_ns.saturating_abs() / 100).unsigned_abs()
                };
                let as_date = in_step(advance.saturating_mul(SECOND_NS));
                let as_uptime = in_step(advance.saturating_mul(MS));
                match (as_date, as_uptime) {
                    (true, false) => Mode::Date,
                    (false, true) => Mode::Uptime,
                    // Documents that waited in a broker arrive all at once, and prove nothing.
                    _ if is_plausible => Mode::PerhapsDate,
                    _ => Mode::Uptime,
                }
            }
            _ => Mode::Uptime,
        };
        let is_date = matches!(mode, Mode::Date | Mode::PerhapsDate);
        if is_date {
            self.mode = mode;
        }
        is_date
    }

    /// A device whose numbers are dates may have kept documents for a long time, but not since before 2020.
    fn is_believable(date_ns: i64, arrival_ns: i64) -> bool {
        Belief::default().holds(date_ns, arrival_ns)
    }

    /// Whether a number continues the uptime before it, by no more than a day.
    fn continues(&self, number: i64) -> bool {
        let advance = number.saturating_sub(self.last);
        (-OVERTAKEN_MS..=DAY_NS / MS).contains(&advance)
    }

    fn is_overtaken(&self, number: i64, arrival_ns: i64) -> bool {
        let fall = self.last.saturating_sub(number);
        // A device that started since the last document was heard has not been overtaken.
        let started_since = arrival_ns.saturating_sub(number.saturating_mul(MS))
            >= self.last_arrival_ns.saturating_sub(SECOND_NS);
        self.mode == Mode::Uptime && (1..=OVERTAKEN_MS).contains(&fall) && !started_since
    }

    fn uptime(&mut self, number: i64, arrival_ns: i64) -> Meaning {
        let difference_ns = arrival_ns.saturating_sub(number.saturating_mul(MS));
        if self.mode != Mode::Uptime {
            self.begin(difference_ns, arrival_ns);
            return self.meaning(false);
        }
        if number < self.last && !self.is_overtaken(number, arrival_ns) {
            let wrapped_ns = self.start_ns.saturating_add(WRAP_MS * MS);
            let is_wrap = self.last < WRAP_MS
                && wrapped_ns.saturating_add(number.saturating_mul(MS))
                    <= arrival_ns.saturating_add(WRAP_SLACK_NS);
            if !is_wrap {
                self.begin(difference_ns, arrival_ns);
                return self.meaning(false);
            }
            self.start_ns = wrapped_ns;
            self.step_since_ns = arrival_ns;
            (self.step_min_ns, self.step_max_ns) = (difference_ns, difference_ns);
        }
        let moved = difference_ns < self.start_ns.saturating_sub(JITTER_NS);
        self.start_ns = self.start_ns.min(difference_ns);
        self.keep_step(difference_ns, arrival_ns);
        self.meaning(moved)
    }

    /// A run begins.
    fn begin(&mut self, start_ns: i64, arrival_ns: i64) {
        self.mode = Mode::Uptime;
        self.start_ns = start_ns;
        self.step_since_ns = arrival_ns;
        (self.step_min_ns, self.step_max_ns) = (start_ns, start_ns);
    }

    /// Take over a larger difference that has lasted: somebody set the host's clock, a restart was not seen, or the device's crystal is slow.
    fn keep_step(&mut self, difference_ns: i64, arrival_ns: i64) {
        let (least, most) = (
            self.step_min_ns.min(difference_ns),
            self.step_max_ns.max(difference_ns),
        );
        if most.saturating_sub(least) > JITTER_NS || arrival_ns < self.step_since_ns {
            self.step_since_ns = arrival_ns;
            (self.step_min_ns, self.step_max_ns) = (difference_ns, difference_ns);
            return;
        }
        (self.step_min_ns, self.step_max_ns) = (least, most);
        if arrival_ns.saturating_sub(self.step_since_ns) >= IN_STEP_NS {
            self.start_ns = self.start_ns.max(least);
            self.step_since_ns = arrival_ns;
            (self.step_min_ns, self.step_max_ns) = (difference_ns, difference_ns);
        }
    }

    fn meaning(&self, moved: bool) -> Meaning {
        Meaning::Uptime {
            start_ns: self.start_ns,
            moved,
        }
    }

    /// Bytes of a stored clock.
    pub const BYTES: usize = 49;

    /// Write the clock for storage: u8 mode, then six i64, little-endian.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self.mode {
            Mode::Unknown => 0,
            Mode::PerhapsDate => 1,
            Mode::Date => 2,
            Mode::Uptime => 3,
        });
        for word in [
            self.last,
            self.last_arrival_ns,
            self.start_ns,
            self.step_since_ns,
            self.step_min_ns,
            self.step_max_ns,
        ] {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// Read what [`RunClock::encode`] wrote; `None` if it is something else.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let (mode, words) = bytes.split_first()?;
        let mut words = words
            .as_chunks::<8>()
            .0
            .iter()
            .map(|word| i64::from_le_bytes(*word));
        Some(Self {
            mode: match mode {
                0 => Mode::Unknown,
                1 => Mode::PerhapsDate,
                2 => Mode::Date,
                3 => Mode::Uptime,
                _ => return None,
            },
            last: words.next()?,
            last_arrival_ns: words.next()?,
            start_ns: words.next()?,
            step_since_ns: words.next()?,
            step_min_ns: words.next()?,
            step_max_ns: words.next()?,
        })
    }

    /// When the device was heard last, nanoseconds since 1970.
    pub fn last_arrival_ns(&self) -> i64 {
        self.last_arrival_ns
    }
}

#[cfg(test)]
mod tests {
    use super::{DAY_NS, MS, Meaning, RunClock, SECOND_NS, WRAP_MS};
    use proptest::prelude::*;

    /// 2026-06-01T00:00:00Z.
    const NOW: i64 = 1_780_272_000 * SECOND_NS;

    fn date(arrival_ns: i64) -> u64 {
        (arrival_ns / SECOND_NS) as u64
    }

    /// The time that a number gives, and whether the number was taken for a date.
    fn time(clock: &mut RunClock, number: u64, arrival_ns: i64) -> (i64, bool) {
        match clock.take(number, true, arrival_ns) {
            Meaning::Date => (number as i64 * SECOND_NS, true),
            Meaning::Uptime { start_ns, .. } => (start_ns + number as i64 * MS, false),
        }
    }

    /// Every ten seconds for 60 days, through the days on which an uptime looks like a date and through the wrap.
    #[test]
    fn an_uptime_is_never_taken_for_a_date() {
        let boot = NOW - 5 * SECOND_NS;
        let mut clock = RunClock::default();
        for n in 0..60 * 8_640 {
            let arrival = NOW + n * 10 * SECOND_NS;
            let uptime = (arrival - boot) / MS % WRAP_MS;
            let (time, is_date) = time(&mut clock, uptime as u64, arrival);
            assert!(!is_date, "after {n} documents");
            assert!(
                (arrival - time).abs() <= SECOND_NS,
                "{n}: {}",
                arrival - time
            );
        }
    }

    /// The gateway hears the device first on any of the days 17 to 22: at most one document has a wrong time.
    #[test]
    fn a_second_document_settles_what_the_first_left_open() {
        let today = NOW / SECOND_NS;
        for uptime in [
            1_500_000_000,
            1_577_836_801,
            today - 600_000,
            today - 10,
            today,
            today + 80_000,
            today + 700_000,
            1_900_000_000,
        ] {
            let mut clock = RunClock::default();
            let mut wrong = 0;
            for n in 0..500 {
                let arrival = NOW + n * 10 * SECOND_NS;
                let (_, is_date) = time(&mut clock, (uptime + n * 10_000) as u64, arrival);
                wrong += u32::from(is_date);
            }
            assert!(wrong <= 1, "{wrong} of a run that began at {uptime} ms");
        }
    }

    /// Dates stay dates: live, in a backlog, and with a clock that is hours wrong.
    #[test]
    fn dates_are_dates() {
        for wrong_s in [0, -7_200, 7_200] {
            let mut clock = RunClock::default();
            for n in 0..1_000 {
                let arrival = NOW + n * 10 * SECOND_NS;
                let sent = date(arrival + wrong_s * SECOND_NS);
                assert_eq!(
                    time(&mut clock, sent, arrival),
                    (sent as i64 * SECOND_NS, true)
                );
            }
            // It was away for ten days and sends what it kept.
            let arrival = NOW + 12 * DAY_NS;
            for n in 1_000..2_000 {
                let sent = date(NOW + n * 10 * SECOND_NS);
                assert_eq!(
                    time(&mut clock, sent, arrival + n),
                    (sent as i64 * SECOND_NS, true)
                );
            }
        }
    }

    /// The device gets its time from the network after a while, loses it with a restart, and gets it again.
    #[test]
    fn a_device_may_change_over_to_dates_and_back() {
        let mut clock = RunClock::default();
        let mut arrival = NOW;
        for _ in 0..3 {
            for n in 0..20 {
                let (time, is_date) = time(&mut clock, 3_000 + n * 1_000, arrival);
                assert!(!is_date && (arrival - time).abs() < SECOND_NS);
                arrival += SECOND_NS;
            }
            for _ in 0..20 {
                assert!(time(&mut clock, date(arrival), arrival).1);
                arrival += SECOND_NS;
            }
        }
    }

    /// What waited in a broker keeps its distances, because the run was known before.
    #[test]
    fn a_backlog_does_not_collapse() {
        let mut clock = RunClock::default();
        time(&mut clock, 10_000, NOW);
        let later = NOW + 6 * 3_600 * SECOND_NS;
        for n in 1..2_000 {
            let (time, is_date) = time(&mut clock, (10_000 + n * 10_000) as u64, later + n);
            assert_eq!((time, is_date), (NOW + n * 10 * SECOND_NS, false));
        }
    }

    /// A run that is first seen in a backlog gets arrival times, and says so.
    #[test]
    fn a_backlog_without_a_known_run_gets_arrival_times() {
        let mut clock = RunClock::default();
        for n in 0..100_i64 {
            let uptime = (1_000_000 + n * 10_000) as u64;
            let Meaning::Uptime { start_ns, moved } = clock.take(uptime, true, NOW + n) else {
                panic!("a date");
            };
            assert_eq!(start_ns + uptime as i64 * MS, NOW + n);
            assert_eq!(moved, n > 0);
        }
    }

    /// A fall is a restart, unless 2^32 ms have passed; one that was overtaken on its way is neither.
    #[test]
    fn a_fall_is_a_restart_a_wrap_or_was_overtaken() {
        let mut clock = RunClock::default();
        time(&mut clock, 5_000_000, NOW);
        let (overtaken, _) = time(&mut clock, 4_999_000, NOW + 10 * MS);
        assert_eq!(overtaken, NOW - SECOND_NS);
        let (next, _) = time(&mut clock, 5_001_000, NOW + SECOND_NS);
        assert_eq!(next, NOW + SECOND_NS);
        let (restarted, _) = time(&mut clock, 2_000, NOW + 60 * SECOND_NS);
        assert_eq!(restarted, NOW + 60 * SECOND_NS);
    }

    /// The host's clock was wrong and is set right: ten minutes later the times are right.
    #[test]
    fn a_difference_that_lasts_is_the_new_start() {
        let mut clock = RunClock::default();
        for n in 0..100 {
            let arrival = NOW + n * 10 * SECOND_NS + if n < 20 { 0 } else { 3_600 * SECOND_NS };
            let (time, _) = time(&mut clock, (60_000 + n * 10_000) as u64, arrival);
            if n > 20 + 61 {
                assert_eq!(time, arrival);
            }
        }
    }

    proptest! {
        /// No order of numbers and arrivals makes it panic, and what is stored is what is read.
        #[test]
        fn anything_may_come(steps in proptest::collection::vec((any::<u64>(), any::<bool>(), any::<i64>()), 0..50)) {
            let mut clock = RunClock::default();
            for (number, may_be_date, arrival) in steps {
                clock.take(number, may_be_date, arrival);
                let mut bytes = Vec::new();
                clock.encode(&mut bytes);
                prop_assert_eq!(RunClock::decode(bytes.as_slice().try_into().unwrap()), Some(clock));
            }
        }
    }
}
