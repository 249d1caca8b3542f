//! Beginning to follow a journal that holds frames already.

use crate::common::*;

/// What was committed before anybody looked was left out of no look, however little of it is shown.
#[test]
fn frames_from_before_the_first_look_are_not_called_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.add_sink("mqtt", None).unwrap();
    let mut intake = journal.add_source(settings("a"), None).unwrap();
    for seq in 1..30 {
        push(&mut intake, seq, seq + 1);
    }

    let look = journal.tap(2048).unwrap().look();

    assert!(!look.rows.is_empty() && look.rows.len() < 29);
    assert_eq!(look.rows.last().unwrap().end(), 30);
    assert_eq!(look.left_out, 0);
}

/// A frame that is damaged while the gateway runs is for the sinks to tell of; who begins to look is shown what came behind it.
#[test]
fn a_damaged_frame_keeps_nobody_from_looking() {
    let folder = tempfile::tempdir().unwrap();
    {
        let journal = open(folder.path());
        journal.add_sink("mqtt", None).unwrap();
        let mut intake = journal.add_source(settings("a"), None).unwrap();
        for seq in 1..4 {
            push(&mut intake, seq, seq + 1);
        }
    }
    let journal = open(folder.path());
    let db = rusqlite::Connection::open(folder.path().join("journal.db")).unwrap();
    let damaged = db
        .execute("UPDATE frames SET crc = crc + 1 WHERE first = 1", [])
        .unwrap();
    drop(db);
    assert_eq!(damaged, 1);

    let look = journal.tap(1 << 20).unwrap().look();

    let seen: Vec<u64> = look.rows.iter().map(|row| row.first).collect();
    assert_eq!(seen, [2, 3]);
}
