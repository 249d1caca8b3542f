//! From a journal to alerts: cursor and state move together, and unconfirmed frames are judged again.

use crate::common::{LIMITS, rule};
use iiot_alerts::{Feed, Limits, Rule};
use iiot_core::Profile;
use iiot_journal::{Batches, Intake, Journal, Options, SourceSettings, Supply, now_ns};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(10);
const NONE: Duration = Duration::ZERO;

const PROFILE: &str = r#"
name = "plant"
[[point]]
filter = "levels/{node}"
measurement = "m"
tags = { node = "{node}" }
fields = { f = "number" }
[[point]]
filter = "other/{node}"
measurement = "other"
tags = { node = "{node}" }
fields = { f = "number", m = "bool" }
"#;

struct Plant {
    journal: Journal,
    intake: Intake,
}

impl Plant {
    fn open(folder: &Path) -> Self {
        let options = Options {
            max_bytes: 8 << 20,
            ..Options::default()
        };
        let journal = Journal::open(&folder.join("journal.db"), &options).unwrap();
        // So that nothing is pruned.
        journal.add_sink("other", None).unwrap();
        let settings = SourceSettings {
            name: "broker".into(),
            profile: Arc::new(Profile::parse(PROFILE).unwrap()),
            topic_prefix: "iiot".into(),
            tags: Vec::new(),
            dedup_window: NONE,
            time_step_us: 1000,
            supply: Supply::Live,
            max_document_bytes: 65_536,
            rtt_channel: None,
            is_shared: false,
        };
        let intake = journal.add_source(settings, None).unwrap();
        Self { journal, intake }
    }

    fn feed(&self, rules: &[&str]) -> Feed {
        let batches = Batches::new(self.journal.add_sink("alerts", None).unwrap());
        let rules: Vec<Rule> = rules
            .iter()
            .map(|json| Rule::parse(json).unwrap())
            .collect();
        let limits = Limits {
            group_ns: 0,
            ..LIMITS
        };
        let receivers = ["log".to_owned(), "mail".to_owned()];
        Feed::new(batches, rules, &receivers, limits, self.journal.id()).unwrap()
    }

    fn publish(&mut self, topic: &str, document: &str) {
        let topic = Some(topic.as_bytes());
        self.intake
            .push_message(topic, document.as_bytes(), now_ns(), 0)
            .unwrap();
        assert!(self.intake.settled(WAIT));
    }
}

fn firing(feed: &Feed) -> u64 {
    feed.document()["rules"][0]["firing"].as_u64().unwrap()
}

/// A notification that was sealed before a kill is unchanged after it. One that was sent is gone, and no frame is judged twice.
#[test]
fn a_kill_loses_nothing_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let json = rule(r#""above": 10"#);
    let mut plant = Plant::open(folder.path());
    let feed = plant.feed(&[&json]);
    plant.publish("levels/a", r#"{"f": 11}"#);
    plant.publish("levels/b", r#"{"f": 9}"#);
    plant.publish("other/a", r#"{"f": 99}"#);
    let delivered = feed.deliver(NONE, WAIT).unwrap().unwrap();
    assert_eq!((delivered.frames, firing(&feed)), (3, 1));
    let sealed = feed.take("log").unwrap().unwrap();
    assert_eq!(feed.take("mail").unwrap(), None, "the rule tells the log");
    assert!(feed.tried("log", &sealed.id, false).unwrap());
    plant.publish("levels/b", r#"{"f": 12}"#);
    drop(feed);
    drop(plant);

    let plant = Plant::open(folder.path());
    let feed = plant.feed(&[&json]);
    assert_eq!(firing(&feed), 1);
    assert_eq!(feed.take("log").unwrap().unwrap(), sealed);
    assert_eq!(feed.deliver(NONE, WAIT).unwrap().unwrap().frames, 1);
    assert_eq!(firing(&feed), 2);
    assert_eq!(feed.take("log").unwrap().unwrap(), sealed, "first of all");
    assert!(feed.tried("log", &sealed.id, true).unwrap());
    assert!(!feed.tried("log", &sealed.id, true).unwrap());
    let next = feed.take("log").unwrap().unwrap();
    assert_ne!(next.id, sealed.id);
    assert_eq!(next.entries[0].labels, [("node".into(), "b".into())]);
    assert!(feed.tried("log", &next.id, true).unwrap());
    drop(feed);
    drop(plant);

    let plant = Plant::open(folder.path());
    let feed = plant.feed(&[&json]);
    assert_eq!(feed.take("log").unwrap(), None);
    assert_eq!(feed.deliver(NONE, NONE).unwrap(), None);
    let status = plant.journal.status().unwrap();
    let sink = status.sinks.iter().find(|s| s.name == "alerts").unwrap();
    assert_eq!((sink.accepted, sink.delivered, sink.queued), (4, 4, 0));
}

/// Changes that cannot be stored are neither sent nor forgotten; here the journal is closed in between.
#[test]
fn what_cannot_be_stored_is_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let json = rule(r#""above": 10"#);
    let mut plant = Plant::open(folder.path());
    let feed = plant.feed(&[&json]);
    plant.publish("levels/a", r#"{"f": 11}"#);
    feed.deliver(NONE, WAIT).unwrap().unwrap();
    plant.journal.close(WAIT).unwrap();
    assert!(feed.take("log").is_err());
    assert!(feed.take("log").is_err(), "sealed, and still not stored");
    drop(feed);
    drop(plant);

    let plant = Plant::open(folder.path());
    let feed = plant.feed(&[&json]);
    assert_eq!(feed.take("log").unwrap().unwrap().entries.len(), 1);
}

/// Profiles select rules, and a boolean counts as 1 or 0. A text and a missing field are ignored.
#[test]
fn values_are_those_of_the_field() {
    let folder = tempfile::tempdir().unwrap();
    let mut plant = Plant::open(folder.path());
    let of_other =
        rule(r#""above": 0.5"#).replace("\"measurement\": \"m\"", "\"measurement\": \"other\"");
    let of_bool = of_other.replace("\"field\": \"f\"", "\"field\": \"m\"");
    let of_nobody = rule(r#""above": 1, "profiles": ["nobody"]"#).replace("\"r\"", "\"n\"");
    let feed = plant.feed(&[&of_bool, &of_nobody]);
    plant.publish("other/a", r#"{"f": 1}"#);
    plant.publish("levels/a", r#"{"f": 7}"#);
    feed.deliver(NONE, WAIT).unwrap().unwrap();
    assert_eq!(firing(&feed), 0);
    plant.publish("other/a", r#"{"m": true}"#);
    feed.deliver(NONE, WAIT).unwrap().unwrap();
    assert_eq!(firing(&feed), 1);
    assert_eq!(feed.document()["rules"][1]["series"], 0);
}

/// A device that was silent when the gateway was killed is not silent because of that.
#[test]
fn silence_is_of_the_devices_that_were_heard() {
    let folder = tempfile::tempdir().unwrap();
    let json = r#"{"name": "s", "of": "silence", "severity": "warning", "receivers": ["log"], "measurement": "m", "by": ["node"], "silent_s": 0.2}"#;
    let mut plant = Plant::open(folder.path());
    let feed = plant.feed(&[json]);
    plant.publish("levels/a", r#"{"f": 1}"#);
    plant.publish("other/b", r#"{"f": 1}"#);
    feed.deliver(NONE, WAIT).unwrap().unwrap();
    assert_eq!(firing(&feed), 0);
    let until = std::time::Instant::now() + WAIT;
    while firing(&feed) == 0 && std::time::Instant::now() < until {
        feed.deliver(NONE, Duration::from_millis(20)).unwrap();
    }
    let told = feed.take("log").unwrap().unwrap();
    assert_eq!(told.entries.len(), 1);
    assert_eq!(told.entries[0].labels, [("node".into(), "a".into())]);
}
