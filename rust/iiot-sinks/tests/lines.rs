//! Batches of lines: with any limits, they have the same lines of the same frames, and every line can be traced to its frame and point.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use iiot_core::{Integers, Profile};
use iiot_journal::{Batches, Journal, Options, SourceSettings, Supply, SyncMode};
use iiot_sinks::lines::{LineFormat, LineLimits, LineReader, Lines};
use proptest::prelude::*;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const NOON_NS: i64 = 1_700_000_000_000_000_000;
const NO_LIMITS: LineLimits = LineLimits {
    lines: usize::MAX,
    bytes: usize::MAX,
};

const PROFILE: &str = r#"
name = "t"
[[point]]
each = "values[*]"
measurement = "m"
tags = { n = "{n}" }
fields = { v = "integer" }
"#;

/// A journal with one frame per number, each with that number of points.
fn journal(folder: &Path, points: &[usize]) -> (Journal, LineReader) {
    journal_with(folder, points, LineFormat::Influx(Integers::Typed))
}

fn journal_with(folder: &Path, points: &[usize], format: LineFormat) -> (Journal, LineReader) {
    let options = Options {
        sync: SyncMode::Full,
        max_bytes: 8 << 20,
        ..Options::default()
    };
    let journal = Journal::open(&folder.join("journal.db"), &options).unwrap();
    let batches = Batches::new(journal.add_sink("db", None).unwrap());
    let settings = SourceSettings {
        name: "s".into(),
        profile: Arc::new(Profile::parse(PROFILE).unwrap()),
        topic_prefix: "iiot".into(),
        tags: Vec::new(),
        dedup_window: Duration::ZERO,
        time_step_us: 1000,
        supply: Supply::Live,
        max_document_bytes: 65_536,
        rtt_channel: None,
        is_shared: false,
    };
    let mut intake = journal.add_source(settings, None).unwrap();
    for (frame, &count) in points.iter().enumerate() {
        let values: Vec<_> = (0..count)
            .map(|point| format!(r#"{{"n":"{frame}.{point}","v":{point}}}"#))
            .collect();
        let document = format!("{{\"values\":[{}]}}\n", values.join(","));
        intake.push(document.as_bytes(), NOON_NS).unwrap();
    }
    assert!(intake.settled(Duration::from_secs(20)));
    (journal, LineReader::new(batches, format))
}

fn next(reader: &mut LineReader, limits: LineLimits) -> Option<Lines> {
    reader.next(limits, Duration::ZERO, Duration::ZERO).unwrap()
}

/// The tag of a line, which names its frame and its point.
fn tag(line: &[u8]) -> String {
    let text = std::str::from_utf8(line).unwrap();
    let (tag, _) = text.strip_prefix("m,n=").unwrap().split_once(' ').unwrap();
    tag.to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// No limit cuts a frame, and each line's place is its frame and its point.
    #[test]
    fn limits_change_no_line(
        points in prop::collection::vec(1usize..5, 1..30),
        lines in 1usize..20,
        bytes in 1usize..600,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (_journal, mut reader) = journal(folder.path(), &points);
        let all = next(&mut reader, NO_LIMITS).unwrap();
        reader.rewind();

        let (mut text, mut end) = (Vec::new(), 1);
        while let Some(batch) = next(&mut reader, LineLimits { lines, bytes }) {
            prop_assert_eq!(batch.positions.start, end);
            end = batch.positions.end;
            let last = batch.frames() - 1;
            let before_the_last: usize = points[end as usize - 2 - last..end as usize - 2].iter().sum();
            prop_assert!(last == 0 || before_the_last < lines, "a full batch took one frame more");
            for index in 0..batch.len() {
                let line = batch.line(index).unwrap();
                let (position, point) = batch.place(index).unwrap();
                prop_assert_eq!(tag(line), format!("{}.{point}", position - 1));
            }
            prop_assert_eq!(batch.place(batch.len()), None);
            text.extend_from_slice(&batch.text);
        }
        prop_assert_eq!(end, points.len() as u64 + 1);
        prop_assert!(text == all.text);
    }
}

#[test]
fn what_was_refused_is_a_reject_of_its_frame_and_point() {
    //! Frames are counted once, however many of their lines were refused; rejects stand in the order of their places.
    let folder = tempfile::tempdir().unwrap();
    let (_journal, mut reader) = journal(folder.path(), &[2, 1, 3]);
    let batch = next(&mut reader, NO_LIMITS).unwrap();
    let refused = [5, 0, 4].map(|line| (line, format!("because of {line}")));

    let confirmation = batch.confirmation(refused.to_vec()).unwrap();

    assert_eq!(
        (
            confirmation.from,
            confirmation.end,
            confirmation.delivered,
            confirmation.rejected
        ),
        (1, 4, 1, 2)
    );
    let rejects: Vec<_> = confirmation
        .rejects
        .iter()
        .map(|reject| (reject.position, reject.point, reject.reason.as_str()))
        .collect();
    assert_eq!(
        rejects,
        [
            (1, 0, "because of 0"),
            (3, 1, "because of 4"),
            (3, 2, "because of 5")
        ]
    );
    assert_eq!(
        confirmation.rejects[0].excerpt,
        "m,n=0.0 v=0i 1700000000000000000"
    );
    assert!(batch.confirmation(vec![(6, String::new())]).is_none());
}

#[test]
fn points_are_written_as_json_too() {
    //! One line per point, at the same places.
    let folder = tempfile::tempdir().unwrap();
    let (_journal, mut reader) = journal_with(folder.path(), &[1, 2], LineFormat::Json);

    let batch = next(&mut reader, NO_LIMITS).unwrap();

    let line: serde_json::Value = serde_json::from_slice(batch.line(2).unwrap()).unwrap();
    assert_eq!(
        (&line["measurement"], &line["tags"], &line["fields"]),
        (&json!("m"), &json!({"n": "1.1"}), &json!({"v": 1}))
    );
    assert_eq!((batch.len(), batch.place(2)), (3, Some((2, 1))));
}

#[test]
fn parts_are_those_of_the_text() {
    //! Any range of lines; none beyond them.
    let folder = tempfile::tempdir().unwrap();
    let (_journal, mut reader) = journal(folder.path(), &[2, 2]);
    let batch = next(&mut reader, NO_LIMITS).unwrap();

    assert_eq!(batch.part(0..4), Some(&batch.text[..]));
    assert_eq!(batch.part(1..1), Some(&b""[..]));
    assert_eq!(tag(batch.part(3..4).unwrap()), "1.1");
    assert_eq!(batch.part(3..5), None);
    let last: Vec<_> = batch
        .last_lines(0..3, 9)
        .into_iter()
        .map(|(name, line)| (name, tag(line)))
        .collect();
    assert_eq!(last, [(&b"m"[..], "1.0".to_owned())]);
}
