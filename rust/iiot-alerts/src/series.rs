//! One series of a rule: its values so far, and whether its alert holds.

use crate::rule::{Measure, Rule};
use crate::time_text;
use crate::window::Window;
use serde::{Deserialize, Serialize};

/// The tags that identify a series, sorted by their keys.
pub(crate) type Labels = Vec<(String, String)>;

/// Whether an alert holds, and since when; nanoseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum Phase {
    #[default]
    Quiet,
    /// The condition holds, but not yet for long enough.
    Pending { since_ns: i64 },
    Firing {
        since_ns: i64,
        id: String,
        /// When receivers were notified last.
        told_ns: i64,
    },
}

impl Phase {
    /// The name of the phase for programs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Pending { .. } => "pending",
            Self::Firing { .. } => "firing",
        }
    }
}

/// A series in its stored form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    pub labels: Labels,
    /// The time of the newest value.
    pub newest_ns: i64,
    /// When a value came last.
    pub heard_ns: i64,
    /// The value that was judged last, for people.
    pub value: String,
    pub phase: Phase,
    pub window: Option<Window>,
    /// Whether it is known to differ from its stored form.
    #[serde(skip)]
    is_dirty: bool,
}

/// A value of a series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen<'a> {
    pub time_ns: i64,
    pub received_ns: i64,
    /// None if the rule only checks whether any value came.
    pub value: Option<(f64, &'a str)>,
}

/// The effect of a step on the alert.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Turn {
    Stays,
    /// The alert holds since then.
    Fires {
        since_ns: i64,
    },
    Resolves,
}

impl Series {
    pub(crate) fn new(labels: Labels) -> Self {
        Self {
            labels,
            newest_ns: i64::MIN,
            heard_ns: i64::MIN,
            ..Self::default()
        }
    }

    /// Note that the series differs from its stored form. True if this is new.
    pub(crate) fn soil(&mut self) -> bool {
        !std::mem::replace(&mut self.is_dirty, true)
    }

    /// Note that the series is stored, or about to be.
    pub(crate) fn clean(&mut self) {
        self.is_dirty = false;
    }

    pub(crate) fn is_firing(&self) -> bool {
        matches!(self.phase, Phase::Firing { .. })
    }

    /// Whether a value is older than the newest one. A newest value from before the clock was set back does not count.
    pub(crate) fn is_behind(&self, seen: &Seen<'_>) -> bool {
        seen.time_ns < self.newest_ns && self.newest_ns <= seen.received_ns
    }

    /// Process a value that is not late.
    pub(crate) fn take(&mut self, rule: &Rule, seen: &Seen<'_>) -> Turn {
        self.heard_ns = seen.received_ns;
        self.newest_ns = seen.time_ns;
        let Some((value, text)) = seen.value else {
            return if self.is_firing() {
                Turn::Resolves
            } else {
                Turn::Stays
            };
        };
        let value = if rule.absolute { value.abs() } else { value };
        let Some(width_ns) = rule.measure.window_ns() else {
            text.clone_into(&mut self.value);
            return self.judge(rule, value, seen.time_ns);
        };
        let window = self.window(width_ns, seen.time_ns, value);
        let measured = match rule.measure {
            Measure::Mean(_) => window.mean(),
            Measure::Change(_) => window.change(),
            Measure::Rate(_, per_s) => window.rate(per_s),
            Measure::Value | Measure::Silence(..) => None,
        };
        let Some(measured) = measured else {
            return Turn::Stays;
        };
        self.value = time_text::number(measured);
        self.judge(rule, measured, seen.time_ns)
    }

    fn window(&mut self, width_ns: i64, time_ns: i64, value: f64) -> &mut Window {
        // A window of another width belongs to an earlier form of the rule. One from before the clock was set back is also useless.
        let is_usable = |window: &Window| window.is_as_wide_as(width_ns);
        if !self.window.as_ref().is_some_and(is_usable) {
            self.window = None;
        }
        let window = self.window.get_or_insert_with(|| Window::new(width_ns));
        window.push(time_ns, value);
        window
    }

    fn judge(&mut self, rule: &Rule, measured: f64, time_ns: i64) -> Turn {
        let holds = rule.bounds.hold(measured, self.is_firing());
        match (&self.phase, holds) {
            (Phase::Quiet, true) if rule.for_ns > 0 => {
                self.phase = Phase::Pending { since_ns: time_ns };
                Turn::Stays
            }
            (Phase::Quiet, true) => Turn::Fires { since_ns: time_ns },
            (Phase::Pending { since_ns }, true) if time_ns - since_ns >= rule.for_ns => {
                Turn::Fires {
                    since_ns: *since_ns,
                }
            }
            (Phase::Pending { .. }, false) => {
                self.phase = Phase::Quiet;
                Turn::Stays
            }
            (Phase::Firing { .. }, false) => Turn::Resolves,
            _ => Turn::Stays,
        }
    }

    /// Update the time. `started_ns`: since when frames have been judged without a break. `working_ns`: since when the hours last; see [`Rule::working`].
    pub(crate) fn tick(
        &mut self,
        rule: &Rule,
        now_ns: i64,
        started_ns: i64,
        working_ns: Option<i64>,
    ) -> Turn {
        if let Measure::Silence(after_ns, _) = &rule.measure {
            if self.is_firing() {
                return Turn::Stays;
            }
            let since_ns = working_ns.map(|w| w.max(self.heard_ns).max(started_ns));
            return match since_ns {
                Some(since_ns) if now_ns - since_ns >= *after_ns => Turn::Fires {
                    // The series was never heard since the start.
                    since_ns: self.heard_ns.max(if self.heard_ns == i64::MIN {
                        started_ns
                    } else {
                        i64::MIN
                    }),
                },
                _ => Turn::Stays,
            };
        }
        if let Some(width_ns) = rule.measure.window_ns()
            && now_ns.saturating_sub(started_ns) >= width_ns
            && let Some(window) = &mut self.window
        {
            window.forget(now_ns);
            if window.is_empty() {
                self.window = None;
                if self.is_firing() {
                    return Turn::Resolves;
                }
                self.phase = Phase::Quiet;
                return Turn::Stays;
            }
        }
        match self.phase {
            Phase::Pending { since_ns } if now_ns - since_ns.max(started_ns) >= rule.for_ns => {
                Turn::Fires { since_ns }
            }
            _ => Turn::Stays,
        }
    }

    /// Note that the host's clock was set back: no stored time may be later than now.
    pub(crate) fn clamp(&mut self, now_ns: i64) -> bool {
        let is_ahead = self.heard_ns > now_ns || self.newest_ns > now_ns;
        self.heard_ns = self.heard_ns.min(now_ns);
        self.newest_ns = self.newest_ns.min(now_ns);
        match &mut self.phase {
            Phase::Pending { since_ns } => *since_ns = (*since_ns).min(now_ns),
            Phase::Firing {
                since_ns, told_ns, ..
            } => {
                *since_ns = (*since_ns).min(now_ns);
                *told_ns = (*told_ns).min(now_ns);
            }
            Phase::Quiet => {}
        }
        if is_ahead {
            self.window = None;
        }
        is_ahead
    }
}
