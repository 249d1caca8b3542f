//! What a sink keeps in the journal moves with its cursor.

use crate::common::{WAIT, open, options, push, settings};
use iiot_core::Decoded;
use iiot_journal::{Batches, Confirmation, Encoder, Frame, Journal, OriginInfo, StateChanges};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

fn changes(pairs: &[(&str, Option<&str>)]) -> StateChanges {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.map(|v| v.as_bytes().to_vec())))
        .collect()
}

fn kept(batches: &Batches) -> Vec<(String, String)> {
    let text = |(key, value)| (key, String::from_utf8(value).unwrap());
    batches.state().unwrap().into_iter().map(text).collect()
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

/// Takes three frames of each batch, and wants none of them decoded.
#[derive(Default)]
struct Three(Vec<bool>);

impl Encoder for Three {
    fn is_full(&self) -> bool {
        self.0.len() >= 3
    }

    fn wants(&mut self, _: &OriginInfo, frame: &Frame<'_>) -> bool {
        frame.position == 2
    }

    fn frame(&mut self, _: &OriginInfo, _: &Frame<'_>, decoded: Option<&Decoded<'_>>) {
        self.0.push(decoded.is_some());
    }
}

/// A frame is decoded if it is wanted, and no other.
#[test]
fn what_is_not_wanted_is_not_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut batches = Batches::new(journal.add_sink("alerts", None).unwrap());
    push(&mut journal.add_source(settings("s"), None).unwrap(), 1, 5);
    let mut three = Three::default();
    assert_eq!(
        batches.next(&mut three, Duration::ZERO, WAIT).unwrap(),
        Some(1..4)
    );
    assert_eq!(three.0, [false, true, false]);
}

/// A kill between a confirmation and the next one leaves cursor and state of the same moment; other sinks have their own.
#[test]
fn the_state_is_that_of_the_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut batches = Batches::new(journal.add_sink("alerts", None).unwrap());
    let other = Batches::new(journal.add_sink("other", None).unwrap());
    push(&mut journal.add_source(settings("s"), None).unwrap(), 1, 10);
    let confirmations = batches.confirmations();
    for number in ["first", "second"] {
        let positions = batches
            .next(&mut Three::default(), Duration::ZERO, WAIT)
            .unwrap()
            .unwrap();
        confirmations
            .queue(Confirmation {
                from: positions.start,
                end: positions.end,
                delivered: 3,
                state: changes(&[("a", Some(number)), (number, Some("x"))]),
                ..Confirmation::default()
            })
            .unwrap();
    }
    assert!(confirmations.settled(WAIT));
    confirmations
        .keep(changes(&[("first", None), ("time", Some("passed"))]))
        .unwrap();
    let expected = [
        pair("a", "second"),
        pair("second", "x"),
        pair("time", "passed"),
    ];
    assert_eq!((batches.position(), kept(&batches)), (7, expected.to_vec()));
    assert_eq!(kept(&other), []);

    drop((batches, other, confirmations));
    drop(journal);
    let path = folder.path().join("journal.db");
    let stopped = Journal::inspect_sink_state(&path, "alerts").unwrap();
    assert_eq!(stopped.get("a"), Some(&b"second".to_vec()));
    assert_eq!(
        Journal::inspect_sink_state(&path, "nobody").unwrap(),
        BTreeMap::new()
    );
    let journal = open(folder.path());
    let batches = Batches::new(journal.add_sink("alerts", None).unwrap());
    assert_eq!((batches.position(), kept(&batches)), (7, expected.to_vec()));
}

fn version(path: &Path) -> i64 {
    let db = Connection::open(path).unwrap();
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap()
}

/// A journal of version 4 lacks nothing but the table.
#[test]
fn version_4_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    {
        let journal = open(folder.path());
        let _sink = journal.add_sink("alerts", None).unwrap();
        push(&mut journal.add_source(settings("s"), None).unwrap(), 1, 4);
    }
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "DROP TABLE sink_state; DROP TABLE site; DROP TABLE site_chunk; PRAGMA user_version=4;",
        )
        .unwrap();
    assert_eq!(
        Journal::inspect_sink_state(&path, "alerts").unwrap(),
        BTreeMap::new()
    );
    assert_eq!(Journal::inspect(&path).unwrap().intake["accepted"], 3);
    assert_eq!(version(&path), 4);

    let journal = Journal::open(&path, &options()).unwrap();
    assert_eq!(version(&path), 5);
    let mut batches = Batches::new(journal.add_sink("alerts", None).unwrap());
    let confirmations = batches.confirmations();
    confirmations.keep(changes(&[("a", Some("b"))])).unwrap();
    assert_eq!(kept(&batches), [pair("a", "b")]);
    assert_eq!(
        batches
            .next(&mut Three::default(), Duration::ZERO, WAIT)
            .unwrap(),
        Some(1..4)
    );
}
