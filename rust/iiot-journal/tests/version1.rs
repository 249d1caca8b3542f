//! A journal of version 1 is taken over with everything in it.

use crate::common::{NOON, SECOND, WAIT, balanced, behind, deliver, options, settings};
use iiot_core::profile::Profile;
use iiot_journal::{ErrorKind, Journal, SourceSettings};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;

/// As version 1 left it: 31 frames, of which the MQTT sink has 3 and the InfluxDB sink 11, one of them a reject; two rejected documents, a rejected value, a
/// duplicate.
fn version_1(folder: &Path) {
    let db = Connection::open(folder.join("journal.db")).unwrap();
    db.execute_batch(include_str!("version1.sql")).unwrap();
}

fn source(folder: &Path) -> SourceSettings {
    let db = Connection::open(folder.join("journal.db")).unwrap();
    let text: String = db
        .query_row("SELECT text FROM profile", [], |r| r.get(0))
        .unwrap();
    SourceSettings {
        profile: Arc::new(Profile::parse(&text).unwrap()),
        tags: vec![("site".into(), "north".into())],
        ..settings("port")
    }
}

fn version(folder: &Path) -> i64 {
    let db = Connection::open(folder.join("journal.db")).unwrap();
    db.query_row("PRAGMA user_version", [], |r| r.get(0))
        .unwrap()
}

/// A look from outside reads version 1 and leaves it as it is.
#[test]
fn a_look_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    version_1(folder.path());
    let path = folder.path().join("journal.db");

    let status = Journal::inspect(&path).unwrap();
    balanced(&status);
    assert_eq!((status.intake["accepted"], status.sinks.len()), (31, 2));
    let rejects = Journal::inspect_rejects(&path, 100).unwrap();
    assert_eq!(rejects.len(), 4);
    assert!(rejects.iter().all(|reject| reject.topic.is_none()));
    assert_eq!(version(folder.path()), 1);
}

/// A damaged journal is refused before it is taken over, so that an older program can still read what is whole.
#[test]
fn a_damaged_one_is_not_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    version_1(folder.path());
    let path = folder.path().join("journal.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch("PRAGMA journal_mode=WAL; UPDATE frames SET crc=crc+1 WHERE first=(SELECT min(first) FROM frames);")
        .unwrap();
    drop(db);
    let before = std::fs::read(&path).unwrap();

    let error = Journal::open(&path, &options()).err().unwrap();

    assert_eq!(error.kind, ErrorKind::Damaged);
    assert!(error.to_string().contains("nothing was changed"), "{error}");
    assert!(std::fs::read(&path).unwrap() == before);
    assert_eq!(version(folder.path()), 1);
}

/// Frames, cursors, rejects, window and counts are what they were: each sink gets the rest once, and a repeat is known.
#[test]
fn everything_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    version_1(folder.path());
    let settings = source(folder.path());

    for round in 0..2 {
        let journal = Journal::open(&folder.path().join("journal.db"), &options()).unwrap();
        let mqtt = journal.add_sink("mqtt", None).unwrap();
        let influxdb = journal.add_sink("influxdb", None).unwrap();
        let mut intake = journal.add_source(settings.clone(), None).unwrap();
        let status = journal.status().unwrap();
        balanced(&status);
        assert_eq!(version(folder.path()), 5);
        assert_eq!(journal.rejects(100).unwrap().len(), 4);
        if round == 1 {
            assert!(
                status.sinks.iter().all(|sink| sink.queued == 0),
                "{status:?}"
            );
            continue;
        }
        assert_eq!(status.intake["duplicate"], 1);
        let (first, second) = (behind(&mqtt), behind(&influxdb));
        let positions = |frames: &[(u64, i64, String)]| -> Vec<u64> {
            frames.iter().map(|(position, _, _)| *position).collect()
        };
        assert_eq!(positions(&first), (4..32).collect::<Vec<u64>>());
        assert_eq!(positions(&second), (12..32).collect::<Vec<u64>>());
        assert_eq!(
            first.first().unwrap(),
            &(
                4,
                NOON + 4 * SECOND,
                r#"{"ts":4000,"n":{"t":4.50,"h":40,"seq":4}}"#.to_owned()
            )
        );

        // The repeat of one that version 1 accepted, and one that is new.
        let lines = "{\"ts\":29000,\"n\":{\"t\":29.50,\"h\":40,\"seq\":29}}\n{\"ts\":32000,\"n\":{\"t\":32.50,\"h\":40,\"seq\":31}}\n";
        intake.push(lines.as_bytes(), NOON + 60 * SECOND).unwrap();
        assert!(intake.settled(WAIT));
        let status = journal.status().unwrap();
        balanced(&status);
        assert_eq!(
            (status.intake["duplicate"], status.intake["accepted"]),
            (2, 32)
        );
        deliver(&mqtt, 33);
        deliver(&influxdb, 33);
    }
}
