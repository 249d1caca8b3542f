//! What is told of an alert: that it began, still holds, or ended.

use crate::rule::{Measure, Rule};
use crate::series::{Labels, Phase, Series, Turn};
use iiot_core::fingerprint;

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It began.
    Fired,
    /// It still holds, and it is time to say so again.
    Repeated,
    /// It ended.
    Resolved,
}

/// An alert that began, still holds, or ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The name of its rule.
    pub rule: String,
    /// Who is told.
    pub receivers: Vec<String>,
    /// `warning` or `critical`.
    pub severity: String,
    /// What became of it.
    pub kind: Kind,
    /// Stable over restarts; made of journal, rule, series and since when.
    pub id: String,
    /// Its series.
    pub key: String,
    /// The tags of the series.
    pub labels: Labels,
    /// As people read it.
    pub value: String,
    /// What it says to people.
    pub text: String,
    /// Nanoseconds since 1970.
    pub since_ns: i64,
    /// When it changed.
    pub at_ns: i64,
    /// Why it ended, if no value says so.
    pub reason: Option<&'static str>,
}

/// Put a turn into the series' phase, and tell it.
pub(crate) fn turned(
    journal: &str,
    rule: &Rule,
    key: &str,
    series: &mut Series,
    turn: Turn,
    at_ns: i64,
    reason: Option<&'static str>,
) -> Option<Change> {
    match turn {
        Turn::Stays => None,
        Turn::Fires { since_ns } => {
            if matches!(rule.measure, Measure::Silence(..)) {
                series.value = crate::time_text::duration(at_ns - since_ns);
            }
            let seed = format!("{journal}\n{}\n{key}\n{since_ns}", rule.name);
            let id = format!("{:016x}", fingerprint(seed.as_bytes()));
            series.phase = Phase::Firing {
                since_ns,
                id: id.clone(),
                told_ns: at_ns,
            };
            Some(change(
                rule,
                key,
                series,
                Kind::Fired,
                (id, since_ns),
                at_ns,
            ))
        }
        Turn::Resolves => {
            let Phase::Firing { since_ns, id, .. } = std::mem::take(&mut series.phase) else {
                return None;
            };
            let told = change(rule, key, series, Kind::Resolved, (id, since_ns), at_ns);
            Some(Change { reason, ..told })
        }
    }
}

pub(crate) fn repeated(
    rule: &Rule,
    key: &str,
    series: &mut Series,
    now_ns: i64,
    every_ns: Option<i64>,
) -> Option<Change> {
    let Phase::Firing {
        since_ns,
        id,
        told_ns,
    } = &mut series.phase
    else {
        return None;
    };
    if now_ns - *told_ns < every_ns? {
        return None;
    }
    *told_ns = now_ns;
    let known = (id.clone(), *since_ns);
    if matches!(rule.measure, Measure::Silence(..)) {
        series.value = crate::time_text::duration(now_ns - known.1);
    }
    Some(change(rule, key, series, Kind::Repeated, known, now_ns))
}

fn change(
    rule: &Rule,
    key: &str,
    series: &Series,
    kind: Kind,
    (id, since_ns): (String, i64),
    at_ns: i64,
) -> Change {
    Change {
        rule: rule.name.clone(),
        receivers: rule.receivers.clone(),
        severity: rule.severity.clone(),
        kind,
        id,
        key: key.to_owned(),
        labels: series.labels.clone(),
        value: series.value.clone(),
        text: rule.text(&series.labels, &series.value, since_ns),
        since_ns,
        at_ns,
        reason: None,
    }
}
