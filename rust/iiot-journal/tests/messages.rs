//! Messages: documents that came whole, each under a topic.

use crate::common::{NOON, SECOND, WAIT, balanced, open, retried_under, settings};
use iiot_core::profile::Profile;
use iiot_core::scan::Scan;
use iiot_journal::{Cursor, SourceSettings, Supply};
use std::sync::Arc;

fn profile(filter: &str) -> Arc<Profile> {
    let text = format!(
        "name = \"plant\"\n[time]\npath = \"at\"\nformat = \"auto\"\n[[point]]\nfilter = \"{filter}\"\nmeasurement = \"m\"\ntags = {{ device = \"{{device}}\" }}\nfields = {{ v = \"number\" }}\n"
    );
    Arc::new(Profile::parse(&text).unwrap())
}

fn plant() -> SourceSettings {
    SourceSettings {
        profile: profile("plant/{device}/v"),
        ..settings("plant")
    }
}

/// The lines of all frames.
fn lines(cursor: &mut Cursor) -> Vec<String> {
    let mut scan = Scan::new();
    let mut text = Vec::new();
    for row in cursor.read(cursor.position(), 64 << 20).unwrap() {
        let info = cursor.origin(row.origin).unwrap();
        for frame in row.frames() {
            let decoded = info.decode(&frame, &mut scan).unwrap();
            decoded.write_lines(&info.origin, frame.time(), &mut text);
        }
    }
    String::from_utf8(text)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Topics belong to frames, and stand once in a row: ten thousand of them do not make ten thousand rows.
#[test]
fn many_topics_share_rows() {
    let folder = tempfile::tempdir().unwrap();
    {
        let journal = open(folder.path());
        journal.add_sink("influxdb", None).unwrap();
        let settings = SourceSettings {
            supply: Supply::Replayable,
            ..plant()
        };
        let mut intake = journal.add_source(settings, None).unwrap();
        for n in 0..10_000 {
            let topic = format!("plant/device{n}/v");
            intake
                .push_message(
                    Some(topic.as_bytes()),
                    b"{\"v\":1.50}",
                    NOON + n * SECOND,
                    0,
                )
                .unwrap();
        }
        assert!(intake.settled(WAIT));
        let status = journal.status().unwrap();
        balanced(&status);
        assert_eq!(status.intake["accepted"], 10_000);
    }
    // Read from the file, not from what was in memory.
    let journal = open(folder.path());
    let mut cursor = journal.add_sink("influxdb", None).unwrap();
    let rows = cursor.read(cursor.position(), 64 << 20).unwrap();
    assert!(rows.len() < 500, "{} rows", rows.len());
    let lines = lines(&mut cursor);
    assert_eq!(lines.len(), 10_000);
    let last = NOON + 9_999 * SECOND;
    assert_eq!(lines[9_999], format!("m,device=device9999 v=1.50 {last}"));
}

/// A time that cannot be right is not believed: the message gets that of its arrival, and is counted for its source.
#[test]
fn a_wrong_time_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut cursor = journal.add_sink("influxdb", None).unwrap();
    let mut intake = journal.add_source(plant(), None).unwrap();
    let believed = NOON / SECOND - 60;
    for at in [believed, 12, NOON / SECOND + 90_000] {
        let document = format!("{{\"v\":1,\"at\":{at}}}");
        intake
            .push_message(Some(b"plant/d/v"), document.as_bytes(), NOON, 0)
            .unwrap();
    }
    assert!(intake.settled(WAIT));
    let status = journal.status().unwrap();
    assert_eq!(status.times_not_believed["plant"], 2);
    assert_eq!(
        lines(&mut cursor),
        [
            format!("m,device=d v=1 {believed}000000000"),
            format!("m,device=d v=1 {NOON}"),
            format!("m,device=d v=1 {}", NOON + 1_000_000),
        ]
    );
}

/// Items without a time follow each other by a millisecond, and the next message comes behind all of them.
#[test]
fn messages_of_several_items_do_not_overwrite_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut cursor = journal.add_sink("influxdb", None).unwrap();
    let mut intake = journal.add_source(plant(), None).unwrap();
    for document in [
        "[{\"v\":1},{\"v\":2},{\"v\":3}]",
        "[{\"v\":4},{\"v\":5}]",
        "{\"v\":6}",
    ] {
        intake
            .push_message(Some(b"plant/d/v"), document.as_bytes(), NOON, 0)
            .unwrap();
    }
    assert!(intake.settled(WAIT));
    let expected: Vec<String> = (0..6)
        .map(|n| format!("m,device=d v={} {}", n + 1, NOON + n * 1_000_000))
        .collect();
    assert_eq!(lines(&mut cursor), expected);
}

/// A message that no point accepts is a reject with its topic, and a profile that takes the topic gets it back. Only then is its time looked at.
#[test]
fn a_reject_knows_its_topic() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut cursor = journal.add_sink("influxdb", None).unwrap();
    let mut intake = journal.add_source(plant(), None).unwrap();
    intake
        .push_message(Some(b"plant/d/w"), b"{\"v\":2,\"at\":12}", NOON, 0)
        .unwrap();
    intake
        .push_message(Some(b"plant/d/v"), b"{\"v\":tru}", NOON, 0)
        .unwrap();
    assert!(intake.settled(WAIT));

    let rejects = journal.rejects(100).unwrap();
    let told: Vec<_> = rejects
        .iter()
        .map(|r| (r.reason.as_str(), r.topic.as_deref(), r.place.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (
                "expected_value",
                Some("plant/d/v"),
                "message to plant/d/v: expected a value at byte 8"
            ),
            (
                "topic_not_accepted",
                Some("plant/d/w"),
                "message to plant/d/w: no filter of the profile's points matches the topic plant/d/w"
            ),
        ]
    );

    let retried = journal
        .retry_rejects(retried_under("plant", profile("plant/{device}/+")), None)
        .unwrap();
    assert_eq!((retried.accepted, retried.still_rejected), (1, 1));
    let status = journal.status().unwrap();
    balanced(&status);
    assert_eq!(status.times_not_believed["plant"], 1);
    assert_eq!(lines(&mut cursor), [format!("m,device=d v=2 {NOON}")]);
}
