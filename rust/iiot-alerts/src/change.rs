//! Changes of alerts that receivers are notified of: an alert begins, goes on, or ends.

use crate::rule::{Measure, Rule};
use crate::series::{Labels, Phase, Series, Turn};
use iiot_core::fingerprint;

/// The kind of a change of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The alert began.
    Fired,
    /// The alert goes on, and a repeated notification is due.
    Repeated,
    /// The alert ended.
    Resolved,
}

/// A change of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The name of its rule.
    pub rule: String,
    /// The receivers to notify.
    pub receivers: Vec<String>,
    /// `warning` or `critical`.
    pub severity: String,
    /// The kind of the change.
    pub kind: Kind,
    /// The alert's id, which is stable over restarts. It is made of the journal, the rule, the series and the time of the beginning.
    pub id: String,
    /// Its series.
    pub key: String,
    /// The tags of the series.
    pub labels: Labels,
    /// The value, for people.
    pub value: String,
    /// The message for people.
    pub text: String,
    /// Nanoseconds since 1970.
    pub since_ns: i64,
    /// The time of the change.
    pub at_ns: i64,
    /// Why the alert ended, if no value ended it.
    pub reason: Option<&'static str>,
}

/// Update the series' phase for a turn, and return the change.
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
