//! Rejects that are offered again: the ledger before, after, and at the next start.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use iiot_journal::{Confirmation, Cursor, Journal, Options, Retried, SinkReject};
use std::collections::HashMap;
use std::path::Path;

/// As `rejects retry` opens the journal of a stopped gateway.
fn open_stopped(folder: &Path) -> Journal {
    let options = Options {
        keep_sinks: true,
        ..options()
    };
    Journal::open(&folder.join("journal.db"), &options).unwrap()
}

fn retry(journal: &Journal) -> Retried {
    journal
        .retry_rejects(HashMap::from([("s".to_owned(), profile())]), None)
        .unwrap()
}

/// Confirm `from..end`, of which the sink refuses one frame.
fn refuse(cursor: &Cursor, from: u64, end: u64, position: u64) {
    let c = Confirmation {
        from,
        end,
        delivered: end - from - 1,
        rejected: 1,
        rejects: vec![SinkReject {
            position,
            point: 0,
            reason: "field type conflict".into(),
            excerpt: "humidity value=54.1".into(),
        }],
        ..Confirmation::default()
    };
    cursor.confirmer().confirm(c).unwrap();
    assert!(cursor.confirmer().wait_settled(end, WAIT));
}

/// On a stopped gateway the ledger says at once where the retried frame is, and the next start finds it there.
#[test]
fn a_retry_on_a_stopped_gateway_balances_at_once() {
    let folder = tempfile::tempdir().unwrap();
    {
        let journal = open(folder.path());
        let db = journal.add_sink("db", None).unwrap();
        let mqtt = journal
            .add_sink("mqtt", Some(vec!["lora-bridge".into()]))
            .unwrap();
        let mut intake = journal.add_source(settings("s"), None).unwrap();
        push(&mut intake, 1, 3);
        deliver(&mqtt, 3);
        refuse(&db, 1, 3, 2);
    }

    {
        let journal = open_stopped(folder.path());
        assert_eq!(retry(&journal).accepted, 1);
        journal.close(WAIT).unwrap();
    }

    let expect = |status: iiot_journal::Status| {
        balanced(&status);
        let sinks: Vec<_> = status
            .sinks
            .iter()
            .map(|s| (s.active, s.accepted, s.delivered, s.queued, s.rejected))
            .collect();
        assert_eq!(sinks, [(true, 2, 1, 1, 0), (true, 2, 2, 0, 0)]);
    };
    expect(Journal::inspect(&folder.path().join("journal.db")).unwrap());
    let journal = open(folder.path());
    let db = journal.add_sink("db", None).unwrap();
    journal
        .add_sink("mqtt", Some(vec!["lora-bridge".into()]))
        .unwrap();
    expect(journal.status().unwrap());
    assert_eq!(behind(&db).len(), 1);
    assert_eq!(journal.notes(), Vec::<String>::new());
}

/// A sink that was taken out of the configuration before the retry stays out, and holds nothing back.
#[test]
fn a_retry_brings_no_removed_sink_back() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).add_sink("old", None).unwrap();
    open(folder.path()).add_sink("new", None).unwrap();

    open_stopped(folder.path()).close(WAIT).unwrap();

    let status = Journal::inspect(&folder.path().join("journal.db")).unwrap();
    let active: Vec<_> = status
        .sinks
        .iter()
        .map(|s| (s.name.as_str(), s.active))
        .collect();
    assert_eq!(active, [("old", false), ("new", true)]);
}
