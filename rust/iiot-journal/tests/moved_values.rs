//! Values that were moved within their document share no time with values of the documents beside it, in a stream without topics.

use crate::common::{NOON, SECOND, WAIT, open, settings};
use iiot_core::Scan;
use iiot_core::profile::Profile;
use iiot_journal::{Journal, SourceSettings};
use std::path::Path;
use std::sync::Arc;

const LIST: &str = "name = \"list\"\n[clock]\nage_ms = \"age\"\n[time]\npath = \"at\"\nformat = \"unix_s\"\n\
                    [[metric]]\npath = \"list[*]\"\nmeasurement = \"m\"\n";

/// Value and time of each line, in milliseconds after noon, of documents that arrive in one chunk at noon.
fn lines(folder: &Path, stream: &str) -> Vec<(String, i64)> {
    let journal = open(folder);
    let mut cursor = journal.add_sink("influxdb", None).unwrap();
    let source = SourceSettings {
        profile: Arc::new(Profile::parse(LIST).unwrap()),
        ..settings("serial")
    };
    let mut intake = journal.add_source(source, None).unwrap();
    intake.push(stream.as_bytes(), NOON).unwrap();
    assert!(intake.settled(WAIT));
    let (mut scan, mut text) = (Scan::new(), Vec::new());
    for row in cursor.read(cursor.position(), 64 << 20).unwrap() {
        let info = cursor.origin(row.origin).unwrap();
        for frame in row.frames() {
            let decoded = info.decode(&frame, &mut scan).unwrap();
            decoded.write_lines(&info.origin, frame.time(), &mut text);
        }
    }
    let text = String::from_utf8(text).unwrap();
    let lines = text.lines().map(|line| {
        let (value, time_ns) = line.rsplit_once(' ').unwrap();
        let value = value.trim_start_matches("m value=").to_owned();
        (value, (time_ns.parse::<i64>().unwrap() - NOON) / 1_000_000)
    });
    lines.collect()
}

fn doubted(journal: &Journal) -> i64 {
    let status = journal.status().unwrap();
    status
        .times_not_believed
        .get("serial")
        .copied()
        .unwrap_or(0)
}

#[test]
fn they_come_after_the_document_before_and_before_the_document_behind() {
    let folder = tempfile::tempdir().unwrap();
    let stream = "{\"list\":[1]}\n{\"list\":[2,3]}\n{\"list\":[4]}\n{\"list\":[5,6,7]}\n";
    let times: Vec<i64> = lines(folder.path(), stream).iter().map(|it| it.1).collect();
    assert_eq!(times, [0, 1, 2, 3, 4, 5, 6]);
}

/// The document has the time of its arrival, and so have its neighbours.
#[test]
fn a_time_that_is_not_believed_makes_no_difference() {
    let folder = tempfile::tempdir().unwrap();
    let stream = "{\"list\":[1]}\n{\"at\":5,\"list\":[2,3]}\n{\"list\":[4]}\n";
    let times: Vec<i64> = lines(folder.path(), stream).iter().map(|it| it.1).collect();
    assert_eq!(times, [0, 1, 2, 3]);
}

/// A document's own time is that of its values, however long they waited. What cannot be right is counted once per document.
#[test]
fn an_age_counts_for_documents_without_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let at_s = NOON / SECOND - 60;
    let stream = format!(
        "{{\"at\":{at_s},\"age\":5000,\"list\":[1]}}\n{{\"age\":5000,\"list\":[2]}}\n{{\"at\":5,\"age\":18446744073709551615,\"list\":[3]}}\n"
    );
    let times: Vec<i64> = lines(folder.path(), &stream)
        .iter()
        .map(|it| it.1)
        .collect();
    assert_eq!(times[0], -60_000);
    assert!((-5_000..-4_990).contains(&times[1]), "{times:?}");
    assert!((0..10).contains(&times[2]), "{times:?}");
    assert_eq!(doubted(&open(folder.path())), 1);
}
