//! The journal as sources and sinks see it.

use crate::common::*;
use iiot_core::profile::Profile;
use iiot_journal::{
    Confirmation, ErrorKind, Journal, Options, RecordingSettings, SinkReject, Supply, SyncMode,
    TopicValue,
};
use std::sync::Arc;

/// A journal without a frame has a ledger of zeros.
#[test]
fn an_empty_journal_has_a_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.add_sink("mqtt", None).unwrap();
    let status = journal.status().unwrap();
    balanced(&status);
    assert_eq!((status.journal.frames, status.sinks[0].accepted), (0, 0));
}

/// What was pushed is read back in order, each frame with a time of its own.
#[test]
fn frames_are_read_back_in_order_with_distinct_times() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("mqtt", None).unwrap();
    let mut intake = journal.add_source(settings("a"), None).unwrap();

    push(&mut intake, 1, 4);

    let all = behind(&cursor);
    assert_eq!(all.iter().map(|(p, ..)| *p).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(
        all.iter().map(|(_, t, _)| *t - NOON).collect::<Vec<_>>(),
        [0, 1_000_000, 2_000_000]
    );
    assert_eq!(all[1].2, document(20_000, 2, 2));
}

/// Cursor, counts, duplicates, losses and stamps survive closing and opening.
#[test]
fn everything_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    {
        let journal = open(folder.path());
        let cursor = journal.add_sink("mqtt", None).unwrap();
        let mut intake = journal.add_source(settings("a"), None).unwrap();
        push(&mut intake, 1, 11);
        deliver(&cursor, 5);
    }

    let journal = open(folder.path());
    let cursor = journal.add_sink("mqtt", None).unwrap();
    let mut intake = journal.add_source(settings("a"), None).unwrap();
    push(&mut intake, 9, 14); // 9 and 10 are repeats
    push(&mut intake, 16, 17); // 14 and 15 were lost on air

    let status = journal.status().unwrap();
    balanced(&status);
    assert_eq!(
        (
            status.intake["received"],
            status.intake["duplicate"],
            status.intake["lost_on_air"]
        ),
        (16, 2, 2)
    );
    assert_eq!((status.sinks[0].delivered, status.sinks[0].queued), (4, 10));
    let all = behind(&cursor);
    assert_eq!(all.first().unwrap().0, 5);
    assert!(
        all.windows(2).all(|w| w[0].1 < w[1].1),
        "times are distinct and rise across the restart"
    );
}

/// A process that dies without closing loses nothing that was committed, and the next start says so.
#[test]
fn a_killed_process_loses_nothing_that_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.add_sink("mqtt", None).unwrap();
    let mut intake = journal.add_source(settings("a"), None).unwrap();
    push(&mut intake, 1, 101);
    for name in ["journal.db", "journal.db-wal"] {
        std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }

    let after = open(copy.path());
    let cursor = after.add_sink("mqtt", None).unwrap();

    assert!(
        after
            .notes()
            .iter()
            .any(|n| n.starts_with("journal_recovered"))
    );
    assert_eq!(behind(&cursor).len(), 100);
    balanced(&after.status().unwrap());
}

/// A torn tail of the log costs the unfinished commit only, and is told.
#[test]
fn a_torn_tail_is_dropped_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.add_sink("mqtt", None).unwrap();
    let mut intake = journal.add_source(settings("a"), None).unwrap();
    push(&mut intake, 1, 50);
    push(&mut intake, 50, 60);
    let log = folder.path().join("journal.db-wal");
    std::fs::copy(
        folder.path().join("journal.db"),
        copy.path().join("journal.db"),
    )
    .unwrap();
    let mut bytes = std::fs::read(&log).unwrap();
    let pages = iiot_journal::inspect_wal(&log).unwrap().committed as usize;
    bytes[32 + pages * (4096 + 24) - 1] ^= 0xff; // the last page of the last commit
    std::fs::write(copy.path().join("journal.db-wal"), bytes).unwrap();

    let after = open(copy.path());
    let cursor = after.add_sink("mqtt", None).unwrap();

    let note = after
        .notes()
        .into_iter()
        .find(|n| n.starts_with("journal_recovered"))
        .expect("told");
    assert!(!note.contains(" 0 pages of an unfinished"), "{note}");
    assert_eq!(behind(&cursor).len(), 49);
    balanced(&after.status().unwrap());
}

/// Two gateways on one journal: the second is refused, and says by whom.
#[test]
fn a_second_gateway_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _journal = open(folder.path());

    let error = Journal::open(&folder.path().join("journal.db"), &options())
        .err()
        .unwrap();

    assert_eq!(error.kind, ErrorKind::Locked);
    assert!(
        error.to_string().contains(&std::process::id().to_string()),
        "{error}"
    );
}

/// What is no journal, or one of another version, or damaged, is refused and left as it is.
#[test]
fn foreign_and_damaged_files_are_refused_and_left_alone() {
    let refused = |prepare: &dyn Fn(&std::path::Path)| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        prepare(&path);
        let before = std::fs::read(&path).unwrap();
        let error = Journal::open(
            &path,
            &Options {
                max_bytes: 1 << 20,
                ..options()
            },
        )
        .err()
        .expect("refused");
        let after = std::fs::read(&path).unwrap();
        let common = before.len().min(after.len()); // room reserved behind the last page may go
        assert_eq!(before[..common], after[..common], "left as it was");
        error.kind
    };
    let journal_with = |change: &'static str| {
        move |path: &std::path::Path| {
            Journal::open(
                path,
                &Options {
                    max_bytes: 1 << 20,
                    ..options()
                },
            )
            .unwrap()
            .close(WAIT)
            .unwrap();
            rusqlite::Connection::open(path)
                .unwrap()
                .execute_batch(change)
                .unwrap();
        }
    };

    assert_eq!(
        refused(&|path| std::fs::write(path, "temperature = 27.6\n".repeat(100)).unwrap()),
        ErrorKind::Damaged
    );
    assert_eq!(
        refused(&journal_with("PRAGMA user_version=99")),
        ErrorKind::UnknownVersion
    );
    assert_eq!(
        refused(&|path| rusqlite::Connection::open(path)
            .unwrap()
            .execute_batch("CREATE TABLE other(a)")
            .unwrap()),
        ErrorKind::UnknownVersion
    );
    let torn = |path: &std::path::Path| {
        {
            let journal = Journal::open(
                path,
                &Options {
                    max_bytes: 1 << 20,
                    ..options()
                },
            )
            .unwrap();
            journal.add_sink("mqtt", None).unwrap();
            let mut intake = journal.add_source(settings("a"), None).unwrap();
            push(&mut intake, 1, 500);
        }
        let mut bytes = std::fs::read(path).unwrap();
        for at in (4096..40 * 4096).step_by(512) {
            bytes[at..at + 64].fill(0xA5);
        }
        std::fs::write(path, bytes).unwrap();
    };
    assert_eq!(refused(&torn), ErrorKind::Damaged);
}

/// At the limit the oldest frames go, counted for the sink that still needed them, and for no other.
#[test]
fn at_the_limit_the_oldest_go_and_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(
        &folder.path().join("journal.db"),
        &Options {
            max_bytes: 1 << 20,
            ..options()
        },
    )
    .unwrap();
    let slow = journal.add_sink("slow", None).unwrap();
    let fast = journal.add_sink("fast", None).unwrap();
    let mut intake = journal.add_source(settings("a"), None).unwrap();

    for step in 0..100 {
        push(&mut intake, 1 + step * 100, 101 + step * 100);
        deliver(&fast, 101 + step * 100);
    }

    let status = journal.status().unwrap();
    balanced(&status);
    let of = |name: &str| {
        status
            .sinks
            .iter()
            .find(|s| s.name == name)
            .unwrap()
            .clone()
    };
    assert!(of("slow").dropped_full > 0);
    assert_eq!(of("fast").dropped_full, 0);
    assert_eq!(of("fast").delivered, 10_000);
    assert_eq!(of("slow").queued, behind(&slow).len() as u64);
    assert!(status.journal.bytes <= 1 << 20);
}

/// The file stays within its limit when the log is moved into it, also if the limit is no whole number of pages.
#[test]
fn the_file_stays_within_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let max_bytes = (1 << 20) + 1000;
    let journal = Journal::open(
        &path,
        &Options {
            max_bytes,
            ..options()
        },
    )
    .unwrap();
    journal.add_sink("slow", None).unwrap();
    let mut intake = journal.add_source(settings("a"), None).unwrap();

    for step in 0..50 {
        push(&mut intake, 1 + step * 100, 101 + step * 100);
    }
    journal.close(WAIT).unwrap();

    assert!(std::fs::metadata(&path).unwrap().len() <= max_bytes);
}

/// A confirmation of frames that were dropped meanwhile counts each of them once.
#[test]
fn a_confirmation_of_dropped_frames_counts_each_once() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(
        &folder.path().join("journal.db"),
        &Options {
            max_bytes: 1 << 20,
            ..options()
        },
    )
    .unwrap();
    let cursor = journal.add_sink("mqtt", None).unwrap();
    let mut intake = journal.add_source(settings("a"), None).unwrap();
    for step in 0..100 {
        push(&mut intake, 1 + step * 100, 101 + step * 100);
    }
    assert!(cursor.position() > 1, "some were dropped");

    let confirmer = cursor.confirmer();
    for from in (1..10_001).step_by(1000) {
        let c = Confirmation {
            from,
            end: from + 1000,
            delivered: 1000,
            ..Confirmation::default()
        };
        confirmer.confirm(c).unwrap();
    }
    assert!(confirmer.wait_settled(10_001, WAIT));

    let status = journal.status().unwrap();
    balanced(&status);
    assert_eq!(status.sinks[0].queued, 0);
    assert_eq!(
        status.sinks[0].delivered + status.sinks[0].dropped_full,
        10_000
    );
    assert_eq!(
        status.journal.frames, 0,
        "what every sink has passed is gone"
    );
}

/// A sink's rejects are stored with its cursor, listed with reason and excerpt, and sent again to that sink only.
#[test]
fn rejects_of_a_sink_are_stored_listed_and_retried_to_that_sink_only() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let db = journal.add_sink("influxdb", None).unwrap();
    let mqtt = journal.add_sink("mqtt", None).unwrap();
    let mut intake = journal.add_source(settings("a"), None).unwrap();
    push(&mut intake, 1, 4);
    deliver(&mqtt, 4);
    let reject = SinkReject {
        position: 2,
        point: 1,
        field: None,
        reason: "field type conflict".into(),
        excerpt: "humidity value=54.1".into(),
    };
    let c = Confirmation {
        from: 1,
        end: 4,
        delivered: 2,
        rejected: 1,
        rejects: vec![reject],
        ..Confirmation::default()
    };
    db.confirmer().confirm(c).unwrap();
    assert!(db.confirmer().wait_settled(4, WAIT));
    let listed = journal.rejects(10).unwrap();
    assert_eq!(
        (
            listed[0].sink.as_deref(),
            listed[0].source.as_str(),
            listed[0].reason.as_str()
        ),
        (Some("influxdb"), "a", "field type conflict")
    );
    balanced(&journal.status().unwrap());

    let retried = journal
        .retry_rejects(retried_under("a", profile()), None)
        .unwrap();

    assert_eq!((retried.accepted, retried.still_rejected), (1, 0));
    assert!(journal.rejects(10).unwrap().is_empty());
    let mut mqtt = mqtt;
    let rows = mqtt.read(mqtt.position(), 1 << 20).unwrap();
    assert!(!mqtt.takes(&rows[0]).unwrap());
    assert_eq!(
        behind(&db)
            .iter()
            .map(|(_, _, d)| d.clone())
            .collect::<Vec<_>>(),
        [document(20_000, 2, 2)]
    );
    let status = journal.status().unwrap();
    balanced(&status);
    assert_eq!(
        status.sinks.iter().map(|s| s.queued).collect::<Vec<_>>(),
        [1, 0]
    );
    assert_eq!(status.sinks[0].rejected, 0);
}

/// Damaged documents are counted a reason and listed with their place.
#[test]
fn damaged_documents_are_counted_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut intake = journal.add_source(settings("a"), None).unwrap();

    let text = format!(
        "{}{{\"ts\":1,\"id\":\"N2\",\"n1\":{{\"t\":7,\n{}{{\"other\":1}}\n",
        line(1),
        line(2)
    );
    intake.push(text.as_bytes(), NOON).unwrap();
    assert!(intake.settled(WAIT));

    let status = journal.status().unwrap();
    balanced(&status);
    assert_eq!(
        (
            status.intake["received"],
            status.intake["accepted"],
            status.intake["rejected"]
        ),
        (4, 2, 2)
    );
    assert_eq!(status.reject_reasons["nothing_usable"], 1);
    let rejects = journal.rejects(10).unwrap();
    assert!(
        rejects.iter().all(|r| r.place.contains("byte")),
        "{rejects:?}"
    );
}

/// A recording goes on where the journal says, with times by the node's clock; finished it says so; other arguments are refused.
#[test]
fn a_recording_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (1..101).map(line).collect();
    let recording = |from_start| RecordingSettings {
        fingerprint: "f".into(),
        arguments: "--start noon".into(),
        from_start,
        start_ns: Some(NOON),
    };
    let source = || iiot_journal::SourceSettings {
        supply: Supply::Replayable,
        ..settings("replay")
    };
    {
        let journal = open(folder.path());
        journal.add_sink("mqtt", None).unwrap();
        let mut intake = journal
            .add_source(source(), Some(recording(false)))
            .unwrap();
        intake
            .push(&text.as_bytes()[..text.len() / 2 + 7], NOON)
            .unwrap();
        assert!(intake.settled(WAIT));
    }

    let journal = open(folder.path());
    let cursor = journal.add_sink("mqtt", None).unwrap();
    let other = RecordingSettings {
        arguments: "--start dawn".into(),
        ..recording(false)
    };
    assert_eq!(
        journal
            .add_source(source(), Some(other))
            .err()
            .unwrap()
            .kind,
        ErrorKind::Conflict
    );
    let mut intake = journal
        .add_source(source(), Some(recording(false)))
        .unwrap();
    let at = intake.resume_offset as usize;
    assert!(at > 0 && at <= text.len() / 2 + 7);
    intake.push(&text.as_bytes()[at..], NOON).unwrap();
    intake.finish(NOON).unwrap();
    assert!(journal.sync(WAIT));

    let times: Vec<i64> = behind(&cursor)
        .iter()
        .map(|(_, t, _)| (*t - NOON) / SECOND)
        .collect();
    assert_eq!(times, (0..100).map(|i| i * 10).collect::<Vec<_>>());
    assert_eq!(journal.status().unwrap().intake["received"], 100);
    assert!(
        journal
            .add_source(source(), Some(recording(false)))
            .unwrap()
            .finished
    );
    assert_eq!(
        journal
            .add_source(source(), Some(recording(true)))
            .unwrap()
            .resume_offset,
        0
    );
}

/// A recording of several RTT channels goes on where it stopped: what stands before tells which channel speaks, and no frame is lost, doubled or damaged.
#[test]
fn a_recording_of_several_rtt_channels_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = b"[Terminal] boot\n[log] ready\n".to_vec();
    let log: String = (1..41).map(line).collect();
    for piece in log.as_bytes().chunks(97) {
        text.extend_from_slice(b"[Terminal] ");
        text.extend_from_slice(piece);
        text.extend_from_slice(b"[log] {\"n1\":{\"t\":1}} ");
    }
    let recording = || RecordingSettings {
        fingerprint: "f".into(),
        ..RecordingSettings::default()
    };
    let source = || iiot_journal::SourceSettings {
        supply: Supply::Replayable,
        rtt_channel: Some("Terminal".into()),
        ..settings("replay")
    };
    let mut stops = 0;
    for until in (0..text.len()).step_by(501).chain([text.len()]) {
        let journal = open(folder.path());
        journal.add_sink("mqtt", None).unwrap();
        let mut intake = journal.add_source(source(), Some(recording())).unwrap();
        let at = intake.resume_offset as usize;
        assert!(at <= until, "{at} lies behind what was pushed");
        intake.skip(&text[..at / 2]);
        intake.skip(&text[at / 2..at]);
        intake.push(&text[at..until], NOON).unwrap();
        assert!(intake.settled(WAIT));
        stops += 1;
    }
    assert!(stops > 10);

    let journal = open(folder.path());
    let cursor = journal.add_sink("mqtt", None).unwrap();
    let documents: Vec<String> = behind(&cursor).into_iter().map(|(_, _, d)| d).collect();
    let expected: Vec<String> = (1..41).map(|n| document(n * 10_000, n, n)).collect();
    assert_eq!(documents, expected);
    assert_eq!(journal.status().unwrap().intake["received"], 40);
}

/// The first document with a time of its node gets the time of the start, whatever was rejected before it; rejects that can be offered again keep apart.
#[test]
fn rejects_before_the_first_document_leave_it_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("mqtt", None).unwrap();
    let recording = RecordingSettings {
        fingerprint: "f".into(),
        start_ns: Some(NOON),
        ..RecordingSettings::default()
    };
    let source = iiot_journal::SourceSettings {
        supply: Supply::Replayable,
        ..settings("replay")
    };
    let mut intake = journal.add_source(source, Some(recording)).unwrap();
    let before = "{\"ts\":1,\"n1\n{\"nothing\":1}\n{\"nothing\":2}\n{\"ts\":2,\"n1\n";
    let text = format!("{before}{}{{\"ts\":3,\n{}", line(7), line(8));
    intake.push(text.as_bytes(), 0).unwrap();
    assert!(journal.sync(WAIT));

    let times: Vec<i64> = behind(&cursor).iter().map(|(_, at, _)| *at).collect();
    assert_eq!(times, [NOON, NOON + 10 * SECOND]);
    assert_eq!(journal.status().unwrap().intake["rejected"], 5);
    let mended = "name = \"mended\"\n[[metric]]\npath = \"nothing\"\nmeasurement = \"nothing\"\n";
    let mended = retried_under("replay", Arc::new(Profile::parse(mended).unwrap()));
    assert_eq!(journal.retry_rejects(mended, None).unwrap().accepted, 2);
    let times: Vec<i64> = behind(&cursor)[2..].iter().map(|(_, at, _)| *at).collect();
    assert_eq!(times, [NOON - SECOND, NOON - SECOND + SECOND / 1000]);
}

/// Frames that their source can give again are seen by sinks once they are synced; with `normal`, after the sync of that second.
#[test]
fn replayable_frames_are_seen_once_synced() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        sync: SyncMode::Normal,
        ..options()
    };
    let journal = Journal::open(&folder.path().join("journal.db"), &options).unwrap();
    let cursor = journal.add_sink("mqtt", None).unwrap();
    let source = iiot_journal::SourceSettings {
        supply: Supply::Replayable,
        ..settings("replay")
    };
    let mut intake = journal.add_source(source, None).unwrap();

    push(&mut intake, 1, 3);
    assert!(journal.sync(WAIT));

    assert_eq!(cursor.visible(), 3);
    assert_eq!(behind(&cursor).len(), 2);
}

/// A sink that comes later begins at the oldest kept frame; one that was away is told what it missed.
#[test]
fn sinks_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    {
        let journal = open(folder.path());
        journal.add_sink("a", None).unwrap();
        journal.add_sink("b", None).unwrap();
        let mut intake = journal.add_source(settings("s"), None).unwrap();
        push(&mut intake, 1, 11);
    }
    {
        let journal = open(folder.path());
        let a = journal.add_sink("a", None).unwrap();
        let mut intake = journal.add_source(settings("s"), None).unwrap();
        push(&mut intake, 11, 21);
        deliver(&a, 15);
        let status = journal.status().unwrap();
        balanced(&status);
    }

    let journal = open(folder.path());
    for name in ["a", "b", "c"] {
        journal.add_sink(name, None).unwrap();
    }

    let status = journal.status().unwrap();
    balanced(&status);
    let of = |name: &str| {
        status
            .sinks
            .iter()
            .find(|s| s.name == name)
            .unwrap()
            .clone()
    };
    assert_eq!((of("a").delivered, of("a").queued), (14, 6));
    let kept = status.journal.frames;
    assert_eq!(
        (of("b").accepted, of("b").dropped_away, of("b").queued),
        (20, 20 - kept, kept)
    );
    assert_eq!((of("c").accepted, of("c").queued), (kept, kept));
}

/// A sink may name the profiles it takes; frames of others are passed over and not counted as its own.
#[test]
fn a_sink_takes_only_its_profiles() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal
        .add_sink("lora", Some(vec!["lora-bridge".into()]))
        .unwrap();
    let mut none = journal
        .add_sink("factory", Some(vec!["factory-dosing".into()]))
        .unwrap();
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    push(&mut intake, 1, 11);

    let rows = none.read(1, 1 << 20).unwrap();
    assert!(!none.takes(&rows[0]).unwrap());
    none.confirmer()
        .confirm(Confirmation {
            from: 1,
            end: 11,
            ..Confirmation::default()
        })
        .unwrap();
    assert!(none.confirmer().wait_settled(11, WAIT));

    let status = journal.status().unwrap();
    balanced(&status);
    assert_eq!(
        status
            .sinks
            .iter()
            .map(|s| (s.accepted, s.queued))
            .collect::<Vec<_>>(),
        [(10, 10), (0, 0)]
    );
}

/// The last confirmed value of a topic is stored with the cursor.
#[test]
fn confirmed_topics_survive() {
    let folder = tempfile::tempdir().unwrap();
    let topic = TopicValue {
        topic: "iiot/node1/temperature".into(),
        payload: b"27.6".to_vec(),
        retain: true,
        time_ns: NOON,
    };
    {
        let journal = open(folder.path());
        let cursor = journal.add_sink("mqtt", None).unwrap();
        let mut intake = journal.add_source(settings("s"), None).unwrap();
        push(&mut intake, 1, 2);
        let c = Confirmation {
            from: 1,
            end: 2,
            delivered: 1,
            topics: vec![topic.clone()],
            ..Confirmation::default()
        };
        cursor.confirmer().confirm(c).unwrap();
        assert!(cursor.confirmer().wait_settled(2, WAIT));
    }
    let journal = open(folder.path());
    assert_eq!(
        journal.add_sink("mqtt", None).unwrap().topics().unwrap(),
        [topic]
    );
}

/// Many commits reuse the log and the freed pages: neither file grows without end.
#[test]
fn files_do_not_grow_in_steady_state() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(
        &folder.path().join("journal.db"),
        &Options {
            max_bytes: 2 << 20,
            ..options()
        },
    )
    .unwrap();
    let cursor = journal.add_sink("mqtt", None).unwrap();
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    for step in 0..400 {
        push(&mut intake, 1 + step * 50, 51 + step * 50);
        deliver(&cursor, 51 + step * 50);
    }

    let size = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
    assert!(size("journal.db") <= 2 << 20, "{}", size("journal.db"));
    assert!(
        size("journal.db-wal") <= 2 << 20,
        "{}",
        size("journal.db-wal")
    );
    assert_eq!(journal.status().unwrap().sinks[0].delivered, 20_000);
}

/// After closing, every call fails with `Closed`; nothing is lost on the way.
#[test]
fn a_closed_journal_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(open(folder.path()));
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    intake.push(line(1).as_bytes(), NOON).unwrap();
    journal.close(WAIT).unwrap();

    assert_eq!(
        intake.push(line(2).as_bytes(), NOON).err().unwrap().kind,
        ErrorKind::Closed
    );
    assert_eq!(journal.status().err().unwrap().kind, ErrorKind::Closed);
    assert_eq!(
        Journal::inspect(&folder.path().join("journal.db"))
            .unwrap()
            .intake["accepted"],
        1
    );
}

/// A sequence without an object of its own is told by the document, not by what else came in the same chunk.
#[test]
fn duplicates_do_not_depend_on_chunks() {
    let text = r#"
name = "flat"
description = "a node that says what it counts"
[[sequence]]
node = "n"
seq = "seq"
[[metric]]
path = "t"
topic = "n/temperature"
measurement = "temperature"
"#;
    let profile = Arc::new(iiot_core::profile::Profile::parse(text).unwrap());
    let (a, b) = (r#"{"seq":1,"t":7}"#, r#"{"seq":2,"t":8}"#);
    for chunks in [
        vec![format!("{a}\n"), format!("{b}\n"), format!("{a}\n")],
        vec![format!("{a}\n{b}\n"), format!("{a}\n")],
        vec![format!("{a}\n{b}\n{a}\n")],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path());
        let mut settings = settings("a");
        settings.profile = Arc::clone(&profile);
        let mut intake = journal.add_source(settings, None).unwrap();

        for chunk in &chunks {
            intake.push(chunk.as_bytes(), NOON).unwrap();
        }

        assert!(intake.settled(WAIT));
        let status = journal.status().unwrap();
        assert_eq!(
            (status.intake["accepted"], status.intake["duplicate"]),
            (2, 1),
            "{chunks:?}"
        );
    }
}

/// Losses on air are counted for so many nodes of a source. Receptions of further nodes are accepted, and counted as not tracked.
#[test]
fn nodes_without_counted_losses_are_counted() {
    let text = r#"
name = "flat"
description = "nodes that say what they count"
[[sequence]]
node = "{n}"
seq = "seq"
[[metric]]
path = "t"
topic = "{n}/temperature"
measurement = "temperature"
"#;
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let settings = iiot_journal::SourceSettings {
        profile: Arc::new(iiot_core::profile::Profile::parse(text).unwrap()),
        ..settings("a")
    };
    let mut intake = journal.add_source(settings, None).unwrap();

    for seq in [1, 3] {
        for first in (0..4_100).step_by(100) {
            let line = |node| format!("{{\"n\":\"n{node}\",\"seq\":{seq},\"t\":7}}\n");
            let lines: String = (first..first + 100).map(line).collect();
            intake.push(lines.as_bytes(), NOON).unwrap();
            assert!(intake.settled(WAIT));
        }
    }

    let status = journal.status().unwrap();
    balanced(&status);
    let counts = ["accepted", "lost_on_air", "losses_not_tracked"];
    assert_eq!(counts.map(|name| status.intake[name]), [8_200, 4_096, 8]);
}
