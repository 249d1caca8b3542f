//! Stored states at a start: states of unchanged rules continue, and alerts of removed or changed rules end.

use crate::change::{Change, Kind};
use crate::evaluator::{Evaluator, SERIES};
use crate::series::{Phase, Series};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

const RULE: &str = "rule/";

/// The stored data of a rule, so that alerts of a removed rule can be resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredRule {
    identity: String,
    severity: String,
    receivers: Vec<String>,
}

impl Evaluator {
    pub(crate) fn take_over(
        &mut self,
        state: &BTreeMap<String, Vec<u8>>,
        now_ns: i64,
    ) -> Vec<Change> {
        let by_name: HashMap<String, usize> = (0..)
            .zip(&self.rules)
            .map(|(at, (rule, _))| (rule.name.clone(), at))
            .collect();
        let mut stored: HashMap<&str, StoredRule> = HashMap::new();
        for (key, value) in state {
            if let Some(name) = key.strip_prefix(RULE) {
                match serde_json::from_slice(value) {
                    Ok(rule) => drop(stored.insert(name, rule)),
                    Err(_) => drop(self.written.insert(key.clone(), None)),
                }
            }
        }
        let mut changes = Vec::new();
        for (key, value) in state {
            let Some((name, series_key)) = key
                .strip_prefix(SERIES)
                .and_then(|rest| rest.split_once('/'))
            else {
                continue;
            };
            let Ok(mut series) = serde_json::from_slice::<Series>(value) else {
                self.written.insert(key.clone(), None);
                continue;
            };
            let known = by_name.get(name).and_then(|at| self.rules.get_mut(*at));
            let before = stored.get(name);
            if let Some((rule, all)) = known
                && before.is_some_and(|before| before.identity == rule.identity())
                && rule.selection.takes_labels(&series.labels)
            {
                series.clamp(now_ns);
                all.insert(series_key.to_owned(), series);
                self.series += 1;
                continue;
            }
            let is_there = by_name.contains_key(name);
            self.written.insert(key.clone(), None);
            if let (Phase::Firing { since_ns, id, .. }, Some(before)) = (series.phase, before) {
                changes.push(Change {
                    rule: name.to_owned(),
                    receivers: before.receivers.clone(),
                    severity: before.severity.clone(),
                    kind: Kind::Resolved,
                    id,
                    key: series_key.to_owned(),
                    text: format!(
                        "{name}: the rule {}",
                        if is_there {
                            "was changed"
                        } else {
                            "was removed"
                        }
                    ),
                    labels: series.labels,
                    value: series.value,
                    since_ns,
                    at_ns: now_ns,
                    reason: Some(if is_there {
                        "rule_changed"
                    } else {
                        "rule_removed"
                    }),
                });
            }
        }
        for name in stored.keys().filter(|name| !by_name.contains_key(**name)) {
            self.written.insert(format!("{RULE}{name}"), None);
        }
        for (rule, _) in &self.rules {
            let now = StoredRule {
                identity: rule.identity(),
                severity: rule.severity.clone(),
                receivers: rule.receivers.clone(),
            };
            if stored.get(rule.name.as_str()) != Some(&now) {
                let text = serde_json::to_vec(&now).unwrap_or_default();
                self.written
                    .insert(format!("{RULE}{}", rule.name), Some(text));
            }
        }
        changes
    }
}
