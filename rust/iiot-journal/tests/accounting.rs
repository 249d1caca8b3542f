//! The ledger and the stamps where they are hardest to get right: rows taken out under a reader, filters, several recordings.

use crate::common::*;
use iiot_core::profile::Profile;
use iiot_journal::{
    Confirmation, Intake, Journal, Options, RecordingSettings, SinkReject, SourceSettings, Supply,
};
use std::path::Path;
use std::sync::Arc;

fn small(folder: &Path) -> Journal {
    Journal::open(
        &folder.join("journal.db"),
        &Options {
            max_bytes: 1 << 20,
            ..options()
        },
    )
    .unwrap()
}

/// Push until something was taken out under a sink.
fn overflow(journal: &Journal, intake: &mut Intake, mut seq: u64) {
    while journal.status().unwrap().sinks[0].dropped_full == 0 {
        push(intake, seq, seq + 500);
        seq += 500;
    }
}

fn confirm(journal: &Journal, cursor: &iiot_journal::Cursor, c: Confirmation) {
    let end = c.end;
    cursor.confirmer().confirm(c).unwrap();
    assert!(cursor.confirmer().wait_settled(end, WAIT));
    balanced(&journal.status().unwrap());
}

/// A batch that was begun before the rows under it went settles what it really held.
#[test]
fn a_batch_behind_a_gap_settles_what_it_held() {
    let folder = tempfile::tempdir().unwrap();
    let journal = small(folder.path());
    let cursor = journal.add_sink("db", None).unwrap();
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    push(&mut intake, 1, 11);
    let begun_at = cursor.position();
    overflow(&journal, &mut intake, 11);
    let held: Vec<u64> = cursor
        .read(begun_at, 1)
        .unwrap()
        .iter()
        .flat_map(|row| row.frames().map(|f| f.position).collect::<Vec<_>>())
        .collect();

    let end = held.last().unwrap() + 1;
    confirm(
        &journal,
        &cursor,
        Confirmation {
            from: begun_at,
            end,
            delivered: held.len() as u64,
            ..Confirmation::default()
        },
    );

    assert_eq!(
        journal.status().unwrap().sinks[0].delivered,
        held.len() as u64
    );
}

/// A confirmation with a gap in its middle settles what is behind the gap; what went is dropped, once.
#[test]
fn a_confirmation_across_a_gap_balances() {
    let folder = tempfile::tempdir().unwrap();
    let journal = small(folder.path());
    let cursor = journal.add_sink("db", None).unwrap();
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    push(&mut intake, 1, 11);
    overflow(&journal, &mut intake, 11);
    let oldest = cursor.position();

    confirm(
        &journal,
        &cursor,
        Confirmation {
            from: 1,
            end: oldest + 5,
            delivered: 10,
            ..Confirmation::default()
        },
    );

    let sink = journal.status().unwrap().sinks[0].clone();
    assert_eq!((sink.delivered, sink.dropped_full), (5, oldest - 1));
}

/// A sink that counts otherwise than the journal is told of, and the journal's own count stands.
#[test]
fn a_sink_that_miscounts_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("db", None).unwrap();
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    push(&mut intake, 1, 11);

    confirm(
        &journal,
        &cursor,
        Confirmation {
            from: 1,
            end: 11,
            delivered: 9,
            ..Confirmation::default()
        },
    );

    assert_eq!(journal.status().unwrap().sinks[0].delivered, 10);
    assert!(
        journal
            .notes()
            .iter()
            .any(|n| n.starts_with("ledger_mismatch"))
    );
}

/// Frames accepted under a mended profile count for the sinks that take that profile.
#[test]
fn retried_frames_count_for_filtered_sinks() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal
        .add_sink("db", Some(vec!["lora-bridge".into()]))
        .unwrap();
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    intake.push(b"{\"foo\":{\"t\":1}}\n", NOON).unwrap();
    assert!(intake.settled(WAIT));
    let mended = Profile::parse(&profile().text().replace("\"n1.t\"", "\"foo.t\"")).unwrap();

    let retried = journal
        .retry_rejects(retried_under("s", Arc::new(mended)), None)
        .unwrap();

    assert_eq!(retried.accepted, 1);
    let status = journal.status().unwrap();
    balanced(&status);
    assert_eq!((status.sinks[0].accepted, status.sinks[0].queued), (1, 1));
    // The counts of reasons never fall: metrics are made of them.
    assert_eq!(status.intake["retried"], 1);
    assert_eq!(status.reject_reasons["nothing_usable"], 1);
}

/// Frames of other profiles that passed while a filtered sink was away are not charged to it.
#[test]
fn a_filtered_sink_that_was_away_is_charged_with_nothing_foreign() {
    let folder = tempfile::tempdir().unwrap();
    let factory = || Some(vec!["factory".to_owned()]);
    open(folder.path()).add_sink("factory", factory()).unwrap();
    {
        let journal = open(folder.path());
        let all = journal.add_sink("all", None).unwrap();
        let mut intake = journal.add_source(settings("s"), None).unwrap();
        push(&mut intake, 1, 101);
        deliver(&all, 101);
    }

    let journal = open(folder.path());
    journal.add_sink("factory", factory()).unwrap();

    let status = journal.status().unwrap();
    balanced(&status);
    let sink = status.sinks.iter().find(|s| s.name == "factory").unwrap();
    assert_eq!((sink.accepted, sink.dropped_away), (0, 0));
}

/// A document without a node time is judged at the node's last one, and leaves the window as it was.
#[test]
fn a_document_without_a_node_time_leaves_the_window() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    push(&mut intake, 1, 11);
    intake
        .push(br#"{"n1":{"t":20.5,"seq":777}}"#, NOON)
        .unwrap();
    assert!(intake.settled(WAIT));

    push(&mut intake, 1, 11);

    assert_eq!(journal.status().unwrap().intake["duplicate"], 10);
}

/// Two recordings of one source that are stamped as they are read never give two frames one time.
#[test]
fn recordings_of_one_source_share_their_stamps() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("all", None).unwrap();
    for (n, fingerprint) in [(0, "one"), (1, "two")] {
        let recording = RecordingSettings {
            fingerprint: fingerprint.into(),
            arguments: String::new(),
            from_start: false,
            start_ns: None,
        };
        let source = SourceSettings {
            supply: Supply::Replayable,
            ..settings("replay")
        };
        let mut intake = journal.add_source(source, Some(recording)).unwrap();
        let text: String = (1..1001).map(|seq| line(seq + 5000 * n)).collect();
        intake
            .push(text.as_bytes(), NOON + n as i64 * 100_000_000)
            .unwrap();
        intake.finish(NOON).unwrap();
        assert!(journal.sync(WAIT));
    }

    let mut milliseconds: Vec<i64> = behind(&cursor)
        .iter()
        .map(|(_, t, _)| t / 1_000_000)
        .collect();
    milliseconds.dedup();
    assert_eq!(milliseconds.len(), 2000);
}

/// A recording with arrival times of its own keeps them when it is played again.
#[test]
fn arrival_times_are_kept_when_played_again() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("all", None).unwrap();
    for from_start in [false, true] {
        let recording = RecordingSettings {
            fingerprint: "one".into(),
            arguments: String::new(),
            from_start,
            start_ns: None,
        };
        let mut intake = journal
            .add_source(
                SourceSettings {
                    supply: Supply::Replayable,
                    ..settings("replay")
                },
                Some(recording),
            )
            .unwrap();
        for n in 0..3 {
            intake
                .push(line(n + 1).as_bytes(), NOON + n as i64 * SECOND)
                .unwrap();
        }
        intake.finish(NOON).unwrap();
        assert!(journal.sync(WAIT));
    }

    let seconds: Vec<i64> = behind(&cursor)
        .iter()
        .map(|(_, t, _)| (t - NOON) / SECOND)
        .collect();
    assert_eq!(seconds, [0, 1, 2, 0, 1, 2]);
}

/// Any of the ids under which a frame's points are listed sends the frame again.
#[test]
fn any_id_of_a_frame_retries_it() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("all", None).unwrap();
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    push(&mut intake, 1, 2);
    let point = |point| SinkReject {
        position: 1,
        point,
        field: None,
        reason: "x".into(),
        excerpt: "y".into(),
    };
    confirm(
        &journal,
        &cursor,
        Confirmation {
            from: 1,
            end: 2,
            rejected: 1,
            rejects: vec![point(0), point(1)],
            ..Confirmation::default()
        },
    );
    let newest = journal.rejects(10).unwrap()[0].id;

    let retried = journal
        .retry_rejects(retried_under("s", profile()), Some(vec![newest]))
        .unwrap();

    assert_eq!(retried.accepted, 1);
    balanced(&journal.status().unwrap());
}

/// A damaged journal is left as it is, the log that a kill left beside it included.
#[test]
fn a_damaged_journal_keeps_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    {
        let journal = open(folder.path());
        journal.add_sink("mqtt", None).unwrap();
        let mut intake = journal.add_source(settings("a"), None).unwrap();
        push(&mut intake, 1, 2000);
    }
    let journal = open(folder.path());
    let mut intake = journal.add_source(settings("a"), None).unwrap();
    push(&mut intake, 2000, 2500);
    let path = copy.path().join("journal.db");
    let log = copy.path().join("journal.db-wal");
    std::fs::copy(folder.path().join("journal.db"), &path).unwrap();
    std::fs::copy(folder.path().join("journal.db-wal"), &log).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    for at in (20 * 4096..60 * 4096).step_by(512) {
        bytes[at..at + 64].fill(0xA5);
    }
    std::fs::write(&path, &bytes).unwrap();
    let log_before = std::fs::read(&log).unwrap();

    assert!(Journal::open(&path, &options()).is_err());

    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert_eq!(std::fs::read(&log).unwrap(), log_before);
}
