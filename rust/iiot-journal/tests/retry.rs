//! Rejects that are offered again: the ledger before, after, and at the next start.

use crate::common::*;
use iiot_core::profile::Profile;
use iiot_journal::{
    Confirmation, Cursor, Intake, Journal, Options, Retried, SinkReject, SourceSettings,
};
use std::path::Path;
use std::sync::Arc;

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
        .retry_rejects(retried_under("s", profile()), None)
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
            field: None,
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

/// The profile before it was mended: it looks for readings where there are none.
fn wrong() -> Arc<Profile> {
    let text = profile()
        .text()
        .replace("\"n1.t\"", "\"x.t\"")
        .replace("\"n1.h\"", "\"x.h\"")
        .replace("path = \"sts.rx\"", "path = \"x.rx\"");
    Arc::new(Profile::parse(&text).unwrap())
}

fn wrong_source() -> SourceSettings {
    SourceSettings {
        profile: wrong(),
        ..settings("s")
    }
}

/// Only what the wrong profile does not see is in it.
fn packet(ts: u64, seq: u64) -> String {
    format!(r#"{{"ts":{ts},"id":"N2","n1":{{"t":27.6,"h":54.1,"seq":{seq}}}}}"#)
}

fn receive(intake: &mut Intake, packets: &[String]) {
    intake.push(packets.concat().as_bytes(), NOON).unwrap();
    assert!(intake.settled(WAIT));
}

/// received, accepted, duplicate, rejected, lost on air
fn counts(journal: &Journal) -> [i64; 5] {
    let status = journal.status().unwrap();
    balanced(&status);
    [
        "received",
        "accepted",
        "duplicate",
        "rejected",
        "lost_on_air",
    ]
    .map(|name| status.intake[name])
}

/// One packet that was received twice and rejected twice is accepted once; on a stopped gateway as on a running one.
#[test]
fn a_repeat_among_rejects_is_a_duplicate() {
    for stopped in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = open(folder.path());
        let mut db = journal.add_sink("db", None).unwrap();
        let mut intake = journal.add_source(wrong_source(), None).unwrap();
        receive(&mut intake, &[packet(1000, 1), packet(1500, 1)]);
        receive(&mut intake, &[packet(2000, 2)]);
        assert_eq!(counts(&journal), [3, 0, 0, 3, 0]);
        if stopped {
            journal.close(WAIT).unwrap();
            journal = open_stopped(folder.path());
        }

        let retried = retry(&journal);

        let expected = Retried {
            accepted: 2,
            duplicate: 1,
            ..Retried::default()
        };
        assert_eq!(retried, expected);
        assert_eq!(counts(&journal), [3, 2, 1, 0, 0]);
        assert_eq!(journal.rejects(10).unwrap(), []);
        if stopped {
            journal.close(WAIT).unwrap();
            journal = open(folder.path());
            db = journal.add_sink("db", None).unwrap();
        }
        let documents: Vec<_> = behind(&db).into_iter().map(|(.., d)| d).collect();
        assert_eq!(documents, [packet(1000, 1), packet(2000, 2)]);
    }
}

/// A reject that repeats what was accepted since is a duplicate, and so is what arrives after the retry, also after a restart.
#[test]
fn a_retry_and_the_intake_share_one_window() {
    let folder = tempfile::tempdir().unwrap();
    {
        let journal = open(folder.path());
        let mut intake = journal.add_source(wrong_source(), None).unwrap();
        receive(&mut intake, &[packet(1000, 1), packet(2000, 2)]);
    }
    let journal = open(folder.path());
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    receive(&mut intake, &[packet(2500, 2), packet(4000, 3)]);

    let retried = retry(&journal);

    assert_eq!((retried.accepted, retried.duplicate), (1, 1));
    receive(&mut intake, &[packet(4500, 1)]);
    assert_eq!(counts(&journal), [5, 3, 2, 0, 0]);
    drop((journal, intake));
    let journal = open(folder.path());
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    receive(&mut intake, &[packet(5000, 1), packet(6000, 4)]);
    assert_eq!(counts(&journal), [7, 4, 3, 0, 0]);
}

/// A packet that was missed because it was rejected is lost on air no longer once it is accepted; an old one moves no sequence back.
#[test]
fn a_retried_packet_fills_its_gap() {
    let folder = tempfile::tempdir().unwrap();
    {
        let journal = open(folder.path());
        let mut intake = journal.add_source(wrong_source(), None).unwrap();
        receive(&mut intake, &[packet(1000, 1)]);
        receive(&mut intake, &[document(2_000, 2, 2), packet(3000, 3)]);
        receive(&mut intake, &[document(4_000, 4, 4)]);
        assert_eq!(counts(&journal), [4, 2, 0, 2, 1]);
    }

    {
        let journal = open_stopped(folder.path());
        assert_eq!(retry(&journal).accepted, 2);
        assert_eq!(counts(&journal), [4, 4, 0, 0, 0]);
    }

    let journal = open(folder.path());
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    receive(&mut intake, &[packet(5000, 5)]);
    assert_eq!(counts(&journal), [5, 5, 0, 0, 0]);
}

/// A packet from before the node's restart, offered again behind it, pushes nothing out of the window.
#[test]
fn a_packet_from_before_a_restart_leaves_the_window_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let counted = |ts: u64, seq: u64, rx: u64| {
        packet(ts, seq).replacen("\"n1\"", &format!("\"sts\":{{\"rx\":{rx}}},\"n1\""), 1)
    };
    {
        let journal = open(folder.path());
        let mut intake = journal.add_source(wrong_source(), None).unwrap();
        receive(&mut intake, &[counted(30 * 86_400_000, 500, 500)]);
        assert_eq!(counts(&journal), [1, 0, 0, 1, 0]);
    }
    let journal = open(folder.path());
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    receive(&mut intake, &[1, 2, 3].map(|n| counted(1000 * n, n, n)));

    assert_eq!(retry(&journal).accepted, 1);

    receive(&mut intake, &[counted(9000, 2, 4)]);
    assert_eq!(counts(&journal), [5, 4, 1, 0, 0]);
}

/// What a sink refused was accepted before: offered to it again, it is no repeat.
#[test]
fn a_reject_of_a_sink_is_no_repeat() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let db = journal.add_sink("db", None).unwrap();
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    push(&mut intake, 1, 3);
    refuse(&db, 1, 3, 2);

    let retried = retry(&journal);

    assert_eq!((retried.accepted, retried.duplicate), (1, 0));
    assert_eq!(counts(&journal), [2, 2, 0, 0, 0]);
    assert_eq!(behind(&db).len(), 1);
}
