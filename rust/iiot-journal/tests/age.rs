//! `max_age`: what is older than it goes, counted for the sinks that had not had it.

use crate::common::*;
use iiot_journal::{Confirmation, Journal, Options, SinkStatus};
use std::path::Path;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn with_age(folder: &Path, max_age: Option<Duration>) -> Journal {
    let options = Options {
        max_age,
        ..options()
    };
    Journal::open(&folder.join("journal.db"), &options).unwrap()
}

/// Let the frames before a position have been committed two hours ago.
fn age(folder: &Path, before: u64) {
    let db = rusqlite::Connection::open(folder.join("journal.db")).unwrap();
    db.busy_timeout(WAIT).unwrap();
    db.execute(
        "UPDATE frames SET committed_at_ms=committed_at_ms-7200000 WHERE first < ?1",
        [before as i64],
    )
    .unwrap();
}

fn sink(journal: &Journal, name: &str) -> SinkStatus {
    let status = journal.status().unwrap();
    balanced(&status);
    status.sinks.into_iter().find(|s| s.name == name).unwrap()
}

/// Rows that are too old go with the next commit, the younger stay. Each sink is charged with what it lacked of them, and no other.
#[test]
fn what_is_too_old_goes_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let journal = with_age(folder.path(), Some(HOUR));
    let absent = journal.add_sink("absent", None).unwrap();
    let half = journal.add_sink("half", None).unwrap();
    let current = journal.add_sink("current", None).unwrap();
    journal
        .add_sink("other", Some(vec!["factory".into()]))
        .unwrap();
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    for from in [1, 11, 21] {
        push(&mut intake, from, from + 10);
    }
    deliver(&half, 15);
    deliver(&current, 31);
    assert_eq!(sink(&journal, "absent").dropped_age, 0);

    age(folder.path(), 21);
    push(&mut intake, 31, 32);

    let counts = |name| {
        let s = sink(&journal, name);
        (s.accepted, s.delivered, s.queued, s.dropped_age)
    };
    assert_eq!(counts("absent"), (31, 0, 11, 20));
    assert_eq!(counts("half"), (31, 14, 11, 6));
    assert_eq!(counts("current"), (31, 30, 1, 0));
    assert_eq!(counts("other"), (0, 0, 0, 0));
    assert_eq!((absent.position(), half.position()), (21, 21));
    assert_eq!(behind(&absent).first().unwrap().0, 21);
    assert_eq!(journal.status().unwrap().journal.frames, 11);
    assert_eq!(sink(&journal, "absent").dropped_full, 0);
}

/// A confirmation that was under way when its frames went settles none of them twice.
#[test]
fn a_confirmation_of_frames_that_went_counts_each_once() {
    let folder = tempfile::tempdir().unwrap();
    let journal = with_age(folder.path(), Some(HOUR));
    let cursor = journal.add_sink("db", None).unwrap();
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    push(&mut intake, 1, 11);
    push(&mut intake, 11, 21);
    age(folder.path(), 11);
    push(&mut intake, 21, 22);

    let c = Confirmation {
        from: 1,
        end: 21,
        delivered: 20,
        ..Confirmation::default()
    };
    cursor.confirmer().confirm(c).unwrap();

    assert!(cursor.confirmer().wait_settled(21, WAIT));
    let s = sink(&journal, "db");
    assert_eq!(
        (s.accepted, s.delivered, s.queued, s.dropped_age),
        (21, 10, 1, 10)
    );
}

/// What grew old while the gateway was off goes after the start, with the first commit; the count is stored.
#[test]
fn what_grew_old_while_the_gateway_was_off_goes_after_the_start() {
    let folder = tempfile::tempdir().unwrap();
    {
        let journal = with_age(folder.path(), Some(HOUR));
        journal.add_sink("db", None).unwrap();
        let mut intake = journal.add_source(settings("s"), None).unwrap();
        push(&mut intake, 1, 11);
    }
    age(folder.path(), 11);

    {
        let journal = with_age(folder.path(), Some(HOUR));
        journal.add_sink("db", None).unwrap();
        let mut intake = journal.add_source(settings("s"), None).unwrap();
        push(&mut intake, 11, 12);
    }

    let journal = with_age(folder.path(), None);
    let cursor = journal.add_sink("db", None).unwrap();
    let s = sink(&journal, "db");
    assert_eq!((s.accepted, s.queued, s.dropped_age), (11, 1, 10));
    assert_eq!(behind(&cursor).len(), 1);
    assert_eq!(journal.notes(), Vec::<String>::new());
}

/// Without a limit nothing is ever too old.
#[test]
fn without_a_limit_nothing_goes() {
    let folder = tempfile::tempdir().unwrap();
    let journal = with_age(folder.path(), None);
    journal.add_sink("db", None).unwrap();
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    push(&mut intake, 1, 11);
    age(folder.path(), 11);

    push(&mut intake, 11, 12);

    let s = sink(&journal, "db");
    assert_eq!((s.queued, s.dropped_age), (11, 0));
}
