//! Bytes of stored frames that changed on the disk: found at the open, or when they are read.

use crate::common::*;
use iiot_journal::{Batches, Confirmation, ErrorKind, Journal, SinkReject};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A closed journal with three rows: frames 1 to 10, 11 to 20, 21 to 30. Nobody has had them.
fn three_rows(folder: &Path) -> PathBuf {
    let path = folder.join("journal.db");
    let journal = open(folder);
    journal.add_sink("db", None).unwrap();
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    for from in [1, 11, 21] {
        push(&mut intake, from, from + 10);
    }
    journal.close(WAIT).unwrap();
    path
}

/// Change two bytes of a text wherever it stands: pages keep copies of rows that were moved.
fn change_two_bytes(path: &Path, text: &str) {
    let mut bytes = std::fs::read(path).unwrap();
    let places: Vec<usize> = bytes
        .windows(text.len())
        .enumerate()
        .filter(|(_, window)| *window == text.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + 2].copy_from_slice(b"??");
    }
    std::fs::write(path, bytes).unwrap();
}

/// What changed on the disk under a running gateway, whose own memory has forgotten the rows.
fn damage_running(path: &Path, first: u64) {
    let db = rusqlite::Connection::open(path).unwrap();
    let changed = db.execute(
        "UPDATE frames SET body=CAST(replace(body, '84190', '84191') AS BLOB) WHERE first=?1",
        [first as i64],
    );
    assert_eq!(changed.unwrap(), 1);
}

/// Two bytes of a stored body are enough: the journal is refused, by position and with a remedy, and left as it is.
#[test]
fn a_changed_body_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = three_rows(folder.path());
    change_two_bytes(&path, "\"seq\":15}");
    let before = std::fs::read(&path).unwrap();

    let error = Journal::open(&path, &options()).err().unwrap();

    assert_eq!(error.kind, ErrorKind::Damaged);
    let text = error.to_string();
    for part in [
        path.to_str().unwrap(),
        "frames 11 to 20 fail their checksum",
        "nothing was changed",
        "move it and its -wal file away",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(
        std::fs::read(&path).unwrap() == before,
        "the file is as it was"
    );
}

/// Stretches are told as such, also at the end of the file.
#[test]
fn every_damaged_stretch_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = three_rows(folder.path());
    for seq in [15, 25] {
        change_two_bytes(&path, &format!("\"seq\":{seq}}}"));
    }

    let error = Journal::open(&path, &options()).err().unwrap();

    assert!(
        error.to_string().contains("(frames 11 to 30 fail"),
        "{error}"
    );
}

/// Damage that comes while the gateway runs: sinks have what stands before it, then an error that names it.
#[test]
fn a_row_that_is_damaged_later_is_told_of_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = three_rows(folder.path());
    let journal = open(folder.path());
    let cursor = journal.add_sink("db", None).unwrap();
    damage_running(&path, 11);

    let rows = cursor.read(1, 1 << 20).unwrap();
    let error = cursor.read(11, 1 << 20).err().unwrap();

    assert_eq!(rows.iter().map(|r| r.first).collect::<Vec<_>>(), [1]);
    assert_eq!(error.kind, ErrorKind::Damaged);
    let text = error.to_string();
    assert!(
        text.contains("frames 11 to 20 fail their checksum"),
        "{text}"
    );
    assert!(
        text.contains("stop the gateway, move the journal"),
        "{text}"
    );
}

/// A damaged row ends the batch before it, and is told at its turn, again and again.
#[test]
fn a_batch_ends_before_a_damaged_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = three_rows(folder.path());
    let journal = open(folder.path());
    let mut batches = Batches::new(journal.add_sink("db", None).unwrap());
    damage_running(&path, 11);

    let mut collected = Collected::up_to(100);
    let first = batches.next(&mut collected, Duration::ZERO, WAIT).unwrap();

    assert_eq!(first, Some(1..11));
    assert_eq!(collected.positions, (1..11).collect::<Vec<_>>());
    for _ in 0..2 {
        let mut collected = Collected::up_to(100);
        let error = batches.next(&mut collected, Duration::ZERO, WAIT).err();
        assert_eq!(error.unwrap().kind, ErrorKind::Damaged);
        assert!(collected.positions.is_empty());
    }
}

/// A sink that had a frame before it was damaged is believed what it says of it, and intake goes on.
#[test]
fn a_confirmation_of_damaged_frames_stalls_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = three_rows(folder.path());
    let journal = open(folder.path());
    let cursor = journal.add_sink("db", None).unwrap();
    damage_running(&path, 11);

    let reject = SinkReject {
        position: 12,
        point: 0,
        field: None,
        reason: "field type conflict".into(),
        excerpt: "humidity value=54.1".into(),
    };
    let c = Confirmation {
        from: 1,
        end: 21,
        delivered: 19,
        rejected: 1,
        rejects: vec![reject],
        ..Confirmation::default()
    };
    cursor.confirmer().confirm(c).unwrap();

    assert!(cursor.confirmer().wait_settled(21, WAIT));
    assert_eq!(journal.stalled(), None);
    let status = journal.status().unwrap();
    balanced(&status);
    assert_eq!((status.sinks[0].rejected, status.sinks[0].queued), (1, 10));
}
