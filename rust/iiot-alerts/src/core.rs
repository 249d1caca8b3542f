//! Rules and queues together: all state that is stored in one transaction.

use crate::change::Change;
use crate::evaluator::{self, Evaluator, Figure};
use crate::notices::{Notices, Notification, Patience};
use crate::observations::Observations;
use crate::rule::Rule;
use crate::series::Phase;
use iiot_journal::StateChanges;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The most alerts of a rule that are shown; the others are only counted.
const MOST_SHOWN: usize = 100;

/// The keys of `[alerts]`; times in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A value that was older when it arrived changes no alert.
    pub late_ns: i64,
    /// An alert that goes on is notified again after this time; none: never.
    pub repeat_ns: Option<i64>,
    /// A series without a value for this time is forgotten.
    pub forget_ns: i64,
    /// The most series with a state; further ones have none.
    pub max_series: usize,
    /// Changes of one rule are collected for this time before they are sent.
    pub group_ns: i64,
    /// A change that could not be sent for this time is given up.
    pub expire_ns: i64,
    /// The most changes that wait for one receiver; beyond that, the oldest are dropped.
    pub max_waiting: usize,
}

/// The states of all alerts, and the notifications to send.
pub struct Core {
    evaluator: Evaluator,
    notices: Notices,
}

impl Core {
    /// Load the stored state. Returns the changes, as the calls below do; here they follow from changed rules.
    pub fn load(
        rules: Vec<Rule>,
        receivers: &[String],
        limits: Limits,
        journal: &str,
        state: &BTreeMap<String, Vec<u8>>,
        now_ns: i64,
    ) -> (Self, Vec<Change>) {
        let bounds = evaluator::Bounds {
            late_ns: limits.late_ns,
            repeat_ns: limits.repeat_ns,
            forget_ns: limits.forget_ns,
            max_series: limits.max_series,
        };
        let patience = Patience {
            group_ns: limits.group_ns,
            expire_ns: limits.expire_ns,
            max_waiting: limits.max_waiting,
        };
        let (evaluator, changes) = Evaluator::load(rules, bounds, journal, state, now_ns);
        let mut core = Self {
            evaluator,
            notices: Notices::load(receivers, patience, journal, state),
        };
        let changes = core.tell(changes);
        (core, changes)
    }

    fn tell(&mut self, changes: Vec<Change>) -> Vec<Change> {
        for change in &changes {
            self.notices.put(change);
        }
        changes
    }

    /// Process values that rules watch, in the order of their frames.
    pub fn observe(&mut self, observations: &Observations) -> Vec<Change> {
        let mut changes = Vec::new();
        for observed in observations.iter() {
            self.evaluator.observe(observed, &mut changes);
        }
        self.tell(changes)
    }

    /// Process the present figures of the gateway, all of them.
    pub fn figures(&mut self, figures: &[Figure], now_ns: i64) -> Vec<Change> {
        let mut changes = Vec::new();
        self.evaluator.figures(figures, now_ns, &mut changes);
        self.tell(changes)
    }

    /// Update the time. All earlier values must have been processed.
    pub fn tick(&mut self, now_ns: i64) -> Vec<Change> {
        let mut changes = Vec::new();
        self.evaluator.tick(now_ns, &mut changes);
        self.tell(changes)
    }

    /// Note that the host's clock was set.
    pub fn restart(&mut self, now_ns: i64) {
        self.evaluator.restart(now_ns);
    }

    /// The notification that a receiver is due now. It must be stored before it is sent.
    pub fn take(&mut self, receiver: &str, now_ns: i64) -> Option<Notification> {
        self.notices.take(receiver, now_ns)
    }

    /// Note whether the receiver accepted the notification.
    pub fn tried(&mut self, receiver: &str, id: &str, is_sent: bool) -> bool {
        self.notices.tried(receiver, id, is_sent)
    }

    /// The state to store since the last call.
    pub fn changes(&mut self) -> StateChanges {
        let mut changes = self.evaluator.changes();
        changes.extend(self.notices.changes());
        changes
    }

    /// A number that increases with each change of the states.
    pub fn version(&self) -> u64 {
        self.evaluator.version
    }

    /// Rules with their alerts, and receivers, in the schema Alerts of the API. Times are milliseconds since 1970.
    pub fn document(&self) -> Value {
        let rules: Vec<Value> = self.evaluator.rules.iter().map(|(rule, all)| {
            let mut alerts: Vec<(bool, i64, Value)> = all.values().filter_map(|series| {
                let (state, since_ns, id) = match &series.phase {
                    Phase::Quiet => return None,
                    Phase::Pending { since_ns } => ("pending", *since_ns, None),
                    Phase::Firing { since_ns, id, .. } => ("firing", *since_ns, Some(id)),
                };
                let alert = json!({
                    "state": state,
                    "id": id,
                    "labels": series.labels.iter().cloned().collect::<BTreeMap<String, String>>(),
                    "value": series.value,
                    "text": rule.text(&series.labels, &series.value, since_ns),
                    "since_ms": since_ns / 1_000_000,
                });
                Some((state == "pending", since_ns, alert))
            }).collect();
            alerts.sort_by_key(|(is_pending, since_ns, _)| (*is_pending, *since_ns));
            let pending = alerts.iter().filter(|(is_pending, ..)| *is_pending).count();
            let firing = alerts.len() - pending;
            let state = match alerts.first() {
                None => "quiet",
                Some((true, ..)) => "pending",
                Some((false, ..)) => "firing",
            };
            json!({
                "name": rule.name,
                "severity": rule.severity,
                "state": state,
                "series": all.len(),
                "receivers": rule.receivers,
                "firing": firing,
                "pending": pending,
                "alerts": alerts.into_iter().take(MOST_SHOWN).map(|(_, _, alert)| alert).collect::<Vec<Value>>(),
            })
        }).collect();
        let receivers: BTreeMap<&str, Value> = self
            .notices
            .receivers()
            .map(|(name, counts, waiting, oldest_ns)| {
                let entry = json!({
                    "waiting": waiting,
                    "oldest_ms": oldest_ns.map(|ns| ns / 1_000_000),
                    "sent": counts.sent,
                    "failed": counts.failed,
                    "coalesced": counts.coalesced,
                    "expired": counts.expired,
                    "dropped": counts.dropped,
                });
                (name, entry)
            })
            .collect();
        json!({
            "rules": rules,
            "receivers": receivers,
            "late": self.evaluator.late,
            "beyond_max_series": self.evaluator.beyond,
        })
    }
}
