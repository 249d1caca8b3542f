//! All rules with their series, and their changes by values, figures and the passing of time.

use crate::change::{Change, repeated, turned};
use crate::observations::{Observations, Observed};
use crate::rule::Rule;
use crate::series::{Series, Turn};
use iiot_journal::StateChanges;
use std::collections::{BTreeMap, BTreeSet};

/// A number about the gateway itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its name, such as `queue_age_s`.
    pub name: String,
    /// The labels that name the sink or source.
    pub labels: Vec<(String, String)>,
    /// The number.
    pub value: f64,
}

/// Limits of the state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub late_ns: i64,
    pub repeat_ns: Option<i64>,
    pub forget_ns: i64,
    pub max_series: usize,
}

/// Rules and the states of their series.
pub(crate) struct Evaluator {
    journal: String,
    pub(crate) bounds: Bounds,
    pub(crate) rules: Vec<(Rule, BTreeMap<String, Series>)>,
    /// Series that differ from their stored form, and removed series.
    dirty: Vec<(usize, String)>,
    pub(crate) written: StateChanges,
    /// Since when frames have been judged without a break.
    started_ns: i64,
    forgot_ns: i64,
    /// Values that were late, since the start.
    pub(crate) late: u64,
    /// Values since the start of series that have no state, because there are too many series.
    pub(crate) beyond: u64,
    pub(crate) series: usize,
    /// Increases with each change of the states, for those who show them.
    pub(crate) version: u64,
}

pub(crate) const SERIES: &str = "series/";
/// How often to look for series to forget.
const FORGET_EVERY_NS: i64 = 60_000_000_000;

impl Evaluator {
    /// Load the stored states. Returns the changes that follow from changed rules. The evaluation starts at `now_ns`.
    pub(crate) fn load(
        rules: Vec<Rule>,
        bounds: Bounds,
        journal: &str,
        state: &BTreeMap<String, Vec<u8>>,
        now_ns: i64,
    ) -> (Self, Vec<Change>) {
        let mut evaluator = Self {
            journal: journal.to_owned(),
            bounds,
            rules: rules
                .into_iter()
                .map(|rule| (rule, BTreeMap::new()))
                .collect(),
            dirty: Vec::new(),
            written: StateChanges::new(),
            started_ns: now_ns,
            forgot_ns: now_ns,
            late: 0,
            beyond: 0,
            series: 0,
            version: 1,
        };
        let changes = evaluator.take_over(state, now_ns);
        evaluator.start_silences();
        (evaluator, changes)
    }

    /// The series of a plant as a whole exists before any value came.
    fn start_silences(&mut self) {
        for at in 0..self.rules.len() {
            let Some((rule, all)) = self.rules.get_mut(at) else {
                continue;
            };
            if rule.is_silence() && rule.selection.by.is_empty() && all.is_empty() {
                all.insert(String::new(), Series::new(Vec::new()));
                self.series += 1;
            }
        }
    }

    /// Note that the host's clock was set, so the passed time is unknown.
    pub(crate) fn restart(&mut self, now_ns: i64) {
        self.started_ns = now_ns;
        self.forgot_ns = now_ns;
        for (at, (_, all)) in self.rules.iter_mut().enumerate() {
            for (key, series) in all {
                if series.clamp(now_ns) && series.soil() {
                    self.dirty.push((at, key.clone()));
                }
            }
        }
    }

    /// Process a value that a rule watches.
    pub(crate) fn observe(&mut self, mut observed: Observed<'_>, changes: &mut Vec<Change>) {
        let Some((rule, _)) = self.rules.get(observed.rule) else {
            return;
        };
        let seen = &mut observed.seen;
        if rule.is_silence() {
            seen.time_ns = seen.received_ns;
            seen.value = None;
        } else if seen.received_ns.saturating_sub(seen.time_ns) > self.bounds.late_ns {
            self.late += 1;
            return;
        }
        seen.time_ns = seen.time_ns.min(seen.received_ns);
        self.take(&observed, changes);
    }

    fn take(&mut self, observed: &Observed<'_>, changes: &mut Vec<Change>) {
        let Observed {
            rule: at,
            key,
            labels,
            ref seen,
        } = *observed;
        let Some((rule, all)) = self.rules.get_mut(at) else {
            return;
        };
        let series = match all.get_mut(key) {
            Some(series) => series,
            None if self.series >= self.bounds.max_series => {
                self.beyond += 1;
                return;
            }
            None => {
                self.series += 1;
                let series = Series::new(labels.clone());
                all.entry(key.to_owned()).or_insert(series)
            }
        };
        if series.is_behind(seen) {
            self.late += 1;
            return;
        }
        let before = series.phase.name();
        let turn = series.take(rule, seen);
        changes.extend(turned(
            &self.journal,
            rule,
            key,
            series,
            turn,
            seen.time_ns,
            None,
        ));
        self.version += u64::from(series.phase.name() != before);
        if series.soil() {
            self.dirty.push((at, key.to_owned()));
        }
    }

    /// Process the present figures of the gateway, all of them. A series whose figure is missing ends.
    pub(crate) fn figures(&mut self, figures: &[Figure], now_ns: i64, changes: &mut Vec<Change>) {
        for at in 0..self.rules.len() {
            let Some((rule, _)) = self.rules.get(at).filter(|(rule, _)| rule.is_of_gateway())
            else {
                continue;
            };
            let mut observations = Observations::default();
            for figure in figures.iter().filter(|f| f.name == rule.selection.gateway) {
                observations.point(|add| {
                    for (key, value) in &figure.labels {
                        add(key, value.as_bytes());
                    }
                });
                let text = crate::time_text::number(figure.value);
                observations.see(at, rule, now_ns, now_ns, Some((figure.value, &text)));
            }
            for observed in observations.iter() {
                let before = self.shown(at, observed.key);
                let dirty = self.dirty.len();
                self.take(&observed, changes);
                // Without this, an unchanged figure would cause a commit every few seconds on an idle gateway.
                if before.is_some()
                    && before == self.shown(at, observed.key)
                    && self.dirty.len() > dirty
                    && let Some((_, all)) = self.rules.get_mut(at)
                    && let Some(series) = all.get_mut(observed.key)
                {
                    series.clean();
                    self.dirty.truncate(dirty);
                }
            }
            let keys: BTreeSet<&str> = observations.iter().map(|observed| observed.key).collect();
            self.forget(at, now_ns, "no_longer_there", changes, |key, _| {
                !keys.contains(key)
            });
        }
    }

    /// The visible part of a series: its phase and its value.
    fn shown(&self, at: usize, key: &str) -> Option<(&'static str, String)> {
        let series = self.rules.get(at)?.1.get(key)?;
        Some((series.phase.name(), series.value.clone()))
    }

    fn forget(
        &mut self,
        at: usize,
        now_ns: i64,
        reason: &'static str,
        changes: &mut Vec<Change>,
        is_gone: impl Fn(&str, &Series) -> bool,
    ) {
        let Some((rule, all)) = self.rules.get_mut(at) else {
            return;
        };
        let gone: Vec<String> = all
            .iter()
            .filter(|(key, series)| is_gone(key, series))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            if let Some(mut series) = all.remove(&key) {
                self.series -= 1;
                self.version += 1;
                if series.is_firing() {
                    let turn = Turn::Resolves;
                    changes.extend(turned(
                        &self.journal,
                        rule,
                        &key,
                        &mut series,
                        turn,
                        now_ns,
                        Some(reason),
                    ));
                }
                self.dirty.push((at, key));
            }
        }
    }

    /// Update the time. All earlier values must have been processed.
    pub(crate) fn tick(&mut self, now_ns: i64, changes: &mut Vec<Change>) {
        for (at, (rule, all)) in self.rules.iter_mut().enumerate() {
            // Computed once for all series, because time zones are slow.
            let working_ns = rule.working(now_ns);
            for (key, series) in all {
                let before = (series.phase.name(), series.window.is_some());
                let turn = series.tick(rule, now_ns, self.started_ns, working_ns);
                let reason = (turn == Turn::Resolves).then_some("no_values");
                let change = turned(&self.journal, rule, key, series, turn, now_ns, reason)
                    .or_else(|| repeated(rule, key, series, now_ns, self.bounds.repeat_ns));
                let is_other = (series.phase.name(), series.window.is_some()) != before;
                if is_other || change.is_some() {
                    if series.soil() {
                        self.dirty.push((at, key.clone()));
                    }
                    self.version += 1;
                }
                changes.extend(change);
            }
        }
        if now_ns - self.forgot_ns >= FORGET_EVERY_NS {
            self.forgot_ns = now_ns;
            let before_ns = now_ns.saturating_sub(self.bounds.forget_ns);
            for at in 0..self.rules.len() {
                self.forget(at, now_ns, "forgotten", changes, |key, series| {
                    // A series that was never heard is the plant as a whole.
                    !key.is_empty() && series.heard_ns < before_ns
                });
            }
        }
    }

    /// The state to store since the last call.
    pub(crate) fn changes(&mut self) -> StateChanges {
        let mut changes = std::mem::take(&mut self.written);
        for (at, key) in std::mem::take(&mut self.dirty) {
            let Some((rule, all)) = self.rules.get_mut(at) else {
                continue;
            };
            let value = all.get_mut(&key).map(|series| {
                series.clean();
                serde_json::to_vec(series).unwrap_or_default()
            });
            changes.insert(format!("{SERIES}{}/{key}", rule.name), value);
        }
        changes
    }
}
