//! Notices for receivers are collected, coalesced, sealed, bounded, and dropped when they are too old.

use crate::common::{Bench, HOUR, LIMITS, NOON, SECOND, rule};
use iiot_alerts::Notification;
use serde_json::Value;

fn node(bench: &mut Bench, name: &str, value: f64) {
    bench.value(&[("node", name)], value);
}

fn take(bench: &mut Bench, receiver: &str) -> Option<Notification> {
    let now_ns = bench.now_ns;
    let taken = bench.core.take(receiver, now_ns);
    bench.store();
    taken
}

fn count(bench: &Bench, receiver: &str, key: &str) -> u64 {
    bench.core.document()["receivers"][receiver][key]
        .as_u64()
        .unwrap()
}

fn states(notification: &Notification) -> Vec<(&str, bool)> {
    let entries = notification.entries.iter();
    entries
        .map(|entry| (entry.labels[0].1.as_str(), entry.is_firing))
        .collect()
}

/// Alerts of one rule are sent together after `group_s`. A newer change replaces one that was not sent.
#[test]
fn changes_gather_and_newer_ones_replace_older_ones() {
    let mut bench = Bench::new(&[&rule(r#""above": 10"#)]);
    node(bench.at(0), "a", 11.0);
    node(bench.at(3), "b", 11.0);
    assert_eq!(take(bench.at(9), "log"), None);
    node(&mut bench, "a", 1.0);
    let told = take(bench.at(10), "log").unwrap();
    assert_eq!(states(&told), [("a", false), ("b", true)]);
    assert_eq!(count(&bench, "log", "coalesced"), 1);
    // No later change alters a sealed notification, even over a restart.
    node(bench.at(11), "b", 1.0);
    bench.at(12).restart();
    assert_eq!(take(bench.at(30), "log").unwrap(), told);
    assert!(bench.core.tried("log", &told.id, false));
    assert!(bench.core.tried("log", &told.id, true));
    bench.store();
    bench.restart();
    let next = take(&mut bench, "log").unwrap();
    assert_eq!(states(&next), [("b", false)]);
    assert_ne!(next.id, told.id);
    assert_eq!(
        (count(&bench, "log", "sent"), count(&bench, "log", "failed")),
        (1, 1)
    );
}

/// A receiver that is away has a bounded queue, and other receivers are not affected.
#[test]
fn the_queue_of_one_receiver_is_bounded() {
    let to_both = rule(r#""above": 10"#).replace("[\"log\"]", "[\"log\", \"mail\"]");
    let mut bench = Bench::new(&[&to_both]);
    for (second, name) in (0..).zip(["a", "b", "c", "d", "e", "f", "g"]) {
        node(bench.at(second), name, 11.0);
    }
    assert_eq!(count(&bench, "mail", "waiting"), LIMITS.max_waiting as u64);
    assert_eq!(count(&bench, "mail", "dropped"), 2);
    let told = take(bench.at(20), "log").unwrap();
    assert_eq!(
        states(&told),
        [
            ("c", true),
            ("d", true),
            ("e", true),
            ("f", true),
            ("g", true)
        ]
    );
    assert!(bench.core.tried("log", &told.id, true));
    assert_eq!(
        (
            count(&bench, "log", "waiting"),
            count(&bench, "mail", "waiting")
        ),
        (0, 5)
    );
}

/// After a day notices are dropped, both sealed and collected ones.
#[test]
fn what_is_too_old_expires() {
    let mut bench = Bench::new(&[&rule(r#""above": 10"#)]);
    node(bench.at(0), "a", 11.0);
    let sealed = take(bench.at(10), "log").unwrap();
    node(bench.at(20), "a", 1.0);
    bench.now_ns = NOON + 24 * HOUR + SECOND;
    let next = take(&mut bench, "log").unwrap();
    assert_ne!(next.id, sealed.id);
    assert_eq!(count(&bench, "log", "expired"), 1);
    bench.now_ns += 24 * HOUR;
    assert_eq!(take(&mut bench, "log"), None);
    assert_eq!(
        (
            count(&bench, "log", "expired"),
            count(&bench, "log", "waiting")
        ),
        (2, 0)
    );
}

/// An alert that was never sent is never repeated. A repetition has the alert's id, and a notification id of its own.
#[test]
fn a_repetition_says_that_it_is_one() {
    let mut bench = Bench::new(&[&rule(r#""above": 10"#)]);
    node(bench.at(0), "a", 11.0);
    bench.at(4 * 3600).tick();
    let first = take(&mut bench, "log").unwrap();
    assert!(!first.entries[0].is_repeated);
    assert!(bench.core.tried("log", &first.id, true));
    bench.at(8 * 3600).tick();
    let again = take(bench.at(8 * 3600 + 10), "log").unwrap();
    assert!(again.entries[0].is_repeated);
    assert_eq!(again.entries[0].id, first.entries[0].id);
    assert_ne!(again.id, first.id);
}

/// A receiver that is no longer configured leaves nothing behind. The API shows the remaining ones.
#[test]
fn what_nobody_reads_goes() {
    let mut bench = Bench::new(&[&rule(r#""above": 10"#)]);
    node(bench.at(0), "a", 11.0);
    take(bench.at(10), "log").unwrap();
    bench.without_receivers();
    assert!(
        bench
            .stored_keys()
            .iter()
            .all(|key| key.starts_with("rule/") || key.starts_with("series/"))
    );
    let document = bench.core.document();
    assert_eq!(document["receivers"], Value::Object(serde_json::Map::new()));
    assert_eq!(document["rules"][0]["alerts"][0]["labels"]["node"], "a");
}
