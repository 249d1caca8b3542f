//! Rules and queues together: everything that is stored in one transaction.

use crate::change::Change;
use crate::evaluator::{self, Evaluator, Figure};
use crate::notices::{Notices, Notification, Patience};
use crate::observations::Observations;
use crate::rule::Rule;
use crate::series::Phase;
use iiot_journal::StateChanges;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// So many alerts of a rule are shown; the others are counted.
const MOST_SHOWN: usize = 100;

/// The keys of `[alerts]`; times in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A value that was older when it arrived changes no alert.
    pub late_ns: i64,
    /// An alert that still holds is told again after so long; none: never.
    pub repeat_ns: Option<i64>,
    /// A series of which nothing came for so long is forgotten.
    pub forget_ns: i64,
    /// So many series have a state; further ones have none.
    pub max_series: usize,
    /// Changes of one rule gather for so long before they are told.
    pub group_ns: i64,
    /// What could not be told for so long is not told any more.
    pub expire_ns: i64,
    /// So many changes wait for one receiver; the oldest go first.
    pub max_waiting: usize,
}

/// The states of all alerts, and what is to be told of them.
pub struct Core {
    evaluator: Evaluator,
    notices: Notices,
}

impl Core {
    /// Take up what is stored. Gives, as the calls below do, what has changed; here because rules have.
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

    /// Take values that rules watch, in the order of their frames.
    pub fn observe(&mut self, observations: &Observations) -> Vec<Change> {
        let mut changes = Vec::new();
        for observed in observations.iter() {
            self.evaluator.observe(observed, &mut changes);
        }
        self.tell(changes)
    }

    /// Take all figures of the gateway as they are now.
    pub fn figures(&mut self, figures: &[Figure], now_ns: i64) -> Vec<Change> {
        let mut changes = Vec::new();
        self.evaluator.figures(figures, now_ns, &mut changes);
        self.tell(changes)
    }

    /// Let time pass; everything that came before is taken.
    pub fn tick(&mut self, now_ns: i64) -> Vec<Change> {
        let mut changes = Vec::new();
        self.evaluator.tick(now_ns, &mut changes);
        self.tell(changes)
    }

    /// The host's clock was moved.
    pub fn restart(&mut self, now_ns: i64) {
        self.evaluator.restart(now_ns);
    }

    /// What a receiver is to be told now. It must be stored before it is sent.
    pub fn take(&mut self, receiver: &str, now_ns: i64) -> Option<Notification> {
        self.notices.take(receiver, now_ns)
    }

    /// The receiver took the notification, or did not this time.
    pub fn tried(&mut self, receiver: &str, id: &str, is_sent: bool) -> bool {
        self.notices.tried(receiver, id, is_sent)
    }

    /// What is to be stored since the last call.
    pub fn changes(&mut self) -> StateChanges {
        let mut changes = self.evaluator.changes();
        changes.extend(self.notices.changes());
        changes
    }

    /// Counts what changed of states.
    pub fn version(&self) -> u64 {
        self.evaluator.version
    }

    /// Rules with their alerts, and receivers, for people and programs: the schema Alerts of the API. Times in milliseconds since 1970.
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
