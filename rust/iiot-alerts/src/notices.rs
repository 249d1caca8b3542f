//! Notices for receivers: changes are collected per receiver and rule, and sealed as a notification when it is due. The notification is sent
//! unchanged until that succeeds or it is too old.

use crate::change::{Change, Kind};
use crate::series::Labels;
use iiot_core::fingerprint;
use iiot_journal::StateChanges;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One alert in a notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The id of the alert: the same from its beginning to its end.
    pub id: String,
    /// Whether the alert goes on; otherwise it has ended.
    pub is_firing: bool,
    /// Whether receivers were already notified of this alert.
    pub is_repeated: bool,
    /// The tags of its series.
    pub labels: Labels,
    /// The value, for people.
    pub value: String,
    /// The message for people.
    pub text: String,
    /// The beginning of the alert; nanoseconds since 1970.
    pub since_ns: i64,
    /// The time of the change.
    pub at_ns: i64,
    /// Why the alert ended, if no value ended it.
    pub reason: Option<String>,
}

/// The alerts of one rule that a receiver gets together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The id, which is the same at every attempt.
    pub id: String,
    /// The name of the rule.
    pub rule: String,
    /// `warning` or `critical`.
    pub severity: String,
    /// The time of the first change of its alerts; nanoseconds since 1970.
    pub first_ns: i64,
    /// Its alerts.
    pub entries: Vec<Entry>,
}

impl Notification {
    /// For receivers: times in milliseconds since 1970, labels as an object.
    pub fn json(&self) -> Value {
        let alerts: Vec<Value> = self
            .entries
            .iter()
            .map(|entry| {
                json!({
                    "id": entry.id,
                    "state": if entry.is_firing { "firing" } else { "resolved" },
                    "repeated": entry.is_repeated,
                    "labels": entry.labels.iter().cloned().collect::<BTreeMap<String, String>>(),
                    "value": entry.value,
                    "text": entry.text,
                    "since_ms": entry.since_ns / 1_000_000,
                    "at_ms": entry.at_ns / 1_000_000,
                    "reason": entry.reason,
                })
            })
            .collect();
        json!({
            "id": self.id,
            "rule": self.rule,
            "severity": self.severity,
            "alerts": alerts,
        })
    }
}

/// Alerts of one rule that are collected for a receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    severity: String,
    first_ns: i64,
    /// The alerts, by series.
    entries: BTreeMap<String, Entry>,
}

/// The counts of a receiver's changes by result; they continue over restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Notifications that the receiver accepted.
    pub sent: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Changes that a newer one of the same series replaced.
    pub coalesced: u64,
    /// Changes that waited too long.
    pub expired: u64,
    /// Changes that were dropped because the queue was full.
    pub dropped: u64,
    /// The number of the last notification.
    number: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Queue {
    open: BTreeMap<String, Open>,
    sealed: Option<Notification>,
    counts: Counts,
}

/// The limits of a receiver's queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub group_ns: i64,
    pub expire_ns: i64,
    pub max_waiting: usize,
}

/// The queues of all receivers.
pub(crate) struct Notices {
    journal: String,
    patience: Patience,
    queues: BTreeMap<String, Queue>,
    dirty: BTreeSet<String>,
    gone: BTreeSet<String>,
}

const OPEN: &str = "open/";
const SEALED: &str = "sealed/";
const COUNTS: &str = "receiver/";

impl Notices {
    /// Load the stored notices. Receivers that are no longer configured are forgotten, with their notices.
    pub(crate) fn load(
        receivers: &[String],
        patience: Patience,
        journal: &str,
        state: &BTreeMap<String, Vec<u8>>,
    ) -> Self {
        let mut notices = Self {
            journal: journal.to_owned(),
            patience,
            queues: receivers
                .iter()
                .map(|r| (r.clone(), Queue::default()))
                .collect(),
            dirty: BTreeSet::new(),
            gone: BTreeSet::new(),
        };
        for (key, value) in state {
            if notices.take_up(key, value) == Some(false) {
                notices.gone.insert(key.clone());
            }
        }
        notices
    }

    /// Load one stored value; false if it is no longer needed, none if it is no notice.
    fn take_up(&mut self, key: &str, value: &[u8]) -> Option<bool> {
        let read = if let Some(rest) = key.strip_prefix(OPEN) {
            let (receiver, rule) = rest.split_once('/')?;
            let queue = self.queues.get_mut(receiver);
            queue
                .zip(serde_json::from_slice(value).ok())
                .map(|(queue, open)| {
                    queue.open.insert(rule.to_owned(), open);
                })
        } else if let Some(receiver) = key.strip_prefix(SEALED) {
            let queue = self.queues.get_mut(receiver);
            queue
                .zip(serde_json::from_slice(value).ok())
                .map(|(queue, sealed)| queue.sealed = Some(sealed))
        } else {
            let receiver = key.strip_prefix(COUNTS)?;
            let queue = self.queues.get_mut(receiver);
            queue
                .zip(serde_json::from_slice(value).ok())
                .map(|(queue, counts)| queue.counts = counts)
        };
        Some(read.is_some())
    }

    /// Queue a change for its receivers.
    pub(crate) fn put(&mut self, change: &Change) {
        for receiver in &change.receivers {
            let Some(queue) = self.queues.get_mut(receiver) else {
                continue;
            };
            let open = queue
                .open
                .entry(change.rule.clone())
                .or_insert_with(|| Open {
                    severity: String::new(),
                    first_ns: change.at_ns,
                    entries: BTreeMap::new(),
                });
            open.severity.clone_from(&change.severity);
            let entry = Entry {
                id: change.id.clone(),
                is_firing: change.kind != Kind::Resolved,
                is_repeated: change.kind == Kind::Repeated,
                labels: change.labels.clone(),
                value: change.value.clone(),
                text: change.text.clone(),
                since_ns: change.since_ns,
                at_ns: change.at_ns,
                reason: change.reason.map(str::to_owned),
            };
            if let Some(before) = open.entries.insert(change.key.clone(), entry) {
                queue.counts.coalesced += 1;
                // A change of an alert that the receiver does not know is no repetition.
                if let Some(now) = open.entries.get_mut(&change.key) {
                    now.is_repeated &= before.is_repeated;
                }
            }
            self.dirty
                .insert(format!("{OPEN}{receiver}/{}", change.rule));
            self.dirty.insert(format!("{COUNTS}{receiver}"));
            while queue.waiting() > self.patience.max_waiting.max(1) {
                let Some(rule) = queue.drop_oldest() else {
                    break;
                };
                self.dirty.insert(format!("{OPEN}{receiver}/{rule}"));
            }
        }
    }

    /// The notification that a receiver is due now: the one sealed before, or collected changes that have waited long enough and are sealed now.
    /// Changes that are too old are dropped.
    pub(crate) fn take(&mut self, receiver: &str, now_ns: i64) -> Option<Notification> {
        let queue = self.queues.get_mut(receiver)?;
        let oldest_ns = now_ns.saturating_sub(self.patience.expire_ns);
        if let Some(sealed) = queue.sealed.take_if(|sealed| sealed.first_ns < oldest_ns) {
            queue.counts.expired += sealed.entries.len() as u64;
            self.dirty.insert(format!("{SEALED}{receiver}"));
            self.dirty.insert(format!("{COUNTS}{receiver}"));
        }
        let old: Vec<String> = queue
            .open
            .iter()
            .filter(|(_, open)| open.first_ns < oldest_ns)
            .map(|(rule, _)| rule.clone())
            .collect();
        for rule in old {
            if let Some(open) = queue.open.remove(&rule) {
                queue.counts.expired += open.entries.len() as u64;
            }
            self.dirty.insert(format!("{OPEN}{receiver}/{rule}"));
            self.dirty.insert(format!("{COUNTS}{receiver}"));
        }
        if queue.sealed.is_none() {
            let rule = queue.oldest()?;
            let open = queue
                .open
                .get(&rule)
                // This is also true after the clock was set back.
                .filter(|open| {
                    (now_ns - open.first_ns).unsigned_abs() >= self.patience.group_ns.unsigned_abs()
                })?;
            queue.counts.number += 1;
            let seed = format!("{}\n{receiver}\n{}", self.journal, queue.counts.number);
            queue.sealed = Some(Notification {
                id: format!("{:016x}", fingerprint(seed.as_bytes())),
                rule: rule.clone(),
                severity: open.severity.clone(),
                first_ns: open.first_ns,
                entries: open.entries.values().cloned().collect(),
            });
            queue.open.remove(&rule);
            for key in [
                format!("{OPEN}{receiver}/{rule}"),
                format!("{SEALED}{receiver}"),
                format!("{COUNTS}{receiver}"),
            ] {
                self.dirty.insert(key);
            }
        }
        queue.sealed.clone()
    }

    /// Note whether the receiver accepted the notification. False if it is not the sealed one.
    pub(crate) fn tried(&mut self, receiver: &str, id: &str, is_sent: bool) -> bool {
        let Some(queue) = self.queues.get_mut(receiver) else {
            return false;
        };
        if queue.sealed.as_ref().is_none_or(|sealed| sealed.id != id) {
            return false;
        }
        if is_sent {
            queue.sealed = None;
            queue.counts.sent += 1;
            self.dirty.insert(format!("{SEALED}{receiver}"));
        } else {
            queue.counts.failed += 1;
        }
        self.dirty.insert(format!("{COUNTS}{receiver}"));
        true
    }

    /// Every receiver with its counts, the number of waiting changes, and since when the oldest one waits.
    pub(crate) fn receivers(&self) -> impl Iterator<Item = (&str, &Counts, usize, Option<i64>)> {
        self.queues.iter().map(|(name, queue)| {
            let open = queue.open.values().map(|open| open.first_ns);
            let sealed = queue.sealed.iter().map(|sealed| sealed.first_ns);
            (
                name.as_str(),
                &queue.counts,
                queue.waiting(),
                open.chain(sealed).min(),
            )
        })
    }

    /// The values to store since the last call.
    pub(crate) fn changes(&mut self) -> StateChanges {
        let gone = std::mem::take(&mut self.gone)
            .into_iter()
            .map(|key| (key, None));
        let mut changes: StateChanges = gone.collect();
        for key in std::mem::take(&mut self.dirty) {
            let value = self.stored(&key);
            changes.insert(key, value);
        }
        changes
    }

    fn stored(&self, key: &str) -> Option<Vec<u8>> {
        let text = if let Some(rest) = key.strip_prefix(OPEN) {
            let (receiver, rule) = rest.split_once('/')?;
            serde_json::to_vec(self.queues.get(receiver)?.open.get(rule)?)
        } else if let Some(receiver) = key.strip_prefix(SEALED) {
            serde_json::to_vec(self.queues.get(receiver)?.sealed.as_ref()?)
        } else {
            serde_json::to_vec(&self.queues.get(key.strip_prefix(COUNTS)?)?.counts)
        };
        text.ok()
    }
}

impl Queue {
    fn waiting(&self) -> usize {
        let open: usize = self.open.values().map(|open| open.entries.len()).sum();
        open + self
            .sealed
            .as_ref()
            .map_or(0, |sealed| sealed.entries.len())
    }

    /// The rule whose changes have waited for the longest time.
    fn oldest(&self) -> Option<String> {
        let oldest = self.open.iter().min_by_key(|(_, open)| open.first_ns);
        oldest.map(|(rule, _)| rule.clone())
    }

    /// Drop the oldest change that is not sealed, and return its rule.
    fn drop_oldest(&mut self) -> Option<String> {
        let of_rule = |(rule, open): (&String, &Open)| {
            let oldest = open.entries.iter().min_by_key(|(_, entry)| entry.at_ns);
            oldest.map(|(key, entry)| (entry.at_ns, rule.clone(), key.clone()))
        };
        let (_, rule, key) = self.open.iter().filter_map(of_rule).min()?;
        let open = self.open.get_mut(&rule)?;
        open.entries.remove(&key);
        if open.entries.is_empty() {
            self.open.remove(&rule);
        }
        self.counts.dropped += 1;
        Some(rule)
    }
}
