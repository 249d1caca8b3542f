//! The clock of one device that sends a number where others send Unix seconds: is the number a date, or the milliseconds since the device started?
//!
//! After 18 days an uptime in milliseconds looks like a date of the year 2020, and after 21 days like today. So one number decides nothing; the
//! run of the device does.
//!
//! - A number that continues the uptime before it is an uptime: it follows within a day, or agrees with the start of the run after a silence of any length.
//!   If the numbers advance by one a second, they have become dates.
//! - After dates, a number is a date. It is an uptime only if it is too small for a date, or if the device can have restarted since its last
//!   document and run for that long. Then the number is a date while it follows the last one, and until the next number advances by a thousand a second.
//! - Of a device that is heard for the first time, or whose uptimes end, a number within a week of its arrival is a date until a later one shows otherwise.
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

/// At which pace the numbers of a device advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Date,
    Uptime,
}

/// By how much two clocks may differ after so long, with the jitter of networks: one in a hundred.
fn drift_ns(since_ns: i64) -> i64 {
    JITTER_NS.saturating_add(since_ns.saturating_abs() / 100)
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
        // A device whose numbers are dates may have kept documents for a long time, but not since before 2020.
        let is_possible = is_plausible || Belief::default().holds(date_ns, arrival_ns);
        let pace = self.pace(number, arrival_ns);
        let mode = match self.mode {
            Mode::Unknown if is_plausible => Mode::PerhapsDate,
            Mode::Uptime if is_plausible && !self.continues(number, arrival_ns, pace) => {
                Mode::PerhapsDate
            }
            Mode::PerhapsDate | Mode::Date if is_possible => {
                let may_be_new_run = self.may_be_new_run(number, arrival_ns);
                match (self.mode, pace) {
                    (Mode::Date, _) | (_, Some(Pace::Date)) if !may_be_new_run => Mode::Date,
                    (_, Some(Pace::Uptime)) => Mode::Uptime,
                    (_, Some(Pace::Date)) => Mode::PerhapsDate,
                    // Documents that waited in a broker or in the device arrive all at once, and prove nothing.
                    _ if !may_be_new_run || self.follows(date_ns) => Mode::PerhapsDate,
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

    /// What the number has advanced by since the last one, as the time has: seconds or milliseconds. None if two documents came too close together to tell, or if
    /// it is neither.
    fn pace(&self, number: i64, arrival_ns: i64) -> Option<Pace> {
        let since_ns = arrival_ns.saturating_sub(self.last_arrival_ns);
        let advance = number.saturating_sub(self.last);
        let tolerance_ns = drift_ns(since_ns).min(since_ns / 4);
        let in_step =
            |advance_ns: i64| advance_ns.abs_diff(since_ns) <= tolerance_ns.unsigned_abs();
        if since_ns < SECOND_NS {
            None
        } else if in_step(advance.saturating_mul(SECOND_NS)) {
            Some(Pace::Date)
        } else if in_step(advance.saturating_mul(MS)) {
            Some(Pace::Uptime)
        } else {
            None
        }
    }

    /// Whether a run of this uptime can have begun after the last document: only then can a number behind dates be an uptime. The last document may have waited
    /// on its way, so its own date counts too.
    fn may_be_new_run(&self, number: i64, arrival_ns: i64) -> bool {
        let heard_ns = self
            .last_arrival_ns
            .min(self.last.saturating_mul(SECOND_NS));
        let silence_ns = arrival_ns.saturating_sub(heard_ns);
        number.saturating_mul(MS) <= silence_ns.saturating_add(drift_ns(silence_ns))
    }

    /// Whether a date can be that of the next document, which a device that keeps documents may send in another order.
    fn follows(&self, date_ns: i64) -> bool {
        let last_ns = self.last.saturating_mul(SECOND_NS);
        date_ns >= last_ns.saturating_sub(PLAUSIBLE_NS)
    }

    /// Whether a number continues the uptime before it: by no more than a day, or as the time has advanced since the run began.
    fn continues(&self, number: i64, arrival_ns: i64, pace: Option<Pace>) -> bool {
        let advance = number.saturating_sub(self.last);
        let is_next = (-OVERTAKEN_MS..=DAY_NS / MS).contains(&advance) && pace != Some(Pace::Date);
        is_next || self.wraps(number, arrival_ns).is_some()
    }

    /// How often the uptime has wrapped since the last document, if it agrees with the start of the run and the arrival, however long the silence.
    fn wraps(&self, number: i64, arrival_ns: i64) -> Option<i64> {
        let begun_ns = self.start_ns.saturating_add(number.saturating_mul(MS));
        let late_ns = arrival_ns.saturating_sub(begun_ns);
        let tolerance_ns = drift_ns(arrival_ns.saturating_sub(self.last_arrival_ns));
        let wraps = late_ns
            .saturating_add(tolerance_ns)
            .div_euclid(WRAP_MS * MS);
        let is_counter = wraps == 0 || self.last.max(number) < WRAP_MS;
        let off_ns = late_ns.saturating_sub(wraps.saturating_mul(WRAP_MS * MS));
        let agrees = off_ns.saturating_abs() <= tolerance_ns;
        (wraps >= 0 && is_counter && agrees).then_some(wraps)
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
        let wraps = self.wraps(number, arrival_ns).unwrap_or(0);
        let has_fallen = number < self.last && !self.is_overtaken(number, arrival_ns);
        if has_fallen || wraps > 0 {
            let passed_ns = wraps.max(1).saturating_mul(WRAP_MS * MS);
            let wrapped_ns = self.start_ns.saturating_add(passed_ns);
            let is_wrap = self.last < WRAP_MS
                && wrapped_ns.saturating_add(number.saturating_mul(MS))
                    <= arrival_ns.saturating_add(WRAP_SLACK_NS);
            if wraps == 0 && !is_wrap {
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
mod tests;
