//! A document that says how long its values had waited gets the time at which they were measured.

use crate::common::{NOON, SECOND, WAIT, behind, document, open, profile, retried_under, settings};
use iiot_core::profile::Profile;
use iiot_journal::SourceSettings;
use std::sync::Arc;

fn late(age_ms: u64, seq: u64) -> String {
    format!(r#"{{"ts":5,"id":"N2","age":{age_ms},"n1":{{"t":1.5,"seq":{seq}}}}}"#)
}

#[test]
fn values_that_waited_get_their_own_time() {
    //! Whatever else came between, and without changing the times of those that did not wait.
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("mqtt", None).unwrap();
    let mut intake = journal.add_source(settings("serial"), None).unwrap();

    for text in [
        document(10_000, 1, 30),
        late(25_000, 28),
        late(15_000, 29),
        document(20_000, 2, 31),
    ] {
        intake.push(format!("{text}\n").as_bytes(), NOON).unwrap();
    }
    assert!(intake.settled(WAIT));

    let step = SECOND / 1000;
    let times: Vec<i64> = behind(&cursor)
        .iter()
        .map(|(_, time_ns, _)| time_ns - NOON)
        .collect();
    assert_eq!(
        times,
        [0, step - 25 * SECOND, 2 * step - 15 * SECOND, 3 * step]
    );
}

#[test]
fn an_age_that_cannot_be_right_is_counted() {
    //! The document gets the time of its arrival.
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("mqtt", None).unwrap();
    let mut intake = journal.add_source(settings("serial"), None).unwrap();

    let text = late(12_345_678_901_234_567_890, 28) + "\n";
    intake.push(text.as_bytes(), NOON).unwrap();
    assert!(intake.settled(WAIT));

    assert_eq!(behind(&cursor)[0].1, NOON);
    let status = journal.status().unwrap();
    assert_eq!(status.times_not_believed["serial"], 1);
}

#[test]
fn an_age_that_cannot_be_right_is_counted_when_a_reject_is_retried() {
    //! Only then: while the profile uses nothing of the document, nobody asks for its time.
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("mqtt", None).unwrap();
    let blind = "name = \"lora-bridge\"\n[[metric]]\npath = \"x\"\nmeasurement = \"x\"\n";
    let blind = SourceSettings {
        profile: Arc::new(Profile::parse(blind).unwrap()),
        ..settings("serial")
    };
    let mut intake = journal.add_source(blind, None).unwrap();
    let text = late(12_345_678_901_234_567_890, 28) + "\n";
    intake.push(text.as_bytes(), NOON).unwrap();
    assert!(intake.settled(WAIT));
    assert!(journal.status().unwrap().times_not_believed.is_empty());

    let retried = journal
        .retry_rejects(retried_under("serial", profile()), None)
        .unwrap();

    assert_eq!((retried.accepted, retried.still_rejected), (1, 0));
    assert_eq!(behind(&cursor)[0].1, NOON);
    let status = journal.status().unwrap();
    assert_eq!(status.times_not_believed["serial"], 1);
}
