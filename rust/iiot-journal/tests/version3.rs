//! A journal of version 3 is taken over with everything in it.

use crate::common::{Collected, NOON, SECOND, WAIT, balanced, options, retried_under, settings};
use iiot_core::profile::Profile;
use iiot_journal::{Journal, SourceSettings, Supply};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;

/// As version 3 left it: 15 frames under topics, one of them moved, two with uptimes; a duplicate, and two rejected documents.
fn version_3(folder: &Path) {
    let db = Connection::open(folder.join("journal.db")).unwrap();
    db.execute_batch(include_str!("version3.sql")).unwrap();
}

fn version(folder: &Path) -> i64 {
    let db = Connection::open(folder.join("journal.db")).unwrap();
    db.query_row("PRAGMA user_version", [], |r| r.get(0))
        .unwrap()
}

/// Frames, times and memories are what they were: a repeat is known, and a reject can be offered again.
#[test]
fn everything_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    version_3(folder.path());
    let path = folder.path().join("journal.db");
    let status = Journal::inspect(&path).unwrap();
    assert_eq!(status.intake["accepted"], 15);
    assert_eq!(version(folder.path()), 3);
    let db = Connection::open(&path).unwrap();
    let text: String = db
        .query_row("SELECT text FROM profile", [], |r| r.get(0))
        .unwrap();
    drop(db);
    let mended = text.replace("v = \"number\"", "v = \"number\", w = \"number\"");

    let journal = Journal::open(&path, &options()).unwrap();
    assert_eq!(version(folder.path()), 5);
    let mut influxdb = journal.add_sink("influxdb", None).unwrap();
    let source = SourceSettings {
        profile: Arc::new(Profile::parse(&text).unwrap()),
        tags: vec![("site".into(), "north".into())],
        supply: Supply::Replayable,
        ..settings("broker")
    };
    let mut intake = journal.add_source(source, None).unwrap();
    let repeat = format!("{{\"v\":11.50,\"at\":{}}}", NOON / SECOND + 11);
    intake
        .push_message(
            Some(b"plant/d2/v"),
            repeat.as_bytes(),
            NOON + 40 * SECOND,
            0,
        )
        .unwrap();
    assert!(intake.settled(WAIT));
    let retried = retried_under("broker", Arc::new(Profile::parse(&mended).unwrap()));
    assert_eq!(journal.retry_rejects(retried, None).unwrap().accepted, 1);
    let status = journal.status().unwrap();
    balanced(&status);
    assert_eq!(
        (status.intake["accepted"], status.intake["duplicate"]),
        (16, 2)
    );

    assert!(journal.sync(WAIT));
    let mut all = Collected::up_to(100);
    for row in influxdb.read(influxdb.position(), 64 << 20).unwrap() {
        let info = influxdb.origin(row.origin).unwrap();
        let mut scan = iiot_core::Scan::new();
        for frame in row.frames() {
            assert_eq!(frame.device, None);
            let decoded = info.decode(&frame, &mut scan).unwrap();
            decoded.write_lines(&info.origin, frame.time(), &mut all.lines);
        }
    }
    let lines = String::from_utf8(all.lines).unwrap();
    assert_eq!(lines.lines().count(), 16);
    let moved = NOON + 1_000_000;
    assert!(
        lines.contains(&format!("m,device=d0,site=north v=99.50 {moved}\n")),
        "{lines}"
    );
}
