//! A bench for rules: takes values and times, and returns the notifications. State is stored and loaded as in a journal.

use iiot_alerts::{Change, Core, Figure, Kind, Limits, Observations, Rule};
use iiot_journal::StateChanges;
use std::collections::BTreeMap;

pub const SECOND: i64 = 1_000_000_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
/// 2023-11-14 22:13:20 UTC.
pub const NOON: i64 = 1_700_000_000 * SECOND;

/// A rule on the field `f` of the measurement `m` with further keys.
pub fn rule(keys: &str) -> String {
    let of = if keys.contains("\"of\"") {
        ""
    } else {
        "\"of\": \"value\", "
    };
    format!(
        r#"{{"name": "r", {of}"severity": "warning", "receivers": ["log"], "measurement": "m", "field": "f", {keys}}}"#
    )
}

pub fn labels(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

pub const LIMITS: Limits = Limits {
    late_ns: 5 * MINUTE,
    repeat_ns: Some(4 * HOUR),
    forget_ns: 30 * 24 * HOUR,
    max_series: Bench::MAX_SERIES,
    group_ns: 10 * SECOND,
    expire_ns: 24 * HOUR,
    max_waiting: 5,
};

pub struct Bench {
    pub core: Core,
    pub now_ns: i64,
    /// The last notifications.
    pub last: Vec<Change>,
    /// The number of keys that were stored last.
    pub written: usize,
    rules: Vec<Rule>,
    journal: String,
    receivers: Vec<String>,
    stored: BTreeMap<String, Vec<u8>>,
}

impl Bench {
    pub const MAX_SERIES: usize = 50;

    pub fn new(rules: &[&str]) -> Self {
        Self::of_journal("journal", rules)
    }

    pub fn of_journal(journal: &str, rules: &[&str]) -> Self {
        let rules: Vec<Rule> = rules
            .iter()
            .map(|json| Rule::parse(json).unwrap())
            .collect();
        let receivers = vec!["log".to_owned(), "mail".to_owned()];
        let stored = BTreeMap::new();
        let (core, last) = Core::load(rules.clone(), &receivers, LIMITS, journal, &stored, NOON);
        let mut bench = Self {
            core,
            now_ns: NOON,
            last,
            written: 0,
            rules,
            journal: journal.to_owned(),
            receivers,
            stored,
        };
        bench.store();
        bench
    }

    pub fn at(&mut self, seconds: i64) -> &mut Self {
        self.now_ns = NOON + seconds * SECOND;
        self
    }

    /// Store the changes, as the journal does.
    pub fn store(&mut self) {
        let changes: StateChanges = self.core.changes();
        self.written = changes.len();
        for (key, value) in changes {
            match value {
                Some(value) => drop(self.stored.insert(key, value)),
                None => drop(self.stored.remove(&key)),
            }
        }
    }

    /// Kill the sink, and start it from the stored state.
    pub fn restart(&mut self) {
        let rules = self.rules.clone();
        let (core, changes) = Core::load(
            rules,
            &self.receivers,
            LIMITS,
            &self.journal,
            &self.stored,
            self.now_ns,
        );
        self.core = core;
        self.last = changes;
        self.store();
    }

    pub fn restart_with(&mut self, rules: &[&str]) -> String {
        self.rules = rules
            .iter()
            .map(|json| Rule::parse(json).unwrap())
            .collect();
        self.restart();
        told(&self.last)
    }

    pub fn without_receivers(&mut self) {
        self.receivers.clear();
        self.restart();
    }

    pub fn stored_keys(&self) -> Vec<String> {
        self.stored.keys().cloned().collect()
    }

    pub fn clock_was_moved(&mut self) {
        self.core.restart(self.now_ns);
        self.store();
    }

    fn tell(&mut self, changes: Vec<Change>) -> String {
        self.last = changes;
        self.store();
        told(&self.last)
    }

    /// A present value for every rule.
    pub fn value(&mut self, tags: &[(&str, &str)], value: f64) -> String {
        self.value_of(tags, value, self.now_ns)
    }

    /// A value with another time that arrives now.
    pub fn value_of(&mut self, tags: &[(&str, &str)], value: f64, time_ns: i64) -> String {
        let mut seen = Observations::default();
        seen.point(|add| {
            for (key, value) in tags {
                add(key, value.as_bytes());
            }
        });
        let text = value.to_string();
        for (number, rule) in self.rules.iter().enumerate() {
            seen.see(number, rule, time_ns, self.now_ns, Some((value, &text)));
        }
        let changes = self.core.observe(&seen);
        self.tell(changes)
    }

    pub fn tick(&mut self) -> String {
        let changes = self.core.tick(self.now_ns);
        self.tell(changes)
    }

    pub fn figure(&mut self, tags: &[(&str, &str)], value: f64) -> String {
        let figure = Figure {
            name: "queue_age_s".into(),
            labels: labels(tags),
            value,
        };
        let changes = self.core.figures(&[figure], self.now_ns);
        self.tell(changes)
    }

    pub fn no_figures(&mut self) -> String {
        let changes = self.core.figures(&[], self.now_ns);
        self.tell(changes)
    }

    fn number(&self, key: &str) -> u64 {
        self.core.document()[key].as_u64().unwrap()
    }

    pub fn late(&self) -> u64 {
        self.number("late")
    }

    pub fn beyond(&self) -> u64 {
        self.number("beyond_max_series")
    }

    pub fn series(&self) -> usize {
        let of_rule = |rule: &serde_json::Value| rule["series"].as_u64().unwrap() as usize;
        let document = self.core.document();
        document["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(of_rule)
            .sum()
    }
}

/// `fires since 5, ends: forgotten`; seconds from the start.
fn told(changes: &[Change]) -> String {
    let one = |change: &Change| {
        let since = (change.since_ns - NOON) / SECOND;
        match (change.kind, change.reason) {
            (Kind::Fired, _) => format!("fires since {since}"),
            (Kind::Repeated, _) => format!("again since {since}"),
            (Kind::Resolved, None) => "ends".to_owned(),
            (Kind::Resolved, Some(reason)) => format!("ends: {reason}"),
        }
    };
    changes.iter().map(one).collect::<Vec<_>>().join(", ")
}
